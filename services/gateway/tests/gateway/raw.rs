//! A client that writes its own bytes.

use std::io::ErrorKind;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    ApiKey, FetchRequest, ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use meshwork_testkit::DEADLINE;
use meshwork_wire::{BatchBuilder, Codec, Compressor, RecordParts};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Who takes nothing for so long, having taken something, is taken to take no more.
const QUIET: Duration = Duration::from_secs(3);

/// A connection.
pub(crate) struct Raw<S = TcpStream> {
    pub(crate) stream: S,
    /// The last message, as it was sent.
    pub(crate) sent: Vec<u8>,
    next: i32,
}

impl Raw {
    pub(crate) async fn connect(address: &str) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    /// Over a connection that is there, such as one that is encrypted.
    pub(crate) fn over(stream: S) -> Self {
        Self {
            stream,
            sent: Vec::new(),
            next: 0,
        }
    }

    /// Sends a request; its correlation id.
    pub(crate) async fn send<R: Encodable + HeaderVersion>(
        &mut self,
        api: ApiKey,
        version: i16,
        request: &R,
    ) -> i32 {
        let mut body = BytesMut::new();
        request.encode(&mut body, version).unwrap();
        self.send_body(api as i16, version, R::header_version(version), &body)
            .await
    }

    pub(crate) async fn send_body(
        &mut self,
        key: i16,
        version: i16,
        header_version: i16,
        body: &[u8],
    ) -> i32 {
        // A peer that has closed shows at the next read.
        let _ = self.write(key, version, header_version, body).await;
        self.next
    }

    async fn write(
        &mut self,
        key: i16,
        version: i16,
        header_version: i16,
        body: &[u8],
    ) -> std::io::Result<()> {
        self.next += 1;
        let header = RequestHeader::default()
            .with_request_api_key(key)
            .with_request_api_version(version)
            .with_correlation_id(self.next)
            .with_client_id(Some(StrBytes::from_static_str("raw")));
        let mut frame = BytesMut::new();
        header.encode(&mut frame, header_version).unwrap();
        frame.extend_from_slice(body);
        let mut message = u32::try_from(frame.len()).unwrap().to_be_bytes().to_vec();
        message.extend_from_slice(&frame);
        let written = self.stream.write_all(&message).await;
        self.sent = message;
        written
    }

    /// Sends a request again and again until the other end takes no more; how many it took.
    ///
    /// # Panics
    /// If it takes none, more than `most`, or closes.
    pub(crate) async fn flood<R: Encodable + HeaderVersion>(
        &mut self,
        api: ApiKey,
        version: i16,
        request: &R,
        most: usize,
    ) -> usize {
        let mut body = BytesMut::new();
        request.encode(&mut body, version).unwrap();
        let header_version = R::header_version(version);
        for taken in 0..most {
            let patience = if taken == 0 { DEADLINE } else { QUIET };
            let written = self.write(api as i16, version, header_version, &body);
            match tokio::time::timeout(patience, written).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => panic!("closed after {taken} requests: {error}"),
                Err(_) => {
                    assert!(taken > 0, "it takes no request");
                    return taken;
                }
            }
        }
        panic!("it takes requests for ever");
    }

    /// The next answer's frame; none if the other end has closed.
    pub(crate) async fn frame(&mut self) -> Option<Bytes> {
        let read = async {
            let length = match self.stream.read_u32().await {
                Ok(length) => length,
                Err(error) => {
                    let closed = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset];
                    assert!(closed.contains(&error.kind()), "{error}");
                    return None;
                }
            };
            let mut frame = vec![0; usize::try_from(length).unwrap()];
            self.stream.read_exact(&mut frame).await.unwrap();
            Some(Bytes::from(frame))
        };
        tokio::time::timeout(DEADLINE, read)
            .await
            .expect("an answer or an end")
    }

    /// The next answer.
    pub(crate) async fn answer<R: Decodable + HeaderVersion>(
        &mut self,
        version: i16,
    ) -> Option<(i32, R)> {
        let mut frame = self.frame().await?;
        let header = ResponseHeader::decode(&mut frame, R::header_version(version)).unwrap();
        let answer = R::decode(&mut frame, version).unwrap();
        assert!(!frame.has_remaining());
        Some((header.correlation_id, answer))
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn ask<Q, A>(&mut self, api: ApiKey, version: i16, request: &Q) -> Option<A>
    where
        Q: Encodable + HeaderVersion,
        A: Decodable + HeaderVersion,
    {
        let id = self.send(api, version, request).await;
        let (got, answer) = self.answer(version).await?;
        assert_eq!(got, id);
        Some(answer)
    }

    /// Produces one batch and gives (error code, base offset, batch indexes of record errors).
    pub(crate) async fn produce(
        &mut self,
        version: i16,
        topic: &str,
        batch: &[u8],
    ) -> (i16, i64, Vec<i32>) {
        let request = produce_request(topic, batch);
        let answer: ProduceResponse = self.ask(ApiKey::Produce, version, &request).await.unwrap();
        let partition = &answer.responses[0].partition_responses[0];
        let errors = partition.record_errors.iter().map(|e| e.batch_index);
        (
            partition.error_code,
            partition.base_offset,
            errors.collect(),
        )
    }
}

pub(crate) fn produce_request(topic: &str, batch: &[u8]) -> ProduceRequest {
    let partition = PartitionProduceData::default()
        .with_index(0)
        .with_records(Some(Bytes::copy_from_slice(batch)));
    let topic = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partition_data(vec![partition]);
    ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(30_000)
        .with_topic_data(vec![topic])
}

/// Asks for a topic's only partition from its beginning: at least and at most so many bytes, and less
/// once so long has passed, in milliseconds.
pub(crate) fn fetch_request(topic: &str, wait: i32, least: i32, most: i32) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_partition_max_bytes(most)
        .with_fetch_offset(0);
    let topic = FetchTopic::default()
        .with_topic(TopicName(StrBytes::from_string(topic.to_owned())))
        .with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_wait_ms(wait)
        .with_min_bytes(least)
        .with_max_bytes(most)
        .with_topics(vec![topic])
}

/// A batch of these values, each with key `k`.
pub(crate) fn batch(codec: Codec, values: &[Vec<u8>]) -> Vec<u8> {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let mut builder = BatchBuilder::new(i64::try_from(now.as_millis()).unwrap());
    for value in values {
        let parts = RecordParts {
            key: Some(b"k"),
            value: Some(value),
            ..RecordParts::default()
        };
        builder.push(parts, std::iter::empty()).unwrap();
    }
    let mut out = Vec::new();
    builder
        .finish(codec, &mut Compressor::new(), &mut out)
        .unwrap();
    out
}

/// Gives a batch a producer's id, epoch and sequence.
pub(crate) fn idempotent(
    mut batch: Vec<u8>,
    producer_id: i64,
    epoch: i16,
    sequence: i32,
) -> Vec<u8> {
    batch[43..51].copy_from_slice(&producer_id.to_be_bytes());
    batch[51..53].copy_from_slice(&epoch.to_be_bytes());
    batch[53..57].copy_from_slice(&sequence.to_be_bytes());
    let checksum = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&checksum.to_be_bytes());
    batch
}

/// Makes a batch one of a transaction.
pub(crate) fn transactional(mut batch: Vec<u8>) -> Vec<u8> {
    batch[22] |= 0x10;
    let checksum = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&checksum.to_be_bytes());
    batch
}
