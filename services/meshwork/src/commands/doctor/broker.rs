//! What the brokers say: whether they answer, and how they keep the mesh's own topics.

use std::time::Duration;

use meshwork_kafka::{Admin, Cluster, ConfigValue, KafkaError, TopicInfo};
use meshwork_model::text::counted;
use meshwork_model::time::{Clock as _, WallClock};
use meshwork_model::topic::ControlTopic;

use super::report::{Code, Finding};
use crate::config::Config;

/// Longest wait for one answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How far ahead of this clock a record may be stamped. A minute is beyond what machines that keep
/// time at all differ by.
const AHEAD_MS: i64 = 60_000;

/// Replicas that a topic should have where there are brokers enough.
const REPLICAS: usize = 3;

/// The cluster, if it answers.
///
/// # Errors
/// A configuration that librdkafka refuses.
pub(super) async fn reachable(
    admin: &Admin,
    config: &Config,
    findings: &mut Vec<Finding>,
) -> anyhow::Result<Option<Cluster>> {
    let place = &config.kafka.bootstrap_servers;
    match admin.cluster().await {
        Ok(cluster) => {
            let id = cluster.cluster_id.as_deref().unwrap_or("without an id");
            findings.push(Finding::ok(
                Code::NoBroker,
                place,
                format!(
                    "{} in cluster {id}",
                    counted(cluster.brokers.len(), "broker")
                ),
            ));
            Ok(Some(cluster))
        }
        Err(error @ KafkaError::Config { .. }) => Err(error.into()),
        Err(error) => {
            findings.push(Finding::error(
                Code::NoBroker,
                place,
                error.to_string(),
                "start the brokers, or say where they are with --bootstrap-server; TLS and SASL \
                 are set by -X security.protocol=… and --command-config",
            ));
            Ok(None)
        }
    }
}

/// The name under which this set-up keeps a control topic.
fn name_of(topic: ControlTopic, schemas: &str) -> String {
    match topic {
        ControlTopic::Schemas => schemas.to_owned(),
        other => other.name().to_owned(),
    }
}

/// Cleanup policies of all control topics, and how the registry's is laid out.
pub(super) async fn control_topics(
    admin: &Admin,
    schemas: &str,
    brokers: usize,
    findings: &mut Vec<Finding>,
) {
    let mut missing = Vec::new();
    for topic in ControlTopic::ALL {
        let name = name_of(topic, schemas);
        match look(admin, &name).await {
            Ok(None) => missing.push(name),
            Ok(Some(looked)) => {
                findings.push(cleanup(topic, &name, &looked));
                if topic == ControlTopic::Schemas {
                    findings.push(layout(&name, &looked, brokers));
                }
            }
            Err(error) => findings.push(Finding::error(
                Code::ControlTopic,
                name,
                error.to_string(),
                "the topic can't be looked at: the user needs DESCRIBE and DESCRIBE_CONFIGS on it",
            )),
        }
    }
    if !missing.is_empty() {
        findings.push(Finding::ok(
            Code::ControlTopic,
            missing.join(", "),
            "not there yet; each is made by the role that writes it",
        ));
    }
}

/// A topic and its settings.
struct Looked {
    info: TopicInfo,
    configs: std::collections::BTreeMap<String, ConfigValue>,
}

impl Looked {
    fn setting(&self, key: &str) -> Option<&str> {
        self.configs.get(key)?.value.as_deref()
    }
}

async fn look(admin: &Admin, name: &str) -> Result<Option<Looked>, KafkaError> {
    let Some(info) = admin.topic(name).await? else {
        return Ok(None);
    };
    let configs = admin.topic_configs(name).await?;
    Ok(Some(Looked { info, configs }))
}

fn cleanup(topic: ControlTopic, name: &str, looked: &Looked) -> Finding {
    let wanted = topic.cleanup().policy();
    let found = looked.setting("cleanup.policy").unwrap_or_default();
    if found == wanted {
        return Finding::ok(Code::ControlTopic, name, format!("cleanup.policy={found}"));
    }
    let loss = if wanted == "compact" {
        "records older than the retention are deleted, and with them what they say"
    } else {
        "all but the last record of each key are deleted"
    };
    Finding::error(
        Code::ControlTopic,
        name,
        format!("cleanup.policy={found} must be {wanted}: {loss}"),
        format!(
            "kafka-configs.sh --bootstrap-server <address> --alter --entity-type topics \
             --entity-name {name} --add-config cleanup.policy={wanted}"
        ),
    )
}

fn layout(name: &str, looked: &Looked, brokers: usize) -> Finding {
    let info = &looked.info;
    if info.partitions != 1 {
        return Finding::error(
            Code::SchemasTopic,
            name,
            format!(
                "{} partitions: the order of changes, on which ids rest, is kept within one only",
                info.partitions
            ),
            format!(
                "stop all registries, copy the records in the order of their timestamps to a topic \
                 of one partition, and set registry.service.topic (or make {name} anew)"
            ),
        );
    }
    let wanted = brokers.min(REPLICAS);
    if info.replication < wanted {
        return Finding::warning(
            Code::SchemasTopic,
            name,
            format!(
                "{} on {brokers} brokers: if that broker is lost, so is every schema",
                counted(info.replication, "replica")
            ),
            format!("kafka-reassign-partitions.sh with {wanted} replicas for {name} partition 0"),
        );
    }
    let least = looked
        .setting("min.insync.replicas")
        .and_then(|least| least.parse::<usize>().ok())
        .unwrap_or(1);
    if info.in_sync < least {
        return Finding::error(
            Code::SchemasTopic,
            name,
            format!(
                "{} in sync and min.insync.replicas={least}: nothing can be registered",
                counted(info.in_sync, "replica")
            ),
            "start the brokers that are down; the registry goes on by itself",
        );
    }
    if info.in_sync < info.replication {
        return Finding::warning(
            Code::SchemasTopic,
            name,
            format!("{} of {} replicas in sync", info.in_sync, info.replication),
            "start the brokers that are down, or wait until they have caught up",
        );
    }
    Finding::ok(
        Code::SchemasTopic,
        name,
        format!(
            "one partition, {} in sync",
            counted(info.in_sync, "replica")
        ),
    )
}

/// Records that are stamped later than now: some writer's clock, or this one, is wrong.
pub(super) async fn newest_records(admin: &Admin, schemas: &str, findings: &mut Vec<Finding>) {
    let mut ahead = false;
    for topic in ControlTopic::ALL {
        let name = name_of(topic, schemas);
        // What can't be asked has been told already.
        let Ok(Some(info)) = admin.topic(&name).await else {
            continue;
        };
        let partitions: Vec<(String, i32)> = (0..info.partitions)
            .map(|partition| (name.clone(), partition))
            .collect();
        let Ok(newest) = admin.newest_timestamps(&partitions).await else {
            continue;
        };
        let now = WallClock.now();
        let latest = newest
            .iter()
            .filter_map(|n| Some((n.timestamp?, n)))
            .max_by_key(|n| n.0);
        if let Some((timestamp, at)) = latest
            && timestamp.millis_since(now) > AHEAD_MS
        {
            ahead = true;
            findings.push(Finding::warning(
                Code::ClockSkew,
                format!(
                    "{name} partition {} offset {}",
                    at.partition,
                    at.offset.unwrap_or_default()
                ),
                format!("a record is stamped {timestamp}, and it is {now} here"),
                "set the clock of the machine that wrote it, or of this one (chronyc tracking)",
            ));
        }
    }
    if !ahead {
        findings.push(Finding::ok(
            Code::ClockSkew,
            "control topics",
            "no record is stamped later than now",
        ));
    }
}
