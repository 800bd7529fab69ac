//! What observations cover.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{ApiKey, MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::StrBytes;
use meshwork_gateway::{Config, Span};
use meshwork_kafka::{NewTopic, OutRecord};
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_model::time::Timestamp;
use meshwork_model::units::HumanDuration;
use meshwork_testkit::{kafka, wait_for};
use meshwork_wire::Codec;

use super::mesh::{Gateway, Product};
use super::raw::{Raw, batch};

/// As flights of tests say when they were.
const EVENT: i64 = 1_700_000_000_000;
const MINUTE: i64 = 60_000;

#[tokio::test(flavor = "multi_thread")]
async fn in_record_time_each_observation_covers_one_minute_of_timestamps() {
    let product = Product::new(EnforcementMode::Reject).await;
    let config = Config {
        span: Span::RecordTime,
        ..Config::default()
    };
    let gateway = Gateway::start(config).await;
    let producer = gateway.producer();
    let start = EVENT - EVENT.rem_euclid(MINUTE);
    for (at, id) in [
        (start + 1_000, "AA1"),
        (start + 2_000, "AA2"),
        (start + MINUTE, "AA3"),
        (start + 3 * MINUTE + 7, "AA4"),
    ] {
        let flight = product.flight(id);
        let record = OutRecord {
            topic: product.topic(),
            key: Some(b"k"),
            value: Some(&flight),
            timestamp: Some(Timestamp::from_millis(at)),
            ..OutRecord::default()
        };
        producer.deliver(&record).await.unwrap();
    }
    // Nothing is waited for at the end.
    gateway.stop().await;
    let mut seen = product.observed(4).await;
    seen.sort_by_key(|o| o.offsets[0].from);
    for o in &seen {
        let minutes: Vec<i64> = o
            .offsets
            .iter()
            .flat_map(|range| range.from..range.until)
            .map(|offset| [0, 0, 1, 3][usize::try_from(offset).unwrap()])
            .collect();
        assert!(minutes.iter().all(|m| *m == minutes[0]), "{minutes:?}");
    }
    // A record arrives at its timestamp: nothing is late by the wall clock.
    let last = seen.last().unwrap();
    let lag = last.lag.as_ref().unwrap().greatest;
    assert_eq!(lag, start + 3 * MINUTE + 7 - EVENT);
}

#[tokio::test]
async fn what_is_asked_for_is_written_once_it_is_said_so() {
    let product = Product::new(EnforcementMode::Reject).await;
    let gateway = Gateway::start(Config::default()).await;
    let mut raw = Raw::connect(&gateway.address).await;
    let good = batch(Codec::None, &[product.flight("a")]);
    assert_eq!(raw.produce(9, product.topic(), &good).await.0, 0);
    assert!(gateway.handle.observe_now().await);
    let seen = product.observations().await;
    assert_eq!(seen.iter().map(|o| o.records).sum::<i64>(), 1);
    gateway.stop().await;
}

#[tokio::test]
async fn a_topic_made_anew_is_counted_from_its_beginning_although_no_client_asks_for_its_id() {
    const BEFORE: usize = 5_000;
    let product = Product::new(EnforcementMode::Reject).await;
    let config = Config {
        refresh_every: HumanDuration::from_millis(100),
        ..Config::default()
    };
    let gateway = Gateway::start(config).await;
    let topic = product.topic();
    let records = format!("meshwork_gateway_records_total{{topic=\"{topic}\"}}");
    let mut raw = Raw::connect(&gateway.address).await;
    let many = batch(Codec::None, &vec![product.flight("a"); BEFORE]);
    assert_eq!(raw.produce(9, topic, &many).await.0, 0);
    assert_eq!(gateway.metric(&records), BEFORE as u64);

    let admin = kafka().admin();
    admin.delete_topic(topic).await.unwrap();
    wait_for("the topic to be made again", || async {
        let again = NewTopic::new(topic, 1).with("retention.ms", "-1");
        admin.create_topic(&again).await.ok()
    })
    .await;
    let one = batch(Codec::None, &[product.flight("b")]);
    // Whichever way it hears of an id, it is the same id.
    let mut direct = Raw::connect(&kafka().bootstrap_servers()).await;
    let name = TopicName(StrBytes::from_string(topic.to_owned()));
    let asked = MetadataRequestTopic::default().with_name(Some(name));
    let asks = MetadataRequest::default().with_topics(Some(vec![asked]));
    let told: MetadataResponse = direct.ask(ApiKey::Metadata, 12, &asks).await.unwrap();
    let found = admin.topic(topic).await.unwrap().unwrap();
    let id = BASE64.decode(found.id).unwrap();
    assert_eq!(id, told.topics[0].topic_id.as_bytes());
    let counted = wait_for("a record of the new topic to be counted", || async {
        let mut raw = Raw::connect(&gateway.address).await;
        let (error, offset, _) = raw.produce(9, topic, &one).await;
        (error == 0 && gateway.metric(&records) > BEFORE as u64).then_some(offset)
    })
    .await;
    // Where it was not noticed, it is counted once the old offsets are passed.
    assert!(counted < 5_000, "counted at offset {counted}");
    gateway.stop().await;
}
