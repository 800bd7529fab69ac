//! Schema texts made into graphs, with the schemas they refer to. Bounded: depth, number and memory of
//! references, and how much of graphs is kept.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use meshwork_avro::{Footprint, Guid, ParseOptions, Schema, Strictness, guid};
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::content::{AVRO, Content};
use crate::record::Reference;
use crate::refusal::{Code, Refusal};
use crate::state::{State, VersionRow};
use crate::subject::Subject;

/// Memory for graphs, bytes. A 200-field record takes about 50 KiB.
const KEPT_BYTES: u64 = 64 << 20;

/// Graphs that are expected at a time. The cache is in parts of no fewer than 32, so in four: what an
/// entry has to fit into is 16 MiB, on a machine with many cores too.
const KEPT_GRAPHS: usize = 128;

/// Digests kept, of 32 bytes and their key each.
const KEPT_DIGESTS: usize = 65_536;

/// What an entry takes beside its graph.
const PER_GRAPH: u64 = 256;

/// Longest text that is kept of a new one as Avro prints it, and in normal form, bytes.
pub(crate) const KEPT_TEXT: usize = 32 << 10;

/// References followed from one schema to the next.
const MAX_DEPTH: usize = 64;

/// Referenced schemas, direct and indirect, of one schema.
const MAX_REFERENCED: usize = 1_000;

/// Memory of their graphs, which are all held while it is read, bytes: 1,000 records of 200 fields.
const MAX_REFERENCED_BYTES: usize = 64 << 20;

/// By context and GUID: the text, and what its references name there.
type ByContent = (Box<str>, Guid);

#[derive(Clone, Debug)]
struct Graph {
    schema: Arc<Schema>,
    /// With the schemas that it refers to: it keeps them, though they may be entries no longer.
    bytes: usize,
}

#[derive(Clone, Debug)]
struct Bytes;

impl Weighter<ByContent, Graph> for Bytes {
    fn weight(&self, _: &ByContent, graph: &Graph) -> u64 {
        (graph.bytes as u64).saturating_add(PER_GRAPH)
    }
}

/// A text that a request brought, as it was read, with what was made of it so far.
#[derive(Debug)]
pub struct NewText {
    schema: Schema,
    written: OnceLock<Arc<str>>,
    normal: OnceLock<Arc<str>>,
    digest: OnceLock<Digest>,
}

impl NewText {
    fn new(schema: Schema) -> Self {
        Self {
            schema,
            written: OnceLock::new(),
            normal: OnceLock::new(),
            digest: OnceLock::new(),
        }
    }

    /// Its graph.
    #[must_use]
    pub const fn schema(&self) -> &Schema {
        &self.schema
    }

    /// As Avro prints it.
    #[must_use]
    pub fn written(&self) -> Arc<str> {
        kept(&self.written, || self.schema.to_text())
    }

    /// In normal form.
    #[must_use]
    pub fn normal(&self) -> Arc<str> {
        kept(&self.normal, || self.schema.normal_form())
    }

    #[cfg(test)]
    pub(crate) fn kept_written(&self) -> Option<&str> {
        self.written.get().map(|text| &**text)
    }

    #[cfg(test)]
    pub(crate) fn kept_normal(&self) -> Option<&str> {
        self.normal.get().map(|text| &**text)
    }

    /// See [`Texts::digest_of`].
    #[must_use]
    pub fn digest(&self) -> Digest {
        *self.digest.get_or_init(|| Texts::digest_of(&self.schema))
    }
}

/// What is kept, or is made, and kept unless it is too long.
fn kept(place: &OnceLock<Arc<str>>, make: impl FnOnce() -> String) -> Arc<str> {
    if let Some(text) = place.get() {
        return Arc::clone(text);
    }
    let text: Arc<str> = make().into();
    if text.len() <= KEPT_TEXT {
        let _ = place.set(Arc::clone(&text));
    }
    text
}

/// Parsed schemas of stored contents, kept for the next who needs them.
#[derive(Debug)]
pub struct Texts {
    parsed: Cache<ByContent, Graph, Bytes>,
    digests: Cache<ByContent, Digest>,
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
            parsed: Cache::with_weighter(KEPT_GRAPHS, KEPT_BYTES, Bytes),
            digests: Cache::new(KEPT_DIGESTS),
        }
    }
}

/// How far references have been followed.
struct Followed<'a> {
    depth: usize,
    seen: BTreeSet<(Subject, i32)>,
    /// What was come by: read once, however many ways lead to it.
    graphs: HashMap<ByContent, Arc<Schema>>,
    /// The memory of all that.
    held: Footprint,
    state: &'a State<'a>,
}

impl<'a> Followed<'a> {
    fn none(state: &'a State<'a>) -> Self {
        Self {
            depth: 0,
            seen: BTreeSet::new(),
            graphs: HashMap::new(),
            held: Footprint::default(),
            state,
        }
    }

    /// # Errors
    /// 42201: together they are too large.
    fn hold(&mut self, key: ByContent, schema: &Arc<Schema>) -> Result<(), Refusal> {
        self.held.add(schema);
        if self.held.bytes() > MAX_REFERENCED_BYTES {
            return Err(Refusal::invalid_schema(format_args!(
                "the schemas that it refers to take more than {} MiB of memory, refer to fewer or to smaller ones",
                MAX_REFERENCED_BYTES >> 20
            )));
        }
        self.graphs.insert(key, Arc::clone(schema));
        Ok(())
    }
}

impl Texts {
    /// Parses a text as strictly as a new schema must be, or as leniently as a look-up may be.
    ///
    /// # Errors
    /// 42201: it does not parse, or a reference can't be resolved.
    pub fn parse_new(
        &self,
        state: &State<'_>,
        subject: &Subject,
        text: &str,
        references: &[Reference],
        strictness: Strictness,
    ) -> Result<Arc<NewText>, Refusal> {
        let mut followed = Followed::none(state);
        let referenced = self.referenced(&mut followed, subject, references)?;
        let options = ParseOptions {
            references: &referenced,
            strictness,
            ..ParseOptions::default()
        };
        Schema::parse_with(text, &options)
            .map(|schema| Arc::new(NewText::new(schema)))
            .map_err(Refusal::invalid_schema)
    }

    /// Forgets all graphs: what a version refers to is another one now.
    pub fn clear(&self) {
        self.parsed.clear();
        self.digests.clear();
    }

    /// The graph of a stored version, taken as it is.
    ///
    /// # Errors
    /// 42201: today's parser refuses it, or it is not Avro.
    pub fn stored(
        &self,
        state: &State<'_>,
        subject: &Subject,
        version: &VersionRow,
    ) -> Result<Arc<Schema>, Refusal> {
        self.stored_within(&mut Followed::none(state), subject, version)
    }

    /// The graph of a content of a context, taken as it is.
    ///
    /// # Errors
    /// As [`Self::stored`].
    pub fn of_content(
        &self,
        state: &State<'_>,
        subject: &Subject,
        content: &Content,
    ) -> Result<Arc<Schema>, Refusal> {
        let key = key(subject, &content.guid);
        match self.parsed.get(&key) {
            Some(graph) => Ok(graph.schema),
            None => self.parse_stored(&mut Followed::none(state), subject, content, key),
        }
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
        state: &State<'_>,
        subject: &Subject,
        version: &VersionRow,
    ) -> Result<Digest, Refusal> {
        let key = key(subject, &version.guid);
        if let Some(digest) = self.digests.get(&key) {
            return Ok(digest);
        }
        let digest = Self::digest_of(&*self.stored(state, subject, version)?);
        self.digests.insert(key, digest);
        Ok(digest)
    }

    fn stored_within(
        &self,
        followed: &mut Followed<'_>,
        subject: &Subject,
        version: &VersionRow,
    ) -> Result<Arc<Schema>, Refusal> {
        let key = key(subject, &version.guid);
        if let Some(graph) = self.parsed.get(&key) {
            return Ok(graph.schema);
        }
        let content = followed.state.content_of(subject, version)?;
        self.parse_stored(followed, subject, &content, key)
    }

    fn parse_stored(
        &self,
        followed: &mut Followed<'_>,
        subject: &Subject,
        content: &Content,
        key: ByContent,
    ) -> Result<Arc<Schema>, Refusal> {
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
        let mut all = Footprint::default();
        all.add(&schema);
        let graph = Graph {
            schema: Arc::clone(&schema),
            bytes: all.bytes(),
        };
        self.parsed.insert(key, graph);
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
            let version = state.version_row(&place.0, place.1)?.ok_or_else(|| {
                Refusal::invalid_schema(format_args!(
                    "no schema reference found for subject \"{}\" and version {}",
                    place.0, place.1
                ))
            })?;
            followed.seen.insert(place.clone());
            if followed.depth >= MAX_DEPTH || followed.seen.len() > MAX_REFERENCED {
                return Err(Refusal::new(
                    Code::InvalidSchema,
                    format!(
                        "Invalid schema: references are followed {MAX_DEPTH} deep and to {MAX_REFERENCED} schemas, and no further"
                    ),
                ));
            }
            let key = key(&place.0, &version.guid);
            let graph = match followed.graphs.get(&key) {
                Some(graph) => Arc::clone(graph),
                None => {
                    followed.depth += 1;
                    let graph = self.stored_within(followed, &place.0, &version);
                    followed.depth -= 1;
                    let graph = graph?;
                    followed.hold(key, &graph)?;
                    graph
                }
            };
            graphs.push(graph);
        }
        Ok(graphs)
    }
}

fn key(subject: &Subject, guid: &Guid) -> ByContent {
    (subject.context().into(), *guid)
}

#[cfg(test)]
mod tests;
