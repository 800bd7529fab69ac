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
use crate::answers::ModeAnswer;
use crate::decide::{self, SettingsChange};
use crate::refusal::{Code, Refusal};
use crate::subject::Subject;

type Answer = Result<Json, Refusal>;

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

pub(super) async fn put_global(Held(api): Held<Api>, headers: HeaderMap, body: Body) -> Answer {
    put(&api, None, &headers, body).await
}

pub(super) async fn put_subject(
    Held(api): Held<Api>,
    Path(subject): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    put(&api, Some(Subject::new(&subject)), &headers, body).await
}

async fn put(api: &Api, scope: Option<Subject>, headers: &HeaderMap, body: Body) -> Answer {
    let change: SettingsChange =
        read(headers, body, api.shared.config.max_body_bytes.as_usize()).await?;
    let settings = api
        .writer
        .submit(move |state, _, _| decide::put_settings(state, scope.as_ref(), change.clone()))
        .await?;
    Ok(Json::of(&settings))
}

pub(super) async fn delete_global(Held(api): Held<Api>) -> Answer {
    delete(&api, None).await
}

pub(super) async fn delete_subject(Held(api): Held<Api>, Path(subject): Path<String>) -> Answer {
    delete(&api, Some(Subject::new(&subject))).await
}

async fn delete(api: &Api, scope: Option<Subject>) -> Answer {
    let settings = api
        .writer
        .submit(move |state, _, _| decide::delete_settings(state, scope.as_ref()))
        .await?;
    Ok(Json::of(&settings))
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

pub(super) async fn server_version() -> Json {
    Json::of(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "commitId": "",
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
