//! Records: which field was which.

use std::collections::{HashMap, HashSet};

use super::super::ChangeKind;
use super::super::path::{At, Side, Step};
use super::super::words::{self, listed};
use super::{Task, Walk, positions, texts, title};
use crate::schema::{Field, Node, Record};

impl<'a> Walk<'a> {
    pub(super) fn records(
        &mut self,
        old: &Node,
        new: &Node,
        was: &'a Record,
        now: &'a Record,
        at: At,
    ) {
        self.named(old, new, at);
        self.attributes(old, new, at);
        self.charge(was.fields.len() + now.fields.len());
        let before: HashMap<&str, usize> = positions(was.fields.iter().map(|f| f.name.as_str()));
        let names: HashSet<&str> = now.fields.iter().map(|f| f.name.as_str()).collect();
        let mut taken: HashSet<usize> = HashSet::new();
        let mut matched: Vec<Option<usize>> = Vec::with_capacity(now.fields.len());
        for field in &now.fields {
            let found = before.get(field.name.as_str()).copied().or_else(|| {
                let mut aliases = texts(&field.aliases).filter(|alias| !names.contains(alias));
                aliases.find_map(|alias| before.get(alias).copied())
            });
            matched.push(found.filter(|index| taken.insert(*index)));
        }
        if !matched.iter().flatten().is_sorted() {
            let common = |field: &&Field| names.contains(field.name.as_str());
            let values = (
                Some(listed(
                    was.fields.iter().filter(common).map(|f| f.name.as_str()),
                )),
                Some(listed(
                    (now.fields.iter().zip(&matched))
                        .filter(|(_, before)| before.is_some())
                        .map(|(field, _)| field.name.as_str()),
                )),
            );
            let place = format!("fields of {}", title(new));
            self.tell(ChangeKind::FieldsReordered, at, &["fields"], place, values);
        }
        let mut todo = Vec::with_capacity(now.fields.len());
        for ((index, field), before) in now.fields.iter().enumerate().zip(matched) {
            let earlier = before.and_then(|b| was.fields.get(b).map(|field| (b, field)));
            let to = Step::Field(index, &field.name);
            let from = earlier.map_or(to, |(at, field)| Step::Field(at, &field.name));
            let Some(at) = self.extend(at, from, to) else {
                break;
            };
            todo.push(match earlier {
                Some((_, earlier)) => Task::Fields(earlier, field, at),
                None => {
                    let values = (None, Some(words::field(self.new, field)));
                    let place = format!("field {}", self.places.names(at, Side::New));
                    Task::Tell(self.change(ChangeKind::FieldAdded, at, &[], place, values))
                }
            });
        }
        for (index, field) in was.fields.iter().enumerate() {
            if taken.contains(&index) {
                continue;
            }
            let step = Step::Field(index, &field.name);
            let Some(at) = self.extend(at, step, step) else {
                break;
            };
            let values = (Some(words::field(self.old, field)), None);
            let place = format!("field {}", self.places.names(at, Side::New));
            todo.push(Task::Tell(self.change(
                ChangeKind::FieldRemoved,
                at,
                &[],
                place,
                values,
            )));
        }
        self.tasks.extend(todo.into_iter().rev());
    }

    pub(super) fn field(&mut self, old: &'a Field, new: &'a Field, at: At) {
        let place = self.place(at);
        if old.name != new.name {
            let values = (Some(old.name.clone()), Some(new.name.clone()));
            let place = place.clone();
            self.tell(ChangeKind::FieldRenamed, at, &["name"], place, values);
        }
        self.doc(old.doc.as_deref(), new.doc.as_deref(), at, place.clone());
        if old.default != new.default {
            let values = (
                old.default.as_ref().map(words::value),
                new.default.as_ref().map(words::value),
            );
            let place = place.clone();
            self.tell(ChangeKind::DefaultChanged, at, &["default"], place, values);
        }
        if old.order != new.order {
            let word = |field: &Field| Some(field.order.as_str().to_owned());
            let values = (word(old), word(new));
            let place = place.clone();
            self.tell(ChangeKind::OrderChanged, at, &["order"], place, values);
        }
        self.aliases(&old.aliases, &new.aliases, at, place.clone());
        self.custom(&old.props, &new.props, at, &place, false);
        self.push_types(old.node, new.node, at, Step::Type, Step::Type);
    }
}
