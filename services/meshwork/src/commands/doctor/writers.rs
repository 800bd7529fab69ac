//! Who writes the registry's topic: one elected Meshwork registry, or others beside it.

use std::time::{Duration, Instant};

use meshwork_kafka::{
    Admin, Assigned, From, InRecord, Isolation, KafkaError, LogReader, ReaderOptions,
};
use meshwork_model::text::counted;
use meshwork_model::time::Timestamp;
use meshwork_registry::record::OWN_HEADER;
use serde_json::Value;

use super::report::{Code, Finding};
use crate::config::Config;

/// The consumer group in which Confluent's registry and Karapace elect their leader.
const OTHERS: &str = "schema-registry";

/// Key of the record by which a Meshwork registry says that it was elected.
const ELECTION: &[u8] = br#"{"keytype":"NOOP","subject":"__meshwork","magic":0}"#;

/// Records before the end that are read first; ten times as many each time until an election is
/// among them.
const WINDOW: i64 = 10_000;

/// Longest time for one window.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn check(admin: &Admin, config: &Config, findings: &mut Vec<Finding>) {
    let topic = &config.registry.service.topic;
    match admin.topic(topic).await {
        Ok(Some(_)) => {}
        // Told with the control topics.
        Ok(None) | Err(_) => return,
    }
    let looked = async {
        let election = since_election(admin, config, topic).await?;
        let members = admin.members_of_any_kind(OTHERS).await?;
        let names: Vec<String> = members
            .iter()
            .map(|member| registry_of(&member.metadata).unwrap_or_else(|| member.host.clone()))
            .collect();
        Ok::<_, KafkaError>((election, names))
    };
    match looked.await {
        Ok((election, members)) => findings.extend(judge(topic, &election, &members)),
        Err(error) => findings.push(Finding::warning(
            Code::TwoWriters,
            topic,
            format!("can't be seen: {error}"),
            "the user needs READ on the topic and DESCRIBE on the group schema-registry",
        )),
    }
}

/// `host:port` from what a registry says of itself when it joins.
fn registry_of(metadata: &[u8]) -> Option<String> {
    let identity: Value = serde_json::from_slice(metadata).ok()?;
    let host = identity.get("host")?.as_str()?;
    let port = identity.get("port")?.as_u64()?;
    Some(format!("{host}:{port}"))
}

/// What is behind the newest election, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct SinceElection {
    /// Offset, and the URL that it names.
    elected: Option<(i64, String)>,
    /// Records behind it that are not Meshwork's.
    foreign: u64,
    /// The first of them: offset, key, time.
    first: Option<(i64, String, Option<Timestamp>)>,
}

impl SinceElection {
    fn see(&mut self, record: &InRecord) {
        let own = record.header(OWN_HEADER).is_some();
        if own && record.key.as_deref() == Some(ELECTION) {
            let value = record.value.as_deref().unwrap_or_default();
            let url = serde_json::from_slice::<Value>(value)
                .ok()
                .and_then(|value| Some(value.get("url")?.as_str()?.to_owned()));
            *self = Self {
                elected: Some((record.offset, url.unwrap_or_else(|| "unnamed".to_owned()))),
                ..Self::default()
            };
        } else if !own {
            self.foreign += 1;
            self.first.get_or_insert_with(|| {
                let key = record.key.as_deref().unwrap_or_default();
                let key: String = String::from_utf8_lossy(key).chars().take(200).collect();
                (record.offset, key, record.timestamp)
            });
        }
    }
}

async fn since_election(
    admin: &Admin,
    config: &Config,
    topic: &str,
) -> Result<SinceElection, KafkaError> {
    let partition = [(topic.to_owned(), 0)];
    let offset_of = |found: Vec<meshwork_kafka::PartitionOffset>| {
        found.first().and_then(|p| p.offset).unwrap_or_default()
    };
    let start = offset_of(admin.start_offsets(&partition).await?);
    let end = offset_of(
        admin
            .end_offsets(&partition, Isolation::ReadCommitted)
            .await?,
    );
    let mut window = WINDOW;
    loop {
        let from = start.max(end - window);
        let since = read(config, topic, from, end).await?;
        if since.elected.is_some() || from == start {
            return Ok(since);
        }
        window = window.saturating_mul(10);
    }
}

async fn read(
    config: &Config,
    topic: &str,
    from: i64,
    end: i64,
) -> Result<SinceElection, KafkaError> {
    let mut since = SinceElection::default();
    if from >= end {
        return Ok(since);
    }
    let assigned = Assigned {
        topic: topic.to_owned(),
        partition: 0,
        from: From::Offset(from),
    };
    let mut reader = LogReader::start(&config.kafka, vec![assigned], ReaderOptions::default())?;
    let started = Instant::now();
    loop {
        let batch = reader.next(Duration::from_secs(1)).await?;
        for record in &batch.records {
            since.see(record);
        }
        let reached = batch.positions.iter().any(|(_, position)| *position >= end);
        if reached || batch.caught_up {
            return Ok(since);
        }
        if started.elapsed() > PATIENCE {
            return Err(KafkaError::Unreachable {
                what: format!("read {topic} from offset {from} to {end}"),
                bootstrap_servers: config.kafka.bootstrap_servers.clone(),
                waited: started.elapsed(),
                said: batch.trouble.map(|t| t.said).unwrap_or_default(),
            });
        }
    }
}

fn judge(topic: &str, since: &SinceElection, members: &[String]) -> Vec<Finding> {
    let Some((offset, url)) = &since.elected else {
        let by = if members.is_empty() {
            "no registry has been elected here yet".to_owned()
        } else {
            format!(
                "another registry writes it ({}); Meshwork's would only read",
                members.join(", ")
            )
        };
        return vec![Finding::ok(Code::TwoWriters, topic, by)];
    };
    let mut findings = Vec::new();
    if !members.is_empty() {
        findings.push(Finding::error(
            Code::TwoWriters,
            format!("consumer group {OTHERS}"),
            format!(
                "{} runs beside Meshwork's registry at {url}: both may write {topic}, and give one \
                 id to two schemas",
                members.join(", ")
            ),
            "stop all but one; while both run, Meshwork's refuses to write",
        ));
    }
    if let Some((first, key, at)) = &since.first {
        let when = at.map(|at| format!(" at {at}")).unwrap_or_default();
        findings.push(Finding::error(
            Code::TwoWriters,
            format!("{topic} offset {first}"),
            format!(
                "{} of others, written after Meshwork's writer at {url} was elected (offset \
                 {offset}); the first has key {key}{when}",
                counted(since.foreign, "record")
            ),
            "find who wrote them (another registry, or a tool) and stop it; then restart \
             Meshwork's writer, which takes what they say into account, with --force-takeover \
             where it refuses",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(
            Code::TwoWriters,
            topic,
            format!("one writer, {url}, elected at offset {offset}"),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::report::State;

    #[test]
    fn others_are_named_as_they_name_themselves() {
        let metadata = br#"{"host":"sr1","port":8081,"master_eligibility":true,"version":1}"#;
        assert_eq!(registry_of(metadata).as_deref(), Some("sr1:8081"));
        assert_eq!(registry_of(b"\x00\x01"), None);
    }

    #[test]
    fn two_writers_need_an_election_of_ours() {
        let none = SinceElection {
            foreign: 5,
            ..SinceElection::default()
        };
        let states = |since: &SinceElection, members: &[&str]| {
            let members: Vec<String> = members.iter().map(|m| (*m).to_owned()).collect();
            let found = judge("_schemas", since, &members);
            found.iter().map(|f| f.state).collect::<Vec<_>>()
        };
        assert_eq!(states(&none, &["sr1:8081"]), [State::Ok]);
        let elected = SinceElection {
            elected: Some((7, "http://a:8081".to_owned())),
            ..SinceElection::default()
        };
        assert_eq!(states(&elected, &[]), [State::Ok]);
        let foreign = SinceElection {
            foreign: 2,
            first: Some((9, "{}".to_owned(), None)),
            ..elected
        };
        assert_eq!(states(&foreign, &["sr1:8081"]), [State::Error; 2]);
    }
}
