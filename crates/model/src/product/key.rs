//! The key's schema where the key is several columns: a record of them.

use serde_json::{Value, json};

/// Why no key schema can be made of a value schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeySchemaError {
    /// Not a record in JSON.
    #[error("the value's schema is no record, so it has no key columns")]
    NoRecord,
    /// No such field.
    #[error("key column `{0}` is no field of the value's schema")]
    NoField(String),
    /// A type that may be absent, or is defined elsewhere in the schema.
    #[error(
        "key column `{0}` is neither a primitive nor a logical type; write the key's schema into a file that ends in `.key.avsc`"
    )]
    Type(String),
}

/// A record `<Name>Key` of the named fields of a record schema, with their types and docs.
///
/// # Errors
/// See [`KeySchemaError`].
pub fn schema_of_columns(value_schema: &str, columns: &[String]) -> Result<String, KeySchemaError> {
    let schema: Value = serde_json::from_str(value_schema).map_err(|_| KeySchemaError::NoRecord)?;
    let fields = schema
        .get("fields")
        .and_then(Value::as_array)
        .ok_or(KeySchemaError::NoRecord)?;
    let name = schema
        .get("name")
        .and_then(Value::as_str)
        .ok_or(KeySchemaError::NoRecord)?;
    let mut key_fields = Vec::new();
    for column in columns {
        let field = fields
            .iter()
            .find(|f| f.get("name").and_then(Value::as_str) == Some(column))
            .ok_or_else(|| KeySchemaError::NoField(column.clone()))?;
        let kind = field
            .get("type")
            .filter(|t| is_simple(t))
            .ok_or_else(|| KeySchemaError::Type(column.clone()))?;
        let mut key_field = json!({"name": column, "type": kind});
        if let (Some(doc), Some(members)) = (field.get("doc"), key_field.as_object_mut()) {
            members.insert("doc".to_owned(), doc.clone());
        }
        key_fields.push(key_field);
    }
    let mut key = json!({"type": "record", "name": format!("{name}Key"), "fields": key_fields});
    if let (Some(namespace), Some(members)) = (schema.get("namespace"), key.as_object_mut()) {
        members.insert("namespace".to_owned(), namespace.clone());
    }
    Ok(key.to_string())
}

fn is_simple(kind: &Value) -> bool {
    let name = match kind {
        Value::String(name) => name.as_str(),
        Value::Object(members) => match members.get("type") {
            Some(Value::String(name)) => name.as_str(),
            _ => return false,
        },
        _ => return false,
    };
    matches!(
        name,
        "boolean" | "int" | "long" | "float" | "double" | "bytes" | "string"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_several_columns_is_a_record_of_them() {
        let value = r#"{"type":"record","name":"Row","namespace":"a.b","fields":[
            {"name":"n","type":"int","doc":"N."},
            {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
            {"name":"maybe","type":["null","int"]},
            {"name":"other","type":"a.b.Other"}]}"#;
        let columns = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let key: Value =
            serde_json::from_str(&schema_of_columns(value, &columns(&["at", "n"])).unwrap())
                .unwrap();
        assert_eq!(
            key,
            json!({"type": "record", "name": "RowKey", "namespace": "a.b", "fields": [
                {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
                {"name": "n", "type": "int", "doc": "N."}]})
        );
        for (column, error) in [
            ("maybe", KeySchemaError::Type("maybe".to_owned())),
            ("other", KeySchemaError::Type("other".to_owned())),
            ("none", KeySchemaError::NoField("none".to_owned())),
        ] {
            assert_eq!(schema_of_columns(value, &columns(&[column])), Err(error));
        }
        assert_eq!(
            schema_of_columns("{", &columns(&["n"])),
            Err(KeySchemaError::NoRecord)
        );
    }
}
