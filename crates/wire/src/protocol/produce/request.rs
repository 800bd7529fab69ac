//! The request: walked once, its partitions given where they lie, and written anew as segments, so
//! that what stays is never copied.

use std::ops::Range;

use super::{ProduceError, TopicRef, VERSIONS, count, is_flexible, short, topic, topic_least};
use crate::protocol::api::ApiKey;
use crate::protocol::header::{RequestHeader, length_prefix};
use crate::protocol::reader::{Reader, WireError};
use crate::protocol::walk;
use crate::protocol::writer::Writer;

/// A request to append records, known to be whole and well-formed; its records are not looked at.
#[derive(Clone, Copy, Debug)]
pub struct ProduceRequest<'a> {
    /// Of a transactional producer.
    pub transactional_id: Option<&'a str>,
    /// −1: by all in-sync replicas; 1: by the leader; 0: there is no answer.
    pub acks: i16,
    /// How long the broker may wait for its replicas, in milliseconds.
    pub timeout_ms: i32,
    frame: &'a [u8],
    version: i16,
    /// Where the count of topics begins.
    topics_at: usize,
    partitions: usize,
}

/// One partition's part of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducePartition<'a> {
    /// Its topic.
    pub topic: TopicRef<'a>,
    /// Its number.
    pub partition: i32,
    /// Record batches as they came. The protocol allows null.
    pub records: Option<&'a [u8]>,
}

/// What becomes of one partition of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replacement {
    /// It goes on as it came.
    Keep,
    /// It is left out.
    Drop,
    /// It goes on with these records.
    With(Vec<u8>),
}

/// A piece of a request written anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// These bytes of the frame that was read. Never empty, never next to where another ends.
    Original(Range<usize>),
    /// These bytes.
    New(Vec<u8>),
}

impl Segment {
    /// What is to be written, from the frame that was read.
    #[must_use]
    pub fn bytes<'s>(&'s self, frame: &'s [u8]) -> &'s [u8] {
        match self {
            Self::Original(range) => frame.get(range.clone()).unwrap_or_default(),
            Self::New(bytes) => bytes,
        }
    }
}

/// Least bytes of a partition's entry: number, records, tags.
const fn partition_least(version: i16) -> usize {
    if is_flexible(version) { 6 } else { 8 }
}

impl<'a> ProduceRequest<'a> {
    /// Walks the whole of a frame (its length left out), without looking into records and without
    /// allocation.
    ///
    /// # Errors
    /// Cut or malformed, bytes behind the last field, or a version or API that is not read here.
    pub fn read(header: &RequestHeader<'a>, frame: &'a [u8]) -> Result<Self, WireError> {
        let version = header.start.version;
        let mut at = walk::request(header, frame, ApiKey::PRODUCE, &VERSIONS)?;
        let id_at = at.position();
        let left = at.left();
        let transactional_id = at.nullable_string()?;
        short(transactional_id.unwrap_or_default(), id_at, left)?;
        let acks = at.i16()?;
        let timeout_ms = at.i32()?;
        let topics_at = at.position();
        let mut partitions = 0;
        for _ in 0..count(&mut at, topic_least(version))? {
            topic(&mut at, version)?;
            for _ in 0..count(&mut at, partition_least(version))? {
                at.i32()?;
                at.nullable_bytes()?;
                at.skip_tagged()?;
                partitions += 1;
            }
            at.skip_tagged()?;
        }
        at.skip_tagged()?;
        at.end()?;
        Ok(Self {
            transactional_id,
            acks,
            timeout_ms,
            frame,
            version,
            topics_at,
            partitions,
        })
    }

    /// Version of the request, and so of its answer.
    #[must_use]
    pub const fn version(&self) -> i16 {
        self.version
    }

    /// Number of partitions. One that is named twice counts twice.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.partitions
    }

    /// Whether there is no partition.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.partitions == 0
    }

    /// Its partitions, in request order.
    #[must_use]
    pub fn partitions(&self) -> Partitions<'a> {
        let mut at = self.topics();
        Partitions {
            // `read` has been here before: nothing below fails.
            topics: count(&mut at, topic_least(self.version)).unwrap_or(0),
            at,
            version: self.version,
            topic: TopicRef::Name(""),
            in_topic: 0,
            left: self.partitions,
        }
    }

    /// A reader at the count of topics.
    const fn topics(&self) -> Reader<'a> {
        Reader::new(self.frame, self.topics_at, is_flexible(self.version))
    }

    /// The request anew, with one replacement for each partition, in request order; the segments one
    /// after another are a whole frame, and the first begins with its length. A topic is left out
    /// when all its partitions are. Tagged fields survive at every level.
    ///
    /// # Errors
    /// Not as many replacements as partitions, or more bytes than a frame can have.
    pub fn rewrite(&self, replacements: Vec<Replacement>) -> Result<Vec<Segment>, ProduceError> {
        if replacements.len() != self.partitions {
            return Err(ProduceError::Replacements {
                given: replacements.len(),
                partitions: self.partitions,
            });
        }
        let mut replacements = replacements.into_iter();
        let mut at = self.topics();
        let topics = count(&mut at, topic_least(self.version))?;
        let first_topic = at.position();
        let mut body = Segments::default();
        let mut topics_left = topics;
        for _ in 0..topics {
            let from = at.position();
            topic(&mut at, self.version)?;
            let count_at = at.position();
            let partitions = count(&mut at, partition_least(self.version))?;
            let behind_count = at.position();
            let dropped = replacements
                .as_slice()
                .iter()
                .take(partitions)
                .filter(|r| matches!(r, Replacement::Drop))
                .count();
            let kept = partitions.saturating_sub(dropped);
            // One that had none from the start is no affair of ours.
            let whole = dropped > 0 && kept == 0;
            if whole {
                topics_left -= 1;
            } else {
                body.original(from..count_at);
                self.count(&mut body, count_at..behind_count, partitions, kept);
            }
            for replacement in replacements.by_ref().take(partitions) {
                let from = at.position();
                at.i32()?;
                let records_at = at.position();
                at.nullable_bytes()?;
                let behind_records = at.position();
                at.skip_tagged()?;
                match replacement {
                    Replacement::Keep => body.original(from..at.position()),
                    Replacement::Drop => {}
                    Replacement::With(records) => {
                        body.original(from..records_at);
                        body.length(records.len(), is_flexible(self.version));
                        body.put(records);
                        body.original(behind_records..at.position());
                    }
                }
            }
            let tags = at.position();
            at.skip_tagged()?;
            if !whole {
                body.original(tags..at.position());
            }
        }
        body.original(at.position()..self.frame.len());

        let mut whole = Segments::default();
        whole.original(0..self.topics_at);
        self.count(&mut whole, self.topics_at..first_topic, topics, topics_left);
        whole.append(body);
        whole.framed()
    }

    /// A count: as it came where it still holds.
    fn count(&self, out: &mut Segments, original: Range<usize>, was: usize, is: usize) {
        if was == is {
            out.original(original);
        } else {
            out.length(is, is_flexible(self.version));
        }
    }
}

/// A request's partitions, in request order.
#[derive(Clone, Debug)]
pub struct Partitions<'a> {
    at: Reader<'a>,
    version: i16,
    /// Topics not begun.
    topics: usize,
    topic: TopicRef<'a>,
    /// Partitions of this topic not given yet.
    in_topic: usize,
    /// Partitions of all topics not given yet.
    left: usize,
}

impl<'a> Partitions<'a> {
    fn read(&mut self) -> Result<Option<ProducePartition<'a>>, WireError> {
        while self.in_topic == 0 {
            if self.topics == 0 {
                return Ok(None);
            }
            self.topics -= 1;
            self.topic = topic(&mut self.at, self.version)?;
            self.in_topic = count(&mut self.at, partition_least(self.version))?;
            if self.in_topic == 0 {
                self.at.skip_tagged()?;
            }
        }
        let partition = self.at.i32()?;
        let records = self.at.nullable_bytes()?;
        self.at.skip_tagged()?;
        self.in_topic -= 1;
        if self.in_topic == 0 {
            self.at.skip_tagged()?;
        }
        self.left = self.left.saturating_sub(1);
        Ok(Some(ProducePartition {
            topic: self.topic,
            partition,
            records,
        }))
    }
}

impl<'a> Iterator for Partitions<'a> {
    type Item = ProducePartition<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        // What was read whole once can be read again.
        self.read().ok().flatten()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Partitions<'_> {}

/// Segments in the making: neighbouring originals are merged.
#[derive(Default)]
struct Segments {
    list: Vec<Segment>,
}

impl Segments {
    fn original(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        match self.list.last_mut() {
            Some(Segment::Original(last)) if last.end == range.start => last.end = range.end,
            _ => self.list.push(Segment::Original(range)),
        }
    }

    fn put(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.list.push(Segment::New(bytes));
        }
    }

    fn length(&mut self, length: usize, flexible: bool) {
        let mut bytes = Vec::with_capacity(5);
        Writer::new(&mut bytes, flexible).length(length);
        self.put(bytes);
    }

    fn append(&mut self, other: Self) {
        for segment in other.list {
            match segment {
                Segment::Original(range) => self.original(range),
                Segment::New(bytes) => self.put(bytes),
            }
        }
    }

    /// With the frame's length in front.
    fn framed(mut self) -> Result<Vec<Segment>, ProduceError> {
        let bytes = self.list.iter().fold(0usize, |sum, segment| {
            sum.saturating_add(match segment {
                Segment::Original(range) => range.len(),
                Segment::New(bytes) => bytes.len(),
            })
        });
        let length = length_prefix(bytes)?;
        self.list.insert(0, Segment::New(length.to_vec()));
        Ok(self.list)
    }
}
