//! CSV rows as JSON lines: which column fills which field, and what stands for "not available".

use std::collections::BTreeSet;
use std::io::{self, Read};

use ::csv::{Reader, ReaderBuilder, StringRecord};
use meshwork_avro::{Kind, NodeId, Schema, write_string};

use super::input::{Batch, MAX_LINE_BYTES};

/// Which columns fill which fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvMapping {
    /// Column and field, in any order. Empty: every column fills the field of its own name.
    pub columns: Vec<(String, String)>,
    /// Texts that stand for null where a field takes null. Default: `NA` and the empty text.
    pub not_available: BTreeSet<String>,
}

impl Default for CsvMapping {
    fn default() -> Self {
        Self {
            columns: Vec::new(),
            not_available: ["NA", ""].map(str::to_owned).into(),
        }
    }
}

/// A mapping that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no mapping; write column=field, comma-separated")]
pub struct CsvMappingError(String);

impl std::str::FromStr for CsvMapping {
    type Err = CsvMappingError;

    /// `column=field,column=field`; a name alone stands for both.
    fn from_str(text: &str) -> Result<Self, CsvMappingError> {
        let mut columns = Vec::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (column, field) = part.split_once('=').unwrap_or((part, part));
            if column.is_empty() || field.is_empty() {
                return Err(CsvMappingError(part.to_owned()));
            }
            columns.push((column.to_owned(), field.to_owned()));
        }
        Ok(Self {
            columns,
            ..Self::default()
        })
    }
}

/// Why CSV can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CsvReadError {
    /// The rows.
    #[error("CSV can't be read")]
    Csv(#[from] ::csv::Error),
    /// The mapping names a column that the header row has not.
    #[error("there is no column `{column}`; the header row has: {there}")]
    NoColumn {
        /// As the mapping has it.
        column: String,
        /// The header row.
        there: String,
    },
    /// The mapping, or a column, names a field that the schema has not.
    #[error(
        "column `{column}` is to fill field `{field}`, which the schema has not; map the columns with column=field"
    )]
    NoField {
        /// The column.
        column: String,
        /// The field.
        field: String,
    },
    /// The schema is not a record.
    #[error("CSV needs a schema that is a record")]
    NoRecord,
}

/// How a column's text is to be written in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As it is, if it is a number or boolean; else in quotes.
    Plain,
    /// In quotes.
    Text,
}

#[derive(Debug)]
struct Column {
    index: usize,
    field: String,
    form: Form,
    nullable: bool,
}

/// Counts what was read since the last row, so that one quote left open does not swallow the file
/// into memory.
struct Metered<R> {
    inner: R,
    left: usize,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a row is longer than {MAX_LINE_BYTES} bytes; is a quote left open?"),
            ));
        }
        let read = self.inner.read(buffer)?;
        self.left = self.left.saturating_sub(read);
        Ok(read)
    }
}

pub(super) struct CsvSource<'m, R> {
    reader: Reader<Metered<R>>,
    columns: Vec<Column>,
    not_available: &'m BTreeSet<String>,
    row: StringRecord,
    text: String,
}

impl<'m, R: Read> CsvSource<'m, R> {
    pub(super) fn new(
        reader: R,
        mapping: &'m CsvMapping,
        schema: &Schema,
    ) -> Result<Self, CsvReadError> {
        let mut reader = ReaderBuilder::new().from_reader(Metered {
            inner: reader,
            left: MAX_LINE_BYTES,
        });
        let header = reader.headers()?.clone();
        let Kind::Record(record) = &schema.node(schema.root()).kind else {
            return Err(CsvReadError::NoRecord);
        };
        let own: Vec<(String, String)>;
        let pairs = if mapping.columns.is_empty() {
            own = header
                .iter()
                .map(|name| (name.to_owned(), name.to_owned()))
                .collect();
            &own
        } else {
            &mapping.columns
        };
        let mut columns = Vec::with_capacity(pairs.len());
        for (column, field) in pairs {
            let index = header
                .iter()
                .position(|name| name == column)
                .ok_or_else(|| CsvReadError::NoColumn {
                    column: column.clone(),
                    there: header.iter().collect::<Vec<_>>().join(", "),
                })?;
            let found = record
                .fields
                .iter()
                .find(|f| f.name == *field)
                .ok_or_else(|| CsvReadError::NoField {
                    column: column.clone(),
                    field: field.clone(),
                })?;
            let (form, nullable) = form(schema, found.node);
            columns.push(Column {
                index,
                field: field.clone(),
                form,
                nullable,
            });
        }
        Ok(Self {
            reader,
            columns,
            not_available: &mapping.not_available,
            row: StringRecord::new(),
            text: String::new(),
        })
    }

    /// Adds the next row to `batch`; false at the end.
    pub(super) fn next(&mut self, batch: &mut Batch) -> Result<bool, CsvReadError> {
        self.reader.get_mut().left = MAX_LINE_BYTES;
        if !self.reader.read_record(&mut self.row)? {
            return Ok(false);
        }
        let line = self.row.position().map_or(0, ::csv::Position::line);
        self.text.clear();
        self.text.push('{');
        for (i, column) in self.columns.iter().enumerate() {
            if i > 0 {
                self.text.push(',');
            }
            write_string(&column.field, &mut self.text);
            self.text.push(':');
            let cell = self.row.get(column.index).unwrap_or_default();
            if self.not_available.contains(cell) && (column.nullable || column.form == Form::Plain)
            {
                self.text.push_str("null");
            } else if column.form == Form::Plain && is_plain(cell) {
                self.text.push_str(cell);
            } else {
                write_string(cell, &mut self.text);
            }
        }
        self.text.push('}');
        batch.push(line, None, self.text.as_bytes());
        Ok(true)
    }
}

fn form(schema: &Schema, node: NodeId) -> (Form, bool) {
    match &schema.node(node).kind {
        Kind::Union(branches) => {
            let is_null = |id: &NodeId| matches!(schema.node(*id).kind, Kind::Null);
            let nullable = branches.iter().any(is_null);
            let plain = branches
                .iter()
                .filter(|id| !is_null(id))
                .all(|id| form(schema, *id).0 == Form::Plain);
            (if plain { Form::Plain } else { Form::Text }, nullable)
        }
        Kind::Null | Kind::Boolean | Kind::Int | Kind::Long | Kind::Float | Kind::Double => {
            (Form::Plain, matches!(schema.node(node).kind, Kind::Null))
        }
        _ => (Form::Text, false),
    }
}

/// Whether JSON takes the text as a number or a boolean. Times such as `2013-01-01T05:00:00Z` for a
/// long are not, and go in quotes.
fn is_plain(text: &str) -> bool {
    matches!(text, "true" | "false") || serde_json::from_str::<serde_json::Number>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = r#"{"type":"record","name":"F","fields":[
        {"name":"carrier","type":"string"},
        {"name":"delay","type":["null","double"],"default":null},
        {"name":"tail","type":["null","string"],"default":null},
        {"name":"seats","type":"int"},
        {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}}]}"#;

    fn read(text: &str, mapping: &str) -> Result<Vec<(u64, String)>, CsvReadError> {
        let schema = Schema::parse(SCHEMA).unwrap();
        let mapping: CsvMapping = mapping.parse().unwrap();
        let mut source = CsvSource::new(text.as_bytes(), &mapping, &schema)?;
        let mut batch = Batch::default();
        while source.next(&mut batch)? {}
        Ok(batch
            .iter()
            .map(|i| (i.number, String::from_utf8(i.value.to_vec()).unwrap()))
            .collect())
    }

    #[test]
    fn columns_fill_fields_in_the_form_that_their_type_takes() {
        let rows = read(
            "c,dep_delay,tail,seats,at,other\n\
             UA,2,N14,55,2013-01-01T05:00:00Z,x\n\
             NA,NA,NA,NA,1357016400000,y\n\
             \"A \"\"B\"\"\",-1.5,,twelve,0,z\n",
            "c=carrier,dep_delay=delay,tail,seats,at",
        )
        .unwrap();
        assert_eq!(
            rows,
            [
                (2, r#"{"carrier":"UA","delay":2,"tail":"N14","seats":55,"at":"2013-01-01T05:00:00Z"}"#.to_owned()),
                (3, r#"{"carrier":"NA","delay":null,"tail":null,"seats":null,"at":1357016400000}"#.to_owned()),
                (4, r#"{"carrier":"A \"B\"","delay":-1.5,"tail":null,"seats":"twelve","at":0}"#.to_owned()),
            ]
        );
    }

    #[test]
    fn a_mapping_that_fits_neither_side_is_named() {
        let error = read("a,b\n1,2\n", "x=carrier").unwrap_err().to_string();
        assert!(error.contains("`x`") && error.contains("a, b"), "{error}");
        let error = read("a,b\n1,2\n", "a=flight").unwrap_err().to_string();
        assert!(error.contains("`flight`"), "{error}");
        let error = read("carrier,nonsense\n1,2\n", "").unwrap_err().to_string();
        assert!(error.contains("`nonsense`"), "{error}");
        assert!("=x".parse::<CsvMapping>().is_err());
    }

    #[test]
    fn a_quote_left_open_does_not_fill_the_memory() {
        let schema = Schema::parse(SCHEMA).unwrap();
        let mapping: CsvMapping = "c=carrier".parse().unwrap();
        let reader = io::Cursor::new(b"c\n\"".to_vec()).chain(io::repeat(b'x'));
        let mut source = CsvSource::new(reader, &mapping, &schema).unwrap();
        let error = source.next(&mut Batch::default()).unwrap_err();
        let CsvReadError::Csv(inner) = error else {
            panic!("{error}");
        };
        assert!(inner.to_string().contains("quote"), "{inner}");
    }
}
