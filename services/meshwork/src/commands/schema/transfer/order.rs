//! In which order versions can be registered: each after those that it refers to, and after the
//! earlier ones of its subject; else by id, which is how they came about.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Orders `count` versions. `before` lists pairs (first, then); `rank` orders those that may come
/// at the same time. Where pairs go round in a circle, those in it come last, by rank; their number
/// is given too.
pub(super) fn order<R: Ord>(
    count: usize,
    before: &[(usize, usize)],
    rank: impl Fn(usize) -> R,
) -> (Vec<usize>, usize) {
    let mut by_rank: Vec<usize> = (0..count).collect();
    by_rank.sort_by_key(|at| rank(*at));
    let mut place = vec![0; count];
    for (rank, at) in by_rank.iter().enumerate() {
        if let Some(slot) = place.get_mut(*at) {
            *slot = rank;
        }
    }
    let mut waits = vec![0_usize; count];
    let mut next: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (first, then) in before {
        if first == then {
            continue;
        }
        if let (Some(wait), Some(list)) = (waits.get_mut(*then), next.get_mut(*first)) {
            *wait += 1;
            list.push(*then);
        }
    }
    let rank_of = |at: usize| place.get(at).copied().unwrap_or_default();
    let mut free: BinaryHeap<Reverse<(usize, usize)>> = (0..count)
        .filter(|at| waits.get(*at) == Some(&0))
        .map(|at| Reverse((rank_of(at), at)))
        .collect();
    let mut ordered = Vec::with_capacity(count);
    let mut done = vec![false; count];
    while let Some(Reverse((_, at))) = free.pop() {
        ordered.push(at);
        if let Some(done) = done.get_mut(at) {
            *done = true;
        }
        for then in next.get(at).into_iter().flatten() {
            if let Some(wait) = waits.get_mut(*then) {
                *wait -= 1;
                if *wait == 0 {
                    free.push(Reverse((rank_of(*then), *then)));
                }
            }
        }
    }
    let circle = count - ordered.len();
    ordered.extend(
        by_rank
            .into_iter()
            .filter(|at| done.get(*at) == Some(&false)),
    );
    (ordered, circle)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn references_come_first_and_the_rest_by_rank() {
        let ranks = [5, 1, 3, 2];
        let of = |at: usize| ranks[at];
        assert_eq!(order(4, &[], of), (vec![1, 3, 2, 0], 0));
        assert_eq!(order(4, &[(0, 1), (1, 3)], of), (vec![2, 0, 1, 3], 0));
        assert_eq!(
            order(4, &[(0, 1), (1, 0), (2, 2)], of),
            (vec![3, 2, 1, 0], 2)
        );
    }

    proptest! {
        #[test]
        fn every_pair_is_kept_and_nothing_is_lost(
            count in 1usize..40,
            pairs in proptest::collection::vec((0usize..40, 0usize..40), 0..80),
        ) {
            // Pairs that go upwards make no circle.
            let pairs: Vec<(usize, usize)> = pairs
                .into_iter()
                .map(|(a, b)| (a % count, b % count))
                .filter(|(a, b)| a < b)
                .collect();
            let (ordered, circle) = order(count, &pairs, Reverse);
            prop_assert_eq!(circle, 0);
            let mut sorted = ordered.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..count).collect::<Vec<_>>());
            let place = |at| ordered.iter().position(|x| *x == at);
            for (first, then) in pairs {
                prop_assert!(place(first) < place(then));
            }
        }
    }
}
