//! Who reported what: (instance, epoch, sequence) seen before is a repeat.

use std::collections::{BTreeMap, HashMap};

use super::record::SourceView;

/// Most sources remembered; the one heard of longest ago is forgotten beyond.
pub(super) const SOURCES_MAX: usize = 4096;
const WORDS: usize = 8;
/// Sequence numbers below the greatest that are remembered one by one. Older ones are taken as new:
/// their offsets tell whether they are counted.
pub(super) const BACK: i64 = 64 * 8;

/// Sequence numbers of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) greatest: i64,
    pub(super) bits: [u64; WORDS],
    pub(super) order: u64,
    pub(super) dirty: bool,
}

/// All sources.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    pub(super) by_instance: HashMap<String, BTreeMap<i64, Heard>>,
    pub(super) count: usize,
    pub(super) order: u64,
}

impl Sources {
    /// Notes an observation; whether it is the first with its number.
    pub(super) fn hear(&mut self, source: SourceView<'_>) -> bool {
        self.order = self.order.saturating_add(1);
        let order = self.order;
        if let Some(epochs) = self.by_instance.get_mut(source.instance)
            && let Some(heard) = epochs.get_mut(&source.epoch)
        {
            heard.order = order;
            heard.dirty = true;
            return heard.note(source.sequence);
        }
        if self.count >= SOURCES_MAX {
            self.forget_oldest();
        }
        let mut heard = Heard {
            greatest: source.sequence,
            bits: [0; WORDS],
            order,
            dirty: true,
        };
        heard.note(source.sequence);
        self.insert(source.instance, source.epoch, heard);
        true
    }

    pub(super) fn insert(&mut self, instance: &str, epoch: i64, heard: Heard) {
        self.order = self.order.max(heard.order);
        let epochs = self.by_instance.entry(instance.to_owned()).or_default();
        if epochs.insert(epoch, heard).is_none() {
            self.count = self.count.saturating_add(1);
        }
    }

    fn forget_oldest(&mut self) {
        let oldest = self
            .by_instance
            .iter()
            .flat_map(|(i, epochs)| epochs.iter().map(move |(e, h)| (h.order, i, *e)))
            .min()
            .map(|(_, i, e)| (i.clone(), e));
        if let Some((instance, epoch)) = oldest
            && let Some(epochs) = self.by_instance.get_mut(&instance)
        {
            epochs.remove(&epoch);
            if epochs.is_empty() {
                self.by_instance.remove(&instance);
            }
            self.count = self.count.saturating_sub(1);
        }
    }
}

impl Heard {
    /// Notes a number; whether it is new. The bit of a number is its remainder by [`BACK`].
    fn note(&mut self, sequence: i64) -> bool {
        let ahead = sequence.saturating_sub(self.greatest);
        if ahead > 0 {
            if ahead >= BACK {
                self.bits = [0; WORDS];
            } else {
                for skipped in 1..ahead {
                    self.set(self.greatest.saturating_add(skipped), false);
                }
            }
            self.greatest = sequence;
            self.set(sequence, true);
            return true;
        }
        if ahead <= -BACK {
            return true;
        }
        let new = !self.has(sequence);
        self.set(sequence, true);
        new
    }

    fn place(sequence: i64) -> (usize, u32) {
        let at = sequence.rem_euclid(BACK);
        let word = usize::try_from(at / 64).unwrap_or(0);
        (word, u32::try_from(at % 64).unwrap_or(0))
    }

    fn has(&self, sequence: i64) -> bool {
        let (word, bit) = Self::place(sequence);
        self.bits.get(word).is_some_and(|w| w >> bit & 1 == 1)
    }

    fn set(&mut self, sequence: i64, on: bool) {
        let (word, bit) = Self::place(sequence);
        if let Some(w) = self.bits.get_mut(word) {
            *w = *w & !(1 << bit) | u64::from(on) << bit;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn source(instance: &str, sequence: i64) -> SourceView<'_> {
        SourceView {
            instance,
            epoch: 1,
            sequence,
        }
    }

    proptest! {
        /// Within its memory it agrees with a plain set.
        #[test]
        fn agrees_with_a_set(steps in prop::collection::vec(-40_i64..60, 1..200)) {
            let mut sources = Sources::default();
            let mut seen = std::collections::HashSet::new();
            let mut at = 10_000_i64;
            let mut greatest = i64::MIN;
            for step in steps {
                at += step;
                let new = seen.insert(at);
                greatest = greatest.max(at);
                if greatest - at < BACK {
                    prop_assert_eq!(sources.hear(source("a", at)), new);
                }
            }
        }
    }

    #[test]
    fn remembers_a_bounded_number_of_sources() {
        let mut sources = Sources::default();
        for i in 0..SOURCES_MAX + 10 {
            assert!(sources.hear(source(&format!("i{i}"), 0)));
        }
        assert_eq!(sources.count, SOURCES_MAX);
        assert!(sources.hear(source("i0", 0)), "the oldest was forgotten");
        assert!(!sources.hear(source("i4000", 0)));
    }
}
