//! What observations cover.

use meshwork_gateway::{Config, Span};
use meshwork_kafka::OutRecord;
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_model::time::Timestamp;
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
