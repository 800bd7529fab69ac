//! Questions of the gateway's own on a client's connection to its broker: what the client itself
//! may do. Asked only in turn, between the client's requests.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use meshwork_wire::protocol::{ApiKey, LENGTH_BYTES, metadata};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::Span;

use super::Conn;
use super::frames::Outbox;
use super::pending::{Answer, Owed, Pending};

/// How long a proof holds.
const HOLDS: Duration = Duration::from_secs(60);
/// Proofs remembered on one connection; all are forgotten beyond that.
const PROOFS_MAX: usize = 10_000;
/// The question's correlation id. Answers come in order, so that it need not differ from others.
const CORRELATION_ID: i32 = i32::MIN;

/// Whether the client may write to a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    May,
    MayNot,
    NoSuchPartition,
    Unknown,
}

/// Where the broker took records of the client lately, or said that it would.
#[derive(Debug, Default)]
pub(crate) struct Proofs {
    until: Mutex<HashMap<(Arc<str>, i32), Instant>>,
}

impl Proofs {
    /// The broker took something.
    pub(super) fn add(&self, topic: &Arc<str>, partition: i32) {
        let mut until = self.until.lock();
        let key = (Arc::clone(topic), partition);
        if until.len() >= PROOFS_MAX && !until.contains_key(&key) {
            until.clear();
        }
        until.insert(key, Instant::now() + HOLDS);
    }

    fn holds(&self, topic: &Arc<str>, partition: i32) -> bool {
        let until = self.until.lock();
        let found = until.get(&(Arc::clone(topic), partition));
        found.is_some_and(|until| Instant::now() < *until)
    }
}

/// A client's connection to its broker, for a question.
pub(crate) struct Line<'c> {
    pub(super) conn: &'c Conn,
    pub(super) owe: &'c mpsc::Sender<Owed>,
    pub(super) broker: &'c mut Outbox,
    pub(super) client_id: &'c str,
    pub(super) answer_within: Duration,
}

impl std::fmt::Debug for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

impl Line<'_> {
    /// Whether the client may write to a partition.
    ///
    /// # Errors
    /// The connection failed.
    pub(crate) async fn may_write(
        &mut self,
        topic: &Arc<str>,
        partition: i32,
        deadline: Instant,
    ) -> std::io::Result<Proof> {
        if self.conn.proofs.holds(topic, partition) {
            return Ok(Proof::May);
        }
        // In the midst of a login a broker takes nothing else.
        if self.conn.who.lock().mechanism().is_some() {
            return Ok(Proof::Unknown);
        }
        let (tell, told) = oneshot::channel();
        let answer = Pending::Broker {
            api: ApiKey::METADATA,
            version: metadata::OWN_VERSION,
            correlation_id: CORRELATION_ID,
            // Whoever asks may stop waiting before: what is asked here is no reason to end a
            // connection whose broker is busy with what the client has asked before.
            within: self.answer_within,
            answer: Answer::Ours(tell),
        };
        let owed = Owed {
            answer,
            span: Span::none(),
        };
        match tokio::time::timeout_at(deadline, self.owe.send(owed)).await {
            Err(_) => return Ok(Proof::Unknown),
            Ok(Err(_)) => return Err(std::io::ErrorKind::NotConnected.into()),
            Ok(Ok(())) => {}
        }
        // It is awaited now: what is not written whole ends the connection.
        let frame = metadata::request(CORRELATION_ID, self.client_id, topic);
        self.broker.write_all(&[&frame]).await?;
        self.broker.flush().await?;
        let Ok(Ok(answer)) = tokio::time::timeout_at(deadline, told).await else {
            return Ok(Proof::Unknown);
        };
        let proof = read(&answer, topic, partition);
        if proof == Proof::May {
            self.conn.proofs.add(topic, partition);
        }
        Ok(proof)
    }
}

fn read(message: &Bytes, topic: &str, partition: i32) -> Proof {
    let frame = message.get(LENGTH_BYTES..).unwrap_or_default();
    let mut proof = Proof::Unknown;
    // An answer that can't be read says nothing.
    let _ = metadata::read(frame, metadata::OWN_VERSION, |found| {
        if found.name != Some(topic) {
            return;
        }
        proof = match (found.error_code, found.may_write()) {
            (29, _) | (0, Some(false)) => Proof::MayNot,
            (0, Some(true)) if found.leaders().any(|l| l.partition == partition) => Proof::May,
            // Unknown, or not to be seen by the client; or a partition that is not there.
            (3, _) | (0, Some(true)) => Proof::NoSuchPartition,
            _ => Proof::Unknown,
        };
    });
    proof
}
