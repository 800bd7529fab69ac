//! Requests, from the client to the broker.

use std::sync::Arc;

use base64::Engine as _;
use bytes::Bytes;
use meshwork_pipeline::ProducerTag;
use meshwork_wire::protocol::produce::{ProduceRequest, Segment};
use meshwork_wire::protocol::{
    ApiKey, LENGTH_BYTES, REQUEST_LEAST, RequestHeader, RequestStart, TopicRef, WireError,
    api_versions, fetch, sasl, sasl_name, waits,
};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use super::Conn;
use super::frames::{Begin, EARNEST_BYTES, Frames, Outbox};
use super::line::Line;
use super::login::{Mechanism, Principal, Step};
use super::pending::{Answer, Owed, Pending};
use crate::apis::{self, Action};
use crate::config::OtherTopics;
use crate::error::Ended;
use crate::held::Room;
use crate::produce::{self, Contacts, First, Guard, Sender};
use crate::service::Shared;
use crate::traces;

/// Largest frame before a login has ended, as Kafka's own (`SaslServerAuthenticator`).
const BEFORE_LOGIN_BYTES: usize = 512 << 10;
/// A shorter `timeout_ms` is not taken at its word where a batch had to wait here.
const LEAST_TIMEOUT: Duration = Duration::from_secs(5);
/// However long a client would wait, a batch is decided on within this.
const MOST_TIMEOUT: Duration = Duration::from_secs(30);

/// One direction of a connection.
pub(super) struct Up {
    pub(super) shared: Arc<Shared>,
    pub(super) conn: Arc<Conn>,
    pub(super) client: Frames,
    pub(super) broker: Outbox,
    pub(super) owe: mpsc::Sender<Owed>,
    /// Of the request that is looked at, where it is traced.
    pub(super) span: Span,
    pub(super) stop: CancellationToken,
    pub(super) guard: Guard,
    pub(super) first: First,
    pub(super) contacts: Contacts,
}

impl Up {
    /// Runs until the client closes, `stop`, or an error. Gives the client's side back.
    pub(super) async fn run(mut self) -> Result<Frames, Ended> {
        while let Some(length) = self.next().await? {
            if !self.request(length).await? {
                break;
            }
        }
        // What was passed on reaches the broker before the connection goes, acks=0 included: only
        // this direction is closed, and the broker closes the other once it has read to the end.
        let closed = self.broker.close().await;
        self.to_broker(closed)?;
        Ok(self.client)
    }

    /// Waits for the next frame; its length. `None`: there will be none.
    async fn next(&mut self) -> Result<Option<usize>, Ended> {
        if self.client.ready().len() < LENGTH_BYTES + REQUEST_LEAST {
            self.flush().await?;
        }
        let throttled = self.conn.throttled_until();
        if throttled > Instant::now() {
            self.flush().await?;
            tokio::select! {
                () = self.stop.cancelled() => return Ok(None),
                () = tokio::time::sleep_until(throttled) => {}
            }
        }
        if self.stop.is_cancelled() {
            return Ok(None);
        }
        let limit = self.shared.limits.largest;
        let at_once = self.client.ready().len() >= LENGTH_BYTES + REQUEST_LEAST;
        let begun = self.client.begin(REQUEST_LEAST, limit);
        let begun = if at_once {
            begun.await
        } else {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(None),
                begun = begun => begun,
            }
        };
        begun.map_err(|error| match error {
            Begin::Io(error) => Ended::Client(error),
            Begin::Frame(error) => error.into(),
        })
    }

    /// Reads a request and does what it needs. `false`: no more may be read, after it or because
    /// `stop` came before it was there.
    async fn request(&mut self, length: usize) -> Result<bool, Ended> {
        let fixed = self.client.ready().get(LENGTH_BYTES..).unwrap_or_default();
        let start = RequestStart::read(fixed).map_err(|source| unreadable(None, source))?;
        let limit = self.limit_of(start.api);
        if length > limit {
            let bytes = length;
            return Err(meshwork_wire::protocol::FrameError::TooLarge { bytes, limit }.into());
        }
        let action = self.action(start)?;
        let total = LENGTH_BYTES + length;
        let room = if self.client.ready().len() >= total {
            None
        } else {
            let stop = self.stop.clone();
            tokio::select! {
                biased;
                room = self.make_room(total) => room?,
                () = stop.cancelled() => return Ok(false),
            }
        };
        let message = self.client.take(total);
        let frame = message.get(LENGTH_BYTES..).unwrap_or_default();
        self.shared.metrics.request(start.api, total);
        let Some(action) = action else {
            // A version of ApiVersions from the future: the client asks again with version 0.
            let answer = api_versions::unsupported(start.correlation_id);
            self.owe(Pending::Own(answer)).await?;
            return Ok(true);
        };
        let header =
            RequestHeader::read(frame).map_err(|source| unreadable(Some(start), source))?;
        tracing::debug!(
            target: "meshwork_gateway::requests",
            client = header.client_id,
            api = start.api.name(),
            version = start.version,
            "request"
        );
        self.span = self.shared.traces.span(&header);
        match action {
            Action::Produce => {
                if !self.produce(&header, &message).await? {
                    return Ok(false);
                }
            }
            Action::SaslHandshake => {
                let name = sasl::mechanism(&header, frame)
                    .map_err(|source| unreadable(Some(start), source))?;
                if name == "GSSAPI" {
                    return Err(Ended::Login {
                        what: name.to_owned(),
                        why: "a Kerberos ticket is for the host that was dialled; use SCRAM, OAUTHBEARER, PLAIN or a client certificate",
                    });
                }
                let mechanism = Mechanism::of(name);
                self.conn.who.lock().ask(mechanism);
                let step = Answer::Login(Step::Begin(mechanism));
                self.pass(&header, &message, step).await?;
            }
            Action::SaslAuthenticate => {
                let secret = sasl::auth_bytes(&header, frame)
                    .map_err(|source| unreadable(Some(start), source))?;
                let step = Answer::Login(Step::Token(self.claimed(secret)));
                self.pass(&header, &message, step).await?;
            }
            Action::ApiVersions
            | Action::Metadata
            | Action::FindCoordinator
            | Action::DescribeCluster => self.pass(&header, &message, Answer::Rewrite).await?,
            Action::Fetch => {
                if self.shared.config.other_topics == OtherTopics::Refuse {
                    self.may_read(&header, frame)?;
                }
                let (who, names) = (self.who(header.client_id), self.shared.names());
                self.conn.consumption.fetch(&who, &header, frame, names);
                self.pass(&header, &message, Answer::Fetch).await?;
            }
            Action::Group | Action::InitProducerId => {
                let (who, names) = (self.who(header.client_id), self.shared.names());
                let learn = self.conn.consumption.asked(&who, &header, frame, names);
                let answer = learn.map_or(Answer::Pass, |learn| Answer::Learn(Box::new(learn)));
                self.pass(&header, &message, answer).await?;
            }
            Action::Pass => self.pass(&header, &message, Answer::Pass).await?,
        }
        drop(room);
        // One that wants no answer has ended.
        self.span = Span::none();
        Ok(true)
    }

    /// What is done with the request. `None`: ApiVersions in a version that is not known yet.
    fn action(&self, start: RequestStart) -> Result<Option<Action>, Ended> {
        if let Some(rule) = apis::rule(start.api) {
            if (rule.least..=rule.most).contains(&start.version) {
                return Ok(Some(rule.action));
            }
            if start.api == ApiKey::API_VERSIONS {
                return Ok(None);
            }
            if start.api == ApiKey::SASL_HANDSHAKE {
                return Err(Ended::Login {
                    what: "SaslHandshake version 0".to_owned(),
                    why: "its tokens have no headers; use a client that speaks version 1 (Kafka 1.0 or later)",
                });
            }
        }
        Err(Ended::Hidden {
            api: start.api.name(),
            key: start.api.0,
            version: start.version,
        })
    }

    fn limit_of(&self, api: ApiKey) -> usize {
        let limits = &self.shared.limits;
        if limits.login_expected && !self.conn.who.lock().is_confirmed() {
            BEFORE_LOGIN_BYTES
        } else if api == ApiKey::PRODUCE {
            limits.produce
        } else {
            limits.request
        }
    }

    /// Waits until the whole frame is there, and for a large one until there is room for it.
    async fn make_room(&mut self, total: usize) -> Result<Option<Room>, Ended> {
        self.flush().await?;
        let within = self.shared.config.stalled_after.get();
        let mut room = None;
        if total > EARNEST_BYTES {
            self.fill(EARNEST_BYTES, within).await?;
            let waited = self.shared.held.room(self.conn.address, total);
            room = tokio::time::timeout(within, waited)
                .await
                .map_err(|_| Ended::TooLong {
                    what: "waiting for room for a request (gateway.service.max_held_bytes)",
                    millis: within.as_millis(),
                })?;
        }
        self.fill(total, within).await?;
        Ok(room)
    }

    async fn fill(&mut self, n: usize, within: Duration) -> Result<(), Ended> {
        match tokio::time::timeout(within, self.client.fill(n)).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(Ended::Client(std::io::ErrorKind::UnexpectedEof.into())),
            Ok(Err(error)) => Err(Ended::Client(error)),
            Err(_) => Err(Ended::TooLong {
                what: "a request on its way from the client",
                millis: within.as_millis(),
            }),
        }
    }

    /// Passes a request on as it is.
    async fn pass(
        &mut self,
        header: &RequestHeader<'_>,
        message: &Bytes,
        answer: Answer,
    ) -> Result<(), Ended> {
        let pending = self.pending(header, message, answer);
        self.owe(pending).await?;
        let written = self.broker.write(message).await;
        self.to_broker(written)
    }

    fn pending(&self, header: &RequestHeader<'_>, message: &Bytes, answer: Answer) -> Pending {
        let start = header.start;
        let frame = message.get(LENGTH_BYTES..).unwrap_or_default();
        let own = self.own_wait(header, frame);
        Pending::Broker {
            api: start.api,
            version: start.version,
            correlation_id: start.correlation_id,
            within: own + self.shared.config.answer_within.get(),
            answer,
        }
    }

    /// How long the broker may take by the request's own words.
    fn own_wait(&self, header: &RequestHeader<'_>, frame: &[u8]) -> Duration {
        use std::sync::atomic::Ordering::Relaxed;
        let api = header.start.api;
        let stated = waits::max_wait_ms(header, frame).map(i64::from);
        if api == ApiKey::JOIN_GROUP
            && let Some(stated) = stated
        {
            self.conn.rebalance_ms.store(stated, Relaxed);
        }
        let millis = match stated {
            Some(stated) => stated,
            None if api == ApiKey::SYNC_GROUP => self.conn.rebalance_ms.load(Relaxed),
            None => 0,
        };
        Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    /// Where topics that are no product are refused, a connection that fetches from one ends.
    fn may_read(&self, header: &RequestHeader<'_>, frame: &[u8]) -> Result<(), Ended> {
        let request = fetch::FetchRequest::read(header, frame)
            .map_err(|source| unreadable(Some(header.start), source))?;
        for (topic, _, _) in request.partitions() {
            let name: Arc<str> = match topic {
                TopicRef::Name(name) => name.into(),
                // One that is not known is not known to be a product.
                TopicRef::Id(id) => self.shared.topics.name(&id).unwrap_or_default(),
            };
            if !self.shared.products.may_be_read(&name) {
                return Err(Ended::Forbidden {
                    topic: name.to_string(),
                });
            }
        }
        Ok(())
    }

    /// Decides on a request's batches and passes on what goes on. `false`: nothing may come behind it.
    async fn produce(
        &mut self,
        header: &RequestHeader<'_>,
        message: &Bytes,
    ) -> Result<bool, Ended> {
        let frame = message.get(LENGTH_BYTES..).unwrap_or_default();
        let start = header.start;
        let wrong = |source: WireError| unreadable(Some(start), source);
        let request = ProduceRequest::read(header, frame).map_err(wrong)?;
        if self.broker.has_gathered() {
            self.flush().await?;
        }
        let began = Instant::now();
        let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
        let patience = timeout.clamp(LEAST_TIMEOUT, MOST_TIMEOUT);
        let tag = self.who(header.client_id);
        let (shared, conn) = (&*self.shared, &*self.conn);
        let mut sender = Sender {
            tag,
            guard: &mut self.guard,
            first: &mut self.first,
            broker: &conn.broker,
            deadline: began + patience * 3 / 4,
            contacts: &mut self.contacts,
            line: Line {
                conn,
                owe: &self.owe,
                broker: &mut self.broker,
                client_id: header.client_id.unwrap_or_default(),
                answer_within: shared.config.answer_within.get(),
            },
            looked_ahead: false,
            ends: false,
        };
        let mut decided = produce::decide(shared, &mut sender, &request)
            .await
            .map_err(|unbearable| Ended::Own {
                api: start.api.name(),
                what: unbearable.why().to_owned(),
            })?;
        let goes_on = !sender.ends;
        if request.acks != 0 && began.elapsed() > timeout.max(LEAST_TIMEOUT) {
            // The client has given it up by now, and may have sent it again another way.
            return Err(Ended::TooLong {
                what: "looking at a batch",
                millis: began.elapsed().as_millis(),
            });
        }
        traces::decided(&self.span, decided.forwarded, decided.produced.own.len());
        let wants_answer = request.acks != 0;
        if decided.forwarded == 0 && !request.is_empty() {
            if wants_answer {
                self.owe(Pending::OwnProduce {
                    version: start.version,
                    correlation_id: start.correlation_id,
                    produced: Box::new(decided.produced),
                })
                .await?;
            }
            return Ok(goes_on);
        }
        if wants_answer {
            decided.produced.transactional_id = request.transactional_id.map(Into::into);
            let answer = Answer::Produce(Box::new(decided.produced));
            let pending = self.pending(header, message, answer);
            self.owe(pending).await?;
        }
        let written = match decided.replacements {
            None => self.broker.write(message).await,
            Some(replacements) => {
                let segments = request.rewrite(replacements).map_err(|error| Ended::Own {
                    api: start.api.name(),
                    what: error.to_string(),
                })?;
                let pieces: Vec<&[u8]> =
                    segments.iter().map(|s: &Segment| s.bytes(frame)).collect();
                self.broker.write_all(&pieces).await
            }
        };
        self.to_broker(written)?;
        Ok(goes_on)
    }

    fn who(&self, client_id: Option<&str>) -> Arc<ProducerTag> {
        let mut who = self.conn.who.lock();
        who.client_id(client_id);
        who.tag()
    }

    /// Whom a token names, if anyone.
    fn claimed(&self, secret: sasl::Secret<'_>) -> Option<Principal> {
        let token = secret.reveal();
        let asked = self.conn.who.lock().asked();
        match asked? {
            Mechanism::Plain => sasl_name::plain(token).map(Principal::named),
            Mechanism::Scram => sasl_name::scram_client_first(token).map(|first| {
                if first.delegation_token {
                    Principal::Unnamed
                } else {
                    Principal::named(&first.name)
                }
            }),
            Mechanism::OAuthBearer => sasl_name::oauth_bearer(token).map(|token| {
                subject(token, &self.shared.config.oauth_claim)
                    .map_or(Principal::Unnamed, |name| Principal::named(&name))
            }),
            Mechanism::Other => None,
        }
    }

    /// Notes what the client is owed. Where it is owed too much already, it is not read from until
    /// it has taken some.
    async fn owe(&mut self, pending: Pending) -> Result<(), Ended> {
        let owed = Owed {
            answer: pending,
            span: std::mem::replace(&mut self.span, Span::none()),
        };
        let owed = match self.owe.try_send(owed) {
            Ok(()) => return Ok(()),
            Err(mpsc::error::TrySendError::Full(owed)) => owed,
            Err(mpsc::error::TrySendError::Closed(_)) => return std::future::pending().await,
        };
        self.flush().await?;
        match self.owe.send(owed).await {
            Ok(()) => Ok(()),
            // The other direction has ended, and with it the connection.
            Err(_) => std::future::pending().await,
        }
    }

    async fn flush(&mut self) -> Result<(), Ended> {
        if !self.broker.has_gathered() {
            return Ok(());
        }
        let flushed = self.broker.flush().await;
        self.to_broker(flushed)
    }

    fn to_broker(&self, result: std::io::Result<()>) -> Result<(), Ended> {
        result.map_err(|source| Ended::Broker {
            broker: self.conn.broker.clone(),
            source,
        })
    }
}

fn unreadable(start: Option<RequestStart>, source: WireError) -> Ended {
    Ended::Request {
        api: start.map_or("a request", |s| s.api.name()),
        version: start.map_or(-1, |s| s.version),
        source,
    }
}

/// The claim of a JWT that names who it is for. Its signature is the broker's to check: the name
/// counts only once the broker has said yes.
fn subject(token: sasl_name::BearerToken<'_>, claim: &str) -> Option<String> {
    let payload = token.jwt_payload()?;
    let json = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(payload)
        .ok()?;
    let payload: serde_json::Value = serde_json::from_slice(&json).ok()?;
    payload.get(claim)?.as_str().map(str::to_owned)
}
