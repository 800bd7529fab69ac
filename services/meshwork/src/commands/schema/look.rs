//! `meshwork schema list` and `meshwork schema get`.

use std::collections::HashMap;
use std::io::Write as _;

use anyhow::{Context as _, bail};
use meshwork_registry_client::{RegistryClient, Shown, StoredVersion, Wanted};
use serde::Serialize;
use serde_json::Value;

use super::super::Exit;
use super::many::each;
use super::pages::Pages;
use super::reasons::level_in_force;
use crate::args::{GetArgs, ListArgs, Output};
use crate::config::Config;
use crate::output::{Listing, print_value};

/// Subjects asked for at once.
const PAGE: usize = 1_000;

/// Below this many subjects each is asked for by itself.
const FEW: usize = 50;

/// A subject in the list.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    subject: String,
    version: i32,
    id: i32,
    schema_type: String,
    /// Absent where only names are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    compatibility_level: Option<String>,
    /// `subject`, `context` or `global`: where the level is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    level_from: Option<&'static str>,
    references: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    guid: Option<String>,
    deleted: bool,
}

impl Item {
    fn of(version: StoredVersion, deleted: bool) -> Self {
        Self {
            version: version.version,
            id: version.id,
            schema_type: version.kind().to_owned(),
            compatibility_level: None,
            level_from: None,
            references: version.references.len(),
            guid: version.guid,
            deleted: version.deleted.unwrap_or(deleted),
            subject: version.subject,
        }
    }
}

pub(super) async fn list(args: &ListArgs, config: &Config) -> anyhow::Result<Exit> {
    let registry = RegistryClient::new(&config.registry_client())?;
    let prefix = args.prefix.as_deref().unwrap_or_default();
    let most = args.limit.unwrap_or(usize::MAX);
    let names = subjects(&registry, prefix, args.deleted, args.offset, most).await?;
    if matches!(args.show.output, Output::Name) {
        let mut stdout = std::io::stdout().lock();
        for name in names {
            writeln!(stdout, "{name}")?;
        }
        return Ok(Exit::Done);
    }
    let items = items(&registry, prefix, args.deleted, names).await?;
    Listing {
        heads: &[
            "SUBJECT",
            "VERSION",
            "ID",
            "TYPE",
            "LEVEL",
            "LEVEL FROM",
            "REFERENCES",
            "GUID",
        ],
        wide_from: 5,
        items: &items,
        cells: |item: &Item| {
            let deleted = if item.deleted { " (deleted)" } else { "" };
            vec![
                item.subject.clone(),
                format!("{}{deleted}", item.version),
                item.id.to_string(),
                item.schema_type.clone(),
                item.compatibility_level.clone().unwrap_or_default(),
                item.level_from.unwrap_or_default().to_owned(),
                item.references.to_string(),
                item.guid.clone().unwrap_or_else(|| "-".to_owned()),
            ]
        },
        name: |item: &Item| item.subject.clone(),
    }
    .print(args.show.output)?;
    Ok(Exit::Done)
}

/// Whether a subject is listed under a prefix, for registries that don't look at it: `:*:` is all
/// contexts.
fn has_prefix(subject: &str, prefix: &str) -> bool {
    match prefix.strip_prefix(":*:") {
        None => subject.starts_with(prefix),
        Some(prefix) => subject
            .strip_prefix(":.")
            .and_then(|rest| rest.split_once(':'))
            .map_or(subject, |(_, plain)| plain)
            .starts_with(prefix),
    }
}

/// Names of subjects, page by page.
///
/// # Errors
/// The registry can't be asked.
pub(super) async fn subjects(
    registry: &RegistryClient,
    prefix: &str,
    deleted: bool,
    offset: usize,
    most: usize,
) -> anyhow::Result<Vec<String>> {
    let wanted = Wanted { prefix, deleted };
    let mut names: Vec<String> = Vec::new();
    while names.len() < most {
        let limit = PAGE.min(most - names.len());
        let page = registry
            .subject_page(wanted, offset + names.len(), limit)
            .await?;
        let got = page.len();
        if got > limit {
            // This registry does not page: here is everything, perhaps of every prefix.
            let all = page.into_iter().filter(|name| has_prefix(name, prefix));
            return Ok(all.skip(offset).take(most).collect());
        }
        names.extend(page);
        if got < limit {
            break;
        }
    }
    Ok(names)
}

async fn items(
    registry: &RegistryClient,
    prefix: &str,
    deleted: bool,
    names: Vec<String>,
) -> anyhow::Result<Vec<Item>> {
    let mut latest = if names.len() > FEW {
        latest_of_all(registry, prefix).await?
    } else {
        HashMap::new()
    };
    let asked = names.into_iter().map(|name| {
        let known = latest.remove(&name);
        (name, known)
    });
    let asked: Vec<(String, Option<Item>)> = asked.collect();
    let found = each(asked, |(name, known)| {
        let registry = registry.clone();
        async move {
            let item = match known {
                Some(item) => Some(item),
                None => latest_of(&registry, &name, deleted).await?,
            };
            // One that was deleted meanwhile is none.
            let Some(mut item) = item else {
                return Ok(None);
            };
            // Under an alias stands what it stands for.
            item.subject = name;
            let level = level_in_force(&registry, &item.subject).await?;
            item.compatibility_level = Some(level.level);
            item.level_from = Some(level.from);
            Ok(Some(item))
        }
    })
    .await?;
    Ok(found.into_iter().flatten().collect())
}

async fn latest_of(
    registry: &RegistryClient,
    subject: &str,
    deleted: bool,
) -> anyhow::Result<Option<Item>> {
    let live = registry
        .stored_version(subject, "latest", Shown::default())
        .await?;
    if let Some(version) = live {
        return Ok(Some(Item::of(version, false)));
    }
    if !deleted {
        return Ok(None);
    }
    let numbers = registry.version_numbers(subject, true).await?;
    let Some(last) = numbers.and_then(|numbers| numbers.last().copied()) else {
        return Ok(None);
    };
    let shown = Shown {
        deleted,
        resolved: false,
    };
    let version = registry
        .stored_version(subject, &last.to_string(), shown)
        .await?;
    Ok(version.map(|version| Item::of(version, true)))
}

/// The latest live versions of all subjects.
async fn latest_of_all(
    registry: &RegistryClient,
    prefix: &str,
) -> anyhow::Result<HashMap<String, Item>> {
    let mut pages = Pages::new(registry.clone(), prefix, true);
    let mut latest = HashMap::new();
    while let Some(page) = pages.next().await? {
        let items = page.into_iter().map(|version| Item::of(version, false));
        latest.extend(items.map(|item| (item.subject.clone(), item)));
    }
    Ok(latest)
}

/// `subject@3` or `subject@latest`; without either the latest version.
pub(super) fn subject_and_version(text: &str) -> (&str, &str) {
    match text.rsplit_once('@') {
        Some((subject, version))
            if version == "latest" || version.parse::<i32>().is_ok_and(|v| v > 0) =>
        {
            (subject, version)
        }
        _ => (text, "latest"),
    }
}

pub(super) async fn get(args: &GetArgs, config: &Config) -> anyhow::Result<Exit> {
    let registry = RegistryClient::new(&config.registry_client())?;
    let (what, answer) = if let Some(id) = args.id {
        let subject = args.of.as_deref();
        let answer = registry.id_answer(id, subject, args.resolved).await?;
        (format!("schema {id}"), answer)
    } else if let Some(guid) = &args.guid {
        let answer = registry.guid_answer(guid, args.resolved).await?;
        (format!("schema {guid}"), answer)
    } else {
        let name = args.subject.as_deref().unwrap_or_default();
        let (subject, version) = subject_and_version(name);
        let shown = Shown {
            deleted: args.deleted,
            resolved: args.resolved,
        };
        let answer = registry.version_answer(subject, version, shown).await?;
        (format!("subject {subject} with version {version}"), answer)
    };
    let Some(answer) = answer else {
        bail!("the registry at {} has no {what}", registry.urls());
    };
    match args.output {
        Some(output @ (Output::Json | Output::Yaml)) => print_value(&answer, output)?,
        None => {
            let text = text_of(&answer, "schema").context("the answer holds no schema")?;
            writeln!(std::io::stdout().lock(), "{text}")?;
        }
        Some(output) => Listing {
            heads: &["SUBJECT", "VERSION", "ID", "TYPE", "GUID", "SCHEMA"],
            wide_from: 5,
            items: &[answer],
            cells: |answer: &Value| {
                ["subject", "version", "id", "schemaType", "guid", "schema"]
                    .iter()
                    .map(|key| match text_of(answer, key) {
                        Some(text) => text,
                        None if *key == "schemaType" => "AVRO".to_owned(),
                        None => "-".to_owned(),
                    })
                    .collect()
            },
            name: |answer: &Value| match (text_of(answer, "subject"), text_of(answer, "version")) {
                (Some(subject), Some(version)) => format!("{subject}@{version}"),
                _ => text_of(answer, "guid").unwrap_or_default(),
            },
        }
        .print(output)?,
    }
    Ok(Exit::Done)
}

fn text_of(answer: &Value, key: &str) -> Option<String> {
    match answer.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_follows_the_last_at_sign() {
        for (text, read) in [
            ("s", ("s", "latest")),
            ("s@3", ("s", "3")),
            ("s@latest", ("s", "latest")),
            ("a@b", ("a@b", "latest")),
            ("a@b@2", ("a@b", "2")),
            ("s@0", ("s@0", "latest")),
            (":.ctx:s@1", (":.ctx:s", "1")),
        ] {
            assert_eq!(subject_and_version(text), read, "{text}");
        }
    }

    #[test]
    fn prefixes_are_of_the_name_or_of_the_whole() {
        assert!(has_prefix("sales.a", "sales."));
        assert!(has_prefix(":.ctx:sales.a", ":.ctx:"));
        assert!(has_prefix(":.ctx:sales.a", ":*:sales"));
        assert!(!has_prefix(":.ctx:sales.a", "sales."));
        assert!(!has_prefix("other", "sales."));
        assert!(has_prefix("any", ""));
    }
}
