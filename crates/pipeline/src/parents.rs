//! The header `mesh-parents`: which records a record was made from.
//!
//! `<topic>@<partition>:<offset>` or `…:<from>-<to>`, comma-separated, at most 16 and at most 1 KiB,
//! a last `+N` for N more. It is a client's claim.

use meshwork_model::headers::{PARENTS_MAX, PARENTS_MAX_BYTES};

/// Longest topic name in Kafka.
const TOPIC_MAX: usize = 249;

/// Records of one partition that a record was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parent<'a> {
    /// Topic.
    pub topic: &'a str,
    /// Partition.
    pub partition: i32,
    /// First offset.
    pub from: i64,
    /// Last offset, included.
    pub to: i64,
}

/// A well-formed value of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parents<'a> {
    listed: &'a str,
    /// How many more there are than those listed.
    pub more: u64,
}

impl<'a> Parents<'a> {
    /// Reads a value; none if it is malformed or beyond the limits.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        if value.len() > PARENTS_MAX_BYTES {
            return None;
        }
        let text = std::str::from_utf8(value).ok()?;
        let (listed, more) = match text.rsplit_once(",+") {
            Some((listed, more)) => (listed, number(more)?),
            None => (text, 0),
        };
        let mut count = 0;
        for part in listed.split(',') {
            parent(part)?;
            count += 1;
        }
        (count <= PARENTS_MAX).then_some(Self {
            listed,
            more: u64::try_from(more).ok()?,
        })
    }

    /// Those listed, as they were written.
    #[must_use]
    pub const fn text(&self) -> &'a str {
        self.listed
    }

    /// Those listed, in order.
    pub fn iter(&self) -> impl Iterator<Item = Parent<'a>> + Clone + use<'a> {
        self.listed.split(',').filter_map(parent)
    }
}

/// Digits only, and no zeros in front: one way to write each number.
fn number(text: &str) -> Option<i64> {
    let plain = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten()
}

fn parent(text: &str) -> Option<Parent<'_>> {
    let (topic, place) = text.split_once('@')?;
    let (partition, offsets) = place.split_once(':')?;
    let (from, to) = offsets.split_once('-').unwrap_or((offsets, offsets));
    let parent = Parent {
        topic,
        partition: i32::try_from(number(partition)?).ok()?,
        from: number(from)?,
        to: number(to)?,
    };
    let named = (1..=TOPIC_MAX).contains(&topic.len())
        && topic != "."
        && topic != ".."
        && topic
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    (named && parent.from <= parent.to).then_some(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_offsets_ranges_and_more() {
        let parents = Parents::parse(b"operations.departures.v1@2:77,a_b-c@0:5-9,+300").unwrap();
        assert_eq!(
            parents.iter().collect::<Vec<_>>(),
            [
                Parent {
                    topic: "operations.departures.v1",
                    partition: 2,
                    from: 77,
                    to: 77
                },
                Parent {
                    topic: "a_b-c",
                    partition: 0,
                    from: 5,
                    to: 9
                }
            ]
        );
        assert_eq!(parents.more, 300);
    }

    #[test]
    fn refuses_what_is_malformed_or_too_much() {
        let sixteen = ["t@0:1"; 16].join(",");
        assert!(Parents::parse(sixteen.as_bytes()).is_some());
        assert!(Parents::parse(format!("{sixteen},+1").as_bytes()).is_some());
        let long = format!("{}@0:1", "t".repeat(249));
        assert!(Parents::parse(long.as_bytes()).is_some());
        for bad in [
            String::new(),
            "+3".into(),
            "t".into(),
            "t@0".into(),
            "t@0:".into(),
            "@0:1".into(),
            "..@0:1".into(),
            "t t@0:1".into(),
            "t@-1:1".into(),
            "t@2147483648:1".into(),
            "t@0:01".into(),
            "t@0:9-5".into(),
            "t@0:1,".into(),
            "t@0:1,,t@0:2".into(),
            "t@0:1,+".into(),
            "t@0:1,+1,+2".into(),
            "t@0:9223372036854775808".into(),
            format!("{sixteen},t@0:1"),
            format!("{}@0:1", "t".repeat(250)),
            [long.as_str(); 5].join(","),
        ] {
            assert_eq!(Parents::parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(Parents::parse(b"\xff@0:1"), None);
    }
}
