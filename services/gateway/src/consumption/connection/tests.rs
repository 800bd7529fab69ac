use meshwork_model::mesh::observation::{ReaderPosition, Trust};
use meshwork_pipeline::OnUnavailable;
use meshwork_wire::Limits;

use super::*;
use crate::products::Products;
use crate::topics::Topics;

struct World {
    process: Arc<Consumption>,
    topics: Topics,
    products: Products,
}

impl World {
    fn new() -> Self {
        let topics = Topics::new(100);
        topics.learn([1; 16], "a.b.v1");
        topics.has("a.b.v1", 4);
        topics.has("mesh.observations", 8);
        Self {
            process: Arc::default(),
            topics,
            products: Products::new(Limits::default(), OnUnavailable::Closed),
        }
    }

    fn names(&self) -> Names<'_> {
        Names {
            topics: &self.topics,
            products: &self.products,
        }
    }

    fn connect(&self) -> Connection {
        Connection::new(Arc::clone(&self.process), IpAddr::from([127, 0, 0, 1]))
    }

    fn fetch(&self, connection: &Connection, frame: &[u8]) {
        let header = RequestHeader::read(frame).unwrap();
        connection.fetch(&tag(), &header, frame, self.names());
    }

    fn ask(&self, connection: &Connection, frame: &[u8]) -> Option<Learn> {
        let header = RequestHeader::read(frame).unwrap();
        connection.asked(&tag(), &header, frame, self.names())
    }

    /// By topic and partition.
    fn readers(&self) -> Vec<(String, i32, Vec<ReaderPosition>)> {
        let mut all: Vec<_> = self
            .process
            .take()
            .into_iter()
            .map(|seen| (seen.topic, seen.partition, seen.readers))
            .collect();
        all.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        all
    }
}

fn tag() -> Arc<ProducerTag> {
    Arc::new(ProducerTag::new("ann", Trust::Principal))
}

/// A message of fields as they stand in it.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn new(api: ApiKey, version: i16) -> Self {
        Self::default().i16(api.0).i16(version).i32(7).text("app")
    }

    fn i16(mut self, n: i16) -> Self {
        self.0.extend(n.to_be_bytes());
        self
    }

    fn i32(mut self, n: i32) -> Self {
        self.0.extend(n.to_be_bytes());
        self
    }

    fn i64(mut self, n: i64) -> Self {
        self.0.extend(n.to_be_bytes());
        self
    }

    fn text(self, text: &str) -> Self {
        let mut message = self.i16(i16::try_from(text.len()).unwrap());
        message.0.extend(text.as_bytes());
        message
    }

    fn bytes(self, bytes: &[u8]) -> Self {
        let mut message = self.i32(i32::try_from(bytes.len()).unwrap());
        message.0.extend(bytes);
        message
    }
}

/// Fetch v7.
fn fetch(replica: i32, session: i32, epoch: i32, topic: &str, asks: &[(i32, i64)]) -> Vec<u8> {
    let mut message = Message::new(ApiKey::FETCH, 7)
        .i32(replica)
        .i32(500)
        .i32(1)
        .i32(1 << 20);
    message.0.push(0);
    let count = i32::try_from(asks.len()).unwrap();
    message = message
        .i32(session)
        .i32(epoch)
        .i32(1)
        .text(topic)
        .i32(count);
    for (partition, offset) in asks {
        message = message.i32(*partition).i64(*offset).i64(-1).i32(1 << 20);
    }
    message.i32(0).0
}

/// JoinGroup v0 with a subscription to one topic.
fn join(group: &str, protocol_type: &str, topic: &str) -> Vec<u8> {
    let subscription = Message::default().i16(0).i32(1).text(topic).bytes(&[]).0;
    Message::new(ApiKey::JOIN_GROUP, 0)
        .text(group)
        .i32(10_000)
        .text("")
        .text(protocol_type)
        .i32(1)
        .text("range")
        .bytes(&subscription)
        .0
}

#[test]
fn a_reader_is_seen_with_the_group_that_it_joined_elsewhere() {
    let world = World::new();
    let (coordinator, leader) = (world.connect(), world.connect());
    assert!(
        world
            .ask(&coordinator, &join("board", "consumer", "a.b.v1"))
            .is_none()
    );
    assert!(
        world
            .ask(&coordinator, &join("workers", "connect", "a.b.v1"))
            .is_none()
    );
    world.fetch(&leader, &fetch(-1, 0, -1, "a.b.v1", &[(0, 5), (3, 8)]));
    let seen = world.readers();
    assert_eq!(seen.len(), 2);
    let reader = &seen[1].2[0];
    assert_eq!((seen[1].1, reader.name.as_str()), (3, "ann"));
    assert_eq!(reader.trust, Trust::Principal);
    assert_eq!(reader.group.as_deref(), Some("board"));
    assert!(reader.inferred);
    assert_eq!((reader.next_offset, reader.committed), (Some(8), None));
}

#[test]
fn what_was_not_told_yet_is_told_at_the_end_and_nothing_stays() {
    let world = World::new();
    let connection = world.connect();
    world.fetch(&connection, &fetch(-1, 0, -1, "a.b.v1", &[(0, 5)]));
    world.fetch(&connection, &fetch(-1, 0, -1, "a.b.v1", &[(0, 9)]));
    assert_eq!(world.process.remembered(), 1);
    assert_eq!(world.readers()[0].2[0].next_offset, Some(5));
    drop(connection);
    assert_eq!(world.readers()[0].2[0].next_offset, Some(9));
    assert_eq!(world.process.remembered(), 0);
    assert!(world.readers().is_empty());
}

#[test]
fn followers_topics_that_are_none_and_the_meshs_own_are_not_seen() {
    let world = World::new();
    let connection = world.connect();
    world.fetch(&connection, &fetch(2, 0, -1, "a.b.v1", &[(0, 5)]));
    world.fetch(&connection, &fetch(-1, 0, -1, "made.up.v1", &[(0, 5)]));
    world.fetch(
        &connection,
        &fetch(-1, 0, -1, "mesh.observations", &[(0, 5)]),
    );
    world.fetch(
        &connection,
        &fetch(-1, 0, -1, "a.b.v1", &[(-1, 5), (1, -5), (4, 5)]),
    );
    assert!(world.readers().is_empty());
}

#[test]
fn a_commit_counts_once_the_broker_has_said_yes_to_it() {
    let world = World::new();
    let connection = world.connect();
    // OffsetCommit v3: two partitions.
    let commit = Message::new(ApiKey::OFFSET_COMMIT, 3)
        .text("board")
        .i32(1)
        .text("member")
        .i64(-1)
        .i32(1)
        .text("a.b.v1")
        .i32(2)
        .i32(0)
        .i64(10)
        .i16(-1)
        .i32(1)
        .i64(20)
        .i16(-1)
        .0;
    let answer = |first: i16, second: i16| {
        Message::default()
            .i32(7)
            .i32(0)
            .i32(1)
            .text("a.b.v1")
            .i32(2)
            .i32(0)
            .i16(first)
            .i32(1)
            .i16(second)
            .0
    };
    for (answer, expected) in [
        (answer(0, 0), vec![(0, 10), (1, 20)]),
        (answer(0, 22), vec![(0, 10)]),
        (answer(30, 30), vec![]),
        (vec![0; 5], vec![]),
    ] {
        let learn = world.ask(&connection, &commit).unwrap();
        assert!(world.readers().is_empty(), "not yet");
        connection.answered(learn, ApiKey::OFFSET_COMMIT, 3, &answer, world.names());
        let committed: Vec<(i32, i64)> = world
            .readers()
            .into_iter()
            .map(|(_, partition, readers)| {
                assert_eq!(readers[0].group.as_deref(), Some("board"));
                assert!(!readers[0].inferred);
                (partition, readers[0].committed.unwrap())
            })
            .collect();
        assert_eq!(committed, expected);
    }
}

#[test]
fn a_transaction_ties_what_is_read_to_what_is_written() {
    let world = World::new();
    let connection = world.connect();
    let topic: Arc<str> = "c.d.v1".into();
    connection.wrote("t-1", &topic, 0);
    // AddOffsetsToTxn v0.
    let request = Message::new(ApiKey::ADD_OFFSETS_TO_TXN, 0)
        .text("t-1")
        .i64(4_000)
        .i16(0)
        .text("delays")
        .0;
    let answer = |error: i16| Message::default().i32(7).i32(0).i16(error).0;
    let learn = world.ask(&connection, &request).unwrap();
    connection.answered(
        learn,
        ApiKey::ADD_OFFSETS_TO_TXN,
        0,
        &answer(53),
        world.names(),
    );
    assert!(world.process.take().is_empty(), "refused");
    let learn = world.ask(&connection, &request).unwrap();
    connection.answered(
        learn,
        ApiKey::ADD_OFFSETS_TO_TXN,
        0,
        &answer(0),
        world.names(),
    );
    let seen = world.process.take();
    let job = &seen[0].jobs[0];
    assert_eq!(seen[0].topic, "c.d.v1");
    assert_eq!((&*job.group, &*job.transactional_id), ("delays", "t-1"));
    assert_eq!(job.producer_id, Some(4_000));
}
