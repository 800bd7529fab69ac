//! `/contexts`.

use axum::extract::{Path, State as Held};
use axum::http::StatusCode;

use super::answer::Json;
use super::parameters::Parameters;
use super::routes::Api;
use super::subjects::MOST;
use crate::access::Caller;
use crate::actor::Actor;
use crate::decide;
use crate::refusal::Refusal;
use crate::subject::Subject;
use crate::writer::Written;

pub(super) async fn list(
    Held(api): Held<Api>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Json, Refusal> {
    let prefix = parameters.text("contextPrefix").unwrap_or_default();
    let names = api.shared.read(|state| Ok(state.contexts()?))?;
    let names = names
        .iter()
        .filter(|name| name.starts_with(prefix) && caller.reads_in(name));
    Ok(Json::of(&parameters.page(names, MOST)))
}

/// The path names it as `:.ctx:`, however it was written.
pub(super) async fn delete(
    Held(api): Held<Api>,
    actor: Actor,
    Path(context): Path<String>,
) -> Result<Written<StatusCode>, Refusal> {
    let context = Subject::new(&context);
    let written = api
        .writer
        .submit(actor, move |state, _, _| {
            decide::delete_context(state, &context)
        })
        .await?;
    Ok(written.map(|_| StatusCode::NO_CONTENT))
}
