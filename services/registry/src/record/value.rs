//! Values of `_schemas`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::contract::{Metadata, RuleSet, null_is_default};
use super::settings::Mode;

/// A reference to a type that another subject's version defines.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reference {
    /// Full name of the type.
    #[serde(default)]
    pub name: String,
    /// Subject.
    #[serde(default)]
    pub subject: String,
    /// Version; −1 in a request: the latest.
    #[serde(default)]
    pub version: i32,
}

/// Value of a SCHEMA record, in the order in which it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SchemaValue {
    /// Subject.
    #[serde(default, deserialize_with = "null_is_default")]
    pub subject: String,
    /// Version.
    #[serde(default)]
    pub version: i32,
    /// Schema id.
    pub id: i64,
    /// Base64 of the GUID's bytes; only in logs of registries that encrypt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
    /// `AVRO`, `JSON`, `PROTOBUF`; old logs leave `AVRO` out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_type: Option<String>,
    /// What it refers to.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub references: Vec<Reference>,
    /// Metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_set: Option<RuleSet>,
    /// The text.
    pub schema: String,
    /// Whether the version is soft-deleted.
    #[serde(default, deserialize_with = "null_is_default")]
    pub deleted: bool,
    /// Seen in some logs; kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    /// Seen in some logs; kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ts: Option<i64>,
}

/// Value of DELETE_SUBJECT and CLEAR_SUBJECT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectValue {
    /// Subject.
    #[serde(default, deserialize_with = "null_is_default")]
    pub subject: String,
    /// DELETE_SUBJECT: the last version that is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
}

/// Value of MODE.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ModeValue {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subject: Option<String>,
    pub(crate) mode: Mode,
}

/// Value of CONTEXT.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContextValue {
    pub(crate) tenant: String,
    pub(crate) context: String,
}

/// Value of our own NOOP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct OwnValue {
    /// The greatest id ever given, by context. No id up to it is given again.
    #[serde(deserialize_with = "null_is_default")]
    pub(crate) greatest_ids: BTreeMap<String, i32>,
    /// Where the writer answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    /// The writer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) instance: Option<String>,
    /// Up to which offset the writer knows of the ids of aborted records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scanned_to: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::super::text::to_json;
    use super::super::{Settings, contract::Rule};
    use super::*;

    /// Reads `text` as `T` and writes it again.
    fn round_trip<T: Serialize + serde::de::DeserializeOwned>(text: &str) {
        let value: T = serde_json::from_str(text).unwrap();
        assert_eq!(String::from_utf8(to_json(&value)).unwrap(), text);
    }

    /// Frozen: what Confluent writes. Never to be changed.
    #[test]
    fn values_are_confluents_byte_for_byte() {
        round_trip::<SchemaValue>(
            r#"{"subject":"t-value","version":1,"id":1,"schemaType":"AVRO","schema":"\"string\"","deleted":false}"#,
        );
        round_trip::<SchemaValue>(
            r#"{"subject":"t","version":2,"id":3,"schema":"\"string\"","deleted":true}"#,
        );
        round_trip::<SchemaValue>(concat!(
            r#"{"subject":":.ctx:t","version":2,"id":7,"md5":"BFtqQOqGnT2XW2F2Ko02Rg==","schemaType":"AVRO","#,
            r#""references":[{"name":"com.acme.B","subject":"b-value","version":3}],"#,
            r#""metadata":{"tags":{"**.ssn":["PII","PRIVATE"]},"properties":{"email":"b@x","owner":"Böb"},"sensitive":["s1","s2"]},"#,
            r#""ruleSet":{"domainRules":[{"name":"checkLen","doc":"d","kind":"CONDITION","mode":"WRITE","type":"CEL","tags":["A","PII"],"params":{"k1":"v1"},"expr":"size(message)<10","onSuccess":"NONE","onFailure":"ERROR","disabled":true}]},"#,
            r#""schema":"{\"type\":\"record\",\"name\":\"é\",\"fields\":[]}","deleted":false,"offset":9,"ts":1385409600000}"#,
        ));
        round_trip::<Settings>(r#"{"compatibilityLevel":"FULL"}"#);
        round_trip::<Settings>(r#"{"subject":"t","compatibilityLevel":"FULL"}"#);
        round_trip::<Settings>(concat!(
            r#"{"subject":"t","alias":"u","aliasForDeks":"v","normalize":true,"validateFields":false,"validateNewSchemas":false,"validateRules":true,"#,
            r#""compatibilityLevel":"NONE","compatibilityPolicy":"LENIENT","compatibilityGroup":"g","#,
            r#""defaultMetadata":{},"overrideMetadata":{"properties":{"a":"b"}},"defaultRuleSet":{},"overrideRuleSet":{"enableAt":"2030"}}"#,
        ));
        round_trip::<ModeValue>(r#"{"subject":"t","mode":"READONLY"}"#);
        round_trip::<ModeValue>(r#"{"mode":"READWRITE"}"#);
        round_trip::<SubjectValue>(r#"{"subject":"t","version":3}"#);
        round_trip::<SubjectValue>(r#"{"subject":"t"}"#);
        round_trip::<ContextValue>(r#"{"tenant":"default","context":".ctx"}"#);
        round_trip::<OwnValue>(r#"{"greatestIds":{".":7,".ctx":2}}"#);
        round_trip::<OwnValue>(
            r#"{"greatestIds":{".":7},"url":"https://registry-1:8081","instance":"registry-1"}"#,
        );
    }

    #[test]
    fn nulls_of_java_are_what_is_not_there() {
        let value: SchemaValue = serde_json::from_str(
            r#"{"subject":null,"id":1,"schema":"x","references":null,"metadata":null,"ruleSet":null,"deleted":null,"schemaType":null,"new":1}"#,
        )
        .unwrap();
        assert!(value.references.is_empty() && value.metadata.is_none() && !value.deleted);
        let rule: Rule = serde_json::from_str(r#"{"name":"r","tags":null,"params":null}"#).unwrap();
        assert!(rule.tags.is_empty() && rule.params.is_empty());
    }
}
