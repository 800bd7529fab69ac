//! Whether a schema keeps the promise that its subject has made.

use std::collections::BTreeMap;

use meshwork_avro::compatibility::{CompatibilityLevel, Existing, check as judge};
use meshwork_avro::{IncompatibilityKind, ParseOptions, Schema, Strictness};
use meshwork_model::finding::place::JsonPlaces;
use meshwork_model::finding::{Code, Finding, Findings, Level, Position};
use meshwork_model::product::Product;
use meshwork_registry_client::{RegistryClient, RegistryClientError};

use super::CheckedProduct;
use super::agreement::steps;
use crate::contract_files::SourceFile;

/// Most versions of a subject that are compared with.
const MOST_VERSIONS: usize = 1_000;

/// What the registry holds of a subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectVersions {
    /// Its versions with their texts, newest first.
    pub newest_first: Vec<(i32, String)>,
}

/// The subjects of a product.
#[must_use]
pub fn subjects(product: &Product) -> Vec<String> {
    let mut subjects = vec![product.urn.value_subject()];
    if product.key_schema.is_some() {
        subjects.push(product.urn.key_subject());
    }
    subjects
}

/// Asks the registry for the live versions of a subject, at most the newest 1,000.
///
/// # Errors
/// It can't be asked.
pub async fn fetch(
    registry: &RegistryClient,
    subject: &str,
) -> Result<SubjectVersions, RegistryClientError> {
    let mut versions = registry.versions(subject).await?;
    versions.sort_unstable();
    let mut newest_first = Vec::new();
    for version in versions.into_iter().rev().take(MOST_VERSIONS) {
        // A version may be deleted between the two questions.
        if let Some(registered) = registry.version(subject, version).await? {
            newest_first.push((version, registered.schema));
        }
    }
    Ok(SubjectVersions { newest_first })
}

/// Adds every incompatibility under the contract's level.
pub(super) fn check(
    checked: &CheckedProduct,
    registered: &BTreeMap<String, SubjectVersions>,
    findings: &mut Findings,
) {
    let product = &checked.product;
    let level = level_of(product);
    let value = registered.get(&product.urn.value_subject());
    if let Some(versions) = value {
        check_one(product, &checked.value_schema, level, versions, findings);
    }
    if let (Some(file), Some(versions)) = (
        &checked.key_schema,
        registered.get(&product.urn.key_subject()),
    ) {
        check_one(product, file, level, versions, findings);
    }
}

/// The contract's level as the one that judges.
#[must_use]
pub(crate) fn level_of(product: &Product) -> CompatibilityLevel {
    product
        .compatibility
        .as_str()
        .parse()
        .unwrap_or(CompatibilityLevel::Backward)
}

fn check_one(
    product: &Product,
    file: &SourceFile,
    level: CompatibilityLevel,
    versions: &SubjectVersions,
    findings: &mut Findings,
) {
    // What the registry holds may be older than Avro's present strictness.
    let stored = ParseOptions {
        strictness: Strictness::Stored,
        ..ParseOptions::default()
    };
    let Ok(new) = Schema::parse(&file.text) else {
        return;
    };
    let mut existing = Vec::new();
    for (version, text) in &versions.newest_first {
        match Schema::parse_with(text, &stored) {
            Ok(schema) => existing.push((*version, schema)),
            Err(error) => findings.push(
                Finding::error(
                    Code::Incompatible,
                    &file.path,
                    None,
                    format!("registered version {version} can't be compared with: {error}"),
                )
                .at_level(Level::Warning),
            ),
        }
    }
    let existing: Vec<Existing<'_>> = existing
        .iter()
        .map(|(version, schema)| Existing {
            version: Some(*version),
            schema,
        })
        .collect();
    let verdict = judge(level, &new, &existing);
    let places = JsonPlaces::new(&file.text);
    for finding in &verdict.findings {
        let found = &finding.incompatibility;
        // A path of the old schema has no place in the new file.
        let at = finding
            .new_reads
            .then(|| places.of(&steps(&found.path)))
            .flatten();
        let (reader, writer) = if finding.new_reads {
            ("the new schema", "the registered one")
        } else {
            ("the registered schema", "the new one")
        };
        let what = match found.kind {
            IncompatibilityKind::ReaderFieldMissingDefaultValue => format!(
                "field `{}` has no default, so {reader} can't read what {writer} writes",
                found.message
            ),
            IncompatibilityKind::MissingEnumSymbols => format!(
                "{reader} lacks symbols that {writer} has: {}",
                found.message
            ),
            IncompatibilityKind::MissingUnionBranch => {
                format!(
                    "{reader} lacks a type of a union that {writer} has: {}",
                    found.message
                )
            }
            IncompatibilityKind::NameMismatch => {
                format!("a type has another name: {}", found.message)
            }
            _ => format!(
                "{reader} can't read what {writer} writes: {}",
                found.message
            ),
        };
        findings.push(
            Finding::error(
                Code::Incompatible,
                &file.path,
                at.or(Some(Position::START)),
                format!(
                    "breaks {level} with registered version {} at {}: {what}",
                    verdict.version.unwrap_or_default(),
                    found.path
                ),
            )
            .help(new_major(product)),
        );
    }
}

/// How to make a change that breaks a promise.
#[must_use]
pub(crate) fn new_major(product: &Product) -> String {
    let next = product.urn.version().0.saturating_add(1);
    format!(
        "make it compatible, or make a new major version beside this one: `version: {next}.0.0`, topic {}.v{next}",
        product.urn.name()
    )
}
