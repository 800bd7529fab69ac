//! Configuration of the gateway.

use std::path::PathBuf;

use meshwork_model::units::{ByteSize, HumanDuration};
use meshwork_pipeline::OnUnavailable;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The gateway role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Stable name of this process's place; part of each observation's source. Default: the host
    /// name, with the gateway's port.
    pub instance: Option<String>,
    /// TLS for clients. Absent: they come in plain text.
    pub tls: Option<TlsConfig>,
    /// TLS to brokers. Absent: plain text. What the gateway asks and writes itself goes by
    /// `kafka.properties`, and so does whether clients are expected to log in.
    pub upstream_tls: Option<UpstreamTlsConfig>,
    /// Host that clients are told to come to. Absent: the address listened on, or this machine's
    /// name where that is every address (`0.0.0.0`).
    pub advertised_host: Option<String>,
    /// Greatest node id that is served: node N is reached at the listener's port + N, so that these
    /// ports have to be open and free. A broker with a greater id is left out of what clients see,
    /// and named in the log. Default 100.
    pub max_node_id: u16,
    /// What clients may do with topics that are no product. Default `allow`.
    pub other_topics: OtherTopics,
    /// What becomes of records whose schema is not known here while the registry can't be asked;
    /// those of known schemas go on. Default `refuse`.
    pub registry_unavailable: RegistryUnavailable,
    /// Name of all producers that come here without a login, in place of their client ids: for a
    /// sidecar that serves one application. Absent: the client id counts.
    pub producer: Option<String>,
    /// Claim of an OAuth token (JWT) that names its owner, as the brokers are told by
    /// `sasl.oauthbearer.sub.claim.name`. Default `sub`.
    pub oauth_claim: String,
    /// Most client connections. Default 5,000; more are closed at once and counted.
    pub max_connections: usize,
    /// Most client connections from one address. Default 1,000.
    pub max_connections_per_address: usize,
    /// Most requests of one connection that may wait for their answers; then no more are read from
    /// it. Default 500: stock clients keep 5, and librdkafka's unbounded pipelining is kept short.
    pub max_requests_in_flight: usize,
    /// Largest Produce request. Default 100 MiB: what a broker takes (`socket.request.max.bytes`).
    pub max_produce_bytes: ByteSize,
    /// Largest other request. Default 8 MiB: a group of thousands of members joins with less.
    pub max_request_bytes: ByteSize,
    /// Largest answer that is rewritten (Metadata of a large cluster). Others pass through in
    /// pieces, whatever their size. Default 64 MiB.
    pub max_rewritten_bytes: ByteSize,
    /// Most bytes of requests held at a time, over all connections, and a quarter of it for one
    /// client address: each waits until it has room, at most for `stalled_after`. Default 256 MiB.
    pub max_held_bytes: ByteSize,
    /// Most bytes that the records of one batch may have once decompressed. Default 64 MiB.
    pub max_decompressed_bytes: ByteSize,
    /// How long a broker may take to be connected to. Default `10s`.
    pub connect_within: HumanDuration,
    /// How long an answer may take beyond what the request itself allows (`timeout_ms`,
    /// `max_wait_ms`, `rebalance_timeout_ms`) and what the broker throttles. Default `30s`.
    pub answer_within: HumanDuration,
    /// How long a client that does not take its answers, or a broker that does not take requests,
    /// is waited for. Default `2m`.
    pub stalled_after: HumanDuration,
    /// How often the brokers' addresses and the topics' limits are asked for. Default `10s`.
    pub refresh_every: HumanDuration,
    /// How often what was seen of a partition is written to `mesh.observations`. Default `1s`.
    pub observe_every: HumanDuration,
    /// What one observation covers. Default `real-time`.
    pub span: Span,
    /// Compiled schemas kept. Default 10,000.
    pub max_schemas: usize,
    /// Ids of topics remembered. Default 100,000.
    pub max_topics: usize,
    /// One request in so many is traced, where traces go anywhere (`logging.otlp_endpoint`); 0:
    /// none. Default 1,000.
    pub trace_every: u32,
}

/// TLS at the gateway's listeners: 1.2 or 1.3. Files are read again when they change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM: the certificate, then those between it and the authority.
    pub certificate_file: PathBuf,
    /// PEM: the certificate's private key, not encrypted.
    pub key_file: PathBuf,
    /// PEM: authorities whose certificates clients show. Absent: clients are not asked for one. The
    /// broker does not see them: it sees the gateway's (`upstream_tls`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca_file: Option<PathBuf>,
    /// Whether a client may come without a certificate of `client_ca_file`. Default false.
    #[serde(default)]
    pub client_certificate_optional: bool,
    /// Name of each broker's own host, with `{node}` where its node id stands, such as
    /// `b{node}.kafka.example.com`: then all brokers are reached at the one port that clients
    /// bootstrap from, told apart by the name that a client asks for (SNI), and the certificate has
    /// to be valid for all these names. Absent: broker N is reached at the port + N.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker_name: Option<String>,
}

/// TLS from the gateway to brokers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamTlsConfig {
    /// PEM: authorities of the brokers' certificates.
    pub ca_file: PathBuf,
    /// PEM: a certificate that the gateway shows to brokers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_file: Option<PathBuf>,
    /// PEM: its private key, not encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
}

/// What one observation covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Span {
    /// What was acknowledged within `observe_every`; a record arrived when it passed.
    #[default]
    RealTime,
    /// What has its timestamp within the same minute; a record arrived at its timestamp, and the
    /// observation is stamped with the greatest. For replays under a simulated clock, whose producers
    /// stamp records with the time at which they are due.
    RecordTime,
}

impl Span {
    /// Length of a stretch of record timestamps, in milliseconds.
    pub(crate) const fn record_ms(self) -> Option<i64> {
        match self {
            Self::RealTime => None,
            Self::RecordTime => Some(60_000),
        }
    }
}

/// What clients may do with topics that are no product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OtherTopics {
    /// Records pass unlooked at.
    #[default]
    Allow,
    /// Producing is refused (`TOPIC_AUTHORIZATION_FAILED`), reading passes.
    ReadOnly,
    /// Producing is refused, and a connection that fetches from one is closed; but the mesh's own
    /// topics and quarantine can be read.
    Refuse,
}

/// What becomes of records whose schema is not known while the registry can't be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RegistryUnavailable {
    /// Their batch is put off (`NOT_ENOUGH_REPLICAS`), and the client tries again (fail-closed).
    #[default]
    Refuse,
    /// They pass unchecked, and are counted (fail-open). Not where a product's mode is `quarantine`:
    /// what passed unchecked and is refused when it comes again would leave its producer's numbers in
    /// doubt.
    Pass,
}

impl From<RegistryUnavailable> for OnUnavailable {
    fn from(setting: RegistryUnavailable) -> Self {
        match setting {
            RegistryUnavailable::Refuse => Self::Closed,
            RegistryUnavailable::Pass => Self::Open,
        }
    }
}

const MIB: u64 = 1 << 20;

impl Default for Config {
    fn default() -> Self {
        Self {
            instance: None,
            tls: None,
            upstream_tls: None,
            advertised_host: None,
            max_node_id: 100,
            other_topics: OtherTopics::default(),
            registry_unavailable: RegistryUnavailable::default(),
            producer: None,
            oauth_claim: "sub".to_owned(),
            max_connections: 5_000,
            max_connections_per_address: 1_000,
            max_requests_in_flight: 500,
            max_produce_bytes: ByteSize::from_bytes(100 * MIB),
            max_request_bytes: ByteSize::from_bytes(8 * MIB),
            max_rewritten_bytes: ByteSize::from_bytes(64 * MIB),
            max_held_bytes: ByteSize::from_bytes(256 * MIB),
            max_decompressed_bytes: ByteSize::from_bytes(64 * MIB),
            connect_within: HumanDuration::from_secs(10),
            answer_within: HumanDuration::from_secs(30),
            stalled_after: HumanDuration::from_secs(120),
            refresh_every: HumanDuration::from_secs(10),
            observe_every: HumanDuration::from_secs(1),
            span: Span::default(),
            max_schemas: 10_000,
            max_topics: 100_000,
            trace_every: 1_000,
        }
    }
}
