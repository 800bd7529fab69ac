//! The registry's schemas, compiled and kept for the pipeline, which asks without I/O.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use meshwork_avro::{ParseOptions, Schema, Strictness};
use meshwork_model::name::SchemaId;
use meshwork_pipeline::framing::guid_text;
use meshwork_pipeline::{CompiledSchema, Needed, SchemaLookup, SchemaRef, Schemas};
use meshwork_registry_client::{Reference, RegistryClient, RegistryClientError};
use parking_lot::RwLock;

/// How long "no such schema" and "not of this subject" are believed: it may be registered next.
const MISSING_FOR: Duration = Duration::from_secs(5);
/// How long a registry that is down is not asked again.
const UNAVAILABLE_FOR: Duration = Duration::from_secs(1);
/// References within references, at most: deeper chains are not found in practice, and a cycle
/// would have no end.
const REFERENCE_DEPTH: usize = 16;
/// Referenced schemas in all.
const REFERENCES_MAX: usize = 256;
/// Memory of their graphs, which are all held until the schema is read, bytes: many times what 256 of
/// 200 fields take.
const REFERENCED_BYTES_MAX: usize = 64 << 20;

/// Compiled schemas by subject, bounded. Share it behind an `Arc`.
#[derive(Debug)]
pub struct SchemaCache {
    registry: RegistryClient,
    /// Field that holds the event time, by value subject.
    event_times: RwLock<HashMap<String, String>>,
    entries: RwLock<HashMap<Needed, Entry>>,
    most: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    lookup: SchemaLookup,
    until: Option<Instant>,
}

impl Entry {
    fn is_fresh(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl SchemaCache {
    /// Keeps at most `most` schemas; when there are more, what would expire is dropped, and an eighth
    /// of the others only where that is not enough. They are loaded again as they are asked for, which
    /// a healthy mesh never sees.
    #[must_use]
    pub fn new(registry: RegistryClient, most: usize) -> Self {
        Self {
            registry,
            event_times: RwLock::default(),
            entries: RwLock::default(),
            most: most.max(1),
        }
    }

    /// The registry that it asks.
    #[must_use]
    pub const fn registry(&self) -> &RegistryClient {
        &self.registry
    }

    /// Names the field that holds the event time in values of `subject`. Schemas of the subject
    /// that are compiled already are compiled again where that changes.
    pub fn set_event_time(&self, subject: &str, field: Option<&str>) {
        let mut all = self.event_times.write();
        let before = match field {
            Some(field) => all.insert(subject.to_owned(), field.to_owned()),
            None => all.remove(subject),
        };
        if before.as_deref() != field {
            self.entries
                .write()
                .retain(|needed, _| needed.subject != subject);
        }
    }

    /// Loads a schema, so that the next [`Schemas::look_up`] has an answer.
    ///
    /// # Errors
    /// The registry can't be asked; the look-up then says `Unavailable`.
    pub async fn load(&self, needed: &Needed) -> Result<(), RegistryClientError> {
        loop {
            let event_time = self.event_times.read().get(&needed.subject).cloned();
            let found = self.fetch(needed, event_time.as_deref()).await;
            let (lookup, result) = match found {
                Ok(lookup) => (lookup, Ok(())),
                Err(error) => (SchemaLookup::Unavailable, Err(error)),
            };
            // Compiled for another field than the one that was named meanwhile, it would be kept
            // for ever.
            let named = self.event_times.read();
            if named.get(&needed.subject) == event_time.as_ref() {
                self.keep(needed, lookup);
                return result;
            }
        }
    }

    /// The same, for at most that long: a registry that has not answered by then is one that can't be
    /// asked. Whoever has less time drops this instead, and nothing is said of the registry.
    pub async fn load_within(&self, needed: &Needed, within: Duration) {
        if tokio::time::timeout(within, self.load(needed))
            .await
            .is_err()
        {
            self.keep(needed, SchemaLookup::Unavailable);
        }
    }

    fn keep(&self, needed: &Needed, lookup: SchemaLookup) {
        let lives = match lookup {
            SchemaLookup::Known(_) | SchemaLookup::Unusable(_) => None,
            SchemaLookup::Unavailable => Some(UNAVAILABLE_FOR),
            _ => Some(MISSING_FOR),
        };
        let now = Instant::now();
        let mut entries = self.entries.write();
        let answered = entries.get(needed).is_some_and(|entry| {
            entry.is_fresh(now) && !matches!(entry.lookup, SchemaLookup::Unavailable)
        });
        if answered && matches!(lookup, SchemaLookup::Unavailable) {
            // Whoever asked at the same time had an answer.
            return;
        }
        if entries.len() >= self.most && !entries.contains_key(needed) {
            make_room(&mut entries, self.most);
        }
        let until = lives.map(|lives| now + lives);
        entries.insert(needed.clone(), Entry { lookup, until });
    }

    async fn fetch(
        &self,
        needed: &Needed,
        event_time: Option<&str>,
    ) -> Result<SchemaLookup, RegistryClientError> {
        let id = match needed.schema {
            SchemaRef::Id(id) => id,
            SchemaRef::Guid(guid) => {
                match self.by_guid(&needed.subject, &guid_text(&guid)).await? {
                    Some(id) => id,
                    None => return Ok(SchemaLookup::NotOfSubject),
                }
            }
        };
        let stored = match self.registry.schema(id).await {
            Ok(stored) => stored,
            Err(error) if error.is_not_found() => return Ok(SchemaLookup::Unknown),
            Err(error) => return Err(error),
        };
        if !self.registry.belongs(&needed.subject, id).await? {
            return Ok(SchemaLookup::NotOfSubject);
        }
        let unusable = |why: String| Ok(SchemaLookup::Unusable(why.into()));
        if stored.schema_type != "AVRO" {
            return unusable(format!("it is of type {}", stored.schema_type));
        }
        let schema = match parse_stored(&self.registry, &stored.text, &stored.references).await? {
            Ok(schema) => schema,
            Err(why) => return unusable(why),
        };
        match CompiledSchema::compile(id, &schema, event_time) {
            Ok(compiled) => Ok(SchemaLookup::Known(Arc::new(compiled))),
            Err(error) => unusable(error.to_string()),
        }
    }

    /// Looks through the subject's versions: the API gives no id for a GUID and subject.
    async fn by_guid(
        &self,
        subject: &str,
        guid: &str,
    ) -> Result<Option<SchemaId>, RegistryClientError> {
        let versions = self.registry.versions(subject).await?;
        for version in versions.into_iter().rev() {
            let found = self.registry.version(subject, version).await?;
            if let Some(found) = found
                && found.guid.as_deref() == Some(guid)
            {
                return Ok(Some(found.id));
            }
        }
        Ok(None)
    }
}

/// Drops what expires anyway: whoever asks for schemas that are not there displaces none that is. An
/// eighth is free afterwards, so that what one batch needs finds room together.
fn make_room(entries: &mut HashMap<Needed, Entry>, most: usize) {
    entries.retain(|_, entry| entry.until.is_none());
    let mut kept = most - (most / 8).max(1);
    if entries.len() <= kept {
        return;
    }
    entries.retain(|_, _| {
        let keep = kept > 0;
        kept = kept.saturating_sub(1);
        keep
    });
}

impl Schemas for SchemaCache {
    fn look_up(&self, subject: &str, schema: SchemaRef) -> SchemaLookup {
        // Asked once for a run of records under one schema, so that an allocation is no matter.
        let needed = Needed {
            schema,
            subject: subject.to_owned(),
        };
        let entries = self.entries.read();
        match entries.get(&needed) {
            Some(entry) if entry.is_fresh(Instant::now()) => entry.lookup.clone(),
            _ => SchemaLookup::NotLoaded,
        }
    }
}

/// Parses a schema as the registry stores it, with what it refers to.
///
/// # Errors
/// The registry can't be asked. The inner error says why the schema can't be used.
pub async fn parse_stored(
    registry: &RegistryClient,
    text: &str,
    references: &[Reference],
) -> Result<Result<Schema, String>, RegistryClientError> {
    let mut left = Left {
        schemas: REFERENCES_MAX,
        bytes: REFERENCED_BYTES_MAX,
    };
    parse_at(registry, text, references, REFERENCE_DEPTH, &mut left).await
}

/// What may still be referred to.
struct Left {
    schemas: usize,
    bytes: usize,
}

impl Left {
    /// # Errors
    /// Together they are too large.
    fn hold(&mut self, schema: &Schema) -> Result<(), String> {
        let left = self.bytes.checked_sub(schema.memory_bytes());
        self.bytes = left.ok_or_else(|| {
            format!(
                "the schemas that it refers to take more than {} MiB of memory",
                REFERENCED_BYTES_MAX >> 20
            )
        })?;
        Ok(())
    }
}

async fn parse_at(
    registry: &RegistryClient,
    text: &str,
    references: &[Reference],
    depth: usize,
    left: &mut Left,
) -> Result<Result<Schema, String>, RegistryClientError> {
    let mut parsed = Vec::with_capacity(references.len().min(REFERENCES_MAX));
    for reference in references {
        if depth == 0 || left.schemas == 0 {
            return Ok(Err(format!(
                "it refers to more than {REFERENCES_MAX} schemas, or more than {REFERENCE_DEPTH} deep"
            )));
        }
        left.schemas -= 1;
        let found = registry
            .version(&reference.subject, reference.version)
            .await?;
        let Some(found) = found else {
            return Ok(Err(format!(
                "it refers to {}, version {} of subject {}, which is not there",
                reference.name, reference.version, reference.subject
            )));
        };
        let inner = Box::pin(parse_at(
            registry,
            &found.schema,
            &found.references,
            depth - 1,
            left,
        ));
        let schema = match inner.await? {
            Ok(schema) => schema,
            Err(why) => return Ok(Err(format!("in {}: {why}", reference.name))),
        };
        if let Err(why) = left.hold(&schema) {
            return Ok(Err(why));
        }
        parsed.push(Arc::new(schema));
    }
    let options = ParseOptions {
        references: &parsed,
        strictness: Strictness::Stored,
        ..ParseOptions::default()
    };
    Ok(Schema::parse_with(text, &options).map_err(|error| error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use axum::Json;
    use axum::extract::Request;
    use meshwork_registry_client::RegistryClientConfig;
    use tokio::net::TcpListener;

    use super::*;

    const SUBJECT: &str = "a.b.v1-value";

    fn needed() -> Needed {
        Needed {
            schema: SchemaRef::Id(SchemaId::new(1).unwrap()),
            subject: SUBJECT.to_owned(),
        }
    }

    /// A cache that asks at the listener's address.
    fn cache(listener: &TcpListener) -> SchemaCache {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let config = RegistryClientConfig::new(&url);
        SchemaCache::new(RegistryClient::new(&config).unwrap(), 10)
    }

    async fn silent() -> (SchemaCache, TcpListener) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        (cache(&listener), listener)
    }

    impl SchemaCache {
        fn says(&self) -> SchemaLookup {
            let needed = needed();
            self.look_up(&needed.subject, needed.schema)
        }
    }

    #[tokio::test]
    async fn a_registry_that_had_its_time_counts_as_away_and_one_that_had_not_does_not() {
        let (cache, _listener) = silent().await;
        let (soon, never) = (Duration::from_millis(20), Duration::from_secs(3600));
        let cut = tokio::time::timeout(soon, cache.load_within(&needed(), never)).await;
        assert!(cut.is_err());
        assert!(matches!(cache.says(), SchemaLookup::NotLoaded));
        cache.load_within(&needed(), soon).await;
        // Believed for a moment only, which may be over already.
        let entries = cache.entries.read();
        let kept = entries.get(&needed()).unwrap();
        assert!(matches!(kept.lookup, SchemaLookup::Unavailable));
    }

    #[tokio::test]
    async fn no_answer_takes_the_place_of_none_that_somebody_else_was_given() {
        let (cache, _listener) = silent().await;
        cache.keep(&needed(), SchemaLookup::Unavailable);
        for answer in [SchemaLookup::Unknown, SchemaLookup::Unusable("so".into())] {
            cache.keep(&needed(), answer.clone());
            cache.load_within(&needed(), Duration::ZERO).await;
            let kind = std::mem::discriminant::<SchemaLookup>;
            assert_eq!(kind(&cache.says()), kind(&answer));
        }
    }

    #[tokio::test]
    async fn a_schema_is_never_kept_for_an_event_time_that_was_named_before() {
        static CACHE: OnceLock<SchemaCache> = OnceLock::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        CACHE.set(cache(&listener)).unwrap();
        let answer = |request: Request| async move {
            if !request.uri().path().ends_with("/versions") {
                let schema = r#"{"type":"record","name":"F","fields":[
                    {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}}]}"#;
                return Json(serde_json::json!({ "schema": schema }));
            }
            // The field is named while the schema is on its way.
            CACHE.get().unwrap().set_event_time(SUBJECT, Some("at"));
            Json(serde_json::json!([{ "subject": SUBJECT, "version": 1 }]))
        };
        let router = axum::Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        let cache = CACHE.get().unwrap();
        cache.load(&needed()).await.unwrap();
        let SchemaLookup::Known(schema) = cache.says() else {
            panic!("not loaded");
        };
        assert!(schema.has_event_time);
    }

    fn entries(lasting: i64, expiring: i64) -> HashMap<Needed, Entry> {
        (0..lasting + expiring)
            .map(|n| {
                let needed = Needed {
                    schema: SchemaRef::Id(SchemaId::new(n + 1).unwrap()),
                    subject: "a.b.v1-value".to_owned(),
                };
                let entry = Entry {
                    lookup: SchemaLookup::Unknown,
                    until: (n >= lasting).then(|| Instant::now() + MISSING_FOR),
                };
                (needed, entry)
            })
            .collect()
    }

    #[test]
    fn what_expires_makes_room_for_what_is_new() {
        for (lasting, expiring, left) in
            [(8, 8, 8), (0, 16, 0), (14, 2, 14), (15, 1, 14), (16, 0, 14)]
        {
            let mut all = entries(lasting, expiring);
            make_room(&mut all, 16);
            assert_eq!(all.len(), left, "{lasting} and {expiring}");
            assert!(all.values().all(|entry| entry.until.is_none()));
        }
        let mut one = entries(1, 0);
        make_room(&mut one, 1);
        assert!(one.is_empty());
    }

    #[test]
    fn schemas_that_are_referred_to_have_room_together() {
        let numbers = "1,".repeat(300_000);
        let text = format!(r#"{{"type":"fixed","name":"F","size":1,"note":[{numbers}1]}}"#);
        let large = Schema::parse(&text).unwrap();
        let mut left = Left {
            schemas: REFERENCES_MAX,
            bytes: REFERENCED_BYTES_MAX,
        };
        let fit = REFERENCED_BYTES_MAX / large.memory_bytes();
        assert!((2..20).contains(&fit));
        for _ in 0..fit {
            left.hold(&large).unwrap();
        }
        let why = left.hold(&large).unwrap_err();
        assert!(why.contains("64 MiB"), "{why}");
    }
}
