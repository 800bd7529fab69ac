//! Lines of input made into records: JSON lines, CSV rows with a mapping, and data that is encoded
//! already.

mod csv;
mod feed;
mod framed;
mod input;
mod json;

pub use csv::{CsvMapping, CsvMappingError, CsvReadError};
pub use feed::{Feed, FeedError, FeedKind};
pub use framed::{FramedReadError, write_framed};
pub use input::{Batch, Input, InputError, Item, MAX_LINE_BYTES};
pub use json::{JsonRows, Row, RowsError};
