//! A client's connection from end to end, before a broker that answers when the test says so.

use std::net::IpAddr;

use kafka_protocol::messages::ApiKey;
use meshwork_kafka::KafkaConfig;
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_model::time::WallClock;
use meshwork_registry_client::{RegistryClient, RegistryClientConfig};
use meshwork_telemetry::{Metrics, Readiness};
use meshwork_wire::{BatchBuilder, Codec, Compressor, RecordParts};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpListener;

use super::*;
use crate::config::Config;
use crate::products::News;
use crate::products::tests::announcement;
use crate::service::{Context, Service};

const TOPIC: &str = "sales.orders.v1";
const DEADLINE: Duration = Duration::from_secs(60);
const ILLEGAL_SASL_STATE: i16 = 34;

/// A client, the gateway's connection for it, and the broker's end of that.
struct Ends {
    client: DuplexStream,
    broker: TcpStream,
}

impl Ends {
    async fn open() -> Self {
        let broker = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = i32::from(broker.local_addr().unwrap().port());
        let registry = RegistryClientConfig::new("http://127.0.0.1:1");
        let context = Context {
            // Nobody: the gateway's own clients don't come between.
            kafka: KafkaConfig::new("127.0.0.1:1"),
            registry: RegistryClient::new(&registry).unwrap(),
            clock: Arc::new(WallClock),
            readiness: Readiness::new(),
            metrics: Metrics::new(),
            ports_are_fixed: false,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = Service::new(Config::default(), context, listener).unwrap();
        let shared = service.shared();
        shared.brokers.learn(1, "127.0.0.1", port);
        let mut product = announcement("at");
        product.enforcement = EnforcementMode::Off;
        let news = News::Announced(Box::new(product.clone()));
        shared.products.apply(vec![(product.urn, news)], |_| {});
        shared.products.all_known();
        let (client, end) = tokio::io::duplex(64 << 10);
        let (source, sink) = tokio::io::split(end);
        let accepted = Accepted {
            source: Box::new(source),
            sink: Box::new(sink),
            node: Some(NodeId(1)),
            certificate: None,
            address: IpAddr::from([127, 0, 0, 1]),
        };
        tokio::spawn(serve(shared, accepted, CancellationToken::new()));
        let (broker, _) = within(broker.accept()).await.unwrap();
        Self { client, broker }
    }

    /// Sends a request.
    async fn send(&mut self, api: ApiKey, version: i16, body: &[u8]) {
        let mut frame = (api as i16).to_be_bytes().to_vec();
        frame.extend(version.to_be_bytes());
        frame.extend(7_i32.to_be_bytes());
        text(&mut frame, "app");
        frame.extend_from_slice(body);
        write(&mut self.client, &frame).await;
    }

    async fn send_handshake(&mut self) {
        let mut body = Vec::new();
        text(&mut body, "PLAIN");
        self.send(ApiKey::SaslHandshake, 1, &body).await;
    }

    async fn send_token(&mut self, user: &str) {
        let mut body = Vec::new();
        bytes(&mut body, format!("\0{user}\0secret").as_bytes());
        self.send(ApiKey::SaslAuthenticate, 1, &body).await;
    }

    async fn send_record(&mut self) {
        let mut builder = BatchBuilder::new(1_700_000_000_000);
        let parts = RecordParts {
            value: Some(b"a flight"),
            ..RecordParts::default()
        };
        builder.push(parts, std::iter::empty()).unwrap();
        let mut batch = Vec::new();
        let none = Codec::None;
        builder
            .finish(none, &mut Compressor::new(), &mut batch)
            .unwrap();
        // No transactional id, acks=all, a timeout, one topic.
        let mut body = vec![0xff, 0xff, 0xff, 0xff];
        body.extend(30_000_i32.to_be_bytes());
        body.extend(1_i32.to_be_bytes());
        text(&mut body, TOPIC);
        // One partition, the first.
        body.extend(1_i32.to_be_bytes());
        body.extend(0_i32.to_be_bytes());
        bytes(&mut body, &batch);
        self.send(ApiKey::Produce, 8, &body).await;
    }

    /// The next request at the broker.
    async fn asked(&mut self, api: ApiKey) -> Vec<u8> {
        let frame = read(&mut self.broker).await;
        assert_eq!(frame[..2], (api as i16).to_be_bytes());
        frame
    }

    /// Answers a SaslHandshake, and waits for the client to have it.
    async fn answer_handshake(&mut self, error: i16) {
        let mut frame = 7_i32.to_be_bytes().to_vec();
        frame.extend(error.to_be_bytes());
        frame.extend(1_i32.to_be_bytes());
        text(&mut frame, "PLAIN");
        write(&mut self.broker, &frame).await;
        let heard = read(&mut self.client).await;
        assert_eq!(heard[4..6], error.to_be_bytes());
    }

    /// The same of a SaslAuthenticate.
    async fn answer_token(&mut self, error: i16) {
        let mut frame = 7_i32.to_be_bytes().to_vec();
        frame.extend(error.to_be_bytes());
        // No message, no bytes, no end of the session.
        frame.extend((-1_i16).to_be_bytes());
        bytes(&mut frame, b"");
        frame.extend(0_i64.to_be_bytes());
        write(&mut self.broker, &frame).await;
        let heard = read(&mut self.client).await;
        assert_eq!(heard[4..6], error.to_be_bytes());
    }

    /// Whom the next batch at the broker says that it is from.
    async fn named(&mut self) -> String {
        const HEADER: &[u8] = b"mesh-producer";
        let frame = self.asked(ApiKey::Produce).await;
        let found = frame.windows(HEADER.len()).position(|w| w == HEADER);
        let value = &frame[found.expect("a header with the name") + HEADER.len()..];
        // A length as a varint, which is below 64.
        let length = usize::from(value[0] / 2);
        String::from_utf8(value[1..=length].to_vec()).unwrap()
    }
}

async fn within<T>(awaited: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, awaited)
        .await
        .expect("it to come within a minute")
}

fn text(to: &mut Vec<u8>, text: &str) {
    to.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
    to.extend_from_slice(text.as_bytes());
}

fn bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
    to.extend_from_slice(bytes);
}

async fn write<S: AsyncWriteExt + Unpin>(to: &mut S, frame: &[u8]) {
    let mut message = Vec::new();
    bytes(&mut message, frame);
    within(to.write_all(&message)).await.unwrap();
}

async fn read<S: AsyncReadExt + Unpin>(from: &mut S) -> Vec<u8> {
    let length = within(from.read_u32()).await.unwrap();
    let mut frame = vec![0; usize::try_from(length).unwrap()];
    within(from.read_exact(&mut frame)).await.unwrap();
    frame
}

#[tokio::test]
async fn a_name_that_is_sent_ahead_does_not_count_before_the_brokers_yes() {
    let mut ends = Ends::open().await;
    ends.send_handshake().await;
    ends.send_token("alice").await;
    ends.send_record().await;
    ends.asked(ApiKey::SaslHandshake).await;
    ends.answer_handshake(0).await;
    ends.asked(ApiKey::SaslAuthenticate).await;
    assert_eq!(ends.named().await, "app", "the client id");
    ends.send_record().await;
    assert_eq!(ends.named().await, "app", "still no yes");
    ends.answer_token(0).await;
    ends.send_record().await;
    assert_eq!(ends.named().await, "alice");
}

#[tokio::test]
async fn the_brokers_yes_is_to_the_name_that_it_has_looked_at() {
    let mut ends = Ends::open().await;
    for user in ["mallory", "alice"] {
        ends.send_handshake().await;
        ends.send_token(user).await;
    }
    for error in [0, ILLEGAL_SASL_STATE] {
        ends.asked(ApiKey::SaslHandshake).await;
        ends.asked(ApiKey::SaslAuthenticate).await;
        ends.answer_handshake(error).await;
        ends.answer_token(error).await;
    }
    ends.send_record().await;
    assert_eq!(ends.named().await, "mallory");
}
