//! The commented reference of the configuration file, made from the types: descriptions from their
//! doc comments, values from their defaults.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::Config;

/// Deepest nesting followed; the configuration has four levels.
const MAX_DEPTH: usize = 8;

/// The reference as YAML, with every key at its default.
///
/// # Errors
/// The types can't be written as JSON: a defect of the build.
pub(crate) fn reference() -> anyhow::Result<String> {
    let schema = serde_json::to_value(schemars::schema_for!(Config))?;
    let mut defaults = serde_json::to_value(Config::default())?;
    // What depends on the machine is shown by its rule.
    if let Some(dir) = defaults.get_mut("data_dir") {
        *dir = Value::String("~/.local/state/meshwork/run".to_owned());
    }
    let mut text = String::from(
        "# Reference of meshwork.yaml: every key at its default. Made by `meshwork config`; a test\n\
         # holds it against the code. Durations: 250ms, 30s, 5m, 24h, 7d.\n",
    );
    section(&schema, &schema, &defaults, 0, &mut text)?;
    Ok(text)
}

fn section(
    root: &Value,
    schema: &Value,
    value: &Value,
    depth: usize,
    text: &mut String,
) -> anyhow::Result<()> {
    let Some(properties) = resolve(root, schema)
        .get("properties")
        .and_then(Value::as_object)
    else {
        return Ok(());
    };
    let indent = "  ".repeat(depth);
    for (key, property) in ordered(properties) {
        let target = resolve(root, property);
        let described = property
            .get("description")
            .or_else(|| target.get("description"));
        text.push('\n');
        if let Some(words) = described.and_then(Value::as_str) {
            comment(&indent, words, text);
        }
        let default = value.get(key).unwrap_or(&Value::Null);
        if default.is_object() && target.get("properties").is_some() && depth < MAX_DEPTH {
            writeln!(text, "{indent}{key}:")?;
            section(root, property, default, depth + 1, text)?;
        } else if default.is_null() {
            writeln!(text, "{indent}# {key}:")?;
            absent(root, property, &indent, 1, text)?;
        } else {
            writeln!(text, "{indent}{key}: {}", scalar(default))?;
        }
    }
    Ok(())
}

/// The keys of a section that is not there by default, as comments.
fn absent(
    root: &Value,
    property: &Value,
    indent: &str,
    depth: usize,
    text: &mut String,
) -> anyhow::Result<()> {
    let sections = property.get("anyOf").and_then(Value::as_array);
    let Some(properties) = sections
        .into_iter()
        .flatten()
        .find_map(|section| resolve(root, section).get("properties")?.as_object())
        .filter(|_| depth < MAX_DEPTH)
    else {
        return Ok(());
    };
    let inner = format!("{indent}# {}", "  ".repeat(depth));
    for (key, property) in ordered(properties) {
        let words = property.get("description").and_then(Value::as_str);
        comment(&inner, words.unwrap_or_default(), text);
        match property.get("default") {
            None | Some(Value::Null) => writeln!(text, "{inner}{key}:")?,
            Some(default) => writeln!(text, "{inner}{key}: {}", scalar(default))?,
        }
        absent(root, property, indent, depth + 1, text)?;
    }
    Ok(())
}

/// Plain keys first, so that sections don't hide them.
fn ordered(properties: &Map<String, Value>) -> Vec<(&String, &Value)> {
    properties.iter().collect()
}

fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|path| path.strip_prefix('#'))
        .and_then(|pointer| root.pointer(pointer))
        .unwrap_or(schema)
}

fn comment(indent: &str, words: &str, text: &mut String) {
    const WIDTH: usize = 96;
    let mut line = String::new();
    for word in words.split_whitespace() {
        if !line.is_empty() && indent.len() + line.len() + word.len() + 3 > WIDTH {
            text.push_str(&format!("{indent}# {line}\n"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        text.push_str(&format!("{indent}# {line}\n"));
    }
}

/// JSON is YAML; strings go without quotes where they are plainly words.
fn scalar(value: &Value) -> String {
    match value {
        Value::String(s)
            if !s.is_empty()
                && s.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"~./-_".contains(&b))
                && s.parse::<f64>().is_err()
                && !matches!(s.as_str(), "true" | "false" | "null" | "yes" | "no") =>
        {
            s.clone()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMITTED: &str = include_str!("../../../../deploy/meshwork.yaml");

    #[test]
    fn the_committed_reference_is_what_the_types_say() {
        let text = reference().unwrap();
        assert_eq!(
            text, COMMITTED,
            "deploy/meshwork.yaml is old: meshwork config > deploy/meshwork.yaml"
        );
    }

    #[test]
    fn the_reference_is_itself_a_configuration() {
        let config: Config = serde_saphyr::from_str(&reference().unwrap()).unwrap();
        assert_eq!(config.http.listen, Config::default().http.listen);
    }
}
