//! January 2013 as events, read from the demo's data on its own, so that the two agree or a test fails.

use std::collections::HashMap;
use std::path::Path;

use jiff::ToSpan;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use meshwork_model::mesh::ProductAnnouncement;
use meshwork_model::mesh::announcement::{
    CadenceKind, DailyHours, EnforcementMode, IndicatorKind, ProductStatus, RegisteredSchema,
    SloDeclaration, TagMode,
};
use meshwork_model::name::Urn;
use meshwork_model::slo::Severity;
use meshwork_model::time::Timestamp;

/// When the month begins: 2013-01-01T05:00Z, midnight in New York.
pub(crate) const START: i64 = 1_357_016_400_000;
/// When the clock stands: 2013-02-01T10:01Z.
pub(crate) const STOP: i64 = 1_359_712_860_000;
pub(crate) const MINUTE: i64 = 60_000;

/// A record: what it tells of, and when it is published; ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Event {
    pub due: i64,
    pub event_time: i64,
}

/// A product and its month.
pub(crate) struct Month {
    pub announcement: ProductAnnouncement,
    pub events: Vec<Event>,
}

fn rows(file: &str) -> Vec<HashMap<String, String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy/demo/data")
        .join(file);
    let bytes = zstd::decode_all(std::fs::File::open(path).unwrap()).unwrap();
    csv::Reader::from_reader(bytes.as_slice())
        .deserialize()
        .map(Result::unwrap)
        .collect()
}

fn number(row: &HashMap<String, String>, column: &str) -> Option<i64> {
    row[column].parse().ok()
}

fn moment(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

/// The first moment after `after` at which the clock on the wall in `zone` shows `hhmm`.
fn first_after(after: i64, hhmm: i64, zone: &TimeZone) -> i64 {
    let hhmm = hhmm % 2400;
    let time = Time::new((hhmm / 100) as i8, (hhmm % 100) as i8, 0, 0).unwrap();
    let at = jiff::Timestamp::from_millisecond(after).unwrap();
    let mut day: Date = at.to_zoned_datetime(zone.clone()).date();
    loop {
        let candidate = day
            .to_datetime(time)
            .to_zoned_datetime(zone.clone())
            .unwrap();
        let candidate = candidate.timestamp().as_millisecond();
        if candidate > after {
            return candidate;
        }
        day = day.checked_add(1.day()).unwrap();
    }
}

fn slo(
    id: &str,
    indicator: IndicatorKind,
    within_minutes: i64,
    cadence: CadenceKind,
) -> SloDeclaration {
    SloDeclaration {
        id: id.into(),
        indicator,
        within_ms: within_minutes * MINUTE,
        objective: 990_000,
        window_ms: 30 * 86_400_000,
        cadence,
        every_ms: (cadence == CadenceKind::Every).then_some(60 * MINUTE),
        hours: None,
        severity: Severity::Page,
    }
}

fn new_york(mut slo: SloDeclaration, from_minute: i32, until_minute: i32) -> SloDeclaration {
    slo.hours = Some(DailyHours {
        from_minute,
        until_minute,
        zone: "America/New_York".into(),
    });
    slo
}

/// An announcement of `domain.product`, version 1.
pub(crate) fn announcement(
    name: &str,
    partitions: i32,
    slo: SloDeclaration,
) -> ProductAnnouncement {
    let (domain, product) = name.split_once('.').unwrap();
    let urn: Urn = format!("urn:meshwork:{domain}:{product}:v1")
        .parse()
        .unwrap();
    ProductAnnouncement {
        topic: urn.topic(),
        value_schema: RegisteredSchema {
            subject: urn.value_subject(),
            id: 1,
            guid: String::new(),
            schema: String::new(),
        },
        urn,
        domain: domain.into(),
        product: product.into(),
        version: "1.0.0".into(),
        status: ProductStatus::Active,
        announced_at: Timestamp::from_millis(START),
        changed_at: Timestamp::from_millis(START),
        owner: format!("{domain} desk"),
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
        enforcement: EnforcementMode::Quarantine,
        tag: TagMode::Record,
        event_time: Some("at".into()),
        inputs: Vec::new(),
        slos: vec![slo],
    }
}

/// The month as the demo replays it: meteorology falls silent on the 15th.
pub(crate) fn month() -> Vec<Month> {
    let zones: HashMap<String, String> = rows("airports.csv.zst")
        .into_iter()
        .map(|row| (row["faa"].clone(), row["tzone"].clone()))
        .collect();
    let zone_of = |airport: &str| {
        let name = match airport {
            "BQN" | "SJU" | "PSE" => "America/Puerto_Rico",
            "STT" => "America/St_Thomas",
            other => &zones[other],
        };
        TimeZone::get(name).unwrap()
    };
    let (mut departures, mut cancellations, mut arrivals) = (Vec::new(), Vec::new(), Vec::new());
    let on_time = |at: i64| Event {
        due: at,
        event_time: at,
    };
    for row in rows("flights-2013-01.csv.zst") {
        let scheduled = moment(&row["time_hour"]) + number(&row, "minute").unwrap() * MINUTE;
        if number(&row, "dep_time").is_some() {
            departures.push(on_time(
                scheduled + number(&row, "dep_delay").unwrap() * MINUTE,
            ));
        } else {
            cancellations.push(on_time(scheduled));
        }
        if let Some(delay) = number(&row, "arr_delay") {
            let hhmm = number(&row, "sched_arr_time").unwrap();
            let due = first_after(scheduled, hhmm, &zone_of(&row["dest"])) + delay * MINUTE;
            arrivals.push(on_time(due));
        }
    }
    let silence = moment("2013-01-15T12:00:00Z")..moment("2013-01-15T18:00:00Z");
    let end = moment("2013-02-01T10:00:00Z");
    let weather: Vec<Event> = rows("weather-2013-01-02.csv.zst")
        .iter()
        .map(|row| moment(&row["time_hour"]))
        .filter(|at| *at < end)
        .map(|at| Event {
            due: if silence.contains(&at) {
                silence.end
            } else {
                at
            },
            event_time: at,
        })
        .collect();
    let reference = |count: usize| vec![on_time(START); count];
    let latency = |id: &str| slo(id, IndicatorKind::Latency, 5, CadenceKind::Event);
    let fresh = |within, cadence| slo("freshness", IndicatorKind::Freshness, within, cadence);
    let products = vec![
        (
            "operations.departures",
            4,
            new_york(fresh(30, CadenceKind::Continuous), 390, 1260),
            departures,
        ),
        (
            "operations.cancellations",
            2,
            latency("latency"),
            cancellations,
        ),
        (
            "operations.arrivals",
            4,
            new_york(fresh(30, CadenceKind::Continuous), 540, 1380),
            arrivals,
        ),
        (
            "meteorology.observations",
            1,
            fresh(90, CadenceKind::Every),
            weather,
        ),
        (
            "fleet.aircraft",
            1,
            latency("latency"),
            reference(rows("planes.csv.zst").len()),
        ),
        (
            "network.airports",
            1,
            latency("latency"),
            reference(rows("airports.csv.zst").len()),
        ),
        (
            "network.airlines",
            1,
            latency("latency"),
            reference(rows("airlines.csv.zst").len()),
        ),
    ];
    let months: Vec<Month> = products
        .into_iter()
        .map(|(name, partitions, slo, mut events)| {
            events.sort_unstable();
            Month {
                announcement: announcement(name, partitions, slo),
                events,
            }
        })
        .collect();
    let counts: Vec<usize> = months.iter().map(|m| m.events.len()).collect();
    assert_eq!(counts, [26_483, 521, 26_398, 2_241, 3_322, 1_458, 16]);
    let last_arrival = months[2].events.last().unwrap().due;
    assert_eq!(last_arrival, moment("2013-02-01T09:09:00Z"));
    months
}
