//! The demo's consumer group: joins each departure with the weather of its hour and airport. It
//! decodes as a stock client does, with `schema_registry_converter`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use apache_avro::types::Value;
use meshwork_kafka::{GroupConsumer, GroupOptions, InRecord, KafkaConfig};
use parking_lot::Mutex;
use schema_registry_converter::async_impl::avro::AvroDecoder;
use schema_registry_converter::async_impl::schema_registry::SrSettings;
use tokio_util::sync::CancellationToken;

/// The group's name.
pub const GROUP: &str = "flight-weather";

/// What has been read and joined so far; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Joined {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// Hour and airport of each departure, by its key.
    departures: HashMap<Vec<u8>, (String, i64)>,
    /// Airports and hours with a row of weather.
    weather: HashSet<(String, i64)>,
}

impl Joined {
    /// Distinct departures read.
    #[must_use]
    pub fn departures(&self) -> usize {
        self.state.lock().departures.len()
    }

    /// Distinct rows of weather read.
    #[must_use]
    pub fn weather(&self) -> usize {
        self.state.lock().weather.len()
    }

    /// Distinct departures that have a row of weather.
    #[must_use]
    pub fn joined(&self) -> usize {
        let state = self.state.lock();
        state
            .departures
            .values()
            .filter(|at| state.weather.contains(*at))
            .count()
    }
}

/// Reads both products in a consumer group until `shutdown`. Nothing is committed: the joined state
/// is in memory, so a new member begins again with the first record.
///
/// # Errors
/// A topic that can't be read, or a record that does not decode.
pub async fn run(
    kafka: &KafkaConfig,
    registry_url: &str,
    departures: &str,
    weather: &str,
    joined: &Joined,
    shutdown: CancellationToken,
) -> Result<()> {
    let config = KafkaConfig {
        client_id: format!("{GROUP}-1"),
        ..kafka.clone()
    };
    let decoder = AvroDecoder::new(SrSettings::new(registry_url.to_owned()));
    let options = GroupOptions {
        session_timeout: Duration::from_secs(10),
        ..GroupOptions::default()
    };
    let mut group = GroupConsumer::subscribe(&config, GROUP, &[departures, weather], options)?;
    while !shutdown.is_cancelled() {
        let batch = tokio::select! {
            () = shutdown.cancelled() => break,
            batch = group.next(Duration::from_millis(500)) => batch?,
        };
        for record in batch.records {
            take(&decoder, &record, weather, joined)
                .await
                .with_context(|| {
                    format!("{}@{}:{}", record.topic, record.partition, record.offset)
                })?;
        }
    }
    group.close().await;
    Ok(())
}

async fn take(
    decoder: &AvroDecoder,
    record: &InRecord,
    weather: &str,
    joined: &Joined,
) -> Result<()> {
    let value = decoder.decode(record.value.as_deref()).await?.value;
    let at = origin_and_hour(&value).context("neither a departure nor weather")?;
    let mut state = joined.state.lock();
    if &*record.topic == weather {
        state.weather.insert(at);
    } else {
        let key = record
            .key
            .as_ref()
            .map(|key| key.to_vec())
            .unwrap_or_default();
        state.departures.insert(key, at);
    }
    Ok(())
}

fn origin_and_hour(value: &Value) -> Option<(String, i64)> {
    let Value::Record(fields) = value else {
        return None;
    };
    let field = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| v);
    let Value::String(origin) = field("origin")? else {
        return None;
    };
    match field("time_hour")? {
        Value::TimestampMillis(hour) | Value::Long(hour) => Some((origin.clone(), *hour)),
        _ => None,
    }
}
