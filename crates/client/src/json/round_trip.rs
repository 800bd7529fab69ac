//! What `decode` prints, `encode` takes back to equal bytes, whatever the schema.

#[path = "../../../avro/tests/support/generator.rs"]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "shared by the tests of two crates"
)]
mod generator;

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use meshwork_avro::Schema;
use proptest::prelude::*;

use super::JsonForm;
use generator::Entropy;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn there_and_back_is_equal_bytes(
        bytes in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        let mut entropy = Entropy::new(&bytes);
        let text = generator::schema(&mut entropy).to_string();
        let schema = Schema::parse(&text).unwrap();
        let Ok(theirs) = apache_avro::Schema::parse_str(&text) else { return Ok(()) };
        let Some(value) = generator::value(&mut entropy, &schema, schema.root(), 0) else {
            return Ok(());
        };
        let writer = GenericDatumWriter::builder(&theirs).build().unwrap();
        let Ok(datum) = writer.write_value_to_vec(value) else { return Ok(()) };

        let form = JsonForm::new(&schema).unwrap();
        let mut line = String::new();
        form.decode(&datum, &mut line).unwrap();
        prop_assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{}", line);
        prop_assert!(!line.contains('\n'));
        let mut again = Vec::new();
        let encoded = form.encode(&line, &mut again);
        prop_assert!(encoded.is_ok(), "{encoded:?} {line} {text}");
        prop_assert_eq!(&again, &datum, "{} {}", line, text);

        // apache-avro understands what was encoded here.
        let reader = GenericDatumReader::builder(&theirs).build().unwrap();
        let mut rest = again.as_slice();
        if reader.read_value(&mut rest).is_ok() {
            prop_assert!(rest.is_empty());
        }
    }

    #[test]
    fn damaged_lines_are_refused_or_make_valid_data(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        at in any::<u16>(),
        with in "[\\[\\]{}\",:0-9a-z\\\\ ]{0,3}",
    ) {
        let mut entropy = Entropy::new(&bytes);
        let text = generator::schema(&mut entropy).to_string();
        let schema = Schema::parse(&text).unwrap();
        let Ok(theirs) = apache_avro::Schema::parse_str(&text) else { return Ok(()) };
        let Some(value) = generator::value(&mut entropy, &schema, schema.root(), 0) else {
            return Ok(());
        };
        let writer = GenericDatumWriter::builder(&theirs).build().unwrap();
        let Ok(datum) = writer.write_value_to_vec(value) else { return Ok(()) };
        let form = JsonForm::new(&schema).unwrap();
        let mut line = String::new();
        form.decode(&datum, &mut line).unwrap();
        let mut at = usize::from(at) % (line.len() + 1);
        while !line.is_char_boundary(at) {
            at -= 1;
        }
        let end = line[at..].chars().next().map_or(at, |point| at + point.len_utf8());
        line.replace_range(at..end, &with);
        let mut encoded = vec![1, 2, 3];
        match form.encode(&line, &mut encoded) {
            Ok(()) => {
                let mut printed = String::new();
                prop_assert_eq!(form.decode(&encoded[3..], &mut printed), Ok(()));
            }
            Err(_) => prop_assert_eq!(encoded, [1, 2, 3]),
        }
    }
}
