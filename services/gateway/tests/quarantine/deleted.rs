//! A quarantine topic that somebody deletes.

use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_testkit::{kafka, wait_until};

use crate::mesh::{Product, followed};
use crate::producer::{Producer, World, bad};

#[tokio::test]
async fn it_is_made_anew_where_it_is_wanted_and_no_other_waits_for_it() {
    let world = World::new(EnforcementMode::Quarantine).await;
    let (product, producer) = (&world.product, Producer::new().await);
    let other = Product::new(EnforcementMode::Quarantine).await;
    followed(&world.a, &other).await;
    let first = [world.good("g0"), bad("b1")];
    assert_eq!(producer.by(&world.a, product, 0, &first).await, (0, -1));
    let (admin, topic) = (kafka().admin(), world.quarantine_topic());
    let before = admin.topic(&topic).await.unwrap().unwrap().id;
    admin.delete_topic(&topic).await.unwrap();
    wait_until("the topic to be made anew", || async {
        let now = admin.topic(&topic).await.unwrap();
        now.is_some_and(|topic| topic.id != before)
    })
    .await;
    // Of one that is new here everything has to be read that was taken out before.
    let elsewhere = Producer::new().await;
    wait_until("the other product to be followed", || async {
        elsewhere.by(&world.a, &other, 0, &[bad("x")]).await == (0, -1)
    })
    .await;
    wait_until("a batch that follows what was taken out", || async {
        let good = [world.good("g2")];
        producer.by(&world.a, product, 2, &good).await == (0, 1)
    })
    .await;
    wait_until("the new topic to take what is bad", || async {
        let partly = [bad("b3"), world.good("g4")];
        producer.by(&world.a, product, 3, &partly).await == (0, -1)
    })
    .await;
    assert_eq!(world.log().await, ["g0", "g2", "g4"]);
    assert_eq!(world.refused().await, ["b3"]);
}

#[tokio::test]
async fn it_is_not_waited_for_where_nobody_wants_it() {
    let mut world = World::new(EnforcementMode::Quarantine).await;
    let producer = Producer::new().await;
    let first = [world.good("g0"), bad("b1")];
    let (code, _) = producer.by(&world.a, &world.product, 0, &first).await;
    assert_eq!(code, 0);
    world.change(EnforcementMode::Reject).await;
    let product = &world.product;
    kafka()
        .admin()
        .delete_topic(&world.quarantine_topic())
        .await
        .unwrap();
    for _ in 0..3 {
        let newcomer = Producer::new().await;
        wait_until("a new producer's batch to be taken", || async {
            let good = [world.good("probe")];
            newcomer.by(&world.a, product, 0, &good).await.0 == 0
        })
        .await;
    }
    // What was taken out before stays taken out.
    let next = [world.good("g2")];
    assert_eq!(producer.by(&world.a, product, 2, &next).await.0, 0);
    assert_eq!(world.log().await, ["g0", "g2"]);
}
