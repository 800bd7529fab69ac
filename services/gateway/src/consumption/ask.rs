//! What requests of groups and transactions say, and what is learnt once the broker has said yes.

use std::collections::HashSet;
use std::sync::Arc;

use meshwork_wire::protocol::groups::{CONSUMER, JoinGroupRequest, Subscription, SyncGroupRequest};
use meshwork_wire::protocol::heartbeats::{
    ConsumerGroupHeartbeatRequest, StreamsGroupHeartbeatRequest,
};
use meshwork_wire::protocol::offsets::{
    AddOffsetsToTxnRequest, CommitAnswer, OffsetCommitRequest, TxnOffsetCommitRequest,
    add_offsets_error,
};
use meshwork_wire::protocol::transactions::{InitProducerIdAnswer, InitProducerIdRequest};
use meshwork_wire::protocol::{ApiKey, RequestHeader, TopicRef, WireError};

use super::fold::{Client, Wants};
use super::kept;
use super::reading::{Place, SET_MAX};
use crate::products::Products;
use crate::topics::Topics;

/// A topic's name, and how many partitions it has.
type Topic = (Arc<str>, i32);

/// Partitions that a product may have until a broker tells.
const PARTITIONS_UNTOLD: i32 = 1_000;

/// Topics and partitions that are real: those that a broker has told of, and products. A client can't
/// make up others. The mesh's and Kafka's own are left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'s> {
    pub(crate) topics: &'s Topics,
    pub(crate) products: &'s Products,
}

impl Names<'_> {
    /// The topic's name, and how many partitions it has.
    pub(super) fn of(&self, topic: TopicRef<'_>) -> Option<Topic> {
        let known = match topic {
            TopicRef::Id(id) => self.named(&self.topics.name(&id)?)?,
            TopicRef::Name(name) => self.named(name)?,
        };
        let is_inside = known.0.starts_with("mesh.") || known.0.starts_with('_');
        (!is_inside).then_some(known)
    }

    /// Who commits what another has read does not ask for Metadata of it.
    fn named(&self, name: &str) -> Option<Topic> {
        self.topics.known(name).or_else(|| {
            let product = self.products.of(name)?;
            Some((Arc::clone(&product.topic), PARTITIONS_UNTOLD))
        })
    }

    /// Partitions one after the other; those of one topic stand together.
    pub(super) fn places<'n>(self) -> impl FnMut(TopicRef<'n>, i32) -> Option<Place> {
        let mut last: Option<(TopicRef<'n>, Option<Topic>)> = None;
        move |topic, partition| {
            if last.as_ref().is_none_or(|(known, _)| *known != topic) {
                last = Some((topic, self.of(topic)));
            }
            let (name, partitions) = last.as_ref()?.1.as_ref()?;
            (0..*partitions)
                .contains(&partition)
                .then(|| (Arc::clone(name), partition))
        }
    }

    fn all<'n>(&self, names: impl Iterator<Item = &'n str>) -> Vec<Arc<str>> {
        names
            .take(SET_MAX)
            .filter_map(|name| Some(self.of(TopicRef::Name(name))?.0))
            .collect()
    }

    fn offsets<'n>(
        &self,
        offsets: impl Iterator<Item = (TopicRef<'n>, i32, i64)>,
    ) -> Vec<(Place, i64)> {
        let mut place = self.places();
        offsets
            .take(SET_MAX)
            .filter(|(_, _, offset)| *offset >= 0)
            .filter_map(|(topic, partition, offset)| Some((place(topic, partition)?, offset)))
            .collect()
    }
}

/// What a request says of a group.
#[derive(Debug)]
pub(super) enum Said {
    /// Its client is in it.
    Joined { group: Arc<str>, wants: Wants },
    /// Its client is no longer in it.
    Left { group: Arc<str> },
    /// That waits for the broker's answer.
    Ask(Ask),
}

/// What waits for the broker's answer.
#[derive(Debug)]
pub(super) enum Ask {
    Commit {
        group: Arc<str>,
        offsets: Vec<(Place, i64)>,
    },
    /// A group's offsets within a transaction, or that some are to come.
    Tie {
        transactional_id: Arc<str>,
        group: Arc<str>,
        producer_id: i64,
        offsets: Vec<(Place, i64)>,
    },
    Producer {
        transactional_id: Arc<str>,
    },
}

/// What is learnt with the answer to a request.
#[derive(Debug)]
pub(crate) struct Learn {
    pub(super) client: Arc<Client>,
    pub(super) ask: Ask,
}

/// Reads a request. `None`: it says nothing of interest.
pub(super) fn said(
    header: &RequestHeader<'_>,
    frame: &[u8],
    names: Names<'_>,
) -> Result<Option<Said>, WireError> {
    let said = match header.start.api {
        ApiKey::JOIN_GROUP => {
            let request = JoinGroupRequest::read(header, frame)?;
            let subscription = request
                .protocols()
                .next()
                .filter(|_| request.protocol_type == CONSUMER);
            let Some((_, member)) = subscription else {
                return Ok(None);
            };
            joined(request.group, subscribed(member, names))
        }
        ApiKey::SYNC_GROUP => {
            let request = SyncGroupRequest::read(header, frame)?;
            if request.protocol_type != Some(CONSUMER) {
                return Ok(None);
            }
            joined(request.group, Wants::Unsaid)
        }
        ApiKey::CONSUMER_GROUP_HEARTBEAT => {
            let request = ConsumerGroupHeartbeatRequest::read(header, frame)?;
            let wants = match (request.topics(), request.regex) {
                (_, Some(regex)) if !regex.is_empty() => Wants::Any,
                (Some(topics), _) => Wants::These(names.all(topics)),
                (None, _) => Wants::Unsaid,
            };
            beat(request.group, request.member_epoch, wants)
        }
        ApiKey::STREAMS_GROUP_HEARTBEAT => {
            let request = StreamsGroupHeartbeatRequest::read(header, frame)?;
            let has_regex = request
                .source_regexes()
                .is_some_and(|mut regexes| regexes.next().is_some());
            let wants = match request.source_topics() {
                _ if has_regex => Wants::Any,
                // Its own repartition topics are not among them.
                Some(topics) => Wants::These(names.all(topics)),
                None => Wants::Unsaid,
            };
            beat(request.group, request.member_epoch, wants)
        }
        ApiKey::OFFSET_COMMIT => {
            let request = OffsetCommitRequest::read(header, frame)?;
            kept(request.group).map(|group| {
                Said::Ask(Ask::Commit {
                    group,
                    offsets: names.offsets(request.offsets()),
                })
            })
        }
        ApiKey::TXN_OFFSET_COMMIT => {
            let request = TxnOffsetCommitRequest::read(header, frame)?;
            let offsets = request
                .offsets()
                .map(|(topic, partition, offset)| (TopicRef::Name(topic), partition, offset));
            tie(
                request.transactional_id,
                request.group,
                request.producer_id,
                names.offsets(offsets),
            )
        }
        ApiKey::ADD_OFFSETS_TO_TXN => {
            let request = AddOffsetsToTxnRequest::read(header, frame)?;
            tie(
                request.transactional_id,
                request.group,
                request.producer_id,
                Vec::new(),
            )
        }
        ApiKey::INIT_PRODUCER_ID => {
            let request = InitProducerIdRequest::read(header, frame)?;
            request
                .transactional_id
                .and_then(kept)
                .map(|transactional_id| Said::Ask(Ask::Producer { transactional_id }))
        }
        _ => None,
    };
    Ok(said)
}

/// A member's own bytes may be of an application's own making: then they say nothing.
fn subscribed(member: &[u8], names: Names<'_>) -> Wants {
    Subscription::read(member).map_or(Wants::Unsaid, |subscription| {
        Wants::These(names.all(subscription.topics()))
    })
}

fn joined(group: &str, wants: Wants) -> Option<Said> {
    kept(group).map(|group| Said::Joined { group, wants })
}

/// An epoch below 0 leaves, for a while or for good.
fn beat(group: &str, member_epoch: i32, wants: Wants) -> Option<Said> {
    if member_epoch < 0 {
        return kept(group).map(|group| Said::Left { group });
    }
    joined(group, wants)
}

fn tie(
    transactional_id: &str,
    group: &str,
    producer_id: i64,
    offsets: Vec<(Place, i64)>,
) -> Option<Said> {
    Some(Said::Ask(Ask::Tie {
        transactional_id: kept(transactional_id)?,
        group: kept(group)?,
        producer_id,
        offsets,
    }))
}

/// What the broker has said yes to.
#[derive(Debug)]
pub(super) enum Granted {
    Commit {
        group: Arc<str>,
        offsets: Vec<(Place, i64)>,
    },
    Tie {
        transactional_id: Arc<str>,
        group: Arc<str>,
        producer_id: i64,
        offsets: Vec<(Place, i64)>,
    },
    Producer {
        transactional_id: Arc<str>,
        producer_id: i64,
    },
}

/// Reads the answer to what was asked. `None`: no.
pub(super) fn granted(
    ask: Ask,
    api: ApiKey,
    version: i16,
    frame: &[u8],
    names: Names<'_>,
) -> Result<Option<Granted>, WireError> {
    let granted = match ask {
        Ask::Commit { group, offsets } => {
            let offsets = taken(offsets, &CommitAnswer::read(frame, api, version)?, names);
            (!offsets.is_empty()).then_some(Granted::Commit { group, offsets })
        }
        Ask::Tie {
            transactional_id,
            group,
            producer_id,
            offsets,
        } => {
            let (is_tied, offsets) = if api == ApiKey::TXN_OFFSET_COMMIT {
                let answer = CommitAnswer::read(frame, api, version)?;
                let yes = answer.partitions().any(|(_, _, error)| error == 0);
                (yes, taken(offsets, &answer, names))
            } else {
                (add_offsets_error(frame, version)? == 0, offsets)
            };
            is_tied.then_some(Granted::Tie {
                transactional_id,
                group,
                producer_id,
                offsets,
            })
        }
        Ask::Producer { transactional_id } => {
            let answer = InitProducerIdAnswer::read(frame, version)?;
            (answer.error_code == 0).then_some(Granted::Producer {
                transactional_id,
                producer_id: answer.producer_id,
            })
        }
    };
    Ok(granted)
}

fn taken(
    offsets: Vec<(Place, i64)>,
    answer: &CommitAnswer<'_>,
    names: Names<'_>,
) -> Vec<(Place, i64)> {
    let mut refused: HashSet<Place> = HashSet::new();
    let mut place = names.places();
    for (topic, partition, error_code) in answer.partitions() {
        if error_code != 0
            && let Some(place) = place(topic, partition)
        {
            refused.insert(place);
        }
    }
    offsets
        .into_iter()
        .filter(|(place, _)| !refused.contains(place))
        .collect()
}
