//! Everything that a registry keeps, read and written whole: what commands list and show, and what
//! goes from one registry to another. Nothing of this is cached.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::answers::Reference;
use crate::client::{Answer, RegistryClient, body, optional};
use crate::error::RegistryClientError;
use crate::transport::Request;

/// The type of a schema that says none.
pub const AVRO: &str = "AVRO";

/// A version of a subject, with all that makes it up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredVersion {
    /// Subject, with its context where that is not the default one: `:.ctx:name`.
    pub subject: String,
    /// Version within the subject, from 1.
    pub version: i32,
    /// The schema's id within the context.
    pub id: i32,
    /// Its GUID; none from registries older than Confluent 8.0.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub guid: Option<String>,
    /// `AVRO`, `JSON` or `PROTOBUF`; none stands for `AVRO`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub schema_type: Option<String>,
    /// The schemas it refers to.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        default,
        deserialize_with = "crate::answers::null_is_empty"
    )]
    pub references: Vec<Reference>,
    /// Metadata of a data contract, as it came.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub metadata: Option<Value>,
    /// Rules of a data contract, as they came.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rule_set: Option<Value>,
    /// Its text.
    pub schema: String,
    /// Whether it is soft-deleted; registries older than Confluent 8.0 don't say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub deleted: Option<bool>,
}

impl StoredVersion {
    /// The schema's type, `AVRO` where none is said.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.schema_type.as_deref().unwrap_or(AVRO)
    }

    /// Whether both have the same content: type, text, references, metadata and rules. Without
    /// any of the latter and empty are the same.
    #[must_use]
    pub fn same_content(&self, other: &Self) -> bool {
        self.kind() == other.kind()
            && self.schema == other.schema
            && self.references == other.references
            && present(self.metadata.as_ref()) == present(other.metadata.as_ref())
            && present(self.rule_set.as_ref()) == present(other.rule_set.as_ref())
    }
}

/// A value without what stands for nothing: nulls, and the lists and objects that hold nothing
/// else. Registries differ in whether they write those.
fn present(value: Option<&Value>) -> Option<Value> {
    match value? {
        Value::Null => None,
        Value::Array(items) if items.is_empty() => None,
        Value::Object(members) => {
            let members: Map<String, Value> = members
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), present(Some(value))?)))
                .collect();
            (!members.is_empty()).then_some(Value::Object(members))
        }
        other => Some(other.clone()),
    }
}

/// What to list of subjects and versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Only subjects that begin so: `:*:` is all contexts, `:.ctx:` one, empty what the registry
    /// lists unasked.
    pub prefix: &'a str,
    /// Soft-deleted ones too.
    pub deleted: bool,
}

impl<'a> Wanted<'a> {
    fn query(self) -> Vec<(&'static str, &'a str)> {
        let mut query = Vec::new();
        if !self.prefix.is_empty() {
            query.push(("subjectPrefix", self.prefix));
        }
        if self.deleted {
            query.push(("deleted", "true"));
        }
        query
    }
}

/// How a schema is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Soft-deleted ones too.
    pub deleted: bool,
    /// Types of references written out.
    pub resolved: bool,
}

impl Shown {
    fn query(self) -> Vec<(&'static str, &'static str)> {
        let mut query = Vec::new();
        if self.deleted {
            query.push(("deleted", "true"));
        }
        if self.resolved {
            query.push(("format", "resolved"));
        }
        query
    }
}

impl RegistryClient {
    /// Subjects from `offset` on, at most `limit`, in the registry's order. Registries that don't
    /// page answer with all of them, whatever is asked; then there are more than `limit`.
    ///
    /// # Errors
    /// The registry can't be asked.
    pub async fn subject_page(
        &self,
        wanted: Wanted<'_>,
        offset: usize,
        limit: usize,
    ) -> Answer<Vec<String>> {
        let (offset, limit) = (offset.to_string(), limit.to_string());
        let mut query = vec![("offset", offset.as_str()), ("limit", limit.as_str())];
        query.extend(wanted.query());
        self.get("subjects".to_owned(), vec!["subjects"], &query)
            .await
    }

    /// Versions with their texts from `offset` on, at most `limit`; of each subject only the
    /// latest where `latest_only`. None where the registry has no such listing.
    ///
    /// # Errors
    /// The registry can't be asked; [`RegistryClientError::TooLong`] where the texts are many.
    pub async fn version_page(
        &self,
        wanted: Wanted<'_>,
        latest_only: bool,
        offset: usize,
        limit: usize,
    ) -> Answer<Option<Vec<StoredVersion>>> {
        let (offset, limit) = (offset.to_string(), limit.to_string());
        let mut query = vec![("offset", offset.as_str()), ("limit", limit.as_str())];
        query.extend(wanted.query());
        if latest_only {
            query.push(("latestOnly", "true"));
        }
        optional(
            self.get("schemas".to_owned(), vec!["schemas"], &query)
                .await,
        )
    }

    /// The numbers of a subject's versions, ascending; none where the subject is not there.
    ///
    /// # Errors
    /// The registry can't be asked.
    pub async fn version_numbers(&self, subject: &str, deleted: bool) -> Answer<Option<Vec<i32>>> {
        let what = format!("versions of subject `{subject}`");
        let path = vec!["subjects", subject, "versions"];
        let query = Shown {
            deleted,
            resolved: false,
        }
        .query();
        let numbers: Option<Vec<i32>> = optional(self.get(what, path, &query).await)?;
        Ok(numbers.map(|mut numbers| {
            numbers.sort_unstable();
            numbers
        }))
    }

    /// Version `version` of a subject, a number or `latest`, as the registry answers it; none where
    /// it is not there.
    ///
    /// # Errors
    /// The registry can't be asked.
    pub async fn version_answer(
        &self,
        subject: &str,
        version: &str,
        shown: Shown,
    ) -> Answer<Option<Value>> {
        let what = format!("version {version} of subject `{subject}`");
        let path = vec!["subjects", subject, "versions", version];
        optional(self.get(what, path, &shown.query()).await)
    }

    /// As [`Self::version_answer`], as a value.
    ///
    /// # Errors
    /// The registry can't be asked, or answers with something else.
    pub async fn stored_version(
        &self,
        subject: &str,
        version: &str,
        shown: Shown,
    ) -> Answer<Option<StoredVersion>> {
        let answer = self.version_answer(subject, version, shown).await?;
        answer
            .map(|answer| {
                serde_json::from_value(answer).map_err(|e| RegistryClientError::BadAnswer {
                    url: self.urls(),
                    what: format!("version {version} of subject `{subject}`"),
                    detail: e.to_string(),
                })
            })
            .transpose()
    }

    /// The schema with this id, as the registry answers it; none where it is not there. An id means
    /// what `subject`'s context says, and the default one's without it.
    ///
    /// # Errors
    /// The registry can't be asked.
    pub async fn id_answer(
        &self,
        id: i32,
        subject: Option<&str>,
        resolved: bool,
    ) -> Answer<Option<Value>> {
        let id_text = id.to_string();
        let mut query = Shown {
            deleted: false,
            resolved,
        }
        .query();
        query.extend(subject.map(|subject| ("subject", subject)));
        let path = vec!["schemas", "ids", &id_text];
        optional(self.get(format!("schema {id}"), path, &query).await)
    }

    /// The live versions that hold an id: subject and version; empty where none does.
    ///
    /// # Errors
    /// The registry can't be asked.
    pub async fn places_of_id(&self, id: i32, subject: Option<&str>) -> Answer<Vec<(String, i32)>> {
        #[derive(Deserialize)]
        struct Place {
            subject: String,
            version: i32,
        }
        let id_text = id.to_string();
        let query: Vec<(&str, &str)> = subject.map(|s| ("subject", s)).into_iter().collect();
        let path = vec!["schemas", "ids", &id_text, "versions"];
        let places: Option<Vec<Place>> = optional(
            self.get(format!("versions of schema {id}"), path, &query)
                .await,
        )?;
        let places = places.unwrap_or_default();
        Ok(places.into_iter().map(|p| (p.subject, p.version)).collect())
    }

    /// The schema with this GUID, as the registry answers it; none where it is not there.
    ///
    /// # Errors
    /// The registry can't be asked.
    pub async fn guid_answer(&self, guid: &str, resolved: bool) -> Answer<Option<Value>> {
        let query = Shown {
            deleted: false,
            resolved,
        }
        .query();
        let path = vec!["schemas", "guids", guid];
        optional(self.get(format!("schema {guid}"), path, &query).await)
    }

    /// Registers a version as it stands, number and id included, where the registry is in IMPORT
    /// mode. Gives the id that it answers.
    ///
    /// # Errors
    /// [`RegistryClientError::Refused`], 42205 where it is in another mode or the id is taken.
    pub async fn import_version(&self, version: &StoredVersion) -> Answer<i32> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Body<'a> {
            schema: &'a str,
            // Registries before Confluent 5.5 know Avro only, and refuse the word for it.
            #[serde(skip_serializing_if = "Option::is_none")]
            schema_type: Option<&'a str>,
            #[serde(skip_serializing_if = "<[Reference]>::is_empty")]
            references: &'a [Reference],
            #[serde(skip_serializing_if = "Option::is_none")]
            metadata: Option<&'a Value>,
            #[serde(skip_serializing_if = "Option::is_none")]
            rule_set: Option<&'a Value>,
            version: i32,
            id: i32,
        }
        #[derive(Deserialize)]
        struct Registered {
            id: i32,
        }
        let registered: Registered = self
            .send(Request {
                what: format!(
                    "version {} of subject `{}` with id {}",
                    version.version, version.subject, version.id
                ),
                method: Method::POST,
                path: vec!["subjects", &version.subject, "versions"],
                query: &[],
                body: body(&Body {
                    schema: &version.schema,
                    schema_type: Some(version.kind()).filter(|kind| *kind != AVRO),
                    references: &version.references,
                    metadata: version.metadata.as_ref(),
                    rule_set: version.rule_set.as_ref(),
                    version: version.version,
                    id: version.id,
                }),
            })
            .await?;
        Ok(registered.id)
    }

    /// Soft-deletes a version; one that is not there, or is deleted already, is as good.
    ///
    /// # Errors
    /// The registry refuses it, or can't be asked.
    pub async fn delete_version(&self, subject: &str, version: i32) -> Answer<()> {
        let number = version.to_string();
        let deleted: Answer<serde::de::IgnoredAny> = self
            .send(Request {
                what: format!("deletion of version {version} of subject `{subject}`"),
                method: Method::DELETE,
                path: vec!["subjects", subject, "versions", &number],
                query: &[],
                body: None,
            })
            .await;
        optional(deleted).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn content_is_the_same_with_and_without_what_stands_for_nothing() {
        let with = |metadata: Value| StoredVersion {
            metadata: Some(metadata),
            ..StoredVersion::default()
        };
        let none = StoredVersion::default();
        for empty in [
            json!({}),
            json!({"tags": null, "properties": {}, "sensitive": []}),
        ] {
            assert!(none.same_content(&with(empty)));
        }
        let owner = with(json!({"properties": {"owner": "a"}}));
        assert!(!none.same_content(&owner));
        assert!(owner.same_content(&with(json!({"tags": {}, "properties": {"owner": "a"}}))));
        let avro = StoredVersion {
            schema_type: Some("AVRO".to_owned()),
            ..StoredVersion::default()
        };
        assert!(none.same_content(&avro));
    }

    #[test]
    fn an_old_registrys_version_is_read() {
        let version: StoredVersion = serde_json::from_str(
            r#"{"subject":"s","version":1,"id":7,"schema":"\"int\"","references":null,"new":1}"#,
        )
        .unwrap();
        assert_eq!((version.id, version.kind()), (7, "AVRO"));
    }
}
