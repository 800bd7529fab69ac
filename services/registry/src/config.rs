//! What the registry is told.

use meshwork_model::topic::ControlTopic;
use meshwork_model::units::{ByteSize, HumanDuration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{AuthenticationConfig, Reservation, Rule, TlsConfig};

/// The registry's limits, and who it lets in. Where it listens and which Kafka it stands on are the process's matter.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Topic that holds the schemas (Confluent's `kafkastore.topic`). Default `_schemas`.
    pub topic: String,
    /// Largest request body. Default `4MiB`: a schema must fit one Kafka record, and its
    /// JSON escapes at most double it. More is answered 413.
    pub max_body_bytes: ByteSize,
    /// Largest record written to `_schemas`, key and value, in bytes. Default 990,000, a little
    /// below what a producer and a broker take (`max.message.bytes`). More is answered 422 with 42209.
    pub max_record_bytes: usize,
    /// Limit for answering one request, from its headers on. Default `30s`.
    pub request_timeout: HumanDuration,
    /// Limit for a client to send a request's headers. Default `10s`; the connection is closed.
    pub header_timeout: HumanDuration,
    /// Connections served at once; more wait in the listener's backlog. Default 4,096.
    pub max_connections: usize,
    /// Changes waiting for the writer; more are answered 503. Default 1,024. Beside its body each
    /// keeps what was made of its schema, at most 480 KiB: 480 MiB if all are of the largest kind.
    pub max_waiting_writes: usize,
    /// Limit for one write to Kafka and for reading it back. Default `20s`, below the request's.
    pub write_timeout: HumanDuration,
    /// Where other instances reach this one, such as `http://registry-0.registry:8081`: they pass
    /// changes on to the writer. Default `http://` and the address that it listens on, which is only
    /// right where that is one that others can reach.
    pub advertised_url: Option<String>,
    /// Name of this instance in logs, in the headers of what it writes and in `mesh.audit`. Default:
    /// the advertised host and port.
    pub instance: Option<String>,
    /// Write though members of consumer group `schema-registry` (other registries) are there, and
    /// though records of others appear. Only for a take-over whose other side is known to be gone.
    pub force_takeover: bool,
    /// Tell of each change on `mesh.catalog.changes` and `mesh.audit`. Default `true`.
    pub announce_changes: bool,
    /// Longest wait of a read that names a `Meshwork-Min-Offset`; then it is answered 503.
    /// Default `5s`.
    pub min_offset_timeout: HumanDuration,
    /// How long the start waits for Kafka before it gives up. Default `60s`.
    pub startup_timeout: HumanDuration,
    /// Memory for answers to "schema by id" that are ready to be sent. Default `64MiB`: 100,000 of
    /// 500 bytes. What is not there is made again from the store.
    pub answers_cache: ByteSize,
    /// Memory for schemas read from the store. Default `64MiB`.
    pub contents_cache: ByteSize,
    /// Memory for blocks of the store. Default `64MiB`; what is written and not yet in files takes
    /// as much again.
    pub store_cache: ByteSize,
    /// `error_code` of "incompatible": 40901 as Confluent from 8.0.4 on, or 409 as before.
    pub incompatible_error_code: u32,
    /// TLS on the listener. Absent: plain HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
    /// How clients show who they are. By default they don't.
    pub authentication: AuthenticationConfig,
    /// Who may do what. None: everybody who is let in may do everything; once there is one, what
    /// no rule allows is refused.
    pub rules: Vec<Rule>,
    /// Subjects that only some principals may change.
    pub reserved: Vec<Reservation>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            topic: ControlTopic::Schemas.name().to_owned(),
            max_body_bytes: ByteSize::from_mib(4),
            max_record_bytes: 990_000,
            request_timeout: HumanDuration::from_secs(30),
            header_timeout: HumanDuration::from_secs(10),
            max_connections: 4_096,
            max_waiting_writes: 1_024,
            write_timeout: HumanDuration::from_secs(20),
            advertised_url: None,
            instance: None,
            force_takeover: false,
            announce_changes: true,
            min_offset_timeout: HumanDuration::from_secs(5),
            startup_timeout: HumanDuration::from_secs(60),
            answers_cache: ByteSize::from_mib(64),
            contents_cache: ByteSize::from_mib(64),
            store_cache: ByteSize::from_mib(64),
            incompatible_error_code: 40_901,
            tls: None,
            authentication: AuthenticationConfig::default(),
            rules: Vec::new(),
            reserved: Vec::new(),
        }
    }
}
