//! Configuration and modes: of the whole registry, of contexts and of subjects.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::client::{Answer, RegistryClient, body, optional};
use crate::transport::Request;

impl RegistryClient {
    /// The contexts; only the default one where the registry knows none.
    ///
    /// # Errors
    /// The registry can't be asked.
    pub async fn contexts(&self) -> Answer<Vec<String>> {
        let contexts = self.get("contexts".to_owned(), vec!["contexts"], &[]).await;
        Ok(optional(contexts)?.unwrap_or_else(|| vec![".".to_owned()]))
    }

    /// The configuration of a scope itself: a subject, a context (`:.ctx:`), or without one the
    /// global; none where it has none of its own.
    ///
    /// # Errors
    /// The registry can't be asked.
    pub async fn settings(&self, scope: Option<&str>) -> Answer<Option<Map<String, Value>>> {
        let what = format!("configuration of {}", in_words(scope));
        optional(self.get(what, scoped("config", scope), &[]).await)
    }

    /// Sets the configuration of a scope, as [`Self::settings`] gives it; what is not in it stays.
    ///
    /// # Errors
    /// The registry refuses it, or can't be asked.
    pub async fn put_settings(
        &self,
        scope: Option<&str>,
        settings: &Map<String, Value>,
    ) -> Answer<()> {
        let mut settings = settings.clone();
        // What it is called in requests.
        if let Some(level) = settings.remove("compatibilityLevel") {
            settings.insert("compatibility".to_owned(), level);
        }
        let _: serde::de::IgnoredAny = self
            .send(Request {
                what: format!("configuration of {}", in_words(scope)),
                method: Method::PUT,
                path: scoped("config", scope),
                query: &[],
                body: body(&settings),
            })
            .await?;
        Ok(())
    }

    /// The mode of a scope itself; none where it has none of its own.
    ///
    /// # Errors
    /// The registry can't be asked.
    pub async fn mode(&self, scope: Option<&str>) -> Answer<Option<String>> {
        let what = format!("mode of {}", in_words(scope));
        let mode: Option<ModeAnswer> = optional(self.get(what, scoped("mode", scope), &[]).await)?;
        Ok(mode.map(|answer| answer.mode))
    }

    /// Sets the mode of a scope; with `force` also IMPORT where there are subjects already, which
    /// then stay.
    ///
    /// # Errors
    /// The registry refuses it, or can't be asked.
    pub async fn set_mode(&self, scope: Option<&str>, mode: &str, force: bool) -> Answer<()> {
        let query: &[(&str, &str)] = if force { &[("force", "true")] } else { &[] };
        let _: serde::de::IgnoredAny = self
            .send(Request {
                what: format!("mode {mode} of {}", in_words(scope)),
                method: Method::PUT,
                path: scoped("mode", scope),
                query,
                body: body(&ModeAnswer {
                    mode: mode.to_owned(),
                }),
            })
            .await?;
        Ok(())
    }

    /// Takes a scope's own mode away, so that it follows the wider scope again; none is as good.
    ///
    /// # Errors
    /// The registry refuses it, or can't be asked.
    pub async fn delete_mode(&self, scope: &str) -> Answer<()> {
        let deleted: Answer<serde::de::IgnoredAny> = self
            .send(Request {
                what: format!("deletion of the mode of {}", in_words(Some(scope))),
                method: Method::DELETE,
                path: scoped("mode", Some(scope)),
                query: &[],
                body: None,
            })
            .await;
        optional(deleted).map(|_| ())
    }

    /// What the registry says that it is, as HTTP writes dates; none where it doesn't say.
    ///
    /// # Errors
    /// The registry can't be asked.
    pub async fn date(&self) -> Answer<Option<String>> {
        self.inner.transport.date().await
    }

    /// The id of the Kafka cluster that the registry stands on; none where it doesn't say.
    ///
    /// # Errors
    /// The registry can't be asked.
    pub async fn cluster_id(&self) -> Answer<Option<String>> {
        let answer: Answer<Value> = self
            .get("its cluster".to_owned(), vec!["v1", "metadata", "id"], &[])
            .await;
        let cluster = optional(answer)?.and_then(|answer| {
            let id = answer.pointer("/scope/clusters/kafka-cluster")?.as_str()?;
            (!id.is_empty()).then(|| id.to_owned())
        });
        Ok(cluster)
    }
}

#[derive(Serialize, Deserialize)]
struct ModeAnswer {
    mode: String,
}

fn scoped<'a>(what: &'a str, scope: Option<&'a str>) -> Vec<&'a str> {
    let mut path = vec![what];
    path.extend(scope);
    path
}

fn in_words(scope: Option<&str>) -> String {
    match scope {
        None => "the whole registry".to_owned(),
        Some(scope) => format!("`{scope}`"),
    }
}
