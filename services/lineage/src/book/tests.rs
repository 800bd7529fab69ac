use meshwork_model::mesh::lineage::Basis;
use meshwork_model::mesh::observation::{JobSide, SourceKind, TransactionalJob, Trust};
use meshwork_model::time::Timestamp;
use meshwork_state::StoreOptions;
use parking_lot::RwLock;

use super::*;
use crate::graph::tests::LIMITS;
use crate::node;

fn open(dir: &std::path::Path) -> Book {
    let options = StoreOptions::new("lineage", FORMAT, &FAMILIES);
    Book::new(Store::open(dir, &options).unwrap().0)
}

fn source() -> ObservationSource {
    ObservationSource {
        kind: SourceKind::Produce,
        instance: "host".into(),
        epoch: 1,
        sequence: 0,
    }
}

fn sighting(records: i64) -> Sighting {
    Sighting {
        from: node::of_producer("ops", Trust::Configured),
        to: node::of_input("ops.flights.v1"),
        basis: Basis::Observed,
        at: Timestamp::from_millis(1000),
        records,
    }
}

fn records(graph: &RwLock<Graph>) -> i64 {
    let graph = graph.read();
    let sighting = sighting(0);
    graph
        .find_edge(&sighting.from, &sighting.to, Basis::Observed)
        .map_or(0, |edge| edge.records)
}

/// The fact that the outbox holds.
fn due(book: &Book) -> LineageFact {
    let mut due = book.outbox().unwrap();
    assert_eq!(due.len(), 1, "{due:?}");
    due.remove(0).1
}

#[test]
fn counts_go_on_after_a_restart_and_leave_by_the_outbox() {
    let dir = tempfile::tempdir().unwrap();
    let graph = RwLock::new(Graph::new(LIMITS));
    {
        let book = open(dir.path());
        let mut draft = book.draft();
        draft.sighted(&source(), &sighting(5)).unwrap();
        draft.sighted(&source(), &sighting(7)).unwrap();
        draft.commit(&graph).unwrap();
        assert_eq!(records(&graph), 12);
        // Told by the log what is known: nothing more to be said.
        let fact = due(&book);
        let key = fold::key(&fact);
        book.written(std::slice::from_ref(&key)).unwrap();
        let mut draft = book.draft();
        draft.told(&fact).unwrap();
        draft.commit(&graph).unwrap();
        assert!(book.outbox().unwrap().is_empty());
        // A draft that is not committed leaves nothing.
        let mut draft = book.draft();
        draft.sighted(&source(), &sighting(100)).unwrap();
    }
    let book = open(dir.path());
    let graph = RwLock::new(Graph::new(LIMITS));
    book.load(&mut graph.write()).unwrap();
    assert_eq!(records(&graph), 12);
    let mut draft = book.draft();
    draft.sighted(&source(), &sighting(3)).unwrap();
    draft.commit(&graph).unwrap();
    assert_eq!(records(&graph), 15);
}

#[test]
fn a_lost_store_rebuilt_from_the_log_counts_no_record_twice() {
    let (old, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let graph = RwLock::new(Graph::new(LIMITS));
    let book = open(old.path());
    let mut draft = book.draft();
    draft.sighted(&source(), &sighting(5)).unwrap();
    draft.sighted(&source(), &sighting(7)).unwrap();
    draft.commit(&graph).unwrap();
    let fact = due(&book);

    // A new store: first what the log knows, then the observations once more.
    let graph = RwLock::new(Graph::new(LIMITS));
    let book = open(new.path());
    let mut draft = book.draft();
    draft.told(&fact).unwrap();
    draft.commit(&graph).unwrap();
    for records in [5, 7] {
        let mut draft = book.draft();
        draft.sighted(&source(), &sighting(records)).unwrap();
        draft.commit(&graph).unwrap();
    }
    assert_eq!(records(&graph), 12);
    assert!(book.outbox().unwrap().is_empty(), "nothing new was found");
    let mut draft = book.draft();
    draft.sighted(&source(), &sighting(1)).unwrap();
    draft.commit(&graph).unwrap();
    assert_eq!(records(&graph), 13);
}

#[test]
fn a_log_that_knows_less_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let graph = RwLock::new(Graph::new(LIMITS));
    let book = open(dir.path());
    let mut draft = book.draft();
    draft.sighted(&source(), &sighting(5)).unwrap();
    draft.commit(&graph).unwrap();
    let early = due(&book);
    let mut draft = book.draft();
    draft.sighted(&source(), &sighting(7)).unwrap();
    draft.commit(&graph).unwrap();
    book.written(&[fold::key(&early)]).unwrap();
    // A slower instance writes what it has seen so far.
    let mut draft = book.draft();
    draft.told(&early).unwrap();
    draft.commit(&graph).unwrap();
    let Fact::EdgeFact(edge) = due(&book).fact else {
        panic!("an edge");
    };
    assert_eq!(fold::records(&edge), 12);
}

#[test]
fn an_erased_fact_is_gone_from_store_and_graph() {
    let dir = tempfile::tempdir().unwrap();
    let graph = RwLock::new(Graph::new(LIMITS));
    let book = open(dir.path());
    let mut draft = book.draft();
    draft.sighted(&source(), &sighting(5)).unwrap();
    draft.commit(&graph).unwrap();
    let key = fold::key(&due(&book));
    let mut draft = book.draft();
    draft.erased(&key).unwrap();
    draft.commit(&graph).unwrap();
    assert_eq!(records(&graph), 0);
    assert!(book.outbox().unwrap().is_empty());
    for family in FAMILIES {
        assert_eq!(
            book.store.scan(family, &[], None).unwrap().count(),
            0,
            "{family}"
        );
    }
}

#[test]
fn erased_and_found_again_in_one_batch_counts_only_what_came_after() {
    let dir = tempfile::tempdir().unwrap();
    let graph = RwLock::new(Graph::new(LIMITS));
    let book = open(dir.path());
    let mut draft = book.draft();
    draft.sighted(&source(), &sighting(5)).unwrap();
    draft.commit(&graph).unwrap();
    let key = fold::key(&due(&book));
    let mut draft = book.draft();
    draft.sighted(&source(), &sighting(1)).unwrap();
    draft.erased(&key).unwrap();
    draft.commit(&graph).unwrap();
    assert_eq!(records(&graph), 0);
    let mut draft = book.draft();
    draft.sighted(&source(), &sighting(4)).unwrap();
    draft.commit(&graph).unwrap();
    assert_eq!(records(&graph), 4);
    let reloaded = RwLock::new(Graph::new(LIMITS));
    book.load(&mut reloaded.write()).unwrap();
    assert_eq!(records(&reloaded), 4);
}

#[test]
fn a_topic_made_again_is_read_again_and_all_facts_are_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let graph = RwLock::new(Graph::new(LIMITS));
    let book = open(dir.path());
    let mut draft = book.draft();
    draft.sighted(&source(), &sighting(5)).unwrap();
    draft.batch.set_offset("mesh.lineage", 0, 42);
    draft.commit(&graph).unwrap();
    book.written(&[fold::key(&due(&book))]).unwrap();
    book.write_all_again().unwrap();
    book.read_again("mesh.lineage").unwrap();
    due(&book);
    assert_eq!(book.store.offset("mesh.lineage", 0).unwrap(), Some(0));
}

/// An observation of one job's transaction.
fn worked(transactional_id: &str) -> PartitionObservation {
    PartitionObservation {
        jobs: vec![TransactionalJob {
            group: "delays".into(),
            transactional_id: transactional_id.into(),
            producer_id: None,
            side: JobSide::Reads,
        }],
        ..PartitionObservation::default()
    }
}

fn transactional_ids(graph: &RwLock<Graph>) -> Option<String> {
    let graph = graph.read();
    let node = graph.node(graph.find(&node::of_job("delays"))?)?;
    node.detail.get("transactional_ids").cloned()
}

#[test]
fn jobs_of_one_batch_keep_the_ids_of_all_its_observations() {
    let dir = tempfile::tempdir().unwrap();
    let graph = RwLock::new(Graph::new(LIMITS));
    let book = open(dir.path());
    let at = Timestamp::from_millis(1000);
    let mut draft = book.draft();
    for id in ["delays-b", "delays-a", "delays-b"] {
        draft.worked(&worked(id), at).unwrap();
    }
    draft.commit(&graph).unwrap();
    assert_eq!(transactional_ids(&graph).unwrap(), "delays-a, delays-b");
    // And those of the batches before, of which another observation says nothing new.
    book.written(&[fold::key(&due(&book))]).unwrap();
    let mut draft = book.draft();
    draft
        .worked(&worked("delays-a"), at.plus_millis(1))
        .unwrap();
    draft.commit(&graph).unwrap();
    assert!(book.outbox().unwrap().is_empty());
    let mut draft = book.draft();
    draft.worked(&worked("a, b"), at.plus_millis(2)).unwrap();
    draft.worked(&worked("a, b"), at.plus_millis(3)).unwrap();
    draft.commit(&graph).unwrap();
    book.written(&[fold::key(&due(&book))]).unwrap();
    assert_eq!(
        transactional_ids(&graph).unwrap(),
        "a; b, delays-a, delays-b"
    );
    let mut draft = book.draft();
    draft.worked(&worked("a, b"), at.plus_millis(4)).unwrap();
    draft.commit(&graph).unwrap();
    assert!(book.outbox().unwrap().is_empty());
}
