//! What was acknowledged, to be compared with what is there.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use meshwork_kafka::{BoxedDelivery, InRecord, OutRecord, Producer};
use meshwork_testkit::{DEADLINE, kafka, wait_until};
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::mesh::{Product, header};

/// Records on their way: enough that a fault always meets some.
const IN_FLIGHT: usize = 500;

/// What the records are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// All keep the contract.
    Good,
    /// Every third breaks it.
    Mixed,
}

/// A record that was acknowledged, and where it is, as the client was told.
struct Acknowledged {
    value: Vec<u8>,
    offset: i64,
}

/// A producer that writes one numbered record after another until it is told to stop.
pub(crate) struct Writing {
    product: Product,
    kind: Kind,
    acknowledged: Arc<Mutex<Vec<Acknowledged>>>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<Producer>,
}

impl Writing {
    pub(crate) fn start(product: &Product, producer: Producer) -> Self {
        Self::of(Kind::Good, product, producer)
    }

    /// With every third record one that breaks the contract.
    pub(crate) fn start_mixed(product: &Product, producer: Producer) -> Self {
        Self::of(Kind::Mixed, product, producer)
    }

    fn of(kind: Kind, product: &Product, producer: Producer) -> Self {
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(write(
            kind,
            product.clone(),
            producer,
            Arc::clone(&acknowledged),
            Arc::clone(&stop),
        ));
        Self {
            product: product.clone(),
            kind,
            acknowledged,
            stop,
            task,
        }
    }

    /// How many are acknowledged.
    pub(crate) fn count(&self) -> usize {
        self.acknowledged.lock().len()
    }

    /// Waits until so many more are acknowledged.
    pub(crate) async fn goes_on(&self, more: usize) {
        let before = self.count();
        wait_until("more to be acknowledged", || async {
            self.count() >= before + more
        })
        .await;
    }

    /// Stops, and holds what was acknowledged against the log: each is there, where the client was
    /// told, in the order in which it was sent, and nothing is twice. Of what breaks the contract
    /// nothing is in the product's topic, and all of it in quarantine: each record of a session once,
    /// if not written more than once.
    pub(crate) async fn compare(self) {
        self.stop.store(true, Ordering::Relaxed);
        let producer = self.task.await.unwrap();
        producer.flush(DEADLINE).await.unwrap();
        let mut there: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut at: HashMap<i64, Vec<u8>> = HashMap::new();
        let mut order = Vec::new();
        for record in self.product.log().await {
            let value = record.value.unwrap().to_vec();
            *there.entry(value.clone()).or_default() += 1;
            at.insert(record.offset, value.clone());
            order.push(value);
        }
        let acknowledged = std::mem::take(&mut *self.acknowledged.lock());
        assert!(!acknowledged.is_empty());
        let twice = there.values().filter(|times| **times > 1).count();
        let (good, bad): (Vec<_>, Vec<_>) = acknowledged.iter().partition(|a| is_good(&a.value));
        let lost = good.iter().filter(|a| !there.contains_key(&a.value));
        assert_eq!((lost.count(), twice), (0, 0), "(lost, twice)");
        // Numbers are as long as each other, so that bytes are in their order.
        assert!(order.is_sorted(), "one partition, one producer, one order");
        assert!(order.iter().all(|v| is_good(v)), "no bad one is there");
        if self.kind == Kind::Good {
            let elsewhere = good.iter().filter(|a| a.offset >= 0);
            let elsewhere = elsewhere.filter(|a| at.get(&a.offset) != Some(&a.value));
            assert_eq!(elsewhere.count(), 0, "told of other offsets than it has");
            return;
        }
        let bad: Vec<Vec<u8>> = bad.iter().map(|a| a.value.clone()).collect();
        assert!(!bad.is_empty());
        let kept = quarantined(&self.product).await;
        let lost = bad.iter().filter(|value| !kept.contains_key(*value));
        let twice = bad.iter().filter_map(|value| kept.get(value));
        let twice = twice.filter(|places| places.len() > 1);
        let counts = (lost.count(), twice.count());
        assert_eq!(counts, (0, 0), "(lost, twice) in quarantine");
    }
}

/// Values in quarantine, and the places in their sessions that they had: one each, however often it
/// was written.
async fn quarantined(product: &Product) -> HashMap<Vec<u8>, HashSet<Vec<String>>> {
    let topic = product.announcement.urn.quarantine_topic();
    let place = |record: &InRecord| {
        let names = ["mesh-session", "mesh-sequence", "mesh-source"];
        names.map(|name| header(record, name).concat()).to_vec()
    };
    let mut kept: HashMap<Vec<u8>, HashSet<Vec<String>>> = HashMap::new();
    for record in kafka().read_all(&topic).await {
        if let Some(value) = &record.value {
            kept.entry(value.to_vec())
                .or_default()
                .insert(place(&record));
        }
    }
    kept
}

/// Whether a value is framed, as those that keep the contract are.
fn is_good(value: &[u8]) -> bool {
    value.first() == Some(&0)
}

async fn write(
    kind: Kind,
    product: Product,
    producer: Producer,
    acknowledged: Arc<Mutex<Vec<Acknowledged>>>,
    stop: Arc<AtomicBool>,
) -> Producer {
    let mut n = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        if producer.in_flight() >= IN_FLIGHT {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        n += 1;
        let value = if kind == Kind::Mixed && n.is_multiple_of(3) {
            format!("bad {n:08}").into_bytes()
        } else {
            product.flight(&format!("{n:08}"))
        };
        let record = OutRecord {
            topic: product.topic(),
            key: Some(b"k"),
            value: Some(&value),
            ..OutRecord::default()
        };
        let (note, noted) = (Arc::clone(&acknowledged), value.clone());
        let done: BoxedDelivery = Box::new(move |result| {
            if let Ok(delivered) = result {
                note.lock().push(Acknowledged {
                    value: noted,
                    offset: delivered.offset,
                });
            }
        });
        if let Err(refused) = producer.queue(&record, done).await {
            panic!("not queued: {:?}", refused.error);
        }
        tokio::task::yield_now().await;
    }
    producer
}
