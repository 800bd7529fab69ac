//! What happened in the month, with exact counts: no wall times, offsets or ids, so that two runs
//! give the same document.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The demo's result. Keys are sorted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Alerts, by their ids.
    pub alerts: Vec<AlertSummary>,
    /// Expectations.
    pub expectations: Expectations,
    /// Incompatible schemas that the registry refused.
    pub incompatible_refused: u64,
    /// Distinct departures whose origin and hour have a row of weather.
    pub joined: u64,
    /// By `<domain>.<product>`.
    pub products: BTreeMap<String, ProductSummary>,
}

impl Summary {
    /// For people, a paragraph for each part.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut text = format!(
            "{:<26} {:>9} {:>8}  {:<8} {:>7} {:>5} {:>7} {:>13} {:>12}\n",
            "product",
            "published",
            "refused",
            "slo",
            "good",
            "bad",
            "quiet",
            "unmeasurable",
            "budget left"
        );
        for (name, product) in &self.products {
            for (n, (id, slo)) in product.slos.iter().enumerate() {
                let (name, published, refused) = match n {
                    0 => (
                        name.as_str(),
                        product.published.to_string(),
                        product.refused.to_string(),
                    ),
                    _ => ("", String::new(), String::new()),
                };
                text.push_str(&format!(
                    "{name:<26} {published:>9} {refused:>8}  {id:<8} {:>7} {:>5} {:>7} {:>13} {:>8} min\n",
                    slo.good,
                    slo.bad,
                    slo.expected_quiet,
                    slo.unmeasurable,
                    slo.budget_left.0 / 1_000_000
                ));
            }
        }
        text.push('\n');
        for alert in &self.alerts {
            let resolved = match alert.resolved_at.as_str() {
                "" => "is still firing".to_owned(),
                at => format!("resolved {at}"),
            };
            text.push_str(&format!(
                "alert {} fired {} (rule {}), {resolved}\n",
                alert.slo, alert.fired_at, alert.rule
            ));
        }
        text.push_str(&format!(
            "{} departures joined with their weather; incompatible schemas refused: {}\n\n",
            self.joined, self.incompatible_refused
        ));
        text
    }
}

/// An alert and its life.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AlertSummary {
    /// End of the minute that fired it.
    pub fired_at: String,
    /// End of the minute that resolved it; empty while it has not.
    pub resolved_at: String,
    /// The rule that fired.
    pub rule: String,
    /// SLO key.
    pub slo: String,
}

/// One product's counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProductSummary {
    /// Distinct keys in the product's topic.
    pub published: u64,
    /// Distinct keys in its quarantine.
    pub refused: u64,
    /// By the SLA's id.
    pub slos: BTreeMap<String, SloSummary>,
}

/// One SLO's closed minutes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SloSummary {
    /// Bad minutes.
    pub bad: i64,
    /// Error budget left at the end, in minutes of the SLO's window.
    pub budget_left: Number,
    /// Minutes in which nothing was due.
    pub expected_quiet: i64,
    /// Good minutes.
    pub good: i64,
    /// Minutes that were due and could not be measured.
    pub unmeasurable: i64,
}

/// Millionths, written as a whole number where they are one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Number(pub i64);

impl Serialize for Number {
    #[expect(
        clippy::cast_precision_loss,
        reason = "budgets are far below 2^53 millionths"
    )]
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 1_000_000 == 0 {
            serializer.serialize_i64(self.0 / 1_000_000)
        } else {
            serializer.serialize_f64(self.0 as f64 / 1e6)
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "budgets are far below 2^63 millionths"
    )]
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self((f64::deserialize(deserializer)? * 1e6).round() as i64))
    }
}

/// How many expectations held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expectations {
    /// Held.
    pub held: usize,
    /// Of so many.
    pub of: usize,
}

impl Expectations {
    /// Whether all held.
    #[must_use]
    pub fn all_held(self) -> bool {
        self.held == self.of
    }
}
