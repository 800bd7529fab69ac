//! From elected to writing: fence the predecessor, read all that it has written, find out which ids
//! may not be given, and say so in the log.

use std::sync::Arc;
use std::time::Duration;

use meshwork_kafka::{
    Admin, AnyMember, Assigned, From, Isolation, KafkaConfig, KafkaError, LogReader, ReaderOptions,
    TransactionError, TransactionalOptions, TransactionalProducer,
};

use super::taken::Taken;
use crate::decide::{mend, own_record};
use crate::election::{Lease, group_of};
use crate::record::Record;
use crate::refusal::Refusal;
use crate::shared::Shared;
use crate::state::LogWriter;
use crate::subject::DEFAULT_CONTEXT;

/// When the broker aborts what a dead writer left open, if no successor does so before.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// What a commit may take. librdkafka gives up on a lost broker only after the transaction's own
/// time-out; opening anew is quicker, and settles what became of it.
const COMMIT: Duration = Duration::from_secs(5);

/// Limit for one question to Kafka.
const ASK: Duration = Duration::from_secs(10);

/// What a batch of one record and our headers add to key and value, bytes, with room to spare.
const OVERHEAD: usize = 2_048;

/// Longest wait for the next records of a scan; only how soon trouble is seen depends on it.
const WAIT: Duration = Duration::from_secs(1);

/// Group of the instances of Confluent's registry and of Karapace.
const OTHERS: &str = "schema-registry";

/// Limit for looking whether there are any.
const LOOK: Duration = Duration::from_secs(3);

/// How often a writer looks whether instances of another registry have come up. The first time at
/// once: one that was elected over there in the meantime has seen nothing of us.
const LOOK_AROUND: Duration = Duration::from_secs(10);

/// After so many looks the client is made anew, so that one that has failed for good is no blindness.
const LOOKS_BY_ONE_CLIENT: usize = 360;

/// Most of their instances that a message names.
const NAMED: usize = 5;

/// Why an elected instance does not write.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// It must not.
    #[error("{0}")]
    Refused(Arc<str>),
    #[error("the group has elected another instance by now")]
    NotElected,
    #[error("the transactional producer can't be opened: {0}")]
    Producer(#[from] TransactionError),
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    #[error(transparent)]
    State(#[from] Refusal),
    #[error(
        "{topic} was not read to offset {end} within {waited:?}: Kafka is slow, or an open transaction of somebody else holds it back (kafka-transactions.sh --bootstrap-server <address> find-hanging)"
    )]
    Behind {
        topic: String,
        end: i64,
        waited: Duration,
    },
}

/// What a writer has in hand.
pub(super) struct Office {
    pub(super) producer: TransactionalProducer,
    pub(super) taken: Taken,
    /// Up to here aborted records have been looked at.
    scanned_to: i64,
    /// Foreign records from here on mean that somebody else writes.
    pub(super) since: i64,
}

pub(super) async fn take_over(
    kafka: &KafkaConfig,
    shared: &Shared,
    lease: &Lease,
) -> Result<Office, Failure> {
    let config = &shared.config;
    // Opening the producer fences whoever writes: only the rightful one may.
    if !lease.ask().await {
        return Err(Failure::NotElected);
    }
    let admin = Admin::new(kafka)?.with_timeout(ASK);
    match others(&admin, shared).await {
        Ok(Some(why)) => return Err(Failure::Refused(why)),
        Ok(None) => {}
        // Where one of ours wrote last, a broker that can't say must not keep the next one away: it
        // goes on looking.
        Err(error) if shared.log_writer.borrow().is_none() => return Err(error.into()),
        Err(error) => tracing::warn!(%error, "registry could not look for other registries"),
    }
    // From here on no other instance can write, and nothing of theirs is open any more.
    let options = TransactionalOptions {
        open_within: ASK,
        // Half of the time is left for reading back.
        commit_within: COMMIT.min(config.write_timeout.get() / 2),
        transaction_timeout: TRANSACTION_TIMEOUT,
    };
    let producer = TransactionalProducer::open(kafka, &group_of(&config.topic), options).await?;
    shared.limit_records(limit_of(&admin, &config.topic).await?);
    let end = end_of(&admin, &config.topic).await?;
    let limit = config.startup_timeout.get();
    if end > 0 {
        tokio::time::timeout(limit, shared.applied(end - 1))
            .await
            .map_err(|_| Failure::Behind {
                topic: config.topic.clone(),
                end,
                waited: limit,
            })?;
    }
    let scanned = shared
        .log_writer
        .borrow()
        .as_ref()
        .and_then(|writer| writer.scanned_to);
    if let Some(scanned) = scanned
        && let Some(foreign) = shared.foreign_since(scanned)
        && !config.force_takeover
    {
        return Err(Failure::Refused(foreign_writer(&config.topic, foreign)));
    }
    // A log that ends before was made anew.
    let taken = scan(kafka, &config.topic, scanned.filter(|from| *from <= end)).await?;
    let office = Office {
        producer,
        taken,
        scanned_to: end,
        since: end,
    };
    office.affirm(shared).await?;
    Ok(office)
}

impl Office {
    /// Writes down who writes from here on, and above which ids.
    pub(super) async fn affirm(&self, shared: &Shared) -> Result<(), Failure> {
        let records = election(shared, &self.taken, self.scanned_to)?
            .iter()
            .map(|record| super::worker::out(shared, record, None))
            .collect();
        let delivered = self.producer.commit_all(records).await?;
        let Some(last) = delivered.last() else {
            return Ok(());
        };
        let waited = shared.config.write_timeout.get() / 2;
        tokio::time::timeout(waited, shared.applied(last.offset))
            .await
            .map_err(|_| Failure::Behind {
                topic: shared.config.topic.clone(),
                end: last.offset + 1,
                waited,
            })
    }
}

/// What the writer says when somebody else's records appear.
pub(super) fn foreign_writer(topic: &str, offset: i64) -> Arc<str> {
    format!(
        "another registry wrote to {topic} (record at offset {offset}); two writers give one id twice, so this one has stopped writing. Stop the other one, then restart with --force-takeover"
    )
    .into()
}

/// Others' registries elect their writer among the members of a group: while there are any, they
/// may write. What is to be said of them, where there are.
async fn others(admin: &Admin, shared: &Shared) -> Result<Option<Arc<str>>, KafkaError> {
    if shared.config.force_takeover {
        return Ok(None);
    }
    let members = admin.with_timeout(LOOK).members_of_any_kind(OTHERS).await?;
    let named: Vec<String> = members.iter().take(NAMED).map(name_of).collect();
    if named.is_empty() {
        return Ok(None);
    }
    Ok(Some(
        format!(
            "{} instance(s) of another registry are members of consumer group {OTHERS} and may write to {}: {}; stop them, or start with --force-takeover where they are none of this topic's",
            members.len(),
            shared.config.topic,
            named.join(", ")
        )
        .into(),
    ))
}

/// Looks for instances of another registry until there are some: what is to be said of them. On its
/// own, because a broker that hangs takes seconds each time.
pub(super) async fn look_out(kafka: KafkaConfig, shared: Arc<Shared>) -> Arc<str> {
    loop {
        if let Ok(admin) = Admin::new(&kafka) {
            for _ in 0..LOOKS_BY_ONE_CLIENT {
                // Kafka can't say now and then; the fence holds all the same.
                if let Ok(Some(why)) = others(&admin, &shared).await {
                    return why;
                }
                tokio::time::sleep(LOOK_AROUND).await;
            }
        }
        tokio::time::sleep(LOOK_AROUND).await;
    }
}

/// The address that a member gives in the election, else where it connects from.
fn name_of(member: &AnyMember) -> String {
    #[derive(serde::Deserialize)]
    struct Candidate {
        scheme: Option<String>,
        host: String,
        port: u16,
    }
    match serde_json::from_slice::<Candidate>(&member.metadata) {
        Ok(Candidate { scheme, host, port }) => {
            format!("{}://{host}:{port}", scheme.as_deref().unwrap_or("http"))
        }
        Err(_) => format!("{} ({})", member.client_id, member.host),
    }
}

/// Largest record, key and value, that the topic takes (`max.message.bytes`, less what a batch and
/// our headers add).
async fn limit_of(admin: &Admin, topic: &str) -> Result<usize, KafkaError> {
    let configs = admin.topic_configs(topic).await?;
    let limit = configs
        .get("max.message.bytes")
        .and_then(|config| config.value.as_ref()?.parse::<usize>().ok());
    Ok(limit.map_or(usize::MAX, |bytes| bytes.saturating_sub(OVERHEAD)))
}

async fn end_of(admin: &Admin, topic: &str) -> Result<i64, KafkaError> {
    let ends = admin
        .end_offsets(&[(topic.to_owned(), 0)], Isolation::ReadUncommitted)
        .await?;
    Ok(ends.first().and_then(|end| end.offset).unwrap_or(0))
}

/// Reads what was written since the last election, aborted records included: an id that one of
/// those holds must not be given again. A log that does not reach there any more is read whole.
async fn scan(kafka: &KafkaConfig, topic: &str, from: Option<i64>) -> Result<Taken, KafkaError> {
    match scan_from(kafka, topic, from.map_or(From::Beginning, From::Offset)).await {
        Err(KafkaError::OffsetOutOfRange { .. }) => scan_from(kafka, topic, From::Beginning).await,
        scanned => scanned,
    }
}

async fn scan_from(kafka: &KafkaConfig, topic: &str, from: From) -> Result<Taken, KafkaError> {
    let log = Assigned {
        topic: topic.to_owned(),
        partition: 0,
        from,
    };
    let options = ReaderOptions {
        read_committed: false,
        ..ReaderOptions::default()
    };
    let mut reader = LogReader::start(kafka, vec![log], options)?;
    let mut taken = Taken::default();
    loop {
        let batch = reader.next(WAIT).await?;
        for record in &batch.records {
            if let Some(key) = &record.key {
                taken.note(key, record.value.as_deref());
            }
        }
        if batch.caught_up {
            return Ok(taken);
        }
    }
}

/// The records that say who writes from here on, and above which ids.
fn election(shared: &Shared, taken: &Taken, scanned_to: i64) -> Result<Vec<Record>, Refusal> {
    let writer = LogWriter {
        url: Some(shared.url.clone()),
        instance: Some(shared.instance.to_string()),
        scanned_to: Some(scanned_to),
        offset: -1,
    };
    shared.read(|state| {
        let mut records = mend(state)?;
        let marks = taken
            .by_context()
            .filter(|(context, _)| *context != DEFAULT_CONTEXT)
            .chain([(DEFAULT_CONTEXT, taken.of(DEFAULT_CONTEXT))]);
        for (context, id) in marks {
            let greatest = state.greatest_id(context)?;
            if context != DEFAULT_CONTEXT && id <= greatest {
                continue;
            }
            let (key, value) = own_record(context, greatest.max(id), Some(writer.clone()));
            records.push(Record {
                key: key.to_bytes(),
                value: Some(value),
            });
        }
        Ok(records)
    })
}
