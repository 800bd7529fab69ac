use std::time::Duration;

use meshwork_kafka::{Admin, Creation, Isolation, KafkaConfig, KafkaError, NewTopic, control};
use meshwork_model::time::Timestamp;
use meshwork_model::topic::ControlTopic;
use meshwork_testkit::{kafka, unique, wait_until};

#[tokio::test]
async fn topics_are_created_once_looked_at_altered_and_deleted() {
    let kafka = kafka();
    let admin = kafka.admin();
    let name = unique("admin");
    let new = NewTopic::new(&name, 2)
        .with("cleanup.policy", "compact")
        .with("max.message.bytes", "2000000");
    assert_eq!(admin.create_topic(&new).await.unwrap(), Creation::Created);
    assert_eq!(
        admin.create_topic(&new).await.unwrap(),
        Creation::AlreadyThere
    );

    let info = admin.topic(&name).await.unwrap().unwrap();
    assert_eq!(
        (info.name.as_str(), info.partitions, info.internal),
        (name.as_str(), 2, false)
    );
    assert_eq!((info.replication, info.in_sync), (1, 1));
    assert!(!info.id.is_empty());
    assert!(admin.topics().await.unwrap().contains(&info));
    assert_eq!(admin.topic(&unique("nowhere")).await.unwrap(), None);

    admin.create_partitions(&name, 3).await.unwrap();
    wait_until("three partitions", || async {
        admin.topic(&name).await.unwrap().unwrap().partitions == 3
    })
    .await;
    let fewer = admin.create_partitions(&name, 1).await.unwrap_err();
    assert!(fewer.code().is_some(), "{fewer}");

    // One setting is changed, one unset; the third stays (KIP-339).
    let set = [("retention.ms".to_owned(), "-1".to_owned())];
    admin
        .alter_topic_configs(&name, &set, &["max.message.bytes".to_owned()])
        .await
        .unwrap();
    let configs = admin.topic_configs(&name).await.unwrap();
    let value = |key: &str| {
        let c = &configs[key];
        (c.value.clone().unwrap(), c.is_default)
    };
    assert_eq!(value("cleanup.policy"), ("compact".to_owned(), false));
    assert_eq!(value("retention.ms"), ("-1".to_owned(), false));
    assert!(value("max.message.bytes").1, "still set on the topic");

    let wrong = [("retention.ms".to_owned(), "soon".to_owned())];
    let error = admin
        .alter_topic_configs(&name, &wrong, &[])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("soon"), "{error}");

    admin.delete_topic(&name).await.unwrap();
    wait_until("the topic to be gone", || async {
        admin.topic(&name).await.unwrap().is_none()
    })
    .await;
    let error = admin.delete_topic(&name).await.unwrap_err();
    assert!(matches!(error, KafkaError::UnknownTopic { topic, .. } if topic == name));
}

#[tokio::test]
async fn topics_are_asked_about_together_and_each_answer_stands_in_its_place() {
    let admin = kafka().admin();
    let absent: Vec<String> = (0..250).map(|n| unique(&format!("absent{n}"))).collect();
    let mut names = Vec::new();
    for bytes in ["1001", "1002"] {
        let name = unique("asked");
        let topic = NewTopic::new(&name, 2).with("max.message.bytes", bytes);
        admin.create_topic(&topic).await.unwrap();
        names.push(name);
    }
    let [a, b] = names.as_slice() else { panic!() };
    // More than fit in one request.
    let mut asked: Vec<&str> = absent.iter().map(String::as_str).collect();
    asked[1] = a;
    asked[240] = b;
    let told: Vec<Option<String>> = admin
        .configs_of_topics(&asked)
        .await
        .unwrap()
        .into_iter()
        .map(|configs| configs.unwrap().get("max.message.bytes")?.value.clone())
        .collect();
    let told: Vec<Option<&str>> = told.iter().map(Option::as_deref).collect();
    let mut wanted = vec![None; 250];
    (wanted[1], wanted[240]) = (Some("1001"), Some("1002"));
    assert_eq!(told, wanted);

    let found = admin.topics_named(&[a, &absent[0], b]).await.unwrap();
    let mut found: Vec<(&str, i32)> = found.iter().map(|t| (&*t.name, t.partitions)).collect();
    found.sort_unstable();
    let mut wanted = [(a.as_str(), 2), (b.as_str(), 2)];
    wanted.sort_unstable();
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn a_topic_made_anew_has_another_id() {
    let kafka = kafka();
    let admin = kafka.admin();
    let name = kafka.topic("again", 1).await;
    let first = admin.topic(&name).await.unwrap().unwrap().id;
    admin.delete_topic(&name).await.unwrap();
    wait_until("the topic to be gone", || async {
        admin.topic(&name).await.unwrap().is_none()
    })
    .await;
    kafka.create_topic(&NewTopic::new(&name, 1)).await;
    assert_ne!(admin.topic(&name).await.unwrap().unwrap().id, first);
}

#[tokio::test]
async fn a_broker_tells_its_settings() {
    let admin = kafka().admin();
    let id = admin.cluster().await.unwrap().brokers[0].id;
    let configs = admin.broker_configs(id).await.unwrap();
    assert_eq!(configs["producer.id.expiration.ms"], "86400000");
    assert_eq!(configs["broker.id"], id.to_string());
}

/// Services call from spawned tasks.
#[test]
fn futures_can_be_sent_between_threads() {
    fn send<T: Send>(_: T) {}
    let admin = Admin::new(&KafkaConfig::new("127.0.0.1:1")).unwrap();
    send(admin.create_topic(&NewTopic::new("t", 1)));
    send(admin.create_partitions("t", 1));
    send(admin.delete_topic("t"));
    send(admin.topic_configs("t"));
    send(admin.alter_topic_configs("t", &[], &[]));
    send(admin.delete_records("t", 0, 0));
    send(admin.end_offsets(&[], Isolation::ReadCommitted));
    send(control::ensure(&admin, ControlTopic::Catalog));
}

#[tokio::test]
async fn the_cluster_says_who_it_is() {
    let cluster = kafka().admin().cluster().await.unwrap();
    assert_eq!(cluster.brokers.len(), 1);
    assert_eq!(cluster.brokers[0].id, 1);
    assert_eq!(
        format!("{}:{}", cluster.brokers[0].host, cluster.brokers[0].port),
        kafka().bootstrap_servers()
    );
    assert!(cluster.cluster_id.is_some());
}

#[tokio::test]
async fn offsets_are_found_by_end_start_and_time() {
    let kafka = kafka();
    let admin = kafka.admin();
    let topic = kafka.topic("offsets", 2).await;
    let producer = kafka.producer();
    for (n, ms) in [1_000, 3_000, 2_000].into_iter().enumerate() {
        let at = producer
            .deliver(&meshwork_kafka::OutRecord {
                topic: &topic,
                partition: Some(0),
                value: Some(b"v"),
                // Retention goes by these; the check is minutes away.
                timestamp: Some(Timestamp::from_millis(ms)),
                ..Default::default()
            })
            .await
            .unwrap();
        assert_eq!((at.partition, at.offset), (0, i64::try_from(n).unwrap()));
    }
    let both = [(topic.clone(), 1), (topic.clone(), 0)];
    let offset = |list: Vec<meshwork_kafka::PartitionOffset>| -> Vec<(i32, Option<i64>)> {
        list.into_iter().map(|o| (o.partition, o.offset)).collect()
    };
    let ends = admin
        .end_offsets(&both, Isolation::ReadCommitted)
        .await
        .unwrap();
    assert_eq!(offset(ends), [(1, Some(0)), (0, Some(3))]);
    let by_time = admin
        .offsets_for_time(&both, Timestamp::from_millis(1_500))
        .await
        .unwrap();
    assert_eq!(offset(by_time), [(1, None), (0, Some(1))]);
    let newest = admin.newest_timestamps(&both).await.unwrap();
    assert_eq!(newest[1].timestamp, Some(Timestamp::from_millis(3_000)));
    assert_eq!(newest[1].offset, Some(1));
    assert_eq!(newest[0].timestamp, None);

    admin.delete_records(&topic, 0, 2).await.unwrap();
    let starts = admin.start_offsets(&both).await.unwrap();
    assert_eq!(offset(starts), [(1, Some(0)), (0, Some(2))]);

    let error = admin
        .end_offsets(&[(unique("nowhere"), 0)], Isolation::ReadUncommitted)
        .await
        .unwrap_err();
    assert!(matches!(error, KafkaError::UnknownTopic { .. }), "{error}");
}

#[tokio::test]
async fn control_topics_are_created_and_a_wrong_policy_is_refused() {
    let admin = kafka().admin();
    let missing = control::check(&admin, ControlTopic::SloStatus)
        .await
        .unwrap_err();
    assert!(missing.to_string().contains("mesh.slo.status"), "{missing}");
    assert_eq!(
        control::ensure(&admin, ControlTopic::SloStatus)
            .await
            .unwrap(),
        8
    );
    assert_eq!(
        control::ensure(&admin, ControlTopic::SloStatus)
            .await
            .unwrap(),
        8
    );
    assert_eq!(
        control::check(&admin, ControlTopic::SloStatus)
            .await
            .unwrap(),
        8
    );

    let delete = [("cleanup.policy".to_owned(), "delete".to_owned())];
    admin
        .alter_topic_configs("mesh.slo.status", &delete, &[])
        .await
        .unwrap();
    let wrong = control::ensure(&admin, ControlTopic::SloStatus)
        .await
        .unwrap_err();
    let text = wrong.to_string();
    assert!(
        text.contains("--add-config cleanup.policy=compact"),
        "{text}"
    );
    // The cure that the error names.
    let compact = [("cleanup.policy".to_owned(), "compact".to_owned())];
    admin
        .alter_topic_configs("mesh.slo.status", &compact, &[])
        .await
        .unwrap();
    control::ensure(&admin, ControlTopic::SloStatus)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_broker_that_is_down_is_named_with_the_time_tried() {
    // Port 1 is nobody's.
    let admin = Admin::new(&KafkaConfig::new("127.0.0.1:1"))
        .unwrap()
        .with_timeout(Duration::from_secs(2));
    let new = NewTopic {
        replication: Some(1),
        ..NewTopic::new("t", 1)
    };
    for error in [
        admin.topics().await.unwrap_err(),
        admin.cluster().await.unwrap_err(),
        admin.create_topic(&new).await.unwrap_err(),
        admin.topic_configs("t").await.unwrap_err(),
        admin
            .end_offsets(&[("t".to_owned(), 0)], Isolation::ReadCommitted)
            .await
            .unwrap_err(),
        admin.groups().await.unwrap_err(),
    ] {
        assert!(error.is_unreachable(), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("127.0.0.1:1 answered within"), "{text}");
    }
}

#[test]
fn a_property_that_is_not_there_is_named() {
    let mut config = KafkaConfig::new("127.0.0.1:1");
    config
        .properties
        .insert("sasl.pasword".to_owned(), "hunter2".to_owned());
    let text = Admin::new(&config).unwrap_err().to_string();
    assert!(text.contains("sasl.pasword"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}
