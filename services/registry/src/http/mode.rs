//! `/mode`.

use axum::body::Body;
use axum::extract::{Path, State as Held};
use axum::http::HeaderMap;
use serde_json::{Map, Value, json};

use super::answer::{Changed, Json};
use super::body::read;
use super::parameters::Parameters;
use super::routes::Api;
use crate::actor::Actor;
use crate::answers::ModeAnswer;
use crate::decide;
use crate::record::Mode;
use crate::refusal::Refusal;
use crate::subject::Subject;

type Answer = Result<Json, Refusal>;

pub(super) async fn get_default(Held(api): Held<Api>, parameters: Parameters) -> Answer {
    answer(&api, None, &parameters)
}

pub(super) async fn get(
    Held(api): Held<Api>,
    Path(subject): Path<String>,
    parameters: Parameters,
) -> Answer {
    answer(&api, Subject::scope(&subject).as_ref(), &parameters)
}

fn answer(api: &Api, scope: Option<&Subject>, parameters: &Parameters) -> Answer {
    let or_what_holds = parameters.flag("defaultToGlobal");
    let mode = api
        .shared
        .read(|state| decide::read_mode(state, scope, or_what_holds))?;
    Ok(Json::of(&ModeAnswer::of(Some(mode))))
}

pub(super) async fn put_default(
    Held(api): Held<Api>,
    actor: Actor,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Changed {
    change(&api, actor, None, &parameters, &headers, body).await
}

pub(super) async fn put(
    Held(api): Held<Api>,
    actor: Actor,
    Path(subject): Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Changed {
    let scope = Subject::scope(&subject);
    change(&api, actor, scope, &parameters, &headers, body).await
}

/// The answer is the request.
async fn change(
    api: &Api,
    actor: Actor,
    scope: Option<Subject>,
    parameters: &Parameters,
    headers: &HeaderMap,
    body: Body,
) -> Changed {
    let members: Map<String, Value> =
        read(headers, body, api.shared.config.max_body_bytes.as_usize()).await?;
    let asked = members.get("mode").cloned();
    let mode = mode_of(asked.as_ref());
    let force = parameters.flag("force");
    let written = api
        .writer
        .submit(actor, move |state, _, _| {
            decide::put_mode(state, scope.as_ref(), mode, force)
        })
        .await?;
    Ok(written.map(|_| Json::of(&json!({ "mode": asked }))))
}

/// Null removes a mode; what is none is found to be so once it is known to be one's turn.
fn mode_of(asked: Option<&Value>) -> Result<Option<Mode>, decide::NotAMode> {
    match asked {
        Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => text
            .to_ascii_uppercase()
            .parse()
            .map(Some)
            .map_err(|_| decide::NotAMode),
        _ => Err(decide::NotAMode),
    }
}

pub(super) async fn delete_default(
    Held(api): Held<Api>,
    actor: Actor,
    parameters: Parameters,
) -> Changed {
    remove(&api, actor, None, &parameters).await
}

pub(super) async fn delete(
    Held(api): Held<Api>,
    actor: Actor,
    Path(subject): Path<String>,
    parameters: Parameters,
) -> Changed {
    remove(&api, actor, Subject::scope(&subject), &parameters).await
}

async fn remove(
    api: &Api,
    actor: Actor,
    scope: Option<Subject>,
    parameters: &Parameters,
) -> Changed {
    let recursive = parameters.flag("recursive");
    let mode = api
        .writer
        .submit(actor, move |state, _, _| {
            decide::delete_mode(state, scope.as_ref(), recursive)
        })
        .await?;
    Ok(mode.map(|mode| Json::of(&ModeAnswer::of(*mode))))
}
