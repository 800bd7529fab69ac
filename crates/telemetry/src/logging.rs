//! Logs to standard error, and traces by OTLP when an endpoint is set.

use std::fmt;
use std::io::IsTerminal as _;
use std::str::FromStr;
use std::sync::Arc;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

impl FromStr for LogFormat {
    type Err = TelemetryError;

    fn from_str(text: &str) -> Result<Self, TelemetryError> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(TelemetryError::Format(text.to_owned())),
        }
    }
}

/// Logs and traces of the process.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoggingConfig {
    /// Which lines are logged, as `tracing` directives: `info`, or `warn,meshwork_registry=debug`.
    pub level: String,
    /// `text` for people, `json` for machines.
    pub format: LogFormat,
    /// Where traces go: the base URL of an OTLP/HTTP collector, such as `http://127.0.0.1:4318`.
    /// Absent: no traces are made.
    pub otlp_endpoint: Option<String>,
}

impl Default for LoggingConfig {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Text,
            otlp_endpoint: None,
        }
    }
}

/// Logs or traces that can't be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// A level that is no directive.
    #[error(
        "log level `{0}` is not understood: use error, warn, info, debug, trace, or target=level pairs"
    )]
    Level(String),
    /// A format that is neither.
    #[error("log format `{0}` is not known: use text or json")]
    Format(String),
    /// The OTLP exporter refuses its endpoint.
    #[error("traces can't be sent to `{endpoint}`: give the base URL of an OTLP/HTTP collector")]
    Otlp {
        /// As configured.
        endpoint: String,
        /// The exporter's own words.
        #[source]
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// Something else of this process set up logging first.
    #[error("logging is set up already")]
    Already(#[source] tracing_subscriber::util::TryInitError),
}

type SetLevel = dyn Fn(&str) -> Result<(), TelemetryError> + Send + Sync;

/// Changes the log level of the running process, and flushes traces at its end.
#[derive(Clone)]
pub struct LogControl {
    set: Arc<SetLevel>,
    level: Arc<parking_lot::Mutex<String>>,
    traces: Option<SdkTracerProvider>,
}

impl fmt::Debug for LogControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogControl")
            .field("level", &self.level())
            .finish_non_exhaustive()
    }
}

impl LogControl {
    /// The level in force.
    #[must_use]
    pub fn level(&self) -> String {
        self.level.lock().clone()
    }

    /// Changes it.
    ///
    /// # Errors
    /// Not a directive ([`TelemetryError::Level`]).
    pub fn set_level(&self, level: &str) -> Result<(), TelemetryError> {
        (self.set)(level)?;
        level.clone_into(&mut self.level.lock());
        Ok(())
    }

    /// Sends the traces that are still held; call once at the end of the process.
    pub fn flush(&self) {
        if let Some(traces) = &self.traces
            && let Err(error) = traces.shutdown()
        {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

/// Sets logging and tracing up for the process. `service` names it in traces (`service.name`).
///
/// # Errors
/// A level, format or endpoint that is not understood, or a second call.
pub fn init(config: &LoggingConfig, service: &str) -> Result<LogControl, TelemetryError> {
    let parse = |level: &str| {
        EnvFilter::try_new(level).map_err(|_| TelemetryError::Level(level.to_owned()))
    };
    let (filter, handle) = reload::Layer::new(parse(&config.level)?);
    let lines: Box<dyn Layer<_> + Send + Sync> = match config.format {
        LogFormat::Text => Box::new(
            tracing_subscriber::fmt::layer()
                .with_ansi(has_colours())
                .with_writer(std::io::stderr),
        ),
        LogFormat::Json => Box::new(
            tracing_subscriber::fmt::layer()
                .json()
                .with_writer(std::io::stderr),
        ),
    };
    let traces = config
        .otlp_endpoint
        .as_deref()
        .map(|e| exporter(e, service))
        .transpose()?;
    let spans = traces
        .as_ref()
        .map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("meshwork")));
    Registry::default()
        .with(filter)
        .with(spans)
        .with(lines)
        .try_init()
        .map_err(TelemetryError::Already)?;
    Ok(LogControl {
        set: Arc::new(move |level| {
            let filter = parse(level)?;
            // Fails only if the subscriber is gone, and it lives as long as the process.
            let _ = handle.reload(filter);
            Ok(())
        }),
        level: Arc::new(parking_lot::Mutex::new(config.level.clone())),
        traces,
    })
}

/// Whether log lines are coloured: only for people at a terminal who have not said no
/// (<https://no-color.org>).
fn has_colours() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|said| !said.is_empty());
    std::io::stderr().is_terminal() && !refused
}

fn exporter(endpoint: &str, service: &str) -> Result<SdkTracerProvider, TelemetryError> {
    let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(url)
        .build()
        .map_err(|source| TelemetryError::Otlp {
            endpoint: endpoint.to_owned(),
            source,
        })?;
    let resource = Resource::builder()
        .with_service_name(service.to_owned())
        .build();
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource)
        .build())
}
