//! From rows to events: which product, which key, which event time, and when it is due.

use std::collections::HashMap;
use std::io::Read;

use jiff::ToSpan as _;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use meshwork_model::time::{MINUTE_MS, Timestamp};
use serde::de::DeserializeOwned;

use super::rows::{AirlineRow, AirportRow, FlightRow, PlaneRow, WeatherRow};
use super::values::{
    Aircraft, Airline, Airport, Arrival, Cancellation, Departure, Value, WeatherObservation,
};

/// The month begins at midnight in New York: 2013-01-01T05:00Z.
pub const BEGIN: Timestamp = Timestamp::from_millis(1_357_016_400_000);
/// The clock runs to 2013-02-01T10:01Z and stands.
pub const END: Timestamp = Timestamp::from_millis(1_359_712_860_000);
/// Weather from here on is not published: 2013-02-01T10:00Z.
const WEATHER_UNTIL: Timestamp = Timestamp::from_millis(1_359_712_800_000);

/// Meteorology's producer is silent from 2013-01-15 12:00Z to 18:00Z, and then catches up.
pub const SILENT_FROM: Timestamp = Timestamp::from_millis(1_358_251_200_000);
/// End of the silence.
pub const SILENT_UNTIL: Timestamp = Timestamp::from_millis(1_358_272_800_000);

/// Destinations that `airports` lacks.
const MORE_ZONES: [(&str, &str); 4] = [
    ("BQN", "America/Puerto_Rico"),
    ("SJU", "America/Puerto_Rico"),
    ("PSE", "America/Puerto_Rico"),
    ("STT", "America/St_Thomas"),
];

/// The demo's data products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Product {
    /// `fleet.aircraft`
    Aircraft,
    /// `network.airports`
    Airports,
    /// `network.airlines`
    Airlines,
    /// `meteorology.observations`
    Weather,
    /// `operations.departures`
    Departures,
    /// `operations.cancellations`
    Cancellations,
    /// `operations.arrivals`
    Arrivals,
}

impl Product {
    /// All of them, in the order in which equal moments are replayed.
    pub const ALL: [Self; 7] = [
        Self::Aircraft,
        Self::Airports,
        Self::Airlines,
        Self::Weather,
        Self::Departures,
        Self::Cancellations,
        Self::Arrivals,
    ];

    /// `<domain>.<product>`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aircraft => "fleet.aircraft",
            Self::Airports => "network.airports",
            Self::Airlines => "network.airlines",
            Self::Weather => "meteorology.observations",
            Self::Departures => "operations.departures",
            Self::Cancellations => "operations.cancellations",
            Self::Arrivals => "operations.arrivals",
        }
    }
}

/// Whether a row waited for the end of meteorology's silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// Published when due.
    No,
    /// Published at [`SILENT_UNTIL`].
    Yes,
}

/// One record to publish.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// When it is due, which is its Kafka timestamp: its event time, or the end of the silence.
    pub due: Timestamp,
    /// Where it goes.
    pub product: Product,
    /// Its key, unique within the product.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// Whether it was withheld.
    pub withheld: Withheld,
}

/// The month's data could not be read. It is part of the binary, so this is a defect of the build.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FlightsError {
    /// A file that is no zstd or CSV.
    #[error("the demo's {file} can't be read")]
    Read {
        /// Which.
        file: &'static str,
        /// Why.
        #[source]
        source: csv::Error,
    },
    /// A file that does not unpack.
    #[error("the demo's {file} does not unpack")]
    Unpack {
        /// Which.
        file: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A flight whose scheduled arrival can't be told.
    #[error("flight {flight}: no time zone or no such time at {dest}")]
    Arrival {
        /// Its key.
        flight: String,
        /// Destination.
        dest: String,
    },
}

/// All events of the month in the order of replay.
#[derive(Debug)]
pub struct Month {
    /// Sorted by due time; withheld rows before any later row of their product.
    pub events: Vec<Event>,
}

/// Most bytes that one of the demo's files may unpack to.
const MAX_UNPACKED: u64 = 64 << 20;

fn rows<T: DeserializeOwned>(file: &'static str, packed: &[u8]) -> Result<Vec<T>, FlightsError> {
    let mut text = Vec::new();
    zstd::Decoder::new(packed)
        .and_then(|decoder| decoder.take(MAX_UNPACKED).read_to_end(&mut text))
        .map_err(|source| FlightsError::Unpack { file, source })?;
    csv::Reader::from_reader(text.as_slice())
        .deserialize()
        .collect::<Result<_, _>>()
        .map_err(|source| FlightsError::Read { file, source })
}

macro_rules! data {
    ($file:literal) => {
        rows($file, include_bytes!(concat!("../../data/", $file)))
    };
}

impl Month {
    /// Reads the month.
    ///
    /// # Errors
    /// Data that can't be read: a defect of the build.
    pub fn read() -> Result<Self, FlightsError> {
        let airports: Vec<AirportRow> = data!("airports.csv.zst")?;
        let zones = Zones::new(&airports);
        let mut events = Vec::with_capacity(64_000);
        events.extend(data!("planes.csv.zst")?.into_iter().map(aircraft));
        events.extend(airports.into_iter().map(airport));
        events.extend(data!("airlines.csv.zst")?.into_iter().map(airline));
        events.extend(
            data!("weather-2013-01-02.csv.zst")?
                .into_iter()
                .filter_map(weather),
        );
        let flights: Vec<FlightRow> = data!("flights-2013-01.csv.zst")?;
        for row in &flights {
            flight(row, &zones, &mut events)?;
        }
        // Stable, so equal moments keep the order of the files; withheld weather sorts before the
        // row of 18:00Z because its hours are earlier.
        events.sort_by_key(|e| (e.due, e.product, withheld_first(e)));
        Ok(Self { events })
    }
}

fn withheld_first(event: &Event) -> bool {
    event.withheld == Withheld::No
}

struct Zones(HashMap<String, TimeZone>);

impl Zones {
    fn new(airports: &[AirportRow]) -> Self {
        let known = airports
            .iter()
            .filter_map(|a| Some((a.faa.as_str(), a.tzone.as_deref()?)));
        Self(
            known
                .chain(MORE_ZONES)
                .filter_map(|(faa, zone)| Some((faa.to_owned(), TimeZone::get(zone).ok()?)))
                .collect(),
        )
    }

    /// The first moment after `departure` at which the clocks at `dest` show `hhmm`.
    fn first_after(&self, departure: Timestamp, dest: &str, hhmm: i32) -> Option<Timestamp> {
        let zone = self.0.get(dest)?;
        let time = Time::new(
            i8::try_from(hhmm / 100).ok()?,
            i8::try_from(hhmm % 100).ok()?,
            0,
            0,
        )
        .ok()?;
        let departure = jiff::Timestamp::from_millisecond(departure.as_millis()).ok()?;
        let mut day = zone.to_datetime(departure).date();
        // Two steps at most: today or tomorrow.
        for _ in 0..2 {
            let moment = zone.to_timestamp(day.to_datetime(time)).ok()?;
            if moment > departure {
                return Some(Timestamp::from_millis(moment.as_millisecond()));
            }
            day = day.checked_add(1.day()).ok()?;
        }
        None
    }
}

fn at(moment: jiff::Timestamp) -> Timestamp {
    Timestamp::from_millis(moment.as_millisecond())
}

fn on_time(product: Product, due: Timestamp, key: String, value: Value) -> Event {
    Event {
        due,
        product,
        key,
        value,
        withheld: Withheld::No,
    }
}

fn aircraft(row: PlaneRow) -> Event {
    on_time(
        Product::Aircraft,
        BEGIN,
        row.tailnum.clone(),
        Value::Aircraft(Aircraft {
            tailnum: row.tailnum,
            year_built: row.year,
            kind: row.kind,
            manufacturer: row.manufacturer,
            model: row.model,
            engines: row.engines,
            seats: row.seats,
            speed_mph: row.speed,
            engine: row.engine,
            valid_from: BEGIN,
        }),
    )
}

fn airport(row: AirportRow) -> Event {
    on_time(
        Product::Airports,
        BEGIN,
        row.faa.clone(),
        Value::Airport(Airport {
            faa: row.faa,
            name: row.name,
            latitude: row.lat,
            longitude: row.lon,
            altitude_feet: row.alt,
            utc_offset_hours: row.tz,
            daylight_saving: row.dst,
            time_zone: row.tzone,
            valid_from: BEGIN,
        }),
    )
}

fn airline(row: AirlineRow) -> Event {
    on_time(
        Product::Airlines,
        BEGIN,
        row.carrier.clone(),
        Value::Airline(Airline {
            carrier: row.carrier,
            name: row.name,
            valid_from: BEGIN,
        }),
    )
}

fn weather(row: WeatherRow) -> Option<Event> {
    let hour = at(row.time_hour);
    if hour >= WEATHER_UNTIL {
        return None;
    }
    let silent = SILENT_FROM <= hour && hour < SILENT_UNTIL;
    let key = format!("{}/{}", row.origin, row.time_hour);
    Some(Event {
        due: if silent { SILENT_UNTIL } else { hour },
        product: Product::Weather,
        key: key.clone(),
        value: Value::Weather(WeatherObservation {
            observation_id: key,
            origin: row.origin,
            time_hour: hour,
            temperature_f: row.temp,
            dew_point_f: row.dewp,
            humidity_percent: row.humid,
            wind_direction_degrees: row.wind_dir,
            wind_speed_mph: row.wind_speed,
            wind_gust_mph: row.wind_gust,
            precipitation_inches: row.precip,
            pressure_millibars: row.pressure,
            visibility_miles: row.visib,
        }),
        withheld: if silent { Withheld::Yes } else { Withheld::No },
    })
}

fn flight(row: &FlightRow, zones: &Zones, events: &mut Vec<Event>) -> Result<(), FlightsError> {
    let key = format!(
        "{:04}-{:02}-{:02}/{}/{}",
        row.year, row.month, row.day, row.carrier, row.flight
    );
    let time_hour = at(row.time_hour);
    let scheduled = time_hour.plus_millis(row.minute * MINUTE_MS);
    let (Some(_), Some(dep_delay)) = (row.dep_time, row.dep_delay) else {
        let value = Cancellation {
            flight_id: key.clone(),
            carrier: row.carrier.clone(),
            flight: row.flight,
            tailnum: row.tailnum.clone(),
            origin: row.origin.clone(),
            dest: row.dest.clone(),
            scheduled_departure: scheduled,
            distance_miles: row.distance,
            time_hour,
        };
        events.push(on_time(
            Product::Cancellations,
            scheduled,
            key,
            Value::Cancellation(value),
        ));
        return Ok(());
    };
    let departed_at = scheduled.plus_millis(i64::from(dep_delay) * MINUTE_MS);
    let departure = Departure {
        flight_id: key.clone(),
        carrier: row.carrier.clone(),
        flight: row.flight,
        tailnum: row.tailnum.clone(),
        origin: row.origin.clone(),
        dest: row.dest.clone(),
        scheduled_departure: scheduled,
        departed_at,
        dep_delay_minutes: dep_delay,
        distance_miles: row.distance,
        time_hour,
    };
    events.push(on_time(
        Product::Departures,
        departed_at,
        key.clone(),
        Value::Departure(departure),
    ));
    let Some(arr_delay) = row.arr_delay else {
        return Ok(());
    };
    let scheduled_arrival = zones
        .first_after(scheduled, &row.dest, row.sched_arr_time)
        .ok_or_else(|| FlightsError::Arrival {
            flight: key.clone(),
            dest: row.dest.clone(),
        })?;
    let arrived_at = scheduled_arrival.plus_millis(i64::from(arr_delay) * MINUTE_MS);
    let arrival = Arrival {
        flight_id: key.clone(),
        carrier: row.carrier.clone(),
        flight: row.flight,
        tailnum: row.tailnum.clone(),
        origin: row.origin.clone(),
        dest: row.dest.clone(),
        scheduled_arrival,
        arrived_at,
        arr_delay_minutes: arr_delay,
        air_time_minutes: row.air_time,
        distance_miles: row.distance,
    };
    events.push(on_time(
        Product::Arrivals,
        arrived_at,
        key,
        Value::Arrival(arrival),
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn count(month: &Month, product: Product) -> usize {
        month.events.iter().filter(|e| e.product == product).count()
    }

    #[test]
    fn january_has_the_events_that_the_data_promises() {
        let month = Month::read().unwrap();
        for (product, events) in [
            (Product::Departures, 26_483),
            (Product::Cancellations, 521),
            (Product::Arrivals, 26_398),
            (Product::Weather, 2_241),
            (Product::Aircraft, 3_322),
            (Product::Airports, 1_458),
            (Product::Airlines, 16),
        ] {
            assert_eq!(count(&month, product), events, "{}", product.name());
        }
        let keys: HashSet<_> = month.events.iter().map(|e| (e.product, &e.key)).collect();
        assert_eq!(
            keys.len(),
            month.events.len(),
            "every key is unique within its product"
        );
        assert!(month.events.is_sorted_by_key(|e| e.due));
        assert!(month.events.iter().all(|e| BEGIN <= e.due && e.due < END));
    }

    #[test]
    fn the_last_arrival_is_on_the_first_of_february() {
        let month = Month::read().unwrap();
        let last = month
            .events
            .iter()
            .rfind(|e| e.product == Product::Arrivals)
            .unwrap();
        assert_eq!(last.due.to_string(), "2013-02-01T09:09:00Z");
    }

    #[test]
    fn eighteen_rows_of_weather_come_late_and_before_any_later_row() {
        let month = Month::read().unwrap();
        let weather: Vec<_> = month
            .events
            .iter()
            .filter(|e| e.product == Product::Weather)
            .collect();
        let withheld: Vec<_> = weather
            .iter()
            .filter(|e| e.withheld == Withheld::Yes)
            .collect();
        assert_eq!(withheld.len(), 18);
        assert!(withheld.iter().all(|e| e.due == SILENT_UNTIL));
        let first = weather.iter().position(|e| e.due == SILENT_UNTIL).unwrap();
        let late: Vec<_> = weather[first..first + 18]
            .iter()
            .map(|e| e.withheld)
            .collect();
        assert!(late.iter().all(|w| *w == Withheld::Yes));
        assert_eq!(
            weather[first + 18].due,
            SILENT_UNTIL,
            "18:00Z itself follows"
        );
    }
}
