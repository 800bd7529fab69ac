//! The month through the pure core, against a slow program that knows nothing of observations, offsets,
//! pages or ticks: it judges every minute from the events themselves.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use meshwork_freshness::core::{
    Family, Fold, ObservationView, Page, PageSource, SavedError, Settings, Totals, end_of,
    minute_of,
};
use meshwork_model::mesh::alert::AlertState;
use meshwork_model::mesh::announcement::{IndicatorKind, SloDeclaration};
use meshwork_model::mesh::observation::{
    EventTimes, LagSummary, ObservationFact, ObservationSource, OffsetRange, PartitionObservation,
    SourceKind,
};
use meshwork_model::mesh::slice::SliceState;
use meshwork_model::mesh::{SloAlert, SloSlice, SloStatus, StreamObservation};
use meshwork_model::time::Timestamp;

use crate::flights::{Event, MINUTE, Month, START, STOP, month};

/// A store in memory.
#[derive(Default)]
struct Memory(BTreeMap<(Family, Vec<u8>), Vec<u8>>);

impl PageSource for Memory {
    type Error = std::convert::Infallible;

    fn page(&self, slo: u32, day: i64) -> Result<Option<Page>, Self::Error> {
        let mut key = slo.to_be_bytes().to_vec();
        key.extend_from_slice(&(day as u32).to_be_bytes());
        let value = self.0.get(&(Family::Page, key));
        Ok(value.map(|v| Page::from_bytes(v).unwrap()))
    }
}

impl Memory {
    fn save(&mut self, fold: &mut Fold) {
        fold.save(|family, key, value| {
            let key = (family, key.to_vec());
            match value {
                Some(value) => self.0.insert(key, value.to_vec()),
                None => self.0.remove(&key),
            };
        })
        .unwrap();
    }

    fn restore(&self, settings: Settings) -> Fold {
        Fold::restore::<SavedError>(settings, |family, each| {
            let of_family = self.0.iter().filter(|((f, _), _)| *f == family);
            for ((_, key), value) in of_family {
                each(key, value)?;
            }
            Ok(())
        })
        .unwrap()
    }
}

/// Writes the observations that producers and observer would.
struct Reporter {
    sequence: i64,
    /// Next offset of (topic, partition).
    ends: BTreeMap<(String, i32), i64>,
}

impl Reporter {
    fn wrap(&mut self, at: i64, p: PartitionObservation) -> StreamObservation {
        self.sequence += 1;
        StreamObservation {
            source: ObservationSource {
                kind: SourceKind::Produce,
                instance: "test".into(),
                epoch: 1,
                sequence: self.sequence,
            },
            observed_at: Timestamp::from_millis(at),
            fact: ObservationFact::PartitionObservation(p),
        }
    }

    /// One simulated minute of one partition's records.
    fn traffic(&mut self, topic: &str, partition: i32, events: &[Event]) -> StreamObservation {
        let from = *self.ends.entry((topic.into(), partition)).or_default();
        let until = from + events.len() as i64;
        self.ends.insert((topic.into(), partition), until);
        let times = events.iter().map(|e| e.event_time);
        let lags = events.iter().map(|e| e.due - e.event_time);
        let p = PartitionObservation {
            topic: topic.into(),
            partition,
            offsets: vec![OffsetRange { from, until }],
            records: until - from,
            event_times: Some(EventTimes {
                least: Timestamp::from_millis(times.clone().min().unwrap()),
                greatest: Timestamp::from_millis(times.max().unwrap()),
                records: until - from,
                ahead: 0,
            }),
            lag: Some(LagSummary {
                least: lags.clone().min().unwrap(),
                greatest: lags.max().unwrap(),
                sketch: Vec::new(),
            }),
            ..PartitionObservation::default()
        };
        self.wrap(events.iter().map(|e| e.due).max().unwrap(), p)
    }

    fn poll(&mut self, topic: &str, partition: i32, at: i64) -> StreamObservation {
        let end = *self.ends.entry((topic.into(), partition)).or_default();
        let p = PartitionObservation {
            topic: topic.into(),
            partition,
            end_offset: Some(end),
            ..PartitionObservation::default()
        };
        self.wrap(at, p)
    }
}

#[derive(Default, PartialEq, Debug)]
struct Outcome {
    slices: BTreeMap<String, Vec<SloSlice>>,
    alerts: Vec<SloAlert>,
    statuses: BTreeMap<String, SloStatus>,
    totals: BTreeMap<String, Totals>,
}

/// Replays the month with the clock advancing by `step` ms. With `restart_every`, the fold is saved and
/// read back after so many steps.
fn replay(months: &[Month], step: i64, restart_every: Option<usize>) -> Outcome {
    let settings = Settings {
        give_up_ms: 24 * 60 * MINUTE,
        ..Settings::default()
    };
    let mut fold = Fold::new(settings);
    let mut memory = Memory::default();
    let mut outcome = Outcome::default();
    for m in months {
        assert!(fold.announce(&m.announcement).is_empty());
    }
    let mut reporter = Reporter {
        sequence: 0,
        ends: BTreeMap::new(),
    };
    let mut next = vec![0; months.len()];
    let mut now = START;
    let mut steps = 0;
    loop {
        for (m, next) in months.iter().zip(&mut next) {
            let topic = &m.announcement.topic;
            let partitions = m.announcement.partitions as usize;
            // Records due by now, a minute at a time, spread over the partitions.
            while m.events.get(*next).is_some_and(|e| e.due <= now) {
                let minute = minute_of(m.events[*next].due);
                let until = m
                    .events
                    .partition_point(|e| e.due <= now && minute_of(e.due) <= minute);
                let of_minute = &m.events[*next..until];
                for p in 0..partitions {
                    let part: Vec<Event> = of_minute
                        .iter()
                        .copied()
                        .skip(p)
                        .step_by(partitions)
                        .collect();
                    if !part.is_empty() {
                        let o = reporter.traffic(topic, p as i32, &part);
                        fold.observe(&ObservationView::from(&o), &memory).unwrap();
                    }
                }
                *next = until;
            }
            for p in 0..partitions {
                let o = reporter.poll(topic, p as i32, now);
                fold.observe(&ObservationView::from(&o), &memory).unwrap();
            }
        }
        fold.tick(now, &memory).unwrap();
        steps += 1;
        if restart_every.is_some_and(|n| steps % n == 0) {
            collect(&mut fold, &memory, &mut outcome);
            memory.save(&mut fold);
            fold = memory.restore(settings);
        }
        if now == STOP {
            break;
        }
        now = (now + step).min(STOP);
    }
    collect(&mut fold, &memory, &mut outcome);
    for track in fold
        .products()
        .iter()
        .flat_map(meshwork_freshness::core::Product::tracks)
    {
        assert_eq!(end_of(track.next() - 1), STOP - MINUTE, "{}", track.key());
        let totals = track.totals(i64::MAX, &memory).unwrap();
        outcome.totals.insert(track.key().into(), totals);
    }
    outcome
}

fn collect(fold: &mut Fold, memory: &Memory, outcome: &mut Outcome) {
    let outputs = fold.take_outputs();
    for slice in outputs.slices {
        outcome
            .slices
            .entry(slice.slo.clone())
            .or_default()
            .push(slice);
    }
    outcome.alerts.extend(outputs.alerts);
    for place in outputs.touched.values() {
        let status = fold.status(*place, memory).unwrap().unwrap();
        outcome.statuses.insert(status.slo.clone(), status);
    }
}

/// States minute by minute, from the first on; checks that runs follow each other without gaps.
fn states(runs: &[SloSlice]) -> Vec<SliceState> {
    let mut states = Vec::new();
    let mut at = START;
    for run in runs {
        assert_eq!(run.from.as_millis(), at);
        assert_eq!(run.revision, 0);
        states.extend(std::iter::repeat_n(run.state, run.minutes as usize));
        at += i64::from(run.minutes) * MINUTE;
    }
    states
}

/// Whether a moment is within the SLO's hours.
fn due(slo: &SloDeclaration, at: i64) -> bool {
    slo.hours.as_ref().is_none_or(|hours| {
        let zone = TimeZone::get(&hours.zone).unwrap();
        let local = jiff::Timestamp::from_millisecond(at)
            .unwrap()
            .to_zoned_datetime(zone);
        let minute = i32::from(local.hour()) * 60 + i32::from(local.minute());
        (hours.from_minute..hours.until_minute).contains(&minute)
    })
}

/// The slow program: judges each minute by looking at all events again.
fn slow(m: &Month) -> Vec<SliceState> {
    let slo = &m.announcement.slos[0];
    let minutes = (STOP - MINUTE - START) / MINUTE;
    (0..minutes)
        .map(|i| {
            let start = START + i * MINUTE;
            let end = start + MINUTE;
            if !due(slo, start) {
                return SliceState::ExpectedQuiet;
            }
            let before = m.events.partition_point(|e| e.due < end);
            match slo.indicator {
                IndicatorKind::Freshness => {
                    let newest = m.events[..before].iter().map(|e| e.event_time).max();
                    if end - newest.unwrap_or(START) <= slo.within_ms {
                        SliceState::Good
                    } else {
                        SliceState::Bad
                    }
                }
                IndicatorKind::Latency => {
                    let first = m.events.partition_point(|e| e.due < start);
                    let late = |e: &Event| e.due - e.event_time > slo.within_ms;
                    if first == before {
                        SliceState::ExpectedQuiet
                    } else if m.events[first..before].iter().any(late) {
                        SliceState::Bad
                    } else {
                        SliceState::Good
                    }
                }
            }
        })
        .collect()
}

/// The slow alert: end of each minute at which the 14.4x rule is true, in exact fractions.
fn slow_rule(slo: &SloDeclaration, states: &[SliceState]) -> Vec<i64> {
    let bad = |from: usize, until: usize| {
        let window = &states[from..until];
        window.iter().filter(|s| **s == SliceState::Bad).count() as i64
    };
    // D of a schedule counts minutes before the product existed, too.
    let window = slo.window_ms / MINUTE;
    let scheduled = slo.indicator == IndicatorKind::Freshness;
    (1..=states.len())
        .filter(|&until| {
            let long = bad(until.saturating_sub(60), until);
            let short = bad(until.saturating_sub(5), until);
            if long == 0 {
                return false;
            }
            let end = START + until as i64 * MINUTE;
            let d = if scheduled {
                (1..=window).filter(|i| due(slo, end - i * MINUTE)).count() as i64
            } else {
                1_000
            };
            let budget = f64::from(1_000_000 - slo.objective) / 1e6 * d as f64;
            long as f64 > 0.02 * budget && short as f64 > 0.02 * budget * 5.0 / 60.0 && long >= 3
        })
        .map(|until| START + until as i64 * MINUTE)
        .collect()
}

fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millis()
}

#[test]
fn the_month_has_one_alert_and_every_slice_agrees_with_a_slow_program() {
    let months = month();
    let outcome = replay(&months, 3 * MINUTE + 7_000, None);

    for m in &months {
        let slo = format!("{}#{}", m.announcement.urn, m.announcement.slos[0].id);
        let fast = states(&outcome.slices[&slo]);
        let slow = slow(m);
        assert_eq!(fast.len(), 44_940, "{slo}");
        for (i, (f, s)) in fast.iter().zip(&slow).enumerate() {
            let end = Timestamp::from_millis(START + (i as i64 + 1) * MINUTE);
            assert_eq!(f, s, "{slo} at {end}");
        }
        let bad: Vec<i64> = (1..)
            .zip(&slow)
            .filter(|(_, s)| **s == SliceState::Bad)
            .map(|(i, _)| START + i * MINUTE)
            .collect();
        let rule = slow_rule(&m.announcement.slos[0], &slow);
        let totals = outcome.totals[&slo];
        assert_eq!(totals.unmeasurable, 0, "{slo}");
        assert_eq!(totals.bad, bad.len() as i64, "{slo}");
        assert_eq!(
            totals.good + totals.bad + totals.expected_quiet,
            44_940,
            "{slo}"
        );
        if m.announcement.domain == "meteorology" {
            assert_eq!(bad.len(), 330);
            assert_eq!(bad[0], at("2013-01-15T12:31:00Z"));
            assert_eq!(bad[329], at("2013-01-15T18:00:00Z"));
            assert_eq!(rule[0], at("2013-01-15T12:39:00Z"));
            assert_eq!(rule.last(), Some(&at("2013-01-15T18:04:00Z")));
        } else {
            assert!(bad.is_empty() && rule.is_empty(), "{slo}: {bad:?}");
        }
    }

    let key = "urn:meshwork:meteorology:observations:v1#freshness";
    let [fired, resolved] = &outcome.alerts[..] else {
        panic!("{:?}", outcome.alerts);
    };
    let id = format!("{key}/page/2013-01-15T12:39:00Z");
    assert_eq!((&fired.id, &resolved.id), (&id, &id));
    assert_eq!(
        (fired.state, fired.rule.as_str()),
        (AlertState::Firing, "1h_5m")
    );
    assert_eq!(fired.at.as_millis(), at("2013-01-15T12:39:00Z"));
    assert_eq!((fired.bad_long, fired.bad_short), (9, 5));
    assert_eq!(resolved.state, AlertState::Resolved);
    assert_eq!(resolved.reason.as_deref(), Some("recovered"));
    assert_eq!(
        resolved.resolved_at.map(Timestamp::as_millis),
        Some(at("2013-01-15T18:09:00Z"))
    );

    let status = &outcome.statuses[key];
    assert_eq!(status.as_of.as_millis(), STOP - MINUTE);
    assert_eq!(status.due, 43_200);
    assert_eq!((status.good, status.bad), (43_200 - 330, 330));
    assert_eq!(status.budget_millionths, 432_000_000);
    assert_eq!(status.budget_left_millionths, 102_000_000);
    assert_eq!(status.alert, AlertState::Quiet);
    // 30 days of 06:30 to 21:00, whatever of them the product has lived.
    let departures = &outcome.statuses["urn:meshwork:operations:departures:v1#freshness"];
    assert_eq!(departures.due, 30 * 870);
    assert_eq!(departures.budget_left_millionths, 10_000 * 30 * 870);
}

#[test]
fn pace_and_restarts_change_nothing() {
    let months = month();
    let whole = replay(&months, 3 * MINUTE + 7_000, None);
    for (step, restart) in [
        (10_000 * 6, None),
        (2 * 60 * MINUTE, Some(1)),
        (17 * MINUTE + 1, Some(5)),
    ] {
        let other = replay(&months, step, restart);
        assert_eq!(other.alerts, whole.alerts, "{step} {restart:?}");
        assert_eq!(other.statuses, whole.statuses, "{step} {restart:?}");
        assert_eq!(other.totals, whole.totals, "{step} {restart:?}");
        for (slo, runs) in &whole.slices {
            assert_eq!(states(&other.slices[slo]), states(runs), "{slo}");
        }
    }
}
