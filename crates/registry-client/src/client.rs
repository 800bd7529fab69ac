//! The calls. Look-ups by id are cached for ever, since a schema id means one schema for ever.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use meshwork_model::name::SchemaId;
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answers::{
    CompatibilityAnswer, ConfigAnswer, Reference, Registered, SchemaAnswer, ServerAnswer,
    StoredSchema, SubjectVersion,
};
use crate::cache::{Beliefs, Shared};
use crate::config::RegistryClientConfig;
use crate::error::RegistryClientError;
use crate::transport::{Request, Transport};

type Answer<T> = Result<T, RegistryClientError>;

/// A client of one registry. Clones share connections and caches.
#[derive(Clone)]
pub struct RegistryClient {
    inner: Arc<Inner>,
}

struct Inner {
    transport: Transport,
    startup_timeout: Duration,
    schemas: Shared<SchemaId, Arc<StoredSchema>>,
    members: Shared<(String, SchemaId), bool>,
}

impl fmt::Debug for RegistryClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryClient")
            .field("urls", &self.urls())
            .finish_non_exhaustive()
    }
}

#[derive(Serialize)]
struct SchemaBody<'a> {
    schema: &'a str,
    #[serde(skip_serializing_if = "<[Reference]>::is_empty")]
    references: &'a [Reference],
}

fn body(value: &impl Serialize) -> Option<Vec<u8>> {
    // Strings and numbers always have a JSON form.
    serde_json::to_vec(value).ok()
}

impl RegistryClient {
    /// Checks the configuration; connects when first asked.
    ///
    /// # Errors
    /// A URL that can't be used, or no TLS roots.
    pub fn new(config: &RegistryClientConfig) -> Answer<Self> {
        let beliefs = Beliefs {
            good: None,
            missing: config.missing_for.get(),
            unavailable: config.unavailable_for.get(),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                transport: Transport::new(config)?,
                startup_timeout: config.startup_timeout.get(),
                schemas: Shared::new(config.cache_entries, beliefs),
                members: Shared::new(
                    config.cache_entries,
                    Beliefs {
                        good: Some(config.belongs_for.get()),
                        ..beliefs
                    },
                ),
            }),
        })
    }

    /// Where the registry is, without credentials, comma-separated.
    #[must_use]
    pub fn urls(&self) -> String {
        self.inner.transport.urls()
    }

    /// The schema with this id. Cached for ever once known; "not found" and "unavailable" are
    /// cached for a moment. Whoever asks for the same id meanwhile shares the request.
    ///
    /// # Errors
    /// [`RegistryClientError::NotFound`], [`RegistryClientError::Unavailable`] and others.
    pub async fn schema(&self, id: SchemaId) -> Answer<Arc<StoredSchema>> {
        self.inner.schemas.get(&id, self.fetch_schema(id)).await
    }

    /// The schema with this id if it is known already; no I/O.
    #[must_use]
    pub fn cached_schema(&self, id: SchemaId) -> Option<Arc<StoredSchema>> {
        self.inner.schemas.peek(&id)
    }

    async fn fetch_schema(&self, id: SchemaId) -> Answer<Arc<StoredSchema>> {
        let id_text = id.to_string();
        let what = format!("schema {id}");
        let answer: SchemaAnswer = self
            .get(what.clone(), vec!["schemas", "ids", &id_text], &[])
            .await?;
        let text = answer.schema.ok_or_else(|| self.lacks(&what, "schema"))?;
        Ok(Arc::new(StoredSchema {
            id,
            guid: answer.guid,
            schema_type: answer.schema_type.unwrap_or_else(|| "AVRO".to_owned()),
            text,
            references: answer.references.unwrap_or_default(),
        }))
    }

    /// Whether `subject` has a version with schema `id`. Cached: for minutes where it has, for a
    /// moment where not.
    ///
    /// # Errors
    /// The registry can't be asked. An unknown id is `false`.
    pub async fn belongs(&self, subject: &str, id: SchemaId) -> Answer<bool> {
        let key = (subject.to_owned(), id);
        let answer = self
            .inner
            .members
            .get(&key, self.fetch_member(subject, id))
            .await;
        match answer {
            Err(error) if error.is_not_found() => Ok(false),
            answer => answer,
        }
    }

    /// `Some(true)` if it is known already that `subject` has schema `id`; no I/O.
    #[must_use]
    pub fn cached_belongs(&self, subject: &str, id: SchemaId) -> Option<bool> {
        self.inner.members.peek(&(subject.to_owned(), id))
    }

    async fn fetch_member(&self, subject: &str, id: SchemaId) -> Answer<bool> {
        let id_text = id.to_string();
        let what = format!("schema {id} in subject `{subject}`");
        let holders: Vec<SubjectVersion> = self
            .get(
                what.clone(),
                vec!["schemas", "ids", &id_text, "versions"],
                &[],
            )
            .await?;
        if holders.iter().any(|holder| holder.subject == subject) {
            return Ok(true);
        }
        Err(RegistryClientError::NotFound {
            what,
            code: 40403,
            message: "the id belongs to other subjects".to_owned(),
        })
    }

    /// Registers a schema under `subject`, or finds that it is there: the same text always gives
    /// the same id. `normalize` stores Confluent's normal form.
    ///
    /// # Errors
    /// [`RegistryClientError::Incompatible`], an invalid schema
    /// ([`RegistryClientError::Refused`], code 42201), and others.
    pub async fn register(
        &self,
        subject: &str,
        text: &str,
        references: &[Reference],
        normalize: bool,
    ) -> Answer<Registered> {
        let what = format!("registration under subject `{subject}`");
        let query: &[(&str, &str)] = if normalize {
            &[("normalize", "true")]
        } else {
            &[]
        };
        let answer: SchemaAnswer = self
            .send(Request {
                what: what.clone(),
                method: Method::POST,
                path: vec!["subjects", subject, "versions"],
                query,
                body: body(&SchemaBody {
                    schema: text,
                    references,
                }),
            })
            .await
            .map_err(|error| incompatible(subject, error))?;
        let registered = if answer.version.is_some() && answer.schema.is_some() {
            self.registered(subject, &what, answer)?
        } else {
            // Before Confluent 8.0 the answer is the id alone.
            self.look_up_with(subject, text, references, normalize)
                .await?
                .ok_or_else(|| self.lacks(&what, "version, nor can it be looked up"))?
        };
        // What was written is known to be there, and is likely to be asked for next.
        self.inner
            .members
            .insert((subject.to_owned(), registered.id), true);
        Ok(registered)
    }

    /// As [`Self::register`], and waits for a registry that does not answer yet, up to
    /// `startup_timeout`: for services that start together with it.
    ///
    /// # Errors
    /// As [`Self::register`].
    pub async fn register_at_start(&self, subject: &str, text: &str) -> Answer<Registered> {
        let started = Instant::now();
        loop {
            match self.register(subject, text, &[], false).await {
                Err(error)
                    if error.is_unavailable() && started.elapsed() < self.inner.startup_timeout =>
                {
                    tracing::info!(%error, "waiting for the registry");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                answer => return answer,
            }
        }
    }

    /// The version of `subject` that holds this text; none where it has none.
    ///
    /// # Errors
    /// An invalid schema ([`RegistryClientError::Refused`]), and others.
    pub async fn look_up(&self, subject: &str, text: &str) -> Answer<Option<Registered>> {
        self.look_up_with(subject, text, &[], false).await
    }

    /// As [`Self::look_up`], with references and normal form.
    ///
    /// # Errors
    /// As [`Self::look_up`].
    pub async fn look_up_with(
        &self,
        subject: &str,
        text: &str,
        references: &[Reference],
        normalize: bool,
    ) -> Answer<Option<Registered>> {
        let what = format!("look-up under subject `{subject}`");
        let query: &[(&str, &str)] = if normalize {
            &[("normalize", "true")]
        } else {
            &[]
        };
        let answer = self
            .send(Request {
                what: what.clone(),
                method: Method::POST,
                path: vec!["subjects", subject],
                query,
                body: body(&SchemaBody {
                    schema: text,
                    references,
                }),
            })
            .await;
        optional(answer)?
            .map(|answer| self.registered(subject, &what, answer))
            .transpose()
    }

    /// The latest version of `subject`; none where the subject is not there.
    ///
    /// # Errors
    /// The registry can't be asked.
    pub async fn latest(&self, subject: &str) -> Answer<Option<Registered>> {
        self.version_text(subject, "latest").await
    }

    /// Version `version` of `subject`; none where it is not there.
    ///
    /// # Errors
    /// The registry can't be asked.
    pub async fn version(&self, subject: &str, version: i32) -> Answer<Option<Registered>> {
        self.version_text(subject, &version.to_string()).await
    }

    async fn version_text(&self, subject: &str, version: &str) -> Answer<Option<Registered>> {
        let what = format!("version {version} of subject `{subject}`");
        let path = vec!["subjects", subject, "versions", version];
        let answer = self.get(what.clone(), path, &[]).await;
        optional(answer)?
            .map(|answer| self.registered(subject, &what, answer))
            .transpose()
    }

    /// The live versions of `subject`, ascending; empty where the subject is not there.
    ///
    /// # Errors
    /// The registry can't be asked.
    pub async fn versions(&self, subject: &str) -> Answer<Vec<i32>> {
        let what = format!("versions of subject `{subject}`");
        let answer = self
            .get(what, vec!["subjects", subject, "versions"], &[])
            .await;
        Ok(optional(answer)?.unwrap_or_default())
    }

    /// All live subjects, in the registry's order.
    ///
    /// # Errors
    /// The registry can't be asked.
    pub async fn subjects(&self) -> Answer<Vec<String>> {
        self.get("subjects".to_owned(), vec!["subjects"], &[]).await
    }

    /// Whether the registry itself tells of each registration on `mesh.catalog.changes`, as
    /// Meshwork's own does.
    ///
    /// # Errors
    /// The registry can't be asked.
    pub async fn announces_changes(&self) -> Answer<bool> {
        let path = vec!["v1", "metadata", "version"];
        let answer: Answer<ServerAnswer> = self.get("version".to_owned(), path, &[]).await;
        match answer {
            Ok(answer) => Ok(answer.announces_changes),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether `text` could be registered under `subject`, with every reason where not. A subject
    /// that is not there takes anything.
    ///
    /// # Errors
    /// The registry can't be asked. With most registries an invalid schema is a verdict, not an
    /// error.
    pub async fn compatibility(&self, subject: &str, text: &str) -> Answer<CompatibilityAnswer> {
        self.compatibility_with(subject, text, &[]).await
    }

    /// As [`Self::compatibility`], with references.
    ///
    /// # Errors
    /// As [`Self::compatibility`].
    pub async fn compatibility_with(
        &self,
        subject: &str,
        text: &str,
        references: &[Reference],
    ) -> Answer<CompatibilityAnswer> {
        let answer = self
            .send(Request {
                what: format!("compatibility with subject `{subject}`"),
                method: Method::POST,
                path: vec!["compatibility", "subjects", subject, "versions"],
                query: &[("verbose", "true")],
                body: body(&SchemaBody {
                    schema: text,
                    references,
                }),
            })
            .await;
        Ok(optional(answer)?.unwrap_or(CompatibilityAnswer {
            compatible: true,
            messages: Vec::new(),
        }))
    }

    /// The compatibility level of the subject's own; none where it follows the global one.
    ///
    /// # Errors
    /// The registry can't be asked.
    pub async fn level(&self, subject: &str) -> Answer<Option<String>> {
        let what = format!("compatibility level of subject `{subject}`");
        let answer = self
            .get::<ConfigAnswer>(what, vec!["config", subject], &[])
            .await;
        Ok(optional(answer)?.and_then(|config| config.level))
    }

    /// Sets the compatibility level of the subject, such as `FULL_TRANSITIVE`.
    ///
    /// # Errors
    /// A level that the registry doesn't know ([`RegistryClientError::Refused`]), and others.
    pub async fn set_level(&self, subject: &str, level: &str) -> Answer<()> {
        #[derive(Serialize)]
        struct Body<'a> {
            compatibility: &'a str,
        }
        let _: serde::de::IgnoredAny = self
            .send(Request {
                what: format!("compatibility level {level} for subject `{subject}`"),
                method: Method::PUT,
                path: vec!["config", subject],
                query: &[],
                body: body(&Body {
                    compatibility: level,
                }),
            })
            .await?;
        Ok(())
    }

    fn registered(&self, subject: &str, what: &str, answer: SchemaAnswer) -> Answer<Registered> {
        let lacks = |field| self.lacks(what, field);
        Ok(Registered {
            subject: answer.subject.unwrap_or_else(|| subject.to_owned()),
            version: answer.version.ok_or_else(|| lacks("version"))?,
            id: answer.id.ok_or_else(|| lacks("id"))?,
            guid: answer.guid,
            schema: answer.schema.ok_or_else(|| lacks("schema"))?,
            references: answer.references.unwrap_or_default(),
        })
    }

    fn lacks(&self, what: &str, field: &str) -> RegistryClientError {
        RegistryClientError::BadAnswer {
            url: self.urls(),
            what: what.to_owned(),
            detail: format!("there is no {field} in it"),
        }
    }

    async fn get<T: DeserializeOwned>(
        &self,
        what: String,
        path: Vec<&str>,
        query: &[(&str, &str)],
    ) -> Answer<T> {
        self.send(Request {
            what,
            method: Method::GET,
            path,
            query,
            body: None,
        })
        .await
    }

    async fn send<T: DeserializeOwned>(&self, request: Request<'_>) -> Answer<T> {
        self.inner.transport.send(&request).await
    }
}

fn optional<T>(answer: Answer<T>) -> Answer<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn incompatible(subject: &str, error: RegistryClientError) -> RegistryClientError {
    match error {
        RegistryClientError::Refused {
            code: 409 | 40901,
            message,
            ..
        } => RegistryClientError::Incompatible {
            subject: subject.to_owned(),
            message,
        },
        other => other,
    }
}

#[cfg(test)]
mod tests;
