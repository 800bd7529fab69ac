//! January 2013 at the airports of New York, as events of seven data products: what happened, under
//! which key, and when it was due. Pure: the month is read from bytes that the binary carries.

pub mod rows;
pub mod timetable;
pub mod values;

pub use timetable::{Event, FlightsError, Month, Product, Withheld};
