//! `meshwork slo status|watch`.

use std::io::Write as _;
use std::time::Duration;

use meshwork_freshness::SloView;
use meshwork_kafka::From as ReadFrom;
use meshwork_model::mesh::alert::AlertState;
use meshwork_model::mesh::slice::SliceState;
use meshwork_model::mesh::{SloAlert, SloStatus};
use meshwork_model::topic::ControlTopic;
use meshwork_registry_client::RegistryClient;

use super::Exit;
use super::api::Api;
use super::names::selects;
use super::topics::Topic;
use crate::args::{LookArgs, SloCommand};
use crate::config::Config;
use crate::output::{Listing, duration_in_words};

/// How often a watch looks whether it is to end.
const LOOK: Duration = Duration::from_millis(500);

pub(crate) async fn run(command: SloCommand, mut config: Config) -> anyhow::Result<Exit> {
    match command {
        SloCommand::Status { name, look } => {
            config.connect(&look.connect)?;
            status(name.as_deref(), &look, &config).await?;
        }
        SloCommand::Watch {
            name,
            count,
            connect,
        } => {
            config.connect(&connect)?;
            watch(name.as_deref(), count, &config).await?;
        }
    }
    Ok(Exit::Done)
}

async fn status(name: Option<&str>, look: &LookArgs, config: &Config) -> anyhow::Result<()> {
    let mut all: Vec<SloView> = if look.from_topics {
        let registry = RegistryClient::new(&config.registry_client())?;
        let topic = Topic::<SloStatus>::open(
            config,
            &registry,
            ControlTopic::SloStatus,
            ReadFrom::Beginning,
        )
        .await?;
        topic
            .latest()
            .await?
            .into_values()
            .map(SloView::from)
            .collect()
    } else {
        Api::new(look, config)?.get("/v1/slos", &[]).await?
    };
    all.retain(|s| s.urn.parse().is_ok_and(|urn| selects(name, &urn)));
    all.sort_by(|a, b| a.slo.cmp(&b.slo));
    Listing {
        heads: &[
            "SLO",
            "STATE",
            "AGE",
            "WITHIN",
            "BUDGET LEFT",
            "ALERT",
            "AS OF",
            "GOOD",
            "BAD",
            "QUIET",
            "UNMEASURABLE",
            "OWNER",
        ],
        wide_from: 7,
        items: &all,
        cells: |s: &SloView| {
            vec![
                s.slo.clone(),
                state_in_words(s.state).to_owned(),
                s.lag_ms.map_or_else(|| "-".to_owned(), duration_in_words),
                duration_in_words(s.within_ms),
                budget(s.budget_left_millionths, s.budget_millionths),
                alert_in_words(s.alert).to_owned(),
                s.as_of.to_string(),
                s.good.to_string(),
                s.bad.to_string(),
                s.expected_quiet.to_string(),
                s.unmeasurable.to_string(),
                s.owner.clone(),
            ]
        },
        name: |s: &SloView| s.slo.clone(),
    }
    .print(look.output)
}

async fn watch(name: Option<&str>, count: Option<u64>, config: &Config) -> anyhow::Result<()> {
    let registry = RegistryClient::new(&config.registry_client())?;
    let mut statuses = Topic::<SloStatus>::open(
        config,
        &registry,
        ControlTopic::SloStatus,
        ReadFrom::Beginning,
    )
    .await?;
    let mut alerts =
        Topic::<SloAlert>::open(config, &registry, ControlTopic::SloAlerts, ReadFrom::End).await?;
    let mut known = std::collections::BTreeMap::new();
    let mut left = count.unwrap_or(u64::MAX);
    while left > 0 {
        let lines: Vec<String> = tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            next = statuses.next(LOOK) => next?.0.into_iter().filter_map(|(_, s)| s)
                .filter(|s| selects(name, &s.urn))
                .filter(|s| known.insert(s.slo.clone(), s.state) != Some(s.state))
                .map(|s| line_of_status(&s)).collect(),
            next = alerts.next(LOOK) => next?.0.into_iter().filter_map(|(_, a)| a)
                .filter(|a| selects(name, &a.urn)).map(|a| line_of_alert(&a)).collect(),
        };
        let mut stdout = std::io::stdout().lock();
        for line in lines {
            if left == 0 {
                break;
            }
            writeln!(stdout, "{line}")?;
            left -= 1;
        }
        stdout.flush()?;
    }
    Ok(())
}

fn line_of_status(s: &SloStatus) -> String {
    let age = s
        .lag_ms
        .map(|ms| format!(", {} old", duration_in_words(ms)))
        .unwrap_or_default();
    let left = budget(s.budget_left_millionths, s.budget_millionths);
    format!(
        "{} {} {}{age}, budget left {}",
        s.as_of,
        s.slo,
        state_in_words(s.state),
        left
    )
}

fn line_of_alert(a: &SloAlert) -> String {
    let reason = a
        .reason
        .as_ref()
        .map(|r| format!(" ({r})"))
        .unwrap_or_default();
    format!(
        "{} {} ALERT {}{reason}: rule {}, since {}, owner {}",
        a.at,
        a.slo,
        alert_in_words(a.state),
        a.rule,
        a.fired_at,
        a.owner
    )
}

fn state_in_words(state: SliceState) -> &'static str {
    match state {
        SliceState::Good => "good",
        SliceState::Bad => "late",
        SliceState::ExpectedQuiet => "quiet",
        SliceState::Unmeasurable => "unmeasurable",
    }
}

fn alert_in_words(state: AlertState) -> &'static str {
    match state {
        AlertState::Quiet => "-",
        AlertState::Firing => "firing",
        AlertState::Frozen => "frozen",
        AlertState::Resolved => "resolved",
    }
}

/// Share of the budget that is left, cut and not rounded.
fn budget(left: i64, whole: i64) -> String {
    if whole <= 0 {
        return "-".to_owned();
    }
    let hundredths = i128::from(left) * 10_000 / i128::from(whole);
    let sign = if hundredths < 0 { "-" } else { "" };
    format!(
        "{sign}{}.{:02} %",
        hundredths.abs() / 100,
        hundredths.abs() % 100
    )
}
