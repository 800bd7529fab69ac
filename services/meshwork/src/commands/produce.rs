//! `meshwork produce`: JSON lines in, Avro on the wire, the contract enforced on the way.

use std::io::{IsTerminal as _, Read};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use meshwork_client::{
    Counts, CountsView, CsvMapping, Feed, FeedKind, Input, JsonRows, MeshProducer, ProducerOptions,
};
use meshwork_registry_client::RegistryClient;
use tokio_util::sync::CancellationToken;

use super::{Exit, names};
use crate::args::ProduceArgs;
use crate::config::Config;

pub(crate) async fn run(args: ProduceArgs, mut config: Config) -> anyhow::Result<Exit> {
    config.connect(&args.connect)?;
    let registry = RegistryClient::new(&config.registry_client())?;
    let product = names::find(&args.product, &config, &registry).await?;
    let name = args.producer.clone().unwrap_or_else(names::user_at_host);
    let options = ProducerOptions {
        instance: meshwork_telemetry::host_name(),
        ..ProducerOptions::new(name)
    };
    let mut producer =
        MeshProducer::open(&config.kafka, registry.clone(), &product, options).await?;

    let (reader, source) = open(args.input.as_deref())?;
    let (kind, mut input) = if args.avro {
        (FeedKind::Framed, Input::framed(reader))
    } else {
        let rows = JsonRows::open(&registry, &product).await?;
        let input = if args.from_csv {
            Input::csv(reader, mapping(&args)?, rows.schema())
        } else {
            Input::json_lines(reader)
        };
        (FeedKind::Json(Box::new(rows)), input)
    };

    let done = CancellationToken::new();
    let bar = (!args.quiet && std::io::stderr().is_terminal())
        .then(|| tokio::spawn(progress(producer.counts_view(), done.clone())));
    let fed = Feed::new(kind, source)
        .run(&mut input, &mut producer, |refusal| {
            eprintln!("refused: {refusal}");
            ControlFlow::Continue(())
        })
        .await;
    done.cancel();
    if let Some(bar) = bar {
        // Only the picture is lost with it.
        let _ = bar.await;
    }
    let counts = producer.counts();
    eprintln!("{}", in_words(&counts));
    fed?;
    Ok(if counts.rejected == 0 {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn mapping(args: &ProduceArgs) -> anyhow::Result<CsvMapping> {
    let mut mapping: CsvMapping = args.mapping.join(",").parse()?;
    mapping.not_available = args.null.split(',').map(str::to_owned).collect();
    mapping.not_available.insert(String::new());
    Ok(mapping)
}

/// Input, and its name for errors.
type Source = (Box<dyn Read + Send>, Option<Arc<str>>);

fn open(path: Option<&Path>) -> anyhow::Result<Source> {
    match path.filter(|p| *p != Path::new("-")) {
        None => Ok((Box::new(std::io::stdin()), None)),
        Some(path) => {
            let file = std::fs::File::open(path)
                .with_context(|| format!("{} can't be read", path.display()))?;
            Ok((Box::new(file), Some(path.display().to_string().into())))
        }
    }
}

async fn progress(counts: CountsView, done: CancellationToken) {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {per_sec} {msg}") {
        bar.set_style(style);
    }
    while !done.is_cancelled() {
        let now = counts.now();
        bar.set_position(now.accepted + now.quarantined);
        bar.set_message(in_words(&now));
        tokio::select! {
            () = done.cancelled() => {}
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
    }
    bar.finish_and_clear();
}

fn in_words(counts: &Counts) -> String {
    let mut words = format!("{} accepted", counts.accepted);
    for (n, what) in [
        (counts.marked, "marked"),
        (counts.quarantined, "in quarantine"),
        (counts.rejected, "refused"),
        (
            counts.unverified,
            "unverified: the registry could not be asked",
        ),
    ] {
        if n > 0 {
            words.push_str(&format!(", {n} {what}"));
        }
    }
    if !counts.refused.is_empty() {
        let reasons: Vec<String> = counts
            .refused
            .iter()
            .map(|(reason, n)| format!("{n} {reason}"))
            .collect();
        words.push_str(&format!(" ({})", reasons.join(", ")));
    }
    words
}
