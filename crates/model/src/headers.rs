//! Names and limits of the record headers that Meshwork writes and reads (design: "Headers").

/// Who produced the record. UTF-8, at most [`PRODUCER_MAX_BYTES`].
pub const PRODUCER: &str = "mesh-producer";
/// Which records this one was made from: `<topic>@<partition>:<offset>`, comma-separated.
pub const PARENTS: &str = "mesh-parents";
/// Longest value of [`PRODUCER`], in bytes.
pub const PRODUCER_MAX_BYTES: usize = 128;
/// Most entries in [`PARENTS`].
pub const PARENTS_MAX: usize = 16;
/// Longest value of [`PARENTS`], in bytes.
pub const PARENTS_MAX_BYTES: usize = 1024;

/// Quarantine: stable reason code.
pub const REASON: &str = "mesh-reason";
/// Quarantine: the reason in words.
pub const DETAIL: &str = "mesh-detail";
/// Quarantine: path in the datum, as a JSON pointer.
pub const PATH: &str = "mesh-path";
/// Quarantine: byte offset in the datum.
pub const AT: &str = "mesh-at";
/// Quarantine: `topic@partition` that the record was meant for.
pub const SOURCE: &str = "mesh-source";
/// Quarantine: `avro`, or `json` where a line fitted nothing and is kept as that line.
pub const FORMAT: &str = "mesh-format";
/// Quarantine, of an idempotent producer: `<producer id>:<epoch>`.
pub const SESSION: &str = "mesh-session";
/// Quarantine, of an idempotent producer: the record's sequence number, as the producer counts.
pub const SEQUENCE: &str = "mesh-sequence";
/// Quarantine: the record's own timestamp in milliseconds since 1970. Its timestamp there is when it
/// was put there, since retention goes by that.
pub const SOURCE_TIME: &str = "mesh-source-time";
/// Quarantine, on a record without value in partition 0: `<first sequence>+<records>`, a range of
/// sequence numbers that was decided on; the first such record of a range holds.
pub const VERDICT: &str = "mesh-verdict";
/// With [`VERDICT`]: how many records of the session were taken out before that range.
pub const REMOVED_BEFORE: &str = "mesh-removed-before";
/// With [`VERDICT`]: the records taken out of the range, ascending, eight bytes each, big-endian:
/// place in the range, CRC32C of key, value and headers.
pub const REMOVED: &str = "mesh-removed";
/// `enforcement: mark`: the reason code on a record that was let through.
pub const MARK: &str = "mesh-mark";

/// GUID or id of the value's schema (Confluent wire format v1).
pub const VALUE_SCHEMA_ID: &str = "__value_schema_id";
/// GUID or id of the key's schema (Confluent wire format v1).
pub const KEY_SCHEMA_ID: &str = "__key_schema_id";
