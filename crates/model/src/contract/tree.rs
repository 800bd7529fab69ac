//! A YAML document as a tree in which every value and every key knows its place, so that whatever
//! is found wrong later can be pointed at, and what isn't understood is kept.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{MessageFormatter as _, Spanned, UserMessageFormatter};

use crate::finding::Position;

/// Largest contract, bytes. An announcement carries it beside the schema in one Kafka record, and
/// brokers take 1 MiB by default.
pub const MAX_BYTES: usize = 512 * 1024;
/// Deepest nesting; ODCS contracts need about 20.
const MAX_DEPTH: usize = 64;
/// Most values, aliases expanded: 1,000 columns with 40 keys each.
const MAX_NODES: usize = 100_000;
/// Most text, aliases expanded.
const MAX_TEXT: usize = 4 * 1024 * 1024;

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it begins.
    pub at: Position,
}

/// A key and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key.
    pub text: String,
    /// Where it begins.
    pub at: Position,
}

/// A YAML value by the core schema.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// Text.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<(Key, Node)>),
}

/// Why a text is not a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlFault {
    /// What is wrong.
    pub message: String,
    /// Where.
    pub at: Option<Position>,
}

impl Node {
    /// Reads the one document of `text`: at most 512 KiB, nested at most 64 deep, 100,000 values
    /// and 4 MiB of text once aliases are expanded.
    ///
    /// # Errors
    /// Not YAML, more than one document, or beyond a limit.
    pub fn parse(text: &str) -> Result<Self, YamlFault> {
        if text.len() > MAX_BYTES {
            return Err(YamlFault {
                message: format!(
                    "contract has {} bytes, at most {MAX_BYTES} are read",
                    text.len()
                ),
                at: None,
            });
        }
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! {
                max_depth: MAX_DEPTH,
                max_nodes: MAX_NODES,
                max_events: 4 * MAX_NODES,
                max_total_scalar_bytes: MAX_TEXT,
                max_documents: 2,
                max_aliases: 1_000,
                max_anchors: 1_000,
                max_recorded_anchor_events: MAX_NODES,
                max_recorded_anchor_bytes: MAX_TEXT,
                max_merge_keys: 1_000,
                flow_nesting_limit: MAX_DEPTH,
            },
            // YAML 1.2: `y` is ODCS's unit for years, not a boolean.
            strict_booleans: true,
            with_snippet: false,
        };
        serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let at = error.location().and_then(place);
            YamlFault {
                message: words(&error),
                at,
            }
        })
    }

    /// What `name` is mapped to; none also where this is no mapping.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.entries()
            .iter()
            .find(|(key, _)| key.text == name)
            .map(|(_, node)| node)
    }

    /// The entries of a mapping; none where it is something else.
    #[must_use]
    pub fn entries(&self) -> &[(Key, Self)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The elements of a sequence; none where it is something else.
    #[must_use]
    pub fn elements(&self) -> &[Self] {
        match &self.value {
            Value::List(elements) => elements,
            _ => &[],
        }
    }

    /// The text, if it is text.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Text, or a number or boolean as one would write it.
    #[must_use]
    pub fn scalar(&self) -> Option<String> {
        match &self.value {
            Value::Text(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The boolean, if it is one.
    #[must_use]
    pub fn flag(&self) -> Option<bool> {
        match self.value {
            Value::Bool(flag) => Some(flag),
            _ => None,
        }
    }

    /// Whether it is null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// The text of `name`, if there is such an entry and it is text.
    #[must_use]
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Self::text)
    }

    /// The value at a JSON pointer, or the nearest that there is above it.
    #[must_use]
    pub fn at_pointer(&self, pointer: &str) -> &Self {
        let mut node = self;
        for step in pointer.split('/').skip(1) {
            let step = step.replace("~1", "/").replace("~0", "~");
            let next = match &node.value {
                Value::Map(_) => node.get(&step),
                Value::List(elements) => step.parse().ok().and_then(|i: usize| elements.get(i)),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }

    /// As JSON, without the places.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(flag) => (*flag).into(),
            Value::Number(number) => number.clone().into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(elements) => elements.iter().map(Self::to_json).collect(),
            Value::Map(entries) => entries
                .iter()
                .map(|(key, node)| (key.text.clone(), node.to_json()))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        }
    }
}

/// Only what is wrong: the place is shown apart.
fn words(error: &serde_saphyr::Error) -> String {
    let text = UserMessageFormatter.format_message(error.without_snippet());
    let text = text.lines().next().unwrap_or_default();
    match text.split_once(" at line ") {
        Some((before, after)) if after.starts_with(|c: char| c.is_ascii_digit()) => {
            before.trim_end_matches(',').to_owned()
        }
        _ => text.to_owned(),
    }
}

fn place(location: serde_saphyr::Location) -> Option<Position> {
    let line = u32::try_from(location.line()).ok().filter(|l| *l > 0)?;
    let column = u32::try_from(location.column()).ok()?;
    Some(Position { line, column })
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self {
            value: spanned.value,
            at: place(spanned.referenced).unwrap_or(Position::START),
        })
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<String>::deserialize(deserializer)?;
        Ok(Self {
            text: spanned.value,
            at: place(spanned.referenced).unwrap_or(Position::START),
        })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        serde_json::Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(node) = seq.next_element()? {
            elements.push(node);
        }
        Ok(Value::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        while let Some(key) = map.next_key::<Key>()? {
            if entries.len() >= MAX_NODES {
                return Err(A::Error::custom("a mapping with too many keys"));
            }
            entries.push((key, map.next_value()?));
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_and_key_knows_its_place() {
        let tree = Node::parse("a: 1\nlist:\n  - {x: yes please, y: 0.5}\n  - null\n").unwrap();
        let list = tree.get("list").unwrap();
        let x = list.elements()[0].get("x").unwrap();
        assert_eq!(x.text(), Some("yes please"));
        assert_eq!(x.at, Position { line: 3, column: 9 });
        assert_eq!(
            list.elements()[0].entries()[1].0.at,
            Position {
                line: 3,
                column: 21
            }
        );
        assert_eq!(tree.at_pointer("/list/1").at.line, 4);
        assert_eq!(tree.at_pointer("/list/0/nothing").at.line, 3);
        assert_eq!(
            tree.to_json(),
            serde_json::json!({"a": 1, "list": [{"x": "yes please", "y": 0.5}, null]})
        );
    }

    #[test]
    fn what_is_not_one_bounded_document_is_refused_with_its_place() {
        let deep = format!("{}1{}", "[".repeat(70), "]".repeat(70));
        let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
        for (name, of) in ["b", "c", "d", "e", "f", "g"]
            .iter()
            .zip(["a", "b", "c", "d", "e", "f"])
        {
            let aliases = vec![format!("*{of}"); 10].join(", ");
            bomb.push_str(&format!("{name}: &{name} [{aliases}]\n"));
        }
        for (what, text) in [
            ("unclosed", "a: [1, 2"),
            ("twice", "a: 1\na: 2\n"),
            ("tab", "a:\n\t- b\n"),
            ("two documents", "a: 1\n---\nb: 2\n"),
            ("deep", deep.as_str()),
            ("bomb", bomb.as_str()),
        ] {
            let fault = Node::parse(text).unwrap_err();
            assert!(!fault.message.is_empty(), "{what}");
            assert!(!fault.message.contains("line"), "{what}: {}", fault.message);
            println!("{what}: {fault:?}");
        }
        let fault = Node::parse(&"#".repeat(MAX_BYTES + 1)).unwrap_err();
        assert!(fault.message.contains("at most 524288"), "{fault:?}");
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "[a\\-:\\[\\]{}&*!|>'\"#\n ,?%]{0,60}") {
            let _ = Node::parse(&text);
        }
    }
}
