//! The CSV rows, as nycflights13 writes them. `NA` is absent.

use serde::{Deserialize, Deserializer};

/// Row of `flights`: one scheduled departure. `dep_time` says only whether the flight left:
/// `dep_time` and `arr_time` hold 2400 and roll over midnight, so no time is read from them.
#[derive(Debug, Deserialize)]
pub struct FlightRow {
    /// Local year of scheduled departure.
    pub year: i16,
    /// Local month.
    pub month: i8,
    /// Local day.
    pub day: i8,
    /// Whether it left.
    #[serde(deserialize_with = "na")]
    pub dep_time: Option<i32>,
    /// Minutes late at departure.
    #[serde(deserialize_with = "na")]
    pub dep_delay: Option<i32>,
    /// Scheduled arrival, local to the destination, as HHMM.
    pub sched_arr_time: i32,
    /// Minutes late at arrival; absent for cancelled and diverted flights.
    #[serde(deserialize_with = "na")]
    pub arr_delay: Option<i32>,
    /// Carrier.
    pub carrier: String,
    /// Flight number.
    pub flight: i32,
    /// Tail number.
    #[serde(deserialize_with = "na")]
    pub tailnum: Option<String>,
    /// Airport of departure.
    pub origin: String,
    /// Destination.
    pub dest: String,
    /// Minutes in the air.
    #[serde(deserialize_with = "na")]
    pub air_time: Option<i32>,
    /// Statute miles.
    pub distance: i32,
    /// Minute of scheduled departure within `time_hour`.
    pub minute: i64,
    /// Scheduled hour in UTC.
    pub time_hour: jiff::Timestamp,
}

/// Row of `weather`: one hourly observation at one airport.
#[derive(Debug, Deserialize)]
pub struct WeatherRow {
    /// Airport.
    pub origin: String,
    /// Fahrenheit.
    #[serde(deserialize_with = "na")]
    pub temp: Option<f64>,
    /// Fahrenheit.
    #[serde(deserialize_with = "na")]
    pub dewp: Option<f64>,
    /// Percent.
    #[serde(deserialize_with = "na")]
    pub humid: Option<f64>,
    /// Degrees.
    #[serde(deserialize_with = "na")]
    pub wind_dir: Option<i32>,
    /// Miles an hour.
    #[serde(deserialize_with = "na")]
    pub wind_speed: Option<f64>,
    /// Miles an hour.
    #[serde(deserialize_with = "na")]
    pub wind_gust: Option<f64>,
    /// Inches.
    pub precip: f64,
    /// Millibars.
    #[serde(deserialize_with = "na")]
    pub pressure: Option<f64>,
    /// Miles.
    pub visib: f64,
    /// Hour in UTC.
    pub time_hour: jiff::Timestamp,
}

/// Row of `airports`.
#[derive(Debug, Deserialize)]
pub struct AirportRow {
    /// FAA code.
    pub faa: String,
    /// Name.
    pub name: String,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lon: f64,
    /// Feet.
    pub alt: i32,
    /// Hours from UTC.
    pub tz: i32,
    /// Daylight saving: A, N or U.
    pub dst: String,
    /// IANA time zone.
    #[serde(deserialize_with = "na")]
    pub tzone: Option<String>,
}

/// Row of `planes`.
#[derive(Debug, Deserialize)]
pub struct PlaneRow {
    /// Tail number.
    pub tailnum: String,
    /// Year built.
    #[serde(deserialize_with = "na")]
    pub year: Option<i32>,
    /// Type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Manufacturer.
    pub manufacturer: String,
    /// Model.
    pub model: String,
    /// Engines.
    pub engines: i32,
    /// Seats.
    pub seats: i32,
    /// Miles an hour.
    #[serde(deserialize_with = "na")]
    pub speed: Option<i32>,
    /// Kind of engine.
    pub engine: String,
}

/// Row of `airlines`.
#[derive(Debug, Deserialize)]
pub struct AirlineRow {
    /// Carrier.
    pub carrier: String,
    /// Name.
    pub name: String,
}

/// `NA` and nothing at all are absent.
fn na<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    match &*text {
        "NA" | "" => Ok(None),
        text => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}
