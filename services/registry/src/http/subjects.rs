//! `/subjects`: their names, and which of their versions holds a schema.

use axum::body::Body;
use axum::extract::{Path, State as Held};
use axum::http::HeaderMap;

use super::answer::{Changed, Json};
use super::body::read;
use super::parameters::Parameters;
use super::routes::Api;
use super::view::View;
use crate::access::Caller;
use crate::actor::Actor;
use crate::answers::SchemaAnswer;
use crate::decide::{self, Draft, Normal};
use crate::refusal::Refusal;
use crate::state::{State, StateError, SubjectState};
use crate::subject::Subject;

type Answer = Result<Json, Refusal>;

/// Most subjects or versions of one answer.
pub(super) const MOST: usize = 1_000_000;

/// Which subjects are asked for: those whose names start in some way, in one context or in any.
pub(super) struct Prefix {
    given: Subject,
    scope: Scope,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// `:*:`: contexts don't count.
    Anywhere,
    /// `:.ctx` without a second colon: contexts that start so.
    Contexts,
    /// The context of the prefix.
    One,
}

impl Prefix {
    pub(super) fn new(text: &str) -> Self {
        if let Some(plain) = text.strip_prefix(":*:") {
            return Self {
                given: Subject::from_full(plain),
                scope: Scope::Anywhere,
            };
        }
        let open = text
            .strip_prefix(":.")
            .is_some_and(|context| !context.contains(':'));
        Self {
            given: Subject::new(text),
            scope: if open { Scope::Contexts } else { Scope::One },
        }
    }

    /// What all full names begin with.
    pub(super) fn start(&self) -> &str {
        match self.scope {
            Scope::Anywhere => "",
            Scope::Contexts => self.given.as_str().trim_end_matches(':'),
            Scope::One => self.given.as_str(),
        }
    }

    pub(super) fn covers(&self, subject: &Subject) -> bool {
        match self.scope {
            Scope::Anywhere => subject.plain().starts_with(self.given.as_str()),
            Scope::Contexts => subject.context().starts_with(self.given.context()),
            Scope::One => {
                subject.context() == self.given.context()
                    && subject.plain().starts_with(self.given.plain())
            }
        }
    }

    /// The subjects, in the order of their full names.
    pub(super) fn subjects<'s>(
        &'s self,
        state: &'s State<'_>,
    ) -> impl Iterator<Item = Result<(Subject, SubjectState), StateError>> + 's {
        state.subjects(self.start()).filter(|found| {
            found
                .as_ref()
                .map_or(true, |(subject, _)| self.covers(subject))
        })
    }
}

/// Whether something is listed: live, or soft-deleted as asked for.
pub(super) fn listed(deleted: bool, parameters: &Parameters) -> bool {
    if parameters.flag("deletedOnly") {
        deleted
    } else {
        !deleted || parameters.flag("deleted")
    }
}

pub(super) async fn list(Held(api): Held<Api>, caller: Caller, parameters: Parameters) -> Answer {
    let page = api.shared.read_apart(move |state| {
        let prefix = Prefix::new(parameters.given("subjectPrefix").unwrap_or(":*:"));
        let names = prefix.subjects(state).filter_map(|subject| match subject {
            Ok((_, versions)) if !listed(versions.latest().is_none(), &parameters) => None,
            Ok((subject, _)) if !caller.reads(&subject) => None,
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

pub(super) async fn look_up(
    Held(api): Held<Api>,
    caller: Caller,
    Path(subject): Path<String>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let shared = &api.shared;
    let draft: Draft = read(&headers, body, shared.config.max_body_bytes.as_usize()).await?;
    may_refer(&api, &caller, &subject, &draft)?;
    shared.read(|state| {
        let (name, version) = decide::look_up(
            state,
            &shared.texts,
            &state.resolve(&subject)?,
            &draft,
            normal(&parameters),
            parameters.flag("deleted"),
        )?;
        caller.require_read(&name)?;
        let view = View::of_text(&parameters);
        let shown = view.show(shared, state, &name, &version.content)?;
        let answer = SchemaAnswer::of_version(&name, &version);
        Ok(Json(shown.over(answer).to_bytes()))
    })
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

/// That the caller may read what a draft refers to: with its references inlined, a schema shows
/// their texts.
pub(super) fn may_refer(
    api: &Api,
    caller: &Caller,
    subject: &str,
    draft: &Draft,
) -> Result<(), Refusal> {
    let references = draft.references.as_deref().unwrap_or_default();
    if references.is_empty() || caller.reads_everything() {
        return Ok(());
    }
    let subject = api.resolve(&Subject::new(subject))?;
    for reference in references {
        caller.require_read(&subject.sibling(&reference.subject))?;
    }
    Ok(())
}

/// A subject that has live versions, or soft-deleted ones where they are asked for.
pub(super) fn known(
    state: &State<'_>,
    subject: &Subject,
    deleted: bool,
) -> Result<SubjectState, Refusal> {
    state
        .subject(subject)?
        .filter(|versions| deleted || versions.latest().is_some())
        .ok_or_else(|| Refusal::subject_not_found(subject))
}

/// The newest version whose metadata has the asked-for properties, given as `key=…&value=…`.
pub(super) async fn by_metadata(
    Held(api): Held<Api>,
    Path(subject): Path<String>,
    parameters: Parameters,
) -> Answer {
    api.shared.read(|state| {
        let subject = state.resolve(&subject)?;
        let wanted = parameters.pairs("key", "value");
        let deleted = parameters.flag("deleted");
        let versions = known(state, &subject, deleted)?;
        for row in versions.all().rev() {
            if row.deleted && !deleted {
                continue;
            }
            let version = state.with_content(&subject, row)?;
            let has = version.content.metadata.as_ref().is_some_and(|metadata| {
                wanted.iter().all(|(key, value)| {
                    let property = metadata.properties.get(*key);
                    property.is_some_and(|property| property == value)
                })
            });
            if has {
                let view = View::of_text(&parameters);
                let shown = view.show(&api.shared, state, &subject, &version.content)?;
                let answer = SchemaAnswer::of_version(&subject, &version);
                return Ok(Json(shown.over(answer).to_bytes()));
            }
        }
        Err(Refusal::no_such_schema())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_within_a_context_or_across_all() {
        let all = ["s", "t", ":.c:s", ":.c:t", ":.cc:s", ":x:s"];
        let under = |prefix: &str| {
            let prefix = Prefix::new(prefix);
            let covered = |name: &&str| prefix.covers(&Subject::new(name));
            let found: Vec<&str> = all.into_iter().filter(covered).collect();
            assert!(found.iter().all(|name| name.starts_with(prefix.start())));
            found
        };
        assert_eq!(under(""), ["s", "t", ":x:s"]);
        assert_eq!(under("s"), ["s"]);
        assert_eq!(under(":"), [":x:s"]);
        assert_eq!(under(":.:s"), ["s"]);
        assert_eq!(under(":.c:"), [":.c:s", ":.c:t"]);
        assert_eq!(under(":.c:s"), [":.c:s"]);
        assert_eq!(under(":.c"), [":.c:s", ":.c:t", ":.cc:s"]);
        assert_eq!(under(":*:"), all);
        assert_eq!(under(":*:s"), ["s", ":.c:s", ":.cc:s"]);
    }
}
