//! Bytes that no honest client sends.

use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse};
use meshwork_gateway::Config;
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_model::units::ByteSize;
use meshwork_wire::{BatchBuilder, Codec, Compressor, RecordParts};
use tokio::io::AsyncWriteExt as _;

use super::mesh::{Gateway, Product};
use super::raw::{Raw, batch, produce_request};

#[tokio::test]
async fn frames_that_are_none_close_the_connection() {
    let gateway = Gateway::start(Config::default()).await;
    let frames: [&[u8]; 7] = [
        &[0xff, 0xff, 0xff, 0xff],
        &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0, 0, 0, 3, 0, 0, 0],
        // Text of another protocol.
        b"GET / HTTP/1.1\r\n\r\n",
        // Metadata 1 that claims 54 million topics in four bytes.
        &[
            0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x03, 0x38, 0, 0,
        ],
        // Metadata 9 with 20 million tagged fields in its header.
        &[
            0, 0, 0, 16, 0, 3, 0, 9, 0, 0, 0, 1, 0xff, 0xff, 0x80, 0xda, 0xc4, 0x09, 0, 0,
        ],
        // An API that nobody knows.
        &[0, 0, 0, 10, 0x27, 0x10, 0, 0, 0, 0, 0, 1, 0xff, 0xff],
    ];
    for frame in frames {
        let mut raw = Raw::connect(&gateway.address).await;
        raw.stream.write_all(frame).await.unwrap();
        // The claim of 54 million is passed on, and the broker's to refuse: it needs no reading.
        assert_eq!(raw.frame().await, None, "{frame:?}");
    }
    // It still serves.
    let mut raw = Raw::connect(&gateway.address).await;
    let request = ApiVersionsRequest::default();
    let answer: ApiVersionsResponse = raw.ask(ApiKey::ApiVersions, 0, &request).await.unwrap();
    assert_eq!(answer.error_code, 0);
    gateway.stop().await;
}

#[tokio::test]
async fn batches_that_can_t_be_read_are_answered_and_nothing_passes() {
    let product = Product::new(EnforcementMode::Reject).await;
    let gateway = Gateway::start(Config {
        max_decompressed_bytes: ByteSize::from_bytes(1 << 20),
        ..Config::default()
    })
    .await;
    let mut raw = Raw::connect(&gateway.address).await;
    let good = batch(Codec::None, &[product.flight("a")]);
    let mut torn = good.clone();
    *torn.last_mut().unwrap() ^= 1;
    assert_eq!(
        raw.produce(9, product.topic(), &torn).await.0,
        2,
        "checksum"
    );
    assert_eq!(
        raw.produce(9, product.topic(), &good[..70]).await.0,
        2,
        "cut"
    );
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let bomb = batch(codec, &[vec![0; 8 << 20]]);
        let (code, ..) = raw.produce(9, product.topic(), &bomb).await;
        assert_eq!(code, 18, "{codec:?} unpacks to more than is allowed");
    }
    // Records of 7 bytes and nothing in them, a million and one: 7 MB unpacked, little on the way.
    let mut many = BatchBuilder::new(0);
    for _ in 0..1_000_001 {
        many.push(RecordParts::default(), std::iter::empty())
            .unwrap();
    }
    let mut packed = Vec::new();
    many.finish(Codec::Zstd, &mut Compressor::new(), &mut packed)
        .unwrap();
    let (code, _, told) = raw.produce(9, product.topic(), &packed).await;
    assert_eq!((code, told.len()), (18, 0), "more records than are allowed");
    // Two batches in one: a broker's to refuse.
    let two = [good.clone(), good.clone()].concat();
    assert_eq!(raw.produce(9, product.topic(), &two).await.0, 87);
    let mut old = good.clone();
    old[16] = 1;
    let code = raw.produce(9, product.topic(), &old).await.0;
    assert_ne!(code, 0, "an old format");
    assert_eq!(product.log().await.len(), 0);
    assert_eq!(raw.produce(9, product.topic(), &good).await.0, 0);
    gateway.stop().await;
}

#[tokio::test]
async fn a_partition_twice_in_a_request_closes() {
    let product = Product::new(EnforcementMode::Reject).await;
    let gateway = Gateway::start(Config::default()).await;
    let mut raw = Raw::connect(&gateway.address).await;
    let good = batch(Codec::None, &[product.flight("a")]);
    let mut request = produce_request(product.topic(), &good);
    let again = request.topic_data[0].partition_data[0].clone();
    request.topic_data[0].partition_data.push(again);
    raw.send(ApiKey::Produce, 9, &request).await;
    assert_eq!(raw.frame().await, None);
    assert_eq!(product.log().await.len(), 0);
    gateway.stop().await;
}
