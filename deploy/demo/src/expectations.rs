//! What must be so after the month: counts from the data, minutes from two independent simulations
//! of the rules, and what a user would look for.

use crate::breaker::BAD_RECORDS;
use crate::flights::Product;
use crate::summary::{AlertSummary, Expectations, SloSummary, Summary};

/// Events of the month by product.
pub(crate) const EVENTS: [(Product, u64); 7] = [
    (Product::Aircraft, 3_322),
    (Product::Airports, 1_458),
    (Product::Airlines, 16),
    (Product::Weather, 2_241),
    (Product::Departures, 26_483),
    (Product::Cancellations, 521),
    (Product::Arrivals, 26_398),
];
/// Minutes from 2013-01-01T05:00Z to 2013-02-01T10:00Z.
const MINUTES: i64 = 44_940;
/// Departures whose airport and hour have a row of weather.
pub(crate) const JOINED: u64 = 26_431;
/// The one SLO that fires.
const FIRING: &str = "urn:meshwork:meteorology:observations:v1#fresh";

/// What the summary does not hold: checks on the way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checks {
    /// Products that the catalog answers for.
    pub(crate) in_catalog: usize,
    /// Product records that carry `mesh-producer`.
    pub(crate) tagged: u64,
    /// Whether lineage knows producer → departures → group.
    pub(crate) lineage: bool,
    /// Departures that the consumer group read.
    pub(crate) consumed: u64,
}

/// One expectation and whether it held.
#[derive(Clone, Debug)]
pub(crate) struct Expectation {
    /// In words.
    pub(crate) what: String,
    /// Whether it held.
    pub(crate) held: bool,
    /// What was found, where that is not plain from `what`.
    pub(crate) found: String,
}

/// Judges the month.
pub(crate) fn judge(summary: &Summary, checks: Checks) -> Vec<Expectation> {
    let mut all = Vec::new();
    let mut expect = |what: String, held: bool, found: String| {
        all.push(Expectation { what, held, found });
    };
    for (product, events) in EVENTS {
        let found = summary
            .products
            .get(product.name())
            .map_or(0, |p| p.published);
        expect(
            format!("{} holds {events} events", product.name()),
            found == events,
            found.to_string(),
        );
    }
    for (product, _) in EVENTS {
        let expected = if product == Product::Departures {
            BAD_RECORDS as u64
        } else {
            0
        };
        let found = summary
            .products
            .get(product.name())
            .map_or(0, |p| p.refused);
        expect(
            format!("{} refused {expected}", product.name()),
            found == expected,
            found.to_string(),
        );
    }
    for (product, _) in EVENTS {
        let slos = summary.products.get(product.name()).map(|p| &p.slos);
        for (id, slo) in slos.into_iter().flatten() {
            let (bad, words) = expected_bad(product);
            let minutes = slo.good + slo.bad + slo.expected_quiet + slo.unmeasurable;
            let held = slo.bad == bad && slo.unmeasurable == 0 && minutes == MINUTES;
            expect(
                format!("{}#{id} {words} in {MINUTES}", product.name()),
                held,
                counts(slo),
            );
        }
        expect(
            format!("{} has an SLO that is measured", product.name()),
            slos.is_some_and(|slos| !slos.is_empty()),
            slos.map_or(0, std::collections::BTreeMap::len).to_string(),
        );
    }
    let alert = AlertSummary {
        fired_at: "2013-01-15T12:39:00Z".to_owned(),
        resolved_at: "2013-01-15T18:09:00Z".to_owned(),
        rule: "1h_5m".to_owned(),
        slo: FIRING.to_owned(),
    };
    expect(
        "one alert: meteorology, 2013-01-15 12:39Z to 18:09Z".to_owned(),
        summary.alerts == [alert],
        format!("{:?}", summary.alerts),
    );
    expect(
        "the registry refused one incompatible schema".to_owned(),
        summary.incompatible_refused == 1,
        summary.incompatible_refused.to_string(),
    );
    expect(
        format!("{JOINED} departures joined with their weather"),
        summary.joined == JOINED,
        summary.joined.to_string(),
    );
    expect(
        "a consumer group read every departure".to_owned(),
        checks.consumed == EVENTS[4].1,
        checks.consumed.to_string(),
    );
    expect(
        "the catalog has seven products".to_owned(),
        checks.in_catalog == EVENTS.len(),
        checks.in_catalog.to_string(),
    );
    let events: u64 = EVENTS.iter().map(|(_, n)| n).sum();
    expect(
        "every record names its producer".to_owned(),
        checks.tagged == events,
        checks.tagged.to_string(),
    );
    expect(
        "lineage leads from producer over departures to the group".to_owned(),
        checks.lineage,
        checks.lineage.to_string(),
    );
    all
}

fn expected_bad(product: Product) -> (i64, &'static str) {
    if product == Product::Weather {
        (330, "has 330 bad minutes")
    } else {
        (0, "has no bad minute")
    }
}

fn counts(slo: &SloSummary) -> String {
    format!(
        "{} good, {} bad, {} quiet, {} unmeasurable",
        slo.good, slo.bad, slo.expected_quiet, slo.unmeasurable
    )
}

/// How many held.
pub(crate) fn tally(all: &[Expectation]) -> Expectations {
    Expectations {
        held: all.iter().filter(|e| e.held).count(),
        of: all.len(),
    }
}
