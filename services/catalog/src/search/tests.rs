use meshwork_model::mesh::announcement::{EnforcementMode, RegisteredSchema, TagMode};
use meshwork_model::time::Timestamp;
use proptest::prelude::*;

use super::*;

pub(crate) fn product(urn: &str, description: &str, columns: &[&str]) -> ProductAnnouncement {
    let urn: Urn = urn.parse().unwrap();
    let fields: Vec<String> = columns
        .iter()
        .map(|name| format!(r#"{{"name":"{name}","type":["null","string"]}}"#))
        .collect();
    ProductAnnouncement {
        domain: urn.name().domain().to_owned(),
        product: urn.name().product().to_owned(),
        version: "1.0.0".into(),
        status: ProductStatus::Active,
        topic: urn.topic(),
        announced_at: Timestamp::from_millis(0),
        changed_at: Timestamp::from_millis(0),
        owner: format!("{}-team", urn.name().domain()),
        description: Some(description.to_owned()),
        tags: Vec::new(),
        contract: String::new(),
        contract_digest: String::new(),
        value_schema: RegisteredSchema {
            subject: urn.value_subject(),
            id: 1,
            guid: String::new(),
            schema: format!(
                r#"{{"type":"record","name":"R","fields":[{}]}}"#,
                fields.join(",")
            ),
        },
        key_schema: None,
        key_columns: Vec::new(),
        compatibility: "BACKWARD".into(),
        partitions: 1,
        retention_ms: None,
        compacted: false,
        enforcement: EnforcementMode::Reject,
        tag: TagMode::Record,
        event_time: None,
        inputs: Vec::new(),
        slos: Vec::new(),
        urn,
    }
}

fn index() -> SearchIndex {
    let mut index = SearchIndex::new();
    let departures = "urn:meshwork:operations:departures:v1";
    index.put(&product(
        departures,
        "Flights that left New York",
        &["carrier", "depDelay"],
    ));
    let mut arrivals = product(
        "urn:meshwork:operations:arrivals:v1",
        "Flights that arrived; see departures",
        &["carrier", "arr_delay"],
    );
    arrivals.tags = vec!["Punctuality".into()];
    index.put(&arrivals);
    index.put(&product(
        "urn:meshwork:meteorology:observations:v1",
        "Weather by the hour",
        &["wind_speed"],
    ));
    let mut old = product(
        "urn:meshwork:operations:departures:v0",
        "The old ones",
        &["carrier"],
    );
    old.status = ProductStatus::Retired;
    index.put(&old);
    let mut delays = product(
        "urn:meshwork:analytics:delays:v1",
        "Weather and flights",
        &[],
    );
    delays.status = ProductStatus::Deprecated;
    index.put(&delays);
    index
}

fn names(found: &Found) -> Vec<String> {
    found
        .hits
        .iter()
        .map(|hit| format!("{}.{}", hit.urn.name(), hit.urn.version()))
        .collect()
}

#[test]
fn finds_by_name_tag_owner_domain_column_and_description() {
    let index = index();
    for (query, expected) in [
        (
            "departures",
            vec!["operations.departures.v1", "operations.arrivals.v1"],
        ),
        (
            "operations.departures",
            vec!["operations.departures.v1", "operations.arrivals.v1"],
        ),
        ("punctuality", vec!["operations.arrivals.v1"]),
        ("meteorology-team", vec!["meteorology.observations.v1"]),
        (
            "delay",
            vec![
                "analytics.delays.v1",
                "operations.arrivals.v1",
                "operations.departures.v1",
            ],
        ),
        ("depdelay", vec!["operations.departures.v1"]),
        ("wind", vec!["meteorology.observations.v1"]),
        (
            "weath",
            vec!["meteorology.observations.v1", "analytics.delays.v1"],
        ),
        ("urn:meshwork:operations:departures:v1", vec![]),
        ("", vec![]),
        ("...", vec![]),
    ] {
        let found = index.search(query, &Filter::default());
        if query.starts_with("urn:") {
            assert_eq!(names(&found).first().unwrap(), "operations.departures.v1");
            continue;
        }
        assert_eq!(names(&found), expected, "{query}");
        assert!(found.left_out.is_empty(), "{query}: {:?}", found.left_out);
    }
}

#[test]
fn an_exact_name_is_first_though_another_scores_higher() {
    let mut index = index();
    for n in 1..20 {
        let mut other = product(
            &format!("urn:meshwork:departures:departures-{n}:v1"),
            "departures departures",
            &["departures"],
        );
        other.tags = vec!["departures".into()];
        index.put(&other);
    }
    let found = index.search("departures", &Filter::default());
    assert_eq!(names(&found)[0], "operations.departures.v1");
    assert_eq!(found.hits.len(), 21);
    // Ties by URN.
    let tied: Vec<String> = names(&found)[1..20].to_vec();
    let mut sorted = tied.clone();
    sorted.sort_by_key(|name| name.parse::<String>().unwrap());
    assert_eq!(tied, sorted);
}

#[test]
fn near_words_count_only_where_nothing_else_is_found_and_are_said() {
    let index = index();
    let found = index.search("depatures", &Filter::default());
    assert_eq!(names(&found)[0], "operations.departures.v1");
    assert_eq!(found.did_you_mean.as_deref(), Some("departures"));
    let exact = index.search("departures", &Filter::default());
    assert!(exact.hits[0].score > found.hits[0].score);
    assert_eq!(exact.did_you_mean, None);
    // Three letters are too few to guess.
    assert!(index.search("wnd", &Filter::default()).hits.is_empty());
}

#[test]
fn the_rarest_word_is_left_out_and_said() {
    let index = index();
    let found = index.search("weather zebra", &Filter::default());
    assert_eq!(found.left_out, ["zebra"]);
    assert_eq!(
        names(&found),
        ["meteorology.observations.v1", "analytics.delays.v1"]
    );
    let none = index.search("zebra", &Filter::default());
    assert!(none.hits.is_empty() && none.left_out.is_empty());
}

#[test]
fn filters_narrow_and_retired_products_need_one() {
    let index = index();
    let status = |word: &str| Filter {
        status: Some([word.to_owned()].into()),
        ..Filter::default()
    };
    assert_eq!(
        names(&index.search("carrier", &status("retired"))),
        ["operations.departures.v0"]
    );
    assert_eq!(
        names(&index.search("flights", &status("deprecated"))),
        ["analytics.delays.v1"]
    );
    for (filter, expected) in [
        (
            Filter {
                domain: Some("meteorology".into()),
                ..Filter::default()
            },
            1,
        ),
        (
            Filter {
                tag: Some("punctuality".into()),
                ..Filter::default()
            },
            1,
        ),
        (
            Filter {
                owner: Some("operations-team".into()),
                ..Filter::default()
            },
            2,
        ),
        (Filter::default(), 4),
        (
            Filter {
                status: Some(BTreeSet::new()),
                ..Filter::default()
            },
            0,
        ),
    ] {
        let count = index.products(None).filter(|p| filter.fits(p)).count();
        assert_eq!(count, expected, "{filter:?}");
    }
}

#[test]
fn one_and_two_letters_are_looked_for_in_names_only() {
    let mut index = SearchIndex::new();
    index.put(&product("urn:meshwork:x:ab:v1", "nothing", &[]));
    index.put(&product("urn:meshwork:x:other:v1", "ab ab ab", &["ab"]));
    let found = index.search("ab", &Filter::default());
    assert_eq!(names(&found), ["x.ab.v1"]);
}

#[test]
fn a_huge_schema_is_cut_and_a_broken_one_ignored() {
    let columns: Vec<String> = (0..10_000).map(|n| format!("column{n}")).collect();
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut index = SearchIndex::new();
    index.put(&product("urn:meshwork:x:wide:v1", "wide", &columns));
    assert!(index.postings.len() <= WORDS_MAX);
    let mut broken = product("urn:meshwork:x:broken:v1", "broken", &[]);
    broken.value_schema.schema = "{".into();
    index.put(&broken);
    assert_eq!(
        names(&index.search("broken", &Filter::default())),
        ["x.broken.v1"]
    );
}

proptest! {
    /// Puts and removals in any order leave the same index as only the last of each, and an empty
    /// one leaves nothing behind.
    #[test]
    fn replacing_and_removing_leave_no_trace(
        steps in proptest::collection::vec((0..4u8, any::<bool>(), "[a-c]{1,3}( [a-c]{1,3})?"), 0..30),
    ) {
        let mut index = SearchIndex::new();
        let mut last: BTreeMap<u8, String> = BTreeMap::new();
        for (n, put, text) in steps {
            let urn = format!("urn:meshwork:d:p{n}:v1");
            if put {
                index.put(&product(&urn, &text, &[]));
                last.insert(n, text);
            } else {
                index.remove(&urn.parse().unwrap());
                last.remove(&n);
            }
        }
        let mut fresh = SearchIndex::new();
        for (n, text) in &last {
            fresh.put(&product(&format!("urn:meshwork:d:p{n}:v1"), text, &[]));
        }
        prop_assert_eq!(index.len(), last.len());
        let words = |index: &SearchIndex| -> Vec<(String, usize)> {
            index.postings.iter().map(|(w, l)| (w.to_string(), l.len())).collect()
        };
        prop_assert_eq!(words(&index), words(&fresh));
        for query in ["a", "abc", "ab ca", "team"] {
            let filter = Filter::default();
            prop_assert_eq!(index.search(query, &filter), fresh.search(query, &filter));
        }
        for urn in index.by_urn.keys().cloned().collect::<Vec<_>>() {
            index.remove(&urn);
        }
        prop_assert!(index.postings.is_empty() && index.docs.is_empty());
    }

    #[test]
    fn no_query_panics(query in "\\PC{0,300}") {
        let _ = index().search(&query, &Filter::default());
    }
}
