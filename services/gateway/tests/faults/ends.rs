//! The end of a transaction (EndTxn) passes the gateway at once, in its place, untouched, and once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use kafka_protocol::messages::{ApiKey, FetchResponse};
use meshwork_kafka::{
    OwnedOutRecord, TransactionError, TransactionalOptions, TransactionalProducer,
};
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_testkit::{Fate, Heading, unique};
use parking_lot::Mutex;

use crate::links::behind_links;
use crate::mesh::{Product, followed};
use crate::raw::{Raw, fetch_request};
use crate::transactions::Transactions;
use crate::turn;

const PRODUCE: i16 = ApiKey::Produce as i16;
const FETCH: i16 = ApiKey::Fetch as i16;
const END: i16 = ApiKey::EndTxn as i16;

/// What passed a link.
struct Seen {
    on: u64,
    what: (Heading, i16),
    frame: Vec<u8>,
}

/// What passed on the connections on which a transaction was ended: not what the gateway's own
/// clients fetched meanwhile.
fn of_ends(seen: &Mutex<Vec<Seen>>) -> Vec<Seen> {
    let all: Vec<Seen> = seen.lock().drain(..).collect();
    let ends: Vec<u64> = all
        .iter()
        .filter(|s| s.what.1 == END)
        .map(|s| s.on)
        .collect();
    all.into_iter().filter(|s| ends.contains(&s.on)).collect()
}

#[tokio::test]
async fn the_end_of_a_transaction_passes_at_once_in_its_place_untouched_and_once() {
    let turn = turn().await;
    let product = Product::new(EnforcementMode::Reject).await;
    let gateway = behind_links(&turn).await;
    followed(&gateway, &product).await;
    let mut client = Transactions::open(Some(&gateway), product.topic()).await;
    // What passes the link of its broker, in the order in which it does.
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let lose = Arc::new(AtomicUsize::new(0));
    let (note, losing) = (Arc::clone(&seen), Arc::clone(&lose));
    let link = turn.linked.link(client.node);
    link.tap(Some(Arc::new(move |passing| {
        if [PRODUCE, FETCH, END].contains(&passing.api) {
            note.lock().push(Seen {
                on: passing.connection,
                what: (passing.heading, passing.api),
                frame: passing.frame.to_vec(),
            });
        }
        let is_end = passing.api == END && passing.heading == Heading::ToClient;
        let lose = is_end && losing.load(Ordering::SeqCst) > 0;
        if lose { Fate::Cut } else { Fate::Pass }
    })));

    // In its place and untouched, behind what was sent before it and not answered yet.
    let mut expected = Vec::new();
    let mut committed = Vec::new();
    for n in 0..10 {
        client.begin().await;
        let value = product.flight(&format!("{n:02}"));
        client.send_one(value.clone()).await;
        let commit = n % 2 == 0;
        client.send_end(commit).await;
        expected.push(client.raw.sent.clone());
        assert_eq!(client.written().await, 0);
        assert_eq!(client.ended().await, Some(0));
        if commit {
            committed.push(value);
        }
    }
    let ours = of_ends(&seen);
    let up = ours.iter().filter(|s| s.what.0 == Heading::ToBroker);
    let apis: Vec<i16> = up.map(|s| s.what.1).collect();
    assert_eq!(apis, [PRODUCE, END].repeat(10));
    let ends = ours.iter().filter(|s| s.what == (Heading::ToBroker, END));
    assert!(ends.map(|s| &s.frame).eq(&expected), "byte for byte");

    // At once: before the broker has answered what came before it.
    client.begin().await;
    let asks = fetch_request(product.topic(), 10_000, 1 << 20, 1 << 20);
    client.raw.send(ApiKey::Fetch, 11, &asks).await;
    client.send_end(false).await;
    let answered: Option<(i32, FetchResponse)> = client.raw.answer(11).await;
    assert!(answered.is_some());
    assert_eq!(client.ended().await, Some(0));
    let order: Vec<_> = of_ends(&seen).iter().map(|s| s.what).collect();
    let (up, down) = (Heading::ToBroker, Heading::ToClient);
    assert_eq!(order, [(up, FETCH), (up, END), (down, FETCH), (down, END)]);

    // Once: what is not answered is the client's to ask again.
    client.begin().await;
    let value = product.flight("in doubt");
    client.send_one(value.clone()).await;
    assert_eq!(client.written().await, 0);
    lose.store(1, Ordering::SeqCst);
    seen.lock().clear();
    client.send_end(true).await;
    assert_eq!(client.ended().await, None, "an end, and no answer");
    lose.store(0, Ordering::SeqCst);
    client.raw = Raw::connect(&client.address).await;
    client.begin().await;
    client.send_end(false).await;
    assert_eq!(client.ended().await, Some(0));
    let ends = seen.lock().iter().filter(|s| s.what == (up, END)).count();
    assert_eq!(ends, 2, "the one without an answer, and this one");
    committed.push(value);
    let log = product.log().await;
    let there: Vec<Vec<u8>> = log
        .iter()
        .map(|r| r.value.clone().unwrap().into())
        .collect();
    assert_eq!(there, committed);
    link.tap(None);
    gateway.stop().await;
}

/// Records of one transaction.
const EACH: usize = 5;

#[tokio::test]
async fn transactions_whose_ends_are_lost_on_the_way_are_whole_or_not_at_all() {
    let turn = turn().await;
    let product = Product::new(EnforcementMode::Reject).await;
    let gateway = behind_links(&turn).await;
    followed(&gateway, &product).await;
    // Of every five ends and answers to one, two are lost on their way.
    let passed = Arc::new(AtomicUsize::new(0));
    let lost = Arc::new(AtomicUsize::new(0));
    for link in turn.linked.links() {
        let (passed, lost) = (Arc::clone(&passed), Arc::clone(&lost));
        link.tap(Some(Arc::new(move |passing| {
            if passing.api != END {
                return Fate::Pass;
            }
            // Requests and answers alternate: an odd number, so that it hits both.
            if passed.fetch_add(1, Ordering::SeqCst) % 5 < 2 {
                lost.fetch_add(1, Ordering::SeqCst);
                return Fate::Cut;
            }
            Fate::Pass
        })));
    }
    let id = unique("tx");
    let mut writer = None;
    let mut told: BTreeMap<String, Result<(), TransactionError>> = BTreeMap::new();
    for n in 0..20 {
        let name = format!("{n:02}");
        let records: Vec<_> = (0..EACH)
            .map(|at| {
                let value = product.flight(&format!("{name}-{at}"));
                let topic: Arc<str> = product.topic().into();
                OwnedOutRecord::new(topic, Some("k".into()), Some(value.into()))
            })
            .collect();
        let producer = match writer.take() {
            Some(producer) => producer,
            None => {
                TransactionalProducer::open(&gateway.kafka(), &id, TransactionalOptions::default())
                    .await
                    .unwrap()
            }
        };
        let outcome = producer.commit_all(records).await;
        if !matches!(
            outcome,
            Err(TransactionError::Unknown { .. } | TransactionError::Fatal { .. })
        ) {
            writer = Some(producer);
        }
        told.insert(name, outcome.map(|_| ()));
    }
    for link in turn.linked.links() {
        link.tap(None);
    }
    assert!(lost.load(Ordering::SeqCst) >= 5, "the fault hit something");
    assert!(told.values().any(Result::is_ok), "{told:?}");
    // A transaction without an outcome is ended by whoever opens it next.
    drop(writer);
    TransactionalProducer::open(&gateway.kafka(), &id, TransactionalOptions::default())
        .await
        .unwrap();
    let log = product.log().await;
    let values: Vec<Vec<u8>> = log
        .iter()
        .map(|r| r.value.clone().unwrap().into())
        .collect();
    for (name, outcome) in told {
        let of_it: Vec<Vec<u8>> = (0..EACH)
            .map(|at| product.flight(&format!("{name}-{at}")))
            .collect();
        let there = values.iter().filter(|v| of_it.contains(v)).count();
        let allowed: &[usize] = match outcome {
            Ok(()) => &[EACH],
            Err(TransactionError::Unknown { .. }) => &[0, EACH],
            Err(_) => &[0],
        };
        assert!(allowed.contains(&there), "{name}: {there}, {outcome:?}");
    }
    gateway.stop().await;
}
