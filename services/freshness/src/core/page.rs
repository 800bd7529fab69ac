//! One UTC day of one SLO: 1,440 slices of 2 bits, and what came before as counts, so that any window
//! is two pages and a population count.

use meshwork_model::mesh::slice::SliceState;

/// Minutes of a UTC day.
pub const DAY_MINUTES: i64 = 1440;
/// 32 slices a word.
const WORDS: usize = 45;
/// Each slice's lower bit.
const LOW: u64 = 0x5555_5555_5555_5555;

/// Slices counted by kind. Expected-quiet ones are not due and not in here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bad.
    pub bad: u32,
    /// Unmeasurable.
    pub unmeasurable: u32,
    /// Good, bad and unmeasurable.
    pub due: u32,
}

impl Counts {
    /// Kind by kind.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            bad: self.bad.saturating_add(other.bad),
            unmeasurable: self.unmeasurable.saturating_add(other.unmeasurable),
            due: self.due.saturating_add(other.due),
        }
    }

    /// Kind by kind, not below 0.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            bad: self.bad.saturating_sub(other.bad),
            unmeasurable: self.unmeasurable.saturating_sub(other.unmeasurable),
            due: self.due.saturating_sub(other.due),
        }
    }

    /// Due and neither bad nor unmeasurable.
    #[must_use]
    pub fn good(self) -> u32 {
        self.due
            .saturating_sub(self.bad)
            .saturating_sub(self.unmeasurable)
    }
}

/// A day of slices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    before: Counts,
    words: [u64; WORDS],
}

impl Page {
    /// Size of its stored form.
    pub const BYTES: usize = 372;

    /// An empty day after which so many slices came before.
    #[must_use]
    pub fn new(before: Counts) -> Self {
        Self {
            before,
            words: [0; WORDS],
        }
    }

    /// Sets the slice of a minute of the day (0 to 1439; others change nothing).
    pub fn set(&mut self, minute: i64, state: SliceState) {
        if let Some((word, shift)) = place(minute)
            && let Some(w) = self.words.get_mut(word)
        {
            *w = *w & !(3 << shift) | code(state) << shift;
        }
    }

    /// The slice of a minute of the day. A minute that was not judged reads as expected-quiet.
    #[must_use]
    pub fn get(&self, minute: i64) -> SliceState {
        let bits = place(minute)
            .and_then(|(word, shift)| self.words.get(word).map(|w| w >> shift & 3))
            .unwrap_or(0);
        match bits {
            1 => SliceState::Good,
            2 => SliceState::Bad,
            3 => SliceState::Unmeasurable,
            _ => SliceState::ExpectedQuiet,
        }
    }

    /// Slices before a minute of the day (0 to 1440), those of earlier days included.
    #[must_use]
    pub fn counts_before(&self, minute: i64) -> Counts {
        let mut counts = self.before;
        let minute = minute.clamp(0, DAY_MINUTES);
        let whole = usize::try_from(minute / 32).unwrap_or(0);
        let rest = u32::try_from(minute % 32).unwrap_or(0);
        for (i, word) in self.words.iter().enumerate().take(whole.saturating_add(1)) {
            let kept = if i < whole {
                *word
            } else {
                // The last, partial word; rest is below 32, so the shift is below 64.
                *word & ((1_u64 << (2 * rest)) - 1)
            };
            let low = kept & LOW;
            let high = kept >> 1 & LOW;
            counts = counts.plus(Counts {
                bad: (high & !low).count_ones(),
                unmeasurable: (high & low).count_ones(),
                due: (high | low).count_ones(),
            });
        }
        counts
    }

    /// Stored form: the counts before as three big-endian u32, then the words, big-endian.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::BYTES);
        for count in [self.before.bad, self.before.unmeasurable, self.before.due] {
            out.extend_from_slice(&count.to_be_bytes());
        }
        for word in &self.words {
            out.extend_from_slice(&word.to_be_bytes());
        }
        out
    }

    /// Reads the stored form; none where it has another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (counts, words) = bytes.split_at_checked(12)?;
        let mut counts = counts
            .chunks_exact(4)
            .filter_map(|c| c.try_into().ok().map(u32::from_be_bytes));
        let before = Counts {
            bad: counts.next()?,
            unmeasurable: counts.next()?,
            due: counts.next()?,
        };
        let words: Vec<u64> = words
            .chunks_exact(8)
            .filter_map(|c| c.try_into().ok().map(u64::from_be_bytes))
            .collect();
        (bytes.len() == Self::BYTES).then_some(())?;
        Some(Self {
            before,
            words: words.try_into().ok()?,
        })
    }
}

fn place(minute: i64) -> Option<(usize, u32)> {
    if !(0..DAY_MINUTES).contains(&minute) {
        return None;
    }
    let word = usize::try_from(minute / 32).ok()?;
    let shift = u32::try_from(minute % 32).ok()?;
    Some((word, shift * 2))
}

const fn code(state: SliceState) -> u64 {
    match state {
        SliceState::ExpectedQuiet => 0,
        SliceState::Good => 1,
        SliceState::Bad => 2,
        SliceState::Unmeasurable => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn state() -> impl Strategy<Value = SliceState> {
        prop::sample::select(vec![
            SliceState::ExpectedQuiet,
            SliceState::Good,
            SliceState::Bad,
            SliceState::Unmeasurable,
        ])
    }

    proptest! {
        /// Counting by words agrees with counting one by one; the stored form loses nothing.
        #[test]
        fn counts_agree(sets in prop::collection::vec((0_i64..1440, state()), 0..200), at in 0_i64..=1440) {
            let before = Counts { bad: 3, unmeasurable: 5, due: 70 };
            let mut page = Page::new(before);
            let mut plain = vec![SliceState::ExpectedQuiet; 1440];
            for (minute, state) in sets {
                page.set(minute, state);
                plain[usize::try_from(minute).unwrap()] = state;
            }
            let mut expected = before;
            for (m, s) in plain.iter().enumerate() {
                prop_assert_eq!(page.get(i64::try_from(m).unwrap()), *s);
                if i64::try_from(m).unwrap() < at {
                    expected.bad += u32::from(*s == SliceState::Bad);
                    expected.unmeasurable += u32::from(*s == SliceState::Unmeasurable);
                    expected.due += u32::from(*s != SliceState::ExpectedQuiet);
                }
            }
            prop_assert_eq!(page.counts_before(at), expected);
            let bytes = page.to_bytes();
            prop_assert_eq!(bytes.len(), Page::BYTES);
            prop_assert_eq!(Page::from_bytes(&bytes), Some(page));
        }
    }

    #[test]
    fn refuses_other_lengths() {
        assert_eq!(Page::from_bytes(&[]), None);
        assert_eq!(Page::from_bytes(&[0; 371]), None);
        assert_eq!(Page::from_bytes(&[0; 373]), None);
        assert_eq!(Page::from_bytes(&[0; 380]), None);
    }

    /// Frozen form of the first stored format; never to change without a new format number.
    #[test]
    fn the_stored_form_is_frozen() {
        let mut page = Page::new(Counts {
            bad: 1,
            unmeasurable: 2,
            due: 3,
        });
        page.set(0, SliceState::Good);
        page.set(1, SliceState::Bad);
        page.set(2, SliceState::Unmeasurable);
        page.set(1439, SliceState::Bad);
        let bytes = page.to_bytes();
        assert_eq!(&bytes[..12], [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]);
        assert_eq!(&bytes[12..20], [0, 0, 0, 0, 0, 0, 0, 0b11_10_01]);
        assert_eq!(&bytes[364..], [0x80, 0, 0, 0, 0, 0, 0, 0]);
    }
}
