//! The producer that breaks the contract: forty records, each with a key of its own, each wrong in
//! one of eight ways; and one attempt to register an incompatible schema.

use meshwork_model::time::Timestamp;

use crate::flights::timetable::BEGIN;

/// How many bad records there are.
pub const BAD_RECORDS: usize = 40;

/// 18 h 30 min apart, so that they are spread over the month's days and nights.
const STEP_MS: i64 = 66_600_000;

/// A record that must not reach the product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRecord {
    /// When it is sent.
    pub due: Timestamp,
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: Vec<u8>,
}

/// Makes them from an honest record: `good` is a framed departure, `foreign_id` the schema id of
/// another product.
#[must_use]
pub fn bad_records(good: &[u8], foreign_id: u32) -> Vec<BadRecord> {
    (0..BAD_RECORDS)
        .map(|n| BadRecord {
            due: BEGIN.plus_millis(i64::try_from(n).unwrap_or(0) * STEP_MS + 3_600_000),
            key: format!("bad/{:02}", n + 1),
            value: spoil(good, n % 8, foreign_id),
        })
        .collect()
}

/// The prefix of Confluent's wire format: a zero and the schema's id, big-endian.
const PREFIX: usize = 5;

fn spoil(good: &[u8], way: usize, foreign_id: u32) -> Vec<u8> {
    let mut value = good.to_vec();
    let with_id = |id: u32| {
        let mut value = good.to_vec();
        for (to, from) in value.iter_mut().skip(1).zip(id.to_be_bytes()) {
            *to = from;
        }
        value
    };
    match way {
        // Cut short in the middle of the datum.
        0 => value.truncate(PREFIX + (good.len().saturating_sub(PREFIX)) / 2),
        // A byte too many.
        1 => value.push(0),
        // Not Confluent's framing at all: somebody sent JSON.
        2 => value = br#"{"flight_id":"2013-01-01/UA/1545"}"#.to_vec(),
        // An id that no registry knows.
        3 => value = with_id(0x7fff_0000),
        // The schema of another product.
        4 => value = with_id(foreign_id),
        // The first string is not UTF-8.
        5 => {
            if let Some(byte) = value.get_mut(PREFIX + 1) {
                *byte = 0xff;
            }
        }
        // The first string has a negative length.
        6 => {
            if let Some(byte) = value.get_mut(PREFIX) {
                *byte = 0x01;
            }
        }
        // The prefix alone.
        _ => value.truncate(PREFIX),
    }
    value
}

/// A version of the departures' schema that breaks its readers: a new field without a default.
#[must_use]
pub fn incompatible_schema(current: &str) -> Option<String> {
    let mut schema: serde_json::Value = serde_json::from_str(current).ok()?;
    schema
        .get_mut("fields")?
        .as_array_mut()?
        .push(serde_json::json!({
            "name": "gate", "type": "string"
        }));
    Some(schema.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::flights::timetable::END;

    #[test]
    fn forty_keys_within_the_month_and_none_like_the_good_one() {
        let good = [&[0, 0, 0, 0, 1, 8][..], b"abcd", &[2, 4, 6, 8]].concat();
        let bad = bad_records(&good, 9);
        assert_eq!(bad.len(), BAD_RECORDS);
        assert_eq!(
            bad.iter().map(|b| &b.key).collect::<HashSet<_>>().len(),
            BAD_RECORDS
        );
        assert!(
            bad.iter()
                .all(|b| BEGIN < b.due && b.due < END && b.value != good)
        );
        assert!(
            bad.iter().all(|b| b.due.as_millis() % 60_000 == 0),
            "on whole minutes"
        );
    }
}
