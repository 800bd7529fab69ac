//! `meshwork product …`: from contracts to products, and a look at what there is.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use meshwork_catalog::answer::{Page, ProductDetail, ProductItem};
use meshwork_catalog::apply::{ApplyContext, Progress, apply_products, plan_products};
use meshwork_catalog::check::check_paths;
use meshwork_catalog::read_catalog;
use meshwork_model::finding::render::{Format, render};
use meshwork_model::product::Product;
use meshwork_model::time::WallClock;
use meshwork_registry_client::RegistryClient;

use super::api::{Api, segment};
use super::{Exit, names};
use crate::args::{CheckFormat, LookArgs, Output, ProductCommand};
use crate::config::Config;
use crate::output::{Listing, print_value};

pub(crate) async fn run(command: ProductCommand, mut config: Config) -> anyhow::Result<Exit> {
    match command {
        ProductCommand::Check {
            paths,
            output_format,
            against_registry,
            connect,
        } => {
            config.connect(&connect)?;
            check(&paths, output_format, against_registry, &config).await
        }
        ProductCommand::Plan {
            paths,
            detailed_exitcode,
            connect,
        } => {
            config.connect(&connect)?;
            plan(&paths, detailed_exitcode, &config).await
        }
        ProductCommand::Apply {
            paths,
            dry_run,
            yes,
            connect,
        } => {
            config.connect(&connect)?;
            if dry_run {
                plan(&paths, false, &config).await
            } else {
                apply(&paths, yes, &config).await
            }
        }
        ProductCommand::List { look } => {
            config.connect(&look.connect)?;
            list(&look, &config).await
        }
        ProductCommand::Get { name, look } => {
            config.connect(&look.connect)?;
            get(&name, &look, &config).await
        }
    }
}

async fn check(
    paths: &[PathBuf],
    format: CheckFormat,
    against_registry: bool,
    config: &Config,
) -> anyhow::Result<Exit> {
    let registry = RegistryClient::new(&config.registry_client())?;
    let checked = check_paths(paths, against_registry.then_some(&registry)).await?;
    let format = match format {
        CheckFormat::Human => Format::Human,
        CheckFormat::Json => Format::Json,
        CheckFormat::Junit => Format::Junit,
        CheckFormat::Github => Format::Github,
    };
    write!(
        std::io::stdout().lock(),
        "{}",
        render(format, &checked.files, &checked.findings)
    )?;
    Ok(if checked.findings.has_errors() {
        Exit::Failed
    } else {
        Exit::Done
    })
}

/// The products at `paths`, if all is well with them; what is not is shown.
async fn products(paths: &[PathBuf], registry: &RegistryClient) -> anyhow::Result<Vec<Product>> {
    let checked = check_paths(paths, Some(registry)).await?;
    let files = checked.files.clone();
    checked.into_products().map_err(|findings| {
        eprint!("{}", render(Format::Human, &files, &findings));
        anyhow::anyhow!("the contracts have errors: mend them and try again")
    })
}

async fn plan(paths: &[PathBuf], detailed_exitcode: bool, config: &Config) -> anyhow::Result<Exit> {
    let registry = RegistryClient::new(&config.registry_client())?;
    let products = products(paths, &registry).await?;
    let plan = plan_products(&config.kafka, &registry, &products).await?;
    let mut stdout = std::io::stdout().lock();
    for line in plan.lines() {
        writeln!(stdout, "{line}")?;
    }
    writeln!(stdout, "{}", plan.summary())?;
    Ok(if plan.is_refused() {
        Exit::Failed
    } else if detailed_exitcode && !plan.is_empty() {
        Exit::Pending
    } else {
        Exit::Done
    })
}

async fn apply(paths: &[PathBuf], yes: bool, config: &Config) -> anyhow::Result<Exit> {
    let registry = RegistryClient::new(&config.registry_client())?;
    let products = products(paths, &registry).await?;
    let plan = plan_products(&config.kafka, &registry, &products).await?;
    for line in plan.lines() {
        eprintln!("{line}");
    }
    eprintln!("{}", plan.summary());
    if plan.is_refused() {
        return Ok(Exit::Failed);
    }
    if plan.is_empty() {
        return Ok(Exit::Done);
    }
    if !yes && !confirmed()? {
        return Ok(Exit::Failed);
    }
    let context = ApplyContext {
        kafka: config.kafka.clone(),
        registry,
        clock: Arc::new(WallClock),
        who: names::user_at_host(),
    };
    apply_products(&context, &products, |progress| match progress {
        Progress::Done { lines, .. } => {
            for line in lines {
                eprintln!("{line}");
            }
        }
        Progress::Finished { urn, changed } => {
            let word = if changed { "applied" } else { "unchanged" };
            // What is applied stays applied, whoever reads along.
            let _ = writeln!(std::io::stdout().lock(), "{urn} {word}");
        }
    })
    .await?;
    Ok(Exit::Done)
}

fn confirmed() -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("nobody can be asked here: give --yes to apply, or --dry-run to look");
    }
    eprint!("Apply this? [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

async fn list(look: &LookArgs, config: &Config) -> anyhow::Result<Exit> {
    let mut items = Vec::new();
    if look.from_topics {
        let registry = RegistryClient::new(&config.registry_client())?;
        let catalog = read_catalog(&config.kafka, &registry).await?;
        items.extend(catalog.products.iter().map(ProductItem::from));
        items.sort_by(|a, b| a.urn.cmp(&b.urn));
    } else {
        let api = Api::new(look, config)?;
        let mut cursor = None;
        loop {
            let mut query = vec![("limit", "200".to_owned())];
            query.extend(cursor.map(|c| ("cursor", c)));
            let page: Page<ProductItem> = api.get("/v1/products", &query).await?;
            items.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
    }
    Listing {
        heads: &[
            "PRODUCT",
            "VERSION",
            "STATUS",
            "OWNER",
            "DESCRIPTION",
            "TOPIC",
            "CHANGED",
        ],
        wide_from: 5,
        items: &items,
        cells: |p: &ProductItem| {
            vec![
                format!("{}:{}", p.name, p.urn.version()),
                p.version.clone(),
                p.status.clone(),
                p.owner.clone(),
                shortened(p.description.as_deref().unwrap_or_default()),
                p.topic.clone(),
                p.changed_at.to_string(),
            ]
        },
        name: |p: &ProductItem| format!("{}:{}", p.name, p.urn.version()),
    }
    .print(look.output)?;
    Ok(Exit::Done)
}

/// A description's beginning, as long as a line of a table bears.
fn shortened(text: &str) -> String {
    const MOST: usize = 60;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    let cut: String = text.chars().take(MOST - 1).collect();
    format!("{}…", cut.trim_end())
}

async fn get(name: &str, look: &LookArgs, config: &Config) -> anyhow::Result<Exit> {
    let detail: ProductDetail = if look.from_topics {
        let registry = RegistryClient::new(&config.registry_client())?;
        let product = names::find(name, config, &registry).await?;
        ProductDetail::new(&product, vec![product.urn.clone()])
    } else {
        Api::new(look, config)?
            .get(&format!("/v1/products/{}", segment(name)), &[])
            .await?
    };
    if matches!(look.output, Output::Json | Output::Yaml) {
        print_value(&detail, look.output)?;
    } else if matches!(look.output, Output::Name) {
        writeln!(std::io::stdout().lock(), "{}", detail.item.name)?;
    } else {
        write!(std::io::stdout().lock(), "{}", page(&detail))?;
    }
    Ok(Exit::Done)
}

/// The product as a page of text.
fn page(p: &ProductDetail) -> String {
    let mut rows = vec![
        (
            "product",
            format!("{}:{}", p.item.name, p.item.urn.version()),
        ),
        ("urn", p.item.urn.to_string()),
        ("status", p.item.status.clone()),
        ("version", p.item.version.clone()),
        ("owner", p.item.owner.clone()),
        (
            "description",
            p.item.description.clone().unwrap_or_default(),
        ),
        (
            "topic",
            format!("{} ({} partitions)", p.item.topic, p.partitions),
        ),
        (
            "schema",
            format!("{} id {}", p.value_schema.subject, p.value_schema.id),
        ),
        ("compatibility", p.compatibility.clone()),
        ("key", p.key_columns.join(", ")),
        (
            "event time",
            p.event_time.clone().unwrap_or_else(|| "-".to_owned()),
        ),
        ("enforcement", p.enforcement.clone()),
        ("announced", p.announced_at.to_string()),
    ];
    for slo in &p.slos {
        rows.push(("slo", meshwork_catalog::plan::difference::slo(slo)));
    }
    let width = rows
        .iter()
        .map(|(name, _)| name.len())
        .max()
        .unwrap_or_default();
    rows.iter()
        .map(|(name, value)| format!("{name:width$}  {value}\n"))
        .collect()
}
