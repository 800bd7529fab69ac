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
