//! InitProducerId, AddOffsetsToTxn, TxnOffsetCommit.

use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest as TheirAdd, InitProducerIdRequest as TheirInit, InitProducerIdResponse,
    TopicName, TxnOffsetCommitRequest as TheirCommit,
};
use meshwork_wire::protocol::offsets::{
    ADD_OFFSETS_VERSIONS, AddOffsetsToTxnRequest, TXN_COMMIT_VERSIONS, TxnOffsetCommitRequest,
};
use meshwork_wire::protocol::transactions::{
    INIT_VERSIONS, InitProducerIdAnswer, InitProducerIdRequest,
};
use meshwork_wire::protocol::{ApiKey, RequestHeader};

use crate::judge::{
    header, refuses_every_cut, refuses_every_cut_request, request, response, survives_every_flip,
    tagged, text,
};

#[test]
fn which_producer_id_a_transactional_id_gets() {
    for version in INIT_VERSIONS {
        for (transactional_id, producer) in [
            (Some("a job"), (version >= 3).then_some((4_000, 7))),
            (None, None),
        ] {
            let (id, epoch) = producer.unwrap_or((-1, -1));
            let theirs = tagged!(
                TheirInit::default()
                    .with_transactional_id(transactional_id.map(|id| text(id).into()))
                    .with_transaction_timeout_ms(60_000)
                    .with_producer_id(id.into())
                    .with_producer_epoch(epoch)
            );
            // kafka-protocol knows the request up to version 5, and 6 has two booleans more.
            let mut frame = request(ApiKey::INIT_PRODUCER_ID, version.min(5), &theirs);
            if version == 6 {
                frame[3] = 6;
                let tags = frame.len() - (1 + 2 + 1 + b"not known".len());
                frame.splice(tags..tags, [1, 0]);
            }
            assert_eq!(
                InitProducerIdRequest::read(&header(&frame), &frame),
                Ok(InitProducerIdRequest { transactional_id })
            );
            refuses_every_cut_request(&frame, InitProducerIdRequest::read);
        }
        let theirs = tagged!(
            InitProducerIdResponse::default()
                .with_throttle_time_ms(5)
                .with_error_code(51)
                .with_producer_id(4_000.into())
                .with_producer_epoch(8)
                .with_ongoing_txn_producer_id(if version >= 6 { 3_999 } else { -1 }.into())
        );
        let frame = response(version, &theirs);
        assert_eq!(
            InitProducerIdAnswer::read(&frame, version),
            Ok(InitProducerIdAnswer {
                error_code: 51,
                producer_id: 4_000,
                producer_epoch: 8,
            })
        );
        refuses_every_cut(&frame, |cut| InitProducerIdAnswer::read(cut, version));
    }
}

#[test]
fn reader_and_writer_are_one_job() {
    for version in ADD_OFFSETS_VERSIONS {
        let theirs = tagged!(
            TheirAdd::default()
                .with_transactional_id(text("a job").into())
                .with_producer_id(4_000.into())
                .with_producer_epoch(8)
                .with_group_id(text("a group").into())
        );
        let frame = request(ApiKey::ADD_OFFSETS_TO_TXN, version, &theirs);
        assert_eq!(
            AddOffsetsToTxnRequest::read(&header(&frame), &frame),
            Ok(AddOffsetsToTxnRequest {
                transactional_id: "a job",
                producer_id: 4_000,
                producer_epoch: 8,
                group: "a group",
            })
        );
        refuses_every_cut_request(&frame, AddOffsetsToTxnRequest::read);
    }
    for version in TXN_COMMIT_VERSIONS {
        let partition = |n, offset| {
            tagged!(
                TxnOffsetCommitRequestPartition::default()
                    .with_partition_index(n)
                    .with_committed_offset(offset)
                    .with_committed_leader_epoch(if version >= 2 { 3 } else { -1 })
                    .with_committed_metadata((n == 1).then(|| text("note")))
            )
        };
        let topic = |name: &'static str, partitions| {
            tagged!(
                TxnOffsetCommitRequestTopic::default()
                    .with_name(TopicName(text(name)))
                    .with_partitions(partitions)
            )
        };
        let mut theirs = TheirCommit::default()
            .with_transactional_id(text("a job").into())
            .with_group_id(text("a group").into())
            .with_producer_id(4_000.into())
            .with_producer_epoch(8)
            .with_topics(vec![
                topic("operations.departures.v1", vec![partition(0, 5)]),
                topic("t", vec![partition(1, 6), partition(2, 7)]),
            ]);
        if version >= 3 {
            theirs = theirs
                .with_generation_id(12)
                .with_member_id(text("member-1"))
                .with_group_instance_id(Some(text("static")));
        }
        let frame = request(ApiKey::TXN_OFFSET_COMMIT, version, &tagged!(theirs));
        let read = TxnOffsetCommitRequest::read(&header(&frame), &frame).unwrap();
        assert_eq!((read.transactional_id, read.group), ("a job", "a group"));
        assert_eq!((read.producer_id, read.producer_epoch), (4_000, 8));
        let member = if version >= 3 {
            (12, "member-1")
        } else {
            (-1, "")
        };
        assert_eq!((read.generation, read.member), member);
        let offsets: Vec<_> = read.offsets().collect();
        assert_eq!(
            offsets,
            [("operations.departures.v1", 0, 5), ("t", 1, 6), ("t", 2, 7)]
        );
        refuses_every_cut_request(&frame, TxnOffsetCommitRequest::read);
        survives_every_flip(&frame, |flipped| {
            if let Ok(header) = RequestHeader::read(flipped)
                && let Ok(read) = TxnOffsetCommitRequest::read(&header, flipped)
            {
                assert!(read.offsets().count() < flipped.len());
            }
        });
    }
}
