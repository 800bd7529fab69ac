//! Answers, from the broker to the client.

use std::sync::Arc;
use std::time::Duration;

use meshwork_wire::protocol::fetch::FetchAnswerStart;
use meshwork_wire::protocol::produce::{self, Edit, OwnAnswer};
use meshwork_wire::protocol::{
    ApiKey, LENGTH_BYTES, RESPONSE_LEAST, WireError, api_versions, describe_cluster,
    find_coordinator, metadata, sasl, sasl_name, waits,
};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Conn;
use super::frames::{Begin, Frames, Outbox};
use super::login::{Mechanism, Step};
use super::pending::{Answer, Pending, Produced};
use crate::apis;
use crate::error::Ended;
use crate::produce::{Guard, Place, Refused, Session, Unbearable};
use crate::service::Shared;

/// Answers above this pass in pieces, unless they are rewritten.
const PIECES_BYTES: usize = 128 << 10;
/// Most of an answer that is looked at for its throttle time: it stands at the beginning, but for
/// Produce, whose answers are read whole.
const HEAD_BYTES: usize = 64;
/// How long the broker is waited for to close its side.
const LINGER: Duration = Duration::from_secs(5);
/// No answer is larger: a frame's length has a sign.
const ANSWER_MAX: usize = i32::MAX as usize;
/// Mechanisms that can't go through a gateway.
const NOT_HERE: &str = "GSSAPI";

/// The other direction of a connection.
pub(super) struct Down {
    pub(super) shared: Arc<Shared>,
    pub(super) conn: Arc<Conn>,
    pub(super) broker: Frames,
    pub(super) client: Outbox,
    pub(super) owed: mpsc::Receiver<Pending>,
    /// Producers of which a batch has failed, at the broker or here, and was not made good.
    pub(super) failed: Guard,
}

/// What a broker is waited for with.
struct Wanted {
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    until: Instant,
}

impl Down {
    /// Runs until everything that was asked is answered and nothing more will be, or an error.
    pub(super) async fn run(mut self) -> Result<(), Ended> {
        loop {
            let pending = match self.owed.try_recv() {
                Ok(pending) => Some(pending),
                Err(mpsc::error::TryRecvError::Disconnected) => None,
                Err(mpsc::error::TryRecvError::Empty) => {
                    self.flush().await?;
                    self.idle().await?
                }
            };
            match pending {
                None => break,
                Some(Pending::Own(frame)) => self.send(&frame).await?,
                Some(Pending::OwnProduce {
                    version,
                    correlation_id,
                    mut produced,
                }) => {
                    self.settle_own(&mut produced)?;
                    let own = answers(&produced);
                    let frame = produce::own_answer(correlation_id, version, &own)
                        .map_err(|error| own_failed(ApiKey::PRODUCE, &error))?;
                    self.send(&frame).await?;
                }
                Some(Pending::Broker {
                    api,
                    version,
                    correlation_id,
                    until,
                    answer,
                }) => {
                    let wanted = Wanted {
                        api,
                        version,
                        correlation_id,
                        until,
                    };
                    self.answer(&wanted, answer).await?;
                }
            }
        }
        let closed = self.client.close().await;
        // What was passed on last may still be on its way into the broker: a socket that is closed
        // with unread answers is reset, and what the broker has not read is lost.
        self.broker.discard(LINGER).await;
        closed.map_err(Ended::Client)
    }

    /// Waits for something to be asked, and watches whether the broker closes meanwhile.
    async fn idle(&mut self) -> Result<Option<Pending>, Ended> {
        if !self.broker.ready().is_empty() {
            // Bytes that nobody asked for are seen with the next answer.
            return Ok(self.owed.recv().await);
        }
        self.broker.shrink();
        tokio::select! {
            biased;
            pending = self.owed.recv() => Ok(pending),
            filled = self.broker.fill(1) => match filled {
                Ok(true) => Ok(self.owed.recv().await),
                // An idle connection that the broker has closed is closed to the client too.
                Ok(false) => Ok(None),
                Err(source) => Err(self.broker_failed(source)),
            },
        }
    }

    async fn answer(&mut self, wanted: &Wanted, answer: Answer) -> Result<(), Ended> {
        let length = self.begin(wanted).await?;
        let got = self
            .broker
            .ready()
            .get(LENGTH_BYTES..)
            .and_then(|rest| rest.first_chunk::<RESPONSE_LEAST>())
            .map_or(-1, |bytes| i32::from_be_bytes(*bytes));
        if got != wanted.correlation_id {
            return Err(Ended::OutOfStep {
                wanted: wanted.correlation_id,
                got,
            });
        }
        let total = LENGTH_BYTES + length;
        match answer {
            Answer::Pass => self.pass(wanted, total).await,
            Answer::Fetch => {
                let start = LENGTH_BYTES + FetchAnswerStart::BYTES;
                self.fill(total.min(start)).await?;
                let head = self.broker.ready().get(LENGTH_BYTES..).unwrap_or_default();
                let consumption = &self.conn.consumption;
                consumption.fetch_answered(head, wanted.version);
                self.pass(wanted, total).await
            }
            Answer::Learn(learn) => {
                let message = self.whole(wanted, total).await?;
                let frame = message.get(LENGTH_BYTES..).unwrap_or_default();
                self.note_throttle(wanted, frame);
                let (api, version, names) = (wanted.api, wanted.version, self.shared.names());
                let consumption = &self.conn.consumption;
                consumption.answered(*learn, api, version, frame, names);
                self.send(&message).await
            }
            Answer::Rewrite => {
                let message = self.whole(wanted, total).await?;
                let frame = message.get(LENGTH_BYTES..).unwrap_or_default();
                self.note_throttle(wanted, frame);
                let rewritten = self.rewrite(wanted, frame)?;
                self.send(&rewritten).await
            }
            Answer::Ours(tell) => {
                let message = self.whole(wanted, total).await?;
                let frame = message.get(LENGTH_BYTES..).unwrap_or_default();
                self.note_throttle(wanted, frame);
                // Whoever asked may have stopped waiting.
                let _ = tell.send(message);
                Ok(())
            }
            Answer::Login(step) => {
                let message = self.whole(wanted, total).await?;
                let frame = message.get(LENGTH_BYTES..).unwrap_or_default();
                match self.login(wanted, frame, step)? {
                    Some(rewritten) => self.send(&rewritten).await,
                    None => self.send(&message).await,
                }
            }
            Answer::Produce(mut produced) => {
                let message = self.whole(wanted, total).await?;
                let frame = message.get(LENGTH_BYTES..).unwrap_or_default();
                self.settle_own(&mut produced)?;
                match self.produced(wanted, frame, &produced)? {
                    Some(rewritten) => self.send(&rewritten).await,
                    None => self.send(&message).await,
                }
            }
        }
    }

    /// Waits for the answer's beginning; its length.
    async fn begin(&mut self, wanted: &Wanted) -> Result<usize, Ended> {
        if self.broker.ready().len() < LENGTH_BYTES + RESPONSE_LEAST {
            self.flush().await?;
        }
        loop {
            let until = wanted
                .until
                .max(self.conn.throttled_until() + self.patience());
            let begun = self.broker.begin(RESPONSE_LEAST, ANSWER_MAX);
            match tokio::time::timeout_at(until, begun).await {
                Ok(Ok(Some(length))) => return Ok(length),
                Ok(Ok(None)) => {
                    return Err(Ended::BrokerClosed {
                        broker: self.conn.broker.clone(),
                        waiting: self.owed.len() + 1,
                    });
                }
                Ok(Err(Begin::Io(source))) => return Err(self.broker_failed(source)),
                Ok(Err(Begin::Frame(source))) => {
                    return Err(Ended::BrokerFrame {
                        broker: self.conn.broker.clone(),
                        source,
                    });
                }
                Err(_) if Instant::now() < self.conn.throttled_until() => {}
                Err(_) => {
                    return Err(Ended::TooLong {
                        what: "an answer of the broker",
                        millis: self.patience().as_millis(),
                    });
                }
            }
        }
    }

    fn patience(&self) -> Duration {
        self.shared.config.answer_within.get()
    }

    /// Passes an answer on; a large one in pieces as they come.
    async fn pass(&mut self, wanted: &Wanted, total: usize) -> Result<(), Ended> {
        self.fill(total.min(LENGTH_BYTES + HEAD_BYTES)).await?;
        let head = self.broker.ready();
        let head = head
            .get(LENGTH_BYTES..total.min(head.len()))
            .unwrap_or_default();
        self.note_throttle(wanted, head);
        if total <= PIECES_BYTES {
            self.fill(total).await?;
            let message = self.broker.take(total);
            return self.send(&message).await;
        }
        let mut left = total;
        while left > 0 {
            let piece = self.some(left).await?;
            left -= piece.len();
            let written = self.client.write_all(&[&piece]).await;
            written.map_err(Ended::Client)?;
            self.shared.metrics.answered(piece.len());
        }
        Ok(())
    }

    /// Waits for the whole of an answer that is rewritten.
    async fn whole(&mut self, wanted: &Wanted, total: usize) -> Result<bytes::Bytes, Ended> {
        let limit = self.shared.limits.rewritten;
        if total > limit {
            let source = meshwork_wire::protocol::FrameError::TooLarge {
                bytes: total,
                limit,
            };
            tracing::warn!(
                api = wanted.api.name(),
                "gateway.service.max_rewritten_bytes may have to be raised"
            );
            return Err(Ended::BrokerFrame {
                broker: self.conn.broker.clone(),
                source,
            });
        }
        self.fill(total).await?;
        Ok(self.broker.take(total))
    }

    async fn fill(&mut self, n: usize) -> Result<(), Ended> {
        if self.broker.ready().len() >= n {
            return Ok(());
        }
        let within = self.shared.config.stalled_after.get();
        match tokio::time::timeout(within, self.broker.fill(n)).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(self.broker_failed(std::io::ErrorKind::UnexpectedEof.into())),
            Ok(Err(source)) => Err(self.broker_failed(source)),
            Err(_) => Err(Ended::TooLong {
                what: "an answer on its way from the broker",
                millis: within.as_millis(),
            }),
        }
    }

    /// The next bytes of an answer, as many as have come.
    async fn some(&mut self, most: usize) -> Result<bytes::Bytes, Ended> {
        let within = self.shared.config.stalled_after.get();
        match tokio::time::timeout(within, self.broker.some(most)).await {
            Ok(Ok(piece)) if piece.is_empty() => {
                Err(self.broker_failed(std::io::ErrorKind::UnexpectedEof.into()))
            }
            Ok(Ok(piece)) => Ok(piece),
            Ok(Err(source)) => Err(self.broker_failed(source)),
            Err(_) => Err(Ended::TooLong {
                what: "an answer on its way from the broker",
                millis: within.as_millis(),
            }),
        }
    }

    fn note_throttle(&self, wanted: &Wanted, frame: &[u8]) {
        self.conn
            .throttle(waits::throttle_ms(wanted.api, wanted.version, frame));
    }

    fn rewrite(&self, wanted: &Wanted, frame: &[u8]) -> Result<Vec<u8>, Ended> {
        let (brokers, refusals) = (&self.shared.brokers, &self.shared.refusals);
        let version = wanted.version;
        let endpoint = |node: i32, host: &str, port: i32| {
            brokers.learn(node, host, port);
            brokers.endpoint(node, refusals)
        };
        let wrong = |source: WireError| self.unreadable(wanted, source);
        match wanted.api {
            ApiKey::API_VERSIONS => {
                api_versions::rewrite(frame, version, apis::shown).map_err(wrong)
            }
            ApiKey::METADATA => {
                let learn = |topic: metadata::MetadataTopic<'_>| {
                    if let (0, Some(name)) = (topic.error_code, topic.name) {
                        self.shared.topics.has(name, topic.partitions);
                    }
                    if let (0, Some(name), Some(id)) = (topic.error_code, topic.name, topic.id) {
                        self.shared.learn_topic(id, name);
                    }
                };
                metadata::rewrite(frame, version, endpoint, learn).map_err(wrong)
            }
            ApiKey::FIND_COORDINATOR => {
                find_coordinator::rewrite(frame, version, endpoint).map_err(wrong)
            }
            _ => describe_cluster::rewrite(frame, version, endpoint).map_err(|error| Ended::Own {
                api: wanted.api.name(),
                what: error.to_string(),
            }),
        }
    }

    /// A step of a login: the name counts after the broker's final yes.
    fn login(&self, wanted: &Wanted, frame: &[u8], step: Step) -> Result<Option<Vec<u8>>, Ended> {
        let wrong = |source: WireError| self.unreadable(wanted, source);
        let mut who = self.conn.who.lock();
        let claimed = match step {
            Step::Begin(mechanism) => {
                let answer = sasl::HandshakeAnswer::read(frame, wanted.version).map_err(wrong)?;
                if answer.error_code == 0 {
                    who.begin(mechanism);
                } else {
                    who.refuse();
                }
                let keep = |name: &str| name != NOT_HERE;
                let rewritten = sasl::rewrite_handshake(frame, wanted.version, keep);
                return rewritten.map(Some).map_err(wrong);
            }
            Step::Token(claimed) => claimed,
        };
        let answer = sasl::AuthenticateAnswer::read(frame, wanted.version).map_err(wrong)?;
        if answer.error_code != 0 {
            who.refuse();
            return Ok(None);
        }
        if let Some(claimed) = claimed {
            who.claim(claimed);
        }
        let last = match who.mechanism() {
            Some(Mechanism::Scram) => sasl_name::scram_is_final(answer.auth_bytes.reveal()),
            // A token that was refused is answered without an error code first, and says why.
            Some(Mechanism::OAuthBearer) => answer.auth_bytes.reveal().is_empty(),
            Some(Mechanism::Plain | Mechanism::Other) | None => true,
        };
        if last {
            who.confirm();
        }
        Ok(None)
    }

    /// Counts what was acknowledged, and adds our own answers. `None`: the answer passes as it is.
    fn produced(
        &mut self,
        wanted: &Wanted,
        frame: &[u8],
        produced: &Produced,
    ) -> Result<Option<Vec<u8>>, Ended> {
        let version = wanted.version;
        let mut renumbered = false;
        let mut room = true;
        let summary = produce::read_answers(frame, version, |answer| {
            let sent = produced
                .sent
                .iter()
                .find(|s| s.partition == answer.partition && s.topic.borrowed() == answer.topic);
            let Some(sent) = sent else {
                return;
            };
            room &= note(&mut self.failed, sent.session.as_ref(), answer.error_code);
            if answer.error_code != 0 {
                return;
            }
            renumbered |= sent.renumbered;
            if self.shared.quarantine.kept(&sent.name).is_some() {
                self.conn.proofs.add(&sent.name, sent.partition);
            }
            self.shared.metrics.records(&sent.name, sent.records);
            let observations = &self.shared.observations;
            observations.acknowledged(sent, answer.base_offset);
            if let Some(id) = &produced.transactional_id {
                let consumption = &self.conn.consumption;
                consumption.wrote(id, &sent.name, sent.partition);
            }
        })
        .map_err(|source| unreadable(wanted, source))?;
        if !room {
            return Err(too_many_failed());
        }
        self.conn.throttle(summary.throttle_ms);
        if produced.own.is_empty() && !renumbered && !summary.has_endpoints {
            return Ok(None);
        }
        let edit = |answer: &produce::PartitionAnswer<'_>| {
            let renumbered = produced.sent.iter().any(|s| {
                s.renumbered
                    && s.partition == answer.partition
                    && s.topic.borrowed() == answer.topic
            });
            // The client's records and the log's are not one for one.
            (renumbered && answer.error_code == 0).then(|| Edit {
                base_offset: Some(-1),
                ..Edit::default()
            })
        };
        let endpoint = |node: i32| self.shared.brokers.endpoint(node, &self.shared.refusals);
        produce::rewrite_answer(frame, version, &answers(produced), edit, endpoint)
            .map(Some)
            .map_err(|error| own_failed(wanted.api, &error))
    }

    /// A batch of which nothing was left to send is called delivered only if all before it were.
    fn settle_own(&mut self, produced: &mut Produced) -> Result<(), Ended> {
        for own in &mut produced.own {
            if own.answer.error_code == 0
                && let Some((session, place)) = &own.session
                && let Some(behind) = self.failed.look(session, *place)
            {
                let topic = own.answer.topic.borrowed();
                own.answer = Refused::behind(behind, *place).answer(topic, own.answer.partition);
            }
            if !note(
                &mut self.failed,
                own.session.as_ref(),
                own.answer.error_code,
            ) {
                return Err(too_many_failed());
            }
        }
        Ok(())
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), Ended> {
        self.shared.metrics.answered(message.len());
        self.client.write(message).await.map_err(Ended::Client)
    }

    async fn flush(&mut self) -> Result<(), Ended> {
        if self.client.has_gathered() {
            self.client.flush().await.map_err(Ended::Client)?;
        }
        Ok(())
    }

    fn broker_failed(&self, source: std::io::Error) -> Ended {
        Ended::Broker {
            broker: self.conn.broker.clone(),
            source,
        }
    }

    fn unreadable(&self, wanted: &Wanted, source: WireError) -> Ended {
        unreadable(wanted, source)
    }
}

fn unreadable(wanted: &Wanted, source: WireError) -> Ended {
    Ended::Answer {
        api: wanted.api.name(),
        version: wanted.version,
        source,
    }
}

/// Notes what a client is told of a batch. `false`: no more can be remembered.
#[must_use]
fn note(failed: &mut Guard, session: Option<&(Session, Place)>, error_code: i16) -> bool {
    let Some((session, place)) = session else {
        return true;
    };
    if error_code == 0 {
        failed.pass(session, *place);
        return true;
    }
    failed.refuse(session.clone(), *place, error_code)
}

fn answers(produced: &Produced) -> Vec<OwnAnswer> {
    produced.own.iter().map(|own| own.answer.clone()).collect()
}

fn own_failed(api: ApiKey, error: &dyn std::fmt::Display) -> Ended {
    Ended::Own {
        api: api.name(),
        what: error.to_string(),
    }
}

fn too_many_failed() -> Ended {
    Ended::Own {
        api: ApiKey::PRODUCE.name(),
        what: Unbearable::TooManyRefused.why().to_owned(),
    }
}
