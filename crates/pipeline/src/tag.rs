//! Lineage headers: `mesh-producer` is ours to set, `mesh-parents` is kept where well-formed.

use meshwork_model::headers::{MARK, PARENTS, PRODUCER, PRODUCER_MAX_BYTES};
use meshwork_model::mesh::announcement::TagMode;
use meshwork_model::mesh::observation::Trust;
use meshwork_wire::Header;

use crate::parents::Parents;
use crate::reason::Reason;

/// Who produces, and what the name rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerTag {
    name: Box<str>,
    trust: Trust,
}

impl ProducerTag {
    /// A name is cut to the header's 128 bytes, at a character.
    #[must_use]
    pub fn new(name: &str, trust: Trust) -> Self {
        let end = name.floor_char_boundary(PRODUCER_MAX_BYTES);
        Self {
            name: name.get(..end).unwrap_or_default().into(),
            trust,
        }
    }

    /// The name, as the header has it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it rests on.
    #[must_use]
    pub const fn trust(&self) -> Trust {
        self.trust
    }
}

/// The headers that a record is to have.
#[derive(Clone, Copy, Debug)]
pub struct Tagged<'a, H> {
    original: H,
    producer: Option<&'a str>,
    mark: Option<Reason>,
    /// Position of the one `mesh-parents` to keep, if any.
    kept_parents: Option<usize>,
    mode: TagMode,
    /// The well-formed parents, for the observation.
    pub parents: Option<Parents<'a>>,
    /// `mesh-parents` headers that were dropped, malformed or repeated.
    pub parents_dropped: u32,
    /// Whether the headers are other than they were.
    pub changed: bool,
}

impl<'a, H> Tagged<'a, H>
where
    H: Iterator<Item = Header<'a>> + Clone,
{
    /// Decides. `tag_this` is false for a record that the product's tag mode leaves out (all but
    /// the first of a batch); it loses what a client claimed all the same.
    pub fn new(
        original: H,
        producer: &'a ProducerTag,
        mode: TagMode,
        tag_this: bool,
        mark: Option<Reason>,
    ) -> Self {
        let mut parents = None;
        let mut kept_parents = None;
        let mut listed = 0u32;
        let mut claims = 0usize;
        let mut own = false;
        for (i, header) in original.clone().enumerate() {
            if !header.key.starts_with(b"mesh-") {
                continue;
            }
            if header.key == PARENTS.as_bytes() {
                listed += 1;
                if let Some(read) = header.value.and_then(Parents::parse) {
                    parents = Some(read);
                    kept_parents = Some(i);
                }
            } else if header.key == PRODUCER.as_bytes() {
                claims += 1;
                own = header.value == Some(producer.name.as_bytes());
            } else if header.key == MARK.as_bytes() {
                claims += 2;
            }
        }
        let write = tag_this && mode != TagMode::Off;
        let dropped = if mode == TagMode::Off {
            0
        } else {
            listed - u32::from(kept_parents.is_some())
        };
        let as_it_should = if write {
            claims == 1 && own
        } else {
            claims == 0
        };
        Self {
            original,
            producer: write.then_some(&producer.name),
            mark,
            kept_parents,
            mode,
            parents,
            parents_dropped: dropped,
            changed: !as_it_should || mark.is_some() || dropped > 0,
        }
    }

    /// The headers, in order: those that were there, then ours.
    pub fn headers(&self) -> impl Iterator<Item = Header<'a>> + Clone + use<'a, H> {
        let kept_parents = self.kept_parents;
        let mode = self.mode;
        let ours = |name: &'static str, value: &'a str| Header {
            key: name.as_bytes(),
            value: Some(value.as_bytes()),
        };
        self.original
            .clone()
            .enumerate()
            .filter(move |(i, header)| {
                if !header.key.starts_with(b"mesh-") {
                    return true;
                }
                let is = |name: &str| header.key == name.as_bytes();
                !is(PRODUCER)
                    && !is(MARK)
                    && (!is(PARENTS) || mode == TagMode::Off || kept_parents == Some(*i))
            })
            .map(|(_, header)| header)
            .chain(self.producer.map(|name| ours(PRODUCER, name)))
            .chain(self.mark.map(|reason| ours(MARK, reason.code())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &'static str) -> Header<'static> {
        let (key, value) = text.split_once('=').unwrap();
        Header {
            key: key.as_bytes(),
            value: Some(value.as_bytes()),
        }
    }

    fn text(header: Header<'_>) -> String {
        let part = |b: &[u8]| String::from_utf8(b.to_vec()).unwrap();
        format!("{}={}", part(header.key), part(header.value.unwrap()))
    }

    #[test]
    fn sets_the_producer_and_keeps_good_parents() {
        let producer = ProducerTag::new("ops", Trust::Configured);
        const GOOD: &str = "mesh-parents=t@0:1";
        const BAD: &str = "mesh-parents=nonsense";
        // mode, tag this, mark; headers in; headers out; dropped; changed
        type Case = (
            TagMode,
            bool,
            Option<Reason>,
            &'static [&'static str],
            &'static [&'static str],
            u32,
            bool,
        );
        let cases: [Case; 11] = [
            (
                TagMode::Record,
                true,
                None,
                &[],
                &["mesh-producer=ops"],
                0,
                true,
            ),
            (
                TagMode::Record,
                true,
                None,
                &["mesh-producer=ops"],
                &["mesh-producer=ops"],
                0,
                false,
            ),
            (
                TagMode::Record,
                true,
                None,
                &["mesh-producer=me", "a=1"],
                &["a=1", "mesh-producer=ops"],
                0,
                true,
            ),
            (
                TagMode::Record,
                true,
                None,
                &["mesh-producer=ops", "mesh-producer=ops"],
                &["mesh-producer=ops"],
                0,
                true,
            ),
            (
                TagMode::Record,
                true,
                None,
                &[GOOD, "b=2"],
                &[GOOD, "b=2", "mesh-producer=ops"],
                0,
                true,
            ),
            (
                TagMode::Record,
                true,
                None,
                &[BAD],
                &["mesh-producer=ops"],
                1,
                true,
            ),
            (
                TagMode::Record,
                true,
                None,
                &["mesh-parents=u@0:1", BAD, GOOD],
                &[GOOD, "mesh-producer=ops"],
                2,
                true,
            ),
            (TagMode::Batch, false, None, &["a=1"], &["a=1"], 0, false),
            (
                TagMode::Batch,
                false,
                None,
                &["mesh-producer=me"],
                &[],
                0,
                true,
            ),
            (
                TagMode::Off,
                true,
                None,
                &[BAD, "a=1"],
                &[BAD, "a=1"],
                0,
                false,
            ),
            (
                TagMode::Record,
                true,
                Some(Reason::Datum),
                &["mesh-mark=key"],
                &["mesh-producer=ops", "mesh-mark=datum"],
                0,
                true,
            ),
        ];
        for (mode, this, mark, given, expected, dropped, changed) in cases {
            let tagged = Tagged::new(given.iter().map(|t| header(t)), &producer, mode, this, mark);
            let out: Vec<_> = tagged.headers().map(text).collect();
            assert_eq!(out, expected, "{given:?}");
            assert_eq!(tagged.parents_dropped, dropped, "{given:?}");
            assert_eq!(tagged.changed, changed, "{given:?}");
        }
    }

    #[test]
    fn a_long_name_is_cut_at_a_character() {
        let tag = ProducerTag::new(&format!("{}é", "x".repeat(127)), Trust::Claimed);
        assert_eq!(tag.name(), "x".repeat(127));
    }
}
