//! Who reads a topic, by the offsets that consumer groups have committed.

use meshwork_kafka::Admin;

/// Most groups that are asked; beyond, the list is not complete.
const MOST_GROUPS: usize = 500;

/// Groups that have committed an offset in `topic`, sorted. Nobody's apply fails because this can't
/// be found out: then it is what was found.
pub(super) async fn of_topic(admin: &Admin, topic: &str) -> Vec<String> {
    let groups = match admin.groups().await {
        Ok(groups) => groups,
        Err(error) => {
            tracing::warn!(%error, topic, "consumer groups can't be listed; the change names none");
            return Vec::new();
        }
    };
    let mut readers = Vec::new();
    for group in groups.into_iter().take(MOST_GROUPS) {
        match admin.group_offsets(&group.id).await {
            Ok(offsets) if offsets.iter().any(|(t, _, _)| t == topic) => readers.push(group.id),
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, group = group.id, "offsets of a group can't be read");
            }
        }
    }
    readers.sort();
    readers
}
