//! How facts fold: first by least, last by greatest, counts by greatest per source. Any order gives
//! the same, and repeats change nothing.

use std::collections::BTreeMap;

use meshwork_model::mesh::lineage::{
    Basis, EdgeFact, Fact, LineageFact, NodeFact, NodeRef, SourceCount,
};
use meshwork_model::time::Timestamp;

use crate::node;

/// Most sources kept of one edge and day, the greatest counts first. The collector writes one less
/// and adds up the rest under [`OTHER_SOURCES`].
pub(crate) const SOURCES_MAX: usize = 256;

/// Instance under which the collector adds up sources beyond [`SOURCES_MAX`].
pub(crate) const OTHER_SOURCES: &str = "(others)";

/// Detail of a node that says as of when, in milliseconds since 1970: the later fact wins whole.
pub(crate) const AS_OF: &str = "as_of";

/// Most details kept of one node.
const DETAILS_MAX: usize = 32;

const DAY_MS: i64 = 86_400_000;

/// The UTC day of `at`, as days since 1970; none where that is no `int`.
#[must_use]
pub(crate) fn day_of(at: Timestamp) -> Option<i32> {
    i32::try_from(at.as_millis().div_euclid(DAY_MS)).ok()
}

/// Key of a fact in `mesh.lineage` and in the store: `edge/<from>/<to>/<basis>/<day>` or
/// `node/<id>`, with ids of nodes as [`node::id`] makes them and the day in ten digits, so that an
/// edge's days sort.
#[must_use]
pub(crate) fn key(fact: &LineageFact) -> String {
    match &fact.fact {
        Fact::EdgeFact(edge) => format!("{}{:010}", edge_prefix(edge), edge.day),
        Fact::NodeFact(fact) => node_key(&fact.node),
    }
}

/// The key of what is said of a node.
#[must_use]
pub(crate) fn node_key(of: &NodeRef) -> String {
    format!("node/{}", node::id(of))
}

/// What the keys of all days of an edge begin with.
#[must_use]
pub(crate) fn edge_prefix(edge: &EdgeFact) -> String {
    format!(
        "edge/{}/{}/{}/",
        node::id(&edge.from),
        node::id(&edge.to),
        basis_word(edge.basis)
    )
}

/// The basis as a word of keys and of the API.
#[must_use]
pub(crate) const fn basis_word(basis: Basis) -> &'static str {
    match basis {
        Basis::Observed => "observed",
        Basis::Declared => "declared",
        Basis::Reported => "reported",
        Basis::Inferred => "inferred",
    }
}

/// What is known after `new`, given what was known of the same key.
#[must_use]
pub(crate) fn fold(old: Option<&LineageFact>, new: &LineageFact) -> LineageFact {
    let fact = match (old.map(|old| &old.fact), &new.fact) {
        (Some(Fact::EdgeFact(old)), Fact::EdgeFact(new)) => Fact::EdgeFact(fold_edge(old, new)),
        (Some(Fact::NodeFact(old)), Fact::NodeFact(new)) => Fact::NodeFact(fold_node(old, new)),
        (_, Fact::EdgeFact(new)) => Fact::EdgeFact(fold_edge(new, new)),
        (_, Fact::NodeFact(new)) => Fact::NodeFact(fold_node(new, new)),
    };
    LineageFact { fact }
}

/// Records that all sources of one edge and day counted.
#[must_use]
pub(crate) fn records(edge: &EdgeFact) -> i64 {
    edge.counts
        .iter()
        .fold(0, |sum, count| sum.saturating_add(count.records.max(0)))
}

fn fold_edge(old: &EdgeFact, new: &EdgeFact) -> EdgeFact {
    // Whether a declared edge has ended is the later word's; said twice for one moment: ended.
    let ended = match old.last_seen.cmp(&new.last_seen) {
        std::cmp::Ordering::Less => new.ended,
        std::cmp::Ordering::Equal => old.ended || new.ended,
        std::cmp::Ordering::Greater => old.ended,
    };
    EdgeFact {
        from: old.from.clone(),
        to: old.to.clone(),
        basis: old.basis,
        day: old.day,
        first_seen: old.first_seen.min(new.first_seen),
        last_seen: old.last_seen.max(new.last_seen),
        ended,
        counts: fold_counts(&old.counts, &new.counts),
    }
}

fn fold_counts(old: &[SourceCount], new: &[SourceCount]) -> Vec<SourceCount> {
    let mut by_source: BTreeMap<(&str, i64), i64> = BTreeMap::new();
    for count in old.iter().chain(new) {
        let records = by_source
            .entry((&count.instance, count.epoch))
            .or_insert(count.records);
        *records = (*records).max(count.records);
    }
    let mut counts: Vec<SourceCount> = by_source
        .into_iter()
        .map(|((instance, epoch), records)| SourceCount {
            instance: instance.to_owned(),
            epoch,
            records,
        })
        .collect();
    if counts.len() > SOURCES_MAX {
        // A source left out stays below all kept ones, which only grow: the order of facts does
        // not matter here either.
        counts.sort_by(|a, b| {
            (b.records, &a.instance, a.epoch).cmp(&(a.records, &b.instance, b.epoch))
        });
        counts.truncate(SOURCES_MAX);
        counts.sort_by(|a, b| (&a.instance, a.epoch).cmp(&(&b.instance, b.epoch)));
    }
    counts
}

fn fold_node(old: &NodeFact, new: &NodeFact) -> NodeFact {
    let as_of = |fact: &NodeFact| {
        fact.detail
            .get(AS_OF)
            .and_then(|text| text.parse::<i64>().ok())
            .unwrap_or(i64::MIN)
    };
    let later = match (as_of(old), &old.detail).cmp(&(as_of(new), &new.detail)) {
        std::cmp::Ordering::Less => new,
        _ => old,
    };
    let mut later = later.clone();
    while later.detail.len() > DETAILS_MAX {
        later.detail.pop_last();
    }
    later
}

#[cfg(test)]
pub(crate) mod tests {
    use meshwork_model::mesh::lineage::{NodeKind, NodeRef};
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn any_fact() -> impl Strategy<Value = LineageFact> {
        let name = |kind| {
            (0..3u8).prop_map(move |n| NodeRef {
                kind,
                name: format!("n{n}"),
            })
        };
        let count = (0..3u8, 0..2i64, 0..100i64).prop_map(|(n, epoch, records)| SourceCount {
            instance: format!("i{n}"),
            epoch,
            records,
        });
        let edge = (
            name(NodeKind::Product),
            name(NodeKind::Group),
            prop_oneof![Just(Basis::Observed), Just(Basis::Declared)],
            0..3i32,
            (0..DAY_MS, 0..DAY_MS),
            any::<bool>(),
            proptest::collection::vec(count, 0..4),
        )
            .prop_map(|(from, to, basis, day, (a, b), ended, counts)| {
                let start = i64::from(day) * DAY_MS;
                LineageFact {
                    fact: Fact::EdgeFact(EdgeFact {
                        from,
                        to,
                        basis,
                        day,
                        first_seen: Timestamp::from_millis(start + a.min(b)),
                        last_seen: Timestamp::from_millis(start + a.max(b)),
                        ended,
                        counts,
                    }),
                }
            });
        let detail =
            (name(NodeKind::Group), 0..4i64, 0..3u8).prop_map(|(node, as_of, value)| LineageFact {
                fact: Fact::NodeFact(NodeFact {
                    node,
                    detail: BTreeMap::from([
                        (AS_OF.to_owned(), as_of.to_string()),
                        ("state".to_owned(), value.to_string()),
                    ]),
                }),
            });
        prop_oneof![4 => edge, 1 => detail]
    }

    pub(crate) fn fold_all<'a>(
        facts: impl IntoIterator<Item = &'a LineageFact>,
    ) -> BTreeMap<String, LineageFact> {
        let mut book: BTreeMap<String, LineageFact> = BTreeMap::new();
        for fact in facts {
            let key = key(fact);
            let folded = fold(book.get(&key), fact);
            book.insert(key, folded);
        }
        book
    }

    proptest! {
        #[test]
        fn any_order_and_repeats_give_the_same(
            facts in proptest::collection::vec(any_fact(), 0..40),
            shuffle in proptest::collection::vec(any::<prop::sample::Index>(), 0..80),
        ) {
            let straight = fold_all(&facts);
            // Every fact at least once, in reverse, and some again at random places.
            let mut other: Vec<&LineageFact> = facts.iter().rev().collect();
            if !facts.is_empty() {
                for (i, index) in shuffle.iter().enumerate() {
                    let at = i % (other.len() + 1);
                    other.insert(at, index.get(&facts));
                }
            }
            prop_assert_eq!(fold_all(other), straight);
        }

        #[test]
        fn folded_facts_fold_like_their_parts(
            facts in proptest::collection::vec(any_fact(), 0..40),
            cut in any::<prop::sample::Index>(),
        ) {
            let cut = if facts.is_empty() { 0 } else { cut.index(facts.len()) };
            let (left, right) = facts.split_at(cut);
            let (left, right) = (fold_all(left), fold_all(right));
            prop_assert_eq!(fold_all(right.values().chain(left.values())), fold_all(&facts));
        }
    }

    #[test]
    fn sources_beyond_the_limit_fold_in_any_order() {
        let fact = |n: usize| LineageFact {
            fact: Fact::EdgeFact(EdgeFact {
                from: node::unknown_producer(),
                to: node::of_group("g"),
                basis: Basis::Observed,
                day: 1,
                first_seen: Timestamp::from_millis(DAY_MS),
                last_seen: Timestamp::from_millis(DAY_MS),
                ended: false,
                counts: vec![SourceCount {
                    instance: format!("i{n}"),
                    epoch: 0,
                    records: i64::try_from(n).unwrap(),
                }],
            }),
        };
        let facts: Vec<LineageFact> = (0..SOURCES_MAX + 50).map(fact).collect();
        let straight = fold_all(&facts);
        assert_eq!(fold_all(facts.iter().rev()), straight);
        let Some(Fact::EdgeFact(edge)) = straight.values().next().map(|f| &f.fact) else {
            panic!("one edge");
        };
        assert_eq!(edge.counts.len(), SOURCES_MAX);
        assert!(edge.counts.iter().all(|c| c.records >= 50));
    }

    #[test]
    fn the_later_word_says_whether_an_edge_has_ended() {
        let fact = |at: i64, ended| EdgeFact {
            from: node::of_input("a.b.v1"),
            to: node::of_input("c.d.v1"),
            basis: Basis::Declared,
            day: 0,
            first_seen: Timestamp::from_millis(at),
            last_seen: Timestamp::from_millis(at),
            ended,
            counts: Vec::new(),
        };
        for (a, b, expected) in [
            (fact(1, false), fact(2, true), true),
            (fact(1, true), fact(2, false), false),
            (fact(1, true), fact(1, false), true),
        ] {
            assert_eq!(fold_edge(&a, &b).ended, expected);
            assert_eq!(fold_edge(&b, &a).ended, expected);
        }
    }
}
