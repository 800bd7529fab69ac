//! Records of about 1 KB, as orders have them: numbers, enums, optional fields, a list, free text.

use meshwork_model::name::SchemaId;
use meshwork_wire::varint::write_i64;

/// The records' schema.
pub const SCHEMA: &str = r#"{"type":"record","name":"Order","namespace":"bench","fields":[
    {"name":"id","type":"string"},
    {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"customer","type":"long"},
    {"name":"status","type":{"type":"enum","name":"Status","symbols":["NEW","PAID","SENT"]}},
    {"name":"total","type":"double"},
    {"name":"discount","type":["null","double"],"default":null},
    {"name":"gift","type":"boolean"},
    {"name":"street","type":"string"},
    {"name":"city","type":"string"},
    {"name":"lines","type":{"type":"array","items":{"type":"record","name":"Line","fields":[
        {"name":"sku","type":"string"},{"name":"count","type":"int"},{"name":"price","type":"double"}]}}},
    {"name":"note","type":["null","string"],"default":null}]}"#;

/// The schema of records of about 100 bytes, as sensors send them.
pub const SMALL_SCHEMA: &str = r#"{"type":"record","name":"Reading","namespace":"bench","fields":[
    {"name":"id","type":"string"},
    {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"kind","type":{"type":"enum","name":"Kind","symbols":["HEAT","LIGHT","NOISE"]}},
    {"name":"value","type":"double"},
    {"name":"place","type":["null","string"],"default":null}]}"#;

const LINES: i64 = 8;

fn text(out: &mut Vec<u8>, text: &str) {
    write_i64(out, i64::try_from(text.len()).unwrap_or(0));
    out.extend_from_slice(text.as_bytes());
}

/// Free text that differs from record to record and packs as text does.
fn note(n: i64) -> String {
    const WORDS: [&str; 16] = [
        "please",
        "deliver",
        "before",
        "noon",
        "leave",
        "with",
        "neighbour",
        "if",
        "nobody",
        "answers",
        "the",
        "door",
        "fragile",
        "handle",
        "care",
        "thanks",
    ];
    let mut state = n.unsigned_abs().wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut note = String::with_capacity(720);
    while note.len() < 700 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let word = usize::try_from(state >> 60).unwrap_or(0);
        note.push_str(WORDS.get(word).copied().unwrap_or("thanks"));
        note.push(' ');
    }
    note
}

/// Key and framed value of record `n`, with event time `at` (ms since 1970).
#[must_use]
pub fn framed(id: SchemaId, n: i64, at: i64) -> (String, Vec<u8>) {
    let key = format!("order-{n:012}");
    let mut out = vec![0];
    out.extend_from_slice(&id.get().to_be_bytes());
    text(&mut out, &key);
    write_i64(&mut out, at);
    write_i64(&mut out, 1_000_000 + n);
    write_i64(&mut out, n % 3);
    out.extend_from_slice(&199.95f64.to_le_bytes());
    write_i64(&mut out, 1);
    out.extend_from_slice(&0.05f64.to_le_bytes());
    out.push(1);
    text(&mut out, "221b Baker Street");
    text(&mut out, "Zürich");
    write_i64(&mut out, LINES);
    for line in 0..LINES {
        text(&mut out, &format!("sku-{:08}", n * LINES + line));
        write_i64(&mut out, line + 1);
        out.extend_from_slice(&24.99f64.to_le_bytes());
    }
    write_i64(&mut out, 0);
    write_i64(&mut out, 1);
    text(&mut out, &note(n));
    (key, out)
}

/// The same record as a JSON line.
#[must_use]
pub fn json(n: i64, at: i64) -> String {
    let lines: Vec<String> = (0..LINES)
        .map(|line| {
            format!(
                r#"{{"sku":"sku-{:08}","count":{},"price":24.99}}"#,
                n * LINES + line,
                line + 1
            )
        })
        .collect();
    let status = ["NEW", "PAID", "SENT"]
        .get(usize::try_from(n % 3).unwrap_or(0))
        .copied()
        .unwrap_or("NEW");
    format!(
        r#"{{"id":"order-{n:012}","at":{at},"customer":{},"status":"{status}","total":199.95,"discount":0.05,"gift":true,"street":"221b Baker Street","city":"Zürich","lines":[{}],"note":"{}"}}"#,
        1_000_000 + n,
        lines.join(","),
        note(n)
    )
}

/// Where small record `n` was taken.
fn place(n: i64) -> String {
    format!(
        "hall {}, row {}, shelf {}, north side, {:08x}",
        n % 7,
        n % 31,
        n % 101,
        n * 2_654_435_761 % 4_294_967_296
    )
}

/// Key and framed value of small record `n`, with event time `at` (ms since 1970).
#[must_use]
pub fn small_framed(id: SchemaId, n: i64, at: i64) -> (String, Vec<u8>) {
    let key = format!("r{n:08}");
    let mut out = vec![0];
    out.extend_from_slice(&id.get().to_be_bytes());
    text(&mut out, &key);
    write_i64(&mut out, at);
    write_i64(&mut out, n % 3);
    out.extend_from_slice(&21.5f64.to_le_bytes());
    write_i64(&mut out, 1);
    text(&mut out, &place(n));
    (key, out)
}

/// About as many bytes of JSON as [`small_framed`] has of Avro.
#[must_use]
pub fn small_json(n: i64, at: i64) -> String {
    format!(
        r#"{{"id":"r{n:08}","at":{at},"kind":"HEAT","value":21.5,"place":"hall {}"}}"#,
        n % 7
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshwork_avro::{Schema, Validator};

    #[test]
    fn small_records_are_good_and_of_about_100_bytes_in_both_forms() {
        let schema = Schema::parse(SMALL_SCHEMA).expect("parses");
        let validator = Validator::compile(&schema, Some("at")).expect("compiles");
        let id = SchemaId::new(7).expect("an id");
        for n in [0, 1, 12_345] {
            let (key, value) = small_framed(id, n, 1_700_000_000_000);
            let size = key.len() + value.len();
            assert!((85..=110).contains(&size), "{size}");
            let valid = validator.validate(value.get(5..).expect("framed"));
            assert_eq!(valid.expect("valid").event_time, Some(1_700_000_000_000));
            let json = small_json(n, 1_700_000_000_000);
            serde_json::from_str::<serde_json::Value>(&json).expect("JSON");
            assert!((75..=110).contains(&json.len()), "{}", json.len());
        }
    }

    #[test]
    fn records_are_good_and_of_about_a_kilobyte_in_both_forms() {
        let schema = Schema::parse(SCHEMA).expect("parses");
        let validator = Validator::compile(&schema, Some("at")).expect("compiles");
        let id = SchemaId::new(7).expect("an id");
        let form = meshwork_client::JsonForm::new(&schema).expect("compiles");
        for n in [0, 1, 12_345] {
            let (_, value) = framed(id, n, 5);
            assert!((900..1_150).contains(&value.len()), "{}", value.len());
            let datum = value.get(5..).expect("framed");
            let valid = validator.validate(datum).expect("valid");
            assert_eq!(valid.event_time, Some(5));
            let mut encoded = Vec::new();
            form.encode(&json(n, 5), &mut encoded).expect("encodes");
            assert_eq!(encoded, datum);
        }
    }
}
