//! `product apply`: makes Kafka and the registry as the contracts say, and announces it.
//!
//! For each product, in this order: take the transactional id `meshwork-apply-<URN>`, which shuts
//! out whoever else is applying it; read what is announced, once nobody else can announce; look at
//! what is there; create or alter topics, set levels, register schemas; announce, with the changes,
//! in one transaction. Each step compares first and the announcement comes last, so an apply that
//! was killed anywhere is simply done again.

mod announcements;
mod changes;
mod consumers;

use meshwork_kafka::control::{self, ControlTopicError};
use meshwork_kafka::{
    Admin, Creation, KafkaConfig, KafkaError, NewTopic, OwnedOutRecord, TransactionError,
    TransactionalOptions, TransactionalProducer,
};
use meshwork_model::mesh::announcement::{ProductAnnouncement, RegisteredSchema};
use meshwork_model::mesh::{MeshRecord, ProductChange};
use meshwork_model::name::Urn;
use meshwork_model::product::Product;
use meshwork_model::time::SharedClock;
use meshwork_model::topic::ControlTopic;
use meshwork_registry_client::{MeshError, MeshWriter, RegistryClient, RegistryClientError};

use crate::plan::actual::{ActualError, as_announced, look_at_topic};
use crate::plan::{Actual, Line, Plan, ProductPlan, Step, new_announcement, plan, plan_one};
use crate::read::ReadCatalogError;
use announcements::Announcements;

/// How an apply reaches the world.
#[derive(Clone, Debug)]
pub struct ApplyContext {
    /// The cluster.
    pub kafka: KafkaConfig,
    /// The registry.
    pub registry: RegistryClient,
    /// Stamps announcements: what time it is in the data.
    pub clock: SharedClock,
    /// Who applies, as in `user@host`; stands in the changes.
    pub who: String,
}

/// What became of one product.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The product version.
    pub urn: Urn,
    /// What was done; nothing if all was as it should be.
    pub steps: Vec<Step>,
    /// What is announced now.
    pub announcement: ProductAnnouncement,
}

/// Told while an apply is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// A step was done.
    Done {
        /// Of which product.
        urn: &'a Urn,
        /// The step as lines.
        lines: Vec<Line>,
    },
    /// All of a product is as it should be.
    Finished {
        /// Which.
        urn: &'a Urn,
        /// Whether anything had to be done.
        changed: bool,
    },
}

/// Why an apply stopped. What was done before stays done and is found done the next time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApplyError {
    /// It would lose data or break a promise; nothing was done.
    #[error("{}", refusals(.0))]
    Refused(Plan),
    /// Somebody else applied the same product at the same time.
    #[error(
        "{urn}: another apply of it is under way and has taken over; look at `meshwork product plan` and apply again"
    )]
    Fenced {
        /// The product.
        urn: Urn,
    },
    /// The announcement was not committed.
    #[error("{urn}: the announcement was not committed: {source}; apply again")]
    Announce {
        /// The product.
        urn: Urn,
        /// Why.
        source: TransactionError,
    },
    /// One of the mesh's own topics can't be used.
    #[error(transparent)]
    ControlTopic(#[from] ControlTopicError),
    /// Kafka refused, or can't be reached.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The registry refused, or can't be reached.
    #[error(transparent)]
    Registry(#[from] RegistryClientError),
    /// A record of the mesh's own can't be written.
    #[error(transparent)]
    Mesh(#[from] MeshError),
    /// What is announced can't be read.
    #[error(transparent)]
    Read(#[from] ReadCatalogError),
    /// A topic that was to be created is there after all, and is not as the contract says.
    #[error(
        "topic {topic} was created by somebody else meanwhile, with other settings; apply again"
    )]
    TopicAppeared {
        /// The topic.
        topic: String,
    },
}

impl From<ActualError> for ApplyError {
    fn from(error: ActualError) -> Self {
        match error {
            ActualError::Kafka(error) => Self::Kafka(error),
            ActualError::Registry(error) => Self::Registry(error),
        }
    }
}

fn refusals(plan: &Plan) -> String {
    plan.products
        .iter()
        .flat_map(|p| p.refusals.iter().map(move |r| (p, r)))
        .map(|(p, r)| format!("{}: {}; instead {}", p.urn, r.what, r.instead))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Looks at what is there and says what an apply would do. Changes nothing.
///
/// # Errors
/// Kafka or the registry can't be asked.
pub async fn plan_products(
    kafka: &KafkaConfig,
    registry: &RegistryClient,
    products: &[Product],
) -> Result<Plan, ApplyError> {
    let admin = Admin::new(kafka)?;
    let snapshot = crate::read::read_catalog(kafka, registry).await?;
    let unreadable = snapshot.unreadable.iter();
    let mut actual = Actual {
        unreadable: unreadable.filter_map(|u| u.key.parse().ok()).collect(),
        announcements: snapshot
            .products
            .into_iter()
            .map(|p| (p.urn.clone(), p))
            .collect(),
        ..Actual::default()
    };
    for product in products {
        actual.look_at(product, &admin, registry).await?;
    }
    Ok(plan(products, &actual))
}

/// Applies `products`, one after the other, and tells `progress` of it. If one of them is refused,
/// nothing at all is done.
///
/// # Errors
/// See [`ApplyError`].
pub async fn apply_products(
    context: &ApplyContext,
    products: &[Product],
    mut progress: impl FnMut(Progress<'_>) + Send,
) -> Result<Vec<Applied>, ApplyError> {
    let context = &ApplyContext {
        registry: context.registry.claimed_by(&context.who),
        ..context.clone()
    };
    let foreseen = plan_products(&context.kafka, &context.registry, products).await?;
    if foreseen.is_refused() {
        return Err(ApplyError::Refused(foreseen));
    }
    let admin = Admin::new(&context.kafka)?;
    control::ensure(&admin, ControlTopic::Catalog).await?;
    control::ensure(&admin, ControlTopic::CatalogChanges).await?;
    let writers = Writers {
        announcements: writer(context, ControlTopic::Catalog).await?,
        changes: writer(context, ControlTopic::CatalogChanges).await?,
    };
    let mut known = Announcements::follow(context, &admin).await?;
    known.refresh().await?;
    let mut all = Vec::new();
    for (product, foreseen) in products.iter().zip(&foreseen.products) {
        let applied = match known.of(&product.urn) {
            // Nothing to do was seen a moment ago, so nobody needs to be shut out.
            Some(announcement) if foreseen.steps.is_empty() => Applied {
                urn: product.urn.clone(),
                steps: Vec::new(),
                announcement: announcement.clone(),
            },
            _ => {
                apply_one(
                    context,
                    &admin,
                    &writers,
                    &mut known,
                    product,
                    &mut progress,
                )
                .await?
            }
        };
        progress(Progress::Finished {
            urn: &product.urn,
            changed: !applied.steps.is_empty(),
        });
        all.push(applied);
    }
    Ok(all)
}

struct Writers {
    announcements: MeshWriter<ProductAnnouncement>,
    changes: MeshWriter<ProductChange>,
}

async fn writer<T: MeshRecord>(
    context: &ApplyContext,
    topic: ControlTopic,
) -> Result<MeshWriter<T>, ApplyError> {
    let subject = format!("{}-value", topic.name());
    Ok(MeshWriter::register(&context.registry, &subject).await?)
}

async fn apply_one(
    context: &ApplyContext,
    admin: &Admin,
    writers: &Writers,
    known: &mut Announcements,
    product: &Product,
    progress: &mut (impl FnMut(Progress<'_>) + Send),
) -> Result<Applied, ApplyError> {
    let urn = &product.urn;
    let producer = TransactionalProducer::open(
        &context.kafka,
        &format!("meshwork-apply-{urn}"),
        TransactionalOptions::default(),
    )
    .await
    .map_err(|source| announce_error(urn, source))?;
    // From here on nobody else can announce this product without shutting us out.
    known.refresh().await?;
    let mut actual = Actual {
        announcements: known.all().clone(),
        unreadable: known.unreadable().clone(),
        ..Actual::default()
    };
    actual.look_at(product, admin, &context.registry).await?;
    let plan = plan_one(product, &actual);
    if !plan.refusals.is_empty() {
        return Err(ApplyError::Refused(Plan {
            products: vec![plan],
        }));
    }
    let mut done = Vec::new();
    for step in &plan.steps {
        if matches!(step, Step::Announce { .. }) {
            continue;
        }
        act(step, admin, &context.registry).await?;
        progress(Progress::Done {
            urn,
            lines: step.lines(),
        });
        done.push(step.clone());
    }
    let value = registered(
        product.urn.value_subject(),
        &product.value_schema,
        &actual,
        &context.registry,
    )
    .await?;
    let key = match &product.key_schema {
        Some(text) => {
            Some(registered(product.urn.key_subject(), text, &actual, &context.registry).await?)
        }
        None => None,
    };
    let before = actual.announcements.get(urn);
    let new = new_announcement(product, before, value, key, context.clock.now());
    let again = before.filter(|_| actual.unreadable.contains(urn));
    let Some(new) = new.or_else(|| again.cloned()) else {
        return Ok(Applied {
            urn: urn.clone(),
            steps: done,
            announcement: before
                .cloned()
                .ok_or_else(|| ApplyError::Fenced { urn: urn.clone() })?,
        });
    };
    announce(context, admin, writers, &producer, before, &new).await?;
    let step = announce_step(&plan, before, &new);
    progress(Progress::Done {
        urn,
        lines: step.lines(),
    });
    done.push(step);
    Ok(Applied {
        urn: urn.clone(),
        steps: done,
        announcement: new,
    })
}

fn announce_error(urn: &Urn, source: TransactionError) -> ApplyError {
    match source {
        TransactionError::Fenced { .. } => ApplyError::Fenced { urn: urn.clone() },
        TransactionError::Kafka(error) => ApplyError::Kafka(error),
        source => ApplyError::Announce {
            urn: urn.clone(),
            source,
        },
    }
}

fn announce_step(
    plan: &ProductPlan,
    before: Option<&ProductAnnouncement>,
    new: &ProductAnnouncement,
) -> Step {
    let planned = plan
        .steps
        .iter()
        .find(|s| matches!(s, Step::Announce { .. }));
    planned.cloned().unwrap_or_else(|| Step::Announce {
        differences: before.map(|b| crate::plan::difference::announcements(b, new)),
    })
}

/// Does one step other than the announcement.
async fn act(step: &Step, admin: &Admin, registry: &RegistryClient) -> Result<(), ApplyError> {
    match step {
        Step::CreateTopic {
            topic,
            partitions,
            configs,
        } => {
            let mut new = NewTopic::new(topic, *partitions);
            for (key, value) in configs {
                new = new.with(key, value);
            }
            match admin.create_topic(&new).await? {
                Creation::Created => {}
                // Not there a moment ago: made by our own request, repeated after a lost answer, or by
                // somebody else, who may have made another.
                Creation::AlreadyThere => {
                    let there = look_at_topic(admin, topic).await?.unwrap_or_default();
                    if !there.is_as(*partitions, configs) {
                        return Err(ApplyError::TopicAppeared {
                            topic: topic.clone(),
                        });
                    }
                }
            }
        }
        Step::AddPartitions { topic, to, .. } => admin.create_partitions(topic, *to).await?,
        Step::SetConfigs { topic, changes } => {
            let set: Vec<(String, String)> = changes
                .iter()
                .map(|(key, _, to)| (key.clone(), to.clone()))
                .collect();
            admin.alter_topic_configs(topic, &set, &[]).await?;
        }
        Step::SetLevel { subject, to, .. } => registry.set_level(subject, to).await?,
        Step::Register { subject, text, .. } => {
            registry.register(subject, text, &[], false).await?;
        }
        Step::Announce { .. } => {}
    }
    Ok(())
}

/// The schema as registered; it is looked up anew if it was registered just now.
async fn registered(
    subject: String,
    text: &str,
    actual: &Actual,
    registry: &RegistryClient,
) -> Result<RegisteredSchema, ApplyError> {
    let known = actual
        .subjects
        .get(&subject)
        .and_then(|s| s.registered.get(text));
    match known {
        Some(known) => Ok(known.clone()),
        // Registering what is registered gives the same answer.
        None => Ok(as_announced(
            registry.register(&subject, text, &[], false).await?,
        )),
    }
}

async fn announce(
    context: &ApplyContext,
    admin: &Admin,
    writers: &Writers,
    producer: &TransactionalProducer,
    before: Option<&ProductAnnouncement>,
    new: &ProductAnnouncement,
) -> Result<(), ApplyError> {
    // Whom a change touches is known only where somebody may have read the product already.
    let consumers = match before {
        Some(before) => consumers::of_topic(admin, &before.topic).await,
        None => Vec::new(),
    };
    let key = new.urn.to_string();
    let mut records = vec![record(
        ControlTopic::Catalog,
        &key,
        writers.announcements.encode(new)?,
    )];
    // Meshwork's own registry has told of the schemas when they were registered.
    let versions = if context.registry.announces_changes().await? {
        changes::Versions::default()
    } else {
        changes::Versions::ask(&context.registry, before, new).await?
    };
    for change in changes::between(before, new, &versions, &context.who, &consumers) {
        records.push(record(
            ControlTopic::CatalogChanges,
            &key,
            writers.changes.encode(&change)?,
        ));
    }
    producer
        .commit_all(records)
        .await
        .map_err(|source| announce_error(&new.urn, source))?;
    Ok(())
}

fn record(topic: ControlTopic, key: &str, value: Vec<u8>) -> OwnedOutRecord {
    OwnedOutRecord::new(
        topic.name(),
        Some(key.as_bytes().to_vec().into()),
        Some(value.into()),
    )
}
