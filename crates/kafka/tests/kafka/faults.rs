//! Brokers that are killed, paused and lost, each with an oracle: what was acknowledged.

use std::time::Duration;

use meshwork_kafka::{
    Assigned, From, LogReader, NewTopic, OutRecord, Producer, ProducerOptions, ReaderOptions,
};
use meshwork_testkit::{Cluster, DEADLINE, Nodes};

/// Writes numbered records until `stop`, and gives the numbers with the offsets acknowledged.
fn write(
    producer: Producer,
    topic: String,
    stop: tokio_stop::Stopped,
) -> tokio::task::JoinHandle<Vec<(u32, i64)>> {
    tokio::spawn(async move {
        let mut waiting = Vec::new();
        let mut n = 0u32;
        while !stop.is_set() {
            let (tell, told) = tokio::sync::oneshot::channel();
            let value = n.to_be_bytes();
            let record = OutRecord {
                topic: &topic,
                value: Some(&value),
                ..OutRecord::default()
            };
            let done = Box::new(move |result| drop(tell.send(result)));
            producer
                .queue(&record, done)
                .await
                .map_err(|e| e.error)
                .unwrap();
            waiting.push((n, told));
            n += 1;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let mut acknowledged = Vec::new();
        for (n, told) in waiting {
            let at = told.await.unwrap().unwrap();
            acknowledged.push((n, at.offset));
        }
        acknowledged
    })
}

mod tokio_stop {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[derive(Clone, Default)]
    pub(super) struct Stopped(Arc<AtomicBool>);

    impl Stopped {
        pub(super) fn set(&self) {
            self.0.store(true, Ordering::Relaxed);
        }

        pub(super) fn is_set(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }
}

/// Every acknowledged record is there once, at its offset, in the order in which it was sent.
async fn check(cluster: &Cluster, topic: &str, acknowledged: &[(u32, i64)]) {
    let found: Vec<(u32, i64)> = cluster
        .read_all(topic)
        .await
        .into_iter()
        .map(|r| {
            let n = u32::from_be_bytes(r.value.unwrap().as_ref().try_into().unwrap());
            (n, r.offset)
        })
        .collect();
    assert_eq!(found, acknowledged);
}

async fn until_read(reader: &mut LogReader, what: &str, enough: impl Fn(usize) -> bool) -> usize {
    let started = std::time::Instant::now();
    let mut count = 0;
    while !enough(count) {
        count += reader
            .next(Duration::from_secs(1))
            .await
            .unwrap()
            .records
            .len();
        assert!(
            started.elapsed() < DEADLINE * 2,
            "waited for {what}, have {count}"
        );
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_killed_and_started_again_loses_nothing_acknowledged() {
    let cluster = Cluster::start(Nodes::One);
    let topic = cluster.topic("killed", 1).await;
    let from = Assigned::all(&cluster.admin(), &topic, |_| From::Beginning)
        .await
        .unwrap();
    let mut reader = LogReader::start(&cluster.config(), from, ReaderOptions::default()).unwrap();
    let options = ProducerOptions {
        delivery_timeout: Duration::from_secs(300),
        ..ProducerOptions::default()
    };
    let producer = Producer::new(&cluster.config(), &options).unwrap();
    let stop = tokio_stop::Stopped::default();
    let writer = write(producer, topic.clone(), stop.clone());
    until_read(&mut reader, "records before the fault", |n| n >= 50).await;

    let pid = cluster.dev().pid(1).unwrap();
    tokio::task::block_in_place(|| {
        cluster.dev().kill(1).unwrap();
        cluster.dev().start_node(1).unwrap();
    });
    assert_ne!(cluster.dev().pid(1), Some(pid));
    // The same reader goes on by itself.
    until_read(&mut reader, "records after the fault", |n| n >= 50).await;
    stop.set();
    let acknowledged = writer.await.unwrap();
    assert!(acknowledged.len() >= 100);
    check(&cluster, &topic, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_brokers_lost_or_paused_loses_nothing_acknowledged() {
    let cluster = Cluster::start(Nodes::Three);
    let topic = meshwork_testkit::unique("three");
    cluster.create_topic(&NewTopic::new(&topic, 1)).await;
    let info = cluster.admin().cluster().await.unwrap();
    assert_eq!(
        info.brokers.iter().map(|b| b.id).collect::<Vec<_>>(),
        [1, 2, 3]
    );
    let from = Assigned::all(&cluster.admin(), &topic, |_| From::Beginning)
        .await
        .unwrap();
    let mut reader = LogReader::start(&cluster.config(), from, ReaderOptions::default()).unwrap();
    let options = ProducerOptions {
        delivery_timeout: Duration::from_secs(300),
        ..ProducerOptions::default()
    };
    let producer = Producer::new(&cluster.config(), &options).unwrap();
    let stop = tokio_stop::Stopped::default();
    let writer = write(producer, topic.clone(), stop.clone());
    until_read(&mut reader, "records before the fault", |n| n >= 50).await;
    // Each is hit once, so the leader is, too.
    for node in 1..=3 {
        tokio::task::block_in_place(|| {
            if node == 2 {
                cluster.dev().pause(node).unwrap();
            } else {
                cluster.dev().kill(node).unwrap();
            }
        });
        until_read(&mut reader, "records with two of three", |n| n >= 50).await;
        tokio::task::block_in_place(|| {
            if node == 2 {
                cluster.dev().resume(node).unwrap();
            } else {
                cluster.dev().start_node(node).unwrap();
            }
        });
        until_read(&mut reader, "records with all three", |n| n >= 50).await;
    }
    stop.set();
    let acknowledged = writer.await.unwrap();
    check(&cluster, &topic, &acknowledged).await;
}
