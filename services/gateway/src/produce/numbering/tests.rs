use proptest::prelude::*;

use super::*;

fn verdict(first: i32, count: u32, removed_before: u64, removed: &[u32]) -> Verdict {
    Verdict {
        first,
        count,
        removed_before,
        removed: removed.iter().map(|place| (*place, 7)).collect(),
    }
}

fn new(removed_before: u64) -> Look {
    Look::New {
        removed_before,
        attempted: false,
    }
}

fn recorded(removed_before: u64, removed: &[u32]) -> Look {
    Look::Recorded {
        removed_before,
        removed: removed.iter().map(|place| (*place, 7)).collect(),
    }
}

#[test]
fn later_batches_shift_by_what_was_taken_out_and_parts_follow_the_whole() {
    let mut n = Numbering::at(10);
    n.record(&verdict(10, 5, 0, &[1, 4]));
    assert_eq!(n.look(5, 5), new(0));
    assert_eq!(n.look(10, 5), recorded(0, &[1, 4]));
    // Split, as Java does when a batch is too large.
    assert_eq!(n.look(10, 2), recorded(0, &[1]));
    assert_eq!(n.look(12, 3), recorded(1, &[2]));
    assert_eq!(n.look(15, 1), new(2));
    assert_eq!(n.look(13, 4), Look::Mixed);
    assert_eq!(n.look(8, 4), Look::Mixed);
}

#[test]
fn the_first_verdict_on_a_range_holds() {
    let mut n = Numbering::at(0);
    n.record(&verdict(0, 4, 0, &[0]));
    n.record(&verdict(0, 4, 0, &[1, 2]));
    n.record(&verdict(2, 4, 1, &[3]));
    assert_eq!(n.look(0, 4), recorded(0, &[0]));
    assert_eq!(n.look(4, 1), new(1));
}

#[test]
fn a_verdict_on_its_way_is_known_until_one_is_seen() {
    let mut n = Numbering::at(0);
    assert!(n.attempt(0, 4));
    for first in [0, 3] {
        assert_eq!(
            n.look(first, 1),
            Look::New {
                removed_before: 0,
                attempted: true
            }
        );
    }
    assert_eq!(n.look(4, 4), new(0));
    n.record(&verdict(0, 4, 0, &[]));
    assert_eq!(n.look(0, 4), recorded(0, &[]));
}

#[test]
fn sequences_wrap() {
    let mut n = Numbering::at(i32::MAX - 1);
    n.record(&verdict(i32::MAX - 1, 4, 0, &[0, 3]));
    assert_eq!(n.look(1, 1), recorded(1, &[0]));
    assert_eq!(n.look(2, 1), new(2));
    assert_eq!(shift(u64::from(u32::MAX)), i32::MAX as u32);
}

#[test]
fn what_is_remembered_is_bounded_and_the_count_is_not_lost() {
    let mut n = Numbering::at(0);
    for at in 0..1_000 {
        n.record(&verdict(at * 10, 10, u64::from(at.unsigned_abs()), &[5]));
    }
    assert_eq!(
        (n.covered.len(), n.removed.len()),
        (VERDICTS_KEPT, VERDICTS_KEPT)
    );
    assert_eq!(n.look(10_000, 1), new(1_000));
    assert_eq!(n.look(9_990, 10), recorded(999, &[5]));
    assert_eq!(n.look(0, 10), Look::Forgotten);
    // One that reads only the end of the log counts alike.
    let mut late = Numbering::at(9_990);
    late.record(&verdict(9_990, 10, 999, &[5]));
    assert_eq!(late.look(10_000, 1), new(1_000));
    assert_eq!(late.look(9_980, 10), Look::Forgotten);
}

#[test]
fn a_count_far_behind_is_carried_on() {
    let mut n = Numbering::at(0);
    assert_eq!(n.carry(0, true), None, "nothing was taken out");
    n.record(&verdict(0, 2, 0, &[1]));
    assert_eq!(n.carry(2, false), None);
    assert_eq!(n.carry(2, true), Some(verdict(2, 0, 1, &[])));
    let far = i32::try_from(CARRY_EVERY).unwrap() + 3;
    let carried = n.carry(far, false).unwrap();
    n.record(&carried);
    assert_eq!(n.carry(far, false), None);
    assert_eq!(n.look(far, 1), new(1));
}

// The whole of it: a client, two gateways over one log of verdicts, and a broker as Kafka's.

/// What a broker knows of a producer on a partition.
#[derive(Default)]
struct Broker {
    last: Option<i32>,
    batches: Vec<(i32, i32)>,
    log: Vec<u32>,
}

impl Broker {
    /// 0, or 45.
    fn append(&mut self, first: i32, records: &[u32]) -> i16 {
        let last = wrapped(first, records.len() - 1);
        if self
            .batches
            .iter()
            .rev()
            .take(5)
            .any(|b| *b == (first, last))
        {
            return 0;
        }
        if self.last.is_some_and(|l| wrapped(l, 1) != first) {
            return 45;
        }
        self.last = Some(last);
        self.batches.push((first, last));
        self.log.extend(records);
        0
    }

    fn has(&self, last: i32) -> bool {
        self.last
            .is_some_and(|l| !crate::produce::guard::is_after(last, l))
    }
}

fn wrapped(sequence: i32, n: usize) -> i32 {
    let at = (i64::from(sequence) + i64::try_from(n).unwrap()).rem_euclid(WRAP);
    i32::try_from(at).unwrap()
}

/// Where the way of a batch is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Nowhere,
    BeforeVerdict,
    /// The verdict is in the log, and the gateway is killed.
    AfterVerdict,
    /// The batch is in the log, and the answer lost.
    AfterAppend,
}

struct Gateway {
    read: usize,
    numbering: Option<Numbering>,
}

impl Gateway {
    fn killed() -> Self {
        Self {
            read: 0,
            numbering: None,
        }
    }

    fn read_to_end(&mut self, log: &[Verdict]) {
        for verdict in &log[self.read..] {
            self.numbering
                .get_or_insert_with(|| Numbering::at(verdict.first))
                .record(verdict);
        }
        self.read = log.len();
    }
}

#[derive(Clone, Debug)]
struct Batch {
    first: i32,
    records: Vec<u32>,
}

struct World {
    broker: Broker,
    verdicts: Vec<Verdict>,
    gateways: [Gateway; 2],
    quarantine: Vec<u32>,
}

impl World {
    /// As `Numbered::decide` does it. `None`: the client hears nothing.
    fn produce(
        &mut self,
        by: usize,
        batch: &Batch,
        bad: impl Fn(u32) -> bool,
        cut: Cut,
    ) -> Option<i16> {
        let count = u32::try_from(batch.records.len()).unwrap();
        let last = wrapped(batch.first, batch.records.len() - 1);
        loop {
            let gateway = &mut self.gateways[by];
            let look = match &mut gateway.numbering {
                Some(numbering) => numbering.look(batch.first, count),
                None => new(0),
            };
            let (removed_before, removed) = match look {
                Look::Recorded {
                    removed_before,
                    removed,
                } => (removed_before, removed),
                Look::New {
                    removed_before,
                    attempted,
                } => {
                    let place = |at: usize| u32::try_from(at).unwrap();
                    let mut removed: Vec<(u32, u32)> = Vec::new();
                    for (at, record) in batch.records.iter().enumerate() {
                        if bad(*record) {
                            removed.push((place(at), *record));
                        }
                    }
                    let shifted =
                        (i64::from(last) - i64::try_from(removed_before).unwrap()).rem_euclid(WRAP);
                    if removed.is_empty() && !attempted {
                        (removed_before, removed)
                    } else if self.broker.has(i32::try_from(shifted).unwrap()) {
                        (removed_before, Vec::new())
                    } else {
                        if cut == Cut::BeforeVerdict {
                            return None;
                        }
                        self.quarantine
                            .extend(removed.iter().map(|(_, record)| record));
                        self.verdicts.push(Verdict {
                            first: batch.first,
                            count,
                            removed_before,
                            removed,
                        });
                        if cut == Cut::AfterVerdict {
                            self.gateways[by] = Gateway::killed();
                            return None;
                        }
                        self.gateways[by].read_to_end(&self.verdicts);
                        continue;
                    }
                }
                other => panic!("{other:?} of {batch:?}"),
            };
            let kept: Vec<u32> = (0u32..)
                .zip(&batch.records)
                .filter(|(at, _)| removed.iter().all(|(place, _)| place != at))
                .map(|(_, record)| *record)
                .collect();
            for (place, digest) in &removed {
                assert_eq!(batch.records[*place as usize], *digest, "of another record");
            }
            let first =
                (i64::from(batch.first) - i64::try_from(removed_before).unwrap()).rem_euclid(WRAP);
            let code = if kept.is_empty() {
                0
            } else {
                self.broker.append(i32::try_from(first).unwrap(), &kept)
            };
            return (cut != Cut::AfterAppend).then_some(code);
        }
    }
}

#[derive(Clone, Debug)]
struct Step {
    records: usize,
    cut: Cut,
    other_gateway: bool,
    /// Which of the records that were bad at first, by bits, are good when they come again, and the
    /// other way round.
    flips: u8,
    split: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let cut = prop_oneof![
        4 => Just(Cut::Nowhere),
        1 => Just(Cut::BeforeVerdict),
        1 => Just(Cut::AfterVerdict),
        2 => Just(Cut::AfterAppend),
    ];
    (1usize..5, cut, any::<bool>(), any::<u8>(), any::<bool>()).prop_map(
        |(records, cut, other_gateway, flips, split)| Step {
            records,
            cut,
            other_gateway,
            flips,
            split,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Whatever is lost on the way, whichever gateway it comes by, and however the verdict would
    /// change meanwhile: what is called delivered is in the log once and in order, or in quarantine;
    /// and no batch of an honest client is answered with anything but success.
    #[test]
    fn no_acknowledged_record_is_lost_or_doubled(
        start in prop_oneof![Just(0i32), Just(i32::MAX - 6), any::<i32>().prop_map(|n| n & i32::MAX)],
        bad in proptest::collection::vec(any::<bool>(), 200),
        steps in proptest::collection::vec(step(), 1..40),
        settle in any::<bool>(),
    ) {
        let mut world = World {
            broker: Broker::default(),
            verdicts: Vec::new(),
            gateways: [Gateway::killed(), Gateway::killed()],
            quarantine: Vec::new(),
        };
        let mut by = 0;
        let mut next = 0u32;
        let mut sequence = start;
        let mut acknowledged: Vec<u32> = Vec::new();
        let mut unanswered: Vec<Batch> = Vec::new();
        let mut steps = steps.into_iter();
        let mut fresh = true;
        let again = Step {
            records: 0,
            cut: Cut::Nowhere,
            other_gateway: false,
            flips: 0,
            split: false,
        };
        // In the end everything that is still open is sent again.
        while let Some(step) = steps
            .next()
            .or_else(|| (settle && !unanswered.is_empty()).then(|| again.clone()))
        {
            if step.records > 0 && unanswered.len() < 5 {
                let records: Vec<u32> = (next..).take(step.records).collect();
                next += u32::try_from(records.len()).unwrap();
                let first = sequence;
                sequence = wrapped(sequence, records.len());
                unanswered.push(Batch { first, records });
            }
            if step.split && !fresh && unanswered.len() < 5 && unanswered[0].records.len() > 1
                // A client splits only what a broker has refused, so what is in no log.
                && !world.broker.log.contains(&unanswered[0].records[0])
                && !unanswered[0].records.iter().all(|r| world.quarantine.contains(r))
                && !world.broker.log.iter().any(|r| unanswered[0].records.contains(r))
            {
                let whole = unanswered.remove(0);
                let (a, b) = whole.records.split_at(1);
                unanswered.insert(0, Batch { first: wrapped(whole.first, 1), records: b.to_vec() });
                unanswered.insert(0, Batch { first: whole.first, records: a.to_vec() });
            }
            // A connection begins wherever the last one was cut.
            if step.other_gateway || fresh {
                by ^= usize::from(step.other_gateway);
                world.gateways[by].read_to_end(&world.verdicts);
            }
            fresh = false;
            while let Some(batch) = unanswered.first() {
                // The last one of the window is cut, or none.
                let cut = if unanswered.len() == 1 { step.cut } else { Cut::Nowhere };
                let flips = step.flips;
                let is_bad = |record: u32| {
                    bad[record as usize % bad.len()] ^ (flips & (1 << (record % 8)) != 0)
                };
                match world.produce(by, batch, is_bad, cut) {
                    Some(code) => {
                        prop_assert_eq!(code, 0, "of {:?}", batch);
                        acknowledged.extend(&batch.records);
                        unanswered.remove(0);
                    }
                    None => {
                        fresh = true;
                        break;
                    }
                }
            }
        }
        let log = &world.broker.log;
        prop_assert!(log.is_sorted(), "{:?}", log);
        prop_assert!(log.windows(2).all(|w| w[0] != w[1]), "doubled: {:?}", log);
        for record in &acknowledged {
            prop_assert!(
                log.contains(record) || world.quarantine.contains(record),
                "{} is acknowledged and nowhere", record
            );
        }
        // What verdicts took out is not in the log as well.
        if let Some(numbering) = &world.gateways[by].numbering {
            for digest in numbering.removed.values() {
                prop_assert!(!log.contains(digest));
            }
        }
    }
}

#[test]
fn verdicts_on_their_way_are_bounded() {
    let mut n = Numbering::at(0);
    for at in 0..i32::try_from(ATTEMPTS_MAX).unwrap() {
        assert!(n.attempt(at, 1));
        assert!(n.attempt(at, 1), "the same is no new one");
    }
    assert!(!n.may_attempt(i32::MAX, 1));
    assert!(!n.attempt(i32::MAX, 1));
    assert!(n.may_attempt(0, 1), "it is on its way already");
}
