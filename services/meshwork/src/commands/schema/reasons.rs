//! Verdicts: the registry's, read from its messages, and our own for every level.

use anyhow::Context as _;
use meshwork_avro::compatibility::{CompatibilityLevel, Existing, check};
use meshwork_avro::{Schema, Strictness};
use meshwork_registry_client::{CompatibilityAnswer, RegistryClient, Shown};
use serde::Serialize;

use super::graphs::{Graphs, context_of};
use super::many::each;
use crate::output::{plain_table, trimmed};

/// Most versions of a subject that a schema is compared with.
const MOST_VERSIONS: usize = 1_000;

/// One reason why a schema does not fit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Reason {
    /// Avro's name for the kind, such as `READER_FIELD_MISSING_DEFAULT_VALUE`; none where the
    /// registry has words of its own.
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    /// JSON pointer into the schema that reads.
    pub(super) path: Option<String>,
    /// Which schema reads: `new` or `old`.
    pub(super) reader: Option<&'static str>,
    /// What is the matter, in short.
    pub(super) message: String,
    /// The registry's sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) description: Option<String>,
}

impl Reason {
    /// From one of the registry's messages; none where it is about something else than a reason.
    fn read(message: &str) -> Option<Self> {
        let message = message.trim();
        if ["{oldSchemaVersion:", "{oldSchema:", "{validateFields:"]
            .iter()
            .any(|begin| message.starts_with(begin))
        {
            return None;
        }
        Some(Self::entry(message).unwrap_or_else(|| Self {
            message: message.to_owned(),
            ..Self::default()
        }))
    }

    /// `{errorType:'T', description:'…', additionalInfo:'…'}`, with quotes of either kind.
    fn entry(message: &str) -> Option<Self> {
        let rest = message.strip_prefix("{errorType:")?;
        let quote = rest.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let rest = rest.get(1..)?;
        let (kind, rest) = rest.split_once(quote)?;
        let rest = rest.strip_prefix(", description:")?.strip_prefix(quote)?;
        let (description, rest) = rest.split_once(&format!("{quote}, additionalInfo:{quote}"))?;
        let detail = rest.strip_suffix('}')?.strip_suffix(quote)?;
        let path = description
            .split_once("path '")
            .and_then(|(_, rest)| rest.split_once('\''))
            .map(|(path, _)| path.to_owned());
        let position = |words: &str| description.find(words);
        let reader = match (position("new schema"), position("old schema")) {
            (Some(new), Some(old)) if new < old => Some("new"),
            (Some(_), Some(_)) => Some("old"),
            _ => None,
        };
        Some(Self {
            kind: Some(kind.to_owned()),
            path,
            reader,
            message: if detail.is_empty() {
                description
            } else {
                detail
            }
            .to_owned(),
            description: Some(description.to_owned()),
        })
    }

    /// One line.
    pub(super) fn line(&self) -> String {
        let mut line = String::new();
        if let Some(kind) = &self.kind {
            line.push_str(kind);
            if let Some(path) = &self.path {
                line.push_str(" at ");
                line.push_str(path);
            }
            line.push_str(": ");
        }
        line.push_str(&self.message);
        match self.reader {
            Some("new") => line.push_str(" (the new reads the old)"),
            Some(_) => line.push_str(" (the old reads the new)"),
            None => {}
        }
        line
    }
}

/// What one level says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct LevelVerdict {
    /// The level.
    pub(super) level: String,
    /// Whether the new schema fits.
    pub(super) compatible: bool,
    /// The earlier version that it does not fit, where that has a number.
    pub(super) version: Option<i32>,
    /// Why not.
    pub(super) reasons: Vec<Reason>,
}

/// What the registry says, as values.
pub(super) fn of_registry(answer: &CompatibilityAnswer) -> LevelVerdict {
    let field = |begin: &str| {
        answer
            .messages
            .iter()
            .find_map(|m| Some(m.trim().strip_prefix(begin)?.trim_end_matches('}').trim()))
    };
    let level = field("{validateFields:")
        .and_then(|rest| rest.split_once("compatibility:"))
        .map(|(_, level)| level.trim().trim_matches(['\'', '"']).to_owned());
    LevelVerdict {
        level: level.unwrap_or_default(),
        compatible: answer.compatible,
        version: field("{oldSchemaVersion:").and_then(|number| number.parse().ok()),
        reasons: answer
            .messages
            .iter()
            .filter_map(|m| Reason::read(m))
            .collect(),
    }
}

/// What a level says of a schema after earlier ones, newest first.
pub(super) fn of_level(
    level: CompatibilityLevel,
    new: &Schema,
    newest_first: &[(Option<i32>, Schema)],
) -> LevelVerdict {
    let existing: Vec<Existing<'_>> = newest_first
        .iter()
        .map(|(version, schema)| Existing {
            version: *version,
            schema,
        })
        .collect();
    let verdict = check(level, new, &existing);
    LevelVerdict {
        level: level.to_string(),
        compatible: verdict.is_compatible(),
        version: verdict.version,
        reasons: verdict
            .findings
            .iter()
            .map(|finding| Reason {
                kind: Some(finding.incompatibility.kind.to_string()),
                path: Some(finding.incompatibility.path.clone()),
                reader: Some(if finding.new_reads { "new" } else { "old" }),
                message: finding.incompatibility.message.clone(),
                description: None,
            })
            .collect(),
    }
}

/// What every level says.
pub(super) fn of_all_levels(
    new: &Schema,
    newest_first: &[(Option<i32>, Schema)],
) -> Vec<LevelVerdict> {
    CompatibilityLevel::ALL
        .into_iter()
        .map(|level| of_level(level, new, newest_first))
        .collect()
}

/// The live Avro versions of a subject, newest first, `up_to` this one. What can't be parsed is
/// said on stderr and left out.
///
/// # Errors
/// The registry can't be asked.
pub(super) async fn earlier(
    registry: &RegistryClient,
    graphs: &mut Graphs,
    subject: &str,
    up_to: Option<i32>,
) -> anyhow::Result<Vec<(Option<i32>, Schema)>> {
    let mut numbers = registry
        .version_numbers(subject, false)
        .await?
        .unwrap_or_default();
    numbers.retain(|number| up_to.is_none_or(|last| *number <= last));
    numbers.reverse();
    if numbers.len() > MOST_VERSIONS {
        eprintln!(
            "{subject} has {} versions: only the newest {MOST_VERSIONS} are compared with",
            numbers.len()
        );
        numbers.truncate(MOST_VERSIONS);
    }
    let found = each(numbers, |number| {
        let (registry, subject) = (registry.clone(), subject.to_owned());
        async move {
            let found = registry
                .stored_version(&subject, &number.to_string(), Shown::default())
                .await?;
            Ok(found)
        }
    })
    .await?;
    let mut schemas = Vec::with_capacity(found.len());
    // One that was deleted meanwhile is none.
    for version in found.into_iter().flatten() {
        let left_out = |why: String| {
            eprintln!(
                "version {} of {subject} can't be compared with: {why}",
                version.version
            );
        };
        if version.kind() != "AVRO" {
            left_out(format!("it is of type {}", version.kind()));
            continue;
        }
        let parsed = graphs
            .parse(
                subject,
                &version.schema,
                &version.references,
                Strictness::Stored,
            )
            .await?;
        match parsed {
            Ok(schema) => schemas.push((Some(version.version), schema)),
            Err(error) => left_out(error.to_string()),
        }
    }
    Ok(schemas)
}

/// A subject's level and which scope has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InForce {
    /// The level.
    pub(super) level: String,
    /// `subject`, `context`, `global`.
    pub(super) from: &'static str,
}

/// The level that holds for a subject.
///
/// # Errors
/// The registry can't be asked.
pub(super) async fn level_in_force(
    registry: &RegistryClient,
    subject: &str,
) -> anyhow::Result<InForce> {
    let own = |settings: Option<serde_json::Map<String, serde_json::Value>>| {
        Some(settings?.get("compatibilityLevel")?.as_str()?.to_owned())
    };
    if let Some(level) = own(registry.settings(Some(subject)).await?) {
        return Ok(InForce {
            level,
            from: "subject",
        });
    }
    if let Some(context) = context_of(subject) {
        let scope = format!(":{context}:");
        if let Some(level) = own(registry.settings(Some(&scope)).await?) {
            return Ok(InForce {
                level,
                from: "context",
            });
        }
    }
    let level = own(registry.settings(None).await?);
    Ok(InForce {
        level: level.context("the registry gives no global compatibility level")?,
        from: "global",
    })
}

/// Reasons as a table.
pub(super) fn reasons_table(reasons: &[Reason]) -> String {
    let mut table = plain_table();
    table.set_header(["TYPE", "PATH", "READER", "MESSAGE"]);
    for reason in reasons {
        table.add_row([
            reason.kind.as_deref().unwrap_or("-"),
            reason.path.as_deref().unwrap_or("-"),
            reason.reader.unwrap_or("-"),
            &reason.message,
        ]);
    }
    trimmed(&table)
}

/// Levels as a table; a line for each reason.
pub(super) fn levels_table(levels: &[LevelVerdict]) -> String {
    let mut table = plain_table();
    table.set_header(["LEVEL", "VERDICT", "VERSION", "REASON"]);
    for verdict in levels {
        let version = verdict.version.map(|v| v.to_string());
        let mut first = Some((
            verdict.level.clone(),
            if verdict.compatible {
                "compatible"
            } else {
                "incompatible"
            },
            version.unwrap_or_else(|| "-".to_owned()),
        ));
        let mut lines: Vec<String> = verdict.reasons.iter().map(Reason::line).collect();
        if lines.is_empty() {
            lines.push(String::new());
        }
        for line in lines {
            let (level, word, version) = first.take().unwrap_or_default();
            table.add_row([level, word.to_owned(), version, line]);
        }
    }
    trimmed(&table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(messages: &[&str]) -> CompatibilityAnswer {
        CompatibilityAnswer {
            compatible: false,
            messages: messages.iter().map(|m| (*m).to_owned()).collect(),
        }
    }

    #[test]
    fn the_registrys_messages_are_read() {
        let verdict = of_registry(&answer(&[
            "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'b' at path '/fields/1' in the new schema has no default value and is missing in the old schema', additionalInfo:'b'}",
            "{errorType:'TYPE_MISMATCH', description:'The type (path '/fields/0/type') of a field in the old schema does not match with the new schema', additionalInfo:'reader type: INT not compatible with writer type: LONG'}",
            "{oldSchemaVersion: 4}",
            "{oldSchema: '{\"type\":\"record\"}'}",
            "{validateFields: 'false', compatibility: 'FULL'}",
        ]));
        assert_eq!(verdict.level, "FULL");
        assert_eq!(verdict.version, Some(4));
        let lines: Vec<String> = verdict.reasons.iter().map(Reason::line).collect();
        assert_eq!(
            lines,
            [
                "READER_FIELD_MISSING_DEFAULT_VALUE at /fields/1: b (the new reads the old)",
                "TYPE_MISMATCH at /fields/0/type: reader type: INT not compatible with writer type: LONG (the old reads the new)",
            ]
        );
    }

    #[test]
    fn what_ours_says_reads_as_what_is_computed_here() {
        let parse = |text: &str| Schema::parse(text).unwrap();
        let old = parse(
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}}]}"#,
        );
        let new = parse(
            r#"{"type":"record","name":"R","fields":[{"name":"a","type":"string"},{"name":"e","type":{"type":"enum","name":"E","symbols":["A"]}},{"name":"c","type":"int"}]}"#,
        );
        let existing = [Existing {
            version: Some(7),
            schema: &old,
        }];
        for level in CompatibilityLevel::ALL {
            let verdict = check(level, &new, &existing);
            let told = of_registry(&CompatibilityAnswer {
                compatible: verdict.is_compatible(),
                messages: verdict.messages(false),
            });
            let computed = of_level(level, &new, &[(Some(7), old.clone())]);
            assert_eq!(told.compatible, computed.compatible, "{level}");
            let lines = |v: &LevelVerdict| v.reasons.iter().map(Reason::line).collect::<Vec<_>>();
            assert_eq!(lines(&told), lines(&computed), "{level}");
        }
    }

    #[test]
    fn other_registries_words_are_kept_as_they_are() {
        for text in [
            "reader type: int not compatible with writer type: string",
            "{errorType:'X', description:'y'}",
            "{errorType:",
            "",
        ] {
            let reason = Reason::read(text).unwrap();
            assert_eq!((reason.kind, reason.message.as_str()), (None, text));
        }
        let redpanda = r#"{errorType:"NAME_MISMATCH", description:"The name of the schema has changed (path '/name')", additionalInfo:"expected: a.B"}"#;
        let reason = Reason::read(redpanda).unwrap();
        assert_eq!(reason.line(), "NAME_MISMATCH at /name: expected: a.B");
    }
}
