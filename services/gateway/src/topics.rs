//! Topics' names by their ids (KIP-516), learnt from Metadata, and of products' topics from what the
//! gateway asks itself. An id is never used again, so what is known of one stays true; a name may get
//! another id.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use meshwork_wire::protocol::Uuid;
use parking_lot::RwLock;

/// Names by id, and the id that a name had last; bounded, the oldest forgotten first.
#[derive(Debug)]
pub(crate) struct Topics {
    known: RwLock<Known>,
    most: usize,
}

#[derive(Debug, Default)]
struct Known {
    names: HashMap<Uuid, Arc<str>>,
    ids: HashMap<Arc<str>, Uuid>,
    order: VecDeque<Uuid>,
    partitions: HashMap<Arc<str>, i32>,
}

impl Topics {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            known: RwLock::default(),
            most: most.max(1),
        }
    }

    /// The name that has this id.
    pub(crate) fn name(&self, id: &Uuid) -> Option<Arc<str>> {
        self.known.read().names.get(id).cloned()
    }

    /// The name, and how many partitions there are, if a broker has told of a topic that is called so.
    pub(crate) fn known(&self, name: &str) -> Option<(Arc<str>, i32)> {
        let known = self.known.read();
        let (name, partitions) = known.partitions.get_key_value(name)?;
        Some((Arc::clone(name), *partitions))
    }

    /// Notes how many partitions a topic has.
    pub(crate) fn has(&self, name: &str, partitions: usize) {
        let partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
        if self.known.read().partitions.get(name) == Some(&partitions) {
            return;
        }
        let mut known = self.known.write();
        if known.partitions.len() >= self.most && !known.partitions.contains_key(name) {
            // Topics that are still used are told of again.
            known.partitions.clear();
        }
        known.partitions.insert(name.into(), partitions);
    }

    /// Notes a topic. Gives whether the name had another id before: the topic was made anew.
    pub(crate) fn learn(&self, id: Uuid, name: &str) -> bool {
        if id == Uuid::default() {
            return false;
        }
        {
            let known = self.known.read();
            if known.ids.get(name) == Some(&id) {
                return false;
            }
        }
        let mut known = self.known.write();
        let name: Arc<str> = name.into();
        let before = known.ids.insert(Arc::clone(&name), id);
        if known.names.insert(id, name).is_none() {
            known.order.push_back(id);
        }
        while known.order.len() > self.most {
            if let Some(oldest) = known.order.pop_front()
                && let Some(name) = known.names.remove(&oldest)
                && known.ids.get(&name) == Some(&oldest)
            {
                known.ids.remove(&name);
            }
        }
        before.is_some_and(|before| before != id)
    }
}

/// A topic's id in the base64 that librdkafka writes (`rd_kafka_Uuid_base64str`). None of what is
/// none.
pub(crate) fn id(text: &str) -> Option<Uuid> {
    BASE64.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_what_librdkafka_writes() {
        let mut wanted = [0xfb; 16];
        wanted[15] = 1;
        assert_eq!(id("+/v7+/v7+/v7+/v7+/v7AQ"), Some(wanted));
        for none in ["", "+/v7", "-_v7-_v7-_v7-_v7-_v7AQ", "no id"] {
            assert_eq!(id(none), None, "{none}");
        }
    }

    #[test]
    fn a_topic_made_anew_has_another_id_and_the_old_one_keeps_its_name() {
        let topics = Topics::new(2);
        assert!(!topics.learn([1; 16], "a"));
        assert!(!topics.learn([1; 16], "a"));
        assert!(topics.learn([2; 16], "a"));
        assert_eq!(topics.name(&[1; 16]).as_deref(), Some("a"));
        assert_eq!(topics.name(&[2; 16]).as_deref(), Some("a"));
        // The oldest goes first.
        topics.learn([3; 16], "b");
        assert_eq!(topics.name(&[1; 16]), None);
        assert_eq!(topics.name(&[2; 16]).as_deref(), Some("a"));
        assert!(!topics.learn([0; 16], "none"));
    }

    #[test]
    fn what_no_broker_has_told_of_is_not_known() {
        let topics = Topics::new(2);
        topics.has("a", 3);
        topics.has("a", 6);
        assert_eq!(topics.known("a"), Some(("a".into(), 6)));
        assert_eq!(topics.known("b"), None);
        topics.has("b", 1);
        topics.has("c", 1);
        assert!(topics.known("c").is_some());
        assert_eq!(topics.known("a"), None, "bounded");
    }
}
