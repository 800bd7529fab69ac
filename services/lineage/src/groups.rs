//! Asks the brokers for consumer groups, their members and where they stand.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use meshwork_kafka::{Admin, GroupDescription, GroupKind, GroupState, KafkaError};
use meshwork_model::time::{SharedClock, Timestamp};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::collect::GroupSnapshot;
use crate::node;

/// Groups described in one call.
const DESCRIBED_AT_ONCE: usize = 100;
/// Groups whose offsets are asked for at the same time: one request each.
const ASKED_AT_ONCE: usize = 8;
/// Most partitions kept of one group.
const PARTITIONS_MAX: usize = 10_000;
/// Most client ids read of one group.
const CLIENT_IDS_MAX: usize = 1000;

/// One poll of all groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Poll {
    /// When, in the data's time: read before the brokers were asked.
    pub(crate) at: Timestamp,
    /// The groups.
    pub(crate) groups: Vec<GroupSnapshot>,
}

/// Polls until the other end is dropped. A poll that fails is logged; the next may succeed.
pub(crate) async fn poll_forever(
    admin: Admin,
    clock: SharedClock,
    every: Duration,
    max_groups: usize,
    tell: mpsc::Sender<Poll>,
) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let at = clock.now();
        match poll(&admin, max_groups).await {
            Ok(groups) => {
                if tell.send(Poll { at, groups }).await.is_err() {
                    return;
                }
            }
            Err(error) => tracing::warn!(%error, "consumer groups can't be asked for now"),
        }
        if tell.is_closed() {
            return;
        }
    }
}

async fn poll(admin: &Admin, max_groups: usize) -> Result<Vec<GroupSnapshot>, KafkaError> {
    let listed = admin.groups().await?;
    if listed.len() > max_groups {
        tracing::warn!(
            groups = listed.len(),
            limit = max_groups,
            "too many consumer groups: the last by name are left out (max_groups)"
        );
    }
    let ids: Vec<String> = listed
        .into_iter()
        .take(max_groups)
        .map(|group| group.id)
        .collect();
    let mut described: BTreeMap<String, GroupDescription> = BTreeMap::new();
    for some in ids.chunks(DESCRIBED_AT_ONCE) {
        for group in describe(admin, some).await? {
            described.insert(group.id.clone(), group);
        }
    }
    let mut snapshots = Vec::with_capacity(described.len());
    let mut asking: JoinSet<Option<GroupSnapshot>> = JoinSet::new();
    for (id, group) in described {
        if group.state == GroupState::Dead {
            continue;
        }
        if asking.len() >= ASKED_AT_ONCE
            && let Some(Ok(Some(snapshot))) = asking.join_next().await
        {
            snapshots.push(snapshot);
        }
        let admin = admin.clone();
        asking.spawn(async move {
            match admin.group_offsets(&id).await {
                Ok(offsets) => Some(snapshot(&group, offsets)),
                Err(error) => {
                    tracing::debug!(group = %id, %error, "a group's offsets can't be read");
                    None
                }
            }
        });
    }
    while let Some(done) = asking.join_next().await {
        snapshots.extend(done.ok().flatten());
    }
    snapshots.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(snapshots)
}

/// One group that can't be described must not hide the others.
async fn describe(admin: &Admin, ids: &[String]) -> Result<Vec<GroupDescription>, KafkaError> {
    match admin.describe_groups(ids).await {
        Ok(all) => Ok(all),
        Err(error) if error.is_unreachable() || ids.len() == 1 => match ids {
            [only] if !error.is_unreachable() => {
                tracing::debug!(group = %only, %error, "a group can't be described");
                Ok(Vec::new())
            }
            _ => Err(error),
        },
        Err(_) => {
            let mut found = Vec::new();
            for id in ids {
                match admin.describe_groups(std::slice::from_ref(id)).await {
                    Ok(group) => found.extend(group),
                    Err(error) if error.is_unreachable() => return Err(error),
                    Err(error) => {
                        tracing::debug!(group = %id, %error, "a group can't be described");
                    }
                }
            }
            Ok(found)
        }
    }
}

fn snapshot(group: &GroupDescription, offsets: Vec<(String, i32, i64)>) -> GroupSnapshot {
    let is_shown = |topic: &str| node::of_topic(topic).is_some();
    GroupSnapshot {
        id: group.id.clone(),
        state: match group.state {
            GroupState::Rebalancing => "rebalancing",
            GroupState::Stable => "stable",
            GroupState::Empty => "empty",
            GroupState::Dead => "dead",
            GroupState::Unknown => "unknown",
        }
        .to_owned(),
        kind: match group.kind {
            GroupKind::Classic => "classic",
            GroupKind::Consumer => "consumer",
            GroupKind::Unknown => "unknown",
        }
        .to_owned(),
        client_ids: group
            .members
            .iter()
            .take(CLIENT_IDS_MAX)
            .map(|member| member.client_id.clone())
            .collect(),
        assigned: group
            .members
            .iter()
            .flat_map(|member| &member.assigned)
            .map(|(topic, _)| topic)
            .filter(|topic| is_shown(topic))
            .cloned()
            .collect::<BTreeSet<String>>(),
        offsets: offsets
            .into_iter()
            .filter(|(topic, _, offset)| *offset >= 0 && is_shown(topic))
            .take(PARTITIONS_MAX)
            .map(|(topic, partition, offset)| ((topic, partition), offset))
            .collect(),
    }
}
