use std::sync::Arc;
use std::time::Duration;

use meshwork_kafka::{
    Delivered, Delivery, KafkaConfig, OutRecord, Producer, ProducerOptions, SendError,
};
use meshwork_model::time::Timestamp;
use meshwork_model::topic::partition_for_key;
use meshwork_testkit::{kafka, unique};

type Log = Arc<parking_lot::Mutex<Vec<(u32, Result<Delivered, SendError>)>>>;

/// A delivery of our own: no box, no closure.
struct Noted(u32, Log);

impl Delivery for Noted {
    fn delivered(self, result: Result<Delivered, SendError>) {
        self.1.lock().push((self.0, result));
    }
}

#[tokio::test]
async fn records_keep_their_order_through_a_queue_that_is_often_full() {
    let kafka = kafka();
    let topic = kafka.topic("order", 1).await;
    let options = ProducerOptions {
        // So small that the writer must wait again and again.
        max_records: 50,
        ..ProducerOptions::default()
    };
    let producer: Producer<Noted> = Producer::new(&kafka.config(), &options).unwrap();
    let log = Log::default();
    for n in 0..2_000u32 {
        let value = n.to_be_bytes();
        let record = OutRecord {
            topic: &topic,
            value: Some(&value),
            ..OutRecord::default()
        };
        let done = Noted(n, Arc::clone(&log));
        producer
            .queue(&record, done)
            .await
            .map_err(|e| e.error)
            .unwrap();
    }
    producer.flush(Duration::from_secs(60)).await.unwrap();
    assert_eq!(producer.in_flight(), 0);

    let heard = std::mem::take(&mut *log.lock());
    assert_eq!(heard.len(), 2_000);
    for (n, result) in heard {
        let at = result.unwrap();
        assert_eq!((at.partition, at.offset), (0, i64::from(n)));
    }
    let values: Vec<Vec<u8>> = kafka
        .read_all(&topic)
        .await
        .into_iter()
        .map(|r| r.value.unwrap().to_vec())
        .collect();
    let want: Vec<Vec<u8>> = (0..2_000u32).map(|n| n.to_be_bytes().to_vec()).collect();
    assert_eq!(values, want);
}

#[test]
fn threads_wait_for_room() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let kafka = kafka();
    let topic = runtime.block_on(kafka.topic("blocking", 1));
    let options = ProducerOptions {
        max_records: 20,
        ..ProducerOptions::default()
    };
    let producer: Producer<()> = Producer::new(&kafka.config(), &options).unwrap();
    for n in 0..500u32 {
        let record = OutRecord {
            topic: &topic,
            value: Some(&n.to_be_bytes()),
            ..OutRecord::default()
        };
        producer
            .send_blocking(&record, ())
            .map_err(|e| e.error)
            .unwrap();
    }
    producer.flush_blocking(Duration::from_secs(60)).unwrap();
    let records = runtime.block_on(kafka.read_all(&topic));
    assert_eq!(records.len(), 500);
}

#[tokio::test]
async fn what_is_written_is_what_is_read() {
    let kafka = kafka();
    let topic = kafka.topic("whole", 4).await;
    let producer = kafka.producer();
    let time = Timestamp::from_millis(1_358_253_540_000);
    // Keyed records go where the Java client would put them.
    for key in ["EWR", "JFK", "LGA", ""] {
        let at = producer
            .deliver(&OutRecord {
                topic: &topic,
                key: Some(key.as_bytes()),
                value: Some(b"value"),
                headers: &[("mesh-producer", b"a@b"), ("twice", b"1"), ("twice", b"2")],
                timestamp: Some(time),
                ..OutRecord::default()
            })
            .await
            .unwrap();
        assert_eq!(
            at.partition,
            partition_for_key(key.as_bytes(), 4),
            "{key:?}"
        );
    }
    producer
        .deliver(&OutRecord {
            topic: &topic,
            partition: Some(3),
            key: Some(b"gone"),
            ..OutRecord::default()
        })
        .await
        .unwrap();
    let records = kafka.read_all(&topic).await;
    assert_eq!(records.len(), 5);
    let jfk = records
        .iter()
        .find(|r| r.key.as_deref() == Some(b"JFK"))
        .unwrap();
    assert_eq!(jfk.timestamp, Some(time));
    assert_eq!(jfk.value.as_deref(), Some(&b"value"[..]));
    assert_eq!(jfk.header("mesh-producer"), Some(&b"a@b"[..]));
    assert_eq!(jfk.header("twice"), Some(&b"2"[..]));
    assert_eq!(jfk.headers.len(), 3);
    assert_eq!(&*jfk.topic, topic);
    let gone = records
        .iter()
        .find(|r| r.key.as_deref() == Some(b"gone"))
        .unwrap();
    assert_eq!((gone.partition, &gone.value), (3, &None));
    assert!(records.iter().any(|r| r.key.as_deref() == Some(b"")));
}

#[tokio::test]
async fn what_can_not_be_written_is_refused_with_the_reason() {
    let kafka = kafka();
    let producer = kafka.producer();
    let topic = kafka.topic("small", 1).await;
    let large = vec![b'x'; 2_000_000];
    let error = producer
        .deliver(&OutRecord {
            topic: &topic,
            value: Some(&large),
            ..OutRecord::default()
        })
        .await
        .unwrap_err();
    assert_eq!(error, SendError::TooLarge);

    let options = ProducerOptions {
        delivery_timeout: Duration::from_secs(3),
        ..ProducerOptions::default()
    };
    let mut config = kafka.config();
    // A topic that is not there is waited for so long: it may just have been created.
    config.properties.insert(
        "topic.metadata.propagation.max.ms".to_owned(),
        "1000".to_owned(),
    );
    let producer: Producer = Producer::new(&config, &options).unwrap();
    let error = producer
        .deliver(&OutRecord {
            topic: &unique("nowhere"),
            value: Some(b"v"),
            ..OutRecord::default()
        })
        .await
        .unwrap_err();
    assert!(
        matches!(error, SendError::UnknownTopic | SendError::TimedOut),
        "{error:?}"
    );
}

#[tokio::test]
async fn without_a_broker_sends_end_and_flush_says_whom_it_waited_for() {
    let options = ProducerOptions {
        delivery_timeout: Duration::from_secs(4),
        ..ProducerOptions::default()
    };
    let producer: Producer = Producer::new(&KafkaConfig::new("127.0.0.1:1"), &options).unwrap();
    let record = OutRecord {
        topic: "t",
        value: Some(b"v"),
        ..OutRecord::default()
    };
    let (tell, told) = tokio::sync::oneshot::channel();
    producer
        .queue(&record, Box::new(move |r| drop(tell.send(r))))
        .await
        .map_err(|e| e.error)
        .unwrap();
    let error = producer
        .flush(Duration::from_millis(500))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    assert_eq!(told.await.unwrap(), Err(SendError::TimedOut));
}

#[tokio::test]
async fn dropping_a_producer_tells_those_who_wait() {
    let producer: Producer = Producer::new(
        &KafkaConfig::new("127.0.0.1:1"),
        &ProducerOptions::default(),
    )
    .unwrap();
    let record = OutRecord {
        topic: "t",
        value: Some(b"v"),
        ..OutRecord::default()
    };
    let (tell, told) = tokio::sync::oneshot::channel();
    producer
        .queue(&record, Box::new(move |r| drop(tell.send(r))))
        .await
        .map_err(|e| e.error)
        .unwrap();
    drop(producer);
    assert_eq!(told.await.unwrap(), Err(SendError::Closed));
}
