//! The named types of referenced schemas, put in before a text is read.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::ParseOptions;
use super::build::Builder;
use super::error::ParseError;
use super::finish::remap;
use crate::schema::{Kind, NodeId, Schema, Strictness};

impl Builder {
    /// Takes in the named types of a referenced schema, those of its own references first.
    /// A schema that came in already, by itself or with another, is not taken twice.
    pub(super) fn import(&mut self, schema: &Arc<Schema>) -> Result<(), ParseError> {
        if self
            .seen
            .iter()
            .any(|(seen, _)| Arc::ptr_eq(&seen.inner, &schema.inner))
        {
            return Ok(());
        }
        for reference in schema.references() {
            self.import(reference)?;
        }
        let text = schema.to_text();
        self.spell(None, &text)?;
        if !self.seen.iter().any(|(_, seen)| *seen == text) {
            if self.strictness == Strictness::Strict {
                reads_strictly(schema, &text)?;
            }
            self.copy(schema)?;
        }
        // One with the text of another too, so that the way to it is not gone again.
        self.seen.push((Arc::clone(schema), text));
        Ok(())
    }

    /// Copies the named types that a schema's own text defines, with all they hold.
    fn copy(&mut self, schema: &Schema) -> Result<(), ParseError> {
        let own: HashSet<NodeId> = schema.inner.defined.iter().copied().collect();
        let mut places: Vec<NodeId> = Vec::with_capacity(schema.nodes().len());
        let mut added: Vec<NodeId> = Vec::new();
        for (at, node) in schema.nodes().iter().enumerate() {
            let is_own = u32::try_from(at).is_ok_and(|at| own.contains(&NodeId(at)));
            let known = node
                .kind
                .name()
                .and_then(|name| self.known.get(name.full()).copied());
            // What its references define came in with them.
            let place = match known {
                Some(known) if !is_own => known,
                _ => {
                    let aliases = node.kind.aliases().iter();
                    for name in aliases.chain(node.kind.name()) {
                        self.spell(None, name.full())?;
                    }
                    let id = self.add(Kind::Null, None)?;
                    self.slot_mut(id).node = node.clone();
                    added.push(id);
                    id
                }
            };
            places.push(place);
        }
        let moved = |id: NodeId| places.get(id.index()).copied().unwrap_or(id);
        for id in added {
            remap(&mut self.slot_mut(id).node.kind, moved);
        }
        for id in &schema.inner.defined {
            let id = moved(*id);
            self.define(id)?;
        }
        Ok(())
    }
}

/// Java reads the references of a new schema as strictly as the schema itself. Once for each: its own
/// references are read along with it, and a chain of them would double the work with each link.
fn reads_strictly(schema: &Schema, text: &str) -> Result<(), ParseError> {
    let done = &schema.inner.reads_strictly;
    if schema.strictness() == Strictness::Strict || done.load(Ordering::Relaxed) {
        return Ok(());
    }
    let options = ParseOptions {
        references: schema.references(),
        ..ParseOptions::default()
    };
    Schema::parse_with(text, &options)?;
    done.store(true, Ordering::Relaxed);
    Ok(())
}
