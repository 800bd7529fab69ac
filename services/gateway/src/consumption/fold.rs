//! What all connections show together: which client is in which group, which jobs there are, and what
//! was seen since the last observations. The fold is pure: time is an argument.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use meshwork_model::mesh::observation::PartitionObservation;
use meshwork_pipeline::ProducerTag;
use parking_lot::Mutex;

use super::reading::Place;
use super::seen::{Reader, Seen};
use super::transactions::Transactions;

/// Clients in groups that are remembered; further ones read without a known group.
const CLIENTS_MAX: usize = 50_000;
/// Groups remembered of one client.
const GROUPS_MAX: usize = 16;
/// Topics remembered of one client in one group; with more it may be reading any.
const TOPICS_MAX: usize = 256;
/// How long a membership outlives its connections: a reader's other connections end a little later.
const GRACE: Duration = Duration::from_secs(60);
/// Memberships without a connection that are kept for [`GRACE`].
const GONE_MAX: usize = 50_000;
/// Partitions remembered over all connections: those that sessions hold.
const REMEMBERED_MAX: usize = 300_000;
/// Longest client id that is told apart, in bytes.
const CLIENT_ID_MAX_BYTES: usize = 256;

/// Who is at the other end, as far as its connections can be tied to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    pub(super) tag: Arc<ProducerTag>,
    client_id: Box<str>,
    address: IpAddr,
}

impl Client {
    pub(super) fn new(tag: Arc<ProducerTag>, client_id: &str, address: IpAddr) -> Self {
        Self {
            tag,
            client_id: clip(client_id).into(),
            address: address.to_canonical(),
        }
    }

    /// Whether it is this one still.
    pub(super) fn is(&self, tag: &Arc<ProducerTag>, client_id: &str) -> bool {
        Arc::ptr_eq(&self.tag, tag) && clip(client_id) == &*self.client_id
    }
}

fn clip(client_id: &str) -> &str {
    let end = client_id.floor_char_boundary(CLIENT_ID_MAX_BYTES);
    client_id.get(..end).unwrap_or_default()
}

impl Hash for Client {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.tag.name().hash(state);
        self.tag.trust().hash(state);
        self.client_id.hash(state);
        self.address.hash(state);
    }
}

/// What a member of a group wants to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    /// It does not say.
    Unsaid,
    /// What a regular expression matches, or more than is listed.
    Any,
    /// These topics from now on.
    These(Vec<Arc<str>>),
    /// These topics too.
    Also(Vec<Arc<str>>),
}

#[derive(Debug)]
struct Member {
    group: Arc<str>,
    /// None: any.
    topics: Option<HashSet<Arc<str>>>,
    /// Connections on which it said so.
    connections: usize,
    gone: Option<Instant>,
}

impl Member {
    fn wants(&mut self, wants: Wants) {
        let listed = match wants {
            Wants::Unsaid => return,
            Wants::Any => {
                self.topics = None;
                return;
            }
            Wants::These(topics) => {
                self.topics = Some(topics.into_iter().collect());
                self.topics.as_mut()
            }
            Wants::Also(topics) => {
                if let Some(known) = &mut self.topics {
                    known.extend(topics);
                }
                self.topics.as_mut()
            }
        };
        if listed.is_some_and(|listed| listed.len() > TOPICS_MAX) {
            self.topics = None;
        }
    }

    fn may_read(&self, topic: &str) -> bool {
        self.topics
            .as_ref()
            .is_none_or(|topics| topics.contains(topic))
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Fold {
    members: HashMap<Arc<Client>, Vec<Member>>,
    gone: VecDeque<(Instant, Arc<Client>, Arc<str>)>,
    transactions: Transactions,
    seen: Seen,
}

impl Fold {
    /// A client shows that it is in a group. `anew`: on a connection on which it had not shown it.
    /// Gives whether that is remembered.
    pub(super) fn joined(
        &mut self,
        client: &Arc<Client>,
        group: &Arc<str>,
        wants: Wants,
        anew: bool,
        now: Instant,
    ) -> bool {
        self.forget(now);
        if self.members.len() >= CLIENTS_MAX && !self.members.contains_key(client) {
            return false;
        }
        let members = self.members.entry(Arc::clone(client)).or_default();
        let at = members.iter().position(|m| m.group == *group);
        let at = match at {
            Some(at) => at,
            None if members.len() < GROUPS_MAX => {
                members.push(Member {
                    group: Arc::clone(group),
                    topics: match &wants {
                        Wants::Also(_) | Wants::These(_) => Some(HashSet::new()),
                        Wants::Any | Wants::Unsaid => None,
                    },
                    connections: 0,
                    gone: None,
                });
                members.len() - 1
            }
            None => return false,
        };
        if let Some(member) = members.get_mut(at) {
            member.connections += usize::from(anew);
            member.gone = None;
            member.wants(wants);
        }
        true
    }

    /// A connection on which a client had shown that it is in a group has ended, or it has left.
    pub(super) fn left(&mut self, client: &Arc<Client>, group: &Arc<str>, now: Instant) {
        let member = self
            .members
            .get_mut(client)
            .and_then(|members| members.iter_mut().find(|m| m.group == *group));
        if let Some(member) = member {
            member.connections = member.connections.saturating_sub(1);
            if member.connections == 0 {
                member.gone = Some(now);
                self.gone
                    .push_back((now, Arc::clone(client), Arc::clone(group)));
            }
        }
        self.forget(now);
    }

    /// Forgets memberships whose connections ended a while ago.
    fn forget(&mut self, now: Instant) {
        while let Some((since, ..)) = self.gone.front() {
            if now.saturating_duration_since(*since) < GRACE && self.gone.len() <= GONE_MAX {
                return;
            }
            let Some((since, client, group)) = self.gone.pop_front() else {
                return;
            };
            if let Some(members) = self.members.get_mut(&client) {
                members.retain(|m| m.group != group || m.gone != Some(since));
                if members.is_empty() {
                    self.members.remove(&client);
                }
            }
        }
    }

    /// The group in which a client reads a topic, where only one comes into question.
    fn group_of(&self, client: &Arc<Client>, topic: &str) -> Option<Arc<str>> {
        let members = self.members.get(client)?;
        let only = |alive: bool| {
            let mut of = members
                .iter()
                .filter(|m| m.gone.is_none() == alive && m.may_read(topic));
            (of.next(), of.next())
        };
        match (only(true), only(false)) {
            ((Some(member), None), _) | ((None, _), (Some(member), None)) => {
                Some(Arc::clone(&member.group))
            }
            _ => None,
        }
    }

    /// A client reads on from these positions.
    pub(super) fn read(&mut self, client: &Arc<Client>, positions: Vec<(Place, i64)>) {
        for (place, offset) in positions {
            let group = self.group_of(client, &place.0);
            let reader = Reader {
                tag: Arc::clone(&client.tag),
                inferred: group.is_some(),
                group,
                next_offset: Some(offset),
                committed: None,
            };
            self.seen.reader(place, reader);
        }
    }

    /// Offsets of a group were committed by a client.
    pub(super) fn committed(
        &mut self,
        client: &Client,
        group: &Arc<str>,
        offsets: impl IntoIterator<Item = (Place, i64)>,
    ) {
        for (place, offset) in offsets {
            let reader = Reader {
                tag: Arc::clone(&client.tag),
                group: Some(Arc::clone(group)),
                inferred: false,
                next_offset: None,
                committed: Some(offset),
            };
            self.seen.reader(place, reader);
        }
    }

    /// Offsets of a group were committed within a transaction.
    pub(super) fn tied(
        &mut self,
        transactional_id: &Arc<str>,
        group: &Arc<str>,
        producer_id: i64,
        read: impl Iterator<Item = Place>,
    ) {
        let news = self
            .transactions
            .tied(transactional_id, group, producer_id, read);
        for (place, job) in news {
            self.seen.job(place, job);
        }
    }

    /// A transactional id has this producer id.
    pub(super) fn producer(&mut self, transactional_id: &Arc<str>, producer_id: i64) {
        self.transactions.producer(transactional_id, producer_id);
    }

    /// A batch of a transaction was acknowledged.
    pub(super) fn wrote(&mut self, transactional_id: &Arc<str>, place: &Place) {
        for job in self.transactions.wrote(transactional_id, place) {
            self.seen.job(place.clone(), job);
        }
    }
}

/// What all connections show together. Share it behind an `Arc`.
#[derive(Debug, Default)]
pub(crate) struct Consumption {
    fold: Mutex<Fold>,
    remembered: AtomicUsize,
}

impl Consumption {
    /// What was seen since the last call, as observations without offsets or records.
    pub(crate) fn take(&self) -> Vec<PartitionObservation> {
        let mut fold = self.fold.lock();
        fold.forget(Instant::now());
        fold.seen.take()
    }

    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Fold) -> T) -> T {
        work(&mut self.fold.lock())
    }

    /// Whether connections may remember more partitions.
    pub(super) fn has_room(&self) -> bool {
        self.remembered.load(Ordering::Relaxed) < REMEMBERED_MAX
    }

    /// A connection remembers `now` partitions and no longer `before`.
    pub(super) fn remembers(&self, before: usize, now: usize) {
        if now > before {
            self.remembered.fetch_add(now - before, Ordering::Relaxed);
        } else {
            self.remembered.fetch_sub(before - now, Ordering::Relaxed);
        }
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.remembered.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use meshwork_model::mesh::observation::Trust;

    use super::*;

    fn client(id: &str, address: u8) -> Arc<Client> {
        let tag = Arc::new(ProducerTag::new("app", Trust::Principal));
        Arc::new(Client::new(tag, id, IpAddr::from([10, 0, 0, address])))
    }

    fn these(topics: &[&str]) -> Wants {
        Wants::These(topics.iter().map(|topic| (*topic).into()).collect())
    }

    fn group_of(fold: &Fold, client: &Arc<Client>, topic: &str) -> Option<String> {
        fold.group_of(client, topic).map(|group| group.to_string())
    }

    #[test]
    fn a_fetch_is_tied_to_a_group_only_where_one_alone_comes_into_question() {
        let (mut fold, now) = (Fold::default(), Instant::now());
        let (app, elsewhere) = (client("c", 1), client("c", 2));
        let (g, h) = ("g".into(), "h".into());
        assert!(fold.joined(&app, &g, these(&["a", "b"]), true, now));
        assert_eq!(group_of(&fold, &app, "a").as_deref(), Some("g"));
        assert_eq!(group_of(&fold, &app, "z"), None, "not subscribed to");
        assert_eq!(group_of(&fold, &elsewhere, "a"), None, "another address");
        assert_eq!(group_of(&fold, &client("d", 1), "a"), None);
        assert!(fold.joined(&app, &h, these(&["b", "c"]), true, now));
        assert_eq!(group_of(&fold, &app, "a").as_deref(), Some("g"));
        assert_eq!(group_of(&fold, &app, "b"), None, "either");
        assert_eq!(group_of(&fold, &app, "c").as_deref(), Some("h"));
        // A commit says which topics too; a new subscription replaces the old one.
        assert!(fold.joined(&app, &h, Wants::Also(vec!["d".into()]), false, now));
        assert_eq!(group_of(&fold, &app, "d").as_deref(), Some("h"));
        assert!(fold.joined(&app, &h, these(&["c"]), false, now));
        assert_eq!(group_of(&fold, &app, "b").as_deref(), Some("g"));
        assert!(fold.joined(&app, &h, Wants::Unsaid, false, now));
        assert_eq!(group_of(&fold, &app, "b").as_deref(), Some("g"));
        assert!(fold.joined(&app, &h, Wants::Any, false, now));
        assert_eq!(group_of(&fold, &app, "b"), None);
        assert_eq!(group_of(&fold, &app, "z").as_deref(), Some("h"));
    }

    #[test]
    fn a_membership_outlives_its_connections_for_a_while_and_a_live_one_goes_before_it() {
        let (mut fold, start) = (Fold::default(), Instant::now());
        let later = |s| start + Duration::from_secs(s);
        let app = client("c", 1);
        let (g, h) = ("g".into(), "h".into());
        for _ in 0..2 {
            assert!(fold.joined(&app, &g, these(&["a"]), true, start));
        }
        fold.left(&app, &g, later(1));
        assert!(fold.joined(&app, &h, these(&["a"]), true, later(2)));
        assert_eq!(group_of(&fold, &app, "a"), None, "both are alive");
        fold.left(&app, &g, later(3));
        assert_eq!(group_of(&fold, &app, "a").as_deref(), Some("h"));
        fold.left(&app, &h, later(50));
        assert_eq!(group_of(&fold, &app, "a"), None);
        fold.forget(later(64));
        assert_eq!(group_of(&fold, &app, "a").as_deref(), Some("h"));
        // One that came back is not forgotten.
        assert!(fold.joined(&app, &h, these(&["a"]), true, later(70)));
        fold.forget(later(200));
        assert_eq!(group_of(&fold, &app, "a").as_deref(), Some("h"));
        fold.left(&app, &h, later(200));
        fold.forget(later(300));
        assert!(fold.members.is_empty());
        assert!(fold.gone.is_empty());
    }

    #[test]
    fn memberships_are_bounded() {
        let (mut fold, now) = (Fold::default(), Instant::now());
        let app = client("c", 1);
        for n in 0..GROUPS_MAX {
            assert!(fold.joined(&app, &format!("g{n}").into(), Wants::Any, true, now));
        }
        assert!(!fold.joined(&app, &"more".into(), Wants::Any, true, now));
        let many = (0..=TOPICS_MAX).map(|n| format!("t{n}").into()).collect();
        assert!(fold.joined(&app, &"g0".into(), Wants::These(many), false, now));
        assert!(fold.members[&app][0].topics.is_none(), "any of them");
    }

    #[test]
    fn a_jobs_reading_and_writing_is_seen_and_marked() {
        let (mut fold, now) = (Fold::default(), Instant::now());
        let app = client("c", 1);
        let (g, id) = ("g".into(), "t".into());
        let (input, output): (Place, Place) = (("in".into(), 0), ("out".into(), 3));
        fold.joined(&app, &g, these(&["in"]), true, now);
        fold.read(&app, vec![(input.clone(), 5)]);
        fold.producer(&id, 9);
        fold.wrote(&id, &output);
        fold.committed(&app, &g, [(input.clone(), 4)]);
        fold.tied(&id, &g, 9, [input].into_iter());
        let mut taken = fold.seen.take();
        taken.sort_by(|a, b| a.topic.cmp(&b.topic));
        let [read, written] = taken.as_slice() else {
            panic!("two partitions: {taken:?}");
        };
        let reader = &read.readers[0];
        assert_eq!(reader.group.as_deref(), Some("g"));
        assert_eq!((reader.next_offset, reader.committed), (Some(5), Some(4)));
        assert!(!reader.inferred, "the commit shows it");
        assert_eq!(read.jobs.len(), 1);
        assert_eq!((written.partition, written.jobs.len()), (3, 1));
        assert_eq!(written.jobs[0].producer_id, Some(9));
        fold.read(&app, vec![(("in".into(), 0), 6)]);
        assert!(fold.seen.take()[0].readers[0].inferred);
    }
}
