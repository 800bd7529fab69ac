//! The exact walk: over the schema itself, with a path and a reason for each fault.
//!
//! It runs only after the quick walk said no, so it may be plain and slow. Its
//! rules are the ones that count; the quick walk must agree with it.

use crate::schema::{Kind, NodeId, Schema};

use super::event_time::{Seen, Unit};
use super::size::Size;
use super::varint::{explain_int, explain_long};
use super::{Fault, MAX_DEPTH, MAX_EMPTY_ITEMS, MAX_PATH, Reason};

/// One step of the path into a datum.
enum Segment<'a> {
    Field(&'a str),
    Item(u64),
    Key(&'a str),
}

/// Walks a whole datum and says what it saw, or where it is wrong.
pub(super) fn walk(
    schema: &Schema,
    sizes: &[Size],
    event: Option<&[String]>,
    bytes: &[u8],
) -> Result<Seen, Fault> {
    let mut walker = Walker {
        schema,
        sizes,
        bytes,
        pos: 0,
        path: Vec::new(),
        empty_items: MAX_EMPTY_ITEMS,
        seen: Seen::Nothing,
    };
    let outcome = walker.node(schema.root(), 0, event).and_then(|()| {
        let count = bytes.len() - walker.pos;
        if count == 0 {
            Ok(walker.seen)
        } else {
            Err((walker.pos, Reason::TrailingBytes { count }))
        }
    });
    outcome.map_err(|(offset, reason)| Fault {
        path: pointer(&walker.path),
        offset,
        reason,
    })
}

/// Where and why; the path is the walker's, left as it was at the fault.
type Stop = (usize, Reason);

struct Walker<'a> {
    schema: &'a Schema,
    sizes: &'a [Size],
    bytes: &'a [u8],
    pos: usize,
    path: Vec<Segment<'a>>,
    empty_items: u64,
    seen: Seen,
}

impl<'a> Walker<'a> {
    fn node(&mut self, id: NodeId, depth: u32, event: Option<&[String]>) -> Result<(), Stop> {
        // Nothing to see, however deep: records of records of nothing.
        if self
            .sizes
            .get(id.index())
            .is_some_and(|size| size.exact && size.least == 0)
        {
            return Ok(());
        }
        let schema = self.schema;
        let node = schema.node(id);
        let start = self.pos;
        let wanted = matches!(event, Some([])).then(|| Unit::of(node)).flatten();
        match &node.kind {
            Kind::Null => {}
            Kind::Boolean => {
                let byte = *self.bytes.get(start).ok_or((start, Reason::Truncated))?;
                if byte > 1 {
                    return Err((start, Reason::NotBoolean { byte }));
                }
                self.pos += 1;
            }
            Kind::Int => {
                let value = self.int()?;
                if let Some(unit) = wanted {
                    self.seen = Seen::Number(unit, value);
                }
            }
            Kind::Long => {
                let value = self.long()?;
                if let Some(unit) = wanted {
                    self.seen = Seen::Number(unit, value);
                }
            }
            Kind::Float => self.skip(start, 4)?,
            Kind::Double => self.skip(start, 8)?,
            Kind::Fixed(fixed) => self.skip(start, u64::from(fixed.size))?,
            Kind::Bytes => {
                self.bytes()?;
            }
            Kind::String => {
                let text = self.text()?;
                if wanted.is_some() {
                    self.seen = Seen::Text(self.pos - text.len(), self.pos);
                }
            }
            Kind::Enum(symbols) => {
                let (index, count) = (self.int()?, symbols.symbols.len());
                if usize::try_from(index)
                    .ok()
                    .is_none_or(|index| index >= count)
                {
                    return Err((start, Reason::EnumIndex { index, count }));
                }
            }
            Kind::Union(branches) => {
                let (index, count) = (self.int()?, branches.len());
                let branch = usize::try_from(index)
                    .ok()
                    .and_then(|index| branches.get(index));
                let branch = *branch.ok_or((start, Reason::UnionIndex { index, count }))?;
                self.node(branch, self.deeper(depth)?, event)?;
            }
            Kind::Record(record) => {
                let depth = self.deeper(depth)?;
                for field in &record.fields {
                    let inner = match event {
                        Some([head, rest @ ..]) if *head == field.name => Some(rest),
                        _ => None,
                    };
                    self.path.push(Segment::Field(&field.name));
                    self.node(field.node, depth, inner)?;
                    self.path.pop();
                }
            }
            Kind::Array(items) => self.blocks(*items, false, depth)?,
            Kind::Map(values) => self.blocks(*values, true, depth)?,
        }
        Ok(())
    }

    fn blocks(&mut self, inner: NodeId, keyed: bool, depth: u32) -> Result<(), Stop> {
        let size = self.sizes.get(inner.index()).map_or(0, |size| size.least);
        let least = size.saturating_add(u64::from(keyed));
        let mut done: u64 = 0;
        loop {
            let at = self.pos;
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            let mut end = None;
            if count < 0 {
                let at_size = self.pos;
                let said = self.long()?;
                let size = u64::try_from(said)
                    .map_err(|_| (at_size, Reason::BlockSizeNegative { size: said }))?;
                let left = self.left();
                if size > left {
                    return Err((at_size, Reason::BlockSizeBeyond { size, left }));
                }
                end = Some((at_size, size, self.pos));
            }
            if count == i64::MIN {
                return Err((at, Reason::BlockCount));
            }
            let count = count.unsigned_abs();
            match self.left().checked_div(least) {
                // Items without bytes are not walked; nothing else bounds how many there are.
                None => {
                    let most = MAX_EMPTY_ITEMS;
                    let left = self.empty_items.checked_sub(count);
                    self.empty_items = left.ok_or((at, Reason::TooManyItems { most }))?;
                }
                Some(fit) if count > fit => {
                    let left = self.left();
                    return Err((at, Reason::BlockCountBeyond { count, left }));
                }
                Some(_) => {
                    for item in done..done.saturating_add(count) {
                        self.item(inner, keyed, item, depth)?;
                    }
                    done = done.saturating_add(count);
                }
            }
            if let Some((at_size, said, from)) = end {
                let took = (self.pos - from) as u64;
                if took != said {
                    return Err((at_size, Reason::BlockSizeMismatch { said, took }));
                }
            }
        }
    }

    fn item(&mut self, inner: NodeId, keyed: bool, item: u64, depth: u32) -> Result<(), Stop> {
        let depth = self.deeper(depth)?;
        // A fault in a key is one of the map.
        let segment = if keyed {
            Segment::Key(self.text()?)
        } else {
            Segment::Item(item)
        };
        self.path.push(segment);
        self.node(inner, depth, None)?;
        self.path.pop();
        Ok(())
    }

    fn deeper(&self, depth: u32) -> Result<u32, Stop> {
        if depth < MAX_DEPTH {
            Ok(depth + 1)
        } else {
            Err((self.pos, Reason::TooDeep { most: MAX_DEPTH }))
        }
    }

    fn left(&self) -> u64 {
        (self.bytes.len() - self.pos) as u64
    }

    fn int(&mut self) -> Result<i64, Stop> {
        let (value, end) = explain_int(self.bytes, self.pos).map_err(|why| (self.pos, why))?;
        self.pos = end;
        Ok(value)
    }

    fn long(&mut self) -> Result<i64, Stop> {
        let (value, end) = explain_long(self.bytes, self.pos).map_err(|why| (self.pos, why))?;
        self.pos = end;
        Ok(value)
    }

    /// `length` bytes on; a fault is put at `start`.
    fn skip(&mut self, start: usize, length: u64) -> Result<(), Stop> {
        let length = usize::try_from(length)
            .ok()
            .filter(|_| length <= self.left());
        self.pos += length.ok_or((start, Reason::Truncated))?;
        Ok(())
    }

    fn bytes(&mut self) -> Result<&'a [u8], Stop> {
        let start = self.pos;
        let length = self.long()?;
        let length =
            u64::try_from(length).map_err(|_| (start, Reason::NegativeLength { length }))?;
        let from = self.pos;
        self.skip(start, length)?;
        Ok(self.bytes.get(from..self.pos).unwrap_or_default())
    }

    fn text(&mut self) -> Result<&'a str, Stop> {
        let bytes = self.bytes()?;
        let start = self.pos - bytes.len();
        std::str::from_utf8(bytes).map_err(|fault| (start + fault.valid_up_to(), Reason::NotUtf8))
    }
}

/// RFC 6901: `~` is `~0` and `/` is `~1` within a segment. The root is empty. Cut at [`MAX_PATH`],
/// before more than that is copied.
fn pointer(path: &[Segment<'_>]) -> String {
    let mut pointer = String::new();
    for segment in path {
        if pointer.len() >= MAX_PATH {
            break;
        }
        pointer.push('/');
        match segment {
            Segment::Item(item) => pointer.push_str(&item.to_string()),
            Segment::Field(name) | Segment::Key(name) => {
                let name = name
                    .get(..name.floor_char_boundary(MAX_PATH))
                    .unwrap_or_default();
                pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
            }
        }
    }
    pointer.truncate(pointer.floor_char_boundary(MAX_PATH));
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Validator;

    #[test]
    fn a_path_of_long_names_is_cut() {
        let path = |name: &str| {
            let inner = format!(
                r#"{{"type":"record","name":"I","fields":[{{"name":"{name}","type":"int"}}]}}"#
            );
            let text = format!(
                r#"{{"type":"record","name":"O","fields":[{{"name":"{name}","type":{inner}}}]}}"#
            );
            let options = crate::ParseOptions {
                strictness: crate::Strictness::Stored,
                ..crate::ParseOptions::default()
            };
            let schema = Schema::parse_with(&text, &options).unwrap();
            let validator = Validator::compile(&schema, None).unwrap();
            validator.validate(&[]).unwrap_err().path
        };
        assert_eq!(path("ab"), "/ab/ab");
        let long = "n".repeat(MAX_PATH - 10);
        assert_eq!(path(&long), format!("/{long}/nnnnnnnn"));
        // Within a letter of two bytes.
        assert_eq!(path(&"ö".repeat(100_000)).len(), MAX_PATH - 1);
    }
}
