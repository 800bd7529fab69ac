//! Schemas in files.

use std::fmt;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use meshwork_avro::{Schema, Strictness};
use meshwork_catalog::check::agreement::place_of;
use meshwork_model::finding::Position;
use meshwork_registry_client::{Draft, Reference};
use serde::Serialize;

use super::graphs::{Graphs, Unusable};
use crate::args::{DraftArgs, SchemaType};

/// Largest schema file read.
const MAX_SCHEMA_BYTES: u64 = 16 << 20;

/// Reads a file, or standard input where it is `-`.
///
/// # Errors
/// It can't be read, or is larger than `limit`.
pub(super) fn read(path: &Path, limit: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(limit + 1)
            .read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
    };
    read.with_context(|| format!("{} can't be read", path.display()))?;
    anyhow::ensure!(
        bytes.len() as u64 <= limit,
        "{} is larger than {} MiB",
        path.display(),
        limit >> 20
    );
    Ok(bytes)
}

/// The text of a schema file.
///
/// # Errors
/// As [`read`], or it is not UTF-8.
pub(super) fn read_text(path: &Path) -> anyhow::Result<String> {
    String::from_utf8(read(path, MAX_SCHEMA_BYTES)?)
        .with_context(|| format!("{} is not UTF-8", path.display()))
}

/// A schema in a file.
pub(super) struct SchemaFile {
    /// The file's name, as it was given.
    pub(super) name: String,
    /// Its text.
    pub(super) text: String,
    /// Its language.
    pub(super) kind: SchemaType,
}

impl SchemaFile {
    /// Reads it. Without a type `.proto` is Protobuf and all else Avro.
    ///
    /// # Errors
    /// As [`read_text`].
    pub(super) fn open(path: &Path, kind: Option<SchemaType>) -> anyhow::Result<Self> {
        let by_name = match path.extension().and_then(|e| e.to_str()) {
            Some("proto") => SchemaType::Protobuf,
            _ => SchemaType::Avro,
        };
        Ok(Self {
            name: path.display().to_string(),
            text: read_text(path)?,
            kind: kind.unwrap_or(by_name),
        })
    }

    /// What is sent to the registry.
    pub(super) fn draft<'a>(&'a self, args: &'a DraftArgs) -> Draft<'a> {
        Draft {
            schema: &self.text,
            schema_type: (self.kind != SchemaType::Avro).then(|| self.kind.name()),
            references: &args.references,
        }
    }

    /// Parses an Avro schema; none where it is of another language, which only the registry reads.
    ///
    /// # Errors
    /// The registry can't be asked for what it refers to. The inner error says what is wrong with
    /// the schema.
    pub(super) async fn parse(
        &self,
        subject: &str,
        references: &[Reference],
        strictness: Strictness,
        graphs: &mut Graphs,
    ) -> anyhow::Result<Result<Option<Schema>, Fault>> {
        if self.kind != SchemaType::Avro {
            return Ok(Ok(None));
        }
        let parsed = graphs
            .parse(subject, &self.text, references, strictness)
            .await?;
        Ok(match parsed {
            Ok(schema) => Ok(Some(schema)),
            Err(unusable) => Err(self.fault(&unusable)),
        })
    }

    fn fault(&self, unusable: &Unusable) -> Fault {
        let place = match unusable {
            Unusable::Text(error) => place_of(&self.text, error).or(Some(Position::START)),
            _ => None,
        };
        let message = match unusable {
            Unusable::Text(error) if place.is_some() => error.fault.to_string(),
            other => other.to_string(),
        };
        Fault {
            file: self.name.clone(),
            line: place.map(|p| p.line),
            column: place.map(|p| p.column),
            message,
        }
    }
}

/// Why a file is no schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Fault {
    /// The file.
    pub(super) file: String,
    /// The line, from 1.
    pub(super) line: Option<u32>,
    /// The column, from 1.
    pub(super) column: Option<u32>,
    /// What is wrong there.
    pub(super) message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": the schema does not parse: {}", self.message)
    }
}
