//! Avro texts made into graphs, with what they refer to fetched from the registry.

use std::collections::HashMap;
use std::sync::Arc;

use meshwork_avro::{ParseError, ParseOptions, Schema, Strictness};
use meshwork_registry_client::{Reference, RegistryClient, RegistryClientError, Shown};

/// References within references.
const MAX_DEPTH: usize = 64;

/// Referenced schemas of one schema, direct and indirect. As many are kept for the next one.
const MAX_REFERENCED: usize = 1_000;

/// Why a schema is no graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    /// Its text.
    #[error("{0}")]
    Text(ParseError),
    /// What it refers to is not there.
    #[error("it refers to {name}, version {version} of subject `{subject}`, which is not there")]
    Missing {
        /// The reference's name.
        name: String,
        /// Its subject.
        subject: String,
        /// Its version.
        version: i32,
    },
    /// What it refers to is no Avro.
    #[error("it refers to {name}, which is of type {kind}")]
    OtherType {
        /// The reference's name.
        name: String,
        /// Its type.
        kind: String,
    },
    /// What it refers to can't be used.
    #[error("it refers to {name}: {why}")]
    Within {
        /// The reference's name.
        name: String,
        /// Why not.
        why: Box<Unusable>,
    },
    /// It refers to too much.
    #[error(
        "its references are followed {MAX_DEPTH} deep and to {MAX_REFERENCED} schemas, and no further"
    )]
    TooMany,
}

/// Parses schemas with what they refer to.
#[derive(Debug)]
pub(crate) struct Graphs {
    registry: RegistryClient,
    kept: HashMap<(String, i32), Arc<Schema>>,
}

type Outcome<T> = Result<Result<T, Unusable>, RegistryClientError>;

impl Graphs {
    pub(crate) fn new(registry: RegistryClient) -> Self {
        Self {
            registry,
            kept: HashMap::new(),
        }
    }

    /// Parses `text`, which is, or is to be, a version of `subject`.
    ///
    /// # Errors
    /// The registry can't be asked. The inner error says what is wrong with the schema.
    pub(crate) async fn parse(
        &mut self,
        subject: &str,
        text: &str,
        references: &[Reference],
        strictness: Strictness,
    ) -> Outcome<Schema> {
        if self.kept.len() >= MAX_REFERENCED {
            self.kept.clear();
        }
        let mut left = MAX_REFERENCED;
        let referenced = match self
            .referenced(subject, references, MAX_DEPTH, &mut left)
            .await?
        {
            Ok(referenced) => referenced,
            Err(unusable) => return Ok(Err(unusable)),
        };
        let options = ParseOptions {
            references: &referenced,
            strictness,
            ..ParseOptions::default()
        };
        Ok(Schema::parse_with(text, &options).map_err(Unusable::Text))
    }

    async fn referenced(
        &mut self,
        referrer: &str,
        references: &[Reference],
        depth: usize,
        left: &mut usize,
    ) -> Outcome<Vec<Arc<Schema>>> {
        let mut graphs = Vec::with_capacity(references.len().min(MAX_REFERENCED));
        for reference in references {
            let name = || reference.name.clone();
            let subject = sibling(referrer, &reference.subject);
            let key = (subject.clone(), reference.version);
            if let Some(kept) = self.kept.get(&key) {
                graphs.push(Arc::clone(kept));
                continue;
            }
            if depth == 0 || *left == 0 {
                return Ok(Err(Unusable::TooMany));
            }
            *left -= 1;
            // What is deleted may still be referred to by what is deleted too.
            let (version, deleted) = match reference.version {
                -1 => ("latest".to_owned(), false),
                number => (number.to_string(), true),
            };
            let shown = Shown {
                deleted,
                resolved: false,
            };
            let found = self
                .registry
                .stored_version(&subject, &version, shown)
                .await?;
            let Some(found) = found else {
                return Ok(Err(Unusable::Missing {
                    name: name(),
                    subject,
                    version: reference.version,
                }));
            };
            if found.kind() != "AVRO" {
                let kind = found.kind().to_owned();
                return Ok(Err(Unusable::OtherType { name: name(), kind }));
            }
            let within = |why| Unusable::Within {
                name: name(),
                why: Box::new(why),
            };
            let inner = Box::pin(self.referenced(&subject, &found.references, depth - 1, left));
            let referenced = match inner.await? {
                Ok(referenced) => referenced,
                Err(why) => return Ok(Err(within(why))),
            };
            let options = ParseOptions {
                references: &referenced,
                strictness: Strictness::Stored,
                ..ParseOptions::default()
            };
            match Schema::parse_with(&found.schema, &options) {
                Ok(schema) => {
                    let schema = Arc::new(schema);
                    self.kept.insert(key, Arc::clone(&schema));
                    graphs.push(schema);
                }
                Err(error) => return Ok(Err(within(Unusable::Text(error)))),
            }
        }
        Ok(Ok(graphs))
    }
}

/// A subject as a subject of the same context means it: one without a context is in that context.
pub(crate) fn sibling(referrer: &str, subject: &str) -> String {
    match context_of(referrer) {
        Some(context) if context_of(subject).is_none() => format!(":{context}:{subject}"),
        _ => subject.to_owned(),
    }
}

/// The context of a qualified subject, such as `.ctx`; none for the default one.
pub(crate) fn context_of(subject: &str) -> Option<&str> {
    let (context, _) = subject.strip_prefix(":.")?.split_once(':')?;
    // With the dot.
    let context = subject.get(1..context.len() + 2)?;
    (context != ".").then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_without_context_is_in_the_referrers() {
        for (referrer, subject, meant) in [
            ("a", "b", "b"),
            (":.ctx:a", "b", ":.ctx:b"),
            (":.ctx:a", ":.other:b", ":.other:b"),
            ("a", ":.other:b", ":.other:b"),
            (":.:a", "b", "b"),
            (":x:a", "b", "b"),
        ] {
            assert_eq!(sibling(referrer, subject), meant, "{referrer}");
        }
        assert_eq!(context_of(":.ctx:a:b"), Some(".ctx"));
    }
}
