//! From JSON to a datum.

use std::borrow::Cow;

use meshwork_avro::validator::MAX_DEPTH;
use meshwork_avro::{Enum, Fixed, Kind, LogicalType, Node, NodeId, Record};

use super::decimal::{self, Digits};
use super::fault::{JsonFault, JsonReason, found, nearest};
use super::plan::{Branches, Choice, HEX, Plan, Shape, takes_member};
use super::tape::{Document, Token};
use super::time::{Offset, read_date, read_time, read_timestamp};
use super::wire::{write_bytes, write_long};

/// Encodes one document. `slots` is scratch space, kept from line to line.
pub(super) fn encode(
    plan: &Plan,
    document: Document<'_>,
    slots: &mut Vec<u32>,
    out: &mut Vec<u8>,
) -> Result<(), JsonFault> {
    slots.clear();
    Encoder {
        plan,
        document,
        slots,
        out,
        depth: 0,
    }
    .node(plan.schema.root(), 0)
}

struct Encoder<'a> {
    plan: &'a Plan,
    document: Document<'a>,
    /// Where the values of the fields of the open records are; 0 where there is none.
    slots: &'a mut Vec<u32>,
    out: &'a mut Vec<u8>,
    depth: u32,
}

type Outcome = Result<(), JsonFault>;

impl<'a> Encoder<'a> {
    fn node(&mut self, id: NodeId, at: usize) -> Outcome {
        let plan = self.plan;
        let node = plan.schema.node(id);
        match &node.kind {
            Kind::Null => match self.document.token(at) {
                Token::Null => Ok(()),
                _ => self.mismatch("null", at),
            },
            Kind::Boolean => match self.document.token(at) {
                Token::Bool(value) => {
                    self.out.push(u8::from(value));
                    Ok(())
                }
                _ => self.mismatch("true or false", at),
            },
            Kind::Int => self.int(node, at),
            Kind::Long => self.long(node, at),
            Kind::Float => self.float(at),
            Kind::Double => self.double(at),
            Kind::String => {
                let text = self.text("text", at)?;
                write_bytes(text.as_bytes(), self.out);
                Ok(())
            }
            Kind::Bytes => self.bytes(node, at),
            Kind::Fixed(fixed) => self.fixed(node, fixed, at),
            Kind::Enum(symbols) => self.symbol(id, symbols, at),
            Kind::Array(items) => self.deeper(|encoder| encoder.array(*items, at)),
            Kind::Map(values) => self.deeper(|encoder| encoder.map(*values, at)),
            Kind::Record(record) => self.deeper(|encoder| encoder.record(id, record, at)),
            Kind::Union(branches) => self.deeper(|encoder| encoder.union(id, branches, at)),
        }
    }

    fn deeper(&mut self, inner: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        if self.depth >= MAX_DEPTH {
            return Err(JsonReason::TooDeep { most: MAX_DEPTH }.here());
        }
        self.depth += 1;
        let outcome = inner(self);
        self.depth -= 1;
        outcome
    }

    fn mismatch(&self, expected: &str, at: usize) -> Outcome {
        Err(JsonReason::mismatch(expected, self.document, at))
    }

    fn text(&self, expected: &str, at: usize) -> Result<Cow<'a, str>, JsonFault> {
        match self.document.token(at) {
            Token::Text { from, to, escaped } => Ok(self.document.string(from, to, escaped)),
            _ => Err(JsonReason::mismatch(expected, self.document, at)),
        }
    }

    fn whole(&self, at: usize) -> Option<i64> {
        let Token::Number { from, to } = self.document.token(at) else {
            return None;
        };
        let text = self.document.number(from, to);
        if let Ok(value) = text.parse() {
            return Some(value);
        }
        // 5.0 and 1e3 are whole too; some programs write no others.
        let digits = Digits::read(text)?;
        let bytes = digits.unscaled(0)?;
        num_bigint::BigInt::from_signed_bytes_be(&bytes)
            .try_into()
            .ok()
    }

    fn int(&mut self, node: &Node, at: usize) -> Outcome {
        let (expected, value) = match (&node.logical, self.document.token(at)) {
            (Some(LogicalType::Date), Token::Text { from, to, escaped }) => (
                "a date such as \"2013-01-31\" (date)",
                read_date(&self.document.string(from, to, escaped)),
            ),
            (Some(LogicalType::Date), _) => (
                "a date such as \"2013-01-31\", or days since 1970 (date)",
                self.whole(at),
            ),
            (Some(LogicalType::TimeMillis), Token::Text { from, to, escaped }) => (
                "a time such as \"23:59:59.999\" (time-millis)",
                read_time(&self.document.string(from, to, escaped), 3),
            ),
            (Some(LogicalType::TimeMillis), _) => (
                "a time such as \"23:59:59.999\", or milliseconds (time-millis)",
                self.whole(at),
            ),
            _ => ("a whole number of 32 bits (int)", self.whole(at)),
        };
        match value.filter(|value| i32::try_from(*value).is_ok()) {
            Some(value) => {
                write_long(value, self.out);
                Ok(())
            }
            None => self.mismatch(expected, at),
        }
    }

    fn long(&mut self, node: &Node, at: usize) -> Outcome {
        let unit = node.logical.as_ref().and_then(Unit::of);
        let value = match (unit, self.document.token(at)) {
            (Some(unit), Token::Text { from, to, escaped }) => {
                unit.read(&self.document.string(from, to, escaped))
            }
            _ => self.whole(at),
        };
        match (value, unit) {
            (Some(value), _) => {
                write_long(value, self.out);
                Ok(())
            }
            (None, Some(unit)) => self.mismatch(unit.expected(), at),
            (None, None) => self.mismatch("a whole number of 64 bits (long)", at),
        }
    }

    fn float(&mut self, at: usize) -> Outcome {
        let value: Option<f32> = match self.document.token(at) {
            Token::Number { from, to } => self.document.number(from, to).parse().ok(),
            _ => match self.special(at, 4) {
                Some(Special::Value(value)) => {
                    #[expect(clippy::cast_possible_truncation, reason = "NaN and infinities only")]
                    self.out.extend_from_slice(&(value as f32).to_le_bytes());
                    return Ok(());
                }
                Some(Special::Bytes(bytes)) => {
                    self.out.extend_from_slice(&bytes);
                    return Ok(());
                }
                None => None,
            },
        };
        match value.filter(|value| value.is_finite()) {
            Some(value) => {
                self.out.extend_from_slice(&value.to_le_bytes());
                Ok(())
            }
            None => self.mismatch(
                "a number, \"NaN\", \"Infinity\" or \"-Infinity\" (float)",
                at,
            ),
        }
    }

    fn double(&mut self, at: usize) -> Outcome {
        let value: Option<f64> = match self.document.token(at) {
            Token::Number { from, to } => self.document.number(from, to).parse().ok(),
            _ => match self.special(at, 8) {
                Some(Special::Value(value)) => {
                    self.out.extend_from_slice(&value.to_le_bytes());
                    return Ok(());
                }
                Some(Special::Bytes(bytes)) => {
                    self.out.extend_from_slice(&bytes);
                    return Ok(());
                }
                None => None,
            },
        };
        match value.filter(|value| value.is_finite()) {
            Some(value) => {
                self.out.extend_from_slice(&value.to_le_bytes());
                Ok(())
            }
            None => self.mismatch(
                "a number, \"NaN\", \"Infinity\" or \"-Infinity\" (double)",
                at,
            ),
        }
    }

    /// What stands for a number that JSON cannot write.
    fn special(&self, at: usize, length: usize) -> Option<Special> {
        if let Token::Text { from, to, escaped } = self.document.token(at) {
            return match &*self.document.string(from, to, escaped) {
                "NaN" => Some(Special::Value(f64::NAN)),
                "Infinity" => Some(Special::Value(f64::INFINITY)),
                "-Infinity" => Some(Special::Value(f64::NEG_INFINITY)),
                _ => None,
            };
        }
        self.hex(at)
            .filter(|bytes| bytes.len() == length)
            .map(Special::Bytes)
    }

    /// The bytes of `{"hex": "0a0b"}`.
    fn hex(&self, at: usize) -> Option<Vec<u8>> {
        let (key, value) = self.document.only_member(at)?;
        if key != HEX {
            return None;
        }
        hex::decode(&*self.text("", value).ok()?).ok()
    }

    fn bytes(&mut self, node: &Node, at: usize) -> Outcome {
        let bytes = match node.logical {
            Some(LogicalType::Decimal { precision, scale }) => {
                self.decimal(precision, scale, None, at)?
            }
            Some(LogicalType::BigDecimal) => self.big_decimal(at)?,
            _ => self.code_points("text of code points up to \\u00ff (bytes)", at)?,
        };
        write_bytes(&bytes, self.out);
        Ok(())
    }

    fn fixed(&mut self, node: &Node, fixed: &Fixed, at: usize) -> Outcome {
        let size = fixed.size as usize;
        let bytes = match node.logical {
            Some(LogicalType::Decimal { precision, scale }) => {
                self.decimal(precision, scale, Some(size), at)?
            }
            Some(LogicalType::Uuid) => {
                let expected = "a UUID such as \"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"";
                let text = self.text(expected, at)?;
                let digits: String = text.split('-').collect();
                let groups = text.split('-').map(str::len).eq([8, 4, 4, 4, 12]);
                match hex::decode(digits) {
                    Ok(bytes) if groups => bytes,
                    _ => return self.mismatch(expected, at),
                }
            }
            Some(LogicalType::Duration) => self.duration(at)?,
            _ => {
                let expected = format!(
                    "text of {size} code points up to \\u00ff (fixed {})",
                    fixed.name.full()
                );
                let bytes = self.code_points(&expected, at)?;
                if bytes.len() != size {
                    return self.mismatch(&expected, at);
                }
                bytes
            }
        };
        self.out.extend_from_slice(&bytes);
        Ok(())
    }

    fn code_points(&self, expected: &str, at: usize) -> Result<Vec<u8>, JsonFault> {
        let text = self.text(expected, at)?;
        text.chars()
            .map(|point| u8::try_from(u32::from(point)))
            .collect::<Result<_, _>>()
            .map_err(|_| JsonReason::mismatch(expected, self.document, at))
    }

    fn digits(&self, at: usize) -> Option<Digits> {
        match self.document.token(at) {
            Token::Text { from, to, escaped } => {
                Digits::read(&self.document.string(from, to, escaped))
            }
            Token::Number { from, to } => Digits::read(self.document.number(from, to)),
            _ => None,
        }
    }

    fn decimal(
        &self,
        precision: u32,
        scale: u32,
        size: Option<usize>,
        at: usize,
    ) -> Result<Vec<u8>, JsonFault> {
        if let Some(bytes) = self
            .hex(at)
            .filter(|bytes| size.is_none_or(|size| size == bytes.len()))
        {
            return Ok(bytes);
        }
        let scale = scale as usize;
        let digits = self
            .digits(at)
            .filter(|digits| digits.precision(scale) <= precision as usize)
            .and_then(|digits| digits.unscaled(scale))
            .and_then(|bytes| match size {
                Some(size) => widen(&bytes, size),
                None => Some(bytes),
            });
        digits.ok_or_else(|| {
            let expected = format!(
                "a number in quotes, of at most {precision} digits, {scale} of them after the point (decimal)"
            );
            JsonReason::mismatch(expected, self.document, at)
        })
    }

    /// A decimal with its own scale: the bytes of the digits, then the scale.
    fn big_decimal(&self, at: usize) -> Result<Vec<u8>, JsonFault> {
        if let Some(bytes) = self.hex(at) {
            return Ok(bytes);
        }
        let encoded = self.digits(at).and_then(|digits| {
            let scale = usize::try_from(digits.scale().max(0)).ok()?;
            let mut bytes = Vec::new();
            write_bytes(&digits.unscaled(scale)?, &mut bytes);
            write_long(i64::try_from(scale).ok()?, &mut bytes);
            Some(bytes)
        });
        encoded.ok_or_else(|| {
            JsonReason::mismatch("a number in quotes (big-decimal)", self.document, at)
        })
    }

    fn duration(&self, at: usize) -> Result<Vec<u8>, JsonFault> {
        let expected = "{\"months\": …, \"days\": …, \"millis\": …}, each a whole number of 32 bits without sign (duration)";
        let fault = |at| JsonReason::mismatch(expected, self.document, at);
        let Token::Object { end } = self.document.token(at) else {
            return Err(fault(at));
        };
        let mut parts = [None; 3];
        let mut member = at + 1;
        while member < end as usize {
            let key = self.document.key(member);
            let place = ["months", "days", "millis"]
                .iter()
                .position(|part| *part == key);
            let part = place
                .and_then(|place| parts.get_mut(place))
                .ok_or_else(|| fault(at))?;
            let value = self
                .whole(member + 1)
                .and_then(|value| u32::try_from(value).ok());
            let value = value.ok_or_else(|| fault(member + 1).within(&key))?;
            if part.replace(value).is_some() {
                return Err(JsonReason::Repeated {
                    field: key.into_owned(),
                }
                .here());
            }
            member = self.document.after(member + 1);
        }
        let [Some(months), Some(days), Some(millis)] = parts else {
            return Err(fault(at));
        };
        Ok([months, days, millis]
            .iter()
            .flat_map(|part| part.to_le_bytes())
            .collect())
    }

    fn symbol(&mut self, id: NodeId, symbols: &Enum, at: usize) -> Outcome {
        let text = self.text("a symbol in quotes (enum)", at)?;
        match self.plan.symbol(id, &text) {
            Some(index) => {
                write_long(index, self.out);
                Ok(())
            }
            None => Err(JsonReason::Symbol {
                nearest: nearest(&text, symbols.symbols.iter().map(String::as_str)),
                symbol: text.chars().take(40).collect(),
                name: symbols.name.full().to_owned(),
            }
            .here()),
        }
    }

    fn array(&mut self, items: NodeId, at: usize) -> Outcome {
        let Token::Array { end } = self.document.token(at) else {
            return self.mismatch("an array", at);
        };
        let mut item = at + 1;
        let mut count = 0;
        while item < end as usize {
            item = self.document.after(item);
            count += 1;
        }
        if count > 0 {
            write_long(count, self.out);
        }
        item = at + 1;
        let mut index = 0_usize;
        while item < end as usize {
            self.node(items, item)
                .map_err(|fault| fault.within(&index.to_string()))?;
            item = self.document.after(item);
            index += 1;
        }
        self.out.push(0);
        Ok(())
    }

    fn map(&mut self, values: NodeId, at: usize) -> Outcome {
        let Token::Object { end } = self.document.token(at) else {
            return self.mismatch("an object (map)", at);
        };
        let mut member = at + 1;
        let mut count = 0;
        while member < end as usize {
            member = self.document.after(member + 1);
            count += 1;
        }
        if count > 0 {
            write_long(count, self.out);
        }
        member = at + 1;
        while member < end as usize {
            let key = self.document.key(member);
            write_bytes(key.as_bytes(), self.out);
            self.node(values, member + 1)
                .map_err(|fault| fault.within(&key))?;
            member = self.document.after(member + 1);
        }
        self.out.push(0);
        Ok(())
    }

    fn record(&mut self, id: NodeId, record: &Record, at: usize) -> Outcome {
        let plan = self.plan;
        let Token::Object { end } = self.document.token(at) else {
            return self.mismatch(&format!("an object (record {})", record.name.full()), at);
        };
        let Some(fields) = plan.fields(id) else {
            return Ok(());
        };
        let base = self.slots.len();
        self.slots.resize(base + record.fields.len(), 0);
        let mut next = 0;
        let mut member = at + 1;
        while member < end as usize {
            let key = self.document.key(member);
            // Most lines have their fields in the schema's order.
            let place = match record.fields.get(next) {
                Some(field) if field.name == *key => Some(next),
                _ => fields.positions.get(&*key).copied(),
            };
            let slot = place.and_then(|place| self.slots.get_mut(base + place));
            let (Some(place), Some(slot)) = (place, slot) else {
                let names = record.fields.iter().map(|field| field.name.as_str());
                let nearest = nearest(&key, names);
                let field = key.chars().take(80).collect();
                let record = record.name.full().to_owned();
                return Err(JsonReason::Unknown {
                    field,
                    record,
                    nearest,
                }
                .here());
            };
            if *slot != 0 {
                return Err(JsonReason::Repeated {
                    field: key.into_owned(),
                }
                .here());
            }
            *slot = u32::try_from(member + 1).unwrap_or(0);
            next = place + 1;
            member = self.document.after(member + 1);
        }
        for (place, (field, default)) in record.fields.iter().zip(&fields.defaults).enumerate() {
            let value = self.slots.get(base + place).copied().unwrap_or(0);
            if value != 0 {
                self.node(field.node, value as usize)
                    .map_err(|fault| fault.within(&field.name))?;
                continue;
            }
            match default {
                Some(Ok(bytes)) => self.out.extend_from_slice(bytes),
                Some(Err(why)) => {
                    let (field, why) = (field.name.clone(), why.clone());
                    return Err(JsonReason::Default { field, why }.here());
                }
                None => {
                    let (field, record) = (field.name.clone(), record.name.full().to_owned());
                    return Err(JsonReason::Missing { field, record }.here());
                }
            }
        }
        self.slots.truncate(base);
        Ok(())
    }

    fn union(&mut self, id: NodeId, nodes: &[NodeId], at: usize) -> Outcome {
        let plan = self.plan;
        let Some(branches) = plan.branches(id) else {
            return Ok(());
        };
        let (branch, value) = self.branch(branches, nodes, at)?;
        let Some(node) = nodes.get(branch) else {
            return Ok(());
        };
        write_long(i64::try_from(branch).unwrap_or(i64::MAX), self.out);
        self.node(*node, value)
    }

    /// Which branch a value is of, and where the value is: in its tag or plain.
    fn branch(
        &self,
        branches: &Branches,
        nodes: &[NodeId],
        at: usize,
    ) -> Result<(usize, usize), JsonFault> {
        let shape = match self.document.token(at) {
            Token::Null => {
                let null = branches.null.map(|null| (null, at));
                return null.ok_or_else(|| self.no_branch(branches, at));
            }
            Token::Bool(_) => Shape::Bool,
            Token::Number { .. } => Shape::Number,
            Token::Text { .. } => Shape::Text,
            Token::Array { .. } => Shape::Array,
            Token::Object { .. } => Shape::Object,
        };
        let plain = branches.takes(shape);
        if shape == Shape::Object
            && let Some((key, value)) = self.document.only_member(at)
            && let Some(tagged) = branches.tags.iter().position(|tag| *tag == *key)
        {
            let is_plain = match plain {
                Choice::One(branch) if !branches.tags_needed => nodes
                    .get(branch)
                    .is_some_and(|node| takes_member(self.plan.schema.node(*node), &key)),
                _ => false,
            };
            if !is_plain {
                return Ok((tagged, value));
            }
        }
        match plain {
            Choice::One(branch) => Ok((branch, at)),
            Choice::None => Err(self.no_branch(branches, at)),
            Choice::Many => Err(JsonReason::Ambiguous {
                found: found(self.document, at),
                branches: branches.tags.clone(),
            }
            .here()),
        }
    }

    fn no_branch(&self, branches: &Branches, at: usize) -> JsonFault {
        let expected = branches.tags.join(" or ");
        JsonReason::mismatch(expected, self.document, at)
    }
}

enum Special {
    Value(f64),
    Bytes(Vec<u8>),
}

/// The same number in exactly `size` bytes.
fn widen(unscaled: &[u8], size: usize) -> Option<Vec<u8>> {
    let more = size.checked_sub(unscaled.len())?;
    let sign = if unscaled.first()? & 0x80 == 0 {
        0
    } else {
        0xff
    };
    let mut wide = vec![sign; more];
    wide.extend_from_slice(unscaled);
    debug_assert!(decimal::is_shortest(unscaled));
    Some(wide)
}

/// What a `long` with a logical type counts.
#[derive(Copy, Clone)]
pub(super) enum Unit {
    /// Since midnight.
    TimeMicros,
    /// Since 1970, UTC; so many digits after the second.
    Timestamp(usize),
    /// Since 1970, in no particular zone.
    Local(usize),
}

impl Unit {
    pub(super) fn of(logical: &LogicalType) -> Option<Unit> {
        Some(match logical {
            LogicalType::TimeMicros => Unit::TimeMicros,
            LogicalType::TimestampMillis => Unit::Timestamp(3),
            LogicalType::TimestampMicros => Unit::Timestamp(6),
            LogicalType::TimestampNanos => Unit::Timestamp(9),
            LogicalType::LocalTimestampMillis => Unit::Local(3),
            LogicalType::LocalTimestampMicros => Unit::Local(6),
            LogicalType::LocalTimestampNanos => Unit::Local(9),
            _ => return None,
        })
    }

    fn read(self, text: &str) -> Option<i64> {
        match self {
            Unit::TimeMicros => read_time(text, 6),
            Unit::Timestamp(places) => read_timestamp(text, places, Offset::Needed),
            Unit::Local(places) => read_timestamp(text, places, Offset::None),
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Unit::TimeMicros => "a time such as \"23:59:59.999999\", or microseconds (time-micros)",
            Unit::Timestamp(3) => {
                "a time such as \"2013-01-31T23:59:59.999Z\", or milliseconds since 1970 (timestamp-millis)"
            }
            Unit::Timestamp(6) => {
                "a time such as \"2013-01-31T23:59:59.999999Z\", or microseconds since 1970 (timestamp-micros)"
            }
            Unit::Timestamp(_) => {
                "a time such as \"2013-01-31T23:59:59.999999999Z\", or nanoseconds since 1970 (timestamp-nanos)"
            }
            Unit::Local(3) => {
                "a time without offset such as \"2013-01-31T23:59:59.999\", or milliseconds (local-timestamp-millis)"
            }
            Unit::Local(6) => {
                "a time without offset such as \"2013-01-31T23:59:59.999999\", or microseconds (local-timestamp-micros)"
            }
            Unit::Local(_) => {
                "a time without offset such as \"2013-01-31T23:59:59.999999999\", or nanoseconds (local-timestamp-nanos)"
            }
        }
    }
}
