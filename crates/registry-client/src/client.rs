//! The calls. Look-ups by id are cached for ever, since a schema id means one schema for ever.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use meshwork_model::name::SchemaId;
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::answers::{Registered, SchemaAnswer, ServerAnswer, StoredSchema, SubjectVersion};
use crate::cache::{Beliefs, Shared};
use crate::config::RegistryClientConfig;
use crate::error::RegistryClientError;
use crate::transport::{Request, Transport};

pub(crate) type Answer<T> = Result<T, RegistryClientError>;

/// A client of one registry. Clones share connections and caches.
#[derive(Clone)]
pub struct RegistryClient {
    pub(crate) inner: Arc<Inner>,
    claimed: Option<HeaderValue>,
}

pub(crate) struct Inner {
    pub(crate) transport: Transport,
    pub(crate) startup_timeout: Duration,
    schemas: Shared<SchemaId, Arc<StoredSchema>>,
    pub(crate) members: Shared<(String, SchemaId), bool>,
}

impl fmt::Debug for RegistryClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryClient")
            .field("urls", &self.urls())
            .finish_non_exhaustive()
    }
}

pub(crate) fn body(value: &impl Serialize) -> Option<Vec<u8>> {
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
            claimed: None,
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

    /// The same client, which says with each request in whose name it asks, such as `user@host`.
    /// Meshwork's registry notes it, as a claim, where it does not know who asks; others pass over it.
    #[must_use]
    pub fn claimed_by(&self, who: &str) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            claimed: HeaderValue::from_bytes(who.as_bytes()).ok(),
        }
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

    pub(crate) fn registered(
        &self,
        subject: &str,
        what: &str,
        answer: SchemaAnswer,
    ) -> Answer<Registered> {
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

    pub(crate) fn lacks(&self, what: &str, field: &str) -> RegistryClientError {
        RegistryClientError::BadAnswer {
            url: self.urls(),
            what: what.to_owned(),
            detail: format!("there is no {field} in it"),
        }
    }

    pub(crate) async fn get<T: DeserializeOwned>(
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

    pub(crate) async fn send<T: DeserializeOwned>(&self, request: Request<'_>) -> Answer<T> {
        let claimed = self.claimed.as_ref();
        self.inner.transport.send(&request, claimed).await
    }
}

pub(crate) fn optional<T>(answer: Answer<T>) -> Answer<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
