//! The registry is away: what is known goes on, what is not waits, or passes where that is wanted.

use kafka_protocol::messages::{ApiKey, ProduceResponse};
use meshwork_gateway::{Config, RegistryUnavailable};
use meshwork_kafka::NewTopic;
use meshwork_model::mesh::ProductAnnouncement;
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_model::name::Urn;
use meshwork_testkit::{kafka, registry, wait_until};
use meshwork_wire::Codec;

use super::mesh::{Gateway, Product, framed};
use super::raw::{Raw, batch, idempotent, produce_request};
use super::way::Way;

/// A flight with these fields too, under a schema that has just been registered.
pub(crate) async fn later(product: &Product, fields: &[&str]) -> Vec<u8> {
    let more: Vec<String> = fields
        .iter()
        .map(|name| format!(r#",{{"name":"{name}","type":"string","default":""}}"#))
        .collect();
    let schema = format!(
        r#"{{"type":"record","name":"Flight","namespace":"test","fields":[
        {{"name":"id","type":"string"}},
        {{"name":"at","type":{{"type":"long","logicalType":"timestamp-millis"}}}}{}]}}"#,
        more.concat()
    );
    let subject = product.announcement.urn.value_subject();
    let registered = registry()
        .register(&subject, &schema, &[], false)
        .await
        .unwrap();
    let mut value = framed(registered.id.as_i32(), "b");
    for _ in fields {
        value.extend([2, b'7']);
    }
    value
}

/// A product, and a gateway whose way to its registry can be cut, which knows the product's schema.
async fn known() -> (Product, Way, Gateway, Raw) {
    let product = Product::new(EnforcementMode::Reject).await;
    let way = Way::open().await;
    let gateway = Gateway::start_with(Config::default(), way.client()).await;
    let mut raw = Raw::connect(&gateway.address).await;
    let good = batch(Codec::None, &[product.flight("a")]);
    assert_eq!(raw.produce(9, product.topic(), &good).await.0, 0);
    (product, way, gateway, raw)
}

#[tokio::test]
async fn known_schemas_go_on_and_unknown_ones_are_put_off() {
    let (product, way, gateway, mut raw) = known().await;
    let good = batch(Codec::None, &[product.flight("a")]);

    let unknown = batch(Codec::None, &[later(&product, &["gate"]).await]);
    way.cut();
    let mut patient = Raw::connect(&gateway.address).await;
    for _ in 0..3 {
        assert_eq!(
            raw.produce(9, product.topic(), &good).await.0,
            0,
            "from the cache"
        );
        let (code, ..) = patient.produce(9, product.topic(), &unknown).await;
        assert_eq!(code, 19, "try later");
    }
    let line = format!(
        "meshwork_gateway_batches_refused_total{{topic=\"{}\",reason=\"registry-unavailable\"}}",
        product.topic()
    );
    assert!(gateway.metric(&line) >= 3);
    way.mend();
    wait_until("the schema to be known", || {
        let (address, topic) = (gateway.address.clone(), product.topic().to_owned());
        let unknown = unknown.clone();
        async move {
            Raw::connect(&address)
                .await
                .produce(9, &topic, &unknown)
                .await
                .0
                == 0
        }
    })
    .await;
    assert_eq!(product.log().await.len(), 5);
    gateway.stop().await;
}

#[tokio::test]
async fn until_the_products_are_known_nothing_passes_that_may_be_a_products() {
    let product = Product::new(EnforcementMode::Reject).await;
    let plain = kafka().topic("plain", 1).await;
    let like_a_product = format!("{plain}.made.v1");
    kafka()
        .create_topic(&NewTopic::new(&like_a_product, 1))
        .await;
    let way = Way::open().await;
    // Announcements are Avro, so that none can be read without the registry.
    way.cut();
    let client = way.client();
    let gateway = Gateway::begin_at(Config::default(), client, kafka().config()).await;
    let mut raw = Raw::connect(&gateway.address).await;
    let good = batch(Codec::None, &[product.flight("a")]);
    let bad = batch(Codec::None, &[b"junk".to_vec()]);
    assert_eq!(raw.produce(9, product.topic(), &bad).await.0, 19);
    assert_eq!(raw.produce(9, product.topic(), &good).await.0, 19);
    let quarantine = product.announcement.urn.quarantine_topic();
    assert_eq!(raw.produce(9, &quarantine, &bad).await.0, 19);
    let unheard = produce_request(product.topic(), &bad).with_acks(0);
    raw.send(ApiKey::Produce, 9, &unheard).await;
    assert_eq!(raw.produce(9, &plain, &bad).await.0, 0, "no product's name");
    let numbered = |sequence| idempotent(bad.clone(), 7_000_002, 0, sequence);
    let (first, second) = (numbered(0), numbered(1));
    assert_eq!(raw.produce(9, &like_a_product, &first).await.0, 19);
    assert!(
        gateway.metric("meshwork_gateway_batches_refused_total{topic=\"\",reason=\"early\"}") >= 4
    );

    way.mend();
    gateway.ready().await;
    assert_eq!(product.log().await.len(), 0);
    assert_eq!(raw.produce(9, product.topic(), &bad).await.0, 87);
    assert_eq!(raw.produce(9, product.topic(), &good).await.0, 0);
    assert_eq!(product.log().await.len(), 1);
    // It was no product after all. A broker that knows nothing of the producer would take any
    // sequence for its first.
    assert_eq!(raw.produce(9, &like_a_product, &second).await.0, 19);
    assert_eq!(
        raw.produce(9, &like_a_product, &first).await,
        (0, 0, vec![])
    );
    assert_eq!(
        raw.produce(9, &like_a_product, &second).await,
        (0, 1, vec![])
    );
    // It becomes one: what was put off was made good, and stands in nobody's way.
    let made = Product {
        announcement: ProductAnnouncement {
            urn: Urn::from_topic(&like_a_product).unwrap(),
            topic: like_a_product.clone(),
            enforcement: EnforcementMode::Quarantine,
            ..product.announcement.clone()
        },
    };
    made.announce().await;
    wait_until("the gateway to know the product's quarantine", || async {
        let mut raw = Raw::connect(&gateway.address).await;
        raw.produce(9, made.topic(), &bad).await == (0, -1, vec![])
    })
    .await;
    assert_eq!(
        raw.produce(9, made.topic(), &numbered(2)).await,
        (0, -1, vec![])
    );
    gateway.stop().await;
}

#[tokio::test]
async fn unknown_ones_pass_unchecked_where_that_is_wanted_and_are_counted() {
    let product = Product::new(EnforcementMode::Reject).await;
    let quarantine = Product::new(EnforcementMode::Quarantine).await;
    let way = Way::open().await;
    let config = Config {
        registry_unavailable: RegistryUnavailable::Pass,
        ..Config::default()
    };
    let gateway = Gateway::start_with(config, way.client()).await;
    let unknown = batch(Codec::None, &[later(&product, &["gate"]).await]);
    let kept_out = batch(Codec::None, &[later(&quarantine, &["stand"]).await]);
    way.cut();
    let mut raw = Raw::connect(&gateway.address).await;
    let mut codes = Vec::new();
    for _ in 0..2 {
        codes.push(raw.produce(9, product.topic(), &unknown).await.0);
    }
    assert_eq!(codes, [0, 0]);
    let line = format!(
        "meshwork_gateway_records_unverified_total{{topic=\"{}\"}}",
        product.topic()
    );
    assert_eq!(gateway.metric(&line), 2);
    // What needs no schema to be told is refused all the same.
    let junk = batch(Codec::None, &[b"junk".to_vec()]);
    assert_eq!(raw.produce(9, product.topic(), &junk).await.0, 87);
    // And with quarantine nothing passes unchecked.
    let code = raw.produce(9, quarantine.topic(), &kept_out).await.0;
    assert_eq!(code, 19);
    assert_eq!(product.log().await.len(), 2);
    assert_eq!(quarantine.log().await.len(), 0);
    gateway.stop().await;
}

#[tokio::test]
async fn what_a_request_needs_is_asked_for_at_the_same_time() {
    let (a, b) = (
        Product::new(EnforcementMode::Reject).await,
        Product::new(EnforcementMode::Reject).await,
    );
    let way = Way::open().await;
    let gateway = Gateway::start_with(Config::default(), way.client()).await;
    let mut raw = Raw::connect(&gateway.address).await;
    for product in [&a, &b] {
        let good = batch(Codec::None, &[product.flight("a")]);
        assert_eq!(raw.produce(9, product.topic(), &good).await.0, 0);
    }
    let two = batch(
        Codec::None,
        &[
            later(&a, &["gate"]).await,
            later(&a, &["gate", "stand"]).await,
        ],
    );
    let one = batch(Codec::None, &[later(&b, &["door"]).await]);
    // Nothing is answered before three ask at a time.
    way.hold_up(3);
    let mut request = produce_request(a.topic(), &two);
    request
        .topic_data
        .extend(produce_request(b.topic(), &one).topic_data);
    let answer: ProduceResponse = raw.ask(ApiKey::Produce, 9, &request).await.unwrap();
    let codes = answer
        .responses
        .iter()
        .map(|topic| topic.partition_responses[0].error_code);
    assert_eq!(codes.collect::<Vec<_>>(), [0, 0]);
    gateway.stop().await;
}

#[tokio::test]
async fn a_registry_that_does_not_answer_is_not_waited_for_without_end() {
    let (product, way, gateway, mut raw) = known().await;
    let good = batch(Codec::None, &[product.flight("a")]);
    let unknown = batch(Codec::None, &[later(&product, &["gate"]).await]);
    way.hold_up(usize::MAX);
    let code = raw.produce(9, product.topic(), &unknown).await.0;
    assert_eq!(code, 19, "try later");
    assert_eq!(raw.produce(9, product.topic(), &good).await.0, 0);
    gateway.stop().await;
    // It is one that can't be asked.
    let config = Config {
        registry_unavailable: RegistryUnavailable::Pass,
        ..Config::default()
    };
    way.hold_up(0);
    let gateway = Gateway::start_with(config, way.client()).await;
    way.hold_up(usize::MAX);
    let mut raw = Raw::connect(&gateway.address).await;
    // But where its client has less patience, nothing is known of the registry.
    let hasty = produce_request(product.topic(), &unknown).with_timeout_ms(1_000);
    let answer: ProduceResponse = raw.ask(ApiKey::Produce, 9, &hasty).await.unwrap();
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 19);
    assert_eq!(raw.produce(9, product.topic(), &unknown).await.0, 0);
    gateway.stop().await;
}
