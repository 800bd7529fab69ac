//! `/schemas/ids…` and `/schemas/guids…`.

use std::str::FromStr as _;

use axum::extract::{Path, State as Held};
use meshwork_avro::Guid;

use super::answer::{Json, not_found};
use super::parameters::Parameters;
use super::routes::Api;
use super::subjects::MOST;
use super::view::{Shown, View};
use crate::access::Caller;
use crate::answers::{ContextIdAnswer, PlaceAnswer, SchemaAnswer, by_id as answer_by_id};
use crate::refusal::{Code, Refusal};
use crate::shared::Shared;
use crate::state::{Holder, Holders, IdEntry, State, StateError};
use crate::subject::{DEFAULT_CONTEXT, Subject};

type Answer = Result<Json, Refusal>;

/// An id that no more versions hold has them listed at once; with more, a thread of its own does.
const FEW_HOLDERS: u64 = 64;

/// Most subjects that are told beside a schema.
const MOST_WITH_SCHEMA: usize = 1_000;

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
    // `:.ctx:` names the context and no subject in it.
    if wanted.is_context() {
        return within(wanted.context(), None);
    }
    if let Some(found) = within(wanted.context(), Some(&wanted))? {
        return Ok(Some(found));
    }
    if wanted.context() != DEFAULT_CONTEXT {
        return Ok(None);
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

/// What was found as it is to be shown, from where a version that holds it stands.
fn show(shared: &Shared, state: &State<'_>, found: &Found, view: &View) -> Result<Shown, Refusal> {
    if view.is_plain() {
        return Ok(Shown::default());
    }
    let IdEntry {
        context,
        id,
        content,
        ..
    } = &found.entry;
    let holder = match &found.holder {
        Some(holder) => Some(holder.clone()),
        None => state.last_holder(context, *id, None)?,
    };
    match holder {
        Some(holder) => view.show(shared, state, &holder.place.0, content),
        None => Ok(Shown::default()),
    }
}

/// That the caller may read a schema: a subject that holds it, soft-deleted or not. Not any schema
/// for whoever may read something: a text is as much a secret by its id as by its name, and ids are
/// easily counted through. Whoever reads a topic may read its subject, which holds the ids in its
/// records. A holder that may be read takes the place of one that may not.
fn readable(
    state: &State<'_>,
    caller: &Caller,
    mut found: Found,
    id: i32,
) -> Result<Found, Refusal> {
    if caller.reads_everything() {
        return Ok(found);
    }
    let context = &found.entry.context;
    for prefix in caller.readable(context) {
        let Some(holder) = state.holder_under(context, id, &prefix)? else {
            continue;
        };
        let shown = found.holder.as_ref();
        if shown.is_some_and(|shown| !caller.reads(&shown.place.0)) {
            found.holder = Some(holder);
        }
        return Ok(found);
    }
    Err(caller.denied_id(id))
}

pub(super) async fn by_id(
    Held(api): Held<Api>,
    caller: Caller,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let id = id_of(&id)?;
    let subject = parameters.text("subject");
    let max_id = parameters.flag("fetchMaxId");
    // Karapace's.
    let with_subjects = parameters.flag("includeSubjects");
    let view = View::of(&parameters);
    if subject.is_none()
        && !max_id
        && !with_subjects
        && view.is_plain()
        && caller.reads_everything()
    {
        return answer_by_id(&api.shared, DEFAULT_CONTEXT, id).map(Json);
    }
    api.shared.read(|state| {
        let found = find(state, id, subject)?.ok_or_else(|| Refusal::schema_not_found(id))?;
        let found = readable(state, &caller, found, id)?;
        let shown = show(&api.shared, state, &found, &view)?;
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
        if max_id {
            answer.max_id = Some(state.greatest_id(&found.entry.context)?);
        }
        let subjects: Option<Vec<String>> = match with_subjects {
            true => Some(
                subjects(readable_holders(state, &caller, &found.entry, false))
                    .take(MOST_WITH_SCHEMA)
                    .map(|subject| subject.map(|subject| subject.as_str().to_owned()))
                    .collect::<Result<_, _>>()?,
            ),
            false => None,
        };
        answer.subjects = subjects.as_deref();
        Ok(Json(shown.over(answer).to_bytes()))
    })
}

pub(super) async fn text_by_id(
    Held(api): Held<Api>,
    caller: Caller,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    let id = id_of(&id)?;
    let view = View::of_text(&parameters);
    api.shared.read(|state| {
        let found = find(state, id, parameters.text("subject"))?
            .ok_or_else(|| Refusal::schema_not_found(id))?;
        let found = readable(state, &caller, found, id)?;
        let shown = show(&api.shared, state, &found, &view)?.into_text();
        let text = shown.unwrap_or_else(|| found.entry.content.text.to_string());
        Ok(Json(text.into()))
    })
}

/// The id in the context where it is found. The subject that is asked for only says where to look:
/// so it is in Confluent's registry, and whether it holds the id is whether it is among the holders.
fn held(
    state: &State<'_>,
    caller: &Caller,
    id: &str,
    parameters: &Parameters,
) -> Result<IdEntry, Refusal> {
    let id = id_of(id).map_err(|refusal| match refusal.code {
        Code::SchemaNotFound => Refusal::no_such_schema(),
        _ => refusal,
    })?;
    let found = find(state, id, parameters.text("subject"))?.ok_or_else(Refusal::no_such_schema)?;
    Ok(readable(state, caller, found, id)?.entry)
}

/// Lists the versions that hold an id, live ones unless all are asked for, in the order of subject
/// and version.
async fn list_holders(
    api: Api,
    caller: Caller,
    id: String,
    parameters: Parameters,
    list: fn(&Parameters, Holders<'_>) -> Result<Json, StateError>,
) -> Answer {
    let deleted = parameters.flag("deleted");
    let at_once = api.shared.read(|state| {
        let entry = held(state, &caller, &id, &parameters)?;
        let count = entry
            .live
            .saturating_add(if deleted { entry.deleted } else { 0 });
        if count > FEW_HOLDERS {
            return Ok(None);
        }
        let holders = readable_holders(state, &caller, &entry, deleted);
        Ok(Some(list(&parameters, holders)?))
    })?;
    if let Some(answer) = at_once {
        return Ok(answer);
    }
    let page = api.shared.read_apart(move |state| {
        let entry = held(state, &caller, &id, &parameters)?;
        let holders = readable_holders(state, &caller, &entry, deleted);
        Ok(list(&parameters, holders)?)
    });
    page.await
}

/// The versions that hold an id, of subjects that the caller may read.
fn readable_holders<'s>(
    state: &'s State<'_>,
    caller: &'s Caller,
    entry: &IdEntry,
    deleted: bool,
) -> Holders<'s> {
    let holders = state.holders(&entry.context, entry.id, deleted, None);
    if caller.reads_everything() {
        return holders;
    }
    Box::new(holders.filter(|holder| {
        holder
            .as_ref()
            .map_or(true, |holder| caller.reads(&holder.place.0))
    }))
}

/// The subjects of holders, each once.
fn subjects(holders: Holders<'_>) -> impl Iterator<Item = Result<Subject, StateError>> {
    // Those of one subject follow each other.
    let mut last: Option<Subject> = None;
    holders.filter_map(move |holder| {
        let subject = match holder {
            Ok(holder) => holder.place.0,
            Err(error) => return Some(Err(error)),
        };
        (last.as_ref() != Some(&subject)).then(|| {
            last = Some(subject.clone());
            Ok(subject)
        })
    })
}

pub(super) async fn subjects_of_id(
    Held(api): Held<Api>,
    caller: Caller,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    list_holders(api, caller, id, parameters, |parameters, holders| {
        let subjects = parameters.try_page(subjects(holders), MOST)?;
        let subjects: Vec<&str> = subjects.iter().map(Subject::as_str).collect();
        Ok(Json::of(&subjects))
    })
    .await
}

pub(super) async fn versions_of_id(
    Held(api): Held<Api>,
    caller: Caller,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Answer {
    list_holders(api, caller, id, parameters, |parameters, holders| {
        let holders = parameters.try_page(holders, MOST)?;
        let places: Vec<PlaceAnswer<'_>> = holders
            .iter()
            .map(|holder| PlaceAnswer {
                subject: holder.place.0.as_str(),
                version: holder.place.1,
            })
            .collect();
        Ok(Json::of(&places))
    })
    .await
}

/// The ids of a GUID that the caller may read, by context.
fn ids(state: &State<'_>, caller: &Caller, guid: &str) -> Result<Vec<(String, i32)>, StateError> {
    let Ok(guid) = Guid::from_str(guid) else {
        return Ok(Vec::new());
    };
    let all = state.ids_of(&guid)?;
    if caller.reads_everything() {
        return Ok(all);
    }
    let mut readable = Vec::new();
    for (context, id) in all {
        for prefix in caller.readable(&context) {
            if state.holder_under(&context, id, &prefix)?.is_some() {
                readable.push((context, id));
                break;
            }
        }
    }
    Ok(readable)
}

pub(super) async fn by_guid(
    Held(api): Held<Api>,
    caller: Caller,
    Path(guid): Path<String>,
    parameters: Parameters,
) -> Answer {
    let missing = || Refusal::schema_not_found(&guid);
    let view = View::of_text(&parameters);
    let first = api.shared.read(|state| {
        let (context, id) = ids(state, &caller, &guid)?
            .into_iter()
            .next()
            .ok_or_else(missing)?;
        if view.is_plain() {
            return Ok(Err((context, id)));
        }
        let found = Found {
            entry: state.id(&context, id)?.ok_or_else(missing)?,
            holder: None,
        };
        let shown = show(&api.shared, state, &found, &view)?;
        let answer = SchemaAnswer::of_id(state, &found.entry)?;
        Ok(Ok(Json(shown.over(answer).to_bytes())))
    })?;
    match first {
        Ok(answer) => Ok(answer),
        Err((context, id)) => answer_by_id(&api.shared, &context, id).map(Json),
    }
}

pub(super) async fn ids_of_guid(
    Held(api): Held<Api>,
    caller: Caller,
    Path(guid): Path<String>,
) -> Answer {
    let ids = api.shared.read(|state| Ok(ids(state, &caller, &guid)?))?;
    let ids: Vec<ContextIdAnswer<'_>> = ids
        .iter()
        .map(|(context, id)| ContextIdAnswer { context, id: *id })
        .collect();
    Ok(Json::of(&ids))
}
