//! `/config…`, `/mode…`, `/contexts` and what the server says of itself.

use axum::body::Body;
use axum::extract::{Path, State as Held};
use axum::http::HeaderMap;
use serde_json::json;

use super::answer::Json;
use super::body::read;
use super::parameters::Parameters;
use super::routes::Api;
use super::schemas::MOST;
use crate::actor::Actor;
use crate::answers::ModeAnswer;
use crate::decide::{self, SettingsChange};
use crate::refusal::{Code, Refusal};
use crate::subject::Subject;
use crate::writer::Written;

type Answer = Result<Json, Refusal>;

type Changed = Result<Written<Json>, Refusal>;

pub(super) async fn global(Held(api): Held<Api>) -> Answer {
    let settings = api.shared.read(|state| Ok(state.global_settings()?))?;
    Ok(Json::of(&settings))
}

pub(super) async fn of_subject(
    Held(api): Held<Api>,
    Path(subject): Path<String>,
    parameters: Parameters,
) -> Answer {
    let subject = Subject::new(&subject);
    let or_what_holds = parameters.flag("defaultToGlobal");
    let settings = api
        .shared
        .read(|state| decide::read_settings(state, Some(&subject), or_what_holds))?;
    Ok(Json::of(&settings))
}

pub(super) async fn put_global(
    Held(api): Held<Api>,
    actor: Actor,
    headers: HeaderMap,
    body: Body,
) -> Changed {
    put(&api, actor, None, &headers, body).await
}

pub(super) async fn put_subject(
    Held(api): Held<Api>,
    actor: Actor,
    Path(subject): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Changed {
    put(&api, actor, Some(Subject::new(&subject)), &headers, body).await
}

async fn put(
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

pub(super) async fn delete_global(Held(api): Held<Api>, actor: Actor) -> Changed {
    delete(&api, actor, None).await
}

pub(super) async fn delete_subject(
    Held(api): Held<Api>,
    actor: Actor,
    Path(subject): Path<String>,
) -> Changed {
    delete(&api, actor, Some(Subject::new(&subject))).await
}

async fn delete(api: &Api, actor: Actor, scope: Option<Subject>) -> Changed {
    let settings = api
        .writer
        .submit(actor, move |state, _, _| {
            decide::delete_settings(state, scope.as_ref())
        })
        .await?;
    Ok(settings.map(Json::of))
}

pub(super) async fn global_mode(Held(api): Held<Api>) -> Answer {
    let mode = api.shared.read(|state| Ok(state.own_mode(None)?))?;
    Ok(Json::of(&ModeAnswer {
        mode: mode.unwrap_or_default().to_string(),
    }))
}

pub(super) async fn mode(
    Held(api): Held<Api>,
    Path(subject): Path<String>,
    parameters: Parameters,
) -> Answer {
    let subject = Subject::new(&subject);
    let mode = api.shared.read(|state| {
        Ok(if parameters.flag("defaultToGlobal") {
            Some(state.mode_of(&subject)?)
        } else {
            state.own_mode(Some(&subject))?
        })
    })?;
    let mode = mode.ok_or_else(|| {
        Refusal::new(
            Code::NoSubjectMode,
            format!("Subject '{subject}' does not have subject-level mode configured"),
        )
    })?;
    Ok(Json::of(&ModeAnswer {
        mode: mode.to_string(),
    }))
}

pub(super) async fn contexts(Held(api): Held<Api>, parameters: Parameters) -> Answer {
    let prefix = parameters.text("contextPrefix").unwrap_or_default();
    let names = api.shared.read(|state| Ok(state.contexts()?))?;
    let names = names.iter().filter(|name| name.starts_with(prefix));
    Ok(Json::of(&parameters.page(names, MOST)))
}

pub(super) async fn root() -> Json {
    Json(bytes::Bytes::from_static(b"{}"))
}

pub(super) async fn cluster_id(Held(api): Held<Api>) -> Json {
    let kafka = api.shared.cluster_id.get().map_or("", String::as_str);
    Json::of(&json!({
        "scope": {
            "path": [],
            "clusters": {
                "kafka-cluster": kafka,
                "schema-registry-cluster": "schema-registry",
            },
        },
    }))
}

/// As Confluent's; and who we are, and whether registrations are told of, so that who announces a
/// product need not do it again.
pub(super) async fn server_version(Held(api): Held<Api>) -> Json {
    Json::of(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "commitId": "",
        "product": "meshwork",
        "announcesChanges": api.shared.config.announce_changes,
    }))
}

/// Marks of the deployment: this one has none.
pub(super) async fn deployment() -> Json {
    Json(bytes::Bytes::from_static(br#"{"attributes":[]}"#))
}

/// The newest serializers of all languages ask this first, and go on where there is none.
pub(super) async fn associations() -> Json {
    Json(bytes::Bytes::from_static(b"[]"))
}
