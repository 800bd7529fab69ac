//! `meshwork produce` and `meshwork consume`.

use std::path::PathBuf;

use clap::Args;

use super::ConnectArgs;

#[derive(Debug, Args)]
pub(crate) struct ProduceArgs {
    /// The product: `<domain>.<product>`, `<domain>.<product>:v<N>` or a URN.
    pub(crate) product: String,
    /// Input; absent or `-`: standard input.
    #[arg(value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Input is CSV with a head line; columns of the same name as a field go there.
    #[arg(long)]
    pub(crate) from_csv: bool,
    /// With --from-csv: `column=field`; may be given again.
    #[arg(long = "map", value_name = "COLUMN=FIELD", requires = "from_csv")]
    pub(crate) mapping: Vec<String>,
    /// With --from-csv: texts that stand for an absent value, comma-separated.
    #[arg(long, value_name = "TEXT", default_value = "NA")]
    pub(crate) null: String,
    /// Input is encoded already: for each record the lengths of key and value as four bytes each,
    /// big-endian (key 4294967295: no key), then the key and the framed value.
    #[arg(long, conflicts_with = "from_csv")]
    pub(crate) avro: bool,
    /// Name in the mesh-producer header. Default: user@host.
    #[arg(long, env = "MESHWORK_PRODUCER", value_name = "NAME")]
    pub(crate) producer: Option<String>,
    /// Shows no progress bar.
    #[arg(short, long)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ConsumeArgs {
    /// The product: `<domain>.<product>`, `<domain>.<product>:v<N>`, a URN or a topic.
    pub(crate) product: String,
    /// Where to begin: `start`, `end`, an offset, `-N` (the last N of each partition) or `@time`
    /// (RFC 3339 or ms since 1970).
    #[arg(
        short = 'o',
        long = "offset",
        value_name = "OFFSET",
        default_value = "start",
        allow_hyphen_values = true
    )]
    pub(crate) offset: String,
    /// Ends after so many records.
    #[arg(short = 'n', value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Goes on when the end is reached, until interrupted.
    #[arg(short = 'F', long)]
    pub(crate) follow: bool,
    /// How each record is written: %k key, %v value, %h headers, %t topic, %p partition, %o offset,
    /// %T timestamp (ms), %i schema id, \n \t.
    #[arg(short = 'f', long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
    /// Each line is an object with key, value, headers, partition, offset and timestamp.
    #[arg(long, conflicts_with = "format")]
    pub(crate) with_headers: bool,
    /// Only this partition.
    #[arg(short = 'p', long, value_name = "N")]
    pub(crate) partition: Option<i32>,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}
