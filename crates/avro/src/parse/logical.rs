//! Which logical types hold where (Avro Java's `LogicalTypes`).

use crate::json::{Json, Number};
use crate::schema::{Kind, LogicalType, NodeId};

fn prop<'p>(props: &'p [(String, Json)], key: &str) -> Option<&'p Json> {
    props
        .iter()
        .find_map(|(name, value)| (name == key).then_some(value))
}

/// The name of the logical type that `props` ask for. Java leaves a type alone that says already
/// of which Java class its values are to be.
fn named(props: &[(String, Json)]) -> Option<&str> {
    const CLASSES: [&str; 4] = [
        "avro.java.string",
        "java-class",
        "java-key-class",
        "java-element-class",
    ];
    let mut classes = CLASSES
        .iter()
        .filter_map(|class| prop(props, class)?.as_str());
    if classes.next().is_some() {
        return None;
    }
    prop(props, "logicalType")?.as_str()
}

/// The logical types that Confluent adds to Avro's: `map` on an array of key and value,
/// `variant` on a record of metadata and value. They change nothing but the order in which
/// attributes are written. `kind_of` is not to give records that are not complete.
pub(crate) fn confluent_logical<'k>(
    kind: &'k Kind,
    props: &[(String, Json)],
    kind_of: impl Fn(NodeId) -> Option<&'k Kind>,
) -> Option<&'static str> {
    match (named(props)?, kind) {
        ("map", Kind::Array(items)) => match kind_of(*items)? {
            Kind::Record(record)
                if record
                    .fields
                    .iter()
                    .map(|field| field.name.as_str())
                    .eq(["key", "value"]) =>
            {
                Some("map")
            }
            _ => None,
        },
        ("variant", Kind::Record(record)) => {
            let is_bytes = |name: &str| {
                record.fields.iter().any(|field| {
                    field.name == name && matches!(kind_of(field.node), Some(Kind::Bytes))
                })
            };
            (record.fields.len() == 2 && is_bytes("metadata") && is_bytes("value"))
                .then_some("variant")
        }
        _ => None,
    }
}

/// The logical type that `props` give to `kind`, if it is valid there.
pub(super) fn logical_type(kind: &Kind, props: &[(String, Json)]) -> Option<LogicalType> {
    let name = named(props)?;
    let prop = |key: &str| prop(props, key);
    let int = |key: &str| match prop(key)? {
        Json::Number(Number::Integer(value)) => i32::try_from(*value).ok(),
        _ => None,
    };
    match (name, kind) {
        ("decimal", Kind::Bytes | Kind::Fixed(_)) => {
            let precision = int("precision")?;
            let scale = if prop("scale").is_some() {
                int("scale")?
            } else {
                0
            };
            let greatest = match kind {
                Kind::Fixed(fixed) => greatest_precision(fixed.size),
                _ => i64::from(i32::MAX),
            };
            let fits = precision > 0
                && i64::from(precision) <= greatest
                && (0..=precision).contains(&scale);
            fits.then_some(LogicalType::Decimal {
                precision: u32::try_from(precision).ok()?,
                scale: u32::try_from(scale).ok()?,
            })
        }
        ("big-decimal", Kind::Bytes) => Some(LogicalType::BigDecimal),
        ("uuid", Kind::String) => Some(LogicalType::Uuid),
        ("uuid", Kind::Fixed(fixed)) if fixed.size == 16 => Some(LogicalType::Uuid),
        ("duration", Kind::Fixed(fixed)) if fixed.size == 12 => Some(LogicalType::Duration),
        ("date", Kind::Int) => Some(LogicalType::Date),
        ("time-millis", Kind::Int) => Some(LogicalType::TimeMillis),
        ("time-micros", Kind::Long) => Some(LogicalType::TimeMicros),
        ("timestamp-millis", Kind::Long) => Some(LogicalType::TimestampMillis),
        ("timestamp-micros", Kind::Long) => Some(LogicalType::TimestampMicros),
        ("timestamp-nanos", Kind::Long) => Some(LogicalType::TimestampNanos),
        ("local-timestamp-millis", Kind::Long) => Some(LogicalType::LocalTimestampMillis),
        ("local-timestamp-micros", Kind::Long) => Some(LogicalType::LocalTimestampMicros),
        ("local-timestamp-nanos", Kind::Long) => Some(LogicalType::LocalTimestampNanos),
        _ => None,
    }
}

/// The digits that a fixed of `size` bytes can hold, in Java's arithmetic: 32 bits, which wrap.
fn greatest_precision(size: u32) -> i64 {
    let bits = size.cast_signed().wrapping_mul(8).wrapping_sub(1);
    #[expect(clippy::cast_possible_truncation, reason = "at most 0.31 × 2^31")]
    let digits = (2_f64.log10() * f64::from(bits)).floor() as i64;
    digits
}
