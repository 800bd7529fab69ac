//! `product plan`: what is there against what the contracts say, as steps and refusals.
//!
//! [`plan`] is pure; [`Actual`] is gathered by [`actual`]. `apply` makes the same comparison again
//! before it acts.

pub mod actual;
pub mod difference;
pub mod render;

use meshwork_avro::compatibility::{Existing, check as judge};
use meshwork_avro::{ParseOptions, Schema, Strictness};
use meshwork_model::mesh::announcement::{EnforcementMode, ProductAnnouncement, RegisteredSchema};
use meshwork_model::name::Urn;
use meshwork_model::product::Product;
use meshwork_model::time::Timestamp;

pub use actual::{Actual, ActualSubject, ActualTopic};
pub use render::{Line, Sign};

use crate::check::breaking::{level_of, new_major};

/// One thing to do. They are done in the order of the plan, the announcement last, so that what is
/// announced is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Create a topic.
    CreateTopic {
        /// Name.
        topic: String,
        /// Partitions.
        partitions: i32,
        /// Settings that the contract says.
        configs: Vec<(String, String)>,
    },
    /// Raise a topic's partitions.
    AddPartitions {
        /// Name.
        topic: String,
        /// Now.
        from: i32,
        /// Then.
        to: i32,
        /// Whether records have keys, whose partitions will change.
        keyed: bool,
    },
    /// Set settings of a topic.
    SetConfigs {
        /// Name.
        topic: String,
        /// Each with its value now, if it has one, and then.
        changes: Vec<(String, Option<String>, String)>,
    },
    /// Set a subject's compatibility level.
    SetLevel {
        /// Subject.
        subject: String,
        /// Now; none: the registry's default.
        from: Option<String>,
        /// Then.
        to: String,
    },
    /// Register a schema.
    Register {
        /// Subject.
        subject: String,
        /// The text, as written.
        text: String,
        /// The newest version there is.
        after: Option<i32>,
        /// The differences from it, a line each.
        differences: Vec<String>,
    },
    /// Announce the product.
    Announce {
        /// What differs from the last announcement, a line each; none: it is the first.
        differences: Option<Vec<String>>,
    },
}

/// What is not done, because it would lose data or break a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the contract asks for, and what it would do.
    pub what: String,
    /// How to do it right.
    pub instead: String,
}

/// What is to be done for one product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductPlan {
    /// The product version.
    pub urn: Urn,
    /// In order.
    pub steps: Vec<Step>,
    /// If there is one, nothing is done.
    pub refusals: Vec<Refusal>,
}

/// What is to be done for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the order of the contracts.
    pub products: Vec<ProductPlan>,
}

impl Plan {
    /// Whether everything is as the contracts say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.products
            .iter()
            .all(|p| p.steps.is_empty() && p.refusals.is_empty())
    }

    /// Whether anything is refused.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.products.iter().any(|p| !p.refusals.is_empty())
    }
}

/// Compares what is desired with what is there.
#[must_use]
pub fn plan(desired: &[Product], actual: &Actual) -> Plan {
    Plan {
        products: desired.iter().map(|p| plan_one(p, actual)).collect(),
    }
}

/// As [`plan`], for one product.
#[must_use]
pub fn plan_one(product: &Product, actual: &Actual) -> ProductPlan {
    let mut plan = ProductPlan {
        urn: product.urn.clone(),
        steps: Vec::new(),
        refusals: Vec::new(),
    };
    let announced = actual.announcements.get(&product.urn);
    if let Some(announced) = announced {
        key(product, announced, &mut plan);
    }
    topic(
        product,
        &product.topic(),
        &product.topic_configs(),
        actual,
        &mut plan,
    );
    if product.enforcement == EnforcementMode::Quarantine {
        let name = product.quarantine_topic();
        let there = actual.topics.get(&name);
        let replicas = there.map_or(actual.brokers, |there| there.replication);
        let configs = product.quarantine_configs(replicas);
        topic(product, &name, &configs, actual, &mut plan);
    }
    let value = subject(
        product,
        &product.urn.value_subject(),
        &product.value_schema,
        actual,
        &mut plan,
    );
    let key = product
        .key_schema
        .as_ref()
        .map(|text| subject(product, &product.urn.key_subject(), text, actual, &mut plan));
    let unreadable = actual.unreadable.contains(&product.urn);
    announcement(product, (announced, unreadable), value, key, &mut plan);
    plan
}

fn refuse(plan: &mut ProductPlan, what: String, instead: String) {
    plan.refusals.push(Refusal { what, instead });
}

/// Another key puts records elsewhere, and readers who keep the latest by key are misled.
fn key(product: &Product, announced: &ProductAnnouncement, plan: &mut ProductPlan) {
    if announced.key_columns != product.key_columns {
        refuse(
            plan,
            format!(
                "the key would change from ({}) to ({}): records of one key would no longer be in order, nor in one partition",
                announced.key_columns.join(", "),
                product.key_columns.join(", ")
            ),
            new_major(product),
        );
    } else if announced.key_schema.is_some() != product.key_schema.is_some() {
        let words = |avro: bool| if avro { "Avro" } else { "UTF-8" };
        refuse(
            plan,
            format!(
                "the key would change from {} to {}: equal keys would no longer have equal bytes",
                words(announced.key_schema.is_some()),
                words(product.key_schema.is_some())
            ),
            new_major(product),
        );
    }
}

fn topic(
    product: &Product,
    name: &str,
    configs: &[(&'static str, String)],
    actual: &Actual,
    plan: &mut ProductPlan,
) {
    let is_product = name == product.topic();
    let Some(there) = actual.topics.get(name) else {
        plan.steps.push(Step::CreateTopic {
            topic: name.to_owned(),
            partitions: product.partitions,
            configs: configs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect(),
        });
        return;
    };
    let keyed = !product.key_columns.is_empty() || product.key_schema.is_some();
    if there.partitions > product.partitions && is_product {
        refuse(
            plan,
            format!(
                "topic {name} has {} partitions, and fewer ({}) would lose the records in the others",
                there.partitions, product.partitions
            ),
            format!(
                "say `partitions: {}` in the contract, or {}",
                there.partitions,
                new_major(product)
            ),
        );
    } else if there.partitions < product.partitions && is_product && product.compacted {
        refuse(
            plan,
            format!(
                "topic {name} is compacted and has {} partitions; with {} the latest record of a key would stand beside older ones in other partitions",
                there.partitions, product.partitions
            ),
            new_major(product),
        );
    } else if there.partitions < product.partitions {
        plan.steps.push(Step::AddPartitions {
            topic: name.to_owned(),
            from: there.partitions,
            to: product.partitions,
            keyed: keyed && is_product,
        });
    }
    let mut changes = Vec::new();
    for (key, wanted) in configs {
        if there.has(key, wanted) {
            continue;
        }
        let found = there.configs.get(*key);
        if *key == "cleanup.policy" {
            let found = found.map_or("", String::as_str);
            let compacts = found.split(',').any(|p| p.trim() == "compact");
            if compacts != (wanted == "compact") {
                let why = if compacts {
                    "with delete, the latest record of a key would be lost once it is old"
                } else {
                    "with compact, all but the latest record of each key would be lost"
                };
                refuse(
                    plan,
                    format!("topic {name} has cleanup.policy={found}; {why}"),
                    if is_product {
                        format!(
                            "say `cleanup: {}` in the contract, or {}",
                            if compacts { "compact" } else { "delete" },
                            new_major(product)
                        )
                    } else {
                        format!("delete the topic {name} if nobody needs its records")
                    },
                );
                continue;
            }
        }
        changes.push(((*key).to_owned(), found.cloned(), wanted.clone()));
    }
    if !changes.is_empty() {
        plan.steps.push(Step::SetConfigs {
            topic: name.to_owned(),
            changes,
        });
    }
}

/// Gives the registered schema, if the text is registered already.
fn subject(
    product: &Product,
    subject: &str,
    text: &str,
    actual: &Actual,
    plan: &mut ProductPlan,
) -> Option<RegisteredSchema> {
    let nothing = ActualSubject::default();
    let there = actual.subjects.get(subject).unwrap_or(&nothing);
    let level = product.compatibility.as_str();
    if there.level.as_deref() != Some(level) {
        plan.steps.push(Step::SetLevel {
            subject: subject.to_owned(),
            from: there.level.clone(),
            to: level.to_owned(),
        });
    }
    if let Some(registered) = there.registered.get(text) {
        return Some(registered.clone());
    }
    let newest = there.newest_first.first();
    let new = match Schema::parse(text) {
        Ok(new) => new,
        Err(error) => {
            refuse(
                plan,
                format!("the schema for {subject} does not parse: {error}"),
                "run `meshwork product check`".to_owned(),
            );
            return None;
        }
    };
    let stored = ParseOptions {
        strictness: Strictness::Stored,
        ..ParseOptions::default()
    };
    let parsed: Vec<(i32, Schema)> = there
        .newest_first
        .iter()
        .filter_map(|(version, text)| Some((*version, Schema::parse_with(text, &stored).ok()?)))
        .collect();
    let existing: Vec<Existing<'_>> = parsed
        .iter()
        .map(|(version, schema)| Existing {
            version: Some(*version),
            schema,
        })
        .collect();
    let verdict = judge(level_of(product), &new, &existing);
    if !verdict.is_compatible() {
        let reasons: Vec<String> = verdict
            .findings
            .iter()
            .map(|f| f.incompatibility.to_string())
            .collect();
        refuse(
            plan,
            format!(
                "the schema breaks {level} with version {} of {subject}: {}",
                verdict.version.unwrap_or_default(),
                reasons.join("; ")
            ),
            new_major(product),
        );
    }
    plan.steps.push(Step::Register {
        subject: subject.to_owned(),
        text: text.to_owned(),
        after: newest.map(|(version, _)| *version),
        differences: match parsed.first() {
            Some((_, old)) => difference::schemas(old, &new),
            None => Vec::new(),
        },
    });
    None
}

/// `value`, and `key` where the key is Avro, are none while they are not registered. With what is
/// announced goes whether that was replaced by something that can't be read.
fn announcement(
    product: &Product,
    (announced, unreadable): (Option<&ProductAnnouncement>, bool),
    value: Option<RegisteredSchema>,
    key: Option<Option<RegisteredSchema>>,
    plan: &mut ProductPlan,
) {
    let Some(announced) = announced else {
        plan.steps.push(Step::Announce { differences: None });
        return;
    };
    let unregistered = |subject: String, text: &str| RegisteredSchema {
        subject,
        id: 0,
        guid: String::new(),
        schema: text.to_owned(),
    };
    let value =
        value.unwrap_or_else(|| unregistered(product.urn.value_subject(), &product.value_schema));
    let key = key.map(|key| {
        key.unwrap_or_else(|| {
            unregistered(
                product.urn.key_subject(),
                product.key_schema.as_deref().unwrap_or_default(),
            )
        })
    });
    let desired = product.announcement(value, key, announced.announced_at, announced.changed_at);
    if unreadable || &desired != announced {
        let mut differences = Vec::new();
        if &desired != announced {
            differences = difference::announcements(announced, &desired);
        }
        if unreadable {
            differences.push("~ what is there last can't be read".to_owned());
        }
        plan.steps.push(Step::Announce {
            differences: Some(differences),
        });
    }
}

/// The announcement that `product` asks for once its schemas are registered; none if it is what is
/// announced already. The first announcement of a URN keeps its moment for ever.
#[must_use]
pub fn new_announcement(
    product: &Product,
    announced: Option<&ProductAnnouncement>,
    value: RegisteredSchema,
    key: Option<RegisteredSchema>,
    now: Timestamp,
) -> Option<ProductAnnouncement> {
    let Some(announced) = announced else {
        return Some(product.announcement(value, key, now, now));
    };
    let mut new = product.announcement(value, key, announced.announced_at, announced.changed_at);
    if &new == announced {
        return None;
    }
    new.changed_at = now;
    Some(new)
}

#[cfg(test)]
mod tests;
