//! `meshwork doctor`: what is wrong with this set-up, and how to mend it. It looks and changes
//! nothing.

mod broker;
mod registry;
mod report;
mod roles;
mod writers;

use meshwork_kafka::Admin;

use super::Exit;
use crate::args::DoctorArgs;
use crate::config::Config;
use report::{Finding, State, show};

pub(crate) async fn run(args: &DoctorArgs, mut config: Config) -> anyhow::Result<Exit> {
    config.connect(&args.connect)?;
    let mut findings = Vec::new();
    let cluster = brokers(&config, &mut findings).await?;
    registry::check(&config, cluster.as_deref(), args.max_schemas, &mut findings).await?;
    roles::check(args, &config, &mut findings).await?;
    show(&findings, args.show.output)?;
    let failed = findings.iter().any(|f| f.state == State::Error);
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

/// Everything that Kafka is asked; gives the cluster's id.
async fn brokers(config: &Config, findings: &mut Vec<Finding>) -> anyhow::Result<Option<String>> {
    let admin = Admin::new(&config.kafka)?.with_timeout(broker::PATIENCE);
    let Some(cluster) = broker::reachable(&admin, config, findings).await? else {
        return Ok(None);
    };
    let topic = &config.registry.service.topic;
    broker::control_topics(&admin, topic, cluster.brokers.len(), findings).await;
    writers::check(&admin, config, findings).await;
    broker::newest_records(&admin, topic, findings).await;
    Ok(cluster.cluster_id)
}
