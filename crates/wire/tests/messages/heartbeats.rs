//! ConsumerGroupHeartbeat, StreamsGroupHeartbeat.

use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest as Theirs, TopicName};
use meshwork_wire::protocol::heartbeats::{
    CONSUMER_VERSIONS, ConsumerGroupHeartbeatRequest, StreamsGroupHeartbeatRequest,
};
use meshwork_wire::protocol::{ApiKey, RequestHeader, Writer};

use crate::judge::{
    CORRELATION_ID, header, id, refuses_every_cut_request, request, survives_every_flip, tagged,
    text,
};

#[test]
fn what_a_consumer_subscribes_to() {
    for version in CONSUMER_VERSIONS {
        let first = Theirs::default()
            .with_group_id(text("a group").into())
            .with_member_id(text("member-1"))
            .with_instance_id(Some(text("static")))
            .with_rack_id(Some(text("rack-a")))
            .with_rebalance_timeout_ms(300_000)
            .with_subscribed_topic_names(Some(vec![
                TopicName(text("operations.departures.v1")),
                TopicName(text("t")),
            ]))
            .with_subscribed_topic_regex((version >= 1).then(|| text("operations\\..*")))
            .with_server_assignor(Some(text("uniform")))
            .with_topic_partitions(Some(vec![tagged!(
                TopicPartitions::default()
                    .with_topic_id(id(3).to_vec().try_into().unwrap())
                    .with_partitions(vec![0, 1])
            )]));
        let frame = request(ApiKey::CONSUMER_GROUP_HEARTBEAT, version, &tagged!(first));
        let read = ConsumerGroupHeartbeatRequest::read(&header(&frame), &frame).unwrap();
        assert_eq!((read.group, read.member), ("a group", "member-1"));
        assert_eq!((read.member_epoch, read.rebalance_timeout_ms), (0, 300_000));
        assert_eq!(read.regex, (version >= 1).then_some("operations\\..*"));
        assert!(read.topics().unwrap().eq(["operations.departures.v1", "t"]));
        refuses_every_cut_request(&frame, ConsumerGroupHeartbeatRequest::read);
        survives_every_flip(&frame, |flipped| {
            if let Ok(header) = RequestHeader::read(flipped)
                && let Ok(read) = ConsumerGroupHeartbeatRequest::read(&header, flipped)
            {
                assert!(read.topics().map_or(0, Iterator::count) < flipped.len());
            }
        });

        let unchanged = Theirs::default()
            .with_group_id(text("a group").into())
            .with_member_epoch(5);
        let frame = request(ApiKey::CONSUMER_GROUP_HEARTBEAT, version, &unchanged);
        let read = ConsumerGroupHeartbeatRequest::read(&header(&frame), &frame).unwrap();
        assert_eq!((read.member_epoch, read.rebalance_timeout_ms), (5, -1));
        assert!(read.topics().is_none() && read.regex.is_none());
        refuses_every_cut_request(&frame, ConsumerGroupHeartbeatRequest::read);

        let none = Theirs::default().with_subscribed_topic_names(Some(Vec::new()));
        let frame = request(ApiKey::CONSUMER_GROUP_HEARTBEAT, version, &none);
        let read = ConsumerGroupHeartbeatRequest::read(&header(&frame), &frame).unwrap();
        assert_eq!(read.topics().unwrap().count(), 0);
    }
}

/// An unknown tagged field.
fn tags(out: &mut Writer<'_>) {
    out.raw(&[1, 0xac, 2, 2, b'x', b'y']);
}

fn strings(out: &mut Writer<'_>, all: &[&str]) {
    out.length(all.len());
    for one in all {
        out.string(one);
    }
}

fn pairs(out: &mut Writer<'_>, all: &[(&str, &str)]) {
    out.length(all.len());
    for (key, value) in all {
        out.string(key);
        out.string(value);
        tags(out);
    }
}

fn own_topics(out: &mut Writer<'_>, all: &[&str]) {
    out.length(all.len());
    for one in all {
        out.string(one);
        out.i32(4); // partitions
        out.i16(3); // replication factor
        pairs(out, &[("cleanup.policy", "compact")]);
        tags(out);
    }
}

/// By `StreamsGroupHeartbeatRequest.json` of Kafka 4.2.2, which kafka-protocol 0.18 does not have.
fn streams(full: bool) -> Vec<u8> {
    let mut frame = Vec::new();
    let mut out = Writer::new(&mut frame, false);
    out.i16(ApiKey::STREAMS_GROUP_HEARTBEAT.0);
    out.i16(0);
    out.i32(CORRELATION_ID);
    out.string("a client");
    let out = &mut Writer::new(&mut frame, true);
    tags(out);
    out.string("an application");
    out.string("member-1");
    out.i32(if full { 0 } else { 5 }); // member epoch
    out.i32(1); // epoch of the endpoints
    out.nullable_string(full.then_some("static"));
    out.nullable_string(full.then_some("rack-a"));
    out.i32(if full { 300_000 } else { -1 });
    if full {
        out.i8(1);
        out.i32(2); // epoch of the topology
        out.length(2);
        for (id, topics, regexes) in [
            ("0", &["operations.departures.v1", "t"][..], &["op.*"][..]),
            ("1", &["weather.forecasts.v2"], &[]),
        ] {
            out.string(id);
            strings(out, topics);
            strings(out, regexes);
            own_topics(out, &["changelog-1", "changelog-2"]);
            strings(out, &["repartition"]);
            own_topics(out, &["repartition"]);
            out.length(1);
            for numbers in [&[0i16, 1][..], &[0], &[]] {
                out.length(numbers.len());
                for number in numbers {
                    out.i16(*number);
                }
            }
            tags(out);
            tags(out);
        }
        tags(out);
    } else {
        out.i8(-1);
    }
    for tasks in 0..3 {
        if !full {
            out.null_array();
            continue;
        }
        out.length(tasks);
        for _ in 0..tasks {
            out.string("0");
            out.length(2);
            out.i32(0);
            out.i32(1);
            tags(out);
        }
    }
    out.nullable_string(full.then_some("process"));
    if full {
        out.i8(1);
        out.string("app.example");
        out.i16(-15_536); // port 50,000
        tags(out);
        pairs(out, &[("zone", "a")]);
    } else {
        out.i8(-1);
        out.null_array();
    }
    for _ in 0..2 {
        if !full {
            out.null_array();
            continue;
        }
        out.length(1);
        out.string("0");
        out.i32(1);
        out.i64(1 << 40);
        tags(out);
    }
    out.i8(0); // does not shut down
    tags(out);
    frame
}

#[test]
fn what_a_streams_application_reads() {
    let frame = streams(true);
    let read = StreamsGroupHeartbeatRequest::read(&header(&frame), &frame).unwrap();
    assert_eq!((read.group, read.member), ("an application", "member-1"));
    assert_eq!((read.member_epoch, read.rebalance_timeout_ms), (0, 300_000));
    let topics: Vec<_> = read.source_topics().unwrap().collect();
    assert_eq!(
        topics,
        ["operations.departures.v1", "t", "weather.forecasts.v2"]
    );
    assert!(read.source_regexes().unwrap().eq(["op.*"]));
    refuses_every_cut_request(&frame, StreamsGroupHeartbeatRequest::read);
    survives_every_flip(&frame, |flipped| {
        if let Ok(header) = RequestHeader::read(flipped)
            && let Ok(read) = StreamsGroupHeartbeatRequest::read(&header, flipped)
        {
            assert!(read.source_topics().map_or(0, Iterator::count) < flipped.len());
        }
    });

    let frame = streams(false);
    let read = StreamsGroupHeartbeatRequest::read(&header(&frame), &frame).unwrap();
    assert_eq!((read.member_epoch, read.rebalance_timeout_ms), (5, -1));
    assert!(read.source_topics().is_none() && read.source_regexes().is_none());
    refuses_every_cut_request(&frame, StreamsGroupHeartbeatRequest::read);
}
