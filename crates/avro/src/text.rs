//! The texts of a schema: as Java writes it and registries store it, Avro's parsing canonical
//! form with its fingerprint, Confluent's normal form, and one that apache-avro reads.

mod canonical;
mod interchange;
mod normal;
mod stored;

use std::collections::HashSet;
use std::sync::Arc;

pub(crate) use normal::java_order;

use crate::schema::{Name, NodeId, Schema};

impl Schema {
    /// Java's `Schema.toString()`, in which registries store it. Types of referenced schemas are
    /// names only, as Confluent does it: those that a reference is, not those defined within one.
    #[must_use]
    pub fn to_text(&self) -> String {
        stored::write(self, self.root(), self.reference_names())
    }

    /// As [`Schema::to_text`], with referenced types written out (`format=resolved`).
    #[must_use]
    pub fn resolved_text(&self) -> String {
        stored::write(self, self.root(), Vec::new())
    }

    /// The text of one type in it, with everything that it uses written out.
    ///
    /// # Panics
    /// With an id of another schema that is out of range here.
    #[must_use]
    pub fn node_text(&self, id: NodeId) -> String {
        stored::write(self, id, Vec::new())
    }

    /// The parsing canonical form of the Avro specification: what readers must agree on.
    #[must_use]
    pub fn canonical_form(&self) -> String {
        canonical::write(self)
    }

    /// CRC-64-AVRO (Rabin) of the canonical form.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        canonical::rabin(self.canonical_form().as_bytes())
    }

    /// The stored text under Confluent's `normalize=true`. Where Confluent fails to normalise
    /// (a record default with members that the record lacks, say), the stored text as it is.
    #[must_use]
    pub fn normal_form(&self) -> String {
        normal::write(self).unwrap_or_else(|| self.to_text())
    }

    /// A text of the same schema that apache-avro 0.22 can read: every name defined at its first
    /// use, none twice, references written out, `error` as `record`.
    #[must_use]
    pub fn interchange_text(&self) -> String {
        interchange::write(self)
    }

    /// The full names of the schemas that it refers to, directly or not.
    fn reference_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut open: Vec<&Arc<Schema>> = self.references().iter().collect();
        // Each is followed once, or the ways through a lattice of references would have no end.
        let mut followed = HashSet::new();
        while let Some(schema) = open.pop() {
            if !followed.insert(Arc::as_ptr(&schema.inner)) {
                continue;
            }
            // An unnamed type goes by its word in Java, and so hides a type of that name.
            let kind = &schema.node(schema.root()).kind;
            names.push(kind.name().map_or(kind.type_name(), Name::full).to_owned());
            open.extend(schema.references());
        }
        names
    }
}
