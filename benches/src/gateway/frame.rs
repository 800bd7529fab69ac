//! Produce requests made in advance, so that sending one costs the load a copy into the socket.

use anyhow::{Context, Result};
use meshwork_model::name::SchemaId;
use meshwork_wire::{BatchBuilder, Codec, Compressor, RecordParts};

use crate::records;

/// Version of the requests: the last one that names topics, as Java's clients use up to Kafka 4.0.
pub(super) const VERSION: i16 = 12;
/// Correlation id of all requests: answers come in order, and who asks knows what it waits for.
pub(super) const CORRELATION_ID: i32 = 7;
/// Bytes of records that a batch holds, as large producers send it.
const BATCH_BYTES: usize = 128 << 10;
/// How long the broker may take, in milliseconds.
const TIMEOUT_MS: i32 = 30_000;

/// What is in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// About 1 KB of Avro.
    Large,
    /// About 100 bytes of Avro.
    Small,
    /// About 1 KB of JSON, for a neighbour that knows no Avro.
    LargeJson,
    /// About 100 bytes of JSON.
    SmallJson,
}

/// A request that can be sent again and again.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// With its length in front.
    pub(super) bytes: Vec<u8>,
    /// Bytes of its batch as they lie on the wire: what is counted as moved.
    pub(super) moved: usize,
}

/// A full batch for one partition.
///
/// # Errors
/// The batch can't be built: the bench is broken.
pub(super) fn request(
    topic: &str,
    partition: i32,
    content: Content,
    codec: Codec,
    id: SchemaId,
    now_ms: i64,
) -> Result<Request> {
    let mut builder = BatchBuilder::new(now_ms);
    // Another place for each partition, so that not all connections send the same.
    let mut n = i64::from(partition) * 100_000;
    loop {
        let (key, value) = record(content, id, n, now_ms);
        if builder.uncompressed_bytes() + key.len() + value.len() + 16 > BATCH_BYTES {
            break;
        }
        let parts = RecordParts {
            attributes: 0,
            timestamp_delta: 0,
            key: Some(key.as_bytes()),
            value: Some(&value),
        };
        builder.push(parts, [])?;
        n += 1;
    }
    let mut batch = Vec::new();
    builder.finish(codec, &mut Compressor::new(), &mut batch)?;
    Ok(Request {
        bytes: framed(topic, partition, &batch)?,
        moved: batch.len(),
    })
}

fn record(content: Content, id: SchemaId, n: i64, now_ms: i64) -> (String, Vec<u8>) {
    match content {
        Content::Large => records::framed(id, n, now_ms),
        Content::Small => records::small_framed(id, n, now_ms),
        Content::LargeJson => (format!("order-{n:012}"), records::json(n, now_ms).into()),
        Content::SmallJson => (format!("r{n:08}"), records::small_json(n, now_ms).into()),
    }
}

/// Header version 2 and body, as `ProduceRequest.json` has them for flexible versions.
fn framed(topic: &str, partition: i32, batch: &[u8]) -> Result<Vec<u8>> {
    let mut out = vec![0; 4];
    out.extend_from_slice(&0i16.to_be_bytes()); // Produce
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&CORRELATION_ID.to_be_bytes());
    let client = b"bench";
    out.extend_from_slice(&i16::try_from(client.len())?.to_be_bytes());
    out.extend_from_slice(client);
    out.push(0); // tags of the header
    out.push(0); // no transactional id
    out.extend_from_slice(&(-1i16).to_be_bytes()); // acks=all
    out.extend_from_slice(&TIMEOUT_MS.to_be_bytes());
    length(&mut out, 1)?;
    length(&mut out, topic.len())?;
    out.extend_from_slice(topic.as_bytes());
    length(&mut out, 1)?;
    out.extend_from_slice(&partition.to_be_bytes());
    length(&mut out, batch.len())?;
    out.extend_from_slice(batch);
    out.extend_from_slice(&[0, 0, 0]); // tags of partition, topic, request
    let length = i32::try_from(out.len() - 4)?;
    out.get_mut(..4)
        .context("a frame begins with its length")?
        .copy_from_slice(&length.to_be_bytes());
    Ok(out)
}

/// A compact length: one more than there are, as an unsigned varint.
fn length(out: &mut Vec<u8>, length: usize) -> Result<()> {
    let mut left = u32::try_from(length)? + 1;
    loop {
        let low = u8::try_from(left & 0x7f)?;
        left >>= 7;
        if left == 0 {
            out.push(low);
            return Ok(());
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshwork_wire::protocol::RequestHeader;
    use meshwork_wire::protocol::produce::ProduceRequest;
    use meshwork_wire::{BatchView, Limits};

    #[test]
    fn requests_are_as_the_protocol_has_them_and_full() {
        let id = SchemaId::new(7).expect("an id");
        for content in [
            Content::Large,
            Content::Small,
            Content::LargeJson,
            Content::SmallJson,
        ] {
            let made = request("a.topic", 3, content, Codec::None, id, 5).expect("made");
            let frame = made.bytes.get(4..).expect("framed");
            let header = RequestHeader::read(frame).expect("a header");
            let request = ProduceRequest::read(&header, frame).expect("a request");
            assert_eq!(request.acks, -1);
            let partition = request.partitions().next().expect("a partition");
            assert_eq!(partition.partition, 3);
            let records = partition.records.expect("records");
            assert_eq!(records.len(), made.moved);
            assert!((126 << 10..=BATCH_BYTES).contains(&records.len()));
            let batch = BatchView::parse(records, &Limits::default()).expect("a batch");
            assert!(batch.header().record_count > 100);
        }
    }
}
