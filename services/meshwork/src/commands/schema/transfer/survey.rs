//! What the target holds of what the file brings.

use std::collections::{HashMap, HashSet};

use meshwork_registry_client::{RegistryClient, Shown, StoredVersion};
use serde_json::Value;

use super::super::graphs::context_of;
use super::super::look::subjects;
use super::super::many::each;
use super::source::{Entry, Source};

/// Questions whose answers are in memory at once.
const CHUNK: usize = 500;

/// Versions of a subject in the target.
#[derive(Clone, Debug, Default)]
pub(super) struct There {
    /// Live ones.
    pub(super) live: HashSet<i32>,
    /// Soft-deleted ones.
    pub(super) deleted: HashSet<i32>,
}

impl There {
    pub(super) fn is_empty(&self) -> bool {
        self.live.is_empty() && self.deleted.is_empty()
    }
}

/// What is to be done with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Todo {
    /// It is there.
    Nothing,
    /// It is there, live, and is to be deleted.
    Delete,
    /// It is to be registered.
    Register,
}

/// The target, compared with the file.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// The file's subjects as they are in the target; none that are not there.
    pub(super) there: HashMap<String, There>,
    /// By entry.
    pub(super) todo: Vec<Todo>,
    /// What can't be reconciled, a line each.
    pub(super) clashes: Vec<String>,
    /// Versions of the file's subjects that the file lacks.
    pub(super) surplus: Vec<String>,
    /// Contexts in which the target has other subjects too.
    pub(super) shared: HashSet<Option<String>>,
    /// Contexts in which the target has nothing at all.
    pub(super) empty: HashSet<Option<String>>,
}

/// Compares. Nothing is changed.
///
/// # Errors
/// The registry can't be asked, or the file can't be read.
pub(super) async fn survey(registry: &RegistryClient, source: &Source) -> anyhow::Result<Survey> {
    let mut survey = Survey {
        there: there(registry, source).await?,
        ..Survey::default()
    };
    survey.contexts(registry, source).await?;
    for (name, there) in &survey.there {
        let in_file: HashSet<i32> = source
            .by_subject
            .get(name)
            .into_iter()
            .flatten()
            .filter_map(|at| source.entries.get(*at))
            .map(|entry| entry.version)
            .collect();
        let surplus = there.live.iter().chain(&there.deleted);
        let surplus = surplus.filter(|number| !in_file.contains(number));
        survey
            .surplus
            .extend(surplus.map(|number| format!("{name}@{number}")));
    }
    survey.surplus.sort();
    survey.entries(registry, source).await?;
    for ((subject, version), who) in &source.missing {
        let found = registry
            .stored_version(subject, &version.to_string(), everything())
            .await?;
        if found.is_none() {
            survey.clashes.push(format!(
                "{who} refers to {subject}@{version}, which is neither in the file nor in the \
                 registry"
            ));
        }
    }
    Ok(survey)
}

fn everything() -> Shown {
    Shown {
        deleted: true,
        resolved: false,
    }
}

async fn there(
    registry: &RegistryClient,
    source: &Source,
) -> anyhow::Result<HashMap<String, There>> {
    let names: Vec<&String> = source.by_subject.keys().collect();
    let mut found = HashMap::new();
    for names in names.chunks(CHUNK) {
        let asked = each(names.iter().copied().cloned(), |name| {
            let registry = registry.clone();
            async move {
                let all = registry.version_numbers(&name, true).await?;
                let all: HashSet<i32> = all.unwrap_or_default().into_iter().collect();
                if all.is_empty() {
                    return Ok(None);
                }
                let live = registry.version_numbers(&name, false).await?;
                let live: HashSet<i32> = live.unwrap_or_default().into_iter().collect();
                let deleted = all.difference(&live).copied().collect();
                Ok(Some((name, There { live, deleted })))
            }
        })
        .await?;
        found.extend(asked.into_iter().flatten());
    }
    Ok(found)
}

impl Survey {
    /// Who else is in the contexts of the file.
    async fn contexts(&mut self, registry: &RegistryClient, source: &Source) -> anyhow::Result<()> {
        for context in source.contexts() {
            let prefix = context.map_or_else(String::new, |context| format!(":{context}:"));
            let names = subjects(registry, &prefix, true, 0, usize::MAX).await?;
            let mut names = names.iter().filter(|name| context_of(name) == context);
            let owned = context.map(ToOwned::to_owned);
            if names.clone().next().is_none() {
                self.empty.insert(owned.clone());
            }
            if names.any(|name| !source.by_subject.contains_key(name)) {
                self.shared.insert(owned);
            }
        }
        Ok(())
    }

    async fn entries(&mut self, registry: &RegistryClient, source: &Source) -> anyhow::Result<()> {
        // An id is asked for once, whatever holds it.
        let mut ids: HashSet<(Option<&str>, i32)> = HashSet::new();
        for entries in source.entries.chunks(CHUNK) {
            let mut asked = Vec::with_capacity(entries.len());
            for entry in entries {
                let there = self.there.get(&entry.subject);
                let live = there.is_some_and(|t| t.live.contains(&entry.version));
                let deleted = there.is_some_and(|t| t.deleted.contains(&entry.version));
                let context = context_of(&entry.subject);
                asked.push(Question {
                    version: source.version(entry)?,
                    there: live || deleted,
                    // In an empty context no id is taken.
                    ask_id: !self.empty.contains(&context.map(ToOwned::to_owned))
                        && ids.insert((context, entry.id)),
                });
                self.todo.push(match (live, deleted, entry.deleted) {
                    (true, _, false) | (_, true, true) => Todo::Nothing,
                    (true, _, true) => Todo::Delete,
                    _ => Todo::Register,
                });
            }
            let clashes = each(asked, |question| {
                let registry = registry.clone();
                async move { question.clash(&registry).await }
            })
            .await?;
            self.clashes.extend(clashes.into_iter().flatten());
        }
        Ok(())
    }

    /// Entries that are to be registered or deleted.
    pub(super) fn open<'s>(&self, source: &'s Source) -> Vec<(usize, &'s Entry, Todo)> {
        let entries = source.entries.iter().enumerate();
        entries
            .zip(&self.todo)
            .filter(|(_, todo)| **todo != Todo::Nothing)
            .map(|((at, entry), todo)| (at, entry, *todo))
            .collect()
    }
}

/// What is asked about one version.
struct Question {
    version: StoredVersion,
    there: bool,
    ask_id: bool,
}

impl Question {
    /// What of the target contradicts the file, in words that name both.
    async fn clash(&self, registry: &RegistryClient) -> anyhow::Result<Option<String>> {
        let StoredVersion {
            subject,
            version,
            id,
            ..
        } = &self.version;
        if self.there {
            let found = registry
                .stored_version(subject, &version.to_string(), everything())
                .await?;
            let Some(found) = found else {
                return Ok(Some(format!("{subject}@{version} was deleted meanwhile")));
            };
            if found.id != *id {
                return Ok(Some(format!(
                    "{subject}@{version} has id {id} in the file and id {} in the registry",
                    found.id
                )));
            }
            if !found.same_content(&self.version) {
                return Ok(Some(format!(
                    "{subject}@{version} with id {id} is another schema in the registry: {} in the \
                     file, {} there",
                    shortened(&self.version.schema),
                    shortened(&found.schema)
                )));
            }
            return Ok(None);
        }
        if !self.ask_id {
            return Ok(None);
        }
        let scope = context_of(subject).map(|context| format!(":{context}:"));
        let Some(answer) = registry.id_answer(*id, scope.as_deref(), false).await? else {
            return Ok(None);
        };
        if same_schema(&answer, &self.version) {
            return Ok(None);
        }
        let holders = registry.places_of_id(*id, scope.as_deref()).await?;
        let own = holders
            .iter()
            .any(|(subject, _)| subject.starts_with("mesh."));
        let hint = if own {
            "; the mesh's own schemas came first: import into a registry that nobody has written to"
        } else {
            ""
        };
        let holders: Vec<String> = holders
            .into_iter()
            .take(3)
            .map(|(subject, version)| format!("{subject}@{version}"))
            .collect();
        Ok(Some(format!(
            "id {id} is {subject}@{version} in the file and another schema in the registry \
             ({}){hint}",
            if holders.is_empty() {
                "of no live version".to_owned()
            } else {
                holders.join(", ")
            }
        )))
    }
}

fn same_schema(answer: &Value, version: &StoredVersion) -> bool {
    // The answer has the members of a version, those excepted that an id does not tell.
    let mut answer = answer.clone();
    if let Some(members) = answer.as_object_mut() {
        members.insert("subject".to_owned(), version.subject.clone().into());
        members.insert("version".to_owned(), version.version.into());
        members.insert("id".to_owned(), version.id.into());
    }
    serde_json::from_value::<StoredVersion>(answer).is_ok_and(|found| found.same_content(version))
}

fn shortened(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        None => text.to_owned(),
        Some((cut, _)) => format!("{}…", text.get(..cut).unwrap_or_default()),
    }
}
