//! A producer's transaction, request by request.

use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, ApiKey, InitProducerIdRequest,
    InitProducerIdResponse, TopicName, TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use meshwork_testkit::{DEADLINE, wait_for};

use crate::raw::Raw;

/// The markers of the last transaction are not all written yet.
const CONCURRENT_TRANSACTIONS: i16 = 51;

pub(crate) fn transactional_id(name: &str) -> TransactionalId {
    TransactionalId(StrBytes::from_string(name.to_owned()))
}

/// Id and epoch of the producer of this name, once its coordinator, whose address this is, gives them:
/// it may have to be made first.
pub(crate) async fn producer_id(address: &str, name: &str) -> (i64, i16) {
    let asks = InitProducerIdRequest::default()
        .with_transactional_id(Some(transactional_id(name)))
        .with_transaction_timeout_ms(60_000)
        .with_producer_id((-1).into())
        .with_producer_epoch(-1);
    wait_for("a producer id", || async {
        let mut raw = Raw::connect(address).await;
        let answer: InitProducerIdResponse = raw.ask(ApiKey::InitProducerId, 4, &asks).await?;
        (answer.error_code == 0).then_some((answer.producer_id.0, answer.producer_epoch))
    })
    .await
}

/// Has the coordinator take a topic's only partition into a transaction, once it has ended the last one.
pub(crate) async fn add(raw: &mut Raw, name: &str, producer: (i64, i16), topic: &str) {
    let topic = AddPartitionsToTxnTopic::default()
        .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partitions(vec![0]);
    let asks = AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(transactional_id(name))
        .with_v3_and_below_producer_id(producer.0.into())
        .with_v3_and_below_producer_epoch(producer.1)
        .with_v3_and_below_topics(vec![topic]);
    let added = async {
        loop {
            let api = ApiKey::AddPartitionsToTxn;
            let answer: AddPartitionsToTxnResponse = raw.ask(api, 3, &asks).await.unwrap();
            let of = &answer.results_by_topic_v3_and_below[0];
            match of.results_by_partition[0].partition_error_code {
                0 => return,
                CONCURRENT_TRANSACTIONS => {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
                code => panic!("error {code}"),
            }
        }
    };
    tokio::time::timeout(DEADLINE, added)
        .await
        .expect("the last transaction to end");
}
