//! apache-avro as a second opinion on data that the validator took.

use apache_avro::reader::datum::GenericDatumReader;
use meshwork_avro::{Schema, Validator};

/// Decodes a valid datum with apache-avro, which must read it to its last byte. Logical
/// types are left out: their ranges are not the validator's concern. A schema that
/// apache-avro does not take is passed over.
///
/// # Panics
/// If apache-avro does not decode it.
pub fn decodes(schema: &Schema, datum: &[u8]) {
    let text = schema.canonical_form();
    // A record may define its own name anew within itself, as in Java; no text stands for that.
    let same = Schema::parse(&text)
        .ok()
        .and_then(|schema| Validator::compile(&schema, None).ok())
        .is_some_and(|validator| validator.validate(datum).is_ok());
    if !same {
        return;
    }
    let Ok(theirs) = apache_avro::Schema::parse_str(&text) else {
        return;
    };
    let Ok(reader) = GenericDatumReader::builder(&theirs).build() else {
        return;
    };
    let mut rest = datum;
    let value = reader.read_value(&mut rest);
    assert!(
        value.is_ok(),
        "{value:?} of {datum:x?} under {}",
        schema.canonical_form()
    );
    assert!(rest.is_empty(), "{} bytes left", rest.len());
}
