//! `meshwork catalog search|watch`.

use std::io::Write as _;

use meshwork_catalog::answer::{CatalogAsOf, ChangeItem, SearchAnswer, SearchItem};
use meshwork_catalog::search::{Filter, Hit, SearchIndex};
use meshwork_catalog::{CatalogEvent, CatalogSnapshot, CatalogWatch, WatchFrom};
use meshwork_model::time::{Clock as _, WallClock};
use meshwork_registry_client::RegistryClient;

use super::Exit;
use super::api::Api;
use crate::args::{CatalogCommand, ConnectArgs, LookArgs, Output};
use crate::config::Config;
use crate::output::{Listing, print_value};

pub(crate) async fn run(command: CatalogCommand, config: Config) -> anyhow::Result<Exit> {
    match command {
        CatalogCommand::Search { words, look } => search(&words.join(" "), &look, config).await?,
        CatalogCommand::Watch {
            count,
            from_beginning,
            connect,
        } => {
            let from = if from_beginning {
                WatchFrom::Beginning
            } else {
                WatchFrom::Now
            };
            watch(count.unwrap_or(u64::MAX), from, &connect, config).await?;
        }
    }
    Ok(Exit::Done)
}

async fn search(query: &str, look: &LookArgs, mut config: Config) -> anyhow::Result<()> {
    let answer: SearchAnswer = if look.from_topics {
        config.connect(&look.connect)?;
        let registry = RegistryClient::new(&config.registry_client())?;
        let catalog = meshwork_catalog::read_catalog(&config.kafka, &registry).await?;
        search_snapshot(&catalog, query)
    } else {
        Api::new(look, &config)?
            .get("/v1/search", &[("q", query.to_owned())])
            .await?
    };
    if matches!(look.output, Output::Json | Output::Yaml) {
        return print_value(&answer, look.output);
    }
    Listing {
        heads: &[
            "PRODUCT",
            "STATUS",
            "OWNER",
            "DESCRIPTION",
            "TOPIC",
            "VERSION",
            "SCORE",
        ],
        wide_from: 4,
        items: &answer.items,
        cells: |found: &SearchItem| {
            let p = &found.item;
            vec![
                format!("{}:{}", p.name, p.urn.version()),
                p.status.clone(),
                p.owner.clone(),
                p.description.clone().unwrap_or_default(),
                p.topic.clone(),
                p.version.clone(),
                format!("{:.2}", found.score),
            ]
        },
        name: |found: &SearchItem| found.item.name.clone(),
    }
    .print(look.output)?;
    if !answer.left_out.is_empty() {
        eprintln!(
            "no product has all words; left out: {}",
            answer.left_out.join(", ")
        );
    }
    if answer.items.is_empty() {
        let near = answer
            .did_you_mean
            .map(|n| format!(" Did you mean {n}?"))
            .unwrap_or_default();
        eprintln!("No product matches `{query}`.{near}");
    }
    Ok(())
}

/// Searches what was read from the topic, as the service searches its view.
fn search_snapshot(catalog: &CatalogSnapshot, query: &str) -> SearchAnswer {
    let mut index = SearchIndex::new();
    for product in &catalog.products {
        index.put(product);
    }
    let found = index.search(query, &Filter::default());
    let item = |hit: &Hit| {
        let product = catalog.products.iter().find(|p| p.urn == hit.urn)?;
        let matched = hit
            .matched
            .iter()
            .map(|field| (*field).to_owned())
            .collect();
        Some(SearchItem {
            item: product.into(),
            score: hit.score,
            matched,
        })
    };
    SearchAnswer {
        items: found.hits.iter().filter_map(item).collect(),
        total: found.hits.len() as u64,
        left_out: found.left_out,
        did_you_mean: found.did_you_mean,
        as_of: CatalogAsOf {
            catalog_offset: catalog.next_offset,
            changes_offset: 0,
            asked_at: WallClock.now(),
        },
        unavailable: Vec::new(),
    }
}

async fn watch(
    mut left: u64,
    from: WatchFrom,
    connect: &ConnectArgs,
    mut config: Config,
) -> anyhow::Result<()> {
    config.connect(connect)?;
    let registry = RegistryClient::new(&config.registry_client())?;
    let mut events = CatalogWatch::start(&config.kafka, &registry, from).await?;
    while left > 0 {
        let event = tokio::select! {
            () = super::role::stop_signal() => return Ok(()),
            event = events.next() => event?,
        };
        let line = match event {
            // The change that goes with it says more.
            CatalogEvent::Announced(_) => continue,
            CatalogEvent::Withdrawn(urn) => format!("{urn} withdrawn"),
            CatalogEvent::Changed { offset, change } => {
                let item = ChangeItem::new(offset, &change);
                let what = item
                    .urn
                    .map_or_else(|| item.kind.clone(), |urn| urn.to_string());
                format!(
                    "{} {what} {}, by {}",
                    item.at,
                    item.in_words.join("; "),
                    item.who
                )
            }
        };
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{line}")?;
        stdout.flush()?;
        left -= 1;
    }
    Ok(())
}
