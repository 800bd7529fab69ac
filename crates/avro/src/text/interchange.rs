//! A text for apache-avro.

use crate::schema::Schema;

pub(super) fn write(schema: &Schema) -> String {
    schema.resolved_text()
}
