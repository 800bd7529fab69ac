//! Schemas that are not at hand.

use super::*;
use crate::framing::SchemaRef;
use meshwork_model::name::SchemaId;

#[test]
fn what_a_batch_needs_is_told_without_walking_it_further() {
    let of = |id, name| Given {
        value: flight(id, name, 1_000),
        ..good("x")
    };
    let given = batch(
        header(),
        Codec::Lz4,
        &[good("A"), of(21, "B"), bad(), of(22, "C"), of(21, "D")],
    );
    let mut pipeline = pipeline(policy(EnforcementMode::Reject));
    let view = pipeline.read(&given).unwrap();
    let needed = pipeline.needed(&view, &Told::flights()).unwrap();
    let ids: Vec<_> = needed.iter().map(|n| n.schema).collect();
    let id = |n| SchemaRef::Id(SchemaId::new(n).unwrap());
    assert_eq!(ids, [id(21), id(22)]);
    // The walk itself asks for the same.
    let report = pipeline.run_on(&view, context(&ops()), &Told::flights());
    assert_eq!(report.unwrap().outcome, BatchOutcome::Load(needed));
    let known = batch(header(), Codec::None, &[good("A"), bad()]);
    let view = pipeline.read(&known).unwrap();
    assert_eq!(pipeline.needed(&view, &Told::flights()).unwrap(), []);
}

/// Counts what it is asked, and knows one schema.
struct Counting(std::cell::RefCell<Vec<SchemaRef>>);

impl Schemas for Counting {
    fn look_up(&self, subject: &str, schema: SchemaRef) -> crate::schemas::SchemaLookup {
        self.0.borrow_mut().push(schema);
        Told::flights().look_up(subject, schema)
    }
}

#[test]
fn only_what_records_name_is_looked_at_and_no_more_than_there_is_room_for() {
    let of = |id| Given {
        value: flight(id, "B", 1_000),
        ..good("x")
    };
    let ids = |needed: Vec<Needed>| -> Vec<_> { needed.iter().map(|n| n.schema).collect() };
    let id = |n| SchemaRef::Id(SchemaId::new(n).unwrap());
    // Its datum is cut short, which is not looked at.
    let broken = Given {
        value: vec![0, 0, 0, 0, 7],
        key: Some(b"\0\0\0\0\x0btail"),
        headers: vec![],
    };
    let avro_keys = ProductPolicy {
        key: crate::policy::KeyRule::Avro {
            subject: "ops.flights.v1-key".to_owned(),
        },
        ..policy(EnforcementMode::Reject)
    };
    let mut keyed = pipeline(avro_keys);
    let given = batch(header(), Codec::None, &[broken, bad()]);
    let view = keyed.read(&given).unwrap();
    let asked = Counting(std::cell::RefCell::default());
    assert_eq!(ids(keyed.needed(&view, &asked).unwrap()), [id(11)]);
    assert_eq!(asked.0.take(), [id(7), id(11)]);
    // A run is asked for once, and what is behind a full list not at all.
    let mut records: Vec<Given> = (0..30).map(|_| of(99)).collect();
    records.extend((100..140).map(of));
    let given = batch(header(), Codec::None, &records);
    let mut pipeline = pipeline(policy(EnforcementMode::Reject));
    let view = pipeline.read(&given).unwrap();
    let first: Vec<_> = (99..115).map(id).collect();
    assert_eq!(ids(pipeline.needed(&view, &asked).unwrap()), first);
    assert_eq!(asked.0.take(), first);
}
