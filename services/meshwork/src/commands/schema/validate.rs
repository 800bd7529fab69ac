//! `meshwork schema validate`: do these bytes decode exactly under this schema?

use std::io::{BufReader, BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use meshwork_avro::{Schema, Validator};
use meshwork_client::validate::{Framing, unframe, validate_lines};
use meshwork_model::name::SchemaId;
use meshwork_registry_client::RegistryClient;

use super::super::Exit;
use super::files::{read, read_text};
use crate::args::ValidateArgs;
use crate::config::Config;

/// Largest datum read: Kafka's records are 1 MiB by default, and seldom above 16.
const MAX_DATUM_BYTES: u64 = 64 << 20;

/// A filter: the verdicts are its output, so its exit code says only that every line was answered.
pub(super) fn lines() -> anyhow::Result<Exit> {
    let input = BufReader::with_capacity(1 << 16, std::io::stdin().lock());
    let output = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    validate_lines(input, output)?;
    Ok(Exit::Done)
}

pub(super) async fn validate(args: &ValidateArgs, mut config: Config) -> anyhow::Result<Exit> {
    config.connect(&args.connect)?;
    let bytes = datum(args)?;
    let framing = if args.framed {
        Framing::Confluent
    } else {
        Framing::Bare
    };
    let (id, datum) = unframe(&bytes, framing)?;
    let text = schema_text(args, id, &config).await?;
    let schema = Schema::parse(&text).context("the schema does not parse")?;
    let validator = Validator::compile(&schema, None).context("the schema can't be used")?;
    let prefix = bytes.len() - datum.len();
    let mut stdout = std::io::stdout().lock();
    match validator.validate(datum) {
        Ok(_) => {
            writeln!(stdout, "valid: {} bytes decode exactly", datum.len())?;
            Ok(Exit::Done)
        }
        Err(fault) => {
            let path = if fault.path.is_empty() {
                "/"
            } else {
                &fault.path
            };
            write!(
                stdout,
                "invalid: {} ({}) at {path}, byte {}",
                fault.reason,
                fault.reason.code(),
                fault.offset
            )?;
            if prefix > 0 {
                write!(
                    stdout,
                    " of the datum, {} of the value",
                    fault.offset + prefix
                )?;
            }
            writeln!(stdout)?;
            Ok(Exit::Failed)
        }
    }
}

fn datum(args: &ValidateArgs) -> anyhow::Result<Vec<u8>> {
    if let Some(digits) = &args.hex {
        let digits: String = digits.chars().filter(|c| !c.is_whitespace()).collect();
        return hex::decode(digits).context("--hex takes pairs of hexadecimal digits");
    }
    let path = args.datum.as_deref().unwrap_or(Path::new("-"));
    read(path, MAX_DATUM_BYTES)
}

async fn schema_text(
    args: &ValidateArgs,
    id: Option<u32>,
    config: &Config,
) -> anyhow::Result<String> {
    if let Some(file) = &args.schema {
        return read_text(file);
    }
    let registry = RegistryClient::new(&config.registry_client())?;
    if let Some(subject) = &args.subject {
        let latest = registry.latest(subject).await?;
        let latest = latest.with_context(|| format!("subject {subject} is not known"))?;
        return Ok(latest.schema);
    }
    let Some(id) = id else {
        bail!("no schema: give --schema FILE, --subject SUBJECT, or --framed to look it up by id");
    };
    Ok(registry
        .schema(SchemaId::new(i64::from(id))?)
        .await?
        .text
        .to_string())
}
