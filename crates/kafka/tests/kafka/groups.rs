use std::time::Duration;

use meshwork_kafka::{GroupConsumer, GroupOptions, GroupState, InRecord, StartAt};
use meshwork_testkit::{Cluster, DEADLINE, kafka, unique, wait_for};

const WAIT: Duration = Duration::from_secs(1);

fn join(kafka: &Cluster, group: &str, topic: &str) -> GroupConsumer {
    GroupConsumer::subscribe(&kafka.config(), group, &[topic], GroupOptions::default()).unwrap()
}

async fn read(consumer: &mut GroupConsumer, count: usize) -> Vec<InRecord> {
    let started = std::time::Instant::now();
    let mut records = Vec::new();
    while records.len() < count {
        records.extend(consumer.next(WAIT).await.unwrap().records);
        assert!(
            started.elapsed() < DEADLINE,
            "waited for {count} records, have {}",
            records.len()
        );
    }
    records
}

#[tokio::test]
async fn a_group_goes_on_where_it_committed_and_is_seen_in_the_listing() {
    let kafka = kafka();
    let topic = kafka.topic("group", 1).await;
    let group = unique("group");
    kafka
        .produce(&topic, &[("a", "1"), ("b", "2"), ("c", "3")])
        .await;

    let mut first = join(kafka, &group, &topic);
    let records = read(&mut first, 3).await;
    assert_eq!(
        records.iter().map(|r| r.offset).collect::<Vec<_>>(),
        [0, 1, 2]
    );
    first.commit(&[(topic.clone(), 0, 2)]).await.unwrap();

    let admin = kafka.admin();
    let listed = admin.groups().await.unwrap();
    let listed = listed.iter().find(|g| g.id == group).unwrap();
    assert_eq!(listed.state, GroupState::Stable);
    let described = admin
        .describe_groups(std::slice::from_ref(&group))
        .await
        .unwrap();
    assert_eq!(described.len(), 1);
    assert_eq!(described[0].members.len(), 1);
    assert_eq!(described[0].members[0].client_id, "meshwork");
    assert_eq!(described[0].members[0].assigned, [(topic.clone(), 0)]);
    assert_eq!(
        admin.group_offsets(&group).await.unwrap(),
        [(topic.clone(), 0, 2)]
    );

    first.close().await;
    wait_for("the group to be empty", || async {
        let described = admin
            .describe_groups(std::slice::from_ref(&group))
            .await
            .unwrap();
        (described[0].state == GroupState::Empty).then_some(())
    })
    .await;
    let mut second = join(kafka, &group, &topic);
    let records = read(&mut second, 1).await;
    assert_eq!(records[0].offset, 2);
    second.close().await;
}

#[tokio::test]
async fn two_members_share_the_partitions_and_one_takes_over() {
    let kafka = kafka();
    let topic = kafka.topic("share", 4).await;
    let group = unique("share");
    let mut one = join(kafka, &group, &topic);
    let mut two = join(kafka, &group, &topic);
    let (mut of_one, mut of_two) = (Vec::new(), Vec::new());
    let started = std::time::Instant::now();
    while of_one.len() != 2 || of_two.len() != 2 {
        let batch = one.next(Duration::from_millis(100)).await.unwrap();
        of_one = batch.assignment.unwrap_or(of_one);
        let batch = two.next(Duration::from_millis(100)).await.unwrap();
        of_two = batch.assignment.unwrap_or(of_two);
        assert!(
            started.elapsed() < DEADLINE,
            "shares: {of_one:?} and {of_two:?}"
        );
    }
    assert!(of_one.iter().all(|p| !of_two.contains(p)));
    one.close().await;
    let started = std::time::Instant::now();
    while of_two.len() != 4 {
        let batch = two.next(Duration::from_millis(100)).await.unwrap();
        of_two = batch.assignment.unwrap_or(of_two);
        assert!(
            started.elapsed() < DEADLINE,
            "waited to take over: {of_two:?}"
        );
    }
    two.close().await;
}

#[tokio::test]
async fn a_slow_member_stays_in_its_group_and_loses_nothing() {
    let kafka = kafka();
    let topic = kafka.topic("slow-member", 1).await;
    let records: Vec<(String, String)> = (0..2_000)
        .map(|n| (n.to_string(), "x".repeat(500)))
        .collect();
    kafka.produce(&topic, &records).await;
    let options = GroupOptions {
        batch_bytes: 10_000,
        max_bytes: 128 * 1024,
        start: StartAt::Beginning,
        ..GroupOptions::default()
    };
    let mut member =
        GroupConsumer::subscribe(&kafka.config(), &unique("slow-member"), &[&topic], options)
            .unwrap();
    let mut next = 0;
    let started = std::time::Instant::now();
    while next < 2_000 {
        for record in member.next(WAIT).await.unwrap().records {
            assert_eq!(record.offset, next);
            next += 1;
        }
        // Long enough for the batches that may wait to fill up, again and again.
        if next % 100 < 20 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(started.elapsed() < DEADLINE, "at {next}");
    }
    member.close().await;
}
