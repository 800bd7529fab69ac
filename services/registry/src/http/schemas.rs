//! `/schemas…`: schemas by id and by GUID.

use std::str::FromStr as _;

use axum::extract::{Path, State as Held};
use meshwork_avro::Guid;

use super::answer::{Json, not_found};
use super::parameters::Parameters;
use super::routes::Api;
use super::subjects::with_prefix;
use crate::answers::{ContextIdAnswer, PlaceAnswer, SchemaAnswer, by_id as answer_by_id};
use crate::refusal::Refusal;
use crate::state::{Holder, Holders, IdEntry, State, StateError};
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
struct Found {
    entry: IdEntry,
    /// Only where a subject was asked for.
    holder: Option<Holder>,
}

/// A subject that does not hold the id is no error in the default context: other contexts are
/// tried, then any subject. A qualified one must hold it.
fn find(state: &State<'_>, id: i32, subject: Option<&str>) -> Result<Option<Found>, StateError> {
    let Some(name) = subject else {
        let entry = state.id(DEFAULT_CONTEXT, id)?;
        return Ok(entry.map(|entry| Found {
            entry,
            holder: None,
        }));
    };
    let wanted = state.resolve(name)?;
    let within = |context: &str, wanted: Option<&Subject>| -> Result<Option<Found>, StateError> {
        let Some(holder) = state.last_holder(context, id, wanted)? else {
            return Ok(None);
        };
        let entry = state.id(context, id)?;
        Ok(entry.map(|entry| Found {
            entry,
            holder: Some(holder),
        }))
    };
    if wanted.context() != DEFAULT_CONTEXT {
        // `:.ctx:` names the context and no subject in it.
        let any = wanted.plain().is_empty();
        return within(wanted.context(), (!any).then_some(&wanted));
    }
    if let Some(found) = within(DEFAULT_CONTEXT, Some(&wanted))? {
        return Ok(Some(found));
    }
    for context in state.contexts()? {
        if context == DEFAULT_CONTEXT {
            continue;
        }
        let namesake = Subject::new(&format!(":{context}:{wanted}"));
        if let Some(found) = within(&context, Some(&namesake))? {
            return Ok(Some(found));
        }
    }
    within(DEFAULT_CONTEXT, None)
}

pub(super) async fn by_id(
    Held(api): Held<Api>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let id = id_of(&id)?;
    let subject = parameters.text("subject");
    let max_id = parameters.flag("fetchMaxId");
    let resolved = is_resolved(&parameters);
    if subject.is_none() && !resolved && !max_id {
        return answer_by_id(&api.shared, DEFAULT_CONTEXT, id).map(Json);
    }
    api.shared.read(|state| {
        let found = find(state, id, subject)?.ok_or_else(|| Refusal::schema_not_found(id))?;
        let text = resolved_text(&api, state, &found, resolved)?;
        let version = match &found.holder {
            Some(Holder {
                place: (subject, number),
                ..
            }) => state
                .version(subject, *number)?
                .map(|version| (subject, version)),
            None => None,
        };
        let mut answer = match &version {
            Some((subject, version)) => SchemaAnswer {
                id: None,
                ..SchemaAnswer::of_version(subject, version)
            },
            None => SchemaAnswer::of_id(state, &found.entry)?,
        };
        if let Some(text) = &text {
            answer.schema = Some(text);
        }
        if max_id {
            answer.max_id = Some(state.greatest_id(&found.entry.context)?);
        }
        Ok(Json(answer.to_bytes()))
    })
}

/// Whether the text is asked for with its references inlined.
fn is_resolved(parameters: &Parameters) -> bool {
    parameters.text("format") == Some("resolved")
}

/// The text with its references inlined, if it has any.
fn resolved_text(
    api: &Api,
    state: &State<'_>,
    found: &Found,
    resolved: bool,
) -> Result<Option<String>, Refusal> {
    let content = &found.entry.content;
    if !resolved || content.references.is_empty() {
        return Ok(None);
    }
    let (context, id) = (&found.entry.context, found.entry.id);
    let holder = match &found.holder {
        Some(holder) => Some(holder.clone()),
        None => state.last_holder(context, id, None)?,
    };
    let Some(holder) = holder else {
        return Ok(None);
    };
    let schema = api
        .shared
        .texts
        .of_content(state, &holder.place.0, content)?;
    Ok(Some(schema.resolved_text()))
}

pub(super) async fn text_by_id(
    Held(api): Held<Api>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let id = id_of(&id)?;
    api.shared.read(|state| {
        let found = find(state, id, parameters.text("subject"))?
            .ok_or_else(|| Refusal::schema_not_found(id))?;
        let text = match resolved_text(&api, state, &found, is_resolved(&parameters))? {
            Some(text) => text,
            None => found.entry.content.text.to_string(),
        };
        Ok(Json(text.into()))
    })
}

/// The versions that hold an id, live ones unless all are asked for, in the order of subject and
/// version.
fn places<'s>(
    state: &'s State<'_>,
    id: &str,
    parameters: &Parameters,
) -> Result<Holders<'s>, Refusal> {
    let id = id_of(id).map_err(|refusal| match refusal.code {
        crate::refusal::Code::SchemaNotFound => Refusal::no_such_schema(),
        _ => refusal,
    })?;
    let subject = parameters.text("subject");
    let entry = find(state, id, subject)?
        .ok_or_else(Refusal::no_such_schema)?
        .entry;
    let wanted = match subject {
        Some(name) => Some(state.resolve(name)?).filter(|wanted| !wanted.plain().is_empty()),
        None => None,
    };
    let deleted = parameters.flag("deleted");
    Ok(state.holders(&entry.context, id, deleted, wanted.as_ref()))
}

pub(super) async fn subjects_of_id(
    Held(api): Held<Api>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let page = api.shared.read_apart(move |state| {
        // Those of one subject follow each other.
        let mut last: Option<Subject> = None;
        let subjects = places(state, &id, &parameters)?.filter_map(|holder| {
            let subject = match holder {
                Ok(holder) => holder.place.0,
                Err(error) => return Some(Err(error)),
            };
            (last.as_ref() != Some(&subject)).then(|| {
                last = Some(subject.clone());
                Ok(subject)
            })
        });
        let subjects = parameters.try_page(subjects, MOST)?;
        let subjects: Vec<&str> = subjects.iter().map(Subject::as_str).collect();
        Ok(Json::of(&subjects))
    });
    page.await
}

pub(super) async fn versions_of_id(
    Held(api): Held<Api>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let page = api.shared.read_apart(move |state| {
        let places = parameters.try_page(places(state, &id, &parameters)?, MOST)?;
        let places: Vec<PlaceAnswer<'_>> = places
            .iter()
            .map(|holder| PlaceAnswer {
                subject: holder.place.0.as_str(),
                version: holder.place.1,
            })
            .collect();
        Ok(Json::of(&places))
    });
    page.await
}

/// The ids of a GUID, by context.
fn ids(state: &State<'_>, guid: &str) -> Result<Vec<(String, i32)>, StateError> {
    match Guid::from_str(guid) {
        Ok(guid) => state.ids_of(&guid),
        Err(_) => Ok(Vec::new()),
    }
}

pub(super) async fn by_guid(
    Held(api): Held<Api>,
    Path(guid): Path<String>,
    parameters: Parameters,
) -> Answer {
    let missing = || Refusal::schema_not_found(&guid);
    let first = api.shared.read(|state| {
        let (context, id) = ids(state, &guid)?.into_iter().next().ok_or_else(missing)?;
        let found = Found {
            entry: state.id(&context, id)?.ok_or_else(missing)?,
            holder: None,
        };
        let Some(text) = resolved_text(&api, state, &found, is_resolved(&parameters))? else {
            return Ok(Err((context, id)));
        };
        let mut answer = SchemaAnswer::of_id(state, &found.entry)?;
        answer.schema = Some(&text);
        Ok(Ok(Json(answer.to_bytes())))
    })?;
    match first {
        Ok(answer) => Ok(answer),
        Err((context, id)) => answer_by_id(&api.shared, &context, id).map(Json),
    }
}

pub(super) async fn ids_of_guid(Held(api): Held<Api>, Path(guid): Path<String>) -> Answer {
    let ids = api.shared.read(|state| Ok(ids(state, &guid)?))?;
    let ids: Vec<ContextIdAnswer<'_>> = ids
        .iter()
        .map(|(context, id)| ContextIdAnswer { context, id: *id })
        .collect();
    Ok(Json::of(&ids))
}

/// Versions of subjects of the default context, or of the one that `subjectPrefix` names.
pub(super) async fn list(Held(api): Held<Api>, parameters: Parameters) -> Answer {
    let page = api.shared.read_apart(move |state| {
        let prefix = parameters.text("subjectPrefix").unwrap_or_default();
        let deleted = parameters.flag("deleted");
        let latest_only = parameters.flag("latestOnly");
        let rows = with_prefix(state, prefix).flat_map(|subject| {
            let (subject, versions) = match subject {
                Ok(subject) => subject,
                Err(error) => return vec![Err(error)],
            };
            let mut counting: Vec<_> = versions
                .all()
                .filter(|version| deleted || !version.deleted)
                .map(|version| Ok((subject.clone(), version.clone())))
                .collect();
            if latest_only && counting.len() > 1 {
                counting.drain(..counting.len() - 1);
            }
            counting
        });
        let mut versions = Vec::new();
        for (subject, row) in parameters.try_page(rows, MOST)? {
            let version = state.with_content(&subject, &row)?;
            versions.push((subject, version));
        }
        let answers: Vec<SchemaAnswer<'_>> = versions
            .iter()
            .map(|(subject, version)| SchemaAnswer::of_version(subject, version))
            .collect();
        Ok(Json::of(&answers))
    });
    page.await
}
