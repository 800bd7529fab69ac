use std::time::Duration;

use meshwork_model::name::SchemaId;
use meshwork_model::time::WallClock;

use super::*;

const MINUTE: i64 = 60_000;

fn ledger(span: Span) -> Arc<Ledger> {
    Arc::new(Ledger::new(
        "ops.flights.v1",
        "id".to_owned(),
        &ProducerTag::new("ops", Trust::Configured),
        span,
        Arc::new(WallClock),
    ))
}

fn minutes() -> Arc<Ledger> {
    ledger(Span::RecordTime(Duration::from_secs(60)))
}

fn record(at: i64) -> Load {
    Load::Record {
        bytes: 10,
        facts: Facts {
            schema_id: Some(SchemaId::new(7).unwrap()),
            event_time: Some(Timestamp::from_millis(at - 5)),
            unverified: false,
        },
        timestamp: Timestamp::from_millis(at),
        parents: None,
        marked: None,
        position: RecordPosition::line(1),
    }
}

fn ack(tracked: Tracked, partition: i32, offset: i64) {
    tracked.delivered(Ok(Delivered { partition, offset }));
}

fn ranges(ready: &Ready) -> Vec<(i64, i64)> {
    ready
        .seen
        .offsets
        .iter()
        .map(|r| (r.from, r.until))
        .collect()
}

#[test]
fn a_record_counts_when_it_is_acknowledged_and_not_before() {
    let ledger = ledger(Span::RealTime(Duration::from_secs(1)));
    let (a, b, c) = (
        ledger.track(record(1)),
        ledger.track(record(2)),
        ledger.track(record(3)),
    );
    assert!(ledger.take(true).is_empty());
    ack(a, 0, 5);
    ack(c, 1, 9);
    let ready = ledger.take(true);
    assert_eq!(ready.len(), 2);
    assert_eq!(ranges(&ready[0]), [(5, 6)]);
    assert_eq!(ready[0].seen.topic_id.as_deref(), Some("id"));
    assert_eq!(ready[0].observed_at, None);
    assert_eq!(ranges(&ready[1]), [(9, 10)]);
    ack(b, 0, 6);
    assert_eq!(ranges(&ledger.take(true)[0]), [(6, 7)]);
    let counts = ledger.counts();
    assert_eq!((counts.sent, counts.accepted, counts.bytes), (3, 3, 30));
    assert_eq!(ledger.in_flight(), 0);
}

#[test]
fn a_minute_is_complete_when_a_later_one_has_begun_and_nothing_of_it_is_on_its_way() {
    let ledger = minutes();
    let a = ledger.track(record(MINUTE + 1));
    let b = ledger.track(record(MINUTE + 2));
    ack(b, 0, 1);
    assert!(!ledger.has_due());
    let next = ledger.track(record(2 * MINUTE));
    assert!(!ledger.has_due());
    assert!(ledger.take(false).is_empty());
    ack(a, 0, 0);
    assert!(ledger.has_due());
    let ready = ledger.take(false);
    assert_eq!(ready.len(), 1);
    assert_eq!(ranges(&ready[0]), [(0, 2)]);
    assert_eq!(
        ready[0].observed_at,
        Some(Timestamp::from_millis(MINUTE + 2))
    );
    // A record arrived at its timestamp.
    assert_eq!(ready[0].seen.lag.as_ref().map(|l| l.greatest), Some(5));
    assert!(!ledger.has_due());

    // A late one of the first minute is an observation of its own, at once.
    let late = ledger.track(record(MINUTE + 3));
    ack(late, 0, 3);
    assert!(ledger.has_due());
    assert_eq!(ranges(&ledger.take(false)[0]), [(3, 4)]);

    // The last minute comes with the flush.
    ack(next, 0, 2);
    assert!(ledger.take(false).is_empty());
    assert_eq!(ranges(&ledger.take(true)[0]), [(2, 3)]);
}

#[test]
fn what_is_refused_is_observed_where_it_would_have_gone() {
    let ledger = minutes();
    let tracked = ledger.track(Load::Quarantined {
        reason: Reason::Datum,
        partition: 3,
        timestamp: Timestamp::from_millis(7),
        position: RecordPosition::default(),
    });
    assert!(ledger.take(true).is_empty());
    // The offset is one of the quarantine topic, and covers nothing of the product's.
    ack(tracked, 0, 77);
    ledger.rejected(Reason::Key, 3, Timestamp::from_millis(9));
    let ready = ledger.take(true);
    assert_eq!(ready.len(), 1);
    assert_eq!((ready[0].seen.partition, ready[0].seen.records), (3, 0));
    assert_eq!(ranges(&ready[0]), []);
    assert_eq!(ready[0].observed_at, Some(Timestamp::from_millis(9)));
    let refused: Vec<_> = ready[0]
        .seen
        .refused
        .iter()
        .map(|r| (r.reason.as_str(), r.records))
        .collect();
    assert_eq!(refused, [("datum", 1), ("key", 1)]);
    let counts = ledger.counts();
    assert_eq!((counts.quarantined, counts.rejected), (1, 1));
    assert_eq!(counts.refused.values().sum::<u64>(), 2);
}

#[test]
fn many_gaps_cut_the_observation_and_lose_no_offset() {
    let ledger = ledger(Span::RealTime(Duration::from_secs(1)));
    for i in 0..150 {
        ack(ledger.track(record(1)), 0, i * 2);
    }
    assert!(ledger.has_due());
    let ready = ledger.take(true);
    assert_eq!(ready.len(), 3);
    let all: Vec<i64> = ready.iter().flat_map(ranges).map(|r| r.0).collect();
    let mut sorted = all.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..150).map(|i| i * 2).collect::<Vec<_>>());
    assert_eq!(ready.iter().map(|r| r.seen.records).sum::<i64>(), 150);
}

#[test]
fn the_first_failure_stays_and_names_its_record() {
    let ledger = minutes();
    assert!(ledger.check_failed().is_ok());
    let bad = ledger.track(record(1));
    let dropped = ledger.track(record(1));
    let good = ledger.track(record(1));
    bad.delivered(Err(SendError::TooLarge));
    drop(dropped);
    ack(good, 0, 0);
    let error = ledger.check_failed().unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 1 for topic ops.flights.v1 was not written, nor were 1 more"
    );
    assert!(matches!(
        error,
        ProduceError::NotWritten {
            source: SendError::TooLarge,
            more: 1,
            ..
        }
    ));
    assert_eq!(ledger.in_flight(), 0);
    assert_eq!(ledger.counts().accepted, 1);
}

#[tokio::test]
async fn waits_until_nothing_is_on_its_way() {
    let ledger = minutes();
    ledger.wait_idle().await;
    let tracked = ledger.track(record(1));
    let waiting = tokio::spawn({
        let ledger = Arc::clone(&ledger);
        async move { ledger.wait_idle().await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    std::thread::spawn(move || ack(tracked, 0, 0));
    waiting.await.unwrap();
    assert_eq!(ledger.in_flight(), 0);
}
