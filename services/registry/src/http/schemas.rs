//! `/schemas…`: schemas by id and by GUID.

use std::collections::BTreeSet;
use std::str::FromStr as _;

use axum::extract::{Path, State as Held};
use meshwork_avro::Guid;

use super::answer::{Json, not_found};
use super::parameters::Parameters;
use super::routes::Api;
use crate::answers::{ContextIdAnswer, PlaceAnswer, SchemaAnswer, by_id as answer_by_id};
use crate::refusal::Refusal;
use crate::state::{IdEntry, State, Version};
use crate::subject::{DEFAULT_CONTEXT, Subject};

/// Most items of one list.
pub(super) const MOST: usize = 1_000;

type Answer = Result<Json, Refusal>;

pub(super) async fn types() -> Json {
    Json::of(&["AVRO"])
}

/// An id as it stands in a path. What is no number is an unknown path, as with JAX-RS.
fn id_of(text: &str) -> Result<i32, Refusal> {
    let id: i32 = text.parse().map_err(|_| not_found())?;
    if id < 1 {
        return Err(Refusal::schema_not_found(id));
    }
    Ok(id)
}

/// Where an id was found.
struct Found<'a> {
    context: &'a str,
    entry: &'a IdEntry,
    /// Only where a subject was asked for.
    place: Option<(&'a Subject, i32, &'a Version)>,
}

fn holder<'a>(
    state: &'a State,
    entry: &'a IdEntry,
    subject: Option<&Subject>,
) -> Option<(&'a Subject, i32, &'a Version)> {
    let all = || {
        entry
            .holders
            .iter()
            .filter(|(name, _)| subject.is_none_or(|subject| name == subject))
            .filter_map(|(name, number)| Some((name, *number, state.version(name, *number)?)))
    };
    all()
        .rfind(|(_, _, version)| !version.deleted)
        .or_else(|| all().next_back())
}

/// A subject that does not hold the id is no error in the default context: other contexts are
/// tried, then any subject. A qualified one must hold it.
fn find<'a>(state: &'a State, id: i32, subject: Option<&str>) -> Option<Found<'a>> {
    let Some(name) = subject else {
        return Some(Found {
            context: DEFAULT_CONTEXT,
            entry: state.id(DEFAULT_CONTEXT, id)?,
            place: None,
        });
    };
    let wanted = state.resolve(name);
    let within = |context: &'a str, wanted: Option<&Subject>| {
        let entry = state.id(context, id)?;
        Some(Found {
            context,
            entry,
            place: Some(holder(state, entry, wanted)?),
        })
    };
    if wanted.context() != DEFAULT_CONTEXT {
        let context = state.contexts().find(|name| *name == wanted.context())?;
        // `:.ctx:` names the context and no subject in it.
        let wanted = Some(&wanted).filter(|wanted| !wanted.plain().is_empty());
        return within(context, wanted);
    }
    within(DEFAULT_CONTEXT, Some(&wanted))
        .or_else(|| {
            state
                .contexts()
                .filter(|context| *context != DEFAULT_CONTEXT)
                .find_map(|context| {
                    let namesake = Subject::new(&format!(":{context}:{wanted}"));
                    within(context, Some(&namesake))
                })
        })
        .or_else(|| within(DEFAULT_CONTEXT, None))
}

pub(super) async fn by_id(
    Held(api): Held<Api>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let id = id_of(&id)?;
    let state = api.shared.state.read();
    let subject = parameters.text("subject");
    let found = find(&state, id, subject).ok_or_else(|| Refusal::schema_not_found(id))?;
    let resolved = resolved_text(&api, &state, &found, &parameters)?;
    let max_id = parameters.flag("fetchMaxId");
    if subject.is_none() && resolved.is_none() && !max_id {
        return Ok(Json(answer_by_id(&state, found.entry)));
    }
    let mut answer = SchemaAnswer::of_id(&state, found.entry);
    if let Some((subject, number, version)) = found.place {
        answer = SchemaAnswer {
            id: None,
            ..SchemaAnswer::of_version(subject, number, version)
        };
    }
    if let Some(text) = &resolved {
        answer.schema = Some(text);
    }
    answer.max_id = max_id.then(|| state.greatest_id(found.context));
    Ok(Json(answer.to_bytes()))
}

/// The text with its references inlined, where `format=resolved` asks for it.
fn resolved_text(
    api: &Api,
    state: &State,
    found: &Found<'_>,
    parameters: &Parameters,
) -> Result<Option<String>, Refusal> {
    if parameters.text("format") != Some("resolved") || found.entry.content.references.is_empty() {
        return Ok(None);
    }
    let place = found.place.or_else(|| holder(state, found.entry, None));
    let Some((subject, _, version)) = place else {
        return Ok(None);
    };
    let schema = api
        .shared
        .texts
        .stored(state, subject, version.id, &version.content)?;
    Ok(Some(schema.resolved_text()))
}

pub(super) async fn text_by_id(
    Held(api): Held<Api>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let id = id_of(&id)?;
    let state = api.shared.state.read();
    let found = find(&state, id, parameters.text("subject"))
        .ok_or_else(|| Refusal::schema_not_found(id))?;
    let text = match resolved_text(&api, &state, &found, &parameters)? {
        Some(text) => text,
        None => found.entry.content.text.to_string(),
    };
    Ok(Json(text.into()))
}

/// The versions that hold an id, live ones unless all are asked for.
fn places<'a>(
    state: &'a State,
    id: &str,
    parameters: &Parameters,
) -> Result<Vec<PlaceAnswer<'a>>, Refusal> {
    let id = id_of(id).map_err(|refusal| match refusal.code {
        crate::refusal::Code::SchemaNotFound => Refusal::no_such_schema(),
        _ => refusal,
    })?;
    let subject = parameters.text("subject");
    let entry = find(state, id, subject)
        .ok_or_else(Refusal::no_such_schema)?
        .entry;
    let wanted = subject.map(|name| state.resolve(name));
    let deleted = parameters.flag("deleted");
    Ok(entry
        .holders
        .iter()
        .filter(|(name, _)| {
            wanted
                .as_ref()
                .is_none_or(|wanted| wanted.plain().is_empty() || name == wanted)
        })
        .filter(|(name, number)| {
            deleted
                || state
                    .version(name, *number)
                    .is_some_and(|version| !version.deleted)
        })
        .map(|(name, number)| PlaceAnswer {
            subject: name.as_str(),
            version: *number,
        })
        .collect())
}

pub(super) async fn subjects_of_id(
    Held(api): Held<Api>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let state = api.shared.state.read();
    let subjects: BTreeSet<&str> = places(&state, &id, &parameters)?
        .into_iter()
        .map(|place| place.subject)
        .collect();
    Ok(Json::of(&parameters.page(subjects.into_iter(), MOST)))
}

pub(super) async fn versions_of_id(
    Held(api): Held<Api>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let state = api.shared.state.read();
    let places = places(&state, &id, &parameters)?;
    Ok(Json::of(&parameters.page(places.into_iter(), MOST)))
}

/// The ids of a GUID, by context.
fn ids<'a>(state: &'a State, guid: &str) -> Vec<ContextIdAnswer<'a>> {
    let Ok(guid) = Guid::from_str(guid) else {
        return Vec::new();
    };
    state
        .contexts()
        .filter_map(|context| {
            let id = state.context(context)?.id_of(&guid)?;
            Some(ContextIdAnswer { context, id })
        })
        .collect()
}

pub(super) async fn by_guid(
    Held(api): Held<Api>,
    Path(guid): Path<String>,
    parameters: Parameters,
) -> Answer {
    let state = api.shared.state.read();
    let missing = || Refusal::schema_not_found(&guid);
    let first = ids(&state, &guid).into_iter().next().ok_or_else(missing)?;
    let found = Found {
        context: first.context,
        entry: state.id(first.context, first.id).ok_or_else(missing)?,
        place: None,
    };
    let resolved = resolved_text(&api, &state, &found, &parameters)?;
    let Some(text) = resolved else {
        return Ok(Json(answer_by_id(&state, found.entry)));
    };
    let mut answer = SchemaAnswer::of_id(&state, found.entry);
    answer.schema = Some(&text);
    Ok(Json(answer.to_bytes()))
}

pub(super) async fn ids_of_guid(Held(api): Held<Api>, Path(guid): Path<String>) -> Json {
    Json::of(&ids(&api.shared.state.read(), &guid))
}

/// Versions of subjects of the default context, or of the one that `subjectPrefix` names.
pub(super) async fn list(Held(api): Held<Api>, parameters: Parameters) -> Json {
    let state = api.shared.state.read();
    let prefix = parameters.text("subjectPrefix").unwrap_or_default();
    let deleted = parameters.flag("deleted");
    let latest_only = parameters.flag("latestOnly");
    let versions = state
        .subjects()
        .filter(|(subject, _)| super::subjects::has_prefix(subject, prefix))
        .flat_map(|(subject, versions)| {
            let mut counting: Vec<_> = versions
                .all()
                .filter(|(_, version)| deleted || !version.deleted)
                .map(|(number, version)| SchemaAnswer::of_version(subject, number, version))
                .collect();
            if latest_only && counting.len() > 1 {
                counting.drain(..counting.len() - 1);
            }
            counting
        });
    Json::of(&parameters.page(versions, MOST))
}
