//! The datum validator against decoders: apache-avro's into generic values, and
//! serde_avro_fast's into nothing (`IgnoredAny`), which looks at the least it can.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use apache_avro::reader::datum::GenericDatumReader;
use meshwork_avro::{Schema, Validator};
use meshwork_client::json::JsonForm;
use serde::de::IgnoredAny;

use crate::table::{Line, Outcome, median};

/// Rounds of all contenders in turn; the ratios are the medians of the rounds'.
const ROUNDS: usize = 15;

/// How long each contender runs in a round.
const ROUND_NANOS: f64 = 20e6;

struct Case {
    name: &'static str,
    schema: &'static str,
    event_time: Option<&'static str>,
    datum: &'static str,
}

const CASES: [Case; 3] = [
    Case {
        name: "order",
        schema: include_str!("validator/order.avsc"),
        event_time: Some("placed_at"),
        datum: include_str!("validator/order.json"),
    },
    Case {
        name: "flight",
        schema: include_str!("../../schemas/flights/operations.departures.avsc"),
        event_time: Some("departed_at"),
        datum: include_str!("validator/flight.json"),
    },
    Case {
        name: "deep",
        schema: include_str!("validator/deep.avsc"),
        event_time: None,
        datum: include_str!("validator/deep.json"),
    },
];

/// Measures all cases.
///
/// # Errors
/// A case that one of the three cannot read: the bench itself is broken.
pub fn run() -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    for case in &CASES {
        measure(case, &mut lines).with_context(|| format!("validator bench, {}", case.name))?;
    }
    Ok(lines)
}

fn measure(case: &Case, lines: &mut Vec<Line>) -> Result<()> {
    let schema = Schema::parse(case.schema)?;
    let mut datum = Vec::new();
    JsonForm::new(&schema)?.encode(case.datum.trim(), &mut datum)?;

    let validator = Validator::compile(&schema, case.event_time)?;
    let valid = validator.validate(&datum)?;
    ensure!(
        valid.event_time.is_some() == case.event_time.is_some(),
        "no event time"
    );
    let generic = apache_avro::Schema::parse_str(&schema.interchange_text())?;
    let generic = GenericDatumReader::builder(&generic).build()?;
    generic.read_value(&mut datum.as_slice())?;
    let fast: serde_avro_fast::Schema = schema.interchange_text().parse()?;
    serde_avro_fast::from_datum_slice::<IgnoredAny>(&datum, &fast)?;

    let ours = || validator.validate(black_box(&datum)).is_ok();
    let apache = || generic.read_value(&mut black_box(datum.as_slice())).is_ok();
    let skipping =
        || serde_avro_fast::from_datum_slice::<IgnoredAny>(black_box(&datum), &fast).is_ok();
    let mut nanos = [Vec::new(), Vec::new(), Vec::new()];
    let mut ratios = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        let round = [time(ours), time(apache), time(skipping)];
        for (all, one) in nanos.iter_mut().zip(round) {
            all.push(one);
        }
        let [ours, apache, skipping] = round;
        ratios[0].push(ours / apache);
        ratios[1].push(ours / skipping);
    }
    let [ours, apache, skipping] = nanos.map(median);
    let [to_apache, to_skipping] = ratios.map(median);
    let name = format!("validator, {} ({} B)", case.name, datum.len());
    lines.push(Line {
        name: format!("{name}: share of apache-avro's decoding"),
        figure: format!("{to_apache:.3} ({ours:.0} ns of {apache:.0} ns)"),
        goal: "at most 0.100".to_owned(),
        outcome: Outcome::at_most(to_apache, 0.1),
    });
    lines.push(Line {
        name: format!("{name}: share of serde_avro_fast's skipping"),
        figure: format!("{to_skipping:.3} ({ours:.0} ns of {skipping:.0} ns)"),
        goal: "at most 1.000".to_owned(),
        outcome: Outcome::at_most(to_skipping, 1.0),
    });
    Ok(())
}

/// Nanoseconds of one call, over as many as fill a round.
fn time(call: impl Fn() -> bool) -> f64 {
    let mut calls = 0_u32;
    let start = Instant::now();
    loop {
        for _ in 0..100 {
            black_box(call());
        }
        calls += 100;
        let nanos = start.elapsed().as_secs_f64() * 1e9;
        if nanos >= ROUND_NANOS {
            return nanos / f64::from(calls);
        }
    }
}
