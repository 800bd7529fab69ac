//! An idempotent producer that picks its own sequences and way.

use kafka_protocol::messages::{
    ApiKey, InitProducerIdRequest, InitProducerIdResponse, ProduceResponse,
};
use meshwork_gateway::Config;
use meshwork_kafka::{InRecord, OutRecord};
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_testkit::{kafka, wait_until};
use meshwork_wire::{BatchView, Codec, Decompressor, Limits};

use crate::mesh::{Gateway, Product, followed};
use crate::raw::{Raw, batch, idempotent, produce_request};

/// A product in a mode, and two gateways that follow it.
pub(crate) struct World {
    pub(crate) product: Product,
    pub(crate) a: Gateway,
    pub(crate) b: Gateway,
}

impl World {
    pub(crate) async fn new(mode: EnforcementMode) -> Self {
        let product = Product::new(mode).await;
        let a = Gateway::start(Config::default()).await;
        let b = Gateway::start(Config::default()).await;
        for gateway in [&a, &b] {
            followed(gateway, &product).await;
        }
        Self { product, a, b }
    }

    /// Changes the mode and waits until both gateways go by it.
    pub(crate) async fn change(&mut self, mode: EnforcementMode) {
        self.product.announcement.enforcement = mode;
        self.product.announce().await;
        for gateway in [&self.a, &self.b] {
            goes_by(gateway, &self.product, mode).await;
        }
    }

    /// A record that keeps the contract.
    pub(crate) fn good(&self, id: &str) -> Vec<u8> {
        self.product.flight(id)
    }

    /// Ids of the flights in the topic, in order; what breaks the contract is shown as it is.
    pub(crate) async fn log(&self) -> Vec<String> {
        let records = self.product.log().await;
        records
            .iter()
            .map(|r| shown(r.value.as_deref().unwrap_or_default()))
            .filter(|id| !id.starts_with("probe"))
            .collect()
    }

    pub(crate) fn quarantine_topic(&self) -> String {
        self.product.announcement.urn.quarantine_topic()
    }

    /// What is in quarantine: payload, and verdicts.
    pub(crate) async fn quarantine(&self) -> (Vec<InRecord>, Vec<InRecord>) {
        let all = kafka().read_all(&self.quarantine_topic()).await;
        all.into_iter()
            .filter(|r| !shown(r.value.as_deref().unwrap_or_default()).starts_with("probe"))
            .partition(|r| r.header("mesh-verdict").is_none())
    }

    /// Ids of the refused records, each once.
    pub(crate) async fn refused(&self) -> Vec<String> {
        let (payload, _) = self.quarantine().await;
        let mut ids: Vec<String> = payload
            .iter()
            .map(|r| shown(r.value.as_deref().unwrap_or_default()))
            .collect();
        ids.sort();
        ids.dedup();
        ids
    }
}

/// Waits until a gateway goes by a mode.
pub(crate) async fn goes_by(gateway: &Gateway, product: &Product, mode: EnforcementMode) {
    let address = gateway.address.clone();
    let topic = product.topic().to_owned();
    wait_until("the gateway to go by the new mode", || {
        let (address, topic) = (address.clone(), topic.clone());
        async move {
            let mut raw = Raw::connect(&address).await;
            let bad = batch(Codec::None, &[bad("probe")]);
            let (code, offset, _) = raw.produce(9, &topic, &bad).await;
            match mode {
                EnforcementMode::Quarantine => (code, offset) == (0, -1),
                EnforcementMode::Reject => code == 87,
                EnforcementMode::Mark | EnforcementMode::Off => code == 0 && offset >= 0,
            }
        }
    })
    .await;
}

/// A value that is not framed, so that no contract lets it pass.
pub(crate) fn bad(id: &str) -> Vec<u8> {
    id.as_bytes().to_vec()
}

/// A flight's id, or the value as text.
pub(crate) fn shown(value: &[u8]) -> String {
    if value.first() == Some(&0) {
        let length = usize::from(value[5] / 2);
        String::from_utf8(value[6..6 + length].to_vec()).unwrap()
    } else {
        String::from_utf8(value.to_vec()).unwrap()
    }
}

/// A producer: an id and an epoch.
#[derive(Clone, Copy)]
pub(crate) struct Producer {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

impl Producer {
    pub(crate) async fn new() -> Self {
        let mut raw = Raw::connect(&kafka().bootstrap_servers()).await;
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(60_000)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1);
        let answer: InitProducerIdResponse =
            raw.ask(ApiKey::InitProducerId, 4, &request).await.unwrap();
        assert_eq!(answer.error_code, 0);
        Self {
            id: answer.producer_id.0,
            epoch: answer.producer_epoch,
        }
    }

    /// A batch of its own at a sequence.
    pub(crate) fn batch(self, sequence: i32, values: &[Vec<u8>]) -> Vec<u8> {
        idempotent(batch(Codec::None, values), self.id, self.epoch, sequence)
    }

    /// Sends a batch on a connection, and gives error code and base offset.
    pub(crate) async fn send(
        self,
        on: &mut Raw,
        product: &Product,
        sequence: i32,
        values: &[Vec<u8>],
    ) -> (i16, i64) {
        let batch = self.batch(sequence, values);
        let (code, offset, _) = on.produce(9, product.topic(), &batch).await;
        (code, offset)
    }

    /// Sends a batch on a connection of its own.
    pub(crate) async fn by(
        self,
        gateway: &Gateway,
        product: &Product,
        sequence: i32,
        values: &[Vec<u8>],
    ) -> (i16, i64) {
        let mut raw = Raw::connect(&gateway.address).await;
        self.send(&mut raw, product, sequence, values).await
    }
}

/// Sends batches one behind the other before any answer is read; their codes.
pub(crate) async fn pipelined(on: &mut Raw, product: &Product, batches: &[Vec<u8>]) -> Vec<i16> {
    for batch in batches {
        let request = produce_request(product.topic(), batch);
        on.send(ApiKey::Produce, 9, &request).await;
    }
    let mut codes = Vec::new();
    for _ in batches {
        let (_, answer): (i32, ProduceResponse) = on.answer(9).await.unwrap();
        codes.push(answer.responses[0].partition_responses[0].error_code);
    }
    codes
}

/// Writes the verdict that a gateway writes on a batch of which it takes these records out: as one
/// that is killed right behind it.
pub(crate) async fn verdict(
    world: &World,
    producer: Producer,
    first: i32,
    batch: &[u8],
    removed: &[u32],
) {
    let limits = Limits::default();
    let view = BatchView::parse(batch, &limits).unwrap();
    let mut decompressor = Decompressor::new();
    let records = view.records(&mut decompressor, &limits).unwrap();
    let digests: Vec<u32> = records.map(|r| r.unwrap().digest()).collect();
    let mut pairs = Vec::new();
    for place in removed {
        pairs.extend(place.to_be_bytes());
        pairs.extend(digests[usize::try_from(*place).unwrap()].to_be_bytes());
    }
    let range = format!("{first}+{}", digests.len());
    let source = format!("{}@0", world.product.topic());
    let session = format!("{}:{}", producer.id, producer.epoch);
    let headers: [(&str, &[u8]); 5] = [
        ("mesh-verdict", range.as_bytes()),
        ("mesh-removed-before", b"0"),
        ("mesh-removed", &pairs),
        ("mesh-source", source.as_bytes()),
        ("mesh-session", session.as_bytes()),
    ];
    let topic = world.quarantine_topic();
    let record = OutRecord {
        topic: &topic,
        partition: Some(0),
        headers: &headers,
        ..OutRecord::default()
    };
    kafka().producer().deliver(&record).await.unwrap();
}
