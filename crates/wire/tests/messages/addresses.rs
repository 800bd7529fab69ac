//! Metadata, FindCoordinator, DescribeCluster.

use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    DescribeClusterResponse, FindCoordinatorResponse, MetadataResponse, TopicName,
};
use meshwork_wire::protocol::describe_cluster::DescribeClusterError;
use meshwork_wire::protocol::metadata::{MetadataTopic, PartitionLeader};
use meshwork_wire::protocol::{WireError, describe_cluster, find_coordinator, metadata};

use crate::judge::{
    id, judged, refuses_every_cut, reread, response, survives_every_flip, tagged, text,
    without_length,
};

/// The gateway's address for a node, of which it knows no 9.
fn gateway(node: i32, host: &str, port: i32) -> Option<(String, i32)> {
    assert!(host.starts_with("kafka"), "{host}");
    assert!(port == 9000 + node, "{port}");
    (node != 9).then(|| {
        (
            "a-rather-longer-name.mesh.example".to_owned(),
            19_000 + node,
        )
    })
}

/// The same address again.
fn same(_: i32, host: &str, port: i32) -> Option<(String, i32)> {
    Some((host.to_owned(), port))
}

fn metadata_answer(version: i16) -> MetadataResponse {
    let broker = |node: i32, host| {
        tagged!(
            MetadataResponseBroker::default()
                .with_node_id(node.into())
                .with_host(text(host))
                .with_port(9000 + node)
                .with_rack((version >= 1 && node == 1).then(|| text("rack-a")))
        )
    };
    let partition = |n: i32, leader: i32| {
        tagged!(
            MetadataResponsePartition::default()
                .with_partition_index(n)
                .with_leader_id(leader.into())
                .with_error_code(if leader < 0 { 5 } else { 0 })
                .with_leader_epoch(if version >= 7 { 4 } else { -1 })
                .with_replica_nodes(vec![1.into(), 2.into()])
                .with_isr_nodes(vec![1.into()])
                .with_offline_replicas(if version >= 5 {
                    vec![2.into()]
                } else {
                    Vec::new()
                })
        )
    };
    let topic = |name: Option<&'static str>, n: u8, partitions, error_code| {
        let topic = MetadataResponseTopic::default()
            .with_name(name.map(|name| TopicName(text(name))))
            .with_error_code(error_code)
            .with_is_internal(version >= 1 && n == 2)
            .with_partitions(partitions);
        tagged!(if version >= 10 {
            topic.with_topic_id(id(n).to_vec().try_into().unwrap())
        } else {
            topic
        })
    };
    let mut topics = vec![
        topic(
            Some("operations.departures.v1"),
            1,
            vec![partition(0, 1), partition(1, -1), partition(2, 9)],
            0,
        ),
        topic(Some("__consumer_offsets"), 2, vec![], 0),
        topic(Some("nowhere"), 0, vec![], 3),
    ];
    if version >= 12 {
        topics.push(topic(None, 7, vec![], 100));
    }
    let answer = MetadataResponse::default()
        .with_throttle_time_ms(if version >= 3 { 12 } else { 0 })
        .with_brokers(vec![
            broker(1, "kafka-1"),
            broker(9, "kafka-9"),
            broker(2, "kafka-two.example"),
        ])
        .with_cluster_id((version >= 2).then(|| text("MkU3OEVBNTcwNTJENDM2Qg")))
        .with_controller_id(if version >= 1 { 2 } else { -1 }.into())
        .with_topics(topics)
        .with_error_code(if version >= 13 { 129 } else { 0 });
    tagged!(answer)
}

#[test]
fn metadata_has_the_gateways_addresses_and_is_learnt_from() {
    for version in metadata::VERSIONS {
        let theirs = metadata_answer(version);
        let mut learnt = 0;
        let learn = |topic: MetadataTopic<'_>| {
            let expected = &theirs.topics[learnt];
            learnt += 1;
            assert_eq!(topic.error_code, expected.error_code);
            assert_eq!(topic.name, expected.name.as_ref().map(|n| n.as_str()));
            let id = Some(expected.topic_id.into_bytes()).filter(|id| *id != [0; 16]);
            assert_eq!(topic.id, id, "version {version}");
            assert_eq!(topic.internal, expected.is_internal);
            assert_eq!(topic.partitions, expected.partitions.len());
            let leaders: Vec<_> = expected
                .partitions
                .iter()
                .map(|p| PartitionLeader {
                    error_code: p.error_code,
                    partition: p.partition_index,
                    leader: p.leader_id.0,
                })
                .collect();
            assert_eq!(topic.leaders().collect::<Vec<_>>(), leaders);
        };
        let frame = response(version, &theirs);
        let rewritten = metadata::rewrite(&frame, version, gateway, learn).unwrap();
        assert_eq!(learnt, theirs.topics.len());
        let mut expected = theirs.clone();
        expected.brokers.retain(|b| b.node_id.0 != 9);
        for broker in &mut expected.brokers {
            broker.host = text("a-rather-longer-name.mesh.example");
            broker.port = 19_000 + broker.node_id.0;
        }
        assert_eq!(
            judged::<MetadataResponse>(version, &rewritten),
            reread(version, &expected)
        );
    }
}

#[test]
fn metadata_without_change_damaged_and_too_new() {
    let read = |frame: &[u8], version| metadata::rewrite(frame, version, same, |_| ());
    for version in metadata::VERSIONS {
        for theirs in [metadata_answer(version), MetadataResponse::default()] {
            let frame = response(version, &theirs);
            assert_eq!(without_length(&read(&frame, version).unwrap()), frame);
            refuses_every_cut(&frame, |cut| metadata::read(cut, version, |_| ()));
            refuses_every_cut(&frame, |cut| {
                let endpoint = |_, host: &str, _| {
                    assert_eq!(cut.len(), frame.len(), "asked for a message that is cut");
                    Some((host.to_owned(), 1))
                };
                metadata::rewrite(cut, version, endpoint, |topic| {
                    assert_eq!(cut.len(), frame.len(), "learnt from a message that is cut");
                    assert_eq!(topic.leaders().count(), topic.partitions);
                })
            });
            survives_every_flip(&frame, |flipped| {
                let _ = metadata::rewrite(
                    flipped,
                    version,
                    |node, _, _| (node % 2 == 0).then(|| ("host".to_owned(), 1)),
                    |topic| assert_eq!(topic.leaders().count(), topic.partitions),
                );
            });
        }
    }
    let frame = response(13, &metadata_answer(13));
    for version in [-1, 14] {
        assert!(matches!(
            read(&frame, version),
            Err(WireError::Version {
                api: "Metadata",
                ..
            })
        ));
    }
}

/// Node 1, one that the gateway does not know, one that is not there, one with an error.
fn coordinators(version: i16) -> Vec<FindCoordinatorResponse> {
    let nodes = [
        (1, "kafka-1", 9001, 0),
        (9, "kafka-9", 9009, 0),
        (-1, "", -1, 15),
        (-1, "", -1, 0),
        (4, "kafka-4", 9004, 16),
    ];
    let answer = tagged!(
        FindCoordinatorResponse::default().with_throttle_time_ms(if version >= 1 { 7 } else { 0 })
    );
    if version >= 4 {
        let coordinator = |(node, host, port, error): (i32, _, _, _)| {
            tagged!(
                Coordinator::default()
                    .with_key(text("a group"))
                    .with_node_id(node.into())
                    .with_host(text(host))
                    .with_port(port)
                    .with_error_code(error)
                    .with_error_message((error != 0).then(|| text("why")))
            )
        };
        let all = nodes.into_iter().map(coordinator).collect();
        return vec![answer.clone().with_coordinators(all), answer];
    }
    let one = |(node, host, port, error): (i32, _, _, _)| {
        answer
            .clone()
            .with_node_id(node.into())
            .with_host(text(host))
            .with_port(port)
            .with_error_code(error)
            .with_error_message((version >= 1 && error != 0).then(|| text("why")))
    };
    nodes.into_iter().map(one).collect()
}

#[test]
fn coordinators_have_the_gateways_addresses() {
    for version in find_coordinator::VERSIONS {
        for theirs in coordinators(version) {
            let frame = response(version, &theirs);
            let rewritten = find_coordinator::rewrite(&frame, version, gateway).unwrap();
            let mut expected = theirs.clone();
            let mend = |node: &mut i32, error: &mut i16| match (*node, *error) {
                (1, 0) => (text("a-rather-longer-name.mesh.example"), 19_001),
                (9, 0) => {
                    (*node, *error) = (-1, 15);
                    (text(""), -1)
                }
                (4, _) => (text("kafka-4"), 9004),
                _ => (text(""), -1),
            };
            for one in &mut expected.coordinators {
                (one.host, one.port) = mend(&mut one.node_id.0, &mut one.error_code);
            }
            if version < 4 {
                (expected.host, expected.port) =
                    mend(&mut expected.node_id.0, &mut expected.error_code);
            }
            assert_eq!(
                judged::<FindCoordinatorResponse>(version, &rewritten),
                reread(version, &expected)
            );
            let again = find_coordinator::rewrite(&frame, version, same).unwrap();
            assert_eq!(without_length(&again), frame);
            refuses_every_cut(&frame, |cut| {
                find_coordinator::rewrite(cut, version, |_, host, port| {
                    assert_eq!(cut.len(), frame.len(), "asked for a message that is cut");
                    Some((host.to_owned(), port))
                })
            });
            survives_every_flip(&frame, |flipped| {
                let _ = find_coordinator::rewrite(flipped, version, |_, _, _| None);
            });
        }
    }
    assert!(find_coordinator::rewrite(&[0; 64], 7, same).is_err());
}

fn cluster(version: i16, endpoint_type: i8) -> DescribeClusterResponse {
    let broker = |node: i32, host| {
        let broker = DescribeClusterBroker::default()
            .with_broker_id(node.into())
            .with_host(text(host))
            .with_port(9000 + node)
            .with_rack((node == 1).then(|| text("rack-a")))
            .with_is_fenced(version >= 2 && node == 2);
        tagged!(broker)
    };
    let answer = DescribeClusterResponse::default()
        .with_throttle_time_ms(3)
        .with_endpoint_type(endpoint_type)
        .with_cluster_id(text("MkU3OEVBNTcwNTJENDM2Qg"))
        .with_controller_id(1.into())
        .with_brokers(vec![
            broker(1, "kafka-1"),
            broker(9, "kafka-9"),
            broker(2, "kafka-2"),
        ])
        .with_cluster_authorized_operations(5);
    tagged!(answer)
}

#[test]
fn the_clusters_brokers_have_the_gateways_addresses() {
    for version in describe_cluster::VERSIONS {
        let theirs = cluster(version, 1);
        let frame = response(version, &theirs);
        let rewritten = describe_cluster::rewrite(&frame, version, gateway).unwrap();
        let mut expected = theirs.clone();
        expected.brokers.retain(|b| b.broker_id.0 != 9);
        for broker in &mut expected.brokers {
            broker.host = text("a-rather-longer-name.mesh.example");
            broker.port = 19_000 + broker.broker_id.0;
        }
        assert_eq!(
            judged::<DescribeClusterResponse>(version, &rewritten),
            reread(version, &expected)
        );
        let again = describe_cluster::rewrite(&frame, version, same).unwrap();
        assert_eq!(without_length(&again), frame);
        refuses_every_cut(&frame, |cut| {
            describe_cluster::rewrite(cut, version, |_, host, port| {
                assert_eq!(cut.len(), frame.len(), "asked for a message that is cut");
                Some((host.to_owned(), port))
            })
        });
        survives_every_flip(&frame, |flipped| {
            let _ = describe_cluster::rewrite(flipped, version, |_, _, _| None);
        });
    }
    let controllers = response(1, &cluster(1, 2));
    assert_eq!(
        describe_cluster::rewrite(&controllers, 1, same),
        Err(DescribeClusterError::EndpointType(2))
    );
    assert!(describe_cluster::rewrite(&controllers, 3, same).is_err());
}
