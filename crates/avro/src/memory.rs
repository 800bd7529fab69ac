//! How much memory a schema takes: a few bytes of text may name much.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use crate::json::{Json, Number};
use crate::schema::{Field, Kind, Name, Node, Schema};

/// What the allocator adds to a block, and what sizes are rounded to, bytes.
const BLOCK: usize = 16;

/// What a value has on the heap.
trait Heap {
    fn heap(&self) -> usize;
}

fn block(bytes: usize) -> usize {
    if bytes == 0 {
        0
    } else {
        bytes.next_multiple_of(BLOCK).saturating_add(BLOCK)
    }
}

impl Heap for String {
    fn heap(&self) -> usize {
        block(self.capacity())
    }
}

impl<T: Heap> Heap for Vec<T> {
    fn heap(&self) -> usize {
        let own = block(self.capacity().saturating_mul(size_of::<T>()));
        own.saturating_add(self.iter().map(T::heap).sum())
    }
}

impl<T: Heap> Heap for Option<T> {
    fn heap(&self) -> usize {
        self.as_ref().map_or(0, T::heap)
    }
}

impl<A: Heap, B: Heap> Heap for (A, B) {
    fn heap(&self) -> usize {
        self.0.heap().saturating_add(self.1.heap())
    }
}

impl Heap for Json {
    fn heap(&self) -> usize {
        match self {
            Self::String(text) | Self::Number(Number::Big(text)) => text.heap(),
            Self::Null | Self::Bool(_) | Self::Number(_) => 0,
            Self::Array(items) => items.heap(),
            Self::Object(members) => members.heap(),
        }
    }
}

impl Heap for Name {
    fn heap(&self) -> usize {
        block(self.full().len())
    }
}

impl Heap for Field {
    fn heap(&self) -> usize {
        [
            self.name.heap(),
            self.doc.heap(),
            self.default.heap(),
            self.aliases.heap(),
            self.props.heap(),
        ]
        .iter()
        .sum()
    }
}

impl Heap for Node {
    fn heap(&self) -> usize {
        let kind = match &self.kind {
            Kind::Union(branches) => block(size_of_val(branches.as_slice())),
            Kind::Record(record) => record.fields.heap(),
            Kind::Enum(symbols) => symbols.symbols.heap() + symbols.default.heap(),
            _ => 0,
        };
        let name = self.kind.name().map_or(0, Name::heap);
        let doc = self.kind.doc().map_or(0, |doc| block(doc.len()));
        let aliases = self.kind.aliases();
        let aliases = block(size_of_val(aliases)) + aliases.iter().map(Name::heap).sum::<usize>();
        kind + name + doc + aliases + self.props.heap()
    }
}

impl Schema {
    /// About how much memory it takes, bytes; without the schemas that it was parsed with, of whose
    /// types it has nodes of its own. Walks all of it.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let inner = &self.inner;
        let own = block(size_of_val(&**inner));
        own + inner.nodes.heap()
            + block(size_of_val(inner.defined.as_slice()))
            + block(size_of_val(inner.references.as_slice()))
    }
}

/// The memory that schemas take with all that they were parsed with, directly or not, which they keep:
/// each counts once, whoever refers to it.
#[derive(Debug, Default)]
pub struct Footprint {
    /// By address. A schema that is here is kept, so that no other takes its place in memory.
    counted: HashMap<usize, Schema>,
    bytes: usize,
}

impl Footprint {
    /// Counts a schema and what it refers to.
    pub fn add(&mut self, schema: &Schema) {
        let mut open = vec![schema];
        while let Some(schema) = open.pop() {
            let address = Arc::as_ptr(&schema.inner).addr();
            if let Entry::Vacant(place) = self.counted.entry(address) {
                place.insert(schema.clone());
                self.bytes = self.bytes.saturating_add(schema.memory_bytes());
                open.extend(schema.references().iter().map(AsRef::as_ref));
            }
        }
    }

    /// About how much they take, bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ParseOptions;

    fn memory(text: &str) -> usize {
        Schema::parse(text).expect("parses").memory_bytes()
    }

    #[test]
    fn what_a_few_bytes_of_text_stand_for_is_counted() {
        let least = memory("\"int\"");
        assert!((size_of::<Node>()..1_024).contains(&least), "{least}");
        let numbers = format!(r#"{{"type":"int","a":[{}1]}}"#, "1,".repeat(999));
        assert!(memory(&numbers) >= least + 1_000 * size_of::<Json>());
        let space = "n".repeat(1_000);
        let aliases: Vec<String> = (0..100).map(|n| format!("\"a{n}\"")).collect();
        let aliases = aliases.join(",");
        let fixed = format!(
            r#"{{"type":"fixed","name":"F","namespace":"{space}","size":1,"aliases":[{aliases}]}}"#
        );
        assert!(memory(&fixed) >= least + 100 * space.len());
        let field =
            |n: i32| format!(r#"{{"name":"f{n}","type":["null","int"],"doc":"{n:0>100}"}}"#);
        let fields: Vec<String> = (0..100).map(field).collect();
        let fields = fields.join(",");
        let record = format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#);
        let each = size_of::<Field>() + 3 * size_of::<Node>() + 100;
        assert!(memory(&record) >= least + 100 * each);
    }

    #[test]
    fn what_a_schema_refers_to_counts_once() {
        let parse = |text: &str, references: &[Arc<Schema>]| {
            let options = ParseOptions {
                references,
                ..ParseOptions::default()
            };
            Arc::new(Schema::parse_with(text, &options).expect("parses"))
        };
        let note = "n".repeat(100_000);
        let fixed = format!(r#"{{"type":"fixed","name":"F","size":1,"note":"{note}"}}"#);
        let large = parse(&fixed, &[]);
        let bytes = |schemas: &[&Schema]| {
            let mut all = Footprint::default();
            schemas.iter().for_each(|schema| all.add(schema));
            all.bytes()
        };
        let user = |name: &str, references: &[Arc<Schema>]| {
            let text = format!(r#"{{"type":"record","name":"{name}","fields":[]}}"#);
            parse(&text, references)
        };
        let a = user("A", &[Arc::clone(&large)]);
        let b = user("B", &[Arc::clone(&a), Arc::clone(&large)]);
        let least = bytes(&[&large]);
        assert_eq!(least, large.memory_bytes());
        for both in [bytes(&[&b]), bytes(&[&b, &a, &b])] {
            assert_eq!(both, least + a.memory_bytes() + b.memory_bytes());
        }
        assert!(a.memory_bytes() + b.memory_bytes() < least / 10);
        // The same text, and another schema.
        assert_eq!(bytes(&[&large, &parse(&fixed, &[])]), 2 * least);
    }
}
