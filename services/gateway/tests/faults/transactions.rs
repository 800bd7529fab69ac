//! A transactional producer that writes its own bytes.

use kafka_protocol::messages::{
    ApiKey, EndTxnRequest, EndTxnResponse, FindCoordinatorRequest, FindCoordinatorResponse,
    ProduceResponse,
};
use kafka_protocol::protocol::StrBytes;
use meshwork_testkit::{kafka, unique, wait_for};
use meshwork_wire::Codec;

use crate::leaders::{address_of, direct, from, lead};
use crate::mesh::Gateway;
use crate::raw::{Raw, batch, idempotent, produce_request, transactional};
use crate::transaction::{add, producer_id, transactional_id};

/// One, at the broker that is its coordinator and leads its topic.
pub(crate) struct Transactions {
    pub(crate) raw: Raw,
    /// Where that broker is reached.
    pub(crate) address: String,
    /// Its node id.
    pub(crate) node: i32,
    name: String,
    topic: String,
    producer: (i64, i16),
    sequence: i32,
}

impl Transactions {
    /// Through a gateway, or without one.
    pub(crate) async fn open(gateway: Option<&Gateway>, topic: &str) -> Self {
        let name = unique("tx");
        let node = wait_for("a coordinator", || async {
            let asks = FindCoordinatorRequest::default()
                .with_key(StrBytes::from_string(name.clone()))
                .with_key_type(1);
            let mut raw = direct().await;
            let answer: FindCoordinatorResponse =
                raw.ask(ApiKey::FindCoordinator, 3, &asks).await?;
            (answer.error_code == 0).then_some(answer.node_id.0)
        })
        .await;
        let at = u16::try_from(node).unwrap();
        lead(topic, &from(at)).await;
        let address = match gateway {
            Some(gateway) => address_of(gateway, node).await,
            None => format!("127.0.0.1:{}", kafka().dev().port(at.into()).unwrap()),
        };
        let producer = producer_id(&address, &name).await;
        Self {
            raw: Raw::connect(&address).await,
            address,
            node,
            name,
            topic: topic.to_owned(),
            producer,
            sequence: 0,
        }
    }

    /// Has the coordinator take the topic into a transaction, once it has ended the last one.
    pub(crate) async fn begin(&mut self) {
        add(&mut self.raw, &self.name, self.producer, &self.topic).await;
    }

    pub(crate) async fn send_one(&mut self, value: Vec<u8>) {
        let (id, epoch) = self.producer;
        let given = idempotent(batch(Codec::None, &[value]), id, epoch, self.sequence);
        self.sequence += 1;
        let request = produce_request(&self.topic, &transactional(given))
            .with_transactional_id(Some(transactional_id(&self.name)));
        self.raw.send(ApiKey::Produce, 9, &request).await;
    }

    pub(crate) async fn send_end(&mut self, committed: bool) {
        let asks = EndTxnRequest::default()
            .with_transactional_id(transactional_id(&self.name))
            .with_producer_id(self.producer.0.into())
            .with_producer_epoch(self.producer.1)
            .with_committed(committed);
        self.raw.send(ApiKey::EndTxn, 3, &asks).await;
    }

    /// The answer to what was sent.
    pub(crate) async fn written(&mut self) -> i16 {
        let (_, answer): (i32, ProduceResponse) = self.raw.answer(9).await.unwrap();
        answer.responses[0].partition_responses[0].error_code
    }

    /// The answer to an end; none if the other end has closed.
    pub(crate) async fn ended(&mut self) -> Option<i16> {
        let (_, answer): (i32, EndTxnResponse) = self.raw.answer(3).await?;
        Some(answer.error_code)
    }
}
