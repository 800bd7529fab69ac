//! Tells others what has changed: a `ProductChange` for each registration, an `AuditEvent` for each
//! change. The log itself is the outbox: how far it has been told is kept in the transaction that
//! tells it, so that nothing is missing and nothing comes twice, whoever is killed when.

mod tell;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use meshwork_kafka::control::{self, ControlTopicError};
use meshwork_kafka::{
    Admin, Assigned, From, InRecord, KafkaConfig, KafkaError, LogReader, OwnedOutRecord, Progress,
    ReaderOptions, TransactionError, TransactionalOptions, TransactionalProducer,
};
use meshwork_model::mesh::MeshRecord;
use meshwork_model::mesh::audit::AuditEvent;
use meshwork_model::mesh::change::{Change, ProductChange};
use meshwork_model::name::{NameError, SchemaId};
use meshwork_model::time::Timestamp;
use meshwork_model::topic::ControlTopic;
use meshwork_registry_client::{MeshError, MeshWriter};

use crate::actor::Actor;
use crate::decide::{self, Draft, Normal, Terms};
use crate::election::group_of;
use crate::record::OWN_HEADER;
use crate::refusal::Refusal;
use crate::shared::Shared;
use crate::standing::Standing;
use crate::subject::{DEFAULT_CONTEXT, Subject};
use crate::writer::{ACTOR_HEADER, CLAIMED_HEADER, REAFFIRM, Writer};
use tell::{OwnRecord, tell};

/// Limit for one question to Kafka.
const ASK: Duration = Duration::from_secs(10);

/// Longest wait for the next records; only how soon the end is noticed depends on it.
const WAIT: Duration = Duration::from_secs(1);

/// Pause before it is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// Pause between attempts to register the schemas for refusals alone; in IMPORT mode all fail.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// Records of others that are passed over before that is kept: reading them again costs little.
const KEEP_EVERY: i64 = 10_000;

/// Most records that are told in one transaction.
const AT_ONCE: usize = 1_000;

/// Header of what is told: the record that it tells of, `<topic>@<partition>:<offset>`.
const SOURCE_HEADER: &str = "mesh-source";

/// Why nothing is told for now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    #[error(transparent)]
    Topic(#[from] ControlTopicError),
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    #[error(transparent)]
    Registry(#[from] Refusal),
    #[error(transparent)]
    Id(#[from] NameError),
    #[error(transparent)]
    Mesh(#[from] MeshError),
}

/// Tells what this registry's log says, for as long as it is run.
pub(crate) struct Teller {
    pub(crate) kafka: KafkaConfig,
    pub(crate) shared: Arc<Shared>,
    pub(crate) writer: Writer,
    /// Whether refused attempts are written to `mesh.audit`, by every instance.
    pub(crate) audits_refusals: bool,
}

struct Encoders {
    changes: MeshWriter<ProductChange>,
    events: MeshWriter<AuditEvent>,
}

impl Teller {
    /// Tells whenever this instance writes, for ever.
    pub(crate) async fn run(self) {
        if !self.shared.config.announce_changes {
            return;
        }
        let mut standing = self.shared.standing.subscribe();
        // The sender lives as long as `shared`.
        while standing
            .wait_for(|now| *now == Standing::Writing)
            .await
            .is_ok()
        {
            tokio::select! {
                told = self.term() => if let Err(failure) = told {
                    tracing::warn!(%failure, "registry can't tell of changes for now; none is lost");
                },
                _ = standing.wait_for(|now| *now != Standing::Writing) => continue,
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Runs until it fails; where it is to go on from then is kept.
    ///
    /// # Errors
    /// Kafka can't be reached, or another instance has taken over.
    async fn term(&self) -> Result<(), Failure> {
        let topic = &self.shared.config.topic;
        let admin = Admin::new(&self.kafka)?.with_timeout(ASK);
        for topic in [ControlTopic::CatalogChanges, ControlTopic::Audit] {
            control::ensure(&admin, topic).await?;
        }
        // Registered with the first that is told, so that an empty registry stays empty until it is
        // written to: what is imported into it brings ids from 1 on. In IMPORT mode this is refused,
        // and done again until the mode is another one.
        let mut encoders = None;
        let group = format!("{}-changes", group_of(topic));
        // Fences the teller of an older term, so that the offset below is the last word.
        let producer =
            TransactionalProducer::open(&self.kafka, &group, TransactionalOptions::default())
                .await?;
        let mut next = self.begin(&admin, &group).await?;
        producer
            .commit_with_progress(Vec::new(), progress(&group, topic, next))
            .await?;
        let (mut kept, mut kept_at) = (next, Instant::now());
        let log = Assigned {
            topic: topic.clone(),
            partition: 0,
            from: From::Offset(next),
        };
        let mut reader = LogReader::start(&self.kafka, vec![log], ReaderOptions::default())?;
        let mut tried = None::<Instant>;
        loop {
            let batch = reader.next(WAIT).await?;
            // Refusals wait for their schema; there may be some before the first change.
            if self.audits_refusals
                && encoders.is_none()
                && tried.is_none_or(|tried| tried.elapsed() >= TRY_AGAIN)
                && self.holds_some()?
            {
                tried = Some(Instant::now());
                encoders = self
                    .encoders()
                    .await
                    .inspect_err(
                        |failure| tracing::debug!(%failure, "refusals wait for their schema"),
                    )
                    .ok();
            }
            for records in batch.records.chunks(AT_ONCE) {
                let Some(last) = records.last() else { continue };
                // The state must be that of the record, or later.
                self.shared.applied(last.offset).await;
                let told = self.tell_all(records)?;
                next = last.offset + 1;
                if !told.is_empty() {
                    let encoders = match &mut encoders {
                        Some(encoders) => encoders,
                        none => none.insert(self.encoders().await?),
                    };
                    let told = told
                        .into_iter()
                        .map(|told| told.encode(encoders))
                        .collect::<Result<_, _>>()?;
                    producer
                        .commit_with_progress(told, progress(&group, topic, next))
                        .await?;
                    (kept, kept_at) = (next, Instant::now());
                }
            }
            if let Some((_, position)) = batch.positions.last() {
                next = next.max(*position);
            }
            if next - kept >= KEEP_EVERY || kept_at.elapsed() >= REAFFIRM {
                producer
                    .commit_with_progress(Vec::new(), progress(&group, topic, next))
                    .await?;
                (kept, kept_at) = (next, Instant::now());
            }
        }
    }

    /// Where to go on: the kept offset, as far as the log still reaches there.
    async fn begin(&self, admin: &Admin, group: &str) -> Result<i64, Failure> {
        let topic = &self.shared.config.topic;
        let start = admin.start_offsets(&[(topic.clone(), 0)]).await?;
        let start = start.first().and_then(|start| start.offset).unwrap_or(0);
        let end = *self.shared.applied.borrow();
        let offsets = admin.group_offsets(group).await?;
        let kept = offsets.into_iter().find(|(name, _, _)| name == topic);
        let next = match kept {
            Some((_, _, next)) => next,
            // Kafka forgets the offsets of a group after a week without a commit. What was told says
            // itself how far that was.
            None => self.last_told().await?.map_or(start, |last| last + 1),
        };
        if next > end {
            tracing::warn!(
                %topic, kept = next, end,
                "the log ends before what has been told of it: it was made anew, and is told from its start"
            );
            return Ok(start);
        }
        Ok(next.max(start))
    }

    /// Offset of the last record of the log that `mesh.audit` tells of.
    async fn last_told(&self) -> Result<Option<i64>, KafkaError> {
        let log = Assigned {
            topic: ControlTopic::Audit.name().to_owned(),
            partition: 0,
            from: From::Beginning,
        };
        let mut reader = LogReader::start(&self.kafka, vec![log], ReaderOptions::default())?;
        let prefix = format!("{}@0:", self.shared.config.topic);
        let mut last = None;
        loop {
            let batch = reader.next(WAIT).await?;
            let told = batch.records.iter().filter_map(|record| {
                let source = std::str::from_utf8(record.header(SOURCE_HEADER)?).ok()?;
                source.strip_prefix(&prefix)?.parse::<i64>().ok()
            });
            last = last.max(told.max());
            if batch.caught_up {
                return Ok(last);
            }
        }
    }

    /// Whether an id has been given.
    fn holds_some(&self) -> Result<bool, Refusal> {
        self.shared
            .read(|state| Ok(state.greatest_id(DEFAULT_CONTEXT)? > 0))
    }

    async fn encoders(&self) -> Result<Encoders, Failure> {
        Ok(Encoders {
            changes: self.encoder(ControlTopic::CatalogChanges).await?,
            events: self.encoder(ControlTopic::Audit).await?,
        })
    }

    /// The registry keeps the schemas of what it writes itself.
    async fn encoder<T: MeshRecord>(&self, topic: ControlTopic) -> Result<MeshWriter<T>, Failure> {
        let subject = Subject::new(&format!("{}-value", topic.name()));
        let draft = Draft {
            schema: Some(T::SCHEMA.text().to_owned()),
            ..Draft::default()
        };
        let max_record_bytes = self.shared.config.max_record_bytes;
        let written = self
            .writer
            .submit(Actor::registry(), move |state, texts, taken| {
                let terms = Terms {
                    normal: Normal::AsWritten,
                    force: false,
                    ids_taken: taken.of(subject.context()),
                    max_record_bytes,
                    may_register: true,
                };
                decide::register(state, texts, &subject, &draft, &terms)
            })
            .await?;
        let id = SchemaId::new(i64::from(written.answer.id))?;
        Ok(MeshWriter::with_id(id)?)
    }

    fn tell_all(&self, records: &[InRecord]) -> Result<Vec<ToldOf>, Failure> {
        let mut out = Vec::new();
        for record in records {
            let (Some(key), Some(instance)) = (&record.key, record.header(OWN_HEADER)) else {
                continue;
            };
            let instance = String::from_utf8_lossy(instance);
            let own = OwnRecord {
                topic: &self.shared.config.topic,
                offset: record.offset,
                at: record.timestamp.unwrap_or(Timestamp::from_millis(0)),
                key,
                value: record.value.as_deref().filter(|value| !value.is_empty()),
                instance: &instance,
            };
            let actor =
                Actor::from_headers(record.header(ACTOR_HEADER), record.header(CLAIMED_HEADER));
            let told = self
                .shared
                .read(|state| tell(&own, &actor, state, &self.shared.texts))?;
            let source = AuditEvent::id_of_change(own.topic, 0, own.offset);
            out.extend(told.change.map(|change| ToldOf {
                source: source.clone(),
                what: What::Change(Box::new(change)),
            }));
            out.extend(told.event.map(|event| ToldOf {
                source,
                what: What::Event(Box::new(event)),
            }));
        }
        Ok(out)
    }
}

/// What is told of a record, not encoded yet.
struct ToldOf {
    /// The record, `<topic>@<partition>:<offset>`.
    source: String,
    what: What,
}

enum What {
    Change(Box<ProductChange>),
    Event(Box<AuditEvent>),
}

impl ToldOf {
    fn encode(self, encoders: &Encoders) -> Result<OwnedOutRecord, Failure> {
        let (topic, key, value) = match self.what {
            What::Change(change) => {
                let value = encoders.changes.encode(&change)?;
                (ControlTopic::CatalogChanges, key_of(&change), value)
            }
            What::Event(event) => {
                let value = encoders.events.encode(&event)?;
                (ControlTopic::Audit, event.actor, value)
            }
        };
        Ok(OwnedOutRecord {
            headers: vec![(SOURCE_HEADER.to_owned(), Bytes::from(self.source))],
            ..OwnedOutRecord::new(topic.name(), Bytes::from(key), Bytes::from(value))
        })
    }
}

fn progress(group: &str, topic: &str, next: i64) -> Progress {
    Progress {
        group: group.to_owned(),
        next: vec![(topic.to_owned(), 0, next)],
    }
}

/// The URN, or the subject where there is no product.
fn key_of(change: &ProductChange) -> String {
    match (&change.urn, &change.change) {
        (Some(urn), _) => urn.to_string(),
        (None, Change::SchemaChange(schema)) => format!("subject:{}", schema.subject),
        (None, _) => change.id.clone(),
    }
}
