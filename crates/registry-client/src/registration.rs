//! From a text to a version of a subject: verdicts, registration, look-up.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde::Serialize;

use crate::answers::{CompatibilityAnswer, ConfigAnswer, Reference, Registered, SchemaAnswer};
use crate::client::{Answer, RegistryClient, body, optional};
use crate::error::RegistryClientError;
use crate::transport::Request;

/// A schema that is not registered yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Draft<'a> {
    /// Its text.
    pub schema: &'a str,
    /// `JSON` or `PROTOBUF`; none stands for `AVRO`, which registries before Confluent 5.5 don't
    /// know the word for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_type: Option<&'a str>,
    /// The schemas it refers to.
    #[serde(skip_serializing_if = "<[Reference]>::is_empty")]
    pub references: &'a [Reference],
}

impl<'a> Draft<'a> {
    /// An Avro schema.
    #[must_use]
    pub fn avro(schema: &'a str, references: &'a [Reference]) -> Self {
        Self {
            schema,
            schema_type: None,
            references,
        }
    }
}

impl RegistryClient {
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
        self.register_draft(subject, &Draft::avro(text, references), normalize)
            .await
    }

    /// As [`Self::register`], for schemas of any type.
    ///
    /// # Errors
    /// As [`Self::register`].
    pub async fn register_draft(
        &self,
        subject: &str,
        draft: &Draft<'_>,
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
                body: body(draft),
            })
            .await
            .map_err(|error| incompatible(subject, error))?;
        let registered = if answer.version.is_some() && answer.schema.is_some() {
            self.registered(subject, &what, answer)?
        } else {
            // Before Confluent 8.0 the answer is the id alone.
            self.look_up_draft(subject, draft, normalize)
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
        self.look_up_draft(subject, &Draft::avro(text, &[]), false)
            .await
    }

    /// As [`Self::look_up`], for schemas of any type, and with normal form.
    ///
    /// # Errors
    /// As [`Self::look_up`].
    pub async fn look_up_draft(
        &self,
        subject: &str,
        draft: &Draft<'_>,
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
                body: body(draft),
            })
            .await;
        optional(answer)?
            .map(|answer| self.registered(subject, &what, answer))
            .transpose()
    }

    /// Whether `text` could be registered under `subject`, with every reason where not. A subject
    /// that is not there takes anything.
    ///
    /// # Errors
    /// The registry can't be asked. With most registries an invalid schema is a verdict, not an
    /// error.
    pub async fn compatibility(&self, subject: &str, text: &str) -> Answer<CompatibilityAnswer> {
        self.compatibility_draft(subject, &Draft::avro(text, &[]), false)
            .await
    }

    /// As [`Self::compatibility`], for schemas of any type, and with normal form.
    ///
    /// # Errors
    /// As [`Self::compatibility`].
    pub async fn compatibility_draft(
        &self,
        subject: &str,
        draft: &Draft<'_>,
        normalize: bool,
    ) -> Answer<CompatibilityAnswer> {
        let ask = async |path| {
            let query = [("verbose", "true"), ("normalize", "true")];
            let asked = if normalize { 2 } else { 1 };
            self.send(Request {
                what: format!("compatibility with subject `{subject}`"),
                method: Method::POST,
                path,
                query: query.get(..asked).unwrap_or_default(),
                body: body(draft),
            })
            .await
        };
        let all = vec!["compatibility", "subjects", subject, "versions"];
        let mut answer = ask(all.clone()).await;
        if let Err(RegistryClientError::NotFound { code: 404, .. }) = answer {
            // Karapace, and Confluent before 6.2, compare with one version at a time.
            let mut latest = all;
            latest.push("latest");
            answer = ask(latest).await;
        }
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
