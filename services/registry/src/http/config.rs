//! `/config`.

use axum::body::Body;
use axum::extract::{Path, State as Held};
use axum::http::HeaderMap;

use super::answer::{Changed, Json};
use super::body::read;
use super::parameters::Parameters;
use super::routes::Api;
use crate::actor::Actor;
use crate::decide::{self, SettingsChange};
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
    let settings = api
        .shared
        .read(|state| decide::read_settings(state, scope, or_what_holds))?;
    Ok(Json::of(&settings))
}

pub(super) async fn put_default(
    Held(api): Held<Api>,
    actor: Actor,
    headers: HeaderMap,
    body: Body,
) -> Changed {
    change(&api, actor, None, &headers, body).await
}

pub(super) async fn put(
    Held(api): Held<Api>,
    actor: Actor,
    Path(subject): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Changed {
    change(&api, actor, Subject::scope(&subject), &headers, body).await
}

async fn change(
    api: &Api,
    actor: Actor,
    scope: Option<Subject>,
    headers: &HeaderMap,
    body: Body,
) -> Changed {
    let change: SettingsChange =
        read(headers, body, api.shared.config.max_body_bytes.as_usize()).await?;
    let settings = api
        .writer
        .submit(actor, move |state, _, _| {
            decide::put_settings(state, scope.as_ref(), change.clone())
        })
        .await?;
    Ok(settings.map(Json::of))
}

pub(super) async fn delete_default(Held(api): Held<Api>, actor: Actor) -> Changed {
    remove(&api, actor, None).await
}

pub(super) async fn delete(
    Held(api): Held<Api>,
    actor: Actor,
    Path(subject): Path<String>,
) -> Changed {
    remove(&api, actor, Subject::scope(&subject)).await
}

async fn remove(api: &Api, actor: Actor, scope: Option<Subject>) -> Changed {
    let settings = api
        .writer
        .submit(actor, move |state, _, _| {
            decide::delete_settings(state, scope.as_ref())
        })
        .await?;
    Ok(settings.map(Json::of))
}
