//! Scenarios: how minutes close, and the false alerts that others have had.

use meshwork_model::mesh::announcement::{
    CadenceKind, EnforcementMode, IndicatorKind, RegisteredSchema, SloDeclaration, TagMode,
};
use meshwork_model::mesh::observation::{OffsetRange, Tick};
use meshwork_model::mesh::slice::SliceState::{self, Bad, ExpectedQuiet, Good, Unmeasurable};

use super::*;
use crate::core::record::{Delay, PartitionView, SourceView, Through};
use crate::core::track::NoPages;

const MINUTE: i64 = MINUTE_MS;
const TOPIC: &str = "a.b.v1";

fn slo() -> SloDeclaration {
    SloDeclaration {
        id: "x".into(),
        indicator: IndicatorKind::Freshness,
        within_ms: 5 * MINUTE,
        objective: 990_000,
        window_ms: 30 * 86_400_000,
        cadence: CadenceKind::Continuous,
        every_ms: None,
        hours: None,
        severity: Severity::Page,
    }
}

fn announcement(partitions: i32, slo: SloDeclaration) -> ProductAnnouncement {
    let urn: meshwork_model::name::Urn = "urn:meshwork:a:b:v1".parse().unwrap();
    ProductAnnouncement {
        topic: urn.topic(),
        value_schema: RegisteredSchema {
            subject: urn.value_subject(),
            id: 1,
            guid: String::new(),
            schema: String::new(),
        },
        urn,
        domain: "a".into(),
        product: "b".into(),
        version: "1.0.0".into(),
        status: meshwork_model::mesh::announcement::ProductStatus::Active,
        announced_at: Timestamp::from_millis(0),
        changed_at: Timestamp::from_millis(0),
        owner: "o".into(),
        description: None,
        tags: Vec::new(),
        contract: String::new(),
        contract_digest: String::new(),
        key_schema: None,
        key_columns: Vec::new(),
        compatibility: "BACKWARD".into(),
        partitions,
        retention_ms: None,
        compacted: false,
        enforcement: EnforcementMode::Reject,
        tag: TagMode::Batch,
        event_time: None,
        inputs: Vec::new(),
        slos: vec![slo],
    }
}

/// A shard with one product, and short words for what is reported to it. Times are in minutes and may
/// have fractions.
struct World {
    fold: Fold,
    sequence: i64,
    ends: [i64; 4],
    slices: Vec<SloSlice>,
    alerts: Vec<SloAlert>,
}

fn ms(minutes: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "small numbers in a test")]
    let ms = (minutes * 60_000.0).round() as i64;
    ms
}

impl World {
    fn new(partitions: i32, slo: SloDeclaration) -> Self {
        let mut fold = Fold::new(Settings::default());
        assert_eq!(fold.announce(&announcement(partitions, slo)), []);
        Self {
            fold,
            sequence: 0,
            ends: [0; 4],
            slices: Vec::new(),
            alerts: Vec::new(),
        }
    }

    fn observe(&mut self, at: f64, p: PartitionView<'_>) {
        self.sequence += 1;
        let o = ObservationView {
            source: SourceView {
                instance: "i",
                epoch: 1,
                sequence: self.sequence,
            },
            observed_at: Timestamp::from_millis(ms(at)),
            fact: FactView::Partition(PartitionView { topic: TOPIC, ..p }),
        };
        let observed = self.fold.observe(&o, &NoPages).unwrap();
        assert_eq!(observed, Observed::Counted);
        self.collect();
    }

    /// A record of that event time arrives, and is reported by its producer.
    fn record(&mut self, at: f64, partition: usize, event: f64) {
        let from = self.ends[partition];
        self.ends[partition] += 1;
        self.report(at, partition, from, event);
    }

    fn report(&mut self, at: f64, partition: usize, from: i64, event: f64) {
        self.observe(
            at,
            PartitionView {
                partition: i32::try_from(partition).unwrap(),
                offsets: vec![OffsetRange {
                    from,
                    until: from + 1,
                }],
                records: 1,
                event_times: Some(Through {
                    least: Timestamp::from_millis(ms(event)),
                    greatest: Timestamp::from_millis(ms(event)),
                    records: 1,
                }),
                lag: Some(Delay {
                    greatest: ms(at - event).max(0),
                }),
                ..PartitionView::default()
            },
        );
    }

    /// The observer finds the end of a partition.
    fn poll(&mut self, at: f64, partition: usize) {
        let end = self.ends[partition];
        self.observe(
            at,
            PartitionView {
                partition: i32::try_from(partition).unwrap(),
                end_offset: Some(end),
                ..PartitionView::default()
            },
        );
    }

    /// Offsets are accounted for without records: markers, aborted or purged ones.
    fn account(&mut self, at: f64, partition: usize, from: i64, until: i64) {
        self.observe(
            at,
            PartitionView {
                partition: i32::try_from(partition).unwrap(),
                offsets: vec![OffsetRange { from, until }],
                ..PartitionView::default()
            },
        );
    }

    fn tick(&mut self, at: f64) {
        self.fold.tick(ms(at), &NoPages).unwrap();
        self.collect();
    }

    /// A minute passes in which the observer sees every partition and the clock goes on.
    fn pass(&mut self, until: f64, partitions: usize) {
        for p in 0..partitions {
            self.poll(until + 0.01, p);
        }
        self.tick(until + 0.2);
    }

    fn collect(&mut self) {
        let outputs = self.fold.take_outputs();
        self.slices.extend(outputs.slices);
        self.alerts.extend(outputs.alerts);
    }

    fn states(&self) -> Vec<SliceState> {
        let runs = self.slices.iter();
        runs.flat_map(|s| std::iter::repeat_n(s.state, usize::try_from(s.minutes).unwrap()))
            .collect()
    }
}

#[test]
fn a_minute_closes_when_the_tick_is_past_it_and_all_is_accounted_for() {
    let mut w = World::new(2, slo());
    w.tick(1.1);
    w.poll(1.0, 0);
    w.poll(1.0, 1);
    assert_eq!(w.states(), [], "1.1 is within lateness");
    w.tick(1.2);
    assert_eq!(w.states(), [Good]);

    // The other order: the tick first, then what was missing, whichever partition it was.
    w.tick(2.5);
    w.poll(2.2, 1);
    assert_eq!(w.states(), [Good]);
    w.poll(2.1, 0);
    assert_eq!(w.states(), [Good, Good]);

    // An end that is not covered does not count, until it is.
    w.ends[0] = 3;
    w.poll(3.1, 0);
    w.poll(3.1, 1);
    w.tick(3.3);
    assert_eq!(w.states().len(), 2);
    w.account(3.4, 0, 0, 2);
    assert_eq!(w.states().len(), 2);
    w.report(2.9, 0, 2, 2.5);
    assert_eq!(w.states().len(), 3);
    assert_eq!(w.slices.last().unwrap().worst_lag_ms, Some(30_000));
}

#[test]
fn what_is_missing_for_too_long_is_unmeasurable_and_never_bad() {
    let mut w = World::new(1, slo());
    w.pass(1.0, 1);
    // The observer is gone; lag is known to be small for some minutes, and then it is not known.
    for minute in 2..=10 {
        w.tick(f64::from(minute) + 1.01);
    }
    let states = w.states();
    assert_eq!(states[..5], [Good; 5]);
    assert_eq!(states[5..], [Unmeasurable; 5]);
    assert!(w.alerts.is_empty());
}

#[test]
fn a_gap_in_polls_in_which_ends_did_not_move_is_no_gap() {
    let mut w = World::new(1, slo());
    w.record(0.5, 0, 0.5);
    w.pass(1.0, 1);
    // A hand-over: nobody polls or ticks for a while. The first poll tells of all minutes between.
    w.poll(9.5, 0);
    w.tick(9.5);
    let states = w.states();
    assert_eq!(states, [Good, Good, Good, Good, Good, Bad, Bad, Bad, Bad]);
}

#[test]
fn who_reads_or_is_refused_makes_no_partition_and_no_time() {
    let (mut with, mut without) = (World::new(1, slo()), World::new(1, slo()));
    for w in [&mut with, &mut without] {
        w.record(0.5, 0, 0.5);
    }
    for partition in [0, 7] {
        with.observe(
            0.6,
            PartitionView {
                partition,
                ..PartitionView::default()
            },
        );
    }
    for w in [&mut with, &mut without] {
        w.pass(3.0, 1);
    }
    assert!(!without.states().is_empty());
    assert_eq!(with.states(), without.states());
}

/// What must not raise an alert nor spend budget. Others' issues are named.
#[test]
fn silence_that_is_none_is_good() {
    type Scenario = fn(&mut World);
    let all_good: [(&str, Scenario); 6] = [
        ("a partition that is never written (beam #40176)", |w| {
            for m in 1..=20 {
                w.record(f64::from(m) - 0.5, 0, f64::from(m) - 0.6);
                w.pass(f64::from(m), 2);
            }
        }),
        (
            "transaction markers at the end of the log (klag-exporter #104)",
            |w| {
                for m in 1..=20 {
                    w.record(f64::from(m) - 0.5, 0, f64::from(m) - 0.6);
                    // The marker takes an offset; nobody reports it, the observer reads it back.
                    w.ends[0] += 1;
                    w.poll(f64::from(m) + 0.01, 0);
                    w.poll(f64::from(m) + 0.01, 1);
                    w.tick(f64::from(m) + 0.2);
                    let end = w.ends[0];
                    w.account(f64::from(m) + 0.3, 0, end - 1, end);
                }
            },
        ),
        ("offsets purged by retention (klag-exporter #94)", |w| {
            // The log began at 1000 when it was first seen.
            w.ends[0] = 1000;
            w.account(0.1, 0, 0, 1000);
            for m in 1..=20 {
                w.record(f64::from(m) - 0.5, 0, f64::from(m) - 0.6);
                w.pass(f64::from(m), 2);
            }
        }),
        ("a repeat that comes much later", |w| {
            for m in 1..=20 {
                w.record(f64::from(m) - 0.5, 0, f64::from(m) - 0.6);
                w.pass(f64::from(m), 2);
                w.report(f64::from(m) + 0.3, 0, 0, 0.4);
            }
        }),
        ("an event time of 1970 among others", |w| {
            for m in 1..=20 {
                w.record(f64::from(m) - 0.5, 0, f64::from(m) - 0.6);
                w.record(f64::from(m) - 0.4, 1, 0.0);
                w.pass(f64::from(m), 2);
            }
        }),
        ("a topic that is made again", |w| {
            for m in 1..=20 {
                if m == 10 {
                    w.ends = [0; 4];
                }
                w.record(f64::from(m) - 0.5, 0, f64::from(m) - 0.6);
                w.pass(f64::from(m), 2);
                // The end went from 9 to 1: from there on it is counted anew.
                if m == 10 {
                    w.report(f64::from(m) - 0.3, 0, 0, f64::from(m) - 0.6);
                }
            }
        }),
    ];
    for (what, scenario) in all_good {
        let mut w = World::new(2, slo());
        scenario(&mut w);
        assert_eq!(w.states(), [Good; 20], "{what}");
        assert!(w.alerts.is_empty(), "{what}");
    }
}

#[test]
fn data_of_an_open_transaction_is_not_fresh() {
    let mut w = World::new(1, slo());
    w.record(0.5, 0, 0.5);
    // Records lie above the last stable offset: the end by the broker's word does not move.
    for m in 1..=10 {
        w.pass(f64::from(m), 1);
    }
    assert_eq!(w.states()[..5], [Good; 5]);
    assert_eq!(w.states()[5..], [Bad; 5]);
}

/// 9 bad minutes of 60 fire at 99 %; the alert freezes while nothing is known and does not resolve by
/// that, and resolves five minutes after the rule has become false.
#[test]
fn an_alert_fires_freezes_and_resolves() {
    let mut w = World::new(1, slo());
    let mut at = 0.0;
    let pass = |w: &mut World, at: &mut f64, minutes: i32, fresh: bool| {
        for _ in 0..minutes {
            if fresh {
                w.record(*at + 0.5, 0, *at + 0.5);
            }
            *at += 1.0;
            w.pass(*at, 1);
        }
    };
    pass(&mut w, &mut at, 10, true);
    pass(&mut w, &mut at, 12, false);
    assert!(w.alerts.is_empty(), "8 bad minutes");
    pass(&mut w, &mut at, 1, false);
    assert_eq!(w.alerts.len(), 1);
    assert_eq!(w.alerts[0].state, AlertState::Firing);
    assert_eq!(w.alerts[0].at.as_millis(), ms(at));
    assert_eq!(w.alerts[0].bad_long, 9);
    let id = w.alerts[0].id.clone();

    // Not measured for a long time: frozen.
    for _ in 0..30 {
        at += 1.0;
        w.tick(at + 1.01);
    }
    assert_eq!(w.alerts.len(), 2);
    assert_eq!(w.alerts[1].state, AlertState::Frozen);
    // Fresh again: unmeasurable minutes leave the short window with the fifth, which is the first of
    // five false ones.
    pass(&mut w, &mut at, 9, true);
    let states: Vec<AlertState> = w.alerts.iter().map(|a| a.state).collect();
    assert_eq!(
        states,
        [
            AlertState::Firing,
            AlertState::Frozen,
            AlertState::Firing,
            AlertState::Resolved
        ]
    );
    assert!(w.alerts.iter().all(|a| a.id == id));
    assert_eq!(w.alerts[3].reason.as_deref(), Some("recovered"));
    assert_eq!(
        w.alerts[3].resolved_at.map(Timestamp::as_millis),
        Some(ms(at))
    );
}

#[test]
fn one_late_record_at_low_traffic_pages_nobody() {
    let mut latency = slo();
    latency.indicator = IndicatorKind::Latency;
    latency.cadence = CadenceKind::Event;
    let mut w = World::new(1, latency);
    for m in 1..=60 {
        match m {
            10 => w.record(9.5, 0, 9.4),
            20 => w.record(19.5, 0, 10.0),
            _ => {}
        }
        w.pass(f64::from(m), 1);
    }
    let states = w.states();
    assert_eq!(states[9], Good);
    assert_eq!(states[19], Bad);
    let quiet = states.iter().filter(|s| **s == ExpectedQuiet).count();
    assert_eq!(quiet, 58);
    assert!(w.alerts.is_empty());
    // Without a schedule D is at least 1,000.
    let status = w.fold.status((0, 0), &NoPages).unwrap().unwrap();
    assert_eq!(status.due, 1_000);
    assert_eq!(status.budget_left_millionths, 9_000_000);
}

#[test]
fn the_first_minutes_after_opening_page_nobody() {
    let mut hours = slo();
    hours.hours = Some(meshwork_model::mesh::announcement::DailyHours {
        from_minute: 60,
        until_minute: 120,
        zone: "UTC".into(),
    });
    let mut w = World::new(1, hours);
    for m in 1..=180 {
        // The producer comes to work three minutes late.
        if (64..=120).contains(&m) {
            w.record(f64::from(m) - 0.5, 0, f64::from(m) - 0.5);
        }
        w.pass(f64::from(m), 1);
    }
    let states = w.states();
    assert_eq!(states[..60], [ExpectedQuiet; 60]);
    assert_eq!(states[60..63], [Bad; 3]);
    assert_eq!(states[63..120], [Good; 57]);
    assert_eq!(states[120..], [ExpectedQuiet; 60]);
    // D is what the hours make due in 30 days, not what has been due: 3 of 1,800 are 1/6 of it.
    let status = w.fold.status((0, 0), &NoPages).unwrap().unwrap();
    assert_eq!(status.due, 1_800);
    // 2 % of a budget of 18 is 0.36, so `least` decides: three bad minutes do page here.
    assert_eq!(w.alerts.len(), 2);
    assert_eq!(w.alerts[0].bad_long, 3);
}

#[test]
fn observations_are_told_apart() {
    let mut w = World::new(1, slo());
    let view = |topic, partition, sequence| ObservationView {
        source: SourceView {
            instance: "other",
            epoch: 1,
            sequence,
        },
        observed_at: Timestamp::from_millis(1),
        fact: FactView::Partition(PartitionView {
            topic,
            partition,
            ..PartitionView::default()
        }),
    };
    for (o, expected) in [
        (view(TOPIC, 0, 0), Observed::Counted),
        (view(TOPIC, 0, 0), Observed::Repeat),
        (view("c.d.v1", 0, 1), Observed::UnknownTopic),
        // Nothing was noted of it, so it may be offered again.
        (view(TOPIC, 0, 1), Observed::Counted),
        (view(TOPIC, -1, 2), Observed::Nonsense),
        (view(TOPIC, i32::MAX, 3), Observed::Nonsense),
    ] {
        assert_eq!(w.fold.observe(&o, &NoPages).unwrap(), expected, "{o:?}");
    }
    let tick = ObservationView {
        fact: FactView::Tick(Tick { shard: 0 }),
        ..view(TOPIC, 0, 9)
    };
    assert_eq!(w.fold.observe(&tick, &NoPages).unwrap(), Observed::Tick);
}

#[test]
fn a_clock_that_leaps_costs_bounded_work() {
    let mut w = World::new(1, slo());
    w.pass(1.0, 1);
    w.tick(60.0 * 24.0 * 365.0 * 13.0);
    let minutes: i64 = w.slices.iter().map(|s| i64::from(s.minutes)).sum();
    assert!(minutes <= BACK_MAX + 2, "{minutes}");
    // And one that goes back changes nothing.
    let last = w.fold.last_tick();
    w.tick(5.0);
    assert_eq!(w.fold.last_tick(), last);
}

#[test]
fn a_promise_that_is_withdrawn_ends_its_alert() {
    let mut w = World::new(1, slo());
    for m in 1..=20 {
        w.pass(f64::from(m), 1);
    }
    assert_eq!(w.alerts.len(), 1);
    let mut without = announcement(1, slo());
    without.slos.clear();
    w.fold.announce(&without);
    w.collect();
    assert_eq!(w.alerts[1].state, AlertState::Resolved);
    assert_eq!(w.alerts[1].reason.as_deref(), Some("not due"));
    assert!(w.fold.products()[0].tracks().is_empty());
    // Promised again, it starts anew from then.
    let mut again = announcement(1, slo());
    again.changed_at = Timestamp::from_millis(ms(30.0));
    w.fold.announce(&again);
    assert_eq!(w.fold.products()[0].tracks()[0].first(), 30);
}

#[test]
fn a_promise_that_makes_no_sense_is_told_and_the_others_are_judged() {
    let mut bad = announcement(1, slo());
    let mut zone = slo();
    zone.id = "y".into();
    zone.hours = Some(meshwork_model::mesh::announcement::DailyHours {
        from_minute: 0,
        until_minute: 10,
        zone: "Mars/Olympus".into(),
    });
    bad.slos.push(zone);
    let mut fold = Fold::new(Settings::default());
    let faults = fold.announce(&bad);
    assert_eq!(faults.len(), 1);
    assert!(
        faults[0].to_string().contains("Mars/Olympus"),
        "{}",
        faults[0]
    );
    assert_eq!(fold.products()[0].tracks().len(), 1);
}
