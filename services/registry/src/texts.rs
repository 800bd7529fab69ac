//! Schema texts made into graphs, with the schemas they refer to. Bounded: depth and number of
//! references, and how many graphs are kept.

use std::collections::BTreeSet;
use std::sync::Arc;

use meshwork_avro::{Guid, ParseOptions, Schema, Strictness, guid};
use quick_cache::sync::Cache;

use crate::content::{AVRO, Content};
use crate::record::Reference;
use crate::refusal::{Code, Refusal};
use crate::state::State;
use crate::subject::Subject;

/// Graphs kept. A 200-field record takes about 50 KiB.
const KEPT: usize = 4_096;

/// References followed from one schema to the next.
const MAX_DEPTH: usize = 64;

/// Referenced schemas, direct and indirect, of one schema.
const MAX_REFERENCED: usize = 1_000;

/// Parsed schemas of stored contents, kept for the next who needs them.
#[derive(Debug)]
pub struct Texts {
    /// By context and id; an id means one schema for ever.
    parsed: Cache<(String, i32), Arc<Schema>>,
    digests: Cache<(String, i32), Digest>,
}

/// What a schema means, in short: two with equal digests are equal as parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Types of references by name.
    pub by_name: Guid,
    /// Types of references written out.
    pub inlined: Guid,
}

impl Default for Texts {
    fn default() -> Self {
        Self {
            parsed: Cache::new(KEPT),
            digests: Cache::new(KEPT),
        }
    }
}

/// How far references have been followed.
struct Followed<'a> {
    path: Vec<(Subject, i32)>,
    seen: BTreeSet<(Subject, i32)>,
    state: &'a State,
}

impl Texts {
    /// Parses a text as strictly as a new schema must be, or as leniently as a look-up may be.
    ///
    /// # Errors
    /// 42201: it does not parse, or a reference can't be resolved.
    pub fn parse_new(
        &self,
        state: &State,
        subject: &Subject,
        text: &str,
        references: &[Reference],
        strictness: Strictness,
    ) -> Result<Arc<Schema>, Refusal> {
        let mut followed = Followed {
            path: Vec::new(),
            seen: BTreeSet::new(),
            state,
        };
        let referenced = self.referenced(&mut followed, subject, references)?;
        let options = ParseOptions {
            references: &referenced,
            strictness,
            ..ParseOptions::default()
        };
        Schema::parse_with(text, &options)
            .map(Arc::new)
            .map_err(Refusal::invalid_schema)
    }

    /// The graph of a stored version, taken as it is.
    ///
    /// # Errors
    /// 42201: today's parser refuses it, or it is not Avro.
    pub fn stored(
        &self,
        state: &State,
        subject: &Subject,
        id: i32,
        content: &Content,
    ) -> Result<Arc<Schema>, Refusal> {
        let mut followed = Followed {
            path: Vec::new(),
            seen: BTreeSet::new(),
            state,
        };
        self.stored_within(&mut followed, subject, id, content)
    }

    /// The digest of a graph. Aliases and custom attributes count as sets, which is how the normal
    /// form writes them.
    #[must_use]
    pub fn digest_of(schema: &Schema) -> Digest {
        let normal = schema.normal_form();
        let written_out = schema.resolved_text();
        // The text of a schema without references is the same either way.
        let inlined = match Schema::parse_with(
            &written_out,
            &ParseOptions {
                strictness: Strictness::Stored,
                ..ParseOptions::default()
            },
        ) {
            Ok(resolved) => resolved.normal_form(),
            Err(_) => written_out,
        };
        Digest {
            by_name: guid(&normal, &[], None, None),
            inlined: guid(&inlined, &[], None, None),
        }
    }

    /// The digest of a stored version.
    ///
    /// # Errors
    /// As [`Self::stored`].
    pub fn digest(
        &self,
        state: &State,
        subject: &Subject,
        id: i32,
        content: &Content,
    ) -> Result<Digest, Refusal> {
        let key = (subject.context().to_owned(), id);
        if let Some(digest) = self.digests.get(&key) {
            return Ok(digest);
        }
        let digest = Self::digest_of(&*self.stored(state, subject, id, content)?);
        self.digests.insert(key, digest);
        Ok(digest)
    }

    fn stored_within(
        &self,
        followed: &mut Followed<'_>,
        subject: &Subject,
        id: i32,
        content: &Content,
    ) -> Result<Arc<Schema>, Refusal> {
        let key = (subject.context().to_owned(), id);
        if let Some(schema) = self.parsed.get(&key) {
            return Ok(schema);
        }
        if &*content.kind != AVRO {
            return Err(Refusal::invalid_schema(format_args!(
                "{} schemas are not supported",
                content.kind
            )));
        }
        let referenced = self.referenced(followed, subject, &content.references)?;
        let options = ParseOptions {
            references: &referenced,
            strictness: Strictness::Stored,
            ..ParseOptions::default()
        };
        let schema = Schema::parse_with(&content.text, &options)
            .map(Arc::new)
            .map_err(Refusal::invalid_schema)?;
        self.parsed.insert(key, Arc::clone(&schema));
        Ok(schema)
    }

    fn referenced(
        &self,
        followed: &mut Followed<'_>,
        referrer: &Subject,
        references: &[Reference],
    ) -> Result<Vec<Arc<Schema>>, Refusal> {
        let mut graphs = Vec::with_capacity(references.len().min(MAX_REFERENCED));
        for reference in references {
            let place = (referrer.sibling(&reference.subject), reference.version);
            let state = followed.state;
            let version = state.version(&place.0, place.1).ok_or_else(|| {
                Refusal::invalid_schema(format_args!(
                    "no schema reference found for subject \"{}\" and version {}",
                    place.0, place.1
                ))
            })?;
            followed.seen.insert(place.clone());
            if followed.path.len() >= MAX_DEPTH || followed.seen.len() > MAX_REFERENCED {
                return Err(Refusal::new(
                    Code::InvalidSchema,
                    format!(
                        "Invalid schema: references are followed {MAX_DEPTH} deep and to {MAX_REFERENCED} schemas, and no further"
                    ),
                ));
            }
            followed.path.push(place.clone());
            let graph = self.stored_within(followed, &place.0, version.id, &version.content);
            followed.path.pop();
            graphs.push(graph?);
        }
        Ok(graphs)
    }
}
