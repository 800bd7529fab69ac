//! Consumer groups: who reads.

use rdkafka::bindings::{
    rd_kafka_consumer_group_state_t as RawState, rd_kafka_consumer_group_type_t as RawKind,
};

use rdkafka::groups::GroupInfo;

use super::Admin;
use crate::error::{ErrorCode, KafkaError};
use crate::raw::admin as raw;

/// What a group is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupState {
    /// Partitions are being handed round.
    Rebalancing,
    /// Members read.
    Stable,
    /// No members; offsets are kept.
    Empty,
    /// Being removed.
    Dead,
    /// Something newer than librdkafka knows.
    Unknown,
}

/// By which protocol its members join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// The classic one.
    Classic,
    /// KIP-848.
    Consumer,
    /// The broker does not say.
    Unknown,
}

/// A group in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    /// Group id.
    pub id: String,
    /// What it is doing.
    pub state: GroupState,
    /// By which protocol its members join.
    pub kind: GroupKind,
    /// Whether offsets are only committed under this name, without members ever joining.
    pub simple: bool,
}

/// A group in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    /// Group id.
    pub id: String,
    /// What it is doing.
    pub state: GroupState,
    /// By which protocol its members join.
    pub kind: GroupKind,
    /// Its members.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// `client.id`.
    pub client_id: String,
    /// Id that the coordinator gave it.
    pub member_id: String,
    /// Where it connects from.
    pub host: String,
    /// Partitions that it reads.
    pub assigned: Vec<(String, i32)>,
}

/// A member of a group of any protocol type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnyMember {
    /// `client.id`.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
    /// What it said of itself when it joined, in the form of its protocol.
    pub metadata: Vec<u8>,
}

impl Admin {
    /// Members of a group of any protocol type, so also of those that are no consumers, such as the
    /// one in which other schema registries elect their writer. Nobody where there is no such group,
    /// or where it may not be described.
    ///
    /// # Errors
    /// See [`KafkaError`]; also where some broker did not answer.
    pub async fn members_of_any_kind(&self, group: &str) -> Result<Vec<AnyMember>, KafkaError> {
        let owned = group.to_owned();
        self.blocking(
            format!("list the members of group {group}"),
            move |client, timeout| {
                let listed = client
                    .fetch_group_list(Some(&owned), timeout)
                    .map_err(|e| super::rd(&e))?;
                let members = listed.groups().iter().flat_map(GroupInfo::members);
                Ok(members
                    .map(|member| AnyMember {
                        client_id: member.client_id().to_owned(),
                        host: member.client_host().to_owned(),
                        metadata: member.metadata().unwrap_or_default().to_vec(),
                    })
                    .collect())
            },
        )
        .await
    }

    /// All consumer groups, by id.
    ///
    /// # Errors
    /// See [`KafkaError`].
    pub async fn groups(&self) -> Result<Vec<GroupListing>, KafkaError> {
        self.blocking("list consumer groups", |client, timeout| {
            let mut groups: Vec<GroupListing> = raw::list_groups(client, timeout)?
                .into_iter()
                .map(|group| GroupListing {
                    id: group.id,
                    state: state(group.state),
                    kind: kind(group.kind),
                    simple: group.simple,
                })
                .collect();
            groups.sort_by(|a, b| a.id.cmp(&b.id));
            Ok(groups)
        })
        .await
    }

    /// Members and partitions of groups. One that is not there comes as [`GroupState::Dead`].
    ///
    /// # Errors
    /// See [`KafkaError`]; one group that fails fails all.
    pub async fn describe_groups(
        &self,
        ids: &[String],
    ) -> Result<Vec<GroupDescription>, KafkaError> {
        let ids = ids.to_vec();
        let described = self
            .blocking("describe consumer groups", move |client, timeout| {
                raw::describe_groups(client, &ids, timeout)
            })
            .await?;
        described
            .into_iter()
            .map(|group| {
                if let Some(failure) = group.failure {
                    return Err(KafkaError::Refused {
                        what: format!("describe consumer group {}", group.id),
                        code: ErrorCode(failure.code),
                        said: failure.said,
                    });
                }
                Ok(GroupDescription {
                    id: group.id,
                    state: state(group.state),
                    kind: kind(group.kind),
                    members: group
                        .members
                        .into_iter()
                        .map(|member| GroupMember {
                            client_id: member.client_id,
                            member_id: member.consumer_id,
                            host: member.host,
                            assigned: member.assigned,
                        })
                        .collect(),
                })
            })
            .collect()
    }

    /// Committed offsets of a group: topic, partition, the next offset to read.
    ///
    /// # Errors
    /// See [`KafkaError`].
    pub async fn group_offsets(&self, group: &str) -> Result<Vec<(String, i32, i64)>, KafkaError> {
        let owned = group.to_owned();
        self.blocking(
            format!("read the offsets of consumer group {group}"),
            move |client, timeout| {
                let mut offsets = raw::group_offsets(client, &owned, timeout)?;
                offsets.sort();
                Ok(offsets)
            },
        )
        .await
    }
}

fn state(raw: RawState) -> GroupState {
    match raw {
        RawState::RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE
        | RawState::RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE => GroupState::Rebalancing,
        RawState::RD_KAFKA_CONSUMER_GROUP_STATE_STABLE => GroupState::Stable,
        RawState::RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY => GroupState::Empty,
        RawState::RD_KAFKA_CONSUMER_GROUP_STATE_DEAD => GroupState::Dead,
        _ => GroupState::Unknown,
    }
}

fn kind(raw: RawKind) -> GroupKind {
    match raw {
        RawKind::RD_KAFKA_CONSUMER_GROUP_TYPE_CONSUMER => GroupKind::Consumer,
        RawKind::RD_KAFKA_CONSUMER_GROUP_TYPE_CLASSIC => GroupKind::Classic,
        _ => GroupKind::Unknown,
    }
}
