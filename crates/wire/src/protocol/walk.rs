//! What the readers of messages share: the body of a known version, and topics with partitions.
//!
//! Bytes behind the last field are let be, as the broker lets them be.

use std::ops::RangeInclusive;

use super::api::ApiKey;
use super::header::{RequestHeader, response_body};
use super::produce::TopicRef;
use super::reader::{Reader, WireError};

/// Fewest bytes of a topic: an empty compact name, an empty array, no tags.
const TOPIC_LEAST: usize = 3;

/// Whether the version is known.
pub(super) fn known(
    api: ApiKey,
    version: i16,
    versions: &RangeInclusive<i16>,
) -> Result<(), WireError> {
    if versions.contains(&version) {
        return Ok(());
    }
    Err(WireError::Version {
        api: api.name(),
        version,
    })
}

/// A reader of the body of a request for this API, if the version is known.
pub(super) fn request<'a>(
    header: &RequestHeader<'_>,
    frame: &'a [u8],
    api: ApiKey,
    versions: &RangeInclusive<i16>,
) -> Result<Reader<'a>, WireError> {
    let start = header.start;
    if start.api != api {
        return Err(WireError::Version {
            api: start.api.name(),
            version: start.version,
        });
    }
    known(api, start.version, versions)?;
    Ok(start.reader(frame, header.body))
}

/// A reader of a response's body, if the version is known.
pub(super) fn response<'a>(
    frame: &'a [u8],
    api: ApiKey,
    version: i16,
    versions: &RangeInclusive<i16>,
) -> Result<Reader<'a>, WireError> {
    known(api, version, versions)?;
    response_body(frame, api, version)
}

/// Passes over an array of elements of `size` bytes each, which have no tags.
pub(super) fn skip_fixed(at: &mut Reader<'_>, size: usize) -> Result<(), WireError> {
    let count = at.array(size)?;
    at.take(count.saturating_mul(size))?;
    Ok(())
}

/// An array of strings that was read once before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strings<'a> {
    at: Reader<'a>,
    left: usize,
}

impl<'a> Strings<'a> {
    /// Passes over the array and keeps where it is. `None`: null.
    pub(super) fn read(at: &mut Reader<'a>) -> Result<Option<Self>, WireError> {
        let Some(left) = at.nullable_array(1)? else {
            return Ok(None);
        };
        let strings = Self { at: *at, left };
        for _ in 0..left {
            at.string()?;
        }
        Ok(Some(strings))
    }

    /// None.
    pub(super) const fn none() -> Self {
        Self {
            at: Reader::new(&[], 0, false),
            left: 0,
        }
    }
}

impl<'a> Iterator for Strings<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.left = self.left.checked_sub(1)?;
        self.at.string().ok()
    }
}

/// What a topic's partitions look like in one version of one message.
#[derive(Debug)]
pub(super) struct Shape<'a, P> {
    /// Topics stand by id.
    pub(super) by_id: bool,
    /// Fewest bytes of a partition.
    pub(super) least: usize,
    /// The message's version.
    pub(super) version: i16,
    /// Reads one partition with its tags.
    pub(super) read: fn(&mut Reader<'a>, i16) -> Result<P, WireError>,
}

impl<P> Clone for Shape<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Shape<'_, P> {}

/// An array of topics, each with an array of partitions, partition by partition.
#[derive(Debug)]
pub(super) struct TopicPartitions<'a, P> {
    at: Reader<'a>,
    shape: Shape<'a, P>,
    topics: usize,
    topic: Option<TopicRef<'a>>,
    partitions: usize,
}

impl<P> Clone for TopicPartitions<'_, P> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<'a, P> TopicPartitions<'a, P> {
    /// At the array's count.
    pub(super) fn begin(mut at: Reader<'a>, shape: Shape<'a, P>) -> Result<Self, WireError> {
        let topics = at.array(TOPIC_LEAST)?;
        Ok(Self {
            at,
            shape,
            topics,
            topic: None,
            partitions: 0,
        })
    }

    /// None: for a version that has no such array.
    pub(super) const fn none(shape: Shape<'a, P>) -> Self {
        Self {
            at: Reader::new(&[], 0, false),
            shape,
            topics: 0,
            topic: None,
            partitions: 0,
        }
    }

    /// Passes over the array and keeps where it is: what is read from it then has no errors.
    pub(super) fn read(at: &mut Reader<'a>, shape: Shape<'a, P>) -> Result<Self, WireError> {
        let begin = Self::begin(*at, shape)?;
        let mut walk = begin.clone();
        while walk.step()?.is_some() {}
        *at = walk.at;
        Ok(begin)
    }

    /// The next partition; `None` behind the last.
    pub(super) fn step(&mut self) -> Result<Option<(TopicRef<'a>, P)>, WireError> {
        loop {
            if let Some(topic) = self.topic {
                if let Some(left) = self.partitions.checked_sub(1) {
                    self.partitions = left;
                    let partition = (self.shape.read)(&mut self.at, self.shape.version)?;
                    return Ok(Some((topic, partition)));
                }
                self.at.skip_tagged()?;
                self.topic = None;
            }
            let Some(left) = self.topics.checked_sub(1) else {
                return Ok(None);
            };
            self.topics = left;
            self.topic = Some(if self.shape.by_id {
                TopicRef::Id(self.at.uuid()?)
            } else {
                TopicRef::Name(self.at.string()?)
            });
            self.partitions = self.at.array(self.shape.least)?;
        }
    }

    /// Where it has come to: behind the array once [`step`](Self::step) gave `None`.
    pub(super) const fn reader(&self) -> Reader<'a> {
        self.at
    }

    /// Nothing more comes.
    pub(super) const fn stop(&mut self) {
        self.topics = 0;
        self.topic = None;
    }
}

impl<'a, P> Iterator for TopicPartitions<'a, P> {
    type Item = (TopicRef<'a>, P);

    fn next(&mut self) -> Option<Self::Item> {
        // Read once before, by `read`.
        self.step().unwrap_or_else(|_| {
            self.stop();
            None
        })
    }
}
