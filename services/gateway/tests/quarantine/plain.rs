//! What quarantine does where nothing goes wrong.

use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_testkit::{kafka, wait_until};
use meshwork_wire::Codec;

use crate::mesh::header;
use crate::producer::{Producer, World, bad, shown};
use crate::raw::{Raw, batch, produce_request};

#[tokio::test]
async fn what_is_bad_is_taken_out_and_kept_with_its_reason() {
    let world = World::new(EnforcementMode::Quarantine).await;
    let (product, producer) = (&world.product, Producer::new().await);
    let mut raw = Raw::connect(&world.a.address).await;
    let first = [world.good("g0"), bad("b1"), world.good("g2")];
    // The client's records and the log's are not one for one: no offset is told.
    assert_eq!(producer.send(&mut raw, product, 0, &first).await, (0, -1));
    let (code, offset) = producer
        .send(&mut raw, product, 3, &[world.good("g3")])
        .await;
    assert_eq!((code, offset), (0, 2));
    assert_eq!(
        producer.send(&mut raw, product, 0, &first).await,
        (0, -1),
        "a repeat"
    );
    assert_eq!(
        producer.send(&mut raw, product, 4, &[bad("b4")]).await,
        (0, -1),
        "nothing is left"
    );
    assert_eq!(
        producer
            .send(&mut raw, product, 5, &[world.good("g5")])
            .await,
        (0, 3)
    );
    assert_eq!(world.log().await, ["g0", "g2", "g3", "g5"]);

    let (payload, verdicts) = world.quarantine().await;
    assert_eq!(payload.len(), 2, "the repeat adds nothing");
    assert_eq!(verdicts.len(), 2);
    let told = |name: &str| header(&payload[0], name);
    assert_eq!(shown(payload[0].value.as_deref().unwrap()), "b1");
    assert_eq!(payload[0].key.as_deref(), Some(&b"k"[..]));
    assert_eq!(told("mesh-reason"), ["framing"]);
    assert_eq!(told("mesh-source"), [format!("{}@0", product.topic())]);
    assert_eq!(told("mesh-sequence"), ["1"]);
    assert_eq!(
        told("mesh-session"),
        [format!("{}:{}", producer.id, producer.epoch)]
    );
    assert_eq!(told("mesh-producer"), ["raw"]);
    assert_eq!(header(&verdicts[0], "mesh-verdict"), ["0+3"]);
    assert!(verdicts[0].value.is_none());
    let counted = |name: &str| {
        let line = format!(
            "meshwork_gateway_{name}_total{{topic=\"{}\"}}",
            product.topic()
        );
        world.a.metric(&line)
    };
    assert_eq!(counted("records_quarantined"), 2);
    assert_eq!(counted("records"), 4, "a repeat's records are none");
}

#[tokio::test]
async fn without_idempotence_what_is_bad_is_just_taken_out() {
    let world = World::new(EnforcementMode::Quarantine).await;
    let mut raw = Raw::connect(&world.a.address).await;
    let given = batch(Codec::None, &[world.good("g0"), bad("b1")]);
    let (code, offset, _) = raw.produce(9, world.product.topic(), &given).await;
    assert_eq!((code, offset), (0, -1));
    let seen = world.product.observed(1).await;
    let refused = seen.iter().flat_map(|seen| &seen.refused);
    assert_eq!(refused.map(|refused| refused.records).sum::<i64>(), 1);
    // And of one that wants no answer nothing is waited for.
    let given = batch(Codec::None, &[bad("b2"), world.good("g3")]);
    let request = produce_request(world.product.topic(), &given).with_acks(0);
    raw.send(kafka_protocol::messages::ApiKey::Produce, 9, &request)
        .await;
    wait_until("both to be in the topic", || async {
        world.log().await == ["g0", "g3"]
    })
    .await;
    wait_until("both to be in quarantine", || async {
        world.refused().await == ["b1", "b2"]
    })
    .await;
    let (_, verdicts) = world.quarantine().await;
    assert!(verdicts.is_empty(), "there is nothing to number");
}

#[tokio::test]
async fn nobody_else_writes_to_quarantine() {
    let world = World::new(EnforcementMode::Quarantine).await;
    let mut raw = Raw::connect(&world.a.address).await;
    let topic = world.quarantine_topic();
    let (code, ..) = raw
        .produce(9, &topic, &batch(Codec::None, &[bad("x")]))
        .await;
    assert_eq!(code, 29);
    let configs = kafka().admin().topic_configs(&topic).await.unwrap();
    let large = configs["max.message.bytes"].value.clone().unwrap();
    assert!(large.parse::<usize>().unwrap() > 16 << 20, "{large}");
}

#[tokio::test]
async fn a_transaction_is_refused_whole_and_an_idempotent_producer_without_answers_is_closed() {
    let world = World::new(EnforcementMode::Quarantine).await;
    let producer = Producer::new().await;
    let given = producer.batch(0, &[world.good("g0"), bad("b1")]);
    let mut raw = Raw::connect(&world.a.address).await;
    let request = produce_request(world.product.topic(), &given).with_acks(0);
    raw.send(kafka_protocol::messages::ApiKey::Produce, 9, &request)
        .await;
    assert_eq!(raw.frame().await, None);
    let mut raw = Raw::connect(&world.a.address).await;
    let name = kafka_protocol::protocol::StrBytes::from_static_str("tx");
    let request =
        produce_request(world.product.topic(), &given).with_transactional_id(Some(name.into()));
    let answer: kafka_protocol::messages::ProduceResponse = raw
        .ask(kafka_protocol::messages::ApiKey::Produce, 9, &request)
        .await
        .unwrap();
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 87);
    // What was still on its way would be there before this batch is answered: it is alone.
    let behind = batch(Codec::None, &[world.good("g2"), bad("b3")]);
    let (code, ..) = raw.produce(9, world.product.topic(), &behind).await;
    assert_eq!(code, 0);
    assert_eq!(world.log().await, ["g2"]);
    assert_eq!(world.refused().await, ["b3"]);
}
