//! Ways in: gateways before the broker's listeners, and clients that come with a login.

use std::io;
use std::path::Path;

use kafka_protocol::messages::{
    ApiKey, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest,
    SaslHandshakeResponse,
};
use kafka_protocol::protocol::StrBytes;
use meshwork_gateway::Config;
use meshwork_kafka::{Delivered, KafkaConfig, OutRecord, Producer, ProducerOptions, SendError};
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_model::mesh::observation::Trust;
use meshwork_testkit::{Pair, registry, secure_kafka};
use meshwork_tls::Named;
use meshwork_wire::Codec;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::mesh::{Gateway, Product, header};
use crate::raw::{Raw, batch};

/// A gateway before one of the broker's listeners.
pub(crate) async fn gateway_at(listener: &str, config: Config) -> Gateway {
    Gateway::start_at(config, registry(), secure_kafka().config(listener)).await
}

/// A product that refuses what is bad; the broker has its listeners then.
pub(crate) async fn product() -> Product {
    let _ = secure_kafka();
    Product::new(EnforcementMode::Reject).await
}

/// How stock clients come to a gateway, with these properties.
pub(crate) fn client(gateway: &Gateway, properties: &[(&str, &str)]) -> KafkaConfig {
    let mut config = gateway.kafka();
    for (key, value) in properties {
        config
            .properties
            .insert((*key).to_owned(), (*value).to_owned());
    }
    config
}

/// Produces one flight with a stock client.
pub(crate) async fn deliver(
    config: &KafkaConfig,
    product: &Product,
) -> Result<Delivered, SendError> {
    let producer = Producer::new(config, &ProducerOptions::default()).unwrap();
    let record = OutRecord {
        topic: product.topic(),
        key: Some(b"k"),
        value: Some(&product.flight("a")),
        ..OutRecord::default()
    };
    producer.deliver(&record).await
}

/// Names in the headers of what is in the log, in order.
pub(crate) async fn names(product: &Product) -> Vec<String> {
    let log = product.log().await;
    log.iter()
        .map(|record| header(record, "mesh-producer").concat())
        .collect()
}

/// Who the observations of so many records say they are from, each once.
pub(crate) async fn observed(product: &Product, records: i64) -> Vec<(String, Trust)> {
    let mut seen: Vec<(String, Trust)> = Vec::new();
    for observation in product.observed(records).await {
        for producer in observation.producers {
            let one = (producer.name.clone(), producer.trust);
            if !seen.contains(&one) {
                seen.push(one);
            }
        }
    }
    seen
}

/// Asks to log in; the broker's answer.
pub(crate) async fn handshake<S>(raw: &mut Raw<S>, mechanism: &'static str) -> i16
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = handshake_request(mechanism);
    let answer: SaslHandshakeResponse = raw.ask(ApiKey::SaslHandshake, 1, &request).await.unwrap();
    answer.error_code
}

pub(crate) fn handshake_request(mechanism: &'static str) -> SaslHandshakeRequest {
    SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism))
}

/// Sends a token; the broker's answer.
pub(crate) async fn token<S>(raw: &mut Raw<S>, token: Vec<u8>) -> SaslAuthenticateResponse
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request = token_request(token);
    raw.ask(ApiKey::SaslAuthenticate, 2, &request)
        .await
        .unwrap()
}

fn token_request(token: Vec<u8>) -> SaslAuthenticateRequest {
    SaslAuthenticateRequest::default().with_auth_bytes(token.into())
}

/// PLAIN's one token.
fn plain_token(user: &str, password: &str) -> Vec<u8> {
    format!("\0{user}\0{password}").into_bytes()
}

/// Logs in by PLAIN.
pub(crate) async fn plain<S>(
    raw: &mut Raw<S>,
    user: &str,
    password: &str,
) -> SaslAuthenticateResponse
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    assert_eq!(handshake(raw, "PLAIN").await, 0);
    token(raw, plain_token(user, password)).await
}

/// Produces one flight.
pub(crate) async fn produce<S>(raw: &mut Raw<S>, product: &Product)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let good = batch(Codec::None, &[product.flight("a")]);
    let (error, ..) = raw.produce(9, product.topic(), &good).await;
    assert_eq!(error, 0);
}

/// Connects with TLS, asking for a server of this name.
pub(crate) async fn connect_tls(
    address: &str,
    server: &str,
    trusted: &Path,
    own: Option<&Pair>,
) -> io::Result<Raw<TlsStream<TcpStream>>> {
    let named = |file: &Path| Named {
        file: file.to_owned(),
        key: "test",
    };
    let ca = (named(trusted), std::fs::read(trusted)?);
    let config = match own {
        None => meshwork_tls::client_config((&ca.0, &ca.1), None),
        Some(Pair { certificate, key }) => {
            let (certificate, key) = (
                (named(certificate), std::fs::read(certificate)?),
                (named(key), std::fs::read(key)?),
            );
            let own = ((&certificate.0, &certificate.1[..]), (&key.0, &key.1[..]));
            meshwork_tls::client_config((&ca.0, &ca.1), Some(own))
        }
    };
    let connector = TlsConnector::from(std::sync::Arc::new(config.unwrap()));
    let stream = TcpStream::connect(address).await?;
    let server = ServerName::try_from(server.to_owned()).unwrap();
    Ok(Raw::over(connector.connect(server, stream).await?))
}
