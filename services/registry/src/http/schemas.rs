//! `/schemas`: versions of many subjects at once.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State as Held;

use super::answer::Json;
use super::parameters::Parameters;
use super::routes::Api;
use super::subjects::Prefix;
use crate::access::Caller;
use crate::answers::SchemaAnswer;
use crate::content::Content;
use crate::refusal::Refusal;
use crate::state::{State, StateError, SubjectState, Version, VersionRow};
use crate::subject::Subject;

/// Most versions of one answer: they bring their schemas.
pub(super) const MOST: usize = 1_000;

pub(super) async fn types() -> Json {
    Json::of(&["AVRO"])
}

/// Which versions are asked for.
struct Wanted {
    deleted: bool,
    latest_only: bool,
    rule_type: Option<String>,
}

impl Wanted {
    /// The versions of a subject to be listed.
    fn of(
        &self,
        state: &State<'_>,
        subject: &Subject,
        versions: &SubjectState,
    ) -> Result<Vec<VersionRow>, StateError> {
        let counts = |version: &&VersionRow| self.deleted || !version.deleted;
        let mut rows: Vec<VersionRow> = if self.latest_only {
            versions
                .all()
                .rev()
                .find(counts)
                .into_iter()
                .cloned()
                .collect()
        } else {
            versions.all().filter(counts).cloned().collect()
        };
        let Some(rule_type) = &self.rule_type else {
            return Ok(rows);
        };
        let mut kept = Vec::new();
        for row in rows.drain(..) {
            if has_rule(&*state.content_of(subject, &row)?, rule_type) {
                kept.push(row);
            }
        }
        Ok(kept)
    }
}

fn has_rule(content: &Content, rule_type: &str) -> bool {
    content.rule_set.as_ref().is_some_and(|rules| {
        rules
            .migration_rules
            .iter()
            .chain(&rules.domain_rules)
            .chain(&rules.encoding_rules)
            .any(|rule| rule.rule_type.as_deref() == Some(rule_type))
    })
}

/// Versions of subjects of the default context, or of those that `subjectPrefix` names. With
/// aliases, each with the names that lead to its subject, and subjects that only an alias names.
pub(super) async fn list(
    Held(api): Held<Api>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Json, Refusal> {
    let page = api.shared.read_apart(move |state| {
        let prefix = Prefix::new(parameters.given("subjectPrefix").unwrap_or_default());
        let wanted = Wanted {
            deleted: parameters.flag("deleted"),
            latest_only: parameters.flag("latestOnly"),
            rule_type: parameters.text("ruleType").map(str::to_owned),
        };
        let mut aliases: BTreeMap<Subject, Vec<String>> = BTreeMap::new();
        if parameters.flag("aliases") {
            for alias in state.aliases(prefix.start()) {
                let (alias, subject) = alias?;
                if prefix.covers(&alias) && caller.reads(&alias) {
                    let names = aliases.entry(subject).or_default();
                    names.push(alias.as_str().to_owned());
                }
            }
        }
        let mut elsewhere: BTreeSet<&Subject> = aliases
            .keys()
            .filter(|subject| !prefix.covers(subject))
            .collect();
        let rows = of_prefix(state, &prefix, &mut elsewhere).flat_map(|found| {
            if matches!(&found, Ok((subject, _)) if !caller.reads(subject)) {
                return Vec::new();
            }
            let listed = found.and_then(|(subject, versions)| {
                let rows = wanted.of(state, &subject, &versions)?;
                Ok((subject, rows))
            });
            match listed {
                Ok((subject, rows)) => rows
                    .into_iter()
                    .map(|row| Ok((subject.clone(), row)))
                    .collect(),
                Err(error) => vec![Err(error)],
            }
        });
        let mut versions: Vec<(Subject, Version)> = Vec::new();
        for (subject, row) in parameters.try_page(rows, MOST)? {
            let version = state.with_content(&subject, &row)?;
            versions.push((subject, version));
        }
        let answers: Vec<SchemaAnswer<'_>> = versions
            .iter()
            .map(|(subject, version)| SchemaAnswer {
                aliases: aliases.get(subject).map_or(&[], Vec::as_slice),
                ..SchemaAnswer::of_version(subject, version)
            })
            .collect();
        Ok(Json::of(&answers))
    });
    page.await
}

/// The subjects under a prefix and those that are named besides, in the order of their names.
fn of_prefix<'s>(
    state: &'s State<'_>,
    prefix: &'s Prefix,
    elsewhere: &'s mut BTreeSet<&Subject>,
) -> impl Iterator<Item = Result<(Subject, SubjectState), StateError>> + 's {
    let mut under = prefix.subjects(state).peekable();
    std::iter::from_fn(move || {
        loop {
            let next = match under.peek() {
                Some(Ok((subject, _))) => elsewhere.first().filter(|other| **other < subject),
                Some(Err(_)) => None,
                None => elsewhere.first(),
            };
            let Some(subject) = next.copied() else {
                return under.next();
            };
            elsewhere.remove(subject);
            match state.subject(subject) {
                Ok(Some(versions)) => return Some(Ok((subject.clone(), versions))),
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    })
}
