//! Announcements that can't be read: nothing passes unchecked to a product's topic.

use meshwork_gateway::Config;
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_model::mesh::{MeshRecord as _, ProductAnnouncement};
use meshwork_testkit::{kafka, registry, unique, wait_until};
use meshwork_wire::Codec;

use super::mesh::{Gateway, Product, followed};
use super::raw::{Raw, batch, idempotent};
use super::way::Way;

const RETRY_LATER: i16 = 19;
const NOT_ALLOWED: i16 = 29;
const INVALID_RECORD: i16 = 87;

/// Waits until a gateway has seen that the product's announcement can't be read.
async fn seen_unread(gateway: &Gateway, product: &Product) {
    wait_until("the announcement to be found unreadable", || async {
        is_unread(gateway, product)
    })
    .await;
}

fn is_unread(gateway: &Gateway, product: &Product) -> bool {
    let topic = product.topic();
    gateway.metric(&format!(
        "meshwork_gateway_announcements_unread{{topic=\"{topic}\"}}"
    )) > 0
}

#[tokio::test]
async fn a_product_whose_announcement_can_not_be_read_takes_nothing_until_one_can() {
    let product =
        Product::unannounced(|product| product.enforcement = EnforcementMode::Reject).await;
    let before = Gateway::start(Config::default()).await;
    product.announce_as(b"junk").await;
    seen_unread(&before, &product).await;
    let after = Gateway::start(Config::default()).await;
    assert!(is_unread(&after, &product));

    let good = batch(Codec::None, &[product.flight("a")]);
    let bad = batch(Codec::None, &[b"junk".to_vec()]);
    let numbered = |sequence| idempotent(good.clone(), 7_000_003, 0, sequence);
    let (first, second) = (numbered(0), numbered(1));
    let quarantine = product.announcement.urn.quarantine_topic();
    let mut connections = Vec::new();
    for gateway in [&before, &after] {
        let mut raw = Raw::connect(&gateway.address).await;
        for batch in [&good, &bad, &first] {
            let code = raw.produce(9, product.topic(), batch).await.0;
            assert_eq!(code, RETRY_LATER);
        }
        assert_eq!(raw.produce(9, &quarantine, &bad).await.0, NOT_ALLOWED);
        let counted = "meshwork_gateway_batches_refused_total{topic=\"\",reason=\"unannounced\"}";
        assert_eq!(gateway.metric(counted), 3);
        connections.push(raw);
    }
    assert_eq!(product.log().await.len(), 0);

    product.announce().await;
    for (gateway, raw) in [&before, &after].into_iter().zip(&mut connections) {
        followed(gateway, &product).await;
        assert!(!is_unread(gateway, &product));
        let code = raw.produce(9, product.topic(), &bad).await.0;
        assert_eq!(code, INVALID_RECORD);
        assert_eq!(raw.produce(9, product.topic(), &good).await.0, 0);
    }
    // Nothing overtakes what was put off.
    let raw = &mut connections[0];
    for (batch, wanted) in [(&second, RETRY_LATER), (&first, 0), (&second, 0)] {
        let code = raw.produce(9, product.topic(), batch).await.0;
        assert_eq!(code, wanted);
    }

    // What was known of a product holds, also where the registry has no such schema.
    let mut unknown = product.announced().await;
    unknown[1..5].copy_from_slice(&i32::MAX.to_be_bytes());
    product.announce_as(&unknown).await;
    seen_unread(&before, &product).await;
    let raw = &mut connections[0];
    let code = raw.produce(9, product.topic(), &bad).await.0;
    assert_eq!(code, INVALID_RECORD);
    assert_eq!(raw.produce(9, product.topic(), &good).await.0, 0);
    product.announce().await;
    before.stop().await;
    after.stop().await;
}

#[tokio::test]
async fn an_announcement_whose_schema_can_not_be_asked_for_is_read_once_the_registry_is_back() {
    let product =
        Product::unannounced(|product| product.enforcement = EnforcementMode::Reject).await;
    // As one of another release of Meshwork.
    let text = ProductAnnouncement::SCHEMA.text();
    let other = text.replacen("All there is to know", "What another release tells", 1);
    assert_ne!(other, text);
    let subject = format!("{}-value", unique("other"));
    let registered = registry()
        .register(&subject, &other, &[], false)
        .await
        .unwrap();
    let mut value = product.announced().await;
    assert_ne!(value[1..5], registered.id.as_i32().to_be_bytes());
    value[1..5].copy_from_slice(&registered.id.as_i32().to_be_bytes());

    let way = Way::open().await;
    let gateway = Gateway::start_at(Config::default(), way.client(), kafka().config()).await;
    way.cut();
    product.announce_as(&value).await;
    seen_unread(&gateway, &product).await;
    // Others are followed meanwhile.
    let known = Product::new(EnforcementMode::Reject).await;
    followed(&gateway, &known).await;
    let bad = batch(Codec::None, &[b"junk".to_vec()]);
    let mut raw = Raw::connect(&gateway.address).await;
    let code = raw.produce(9, product.topic(), &bad).await.0;
    assert_eq!(code, RETRY_LATER);
    let code = raw.produce(9, known.topic(), &bad).await.0;
    assert_eq!(code, INVALID_RECORD);

    way.mend();
    followed(&gateway, &product).await;
    let code = raw.produce(9, product.topic(), &bad).await.0;
    assert_eq!(code, INVALID_RECORD);
    assert_eq!(product.log().await.len(), 0);
    product.announce().await;
    gateway.stop().await;
}
