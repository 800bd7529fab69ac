//! The values of the seven products; field names are those of `schemas/flights/*.avsc`.
#![expect(
    missing_docs,
    reason = "the fields are documented in the Avro schemas, which carry the same names"
)]

use meshwork_model::time::Timestamp;
use serde::Serialize;

/// `operations.departures`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Departure {
    pub flight_id: String,
    pub carrier: String,
    pub flight: i32,
    pub tailnum: Option<String>,
    pub origin: String,
    pub dest: String,
    pub scheduled_departure: Timestamp,
    pub departed_at: Timestamp,
    pub dep_delay_minutes: i32,
    pub distance_miles: i32,
    pub time_hour: Timestamp,
}

/// `operations.arrivals`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Arrival {
    pub flight_id: String,
    pub carrier: String,
    pub flight: i32,
    pub tailnum: Option<String>,
    pub origin: String,
    pub dest: String,
    pub scheduled_arrival: Timestamp,
    pub arrived_at: Timestamp,
    pub arr_delay_minutes: i32,
    pub air_time_minutes: Option<i32>,
    pub distance_miles: i32,
}

/// `operations.cancellations`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cancellation {
    pub flight_id: String,
    pub carrier: String,
    pub flight: i32,
    pub tailnum: Option<String>,
    pub origin: String,
    pub dest: String,
    pub scheduled_departure: Timestamp,
    pub distance_miles: i32,
    pub time_hour: Timestamp,
}

/// `meteorology.observations`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WeatherObservation {
    pub observation_id: String,
    pub origin: String,
    pub time_hour: Timestamp,
    pub temperature_f: Option<f64>,
    pub dew_point_f: Option<f64>,
    pub humidity_percent: Option<f64>,
    pub wind_direction_degrees: Option<i32>,
    pub wind_speed_mph: Option<f64>,
    pub wind_gust_mph: Option<f64>,
    pub precipitation_inches: f64,
    pub pressure_millibars: Option<f64>,
    pub visibility_miles: f64,
}

/// `fleet.aircraft`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Aircraft {
    pub tailnum: String,
    pub year_built: Option<i32>,
    #[serde(rename = "type")]
    pub kind: String,
    pub manufacturer: String,
    pub model: String,
    pub engines: i32,
    pub seats: i32,
    pub speed_mph: Option<i32>,
    pub engine: String,
    pub valid_from: Timestamp,
}

/// `network.airports`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Airport {
    pub faa: String,
    pub name: String,
    pub latitude: f64,
    pub longitude: f64,
    pub altitude_feet: i32,
    pub utc_offset_hours: i32,
    pub daylight_saving: String,
    pub time_zone: Option<String>,
    pub valid_from: Timestamp,
}

/// `network.airlines`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Airline {
    pub carrier: String,
    pub name: String,
    pub valid_from: Timestamp,
}

/// A value of any of the seven.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Departure(Departure),
    Arrival(Arrival),
    Cancellation(Cancellation),
    Weather(WeatherObservation),
    Aircraft(Aircraft),
    Airport(Airport),
    Airline(Airline),
}
