//! What named types and types at large have beside what they are made of.

use std::collections::{HashMap, HashSet};

use super::super::ChangeKind;
use super::super::path::{At, Side};
use super::super::words::{self, listed, quoted, shortened};
use super::{Walk, positions, texts, title};
use crate::json::Json;
use crate::schema::{Enum, Node};

/// Attributes that a logical type accounts for.
const ANNOTATION: [&str; 3] = ["logicalType", "precision", "scale"];

impl<'a> Walk<'a> {
    /// Name, documentation and aliases of a named type.
    pub(super) fn named(&mut self, old: &Node, new: &Node, at: At) {
        let full = |node: &Node| node.kind.name().map(|name| name.full().to_owned());
        if full(old) != full(new) {
            let word = words::word(new);
            let place = match self.places.names(at, Side::New) {
                names if names.is_empty() => word.to_owned(),
                names => format!("{word} of field {names}"),
            };
            self.tell(
                ChangeKind::NameChanged,
                at,
                &["name"],
                place,
                (full(old), full(new)),
            );
        }
        self.doc(old.kind.doc(), new.kind.doc(), at, title(new));
        let names = |node: &Node| -> Vec<String> {
            let aliases = node.kind.aliases().iter();
            aliases.map(|alias| alias.full().to_owned()).collect()
        };
        self.aliases(&names(old), &names(new), at, title(new));
    }

    pub(super) fn doc(&mut self, old: Option<&str>, new: Option<&str>, at: At, place: String) {
        if old != new {
            let values = (old.map(quoted), new.map(quoted));
            self.tell(ChangeKind::DocChanged, at, &["doc"], place, values);
        }
    }

    pub(super) fn aliases(&mut self, old: &[String], new: &[String], at: At, place: String) {
        let set = |names: &[String]| names.iter().cloned().collect::<HashSet<String>>();
        if set(old) != set(new) {
            let some = |names: &[String]| {
                (!names.is_empty()).then(|| listed(names.iter().map(String::as_str)))
            };
            let values = (some(old), some(new));
            self.tell(ChangeKind::AliasesChanged, at, &["aliases"], place, values);
        }
    }

    /// Logical type and custom attributes.
    pub(super) fn attributes(&mut self, old: &Node, new: &Node, at: At) {
        let annotation = |node: &Node| node.logical.map(words::logical);
        let (was, now) = (annotation(old), annotation(new));
        let other_annotation = was != now;
        if other_annotation {
            let place = self.place(at);
            let members = ["logicalType"];
            self.tell(
                ChangeKind::LogicalTypeChanged,
                at,
                &members,
                place,
                (was, now),
            );
        }
        let place = match new.kind.name() {
            Some(_) => title(new),
            None => self.place(at),
        };
        self.custom(&old.props, &new.props, at, &place, other_annotation);
    }

    pub(super) fn custom(
        &mut self,
        old: &[(String, Json)],
        new: &[(String, Json)],
        at: At,
        place: &str,
        annotation_told: bool,
    ) {
        self.charge(old.len() + new.len());
        let counts = |key: &str| !(annotation_told && ANNOTATION.contains(&key));
        let before: HashMap<&str, &Json> = old.iter().map(|(k, v)| (k.as_str(), v)).collect();
        let now: HashSet<&str> = new.iter().map(|(key, _)| key.as_str()).collect();
        let mut told: Vec<(&str, Option<&Json>, Option<&Json>)> = Vec::new();
        for (key, value) in new.iter().filter(|(key, _)| counts(key)) {
            let was = before.get(key.as_str()).copied();
            if was != Some(value) {
                told.push((key, was, Some(value)));
            }
        }
        for (key, value) in old.iter().filter(|(key, _)| counts(key)) {
            if !now.contains(key.as_str()) {
                told.push((key, Some(value), None));
            }
        }
        for (key, was, now) in told {
            let place = format!("attribute {} of {place}", shortened(key, 100));
            let values = (was.map(words::value), now.map(words::value));
            self.tell(ChangeKind::AttributeChanged, at, &[key], place, values);
        }
    }

    pub(super) fn symbols(&mut self, old: &'a Enum, new: &'a Enum, at: At) {
        self.charge(old.symbols.len() + new.symbols.len());
        let name = format!("enum {}", new.name);
        let was: HashMap<&str, usize> = positions(old.symbols.iter().map(String::as_str));
        let now: HashSet<&str> = new.symbols.iter().map(String::as_str).collect();
        let came: Vec<&str> = texts(&new.symbols)
            .filter(|s| !was.contains_key(s))
            .collect();
        let gone: Vec<&str> = texts(&old.symbols).filter(|s| !now.contains(s)).collect();
        let place = || format!("symbols of {name}");
        if !came.is_empty() {
            let values = (None, Some(listed(came.into_iter())));
            self.tell(ChangeKind::SymbolsAdded, at, &["symbols"], place(), values);
        }
        if !gone.is_empty() {
            let values = (Some(listed(gone.into_iter())), None);
            self.tell(
                ChangeKind::SymbolsRemoved,
                at,
                &["symbols"],
                place(),
                values,
            );
        }
        let order = new
            .symbols
            .iter()
            .filter_map(|s| was.get(s.as_str()).copied());
        if !order.is_sorted() {
            let values = (
                Some(listed(texts(&old.symbols).filter(|s| now.contains(s)))),
                Some(listed(texts(&new.symbols).filter(|s| was.contains_key(s)))),
            );
            self.tell(
                ChangeKind::SymbolsReordered,
                at,
                &["symbols"],
                place(),
                values,
            );
        }
        if old.default != new.default {
            let values = (
                old.default.as_deref().map(quoted),
                new.default.as_deref().map(quoted),
            );
            self.tell(ChangeKind::DefaultChanged, at, &["default"], name, values);
        }
    }
}
