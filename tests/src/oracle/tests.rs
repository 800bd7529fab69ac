//! The oracle must bite: over true histories of a small made-up registry it finds nothing, and every
//! way of falsifying one it finds.

mod falsify;
mod world;

use super::*;
use falsify::FALSIFICATIONS;
use world::World;

const SEEDS: u64 = 100;

fn shown(found: &[Violation]) -> String {
    found.iter().map(|v| format!("\n  {v}")).collect()
}

#[test]
fn true_histories_are_found_to_be_true() {
    for seed in 0..SEEDS {
        let evidence = World::run(seed);
        let found = judge(&evidence);
        assert!(found.is_empty(), "seed {seed}: {}", shown(&found));
    }
}

/// The made-up histories hold what makes judging hard.
#[test]
fn true_histories_are_not_dull() {
    let mut unknown = 0;
    let mut aborted = 0;
    let mut overlapping = 0;
    for seed in 0..SEEDS {
        let evidence = World::run(seed);
        aborted += aborted_ids(&evidence).len();
        let ops = &evidence.history;
        unknown += ops
            .iter()
            .filter(|op| op.call.is_write() && op.end == crate::history::End::Unknown)
            .count();
        overlapping += ops
            .windows(2)
            .filter(|two| two[0].ended.is_some_and(|ended| two[1].began < ended))
            .count();
    }
    assert!(unknown > 1_000, "{unknown} of unknown fate");
    assert!(aborted > 100, "{aborted} aborted ids");
    assert!(overlapping > 10_000, "{overlapping} at the same time");
}

#[test]
fn false_histories_are_found_to_be_false() {
    for falsification in FALSIFICATIONS {
        let mut applied = 0;
        for seed in 0..SEEDS {
            let mut evidence = World::run(seed);
            let mut random = fastrand::Rng::with_seed(seed);
            if (falsification.make)(&mut evidence, &mut random).is_none() {
                continue;
            }
            applied += 1;
            let found = judge(&evidence);
            assert!(
                found.iter().any(falsification.shows),
                "seed {seed}: {} was not found, but {}",
                falsification.name,
                shown(&found)
            );
        }
        // One that hardly ever applies proves nothing.
        assert!(
            applied > SEEDS / 4,
            "{}: only {applied} histories",
            falsification.name
        );
    }
}
