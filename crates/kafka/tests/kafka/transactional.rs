use bytes::Bytes;
use meshwork_kafka::{
    Admin, KafkaConfig, OwnedOutRecord, Progress, TransactionError, TransactionalOptions,
    TransactionalProducer,
};
use meshwork_testkit::{Cluster, kafka, unique, wait_for};
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
async fn what_is_read_and_what_is_written_hold_together() {
    let kafka = kafka();
    let (input, output) = (kafka.topic("in", 1).await, kafka.topic("out", 1).await);
    let id = unique("progress");
    let producer = open(kafka, &id).await;
    let group = unique("progress");
    let progress = |next| Progress {
        group: group.clone(),
        next: vec![(input.clone(), 0, next)],
    };
    let admin = Admin::new(&kafka.config()).unwrap();
    // The commit is answered before its marker has reached the group's offsets.
    let kept = |next| {
        let (admin, group, expected) = (&admin, &group, vec![(input.clone(), 0, next)]);
        wait_for("the group's offset", move || {
            let expected = expected.clone();
            async move { (admin.group_offsets(group).await.unwrap() == expected).then_some(()) }
        })
    };

    let at = producer
        .commit_with_progress(vec![record(&output, "a")], progress(5))
        .await
        .unwrap();
    assert_eq!(at.len(), 1);
    kept(5).await;

    // A transaction that fails leaves both as they were.
    let large = vec![b'x'; 5_000_000];
    let failing = vec![record(&output, "never"), record(&output, large)];
    producer
        .commit_with_progress(failing, progress(6))
        .await
        .unwrap_err();
    kept(5).await;

    // Having read on without anything to write is worth keeping too.
    producer
        .commit_with_progress(Vec::new(), progress(7))
        .await
        .unwrap();
    kept(7).await;

    // A newer producer goes on from there, and the older one moves nothing any more.
    let new = open(kafka, &id).await;
    producer
        .commit_with_progress(vec![record(&output, "late")], progress(8))
        .await
        .unwrap_err();
    new.commit_with_progress(vec![record(&output, "b")], progress(9))
        .await
        .unwrap();
    kept(9).await;
    assert_eq!(values(kafka, &output).await, ["a", "b"]);
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
