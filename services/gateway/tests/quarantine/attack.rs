//! Each way by which an acknowledged record could be lost or doubled, as it was shown against the
//! first design.

use kafka_protocol::messages::{ApiKey, ProduceResponse};
use meshwork_gateway::Config;
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_testkit::{kafka, wait_until};
use meshwork_wire::Codec;

use crate::mesh::{Gateway, followed};
use crate::producer::{Producer, World, bad, pipelined, verdict};
use crate::raw::{Raw, batch, produce_request};

/// `MESSAGE_TOO_LARGE`.
const TOO_LARGE: i16 = 10;
/// `OUT_OF_ORDER_SEQUENCE_NUMBER`.
const OUT_OF_ORDER: i16 = 45;

/// librdkafka takes the success of a later batch for that of the earlier ones. So one of which
/// nothing is left may not be called delivered while an earlier one has failed.
#[tokio::test]
async fn a_success_of_ours_does_not_hide_an_earlier_failure() {
    let world = World::new(EnforcementMode::Quarantine).await;
    let (product, producer) = (&world.product, Producer::new().await);
    let small = [("max.message.bytes".to_owned(), "400".to_owned())];
    let admin = kafka().admin();
    admin
        .alter_topic_configs(product.topic(), &small, &[])
        .await
        .unwrap();
    // A broker goes by a limit a moment after it has taken it.
    let probe = batch(Codec::None, &vec![world.good("probe"); 20]);
    wait_until("the limit to hold", || async {
        let mut raw = Raw::connect(&kafka().bootstrap_servers()).await;
        raw.produce(9, product.topic(), &probe).await.0 == TOO_LARGE
    })
    .await;
    let too_large = [world.good(&"g".repeat(600))];
    let mut raw = Raw::connect(&world.a.address).await;
    let batches = [
        producer.batch(0, &too_large),
        producer.batch(1, &[bad("b1")]),
    ];
    // The broker refuses the first as too large; of the second nothing is left to send.
    let codes = pipelined(&mut raw, product, &batches).await;
    assert_eq!(codes, [TOO_LARGE, 45]);
    let batches = [
        producer.batch(0, &[world.good("g0")]),
        producer.batch(1, &[bad("b1")]),
        producer.batch(2, &[world.good("g2")]),
    ];
    assert_eq!(pipelined(&mut raw, product, &batches).await, [0, 0, 0]);
    assert_eq!(world.log().await, ["g0", "g2"]);
    assert_eq!(world.refused().await, ["b1"]);
}

/// A client that goes from A to B and back may not meet what A knew when it left.
#[tokio::test]
async fn a_client_that_comes_back_meets_what_was_decided_elsewhere() {
    let world = World::new(EnforcementMode::Quarantine).await;
    let (product, producer) = (&world.product, Producer::new().await);
    let good = |id: &str| [world.good(id)];
    assert_eq!(producer.by(&world.a, product, 0, &good("r0")).await, (0, 0));
    assert_eq!(
        producer.by(&world.b, product, 1, &[bad("r1")]).await,
        (0, -1)
    );
    assert_eq!(producer.by(&world.b, product, 2, &good("r2")).await, (0, 1));
    // The answer was lost, and it comes again.
    assert_eq!(producer.by(&world.a, product, 2, &good("r2")).await, (0, 1));
    assert_eq!(producer.by(&world.a, product, 3, &good("r3")).await, (0, 2));
    assert_eq!(producer.by(&world.b, product, 4, &good("r4")).await, (0, 3));
    assert_eq!(world.log().await, ["r0", "r2", "r3", "r4"]);
}

/// What was appended and would be refused by now comes again because its answer was lost.
#[tokio::test]
async fn a_repeat_is_not_judged_anew() {
    let mut world = World::new(EnforcementMode::Off).await;
    let producer = Producer::new().await;
    let one = Producer::new().await;
    let partly = [world.good("g0"), bad("b1")];
    let (code, offset) = producer.by(&world.a, &world.product, 0, &partly).await;
    assert_eq!(code, 0);
    let (code, single) = one.by(&world.a, &world.product, 0, &[bad("s0")]).await;
    assert_eq!(code, 0);
    for mode in [EnforcementMode::Quarantine, EnforcementMode::Reject] {
        world.change(mode).await;
        let product = &world.product;
        for gateway in [&world.a, &world.b] {
            assert_eq!(
                producer.by(gateway, product, 0, &partly).await,
                (0, offset),
                "{mode:?}"
            );
            assert_eq!(
                one.by(gateway, product, 0, &[bad("s0")]).await,
                (0, single),
                "{mode:?}"
            );
        }
    }
    // franz-go gives the sequences of what was refused to other records: they are new.
    let product = &world.product;
    assert_eq!(producer.by(&world.a, product, 2, &[bad("b2")]).await.0, 87);
    assert_eq!(
        producer
            .by(&world.a, product, 2, &[world.good("g2")])
            .await
            .0,
        0
    );
    assert_eq!(one.by(&world.a, product, 1, &[world.good("s1")]).await.0, 0);
    assert_eq!(world.log().await, ["g0", "b1", "s0", "g2", "s1"]);
}

/// A verdict is on records, not on numbers.
#[tokio::test]
async fn a_verdict_is_not_followed_for_other_records() {
    let world = World::new(EnforcementMode::Quarantine).await;
    let (product, producer) = (&world.product, Producer::new().await);
    let given = [world.good("g0"), bad("b1")];
    assert_eq!(producer.by(&world.a, product, 0, &given).await, (0, -1));
    let other = [world.good("x0"), world.good("x1")];
    for gateway in [&world.a, &world.b] {
        assert_eq!(producer.by(gateway, product, 0, &other).await.0, 45);
        // Partly of records that were decided on.
        let more = [bad("b1"), world.good("g2")];
        assert_eq!(producer.by(gateway, product, 1, &more).await.0, 45);
    }
    assert_eq!(
        producer
            .by(&world.b, product, 2, &[world.good("g2")])
            .await
            .0,
        0
    );
    assert_eq!(world.log().await, ["g0", "g2"]);
}

/// Java splits a batch that is too large, and sends the parts.
#[tokio::test]
async fn parts_of_a_batch_follow_its_verdict() {
    let world = World::new(EnforcementMode::Quarantine).await;
    let (product, producer) = (&world.product, Producer::new().await);
    let all = [
        world.good("g0"),
        bad("b1"),
        world.good("g2"),
        bad("b3"),
        bad("b4"),
    ];
    let whole = producer.batch(0, &all);
    verdict(&world, producer, 0, &whole, &[1, 3, 4]).await;
    let mut raw = Raw::connect(&world.a.address).await;
    assert_eq!(
        producer.send(&mut raw, product, 0, &all[..2]).await,
        (0, -1)
    );
    assert_eq!(
        producer.send(&mut raw, product, 2, &all[2..3]).await,
        (0, 1)
    );
    assert_eq!(
        producer.send(&mut raw, product, 3, &all[3..]).await,
        (0, -1)
    );
    assert_eq!(
        producer
            .send(&mut raw, product, 5, &[world.good("g5")])
            .await,
        (0, 2)
    );
    assert_eq!(world.log().await, ["g0", "g2", "g5"]);
}

/// A gateway is killed behind the verdict and before the rest of the batch has gone on; the schema
/// that was missing appears, or another gateway would judge otherwise.
#[tokio::test]
async fn after_a_kill_another_gateway_follows_the_verdict() {
    let world = World::new(EnforcementMode::Quarantine).await;
    let (product, producer) = (&world.product, Producer::new().await);
    let given = [world.good("g0"), world.good("late"), world.good("g2")];
    verdict(&world, producer, 0, &producer.batch(0, &given), &[1]).await;
    assert_eq!(producer.by(&world.b, product, 0, &given).await, (0, -1));
    assert_eq!(
        producer.by(&world.b, product, 3, &[world.good("g3")]).await,
        (0, 2)
    );
    // The first verdict in the log holds.
    verdict(&world, producer, 0, &producer.batch(0, &given), &[0, 1, 2]).await;
    assert_eq!(
        producer.by(&world.a, product, 4, &[world.good("g4")]).await,
        (0, 3)
    );
    assert_eq!(world.log().await, ["g0", "g2", "g3", "g4"]);
}

/// The numbering outlives the gateway that began it.
#[tokio::test]
async fn a_gateway_that_starts_goes_on_where_others_were() {
    let world = World::new(EnforcementMode::Quarantine).await;
    let (product, producer) = (&world.product, Producer::new().await);
    assert_eq!(
        producer
            .by(&world.a, product, 0, &[bad("b0"), world.good("g1")])
            .await
            .0,
        0
    );
    let c = Gateway::start(Config::default()).await;
    followed(&c, product).await;
    assert_eq!(
        producer.by(&c, product, 2, &[world.good("g2")]).await,
        (0, 1)
    );
    assert_eq!(
        producer
            .by(&c, product, 0, &[bad("b0"), world.good("g1")])
            .await,
        (0, -1)
    );
    assert_eq!(
        producer
            .by(&c, product, 3, &[bad("b3"), world.good("g4")])
            .await,
        (0, -1)
    );
    c.stop().await;
    assert_eq!(
        producer.by(&world.b, product, 5, &[world.good("g5")]).await,
        (0, 3)
    );
    assert_eq!(world.log().await, ["g1", "g2", "g4", "g5"]);
}

/// What was taken out stays taken out, whatever the mode is by now.
#[tokio::test]
async fn numbering_outlives_a_change_of_mode() {
    let mut world = World::new(EnforcementMode::Quarantine).await;
    let producer = Producer::new().await;
    let first = [bad("b0"), world.good("g1")];
    assert_eq!(
        producer.by(&world.a, &world.product, 0, &first).await,
        (0, -1)
    );
    let mut next = 2;
    // Of what it follows its verdict with, the broker knows for as long as it is among the producer's
    // last five batches that it is a repeat.
    for (mode, repeat) in [
        (EnforcementMode::Off, 0),
        (EnforcementMode::Mark, 0),
        (EnforcementMode::Reject, OUT_OF_ORDER),
    ] {
        world.change(mode).await;
        for gateway in [&world.a, &world.b] {
            let given = [world.good(&format!("g{next}"))];
            let (code, _) = producer.by(gateway, &world.product, next, &given).await;
            assert_eq!(code, 0, "{mode:?}");
            next += 1;
        }
        let (code, _) = producer.by(&world.a, &world.product, 0, &first).await;
        assert_eq!(code, repeat, "{mode:?}: it follows its verdict");
    }
    assert_eq!(
        world.log().await,
        ["g1", "g2", "g3", "g4", "g5", "g6", "g7"]
    );
}

/// Two gateways get the same batch at once: one verdict holds, and each record is there once.
#[tokio::test]
async fn two_gateways_at_once_agree() {
    let world = World::new(EnforcementMode::Quarantine).await;
    let (product, producer) = (&world.product, Producer::new().await);
    let mut expected = Vec::new();
    for n in 0..20 {
        let given = [
            world.good(&format!("g{n}")),
            bad(&format!("b{n:02}")),
            world.good(&format!("h{n}")),
        ];
        expected.extend([format!("g{n}"), format!("h{n}")]);
        let (a, b) = tokio::join!(
            producer.by(&world.a, product, n * 3, &given),
            producer.by(&world.b, product, n * 3, &given),
        );
        assert_eq!((a, b), ((0, -1), (0, -1)), "{n}");
    }
    assert_eq!(world.log().await, expected);
    let refused: Vec<String> = (0..20).map(|n| format!("b{n:02}")).collect();
    assert_eq!(world.refused().await, refused);
}

#[tokio::test]
async fn a_damaged_batch_is_neither_answered_from_the_numbering_nor_moves_it() {
    let world = World::new(EnforcementMode::Quarantine).await;
    let (product, producer) = (&world.product, Producer::new().await);
    let mut raw = Raw::connect(&world.a.address).await;
    let first = [world.good("g0"), bad("b1"), world.good("g2")];
    assert_eq!(producer.send(&mut raw, product, 0, &first).await, (0, -1));
    // The sequence in the header is another one than the checksum was made over: the middle of what
    // was decided on, and so far ahead that what is behind would be taken for what comes next.
    for sequence in [1i32, 1 << 30, i32::MAX - 9] {
        let mut damaged = producer.batch(3, &first);
        damaged[53..57].copy_from_slice(&sequence.to_be_bytes());
        let request = produce_request(product.topic(), &damaged);
        raw.send(ApiKey::Produce, 9, &request).await;
        // Whatever it was, this may not pass it: it comes again on another connection, behind it.
        let behind = produce_request(product.topic(), &producer.batch(3, &[world.good("g3")]));
        raw.send(ApiKey::Produce, 9, &behind).await;
        let (_, answer): (i32, ProduceResponse) = raw.answer(9).await.unwrap();
        let code = answer.responses[0].partition_responses[0].error_code;
        assert_eq!(code, 2, "{sequence}");
        assert_eq!(raw.frame().await, None, "{sequence}");
        raw = Raw::connect(&world.a.address).await;
    }
    assert_eq!(
        producer.send(&mut raw, product, 0, &first).await,
        (0, -1),
        "a repeat"
    );
    let next = [world.good("g3")];
    assert_eq!(producer.send(&mut raw, product, 3, &next).await, (0, 2));
    assert_eq!(world.log().await, ["g0", "g2", "g3"]);
    let (payload, verdicts) = world.quarantine().await;
    assert_eq!((payload.len(), verdicts.len()), (1, 1));
}
