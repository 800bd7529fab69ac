//! Logins that can't go through a gateway, and what is too large before one.

use kafka_protocol::messages::{ApiKey, ProduceResponse};
use kafka_protocol::protocol::Encodable as _;
use meshwork_gateway::Config;
use meshwork_testkit::{PASSWORD, kafka};
use meshwork_wire::Codec;
use tokio::io::AsyncWriteExt as _;

use crate::entry::{gateway_at, handshake_request, plain, product};
use crate::mesh::Gateway;
use crate::raw::{Raw, batch, produce_request};
use crate::subscriber::Log;

fn ended(gateway: &Gateway, reason: &str) -> u64 {
    gateway.metric(&format!(
        "meshwork_gateway_connections_ended_total{{reason=\"{reason}\"}}"
    ))
}

#[tokio::test]
async fn what_can_not_go_through_is_closed_and_said() {
    let _ = product().await;
    let (log, _guard) = Log::begin();
    for (version, mechanism, said) in [
        (
            0,
            "PLAIN",
            "SaslHandshake version 0 can't go through a gateway: its tokens have no headers",
        ),
        (
            1,
            "GSSAPI",
            "GSSAPI can't go through a gateway: a Kerberos ticket is for the host",
        ),
    ] {
        let gateway = gateway_at("SASL", Config::default()).await;
        let mut raw = Raw::connect(&gateway.address).await;
        let mut body = bytes::BytesMut::new();
        let request = handshake_request(mechanism);
        request.encode(&mut body, version).unwrap();
        raw.send_body(ApiKey::SaslHandshake as i16, version, 1, &body)
            .await;
        assert_eq!(raw.frame().await, None);
        assert_eq!(ended(&gateway, "login"), 1);
        gateway.stop().await;
        let text = log.text();
        assert!(text.contains(said), "{text}");
    }
}

#[tokio::test]
async fn a_frame_above_512_kib_is_for_those_who_have_logged_in() {
    let _ = product().await;
    let topic = kafka().topic("large", 1).await;
    let gateway = gateway_at("SASL", Config::default()).await;
    let large = batch(Codec::None, &[vec![7; 600 << 10]]);
    let request = produce_request(&topic, &large);

    let mut raw = Raw::connect(&gateway.address).await;
    // The length and the API are enough.
    let length = u32::to_be_bytes((512 << 10) + 1);
    raw.stream.write_all(&length).await.unwrap();
    raw.stream
        .write_all(&[0, 0, 0, 9, 0, 0, 0, 1, 0, 3, b'r', b'a', b'w', 0])
        .await
        .unwrap();
    assert_eq!(raw.frame().await, None);

    let mut raw = Raw::connect(&gateway.address).await;
    assert_eq!(plain(&mut raw, "alice", PASSWORD).await.error_code, 0);
    let answer: ProduceResponse = raw.ask(ApiKey::Produce, 9, &request).await.unwrap();
    assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    assert_eq!(ended(&gateway, "frame"), 1);
    gateway.stop().await;
}
