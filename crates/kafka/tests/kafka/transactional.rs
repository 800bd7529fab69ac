use bytes::Bytes;
use meshwork_kafka::{
    KafkaConfig, OwnedOutRecord, TransactionError, TransactionalOptions, TransactionalProducer,
};
use meshwork_testkit::{Cluster, kafka, unique};
use std::time::Duration;

fn record(topic: &str, value: impl Into<Bytes>) -> OwnedOutRecord {
    OwnedOutRecord::new(topic, Bytes::from_static(b"k"), value.into())
}

async fn open(kafka: &Cluster, id: &str) -> TransactionalProducer {
    TransactionalProducer::open(&kafka.config(), id, TransactionalOptions::default())
        .await
        .unwrap()
}

async fn values(kafka: &Cluster, topic: &str) -> Vec<String> {
    kafka
        .read_all(topic)
        .await
        .into_iter()
        .map(|r| String::from_utf8(r.value.unwrap().to_vec()).unwrap())
        .collect()
}

#[tokio::test]
async fn all_of_a_transaction_is_written_or_nothing() {
    let kafka = kafka();
    let (one, two) = (kafka.topic("txn", 1).await, kafka.topic("txn", 1).await);
    let producer = open(kafka, &unique("txn")).await;
    let at = producer
        .commit_all(vec![
            record(&one, "a"),
            record(&two, "b"),
            record(&one, "c"),
        ])
        .await
        .unwrap();
    assert_eq!(at.iter().map(|d| d.offset).collect::<Vec<_>>(), [0, 0, 1]);

    // One that the broker will not take spoils the whole transaction.
    let large = vec![b'x'; 5_000_000];
    let error = producer
        .commit_all(vec![record(&one, "never"), record(&two, large)])
        .await
        .unwrap_err();
    assert!(
        matches!(error, TransactionError::Aborted { .. }),
        "{error:?}"
    );

    // And the producer goes on.
    producer.commit_all(vec![record(&two, "d")]).await.unwrap();
    assert_eq!(values(kafka, &one).await, ["a", "c"]);
    assert_eq!(values(kafka, &two).await, ["b", "d"]);
    assert!(producer.commit_all(Vec::new()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_newer_producer_shuts_the_older_one_out() {
    let kafka = kafka();
    let topic = kafka.topic("fence", 1).await;
    let id = unique("fence");
    let old = open(kafka, &id).await;
    old.commit_all(vec![record(&topic, "old")]).await.unwrap();
    let new = open(kafka, &id).await;
    for _ in 0..2 {
        let error = old
            .commit_all(vec![record(&topic, "late")])
            .await
            .unwrap_err();
        assert!(
            matches!(&error, TransactionError::Fenced { transactional_id } if *transactional_id == id),
            "{error:?}"
        );
    }
    new.commit_all(vec![record(&topic, "new")]).await.unwrap();
    assert_eq!(values(kafka, &topic).await, ["old", "new"]);
}

#[tokio::test]
async fn opening_without_a_broker_ends_and_names_it() {
    let options = TransactionalOptions {
        open_within: Duration::from_secs(2),
        ..TransactionalOptions::default()
    };
    let error = TransactionalProducer::open(&KafkaConfig::new("127.0.0.1:1"), "t", options)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
}
