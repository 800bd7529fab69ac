//! `/openapi.json`: OpenAPI 3.1, made from the table of endpoints. Bodies and answers are
//! described in `openapi/components.json`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::answer::Json;
use super::operation::{Holds, Operation, Query, Shape};
use super::operations;
use crate::refusal::Code;

/// The type that answers have unless another one is asked for.
const TYPE: &str = "application/vnd.schemaregistry.v1+json";

const COMPONENTS: &str = include_str!("openapi/components.json");

const ABOUT: &str = "\
The REST API of the Confluent Schema Registry. Every path may stand behind `/contexts/{context}`, \
and then is about the subjects of that context. Errors are `{\"error_code\":…,\"message\":…}`; the \
first three digits of the code are the HTTP status, but for 50003 and 50004, which are 503. \
Parameters and members that are not described here are ignored. Any other path or method is 404.";

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());

pub(super) async fn answer() -> Json {
    Json(DOCUMENT.clone())
}

fn document() -> Value {
    let components: Value = serde_json::from_str(COMPONENTS).unwrap_or_default();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in operations::all() {
        paths
            .entry(operation.path)
            .or_default()
            .insert(operation.method.to_owned(), described(&operation));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Meshwork schema registry",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
        },
        "paths": paths,
        "components": { "schemas": components },
    })
}

fn described(operation: &Operation) -> Value {
    let mut members = Map::new();
    members.insert("summary".to_owned(), operation.title.into());
    if !operation.details.is_empty() {
        members.insert("description".to_owned(), operation.details.into());
    }
    let parameters: Vec<Value> = operation
        .path_parameters()
        .map(in_path)
        .chain(operation.query.iter().map(in_query))
        .collect();
    if !parameters.is_empty() {
        members.insert("parameters".to_owned(), parameters.into());
    }
    if let Some(component) = operation.body {
        members.insert(
            "requestBody".to_owned(),
            json!({ "required": true, "content": { TYPE: { "schema": reference(component) } } }),
        );
    }
    members.insert("responses".to_owned(), responses(operation));
    members.into()
}

fn reference(component: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{component}") })
}

fn in_path(name: &str) -> Value {
    let component = match name {
        "id" => "SchemaId",
        "guid" => "Guid",
        "subject" => "Subject",
        "version" => "VersionName",
        "context" => "Context",
        _ => "Name",
    };
    json!({ "name": name, "in": "path", "required": true, "schema": reference(component) })
}

fn in_query(query: &Query) -> Value {
    let schema = match query.holds {
        Holds::Flag => json!({ "type": "boolean", "default": false }),
        Holds::Number => json!({ "type": "integer" }),
        Holds::Text => json!({ "type": "string" }),
        Holds::Texts => json!({ "type": "array", "items": { "type": "string" } }),
    };
    json!({ "name": query.name, "in": "query", "description": query.about, "schema": schema })
}

fn responses(operation: &Operation) -> Value {
    let mut responses = Map::new();
    let schema = match operation.answer {
        Shape::One(component) => reference(component),
        Shape::ListOf(component) => json!({ "type": "array", "items": reference(component) }),
        Shape::Nothing => Value::Null,
    };
    if schema.is_null() {
        responses.insert("204".to_owned(), json!({ "description": "Done." }));
    } else {
        responses.insert(
            "200".to_owned(),
            json!({ "description": "The answer.", "content": { TYPE: { "schema": schema } } }),
        );
    }
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in operation.refusals {
        by_status.entry(code.status()).or_default().push(*code);
    }
    for (status, codes) in by_status {
        let words: Vec<String> = codes
            .iter()
            .map(|code| format!("{}: {}", code.number(), code.about()))
            .collect();
        responses.insert(status.to_string(), refusal(&words.join("; ")));
    }
    responses.insert(
        "default".to_owned(),
        refusal("Any other refusal: of the request's form, by the server's state, or of access."),
    );
    responses.into()
}

fn refusal(words: &str) -> Value {
    json!({ "description": words, "content": { TYPE: { "schema": reference("Error") } } })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every `$ref` below `value`.
    fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn describes_what_is_there_and_nothing_else() {
        let document = document();
        let mut used = BTreeSet::new();
        references(&document, &mut used);
        let there: BTreeSet<String> = document["components"]["schemas"]
            .as_object()
            .unwrap()
            .keys()
            .map(|name| format!("#/components/schemas/{name}"))
            .collect();
        let there: BTreeSet<&str> = there.iter().map(String::as_str).collect();
        assert_eq!(used, there);
    }

    #[test]
    fn every_endpoint_says_what_it_is_for() {
        let mut seen = BTreeSet::new();
        for operation in operations::all() {
            let Operation {
                method,
                path,
                title,
                ..
            } = operation;
            assert!(seen.insert((method, path)), "{method} {path} twice");
            assert!(title.ends_with(['.', '?']), "{method} {path}: {title}");
            let mut names = BTreeSet::new();
            for query in operation.query {
                assert!(
                    names.insert(query.name),
                    "{method} {path}: {} twice",
                    query.name
                );
            }
        }
    }
}
