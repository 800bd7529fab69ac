//! `meshwork consume`: Avro on the wire, JSON lines out.

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::Context as _;
use meshwork_client::{ConsumeOptions, Consumed, Consumption, Shown};
use meshwork_registry_client::RegistryClient;
use serde_json::value::RawValue;

use super::{Exit, names};
use crate::args::ConsumeArgs;
use crate::config::Config;

pub(crate) async fn run(args: ConsumeArgs, mut config: Config) -> anyhow::Result<Exit> {
    config.connect(&args.connect)?;
    let registry = RegistryClient::new(&config.registry_client())?;
    // A quarantine, or a topic of the mesh's own, is no product but can be read all the same.
    let (topic, avro_key) = match names::find(&args.product, &config, &registry).await {
        Ok(product) => (product.topic, product.key_schema.is_some()),
        Err(error) => match names::topic(&args.product, &config).await? {
            true => (args.product.clone(), false),
            false => return Err(error),
        },
    };
    let options = ConsumeOptions {
        start: args.offset.parse()?,
        limit: args.count,
        follow: args.follow,
        avro_key,
    };
    let mut records = Consumption::open(&config.kafka, registry, &topic, options).await?;
    let mut line = String::new();
    let mut unreadable = 0_u64;
    loop {
        let next = tokio::select! {
            next = records.next() => next?,
            () = super::role::stop_signal() => break,
        };
        let Some(record) = next else { break };
        if args.partition.is_some_and(|p| p != record.partition) {
            continue;
        }
        line.clear();
        match (&args.format, args.with_headers) {
            (Some(format), _) => formatted(format, &topic, &record, &mut line),
            (None, true) => {
                line.push_str(&whole(&record)?);
                line.push('\n');
            }
            (None, false) => {
                text(&record.value, &mut line);
                line.push('\n');
            }
        }
        if let Shown::Bytes { why, .. } = &record.value {
            unreadable += 1;
            eprintln!("{topic}@{}:{}: {why}", record.partition, record.offset);
        }
        let mut stdout = std::io::stdout().lock();
        if let Err(error) = stdout.write_all(line.as_bytes()) {
            // `… | head` has seen enough.
            if error.kind() == std::io::ErrorKind::BrokenPipe {
                break;
            }
            return Err(error.into());
        }
    }
    Ok(if unreadable == 0 {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn text(shown: &Shown, line: &mut String) {
    match shown {
        Shown::Null => line.push_str("null"),
        Shown::Json { text, .. } | Shown::Text(text) => line.push_str(text),
        Shown::Bytes { bytes, .. } => {
            for b in bytes {
                // Writing to a String can't fail.
                let _ = write!(line, "{b:02x}");
            }
        }
    }
}

/// A record as one JSON object.
#[derive(serde::Serialize)]
struct Whole<'a> {
    partition: i32,
    offset: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    key: Box<RawValue>,
    headers: Vec<(&'a str, Option<String>)>,
    value: Box<RawValue>,
}

fn whole(record: &Consumed) -> anyhow::Result<String> {
    let headers = record.headers.iter().map(|(name, value)| {
        (
            name.as_str(),
            value
                .as_ref()
                .map(|v| String::from_utf8_lossy(v).into_owned()),
        )
    });
    Ok(serde_json::to_string(&Whole {
        partition: record.partition,
        offset: record.offset,
        timestamp: record.timestamp.map(|t| t.to_string()),
        key: raw(&record.key)?,
        headers: headers.collect(),
        value: raw(&record.value)?,
    })?)
}

fn raw(shown: &Shown) -> anyhow::Result<Box<RawValue>> {
    let mut json = String::new();
    text(shown, &mut json);
    if !matches!(shown, Shown::Json { .. } | Shown::Null) {
        json = serde_json::to_string(&json)?;
    }
    RawValue::from_string(json).context("a value can't be shown as JSON")
}

/// kcat's `-f`: %k key, %v value, %h headers, %t topic, %p partition, %o offset, %T timestamp (ms),
/// %i schema id, %% and the escapes \n \t \r.
fn formatted(format: &str, topic: &str, record: &Consumed, line: &mut String) {
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        let token = match c {
            '%' | '\\' => chars.next(),
            c => {
                line.push(c);
                continue;
            }
        };
        // Writing to a String can't fail.
        let _ = match (c, token) {
            ('\\', Some('n')) => line.write_char('\n'),
            ('\\', Some('t')) => line.write_char('\t'),
            ('\\', Some('r')) => line.write_char('\r'),
            ('%', Some('k')) => {
                text(&record.key, line);
                Ok(())
            }
            ('%', Some('v' | 's')) => {
                text(&record.value, line);
                Ok(())
            }
            ('%', Some('h')) => {
                let headers: Vec<String> = record
                    .headers
                    .iter()
                    .map(|(name, value)| {
                        let value = value
                            .as_deref()
                            .map(String::from_utf8_lossy)
                            .unwrap_or_default();
                        format!("{name}={value}")
                    })
                    .collect();
                line.write_str(&headers.join(","))
            }
            ('%', Some('t')) => line.write_str(topic),
            ('%', Some('p')) => write!(line, "{}", record.partition),
            ('%', Some('o')) => write!(line, "{}", record.offset),
            ('%', Some('T')) => match record.timestamp {
                Some(t) => write!(line, "{}", t.as_millis()),
                None => line.write_str("-1"),
            },
            ('%', Some('i')) => match &record.value {
                Shown::Json { schema, .. } => write!(line, "{schema}"),
                _ => line.write_char('-'),
            },
            (_, Some(other)) if c == other => line.write_char(other),
            (_, Some(other)) => write!(line, "{c}{other}"),
            (_, None) => line.write_char(c),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshwork_model::time::Timestamp;

    #[test]
    fn a_record_is_shown_as_its_format_says() {
        let record = Consumed {
            partition: 2,
            offset: 7,
            timestamp: Some(Timestamp::from_millis(5)),
            key: Shown::Text("a/b".into()),
            value: Shown::Text("{}".into()),
            headers: vec![
                ("mesh-producer".into(), Some(b"ops".to_vec())),
                ("n".into(), None),
            ],
        };
        let mut line = String::new();
        formatted(
            "%k %v %h %t %p %o %T %i %% \\t%x\\n",
            "t",
            &record,
            &mut line,
        );
        assert_eq!(line, "a/b {} mesh-producer=ops,n= t 2 7 5 - % \t%x\n");
        let json: serde_json::Value = serde_json::from_str(&whole(&record).unwrap()).unwrap();
        assert_eq!(json["key"], "a/b");
        assert_eq!(json["headers"][0][1], "ops");
    }
}
