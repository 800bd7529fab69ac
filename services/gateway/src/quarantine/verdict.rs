//! Verdicts as headers of a record without value.

use meshwork_model::headers::{REMOVED, REMOVED_BEFORE, SESSION, SOURCE, VERDICT};

use super::kept::SessionKey;
use crate::produce::Verdict;

/// Bytes of one removed record: place and digest.
const REMOVED_BYTES: usize = 8;

/// A verdict that was read, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) key: SessionKey,
    pub(crate) verdict: Verdict,
}

/// The headers of a verdict on a session of `topic`.
pub(crate) fn headers(
    topic: &str,
    key: SessionKey,
    verdict: &Verdict,
) -> Vec<(&'static str, Vec<u8>)> {
    let mut removed = Vec::with_capacity(verdict.removed.len() * REMOVED_BYTES);
    for (place, digest) in &verdict.removed {
        removed.extend_from_slice(&place.to_be_bytes());
        removed.extend_from_slice(&digest.to_be_bytes());
    }
    vec![
        (
            VERDICT,
            format!("{}+{}", verdict.first, verdict.count).into_bytes(),
        ),
        (
            REMOVED_BEFORE,
            verdict.removed_before.to_string().into_bytes(),
        ),
        (REMOVED, removed),
        (SOURCE, format!("{topic}@{}", key.partition).into_bytes()),
        (SESSION, session(key).into_bytes()),
    ]
}

/// The value of a record's session header.
pub(crate) fn session(key: SessionKey) -> String {
    format!("{}:{}", key.producer_id, key.epoch)
}

/// Reads a verdict on a session of `topic`; `header` gives a header's value. `None`: the record is
/// none, or one that is not to be understood.
pub(crate) fn read<'r>(topic: &str, header: impl Fn(&str) -> Option<&'r [u8]>) -> Option<Read> {
    let text = |name| header(name).and_then(|value| std::str::from_utf8(value).ok());
    let (first, count) = text(VERDICT)?.split_once('+')?;
    let (source, partition) = text(SOURCE)?.rsplit_once('@')?;
    let (producer_id, epoch) = text(SESSION)?.split_once(':')?;
    if source != topic {
        return None;
    }
    let (pairs, rest) = header(REMOVED)?.as_chunks::<REMOVED_BYTES>();
    if !rest.is_empty() {
        return None;
    }
    let removed = pairs
        .iter()
        .map(|[a, b, c, d, e, f, g, h]| {
            (
                u32::from_be_bytes([*a, *b, *c, *d]),
                u32::from_be_bytes([*e, *f, *g, *h]),
            )
        })
        .collect::<Vec<_>>();
    let first = first.parse::<i32>().ok().filter(|first| *first >= 0)?;
    let count = count
        .parse::<u32>()
        .ok()
        .filter(|count| i32::try_from(*count).is_ok())?;
    let ascending = removed.is_sorted_by(|a, b| a.0 < b.0);
    if !ascending || removed.last().is_some_and(|(place, _)| *place >= count) {
        return None;
    }
    Some(Read {
        key: SessionKey {
            producer_id: producer_id.parse().ok()?,
            epoch: epoch.parse().ok()?,
            partition: partition.parse().ok()?,
        },
        verdict: Verdict {
            first,
            count,
            removed_before: text(REMOVED_BEFORE)?.parse().ok()?,
            removed,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else_is() {
        let key = SessionKey {
            producer_id: 4_000_000_000,
            epoch: 3,
            partition: 7,
        };
        let verdict = Verdict {
            first: i32::MAX,
            count: 3,
            removed_before: 5_000_000_000,
            removed: vec![(0, 7), (2, u32::MAX)],
        };
        let written = headers("a.b.v1", key, &verdict);
        let get = |written: &[(&'static str, Vec<u8>)], topic: &str| {
            let written = written.to_vec();
            let found = |name: &str| {
                let at = written.iter().find(|(n, _)| *n == name);
                at.map(|(_, value)| value.as_slice())
            };
            read(topic, found)
        };
        assert_eq!(get(&written, "a.b.v1"), Some(Read { key, verdict }));
        assert_eq!(get(&written, "a.b.v2"), None);
        for at in 0..written.len() {
            let mut damaged = written.clone();
            damaged[at].1 = b"x".to_vec();
            assert_eq!(get(&damaged, "a.b.v1"), None, "{}", written[at].0);
            damaged.remove(at);
            assert_eq!(get(&damaged, "a.b.v1"), None, "without {}", written[at].0);
        }
        // Places out of the range or out of order.
        for removed in [[(2, 1), (0, 1)], [(0, 1), (3, 1)]] {
            let verdict = Verdict {
                first: 0,
                count: 3,
                removed_before: 0,
                removed: removed.to_vec(),
            };
            assert_eq!(get(&headers("a.b.v1", key, &verdict), "a.b.v1"), None);
        }
    }
}
