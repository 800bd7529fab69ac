//! What was acknowledged, to be compared with what is there.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use meshwork_kafka::{BoxedDelivery, OutRecord, Producer};
use meshwork_testkit::{DEADLINE, wait_until};
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::mesh::Product;

/// Records on their way: enough that a fault always meets some.
const IN_FLIGHT: usize = 500;

/// A producer that writes one numbered record after another until it is told to stop.
pub(crate) struct Writing {
    product: Product,
    acknowledged: Arc<Mutex<Vec<Vec<u8>>>>,
    stop: Arc<AtomicBool>,
    task: JoinHandle<Producer>,
}

impl Writing {
    pub(crate) fn start(product: &Product, producer: Producer) -> Self {
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(write(
            product.clone(),
            producer,
            Arc::clone(&acknowledged),
            Arc::clone(&stop),
        ));
        Self {
            product: product.clone(),
            acknowledged,
            stop,
            task,
        }
    }

    /// Waits until so many more are acknowledged.
    pub(crate) async fn goes_on(&self, more: usize) {
        let before = self.acknowledged.lock().len();
        wait_until("more to be acknowledged", || async {
            self.acknowledged.lock().len() >= before + more
        })
        .await;
    }

    /// Stops, and holds what was acknowledged against the log: each is there, and nothing is twice.
    pub(crate) async fn compare(self) {
        self.stop.store(true, Ordering::Relaxed);
        let producer = self.task.await.unwrap();
        producer.flush(DEADLINE).await.unwrap();
        let mut there: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut order = Vec::new();
        for record in self.product.log().await {
            let value = record.value.unwrap().to_vec();
            *there.entry(value.clone()).or_default() += 1;
            order.push(value);
        }
        let acknowledged = self.acknowledged.lock();
        assert!(!acknowledged.is_empty());
        let twice = there.values().filter(|times| **times > 1).count();
        let lost = acknowledged.iter().filter(|v| !there.contains_key(*v));
        assert_eq!((lost.count(), twice), (0, 0), "(lost, twice)");
        // Numbers are as long as each other, so that bytes are in their order.
        assert!(order.is_sorted(), "one partition, one producer, one order");
    }
}

async fn write(
    product: Product,
    producer: Producer,
    acknowledged: Arc<Mutex<Vec<Vec<u8>>>>,
    stop: Arc<AtomicBool>,
) -> Producer {
    let mut n = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        if producer.in_flight() >= IN_FLIGHT {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        n += 1;
        let value = product.flight(&format!("{n:08}"));
        let record = OutRecord {
            topic: product.topic(),
            key: Some(b"k"),
            value: Some(&value),
            ..OutRecord::default()
        };
        let (note, noted) = (Arc::clone(&acknowledged), value.clone());
        let done: BoxedDelivery = Box::new(move |result| {
            if result.is_ok() {
                note.lock().push(noted);
            }
        });
        if let Err(refused) = producer.queue(&record, done).await {
            panic!("not queued: {:?}", refused.error);
        }
        tokio::task::yield_now().await;
    }
    producer
}
