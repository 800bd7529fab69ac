//! A registry that never was: clients, a writer that groups changes and loses answers, instances
//! that lag behind. What it leaves is true.

use std::collections::BTreeMap;

use crate::history::{Call, End, Op};
use crate::oracle::{Evidence, LogRecord, Served, ServedVersion};

const CLIENTS: usize = 6;
pub(super) const INSTANCES: usize = 3;
const TEXTS: usize = 5;
const EVENTS: usize = 1_500;
const SUBJECTS: [&str; 4] = ["a", "b", ":.team:c", ":.team:d"];

#[derive(Clone)]
struct Version {
    id: i32,
    text: String,
    deleted: bool,
}

type Subjects = BTreeMap<String, BTreeMap<i32, Version>>;

enum Client {
    Idle,
    /// Sent, not yet arrived.
    Sent(usize),
    /// Decided, waits for its transaction.
    Grouped(usize, End),
    /// Has happened, or never will; to be told.
    Done(usize, End, Option<i64>),
}

pub(super) struct World {
    random: fastrand::Rng,
    now: u64,
    offset: i64,
    evidence: Evidence,
    clients: Vec<Client>,
    /// What the writer decides on.
    latest: Subjects,
    /// Ids by context and text, for ever.
    ids: BTreeMap<(String, String), i32>,
    greatest: BTreeMap<String, i32>,
    /// Records decided upon and not written.
    open: Vec<LogRecord>,
    /// States by the offset up to which they hold.
    states: Vec<(i64, Subjects)>,
    /// Which state each instance is at.
    instances: [usize; INSTANCES],
    /// Greatest offset that any client was told.
    told: i64,
}

pub(super) fn context(subject: &str) -> &'static str {
    if subject.starts_with(":.team:") {
        ".team"
    } else {
        "."
    }
}

pub(super) fn text(number: usize) -> String {
    format!("{{\"type\":\"fixed\",\"name\":\"T{number}\",\"size\":1}}")
}

pub(super) fn schema_record(subject: &str, version: i32, held: (i32, &str, bool)) -> LogRecord {
    let (id, text, deleted) = held;
    let key =
        format!(r#"{{"keytype":"SCHEMA","subject":"{subject}","version":{version},"magic":1}}"#);
    let value = serde_json::json!({
        "subject": subject, "version": version, "id": id, "schema": text, "deleted": deleted,
    });
    LogRecord {
        key: Some(key.into_bytes()),
        value: Some(value.to_string().into_bytes()),
        ..LogRecord::default()
    }
}

fn gone_record(subject: &str, version: i32) -> LogRecord {
    LogRecord {
        value: None,
        ..schema_record(subject, version, (1, "", false))
    }
}

impl World {
    pub(super) fn run(seed: u64) -> Evidence {
        let mut world = Self {
            random: fastrand::Rng::with_seed(seed),
            now: 0,
            offset: 0,
            evidence: Evidence::default(),
            clients: (0..CLIENTS).map(|_| Client::Idle).collect(),
            latest: Subjects::new(),
            ids: BTreeMap::new(),
            greatest: BTreeMap::new(),
            open: Vec::new(),
            states: vec![(-1, Subjects::new())],
            instances: [0; INSTANCES],
            told: -1,
        };
        for _ in 0..EVENTS {
            world.event();
        }
        world.commit();
        for instance in 0..INSTANCES {
            let served = world.serve(instance);
            world.evidence.served.push(served);
        }
        world.evidence
    }

    fn event(&mut self) {
        self.now += 1 + self.random.u64(..5);
        match self.random.u32(..10) {
            0 => self.commit(),
            1 => {
                let instance = self.random.usize(..INSTANCES);
                let most = self.states.len() - 1;
                let at = &mut self.instances[instance];
                *at = self.random.usize(*at..=most);
            }
            _ => {
                let client = self.random.usize(..CLIENTS);
                match std::mem::replace(&mut self.clients[client], Client::Idle) {
                    Client::Idle => self.begin(client),
                    Client::Sent(op) => self.arrive(client, op),
                    Client::Done(op, end, offset) => self.end(op, end, offset),
                    waiting @ Client::Grouped(..) => self.clients[client] = waiting,
                }
            }
        }
    }

    fn begin(&mut self, client: usize) {
        let subject = SUBJECTS[self.random.usize(..SUBJECTS.len())].to_owned();
        let text = text(self.random.usize(..TEXTS));
        let version = self.random.i32(1..6);
        let call = match self.random.u32(..20) {
            0..8 => Call::Register { subject, text },
            8 => Call::SoftDelete { subject },
            9 => Call::HardDelete { subject },
            10 | 11 => Call::SoftDeleteVersion { subject, version },
            12 => Call::HardDeleteVersion { subject, version },
            13 | 14 => Call::LookUp { subject, text },
            15 => Call::ById {
                context: context(&subject).to_owned(),
                id: self.random.i32(1..8),
            },
            _ => Call::List { subject },
        };
        let min_offset = (!call.is_write() && self.random.bool()).then_some(self.told);
        let op = Op {
            number: self.evidence.history.len() as u64,
            client,
            instance: self.random.usize(..INSTANCES),
            began: self.now,
            ended: None,
            call,
            min_offset,
            end: End::Unknown,
            offset: None,
        };
        self.clients[client] = Client::Sent(self.evidence.history.len());
        self.evidence.history.push(op);
    }

    fn arrive(&mut self, client: usize, number: usize) {
        let op = self.evidence.history[number].clone();
        if !op.call.is_write() {
            let end = self.read(&op);
            self.clients[client] = Client::Done(number, end, None);
            return;
        }
        match self.random.u32(..20) {
            0 => self.clients[client] = Client::Done(number, End::NotTaken, None),
            1..3 => {
                self.abort(&op.call);
                self.clients[client] = Client::Done(number, End::Unknown, None);
            }
            3 => {
                // It comes to the writer, and the answer does not come back.
                self.decide(&op.call);
                self.clients[client] = Client::Done(number, End::Unknown, None);
            }
            _ => {
                let end = self.decide(&op.call);
                self.clients[client] = Client::Grouped(number, end);
            }
        }
    }

    fn end(&mut self, number: usize, end: End, offset: Option<i64>) {
        let now = self.now;
        let op = &mut self.evidence.history[number];
        op.ended = Some(now);
        op.end = end;
        op.offset = offset;
        if let Some(offset) = offset {
            self.told = self.told.max(offset);
            let at = self.at_least(offset);
            let instance = self.evidence.history[number].instance;
            self.instances[instance] = self.instances[instance].max(at);
        }
    }

    fn at_least(&self, offset: i64) -> usize {
        self.states.partition_point(|(up_to, _)| *up_to < offset)
    }

    fn read(&mut self, op: &Op) -> End {
        if let Some(offset) = op.min_offset {
            let at = self.at_least(offset);
            self.instances[op.instance] = self.instances[op.instance].max(at);
        }
        let state = &self.states[self.instances[op.instance]].1;
        match &op.call {
            Call::List { subject } => match live(state, subject) {
                versions if versions.is_empty() => End::Refused { code: 40401 },
                versions => End::Versions { versions },
            },
            Call::LookUp { subject, text } => state
                .get(subject)
                .into_iter()
                .flatten()
                .find(|(_, held)| !held.deleted && held.text == *text)
                .map_or(End::Refused { code: 40403 }, |(version, held)| {
                    End::Registered {
                        version: *version,
                        id: held.id,
                    }
                }),
            Call::ById { context: of, id } => state
                .iter()
                .filter(|(subject, _)| context(subject) == of)
                .flat_map(|(_, versions)| versions.values())
                .find(|held| held.id == *id)
                .map_or(End::Refused { code: 40403 }, |held| End::Text {
                    text: held.text.clone(),
                }),
            _ => End::Unknown,
        }
    }

    fn id_of(&mut self, subject: &str, text: &str) -> i32 {
        let context = context(subject).to_owned();
        let key = (context.clone(), text.to_owned());
        if let Some(id) = self.ids.get(&key) {
            return *id;
        }
        let greatest = self.greatest.entry(context).or_default();
        *greatest += 1;
        let id = *greatest;
        self.ids.insert(key, id);
        id
    }

    /// What was begun is given up: its records stay in the log, and its ids are spent.
    fn abort(&mut self, call: &Call) {
        let Call::Register { subject, text } = call else {
            return;
        };
        self.commit();
        let key = (context(subject).to_owned(), text.clone());
        if self.ids.contains_key(&key) {
            return;
        }
        let id = self.id_of(subject, text);
        self.ids.remove(&key);
        let mut record = schema_record(subject, 9, (id, text, false));
        record.offset = self.offset;
        self.evidence.uncommitted.push(record);
        self.offset += 2;
    }

    fn decide(&mut self, call: &Call) -> End {
        let refused = |code| End::Refused { code };
        let subject = call.subject().unwrap_or_default().to_owned();
        let live = live(&self.latest, &subject);
        let versions = self.latest.get(&subject).cloned().unwrap_or_default();
        match call {
            Call::Register { text, .. } => self.register(&subject, text, &versions),
            _ if versions.is_empty() => refused(40401),
            Call::SoftDelete { .. } => match live.last() {
                None => refused(40404),
                Some(last) => {
                    let key = format!(
                        r#"{{"keytype":"DELETE_SUBJECT","subject":"{subject}","magic":0}}"#
                    );
                    let value = format!(r#"{{"subject":"{subject}","version":{last}}}"#);
                    self.open.push(LogRecord {
                        key: Some(key.into_bytes()),
                        value: Some(value.into_bytes()),
                        ..LogRecord::default()
                    });
                    for held in self.of(&subject).values_mut() {
                        held.deleted = true;
                    }
                    End::Versions { versions: live }
                }
            },
            Call::HardDelete { .. } if !live.is_empty() => refused(40405),
            Call::HardDelete { .. } => {
                for version in versions.keys() {
                    self.open.push(gone_record(&subject, *version));
                }
                self.latest.remove(&subject);
                End::Versions {
                    versions: versions.keys().copied().collect(),
                }
            }
            Call::SoftDeleteVersion { version, .. } => match versions.get(version) {
                None => refused(40402),
                Some(held) if held.deleted => refused(40406),
                Some(held) => {
                    let record = schema_record(&subject, *version, (held.id, &held.text, true));
                    self.open.push(record);
                    if let Some(held) = self.of(&subject).get_mut(version) {
                        held.deleted = true;
                    }
                    End::Versions {
                        versions: vec![*version],
                    }
                }
            },
            Call::HardDeleteVersion { version, .. } => match versions.get(version) {
                None => refused(40402),
                Some(held) if !held.deleted => refused(40407),
                Some(_) => {
                    self.open.push(gone_record(&subject, *version));
                    self.of(&subject).remove(version);
                    End::Versions {
                        versions: vec![*version],
                    }
                }
            },
            _ => End::Unknown,
        }
    }

    fn of(&mut self, subject: &str) -> &mut BTreeMap<i32, Version> {
        self.latest.entry(subject.to_owned()).or_default()
    }

    fn register(&mut self, subject: &str, text: &str, versions: &BTreeMap<i32, Version>) -> End {
        let same = versions
            .iter()
            .find(|(_, held)| !held.deleted && held.text == text);
        if let Some((version, held)) = same {
            return End::Registered {
                version: *version,
                id: held.id,
            };
        }
        let id = self.id_of(subject, text);
        let version = versions.keys().next_back().copied().unwrap_or(0) + 1;
        for (number, held) in versions {
            if held.id == id {
                self.open.push(gone_record(subject, *number));
                self.of(subject).remove(number);
            }
        }
        self.open
            .push(schema_record(subject, version, (id, text, false)));
        let held = Version {
            id,
            text: text.to_owned(),
            deleted: false,
        };
        self.of(subject).insert(version, held);
        End::Registered { version, id }
    }

    /// Ends the transaction, and tells those who wait for it.
    fn commit(&mut self) {
        for mut record in std::mem::take(&mut self.open) {
            record.offset = self.offset;
            self.offset += 1;
            self.evidence.uncommitted.push(record.clone());
            self.evidence.committed.push(record);
        }
        let last = self.offset - 1;
        // The marker.
        self.offset += 1;
        self.states.push((last, self.latest.clone()));
        for client in &mut self.clients {
            if let Client::Grouped(op, end) = client {
                // A refusal names no offset.
                let offset = (!matches!(end, End::Refused { .. })).then_some(last);
                *client = Client::Done(*op, end.clone(), offset);
            }
        }
    }

    fn serve(&self, instance: usize) -> Served {
        let mut served = Served {
            instance,
            ..Served::default()
        };
        for (subject, versions) in &self.latest {
            for (version, held) in versions {
                let id = (context(subject).to_owned(), held.id);
                served.texts.insert(id, Some(held.text.clone()));
                let held = ServedVersion {
                    id: held.id,
                    text: held.text.clone(),
                    deleted: held.deleted,
                };
                served.versions.insert((subject.clone(), *version), held);
            }
        }
        served
    }
}

fn live(subjects: &Subjects, subject: &str) -> Vec<i32> {
    subjects
        .get(subject)
        .into_iter()
        .flatten()
        .filter(|(_, held)| !held.deleted)
        .map(|(version, _)| *version)
        .collect()
}
