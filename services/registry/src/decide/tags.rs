//! Inline tags: `confluent:tags` on records and fields of an Avro schema.

use std::collections::BTreeSet;

use meshwork_avro::{Json, Kind, NodeId, Schema};
use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;

/// Attribute of a record or a field that holds its tags.
const TAGS: &str = "confluent:tags";

/// Tags of one record or field, as requests and answers name them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SchemaTags {
    /// Where.
    pub schema_entity: Entity,
    /// The tags.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// A record or a field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entity {
    /// Full name of the record; for a field, a dot and its name after it.
    pub entity_path: String,
    /// Which of the two.
    pub entity_type: EntityType,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntityType {
    /// A record.
    #[serde(rename = "sr_record")]
    Record,
    /// A field of a record.
    #[serde(rename = "sr_field")]
    Field,
}

fn tags_of(props: &[(String, Json)]) -> Vec<String> {
    props
        .iter()
        .find(|(name, _)| name == TAGS)
        .and_then(|(_, tags)| tags.as_array())
        .into_iter()
        .flatten()
        .map(|tag| match tag {
            Json::String(text) => text.clone(),
            other => other.to_text(),
        })
        .collect()
}

/// Where tags stand that are among `wanted`, or any where that has a `*`; in the order of the
/// schema, referenced types included.
pub(crate) fn find(schema: &Schema, wanted: &[&str]) -> Vec<SchemaTags> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut ahead = vec![schema.root()];
    let mut note = |path: String, entity_type, tags: Vec<String>| {
        let hit = |tag: &String| wanted.contains(&"*") || wanted.contains(&tag.as_str());
        if tags.iter().any(hit) {
            found.push(SchemaTags {
                schema_entity: Entity {
                    entity_path: path,
                    entity_type,
                },
                tags,
            });
        }
    };
    while let Some(id) = ahead.pop() {
        let node = schema.node(id);
        let mut next: Vec<NodeId> = match &node.kind {
            Kind::Array(items) => vec![*items],
            Kind::Map(values) => vec![*values],
            Kind::Union(branches) => branches.clone(),
            Kind::Record(record) if seen.insert(id) => {
                let name = record.name.full();
                note(name.to_owned(), EntityType::Record, tags_of(&node.props));
                for field in &record.fields {
                    let path = format!("{name}.{}", field.name);
                    note(path, EntityType::Field, tags_of(&field.props));
                }
                record.fields.iter().map(|field| field.node).collect()
            }
            _ => Vec::new(),
        };
        // The last one in is the first one out.
        next.reverse();
        ahead.append(&mut next);
    }
    found
}

/// The text with tags added and then removed.
///
/// # Errors
/// 42201: the text is not JSON, or a path leads nowhere.
pub(super) fn changed(
    text: &str,
    add: &[SchemaTags],
    remove: &[SchemaTags],
) -> Result<String, Refusal> {
    let mut json = Json::parse(text).map_err(Refusal::invalid_schema)?;
    for (change, keeps) in add
        .iter()
        .map(|tags| (tags, true))
        .chain(remove.iter().map(|tags| (tags, false)))
    {
        let members = entity(&mut json, &change.schema_entity).ok_or_else(|| {
            Refusal::invalid_schema(format_args!(
                "No matching path '{}' found in the schema",
                change.schema_entity.entity_path
            ))
        })?;
        let mut tags = tags_of(members);
        for tag in &change.tags {
            tags.retain(|other| keeps || other != tag);
            if keeps && !tags.contains(tag) {
                tags.push(tag.clone());
            }
        }
        put(members, tags);
    }
    Ok(json.to_text())
}

fn put(members: &mut Vec<(String, Json)>, tags: Vec<String>) {
    if tags.is_empty() {
        members.retain(|(name, _)| name != TAGS);
        return;
    }
    let tags = Json::Array(tags.into_iter().map(Json::String).collect());
    match members.iter_mut().find(|(name, _)| name == TAGS) {
        Some((_, former)) => *former = tags,
        None => members.push((TAGS.to_owned(), tags)),
    }
}

/// The members of the record or field that a path leads to.
fn entity<'a>(json: &'a mut Json, entity: &Entity) -> Option<&'a mut Vec<(String, Json)>> {
    let path = entity.entity_path.trim_start_matches('.');
    let (record, field) = match entity.entity_type {
        EntityType::Record => (path, None),
        EntityType::Field => {
            let (record, field) = path.rsplit_once('.')?;
            (record, Some(field))
        }
    };
    let members = find_record(json, None, record)?;
    let Some(wanted) = field else {
        return Some(members);
    };
    let (_, fields) = members.iter_mut().find(|(name, _)| name == "fields")?;
    let Json::Array(fields) = fields else {
        return None;
    };
    fields.iter_mut().find_map(|field| match field {
        Json::Object(members) if text(members, "name") == Some(wanted) => Some(members),
        _ => None,
    })
}

fn text<'a>(members: &'a [(String, Json)], wanted: &str) -> Option<&'a str> {
    members
        .iter()
        .find_map(|(name, value)| (name == wanted).then(|| value.as_str())?)
}

/// The first record of a name, with or without its namespace. As deep as the text is, which the
/// parser bounds.
fn find_record<'a>(
    json: &'a mut Json,
    namespace: Option<&str>,
    wanted: &str,
) -> Option<&'a mut Vec<(String, Json)>> {
    match json {
        Json::Array(branches) => branches
            .iter_mut()
            .find_map(|branch| find_record(branch, namespace, wanted)),
        Json::Object(members) => {
            let own = text(members, "namespace").map(str::to_owned);
            let namespace = own.as_deref().or(namespace);
            let is_record = matches!(text(members, "type"), Some("record" | "error"));
            if is_record
                && text(members, "name").is_some_and(|name| is_named(name, namespace, wanted))
            {
                return Some(members);
            }
            members
                .iter_mut()
                .filter(|(name, _)| matches!(name.as_str(), "type" | "items" | "values" | "fields"))
                .find_map(|(_, value)| find_record(value, namespace, wanted))
        }
        _ => None,
    }
}

fn is_named(name: &str, namespace: Option<&str>, wanted: &str) -> bool {
    name == wanted
        || namespace.is_some_and(|namespace| {
            wanted
                .strip_prefix(namespace)
                .and_then(|rest| rest.strip_prefix('.'))
                == Some(name)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"type":"record","name":"R","namespace":"n","confluent:tags":["T"],"fields":[{"name":"a","type":"int","confluent:tags":["PII","X"]},{"name":"b","type":["null",{"type":"record","name":"S","namespace":"m","fields":[{"name":"c","type":"int"},{"name":"r","type":["null","n.R"]}]}]}]}"#;

    fn tags(path: &str, entity_type: EntityType, tags: &[&str]) -> SchemaTags {
        SchemaTags {
            schema_entity: Entity {
                entity_path: path.to_owned(),
                entity_type,
            },
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        }
    }

    fn all(text: &str) -> Vec<SchemaTags> {
        find(&Schema::parse(text).unwrap(), &["*"])
    }

    #[test]
    fn tags_are_found_where_they_stand() {
        let schema = Schema::parse(TEXT).unwrap();
        let record = tags("n.R", EntityType::Record, &["T"]);
        let field = tags("n.R.a", EntityType::Field, &["PII", "X"]);
        assert_eq!(find(&schema, &["*"]), [record.clone(), field.clone()]);
        assert_eq!(find(&schema, &["X", "Y"]), [field]);
        assert_eq!(find(&schema, &["T"]), [record]);
        assert_eq!(find(&schema, &["Y"]), []);
    }

    #[test]
    fn tags_are_added_and_removed_by_path() {
        let changed = changed(
            TEXT,
            &[
                tags("m.S.c", EntityType::Field, &["NEW", "NEW"]),
                tags(".n.R", EntityType::Record, &["U"]),
                tags("S", EntityType::Record, &["V"]),
            ],
            &[
                tags("n.R", EntityType::Record, &["T", "absent"]),
                tags("n.R.a", EntityType::Field, &["PII", "X"]),
            ],
        )
        .unwrap();
        assert_eq!(
            all(&changed),
            [
                tags("n.R", EntityType::Record, &["U"]),
                tags("m.S", EntityType::Record, &["V"]),
                tags("m.S.c", EntityType::Field, &["NEW"]),
            ]
        );
    }

    #[test]
    fn a_path_that_leads_nowhere_is_refused() {
        for (path, entity_type) in [
            ("n.X", EntityType::Record),
            ("x.R", EntityType::Record),
            ("n.R.z", EntityType::Field),
            ("a", EntityType::Field),
        ] {
            let refusal = changed(TEXT, &[tags(path, entity_type, &["A"])], &[]).unwrap_err();
            assert_eq!(
                refusal.message,
                format!("Invalid schema: No matching path '{path}' found in the schema")
            );
        }
    }
}
