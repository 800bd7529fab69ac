//! What `apply` does where something else than an announcement is on `mesh.catalog`.

use meshwork_catalog::apply::apply_products;
use meshwork_catalog::plan::Step;
use meshwork_catalog::read_catalog;
use meshwork_kafka::OutRecord;

use crate::apply::{Sample, clock, context};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_read_is_announced_again() {
    let context = context(&clock()).await;
    let product = Sample::new().product();
    let products = [product.clone()];
    let first = apply_products(&context, &products, |_| {}).await.unwrap();
    let urn = product.urn.to_string();
    let junk = OutRecord {
        topic: "mesh.catalog",
        key: Some(urn.as_bytes()),
        value: Some(b"junk"),
        ..OutRecord::default()
    };
    let producer = meshwork_testkit::kafka().producer();
    producer.deliver(&junk).await.unwrap();

    let again = apply_products(&context, &products, |_| {}).await.unwrap();
    assert_eq!(again[0].announcement, first[0].announcement);
    let steps = &again[0].steps;
    assert!(matches!(steps[..], [Step::Announce { .. }]), "{steps:?}");
    let snapshot = read_catalog(&context.kafka, &context.registry)
        .await
        .unwrap();
    assert!(snapshot.unreadable.iter().all(|u| u.key != urn));
    assert!(snapshot.products.contains(&first[0].announcement));
    let third = apply_products(&context, &products, |_| {}).await.unwrap();
    assert!(third[0].steps.is_empty());
}
