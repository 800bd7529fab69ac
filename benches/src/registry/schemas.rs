//! Schemas as teams have them, and requests with them.

use std::fmt::Write as _;

use bytes::Bytes;
use serde_json::json;

use super::wire::request;
use crate::records;

/// An order's schema, of about 1 KB; each `n` gives a content of its own and of the same length.
#[must_use]
pub(super) fn order(n: usize) -> String {
    records::SCHEMA.replace("\"Order\"", &format!("\"Order{n:09}\""))
}

/// Registers a text under a subject; `api` is where the server has Confluent's API.
#[must_use]
pub(super) fn registration(api: &str, subject: &str, text: &str) -> Bytes {
    let body = json!({ "schema": text }).to_string();
    request(
        "POST",
        &format!("{api}/subjects/{subject}/versions"),
        Some(&body),
    )
}

/// Registrations of new orders under new subjects, from `first` on, for each of `connections`.
#[must_use]
pub(super) fn registrations(
    api: &str,
    first: usize,
    connections: usize,
    each: usize,
) -> Vec<Vec<Bytes>> {
    (0..connections)
        .map(|connection| {
            (0..each)
                .map(|n| {
                    let n = first + connection * each + n;
                    registration(api, &format!("bench.orders.{n:09}-value"), &order(n))
                })
                .collect()
        })
        .collect()
}

/// A record of 200 fields. Its versions are compatible in both directions: each has one optional
/// field, at another place, that no other version has.
#[must_use]
pub(super) fn wide(version: usize, doc: &str) -> String {
    let mut text =
        format!(r#"{{"type":"record","name":"Wide","namespace":"bench","doc":"{doc}","fields":["#);
    for n in 0..200 {
        let (name, kind) = match n % 4 {
            0 if n / 4 == version % 50 => (
                format!("f{n:03}_{version}"),
                r#"["null","string"],"default":null"#,
            ),
            0 => (format!("f{n:03}"), r#"["null","string"],"default":null"#),
            1 => (format!("f{n:03}"), r#""long""#),
            2 => (format!("f{n:03}"), r#"{"type":"array","items":"double"}"#),
            _ => (format!("f{n:03}"), r#""string""#),
        };
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(text, r#"{comma}{{"name":"{name}","type":{kind}}}"#);
    }
    text + "]}"
}

/// Version `version` (from 1 on) of subject `subject` in a log of many: one field more each time.
#[must_use]
pub(super) fn grown(subject: usize, version: usize) -> String {
    let mut text = format!(
        r#"{{"type":"record","name":"Event{subject:06}","namespace":"com.example.bench","fields":[{{"name":"id","type":"string"}},{{"name":"at","type":{{"type":"long","logicalType":"timestamp-millis"}}}}"#
    );
    for n in 1..version {
        let _ = write!(
            text,
            r#",{{"name":"added_{n}","type":["null","string"],"default":null}}"#
        );
    }
    text + "]}"
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshwork_avro::Schema;
    use meshwork_avro::compatibility::incompatibilities;

    #[test]
    fn they_parse_and_are_what_they_are_said_to_be() {
        assert_eq!(order(1).len(), order(999_999_999).len());
        Schema::parse(&order(1)).expect("an order");
        Schema::parse(&grown(7, 10)).expect("an event");
        let text: serde_json::Value = serde_json::from_str(&wide(3, "")).expect("JSON");
        assert_eq!(text["fields"].as_array().map(Vec::len), Some(200));
        let all: Vec<Schema> = (0..51)
            .map(|v| Schema::parse(&wide(v, "d")).expect("parses"))
            .collect();
        let candidate = &all[50];
        for version in &all {
            assert_eq!(incompatibilities(candidate, version), []);
            assert_eq!(incompatibilities(version, candidate), []);
        }
    }
}
