//! Answers, from the broker to the client.

mod login;
mod produced;
mod rewrite;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use meshwork_wire::protocol::fetch::FetchAnswerStart;
use meshwork_wire::protocol::produce;
use meshwork_wire::protocol::{ApiKey, LENGTH_BYTES, RESPONSE_LEAST, WireError, waits};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Conn;
use super::frames::{Begin, Frames, Outbox, at_once};
use super::pending::{Answer, Owed, Pending};
use crate::error::Ended;
use crate::produce::Guard;
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
/// The other direction of a connection.
pub(super) struct Down {
    pub(super) shared: Arc<Shared>,
    pub(super) conn: Arc<Conn>,
    pub(super) broker: Frames,
    pub(super) client: Outbox,
    pub(super) owed: mpsc::Receiver<Owed>,
    /// Producers of which a batch has failed, at the broker or here, and was not made good.
    pub(super) failed: Guard,
}

/// What a broker is waited for with.
struct Wanted {
    api: ApiKey,
    version: i16,
    correlation_id: i32,
    /// When its turn came: all that was asked before is answered.
    since: Instant,
    /// How long it may take from then on.
    within: Duration,
}

impl Wanted {
    /// When the answer has to have come. The broker begins with it when its turn has come and it no
    /// longer throttles (KIP-219).
    fn deadline(&self, throttled_until: Instant) -> Instant {
        self.since.max(throttled_until) + self.within
    }
}

impl Down {
    /// Runs until everything that was asked is answered and nothing more will be, or an error.
    pub(super) async fn run(mut self) -> Result<(), Ended> {
        loop {
            let owed = match self.owed.try_recv() {
                Ok(owed) => Some(owed),
                Err(mpsc::error::TryRecvError::Disconnected) => None,
                Err(mpsc::error::TryRecvError::Empty) => {
                    self.flush().await?;
                    self.idle().await?
                }
            };
            let Some(Owed { answer, span }) = owed else {
                break;
            };
            match answer {
                Pending::Own(frame) => self.send(&frame).await?,
                Pending::OwnProduce {
                    version,
                    correlation_id,
                    mut produced,
                } => {
                    self.settle_own(&mut produced)?;
                    let own = produced::answers(produced.own);
                    let frame = produce::own_answer(correlation_id, version, &own)
                        .map_err(|error| own_failed(ApiKey::PRODUCE, &error))?;
                    self.send(&frame).await?;
                }
                Pending::Broker {
                    api,
                    version,
                    correlation_id,
                    within,
                    answer,
                } => {
                    let wanted = Wanted {
                        api,
                        version,
                        correlation_id,
                        since: Instant::now(),
                        within,
                    };
                    self.answer(&wanted, answer).await?;
                }
            }
            drop(span);
        }
        let closed = self.client.close().await;
        // What was passed on last may still be on its way into the broker: a socket that is closed
        // with unread answers is reset, and what the broker has not read is lost.
        self.broker.discard(LINGER).await;
        closed.map_err(Ended::Client)
    }

    /// Waits for something to be asked, and watches whether the broker closes meanwhile.
    async fn idle(&mut self) -> Result<Option<Owed>, Ended> {
        if !self.broker.ready().is_empty() {
            // Bytes that nobody asked for are seen with the next answer.
            return Ok(self.owed.recv().await);
        }
        self.broker.shrink();
        tokio::select! {
            biased;
            owed = self.owed.recv() => Ok(owed),
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
                match self.produced(wanted, frame, *produced)? {
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
        let until = wanted.deadline(self.conn.throttled_until());
        let begun = {
            let mut begun = pin!(self.broker.begin(RESPONSE_LEAST, ANSWER_MAX));
            match at_once(begun.as_mut()).await {
                Some(begun) => Ok(begun),
                None => tokio::time::timeout_at(until, begun).await,
            }
        };
        match begun {
            Ok(Ok(Some(length))) => Ok(length),
            Ok(Ok(None)) => Err(Ended::BrokerClosed {
                broker: self.conn.broker.clone(),
                waiting: self.owed.len() + 1,
            }),
            Ok(Err(Begin::Io(source))) => Err(self.broker_failed(source)),
            Ok(Err(Begin::Frame(source))) => Err(Ended::BrokerFrame {
                broker: self.conn.broker.clone(),
                source,
            }),
            Err(_) => Err(Ended::TooLong {
                what: "an answer of the broker",
                millis: wanted.within.as_millis(),
            }),
        }
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
}

fn unreadable(wanted: &Wanted, source: WireError) -> Ended {
    Ended::Answer {
        api: wanted.api.name(),
        version: wanted.version,
        source,
    }
}

fn own_failed(api: ApiKey, error: &dyn std::fmt::Display) -> Ended {
    Ended::Own {
        api: api.name(),
        what: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_counts_from_when_the_broker_can_begin() {
        let turn = Instant::now();
        let later = |seconds| turn + Duration::from_secs(seconds);
        let wanted = Wanted {
            api: ApiKey::JOIN_GROUP,
            version: 9,
            correlation_id: 1,
            since: turn,
            within: Duration::from_secs(300),
        };
        assert_eq!(wanted.deadline(turn), later(300));
        assert_eq!(wanted.deadline(later(60)), later(360), "throttled");
        let before = turn.checked_sub(Duration::from_secs(1)).unwrap();
        assert_eq!(wanted.deadline(before), later(300));
    }
}
