//! Random schemas, values and encodings, drawn from a string of bytes so that a
//! property test can shrink them: when the bytes run out, every choice is the
//! first one.

use std::collections::HashMap;

use apache_avro::types::Value;
use apache_avro::{Days, Decimal, Duration, Millis, Months, Uuid};
use meshwork_avro::{Kind, LogicalType, NodeId, Schema};
use serde_json::{Value as Json, json};

/// Bytes to draw choices from.
pub struct Entropy<'a>(&'a [u8]);

impl<'a> Entropy<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    /// Below `count`, 0 when the bytes have run out.
    pub fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == count - 1
    }

    pub fn number(&mut self) -> i64 {
        const EDGES: [i64; 10] = [
            0,
            -1,
            1,
            63,
            64,
            -65,
            i32::MAX as i64,
            i32::MIN as i64,
            i64::MAX,
            i64::MIN,
        ];
        match self.below(4) {
            0 => i64::from(self.byte()),
            1 => EDGES[self.below(EDGES.len())],
            2 => 1_357_016_400_000 + i64::from(self.byte()) * 3_600_000,
            _ => i64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    pub fn text(&mut self) -> String {
        const PIECES: [&str; 12] = [
            "",
            "a",
            "JFK",
            "é",
            "€",
            "𝄞",
            "/",
            "~",
            "\"",
            "2013-01-01T05:00:00Z",
            "\u{0}",
            " ",
        ];
        (0..self.below(5))
            .map(|_| PIECES[self.below(PIECES.len())])
            .collect()
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.byte()).collect()
    }
}

/// A random schema's text. Records refer to themselves only through unions,
/// arrays and maps, so that they have data.
pub fn schema(entropy: &mut Entropy<'_>) -> Json {
    let mut names = Names::default();
    match entropy.below(8) {
        0..=5 => names.record(entropy, 0),
        _ => names.node(entropy, 0),
    }
}

#[derive(Default)]
struct Names {
    next: usize,
    done: Vec<String>,
    open: Vec<String>,
}

impl Names {
    fn fresh(&mut self) -> String {
        self.next += 1;
        format!("N{}", self.next)
    }

    fn node(&mut self, entropy: &mut Entropy<'_>, depth: usize) -> Json {
        let leaf = depth > 4;
        match entropy.below(if leaf { 15 } else { 24 }) {
            0 | 12 => json!("string"),
            1 => json!("long"),
            2 => json!("int"),
            3 => json!("boolean"),
            4 => json!("double"),
            5 => json!("float"),
            6 => json!("null"),
            7 => json!("bytes"),
            8 => self.logical(entropy),
            9 => self.fixed(entropy),
            10 => self.symbols(entropy),
            11 => json!({"type": "long", "logicalType": "timestamp-millis"}),
            13 => match self.done.as_slice() {
                [] => json!("int"),
                done => json!(done[entropy.below(done.len())]),
            },
            14 => json!({"type": "int", "logicalType": "date"}),
            15 | 16 => json!({"type": "array", "items": self.indirect(entropy, depth)}),
            17 => json!({"type": "map", "values": self.indirect(entropy, depth)}),
            18 | 19 => self.record(entropy, depth + 1),
            20 | 21 => {
                let some = self.branch(entropy, depth);
                if some == json!("null") {
                    json!(["null"])
                } else if entropy.one_in(4) {
                    json!([some, "null"])
                } else {
                    json!(["null", some])
                }
            }
            _ => self.union(entropy, depth),
        }
    }

    /// A type behind an array, map or union: a record may contain itself here.
    fn indirect(&mut self, entropy: &mut Entropy<'_>, depth: usize) -> Json {
        if let (true, Some(open)) = (entropy.one_in(6), self.open.last()) {
            return json!(open);
        }
        self.node(entropy, depth + 1)
    }

    /// Anything but a union.
    fn branch(&mut self, entropy: &mut Entropy<'_>, depth: usize) -> Json {
        let some = self.indirect(entropy, depth);
        if some.is_array() {
            self.wrap(&some)
        } else {
            some
        }
    }

    /// A record with this as its only field.
    fn wrap(&mut self, inner: &Json) -> Json {
        let name = self.fresh();
        self.done.push(name.clone());
        json!({"type": "record", "name": name, "fields": [{"name": "f0", "type": inner}]})
    }

    fn union(&mut self, entropy: &mut Entropy<'_>, depth: usize) -> Json {
        let mut branches: Vec<Json> = Vec::new();
        let mut seen = Vec::new();
        for _ in 0..=entropy.below(4) {
            let branch = self.branch(entropy, depth);
            let kind = match &branch {
                Json::String(name) => name.clone(),
                Json::Object(object) => object
                    .get("name")
                    .or_else(|| object.get("type"))
                    .and_then(Json::as_str)
                    .unwrap_or_default()
                    .to_owned(),
                _ => continue,
            };
            // What it defines may be referred to later: it may not get lost.
            if seen.contains(&kind) {
                branches.push(self.wrap(&branch));
                seen.extend(self.done.last().cloned());
            } else {
                seen.push(kind);
                branches.push(branch);
            }
        }
        json!(branches)
    }

    fn record(&mut self, entropy: &mut Entropy<'_>, depth: usize) -> Json {
        let name = self.fresh();
        self.open.push(name.clone());
        let fields: Vec<Json> = (0..entropy.below(6))
            .map(|field| json!({"name": format!("f{field}"), "type": self.node(entropy, depth)}))
            .collect();
        self.open.pop();
        self.done.push(name.clone());
        json!({"type": "record", "name": name, "fields": fields})
    }

    fn fixed(&mut self, entropy: &mut Entropy<'_>) -> Json {
        const SIZES: [usize; 4] = [4, 1, 16, 12];
        let name = self.fresh();
        self.done.push(name.clone());
        let size = SIZES[entropy.below(SIZES.len())];
        json!({"type": "fixed", "name": name, "size": size})
    }

    fn symbols(&mut self, entropy: &mut Entropy<'_>) -> Json {
        let name = self.fresh();
        self.done.push(name.clone());
        let symbols: Vec<String> = (0..=entropy.below(5)).map(|at| format!("S{at}")).collect();
        json!({"type": "enum", "name": name, "symbols": symbols})
    }

    fn logical(&mut self, entropy: &mut Entropy<'_>) -> Json {
        match entropy.below(13) {
            0 => json!({"type": "long", "logicalType": "timestamp-micros"}),
            1 => json!({"type": "long", "logicalType": "timestamp-nanos"}),
            2 => json!({"type": "long", "logicalType": "local-timestamp-millis"}),
            3 => json!({"type": "long", "logicalType": "local-timestamp-micros"}),
            4 => json!({"type": "long", "logicalType": "local-timestamp-nanos"}),
            5 => json!({"type": "int", "logicalType": "time-millis"}),
            6 => json!({"type": "long", "logicalType": "time-micros"}),
            7 => json!({"type": "string", "logicalType": "uuid"}),
            8 | 9 => json!({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}),
            10 => {
                let name = self.fresh();
                self.done.push(name.clone());
                json!({"type": "fixed", "name": name, "size": 8,
                       "logicalType": "decimal", "precision": 12, "scale": 4})
            }
            11 => {
                let name = self.fresh();
                self.done.push(name.clone());
                json!({"type": "fixed", "name": name, "size": 16, "logicalType": "uuid"})
            }
            _ => {
                let name = self.fresh();
                self.done.push(name.clone());
                json!({"type": "fixed", "name": name, "size": 12, "logicalType": "duration"})
            }
        }
    }
}

/// A random value of a schema, as apache-avro writes it. `None` where the schema
/// leads on without an end.
pub fn value(
    entropy: &mut Entropy<'_>,
    schema: &Schema,
    id: NodeId,
    depth: usize,
) -> Option<Value> {
    if depth > 40 {
        return None;
    }
    let node = schema.node(id);
    Some(match (&node.kind, &node.logical) {
        (Kind::Null, _) => Value::Null,
        (Kind::Boolean, _) => Value::Boolean(entropy.below(2) == 1),
        (Kind::Int, logical) => {
            let value = entropy.number() as i32;
            match logical {
                Some(LogicalType::Date) => Value::Date(value),
                Some(LogicalType::TimeMillis) => Value::TimeMillis(value),
                _ => Value::Int(value),
            }
        }
        (Kind::Long, logical) => {
            let value = entropy.number();
            match logical {
                Some(LogicalType::TimeMicros) => Value::TimeMicros(value),
                Some(LogicalType::TimestampMillis) => Value::TimestampMillis(value),
                Some(LogicalType::TimestampMicros) => Value::TimestampMicros(value),
                Some(LogicalType::TimestampNanos) => Value::TimestampNanos(value),
                Some(LogicalType::LocalTimestampMillis) => Value::LocalTimestampMillis(value),
                Some(LogicalType::LocalTimestampMicros) => Value::LocalTimestampMicros(value),
                Some(LogicalType::LocalTimestampNanos) => Value::LocalTimestampNanos(value),
                _ => Value::Long(value),
            }
        }
        (Kind::Float, _) => Value::Float(f32::from_bits(entropy.number() as u32)),
        (Kind::Double, _) => Value::Double(f64::from_bits(entropy.number() as u64)),
        (Kind::Bytes, Some(LogicalType::Decimal { .. })) => {
            let length = 1 + entropy.below(4);
            Value::Decimal(Decimal::from(entropy.bytes(length)))
        }
        (Kind::Bytes, _) => {
            let length = entropy.below(9);
            Value::Bytes(entropy.bytes(length))
        }
        (Kind::String | Kind::Fixed(_), Some(LogicalType::Uuid)) => Value::Uuid(uuid(entropy)),
        (Kind::String, _) => Value::String(entropy.text()),
        (Kind::Fixed(fixed), Some(LogicalType::Decimal { .. })) => {
            let most = (fixed.size as usize).min(4);
            Value::Decimal(Decimal::from(entropy.bytes(most)))
        }
        (Kind::Fixed(_), Some(LogicalType::Duration)) => {
            let part = |entropy: &mut Entropy<'_>| entropy.number() as u32;
            Value::Duration(Duration::new(
                Months::new(part(entropy)),
                Days::new(part(entropy)),
                Millis::new(part(entropy)),
            ))
        }
        (Kind::Fixed(fixed), _) => {
            let size = fixed.size as usize;
            Value::Fixed(size, entropy.bytes(size))
        }
        (Kind::Enum(symbols), _) => {
            let index = entropy.below(symbols.symbols.len());
            Value::Enum(index as u32, symbols.symbols[index].clone())
        }
        (Kind::Union(branches), _) => {
            // Deep down the branch that leads out: null, or else the first.
            let null = branches
                .iter()
                .position(|id| schema.node(*id).kind == Kind::Null);
            let index = match null {
                Some(null) if depth > 8 => null,
                _ => entropy.below(branches.len()),
            };
            let inner = value(entropy, schema, branches[index], depth + 1)?;
            Value::Union(index as u32, Box::new(inner))
        }
        (Kind::Array(items), _) => {
            let count = if depth > 8 { 0 } else { entropy.below(4) };
            Value::Array(
                (0..count)
                    .map(|_| value(entropy, schema, *items, depth + 1))
                    .collect::<Option<_>>()?,
            )
        }
        (Kind::Map(values), _) => {
            let count = if depth > 8 { 0 } else { entropy.below(4) };
            let entries: HashMap<String, Value> = (0..count)
                .map(|_| Some((entropy.text(), value(entropy, schema, *values, depth + 1)?)))
                .collect::<Option<_>>()?;
            Value::Map(entries)
        }
        (Kind::Record(record), _) => Value::Record(
            record
                .fields
                .iter()
                .map(|field| {
                    Some((
                        field.name.clone(),
                        value(entropy, schema, field.node, depth + 1)?,
                    ))
                })
                .collect::<Option<_>>()?,
        ),
    })
}

fn uuid(entropy: &mut Entropy<'_>) -> Uuid {
    Uuid::from_bytes(std::array::from_fn(|_| entropy.byte()))
}
