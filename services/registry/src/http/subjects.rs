//! `/subjects…`: versions of subjects.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::extract::{Path, State as Held};
use axum::http::HeaderMap;
use axum::response::{IntoResponse as _, Response};

use super::answer::{Json, refuse};
use super::body::read;
use super::parameters::Parameters;
use super::routes::Api;
use crate::actor::Actor;
use crate::answers::SchemaAnswer;
use crate::decide::{self, Draft, Normal, Terms, VersionId};
use crate::refusal::{Code, Refusal};
use crate::state::{State, StateError, SubjectState};
use crate::subject::Subject;
use crate::writer::Written;

type Answer = Result<Json, Refusal>;

type Changed = Result<Written<Json>, Refusal>;

/// Most subjects or versions of one answer.
const MOST: usize = 1_000_000;

/// Whether a subject is listed under a prefix: `:*:` is all contexts, a plain prefix is within the
/// default one.
pub(super) fn has_prefix(subject: &Subject, prefix: &str) -> bool {
    if let Some(plain) = prefix.strip_prefix(":*:") {
        return subject.plain().starts_with(plain);
    }
    let prefix = Subject::new(prefix);
    subject.context() == prefix.context() && subject.plain().starts_with(prefix.plain())
}

/// Whether something is listed: live, or soft-deleted as asked for.
fn listed(deleted: bool, parameters: &Parameters) -> bool {
    if parameters.flag("deletedOnly") {
        deleted
    } else {
        !deleted || parameters.flag("deleted")
    }
}

/// The subjects under a prefix, in the order of their full names.
pub(super) fn with_prefix<'s>(
    state: &'s State<'_>,
    prefix: &'s str,
) -> impl Iterator<Item = Result<(Subject, SubjectState), StateError>> + 's {
    let begins = match prefix.strip_prefix(":*:") {
        Some(_) => Subject::new(""),
        None => Subject::new(prefix),
    };
    state.subjects(begins.as_str()).filter(move |subject| {
        subject
            .as_ref()
            .map_or(true, |(subject, _)| has_prefix(subject, prefix))
    })
}

pub(super) async fn list(Held(api): Held<Api>, parameters: Parameters) -> Answer {
    let page = api.shared.read_apart(move |state| {
        let prefix = parameters.text("subjectPrefix").unwrap_or(":*:");
        let names = with_prefix(state, prefix).filter_map(|subject| match subject {
            Ok((_, versions)) if !listed(versions.latest().is_none(), &parameters) => None,
            subject => Some(subject.map(|(subject, _)| subject)),
        });
        let names = parameters.try_page(names, MOST)?;
        let names: Vec<&str> = names.iter().map(Subject::as_str).collect();
        Ok(Json::of(&names))
    });
    page.await
}

pub(super) fn normal(parameters: &Parameters) -> Normal {
    if parameters.flag("normalize") {
        Normal::Normalized
    } else {
        Normal::AsWritten
    }
}

pub(super) async fn register(
    Held(api): Held<Api>,
    actor: Actor,
    Path(subject): Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let config = &api.shared.config;
    let draft: Draft = read(&headers, body, config.max_body_bytes.as_usize()).await?;
    let terms = Terms {
        normal: normal(&parameters),
        force: parameters.flag("force"),
        ids_taken: 0,
        max_record_bytes: config.max_record_bytes,
    };
    let registration = api
        .writer
        .submit_unless_there(actor, move |state, texts, taken| {
            let subject = state.resolve(&subject)?;
            let terms = Terms {
                ids_taken: taken.of(subject.context()),
                ..terms
            };
            decide::register(state, texts, &subject, &draft, &terms)
        })
        .await;
    Ok(match registration {
        Ok(written) => written
            .map(|registration| Json(SchemaAnswer::of_registration(registration).to_bytes()))
            .into_response(),
        Err(refusal) if refusal.code == Code::Incompatible => {
            refuse(config.incompatible_error_code, &refusal)
        }
        Err(refusal) => refusal.into_response(),
    })
}

pub(super) async fn look_up(
    Held(api): Held<Api>,
    Path(subject): Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let draft: Draft = read(&headers, body, api.shared.config.max_body_bytes.as_usize()).await?;
    let (name, _, version) = api.shared.read(|state| {
        decide::look_up(
            state,
            &api.shared.texts,
            &state.resolve(&subject)?,
            &draft,
            normal(&parameters),
            parameters.flag("deleted"),
        )
    })?;
    Ok(Json(SchemaAnswer::of_version(&name, &version).to_bytes()))
}

pub(super) async fn delete(
    Held(api): Held<Api>,
    actor: Actor,
    Path(subject): Path<String>,
    parameters: Parameters,
) -> Changed {
    let permanent = parameters.flag("permanent");
    let versions = api
        .writer
        .submit(actor, move |state, _, _| {
            decide::delete_subject(state, &state.resolve(&subject)?, permanent)
        })
        .await?;
    Ok(versions.map(Json::of))
}

fn known(
    state: &State<'_>,
    subject: &Subject,
    parameters: &Parameters,
) -> Result<SubjectState, Refusal> {
    state
        .subject(subject)?
        .filter(|versions| {
            versions.latest().is_some()
                || parameters.flag("deleted")
                || parameters.flag("deletedOnly")
                || parameters.flag("deletedAsNegative")
        })
        .ok_or_else(|| Refusal::subject_not_found(subject))
}

pub(super) async fn versions(
    Held(api): Held<Api>,
    Path(subject): Path<String>,
    parameters: Parameters,
) -> Answer {
    let versions = api
        .shared
        .read(|state| known(state, &state.resolve(&subject)?, &parameters))?;
    let negative = parameters.flag("deletedAsNegative");
    let numbers = versions
        .all()
        .filter(|version| negative || listed(version.deleted, &parameters))
        .map(|version| {
            if negative && version.deleted {
                -version.number
            } else {
                version.number
            }
        });
    Ok(Json::of(&parameters.page(numbers, MOST)))
}

pub(super) async fn version(
    Held(api): Held<Api>,
    Path((subject, version)): Path<(String, String)>,
    parameters: Parameters,
) -> Answer {
    let wanted: VersionId = version.parse()?;
    api.shared.read(|state| {
        let subject = state.resolve(&subject)?;
        let (name, _, version) =
            decide::find_version(state, &subject, wanted, parameters.flag("deleted"))?;
        let mut answer = SchemaAnswer::of_version(&name, &version);
        let resolved = if parameters.text("format") == Some("resolved") {
            let texts = &api.shared.texts;
            Some(
                texts
                    .of_content(state, &name, &version.content)?
                    .resolved_text(),
            )
        } else {
            None
        };
        if let Some(text) = &resolved {
            answer.schema = Some(text);
        }
        Ok(Json(answer.to_bytes()))
    })
}

pub(super) async fn version_text(
    Held(api): Held<Api>,
    Path((subject, version)): Path<(String, String)>,
    parameters: Parameters,
) -> Answer {
    let wanted: VersionId = version.parse()?;
    let (_, _, version) = api.shared.read(|state| {
        let subject = state.resolve(&subject)?;
        decide::find_version(state, &subject, wanted, parameters.flag("deleted"))
    })?;
    Ok(Json(version.content.text.to_string().into()))
}

pub(super) async fn delete_version(
    Held(api): Held<Api>,
    actor: Actor,
    Path((subject, version)): Path<(String, String)>,
    parameters: Parameters,
) -> Changed {
    let wanted: VersionId = version.parse()?;
    let permanent = parameters.flag("permanent");
    let number = api
        .writer
        .submit(actor, move |state, _, _| {
            decide::delete_version(state, &state.resolve(&subject)?, wanted, permanent)
        })
        .await?;
    Ok(number.map(Json::of))
}

pub(super) async fn referenced_by(
    Held(api): Held<Api>,
    Path((subject, version)): Path<(String, String)>,
    parameters: Parameters,
) -> Answer {
    let wanted: VersionId = version.parse()?;
    let page = api.shared.read_apart(move |state| {
        let subject = state.resolve(&subject)?;
        let deleted = parameters.flag("deleted");
        let (name, number, _) = decide::find_version(state, &subject, wanted, deleted)?;
        let mut ids: BTreeSet<i32> = BTreeSet::new();
        for referrer in state.referrers(&(name, number)) {
            let (subject, number) = referrer?;
            ids.extend(
                state
                    .version_row(&subject, number)?
                    .filter(|referrer| deleted || !referrer.deleted)
                    .map(|referrer| referrer.id),
            );
        }
        Ok(Json::of(&parameters.page(ids.into_iter(), MOST)))
    });
    page.await
}

/// The newest live version whose metadata has the asked-for properties, given as `key=…&value=…`.
pub(super) async fn by_metadata(
    Held(api): Held<Api>,
    Path(subject): Path<String>,
    parameters: Parameters,
) -> Answer {
    api.shared.read(|state| {
        let subject = state.resolve(&subject)?;
        let wanted = parameters.pairs("key", "value");
        let deleted = parameters.flag("deleted");
        let versions = known(state, &subject, &parameters)?;
        for version in versions.all().rev() {
            if version.deleted && !deleted {
                continue;
            }
            let version = state.with_content(&subject, version)?;
            let metadata = version.content.metadata.as_ref();
            let has = wanted.iter().all(|(key, value)| {
                metadata.is_some_and(|m| m.properties.get(*key).is_some_and(|v| v == value))
            });
            if has {
                return Ok(Json(
                    SchemaAnswer::of_version(&subject, &version).to_bytes(),
                ));
            }
        }
        Err(Refusal::no_such_schema())
    })
}
