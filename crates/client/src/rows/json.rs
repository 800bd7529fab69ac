//! A JSON line made into key and framed value, as the product's contract has them.

use std::fmt;

use meshwork_avro::Schema;
use meshwork_model::mesh::ProductAnnouncement;
use meshwork_model::mesh::announcement::RegisteredSchema;
use meshwork_model::name::{NameError, SchemaId};
use meshwork_pipeline::{Reason, Refusal};
use meshwork_registry_client::{RegistryClient, RegistryClientError, frame};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::json::{JsonEncoder, JsonForm};
use crate::schemas::parse_stored;

/// Why lines can't be made into records of a product at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RowsError {
    /// The registry could not be asked.
    #[error(transparent)]
    Registry(#[from] RegistryClientError),
    /// The announced id is out of range.
    #[error(transparent)]
    Id(#[from] NameError),
    /// The schema can't be used to encode.
    #[error("schema {id} of subject {subject} can't be used to encode: {why}")]
    Schema {
        /// Its id.
        id: i32,
        /// Its subject.
        subject: String,
        /// Why.
        why: String,
    },
}

/// A line as a record, borrowed until the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// Key: the primary key's text, or framed Avro under the key's schema.
    pub key: Option<&'a [u8]>,
    /// Framed Avro.
    pub value: &'a [u8],
}

/// Makes records of JSON lines, one after the other, in memory that it keeps.
#[derive(Debug)]
pub struct JsonRows {
    schema: Schema,
    encoder: JsonEncoder,
    frame: [u8; 5],
    key: KeyForm,
    columns: Vec<String>,
    key_bytes: Vec<u8>,
    value_bytes: Vec<u8>,
    key_text: String,
}

#[derive(Debug)]
enum KeyForm {
    None,
    Text,
    Avro {
        frame: [u8; 5],
        encoder: JsonEncoder,
    },
}

impl JsonRows {
    /// For a product, under the schemas that it announces.
    ///
    /// # Errors
    /// See [`RowsError`].
    pub async fn open(
        registry: &RegistryClient,
        product: &ProductAnnouncement,
    ) -> Result<Self, RowsError> {
        let value = load(registry, &product.value_schema).await?;
        let key = match &product.key_schema {
            None => None,
            Some(schema) => Some((schema.schema_id()?, load(registry, schema).await?)),
        };
        Self::new(
            product.value_schema.schema_id()?,
            &value,
            key,
            &product.key_columns,
        )
    }

    /// From schemas at hand. `key_columns` are fields of the value, dotted within records.
    ///
    /// # Errors
    /// A schema that can't be used to encode.
    pub fn new(
        value_id: SchemaId,
        value: &Schema,
        key: Option<(SchemaId, Schema)>,
        key_columns: &[String],
    ) -> Result<Self, RowsError> {
        let form = |id: SchemaId, schema: &Schema| {
            JsonForm::new(schema).map_err(|error| RowsError::Schema {
                id: id.as_i32(),
                subject: String::new(),
                why: error.to_string(),
            })
        };
        let key = match (key, key_columns.len()) {
            (Some((id, schema)), _) => KeyForm::Avro {
                frame: frame(id),
                encoder: form(id, &schema)?.encoder(),
            },
            (None, 0) => KeyForm::None,
            (None, _) => KeyForm::Text,
        };
        Ok(Self {
            encoder: form(value_id, value)?.encoder(),
            schema: value.clone(),
            frame: frame(value_id),
            key,
            columns: key_columns.to_vec(),
            key_bytes: Vec::new(),
            value_bytes: Vec::new(),
            key_text: String::new(),
        })
    }

    /// The value's schema.
    #[must_use]
    pub const fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Encodes one line.
    ///
    /// # Errors
    /// Which field does not fit, and why ([`Reason::Line`]), or what is wrong with the key's columns
    /// ([`Reason::Key`]).
    pub fn row(&mut self, line: &str) -> Result<Row<'_>, Refusal> {
        self.value_bytes.clear();
        self.value_bytes.extend_from_slice(&self.frame);
        self.encoder
            .encode(line, &mut self.value_bytes)
            .map_err(|fault| {
                Refusal::new(Reason::Line, fault.reason.to_string()).path(fault.path)
            })?;
        let key = self.encode_key(line)?;
        Ok(Row {
            key: key.then_some(&self.key_bytes),
            value: &self.value_bytes,
        })
    }

    /// The key of a line whose value fits nothing, as far as it can be told: quarantine keeps it.
    pub fn key_of(&mut self, line: &str) -> Option<&[u8]> {
        match self.encode_key(line) {
            Ok(true) => Some(&self.key_bytes),
            _ => None,
        }
    }

    fn encode_key(&mut self, line: &str) -> Result<bool, Refusal> {
        self.key_bytes.clear();
        if matches!(self.key, KeyForm::None) {
            return Ok(false);
        }
        let picked = pick(line, &self.columns)?;
        match &mut self.key {
            KeyForm::None => return Ok(false),
            KeyForm::Text => {
                let text = match (picked.first().copied().flatten(), self.columns.first()) {
                    (Some(raw), _) => raw.get(),
                    (None, column) => return Err(missing(column.map_or("", String::as_str))),
                };
                if text.starts_with('"') {
                    let text: std::borrow::Cow<'_, str> = serde_json::from_str::<Text<'_>>(text)
                        .map_err(|e| not_json(&e))?
                        .0;
                    self.key_bytes.extend_from_slice(text.as_bytes());
                } else if text == "null" || text.starts_with(['{', '[']) {
                    return Err(missing(self.columns.first().map_or("", String::as_str)));
                } else {
                    self.key_bytes.extend_from_slice(text.as_bytes());
                }
            }
            KeyForm::Avro { frame, encoder } => {
                self.key_text.clear();
                self.key_text.push('{');
                for (column, raw) in self.columns.iter().zip(&picked) {
                    let Some(raw) = raw else {
                        return Err(missing(column));
                    };
                    if self.key_text.len() > 1 {
                        self.key_text.push(',');
                    }
                    let name = column.rsplit('.').next().unwrap_or(column);
                    meshwork_avro::write_string(name, &mut self.key_text);
                    self.key_text.push(':');
                    self.key_text.push_str(raw.get());
                }
                self.key_text.push('}');
                self.key_bytes.extend_from_slice(frame);
                encoder
                    .encode(&self.key_text, &mut self.key_bytes)
                    .map_err(|fault| {
                        Refusal::new(Reason::Key, format!("key: {}", fault.reason)).path(fault.path)
                    })?;
            }
        }
        Ok(true)
    }
}

async fn load(
    registry: &RegistryClient,
    announced: &RegisteredSchema,
) -> Result<Schema, RowsError> {
    let stored = registry.schema(announced.schema_id()?).await?;
    parse_stored(registry, &stored.text, &stored.references)
        .await?
        .map_err(|why| RowsError::Schema {
            id: announced.id,
            subject: announced.subject.clone(),
            why,
        })
}

fn missing(column: &str) -> Refusal {
    Refusal::new(
        Reason::Key,
        format!("key column {column} is missing, null or no single value"),
    )
    .path(format!("/{}", column.replace('.', "/")))
}

fn not_json(error: &serde_json::Error) -> Refusal {
    Refusal::new(Reason::Line, format!("not JSON: {error}"))
}

#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] std::borrow::Cow<'a, str>);

/// The raw JSON of some members, dotted within objects; the rest is skipped.
fn pick<'a>(line: &'a str, columns: &[String]) -> Result<Vec<Option<&'a RawValue>>, Refusal> {
    let mut found = vec![None; columns.len()];
    let paths: Vec<(usize, &str)> = columns.iter().map(String::as_str).enumerate().collect();
    let mut reader = serde_json::Deserializer::from_str(line);
    Pick {
        paths: &paths,
        found: &mut found,
    }
    .deserialize(&mut reader)
    .map_err(|error| not_json(&error))?;
    Ok(found)
}

struct Pick<'p, 'a> {
    paths: &'p [(usize, &'p str)],
    found: &'p mut Vec<Option<&'a RawValue>>,
}

impl<'a> DeserializeSeed<'a> for Pick<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Pick<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(name)) = map.next_key::<Text<'_>>()? {
            let whole = self.paths.iter().find(|(_, path)| *path == name);
            if let Some((i, _)) = whole {
                let raw: &RawValue = map.next_value()?;
                if let Some(place) = self.found.get_mut(*i) {
                    *place = Some(raw);
                }
                continue;
            }
            let within: Vec<(usize, &str)> = self
                .paths
                .iter()
                .filter_map(|(i, path)| {
                    let (first, rest) = path.split_once('.')?;
                    (first == name).then_some((*i, rest))
                })
                .collect();
            if within.is_empty() {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let raw: &RawValue = map.next_value()?;
            let mut inner = serde_json::Deserializer::from_str(raw.get());
            // What is no object has no such member: it stays missing.
            let _ = Pick {
                paths: &within,
                found: self.found,
            }
            .deserialize(&mut inner);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUE: &str = r#"{"type":"record","name":"F","fields":[
        {"name":"id","type":"string"},{"name":"n","type":["null","int"],"default":null},
        {"name":"in","type":["null",{"type":"record","name":"I","fields":[{"name":"k","type":"string"}]}],"default":null}]}"#;
    const KEY: &str = r#"{"type":"record","name":"K","fields":[
        {"name":"id","type":"string"},{"name":"n","type":"int"}]}"#;

    fn rows(key: Option<&str>, columns: &[&str]) -> JsonRows {
        let id = |n| SchemaId::new(n).unwrap();
        JsonRows::new(
            id(7),
            &Schema::parse(VALUE).unwrap(),
            key.map(|text| (id(9), Schema::parse(text).unwrap())),
            &columns.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>(),
        )
        .unwrap()
    }

    #[test]
    fn keys_are_the_text_of_the_single_column() {
        for (columns, line, key) in [
            (&[][..], r#"{"id":"a"}"#, None),
            (&["id"], r#"{"n":1,"id":"a\u00e9\n"}"#, Some("aé\n")),
            (&["n"], r#"{"id":"a","n":12}"#, Some("12")),
            (&["in.k"], r#"{"in":{"k":"deep"},"id":"a"}"#, Some("deep")),
        ] {
            let mut rows = rows(None, columns);
            let row = rows.row(line).unwrap();
            assert_eq!(row.key, key.map(str::as_bytes), "{line}");
            assert!(row.value.starts_with(&[0, 0, 0, 0, 7]));
        }
        let mut rows = rows(None, &["id"]);
        assert_eq!(
            rows.row(r#"{"id":"a"}"#).unwrap().value,
            b"\0\0\0\0\x07\x02a\0\0"
        );
    }

    #[test]
    fn keys_of_several_columns_are_avro() {
        let mut rows = rows(Some(KEY), &["id", "n"]);
        let row = rows.row(r#"{"n":3,"id":"a"}"#).unwrap();
        assert_eq!(row.key, Some(&b"\0\0\0\0\x09\x02a\x06"[..]));
        let refusal = rows.row(r#"{"id":"a"}"#).unwrap_err();
        assert_eq!(
            (refusal.reason, refusal.path.as_deref()),
            (Reason::Key, Some("/n"))
        );
    }

    #[test]
    fn what_does_not_fit_says_where() {
        let mut rows = rows(None, &["id"]);
        for (line, reason, path) in [
            (r#"{"id":1}"#, Reason::Line, "/id"),
            (r#"{"id":"a","n":"x"}"#, Reason::Line, "/n"),
            ("{", Reason::Line, ""),
            ("", Reason::Line, ""),
        ] {
            let refusal = rows.row(line).unwrap_err();
            assert_eq!(
                (refusal.reason, refusal.path.as_deref()),
                (reason, Some(path)),
                "{line}"
            );
        }
        assert_eq!(rows.key_of(r#"{"id":"a","n":"x"}"#), Some(&b"a"[..]));
        assert_eq!(rows.key_of("nonsense"), None);
    }
}
