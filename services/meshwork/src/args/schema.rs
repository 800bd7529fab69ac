//! `meshwork schema …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use meshwork_avro::CompatibilityLevel;
use meshwork_registry_client::Reference;

use super::{ConnectArgs, Output};

#[derive(Debug, Subcommand)]
pub(crate) enum SchemaCommand {
    /// Does this schema parse, and does it fit its subject? Exit code 1 if not
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArgs),
    /// Do these bytes decode exactly under this schema?
    Validate(ValidateArgs),
    /// Lists subjects with their latest versions
    #[command(after_help = LIST_EXAMPLES)]
    List(ListArgs),
    /// Prints a schema
    #[command(after_help = GET_EXAMPLES)]
    Get(GetArgs),
    /// What differs between two schemas, and what every level says of it
    #[command(after_help = DIFF_EXAMPLES)]
    Diff(DiffArgs),
    /// Registers a schema; one that is there already stays as it is
    #[command(after_help = REGISTER_EXAMPLES)]
    Register(RegisterArgs),
    /// Writes all schemas of a registry to a file, one a line
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(ExportArgs),
    /// Brings what `export` wrote to a registry, ids and versions unchanged
    #[command(after_help = IMPORT_EXAMPLES)]
    Import(ImportArgs),
}

const CHECK_EXAMPLES: &str = "\
Examples:
  meshwork schema check order.avsc --subject sales.orders.v1-value
  meshwork schema check order.avsc --subject orders-value --all-levels
  meshwork schema check order.avsc --subject orders-value --references com.acme.Address=address-value:3";
const LIST_EXAMPLES: &str = "\
Examples:
  meshwork schema list
  meshwork schema list sales. -o wide
  meshwork schema list ':.staging:' --deleted -o name";
const GET_EXAMPLES: &str = "\
Examples:
  meshwork schema get orders-value
  meshwork schema get orders-value@3 -o json
  meshwork schema get --id 17 --resolved";
const DIFF_EXAMPLES: &str = "\
Examples:
  meshwork schema diff orders-value@1 orders-value@2
  meshwork schema diff orders-value order.avsc --unchanged
  meshwork schema diff old.avsc new.avsc -o json";
const REGISTER_EXAMPLES: &str = "\
Examples:
  meshwork schema register order.avsc --subject orders-value
  meshwork schema register order.avsc --subject orders-value --dry-run
  meshwork schema register order.proto --subject orders-value --registry-url https://sr.example";
const EXPORT_EXAMPLES: &str = "\
Examples:
  meshwork schema export --registry-url http://old:8081 --output schemas.ndjson --deleted
  meshwork schema export --subjects sales. --subjects ':.staging:'
  meshwork schema export --registry-url http://old:8081 | meshwork schema import - --registry-url http://new:8081";
const IMPORT_EXAMPLES: &str = "\
Examples:
  meshwork schema import schemas.ndjson --registry-url http://new:8081 --dry-run
  meshwork schema import schemas.ndjson --registry-url http://new:8081
An import that was interrupted goes on where it was when it is run again.";

/// How an answer is shown.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct ShowArgs {
    /// How it is shown.
    #[arg(
        short = 'o',
        long = "output",
        value_name = "FORMAT",
        default_value = "table"
    )]
    pub(crate) output: Output,
}

/// The language of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaType {
    /// Apache Avro.
    Avro,
    /// JSON Schema.
    Json,
    /// Protocol Buffers.
    Protobuf,
}

impl SchemaType {
    /// As registries write it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Avro => "AVRO",
            Self::Json => "JSON",
            Self::Protobuf => "PROTOBUF",
        }
    }
}

/// A schema in a file, and where it is to go.
#[derive(Debug, Args)]
pub(crate) struct DraftArgs {
    /// Schema file (`.avsc`); `-`: standard input.
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// The subject.
    #[arg(long, value_name = "SUBJECT")]
    pub(crate) subject: String,
    /// A type that the schema uses and another subject holds; several with commas, or given again.
    #[arg(
        long,
        value_name = "NAME=SUBJECT:VERSION",
        value_delimiter = ',',
        value_parser = reference
    )]
    pub(crate) references: Vec<Reference>,
    /// The schema's language. Default: by the file's name, `.proto` is protobuf, all else avro.
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) schema_type: Option<SchemaType>,
    /// In Confluent's normal form.
    #[arg(long)]
    pub(crate) normalize: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) draft: DraftArgs,
    /// Judges by this level instead of the subject's own.
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    pub(crate) level: Option<CompatibilityLevel>,
    /// Shows the verdict of every level.
    #[arg(long)]
    pub(crate) all_levels: bool,
    #[command(flatten)]
    pub(crate) show: ShowArgs,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only subjects that begin so; `:.ctx:` is a context.
    pub(crate) prefix: Option<String>,
    /// Soft-deleted ones too.
    #[arg(long)]
    pub(crate) deleted: bool,
    /// Leaves out so many from the beginning.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) offset: usize,
    /// Shows so many at most.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    #[command(flatten)]
    pub(crate) show: ShowArgs,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct GetArgs {
    /// The subject; its latest version unless `@<version>` follows.
    #[arg(
        value_name = "SUBJECT[@VERSION]",
        required_unless_present_any = ["id", "guid"],
        conflicts_with_all = ["id", "guid"]
    )]
    pub(crate) subject: Option<String>,
    /// The schema with this id.
    #[arg(long, value_name = "N", conflicts_with = "guid")]
    pub(crate) id: Option<i32>,
    /// With --id: the context that the id belongs to, or a subject that holds it.
    #[arg(long, value_name = "SUBJECT", requires = "id")]
    pub(crate) of: Option<String>,
    /// The schema with this GUID.
    #[arg(long, value_name = "GUID")]
    pub(crate) guid: Option<String>,
    /// Types of references written out.
    #[arg(long)]
    pub(crate) resolved: bool,
    /// Soft-deleted versions too.
    #[arg(long)]
    pub(crate) deleted: bool,
    /// Without it the schema's text alone; `json` is the registry's whole answer.
    #[arg(short = 'o', long = "output", value_name = "FORMAT")]
    pub(crate) output: Option<Output>,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// What was: a file, or a subject with or without `@<version>`.
    #[arg(value_name = "OLD", value_hint = ValueHint::FilePath)]
    pub(crate) old: String,
    /// What is: a file, or a subject with or without `@<version>`.
    #[arg(value_name = "NEW", value_hint = ValueHint::FilePath)]
    pub(crate) new: String,
    /// References of schemas in files, as in `schema check`.
    #[arg(
        long,
        value_name = "NAME=SUBJECT:VERSION",
        value_delimiter = ',',
        value_parser = reference
    )]
    pub(crate) references: Vec<Reference>,
    /// Shows unchanged fields too.
    #[arg(long)]
    pub(crate) unchanged: bool,
    #[command(flatten)]
    pub(crate) show: ShowArgs,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RegisterArgs {
    #[command(flatten)]
    pub(crate) draft: DraftArgs,
    /// Says what would come of it, and registers nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) show: ShowArgs,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// File to write; `-`: standard output.
    #[arg(long, value_name = "FILE", default_value = "-", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    /// Only subjects that begin so, and what they refer to; may be given again. Default: all, of
    /// every context.
    #[arg(long, value_name = "PREFIX")]
    pub(crate) subjects: Vec<String>,
    /// Soft-deleted versions too.
    #[arg(long)]
    pub(crate) deleted: bool,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// What `export` wrote; `-`: standard input.
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Says what would be done, and changes nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Also adds to subjects that hold versions which the file lacks, and overwrites their
    /// configuration and mode where they differ.
    #[arg(long)]
    pub(crate) force: bool,
    /// Leaves modes as they are: a registry that was set READONLY to be exported is copied
    /// READONLY otherwise.
    #[arg(long)]
    pub(crate) skip_modes: bool,
    #[command(flatten)]
    pub(crate) show: ShowArgs,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// File that holds the datum; `-`: standard input.
    #[arg(value_name = "FILE", required_unless_present_any = ["hex", "lines"])]
    pub(crate) datum: Option<PathBuf>,
    /// The datum as hexadecimal digits.
    #[arg(long, value_name = "DIGITS", conflicts_with_all = ["datum", "lines"])]
    pub(crate) hex: Option<String>,
    /// Reads `{"schema": …, "hex": "…"}` a line from standard input, and answers a line each.
    #[arg(long, conflicts_with_all = ["datum", "schema", "subject"])]
    pub(crate) lines: bool,
    /// Schema file (`.avsc`).
    #[arg(long, value_name = "FILE", conflicts_with = "subject")]
    pub(crate) schema: Option<PathBuf>,
    /// Subject whose latest schema is taken from the registry.
    #[arg(long, value_name = "SUBJECT")]
    pub(crate) subject: Option<String>,
    /// The datum has Confluent's prefix: 00 and the schema's id. Without --schema and --subject
    /// the schema is looked up by that id.
    #[arg(long)]
    pub(crate) framed: bool,
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
}

/// `com.acme.Address=address-value:3`; a subject may hold colons itself.
fn reference(text: &str) -> Result<Reference, String> {
    let form = || {
        format!(
            "`{text}` must have the form name=subject:version, such as a.B=b-value:3 or a.B=b-value:latest"
        )
    };
    let (name, place) = text.split_once('=').ok_or_else(form)?;
    let (subject, version) = place.rsplit_once(':').ok_or_else(form)?;
    let version = match version {
        "latest" | "-1" => -1,
        number => number.parse().ok().filter(|v| *v > 0).ok_or_else(form)?,
    };
    if name.is_empty() || subject.is_empty() {
        return Err(form());
    }
    Ok(Reference {
        name: name.to_owned(),
        subject: subject.to_owned(),
        version,
    })
}

fn level(text: &str) -> Result<CompatibilityLevel, String> {
    text.parse()
        .map_err(|e: meshwork_avro::compatibility::UnknownLevel| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_from_the_right() {
        let read = reference("a.B=:.ctx:b-value:3").unwrap();
        assert_eq!(
            (read.name.as_str(), read.subject.as_str(), read.version),
            ("a.B", ":.ctx:b-value", 3)
        );
        assert_eq!(reference("a.B=b:latest").unwrap().version, -1);
        for text in ["", "a", "a=b", "a=b:", "a=b:0", "a=b:x", "=b:1", "a=:1"] {
            let error = reference(text).unwrap_err();
            assert!(error.contains("name=subject:version"), "{error}");
        }
    }
}
