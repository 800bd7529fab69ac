//! One connection's part: requests and answers go past it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use meshwork_pipeline::ProducerTag;
use meshwork_wire::protocol::fetch::{FetchAnswerStart, FetchRequest};
use meshwork_wire::protocol::{ApiKey, RequestHeader};
use parking_lot::Mutex;

use super::ask::{self, Granted, Learn, Names, Said};
use super::fold::{Client, Consumption, Wants};
use super::kept;
use super::reading::Reading;

/// Groups that one connection is taken at its word for.
const GROUPS_MAX: usize = 32;

/// What is learnt of one connection. When it goes, what was not told yet is told.
#[derive(Debug)]
pub(crate) struct Connection {
    process: Arc<Consumption>,
    address: IpAddr,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    client: Option<Arc<Client>>,
    reading: Reading,
    groups: Vec<(Arc<Client>, Arc<str>)>,
}

impl State {
    fn client(
        &mut self,
        tag: &Arc<ProducerTag>,
        header: &RequestHeader<'_>,
        address: IpAddr,
    ) -> Arc<Client> {
        let client_id = header.client_id.unwrap_or_default();
        match &self.client {
            Some(client) if client.is(tag, client_id) => Arc::clone(client),
            _ => {
                let client = Arc::new(Client::new(Arc::clone(tag), client_id, address));
                self.client = Some(Arc::clone(&client));
                client
            }
        }
    }
}

impl Connection {
    pub(crate) fn new(process: Arc<Consumption>, address: IpAddr) -> Self {
        Self {
            process,
            address,
            state: Mutex::default(),
        }
    }

    /// A Fetch request goes past. One that can't be read is the broker's to refuse.
    pub(crate) fn fetch(
        &self,
        tag: &Arc<ProducerTag>,
        header: &RequestHeader<'_>,
        frame: &[u8],
        names: Names<'_>,
    ) {
        let Ok(request) = FetchRequest::read(header, frame) else {
            return;
        };
        if request.replica_id >= 0 {
            return;
        }
        let mut state = self.state.lock();
        let client = state.client(tag, header, self.address);
        let before = state.reading.len();
        let mut fetch = state
            .reading
            .begin(request.session_id, request.session_epoch);
        let mut place = names.places();
        let room = self.process.has_room();
        for (topic, partition, offset) in request.partitions() {
            if offset >= 0
                && let Some(place) = place(topic, partition)
            {
                fetch.asks(place, offset, room);
            }
        }
        for (topic, partition) in request.forgotten() {
            if let Some(place) = place(topic, partition) {
                fetch.forgets(&place);
            }
        }
        fetch.end();
        self.process.remembers(before, state.reading.len());
        let due = state.reading.due(Instant::now());
        if !due.is_empty() {
            self.process.with(|fold| fold.read(&client, due));
        }
    }

    /// The first bytes of a Fetch answer go past.
    pub(crate) fn fetch_answered(&self, frame: &[u8], version: i16) {
        if let Ok(start) = FetchAnswerStart::read(frame, version) {
            let mut state = self.state.lock();
            let before = state.reading.len();
            state.reading.answered(start.error_code, start.session_id);
            self.process.remembers(before, state.reading.len());
        }
    }

    /// A request of a group or a transaction goes past. Gives what is to be learnt from its answer.
    pub(crate) fn asked(
        &self,
        tag: &Arc<ProducerTag>,
        header: &RequestHeader<'_>,
        frame: &[u8],
        names: Names<'_>,
    ) -> Option<Learn> {
        let said = ask::said(header, frame, names).ok().flatten()?;
        let mut state = self.state.lock();
        let client = state.client(tag, header, self.address);
        match said {
            Said::Joined { group, wants } => self.joined(&mut state, &client, &group, wants),
            Said::Left { group } => {
                let held = state
                    .groups
                    .iter()
                    .position(|(who, held)| *who == client && *held == group);
                if let Some(held) = held {
                    state.groups.swap_remove(held);
                    self.process
                        .with(|fold| fold.left(&client, &group, Instant::now()));
                }
            }
            Said::Ask(ask) => return Some(Learn { client, ask }),
        }
        None
    }

    fn joined(&self, state: &mut State, client: &Arc<Client>, group: &Arc<str>, wants: Wants) {
        let anew = !state
            .groups
            .iter()
            .any(|(who, held)| who == client && held == group);
        if anew && state.groups.len() >= GROUPS_MAX {
            return;
        }
        let remembered = self
            .process
            .with(|fold| fold.joined(client, group, wants, anew, Instant::now()));
        if anew && remembered {
            state.groups.push((Arc::clone(client), Arc::clone(group)));
        }
    }

    /// The answer to what [`asked`](Self::asked) waits for goes past.
    pub(crate) fn answered(
        &self,
        learn: Learn,
        api: ApiKey,
        version: i16,
        frame: &[u8],
        names: Names<'_>,
    ) {
        let Learn { client, ask } = learn;
        match ask::granted(ask, api, version, frame, names) {
            Ok(Some(Granted::Commit { group, offsets })) => {
                let topics = offsets.iter().map(|((topic, _), _)| Arc::clone(topic));
                let wants = Wants::Also(topics.collect());
                self.joined(&mut self.state.lock(), &client, &group, wants);
                self.process
                    .with(|fold| fold.committed(&client, &group, offsets));
            }
            Ok(Some(Granted::Tie {
                transactional_id,
                group,
                producer_id,
                offsets,
            })) => self.process.with(|fold| {
                let read = offsets.iter().map(|(place, _)| place.clone());
                fold.tied(&transactional_id, &group, producer_id, read);
                fold.committed(&client, &group, offsets);
            }),
            Ok(Some(Granted::Producer {
                transactional_id,
                producer_id,
            })) => self
                .process
                .with(|fold| fold.producer(&transactional_id, producer_id)),
            Ok(None) | Err(_) => {}
        }
    }

    /// The broker has acknowledged a batch of a transaction.
    pub(crate) fn wrote(&self, transactional_id: &str, topic: &Arc<str>, partition: i32) {
        if let Some(id) = kept(transactional_id) {
            let place = (Arc::clone(topic), partition);
            self.process.with(|fold| fold.wrote(&id, &place));
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        self.process.remembers(state.reading.len(), 0);
        let rest = state.reading.rest();
        if state.groups.is_empty() && rest.is_empty() {
            return;
        }
        let now = Instant::now();
        self.process.with(|fold| {
            if let Some(client) = &state.client {
                fold.read(client, rest);
            }
            for (client, group) in state.groups.drain(..) {
                fold.left(&client, &group, now);
            }
        });
    }
}

#[cfg(test)]
mod tests;
