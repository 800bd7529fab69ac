//! Produces to one product: enforce → tag → Kafka → observe, in the producer's own process.
//!
//! A record is counted once it is acknowledged, and its observation is written after that; a crash
//! in between shows as a gap in offsets, which the observer closes. Nothing is lost in silence: what
//! failed comes back from [`MeshProducer::send`] or [`MeshProducer::flush`].

mod counts;
mod error;
mod ledger;
mod observe;
mod options;
mod record;

use std::sync::Arc;
use std::time::Duration;

use meshwork_kafka::control;
use meshwork_kafka::{Admin, KafkaConfig, OutRecord, Producer, quarantine};
use meshwork_model::headers::PARENTS;
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_model::mesh::{ProductAnnouncement, StreamObservation};
use meshwork_model::time::{Timestamp, WallClock};
use meshwork_model::topic::{ControlTopic, partition_for_key};
use meshwork_pipeline::check::Disposition;
use meshwork_pipeline::{
    Check, Checker, Facts, Header, Needed, Parents, ProducerTag, ProductPolicy, QuarantineFormat,
    QuarantineHeaders, RecordIn, Refusal, Tagged,
};
use meshwork_registry_client::{MeshWriter, RegistryClient};
use tokio_util::sync::CancellationToken;

use crate::schemas::SchemaCache;

pub use counts::{Counts, CountsView};
pub use error::ProduceError;
pub use options::{ProducerOptions, Span};
pub use record::{NewRecord, RecordPosition, Sent};

use ledger::{Ledger, Load, Tracked};
use observe::Observer;

/// Schemas kept compiled for one product. Its subject seldom has ten versions.
const SCHEMAS_KEPT: usize = 256;
/// How often a registry that is down is asked again while a record waits.
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// Headers put together without an allocation; more take one.
const FEW_HEADERS: usize = 8;

/// Produces to one product. Records that one caller sends keep their order within a partition.
#[derive(Debug)]
pub struct MeshProducer {
    policy: Arc<ProductPolicy>,
    checker: Checker,
    schemas: Arc<SchemaCache>,
    producer: Producer<Tracked>,
    tag: ProducerTag,
    ledger: Arc<Ledger>,
    observer: Arc<Observer>,
    quarantine_topic: String,
    partitions: i32,
    options: ProducerOptions,
    ticking: CancellationToken,
}

impl MeshProducer {
    /// Prepares to produce to `product`: asks for its topic, creates the quarantine topic and
    /// `mesh.observations` where they are absent, registers the observations' schema.
    ///
    /// # Errors
    /// The topic is not there ([`ProduceError::NoTopic`]: apply the product first), or Kafka or the
    /// registry can't be asked.
    pub async fn open(
        kafka: &KafkaConfig,
        registry: RegistryClient,
        product: &ProductAnnouncement,
        options: ProducerOptions,
    ) -> Result<Self, ProduceError> {
        let policy = Arc::new(ProductPolicy::from(product));
        let admin = Admin::new(kafka)?;
        let topic = admin
            .topic(&policy.topic)
            .await?
            .ok_or_else(|| ProduceError::NoTopic {
                topic: policy.topic.clone(),
            })?;
        let quarantine_topic = policy.urn.quarantine_topic();
        if policy.enforcement == EnforcementMode::Quarantine
            && admin.topic(&quarantine_topic).await?.is_none()
        {
            quarantine::create(&admin, &policy.topic, product.retention_ms).await?;
        }
        let observation_partitions = control::ensure(&admin, ControlTopic::Observations).await?;
        let subject = format!("{}-value", ControlTopic::Observations.name());
        let writer = MeshWriter::<StreamObservation>::register(&registry, &subject).await?;

        let producer = Producer::new(kafka, &options.kafka)?;
        let tag = ProducerTag::new(&options.producer, options.trust);
        let ledger = Arc::new(Ledger::new(
            &policy.topic,
            topic.id.clone(),
            &tag,
            options.span,
            Arc::clone(&options.clock),
        ));
        let observer = Arc::new(Observer::new(
            writer,
            producer.clone(),
            Arc::clone(&ledger),
            partition_for_key(policy.topic.as_bytes(), observation_partitions),
            format!("{}/{}/{}", options.instance, options.producer, policy.topic),
            meshwork_model::time::Clock::now(&WallClock).as_millis(),
            Arc::clone(&options.clock),
        ));
        let ticking = CancellationToken::new();
        tokio::spawn(observe::tick(
            Arc::downgrade(&observer),
            options.span.is_real_time(),
            options.span.tick(),
            ticking.clone(),
        ));
        let schemas = Arc::new(SchemaCache::new(registry, SCHEMAS_KEPT));
        schemas.set_event_time(&policy.value_subject, policy.event_time.as_deref());
        Ok(Self {
            checker: Checker::new(Arc::clone(&policy)),
            quarantine_topic,
            partitions: topic.partitions,
            policy,
            schemas,
            producer,
            tag,
            ledger,
            observer,
            options,
            ticking,
        })
    }

    /// The product.
    #[must_use]
    pub fn policy(&self) -> &ProductPolicy {
        &self.policy
    }

    /// Checks, tags and queues one record; waits for room where the queue is full. That it was
    /// taken is not yet that it was written: [`flush`](Self::flush) says so.
    ///
    /// # Errors
    /// The record is refused and the product's mode is `reject` ([`ProduceError::Refused`], which
    /// names position and path; later records may be sent all the same), its schema can't be asked
    /// for, or an earlier record was not written.
    pub async fn send(
        &mut self,
        record: &NewRecord<'_>,
        position: &RecordPosition,
    ) -> Result<Sent, ProduceError> {
        self.ledger.check_failed()?;
        let (facts, refusal) = match self.check(record, position).await? {
            Check::Good(facts) => (facts, None),
            Check::Bad(facts, refusal) => (facts, Some(refusal)),
            Check::Load(needed) | Check::Unavailable(needed) => {
                return Err(self.unavailable(*needed, position, None));
            }
        };
        let Some(refusal) = refusal else {
            self.accept(record, position, facts, None).await?;
            return Ok(Sent::Accepted);
        };
        match self.policy.disposition(refusal.reason) {
            Disposition::Pass => {
                self.accept(record, position, facts, None).await?;
                Ok(Sent::Accepted)
            }
            Disposition::Mark => {
                self.accept(record, position, facts, Some(&refusal)).await?;
                Ok(Sent::Marked(refusal))
            }
            Disposition::Quarantine => {
                self.quarantine(record, position, &refusal, QuarantineFormat::Avro)
                    .await?;
                Ok(Sent::Quarantined(refusal))
            }
            Disposition::Reject => Err(self.reject(record, position, refusal)),
        }
    }

    /// Hands in input that could not even be made a record of, such as a JSON line that fits no
    /// schema; `record.value` is that line. It goes to quarantine as it is (`mesh-format: json`) if
    /// the product's mode is `quarantine`.
    ///
    /// # Errors
    /// [`ProduceError::Refused`] in every other mode; else as [`send`](Self::send).
    pub async fn refuse_line(
        &mut self,
        record: &NewRecord<'_>,
        position: &RecordPosition,
        refusal: Refusal,
    ) -> Result<Sent, ProduceError> {
        self.ledger.check_failed()?;
        let refusal = Box::new(refusal);
        match self.policy.disposition(refusal.reason) {
            Disposition::Quarantine => {
                self.quarantine(record, position, &refusal, QuarantineFormat::Json)
                    .await?;
                Ok(Sent::Quarantined(refusal))
            }
            // It can't be marked or let pass: there is no record that could be.
            _ => Err(self.reject(record, position, refusal)),
        }
    }

    async fn check(
        &mut self,
        record: &NewRecord<'_>,
        position: &RecordPosition,
    ) -> Result<Check, ProduceError> {
        let seen = RecordIn {
            key: record.key,
            value: record.value,
            headers: headers(record.headers),
        };
        let mut waiting: Option<std::time::Instant> = None;
        loop {
            let check = self.checker.check(&*self.schemas, &seen);
            let needed = match check {
                Check::Load(ref needed) | Check::Unavailable(ref needed) => needed,
                done => return Ok(done),
            };
            if let Err(error) = self.schemas.load(needed).await {
                let since = *waiting.get_or_insert_with(std::time::Instant::now);
                if since.elapsed() >= self.options.schema_wait {
                    let needed = (**needed).clone();
                    return Err(self.unavailable(needed, position, Some(error)));
                }
                tokio::time::sleep(ASK_AGAIN).await;
            }
        }
    }

    fn unavailable(
        &self,
        needed: Needed,
        position: &RecordPosition,
        error: Option<meshwork_registry_client::RegistryClientError>,
    ) -> ProduceError {
        ProduceError::SchemaUnavailable {
            position: position.clone(),
            needed: Box::new(needed),
            waited: self.options.schema_wait,
            source: error.map(Box::new),
        }
    }

    fn reject(
        &self,
        record: &NewRecord<'_>,
        position: &RecordPosition,
        refusal: Box<Refusal>,
    ) -> ProduceError {
        let timestamp = self.timestamp(record);
        self.ledger
            .rejected(refusal.reason, self.partition(record), timestamp);
        ProduceError::Refused {
            position: position.clone(),
            refusal,
        }
    }

    fn timestamp(&self, record: &NewRecord<'_>) -> Timestamp {
        record.timestamp.unwrap_or_else(|| self.options.clock.now())
    }

    /// Where the record would go: Kafka's default placement of its key.
    fn partition(&self, record: &NewRecord<'_>) -> i32 {
        record.partition.unwrap_or_else(|| {
            record
                .key
                .map_or(0, |key| partition_for_key(key, self.partitions))
        })
    }

    async fn accept(
        &mut self,
        record: &NewRecord<'_>,
        position: &RecordPosition,
        facts: Facts,
        mark: Option<&Refusal>,
    ) -> Result<(), ProduceError> {
        let given = headers(record.headers).chain(record.parents.map(|parents| Header {
            key: PARENTS.as_bytes(),
            value: Some(parents.as_bytes()),
        }));
        // A producer through librdkafka can't know which record will be a batch's first, so that
        // `batch` tags every record here.
        let tagged = Tagged::new(
            given,
            &self.tag,
            self.policy.tag,
            true,
            mark.map(|refusal| refusal.reason),
        );
        let timestamp = self.timestamp(record);
        let mut few = [("", &[][..]); FEW_HEADERS];
        let mut many = Vec::new();
        let all = collect(tagged.headers(), &mut few, &mut many);
        let bytes = record.key.map_or(0, <[u8]>::len)
            + record.value.map_or(0, <[u8]>::len)
            + all.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>();
        let out = OutRecord {
            topic: &self.policy.topic,
            partition: record.partition,
            key: record.key,
            value: record.value,
            headers: all,
            timestamp: Some(timestamp),
        };
        let tracked = self.ledger.track(Load::Record {
            bytes,
            facts,
            timestamp,
            parents: tagged.parents.map(keep_parents),
            marked: mark.map(|refusal| (refusal.reason, self.partition(record))),
            position: position.clone(),
        });
        self.ledger.dropped_parents(tagged.parents_dropped);
        self.queue(&out, tracked).await?;
        self.emit_due().await
    }

    async fn quarantine(
        &mut self,
        record: &NewRecord<'_>,
        position: &RecordPosition,
        refusal: &Refusal,
        format: QuarantineFormat,
    ) -> Result<(), ProduceError> {
        let partition = self.partition(record);
        let why = QuarantineHeaders::new(
            refusal,
            &self.policy.topic,
            Some(partition),
            self.tag.name(),
            format,
        );
        let mut few = [("", &[][..]); FEW_HEADERS];
        let mut many = Vec::new();
        let all = collect(why.after(headers(record.headers)), &mut few, &mut many);
        let timestamp = self.timestamp(record);
        let out = OutRecord {
            topic: &self.quarantine_topic,
            partition: None,
            key: record.key,
            value: record.value,
            headers: all,
            timestamp: Some(timestamp),
        };
        let tracked = self.ledger.track(Load::Quarantined {
            reason: refusal.reason,
            partition,
            timestamp,
            position: position.clone(),
        });
        self.queue(&out, tracked).await?;
        self.emit_due().await
    }

    async fn queue(&self, out: &OutRecord<'_>, tracked: Tracked) -> Result<(), ProduceError> {
        if let Err(refused) = self.producer.queue(out, tracked).await {
            // It was not sent, and says so itself when it is dropped.
            let error = refused.error.unwrap_or(meshwork_kafka::SendError::Closed);
            refused.done.not_queued(error);
            self.ledger.check_failed()?;
        }
        Ok(())
    }

    /// Writes observations that are complete, without waiting for their acknowledgement.
    async fn emit_due(&self) -> Result<(), ProduceError> {
        if self.ledger.has_due() {
            self.observer.emit(false).await;
            self.ledger.check_failed()?;
        }
        Ok(())
    }

    /// Waits until every record sent so far, and the observation that covers it, is acknowledged.
    ///
    /// # Errors
    /// The first record or observation that was not written, and how many were not
    /// ([`ProduceError::NotWritten`]); the producer is of no more use then. Or nothing was heard
    /// within [`ProducerOptions::flush_timeout`].
    pub async fn flush(&mut self) -> Result<(), ProduceError> {
        self.settle().await?;
        self.observer.emit(true).await;
        self.settle().await
    }

    async fn settle(&self) -> Result<(), ProduceError> {
        // Not the Kafka client's own flush, which looks only every 100 ms; what lingers does so for
        // milliseconds.
        let idle = self.ledger.wait_idle();
        if tokio::time::timeout(self.options.flush_timeout, idle)
            .await
            .is_err()
        {
            return Err(ProduceError::FlushTimeout {
                waited: self.options.flush_timeout,
                in_flight: self.ledger.in_flight(),
                said: self.producer.last_error(),
            });
        }
        self.ledger.check_failed()
    }

    /// What was sent, acknowledged and refused so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.ledger.counts()
    }

    /// The counts for another task to look at, such as a progress bar.
    #[must_use]
    pub fn counts_view(&self) -> CountsView {
        CountsView::new(Arc::clone(&self.ledger))
    }

    /// The schemas that it has loaded, to share with whoever decodes or encodes beside it.
    #[must_use]
    pub const fn schemas(&self) -> &Arc<SchemaCache> {
        &self.schemas
    }
}

impl Drop for MeshProducer {
    fn drop(&mut self) {
        self.ticking.cancel();
    }
}

fn headers<'a>(
    all: &'a [(&'a str, &'a [u8])],
) -> impl Iterator<Item = Header<'a>> + Clone + use<'a> {
    all.iter().map(|(key, value)| Header {
        key: key.as_bytes(),
        value: Some(value),
    })
}

/// Text and bytes of headers, as the Kafka client takes them; names are text since all of them came
/// as such.
fn collect<'a, 'b>(
    headers: impl Iterator<Item = Header<'a>>,
    few: &'b mut [(&'a str, &'a [u8]); FEW_HEADERS],
    many: &'b mut Vec<(&'a str, &'a [u8])>,
) -> &'b [(&'a str, &'a [u8])] {
    let mut count = 0;
    for header in headers {
        let Ok(name) = std::str::from_utf8(header.key) else {
            continue;
        };
        let pair = (name, header.value.unwrap_or_default());
        match few.get_mut(count) {
            Some(place) if many.is_empty() => *place = pair,
            _ => {
                if many.is_empty() {
                    many.extend_from_slice(few);
                }
                many.push(pair);
            }
        }
        count += 1;
    }
    if many.is_empty() {
        few.get(..count).unwrap_or_default()
    } else {
        many
    }
}

/// Topics only: that is what an observation has of parents.
fn keep_parents(parents: Parents<'_>) -> Box<str> {
    parents.text().into()
}
