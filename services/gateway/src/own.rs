//! The gateway's own connections to brokers, for short questions that no client asked: one to each
//! broker, used by one question at a time.

mod login;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use meshwork_kafka::KafkaConfig;
use meshwork_wire::protocol::{
    ApiKey, FrameError, LENGTH_BYTES, RESPONSE_LEAST, WireError, own_request, sasl,
};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::connection::frames::{Begin, Frames, Outbox};
use crate::upstream::Upstream;
use login::{Credentials, LoginError, Mechanism};

/// Largest answer taken: a partition with tens of thousands of producers.
const ANSWER_MAX: usize = 16 << 20;
/// Brokers that connections are kept to; all are given up beyond that.
const BROKERS_MAX: usize = 10_000;
/// Versions of the login's messages.
const HANDSHAKE: i16 = 1;
const AUTHENTICATE: i16 = 1;
/// How long a write may stall; a question's own deadline comes first.
const STALLED_AFTER: std::time::Duration = std::time::Duration::from_secs(30);

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Nothing came by the deadline.
    #[error("no answer came in time")]
    Late,
    /// No connection, or a broken one.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// An answer that is no frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// An answer that can't be read.
    #[error(transparent)]
    Unreadable(WireError),
    /// The broker takes no login of ours.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// An answer to something else.
    #[error("the broker answered another question")]
    OutOfStep,
}

/// A connection to a broker.
struct Line {
    source: Frames,
    sink: Outbox,
    next: i32,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

type Slot = Arc<tokio::sync::Mutex<Option<Line>>>;

/// All of them. Share it behind an `Arc`.
#[derive(Debug)]
pub(crate) struct OwnConnections {
    client_id: String,
    credentials: Option<Credentials>,
    lines: Mutex<HashMap<Box<str>, Slot>>,
}

impl OwnConnections {
    /// With the credentials of the gateway's own clients.
    pub(crate) fn new(kafka: &KafkaConfig) -> Self {
        Self {
            client_id: kafka.client_id.clone(),
            credentials: Credentials::of(kafka),
            lines: Mutex::default(),
        }
    }

    /// Sends what `frame` makes of a correlation id, and gives the answer's frame, without its
    /// length. A connection that went stale is made anew once.
    pub(crate) async fn ask(
        &self,
        upstream: &Upstream,
        address: &str,
        deadline: Instant,
        frame: impl Fn(i32) -> Vec<u8>,
    ) -> Result<Bytes, AskError> {
        let slot = self.slot(address);
        let asked = async {
            let mut slot = slot.lock().await;
            // Taken out: a question that is given up half-way takes its connection with it.
            let kept = slot.take();
            if let Some(mut line) = kept {
                match line.ask(&frame).await {
                    Ok(answer) => {
                        *slot = Some(line);
                        return Ok(answer);
                    }
                    Err(AskError::Io(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            let mut line = self.connect(upstream, address).await?;
            let answer = line.ask(&frame).await?;
            *slot = Some(line);
            Ok(answer)
        };
        tokio::time::timeout_at(deadline, asked)
            .await
            .unwrap_or(Err(AskError::Late))
    }

    /// Connects and, where the brokers want it, logs in. The one place that knows how.
    async fn connect(&self, upstream: &Upstream, address: &str) -> Result<Line, AskError> {
        let connected = upstream.to(address).await?;
        let mut line = Line {
            source: Frames::new(connected.source, Arc::default()),
            sink: Outbox::new(connected.sink, STALLED_AFTER),
            next: 0,
        };
        if let Some(credentials) = &self.credentials {
            line.login(&self.client_id, credentials).await?;
        }
        Ok(line)
    }

    fn slot(&self, address: &str) -> Slot {
        let mut lines = self.lines.lock();
        if let Some(slot) = lines.get(address) {
            return Arc::clone(slot);
        }
        if lines.len() >= BROKERS_MAX {
            lines.clear();
        }
        let slot = Slot::default();
        lines.insert(address.into(), Arc::clone(&slot));
        slot
    }
}

impl Line {
    async fn login(&mut self, client: &str, who: &Credentials) -> Result<(), AskError> {
        let name = who.mechanism_name();
        if let Mechanism::Other(name) = &who.mechanism {
            return Err(LoginError::Mechanism(name.clone()).into());
        }
        let api = ApiKey::SASL_HANDSHAKE;
        let answer = self
            .ask(|id| own_request(api, HANDSHAKE, id, client, |at| at.string(name)))
            .await?;
        let answer =
            sasl::HandshakeAnswer::read(&answer, HANDSHAKE).map_err(AskError::Unreadable)?;
        if answer.error_code != 0 {
            return Err(LoginError::Refused(format!("it does not offer {name}")).into());
        }
        let Mechanism::Scram(hash) = who.mechanism else {
            self.say(client, &who.plain()).await?;
            return Ok(());
        };
        let mut random = [0; 24];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| io::Error::other("no random bytes"))?;
        let nonce = BASE64.encode(random);
        let scram = who.scram(hash, nonce);
        let server = self.say(client, &scram.first()).await?;
        let last = scram.last(&server)?;
        let server = self.say(client, &last.message).await?;
        Ok(last.check(&server)?)
    }

    /// One step of a login; what the broker says to it.
    async fn say(&mut self, client: &str, words: &[u8]) -> Result<Vec<u8>, AskError> {
        let api = ApiKey::SASL_AUTHENTICATE;
        let frame = |id| {
            own_request(api, AUTHENTICATE, id, client, |at| {
                at.length(words.len());
                at.raw(words);
            })
        };
        let answer = self.ask(frame).await?;
        let answer =
            sasl::AuthenticateAnswer::read(&answer, AUTHENTICATE).map_err(AskError::Unreadable)?;
        if answer.error_code != 0 {
            let why = answer.error_message.unwrap_or("no reason given");
            let said = format!("error {}: {why}", answer.error_code);
            return Err(LoginError::Refused(said).into());
        }
        Ok(answer.auth_bytes.reveal().to_vec())
    }

    async fn ask(&mut self, frame: impl Fn(i32) -> Vec<u8>) -> Result<Bytes, AskError> {
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        self.sink.write_all(&[&frame(id)]).await?;
        self.sink.flush().await?;
        let length = match self.source.begin(RESPONSE_LEAST, ANSWER_MAX).await {
            Ok(Some(length)) => length,
            Ok(None) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Err(Begin::Io(error)) => return Err(error.into()),
            Err(Begin::Frame(error)) => return Err(error.into()),
        };
        if !self.source.fill(LENGTH_BYTES + length).await? {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let answer = self
            .source
            .take(LENGTH_BYTES + length)
            .slice(LENGTH_BYTES..);
        let got = answer.first_chunk::<RESPONSE_LEAST>();
        if got.map(|bytes| i32::from_be_bytes(*bytes)) != Some(id) {
            return Err(AskError::OutOfStep);
        }
        Ok(answer)
    }
}
