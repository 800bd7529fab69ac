//! The standard's own JSON Schema, and its verdicts in words that point at a line.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};

use super::tree::{Node, Value};
use crate::finding::{Code, Finding, Findings, Position, nearest};

/// Most findings of one contract: a file that is something else entirely fails everywhere.
const MOST: usize = 50;

/// A version of the standard that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standard {
    /// 3.1, and 3.0, of which it is an extension.
    V3_1,
    /// 3.2.
    V3_2,
}

/// A schema, compiled, and every key it knows.
struct Rules {
    validator: Validator,
    keys: BTreeSet<String>,
}

type Loaded = Result<Rules, String>;

static V3_1: LazyLock<Loaded> = LazyLock::new(|| {
    load(include_str!(
        "../../../../schemas/odcs/odcs-3.1.0.schema.json"
    ))
});
static V3_2: LazyLock<Loaded> = LazyLock::new(|| {
    load(include_str!(
        "../../../../schemas/odcs/odcs-3.2.0.schema.json"
    ))
});

fn load(text: &str) -> Loaded {
    let schema: serde_json::Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let mut keys = BTreeSet::new();
    collect_keys(&schema, &mut keys);
    let validator = jsonschema::validator_for(&schema).map_err(|e| e.to_string())?;
    Ok(Rules { validator, keys })
}

/// Every name below any `properties`. The schemas are ours and nest 20 deep.
fn collect_keys(schema: &serde_json::Value, keys: &mut BTreeSet<String>) {
    match schema {
        serde_json::Value::Object(members) => {
            for (name, value) in members {
                if name == "properties"
                    && let serde_json::Value::Object(properties) = value
                {
                    keys.extend(properties.keys().cloned());
                }
                collect_keys(value, keys);
            }
        }
        serde_json::Value::Array(elements) => {
            for element in elements {
                collect_keys(element, keys);
            }
        }
        _ => {}
    }
}

impl Standard {
    /// Of a contract's `apiVersion`.
    #[must_use]
    pub fn of(api_version: &str) -> Option<Self> {
        match api_version {
            "v3.0.0" | "v3.0.1" | "v3.0.2" | "v3.1.0" => Some(Self::V3_1),
            "v3.2.0" => Some(Self::V3_2),
            _ => None,
        }
    }

    /// `3.1` or `3.2`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V3_1 => "3.1",
            Self::V3_2 => "3.2",
        }
    }

    fn rules(self) -> &'static Loaded {
        match self {
            Self::V3_1 => &V3_1,
            Self::V3_2 => &V3_2,
        }
    }

    /// Where `tree` breaks the standard's schema; at most 50 findings.
    #[must_use]
    pub fn check(self, file: &str, tree: &Node) -> Findings {
        let mut findings = Findings::new();
        let rules = match self.rules() {
            Ok(rules) => rules,
            Err(why) => {
                findings.push(Finding::error(
                    Code::Odcs,
                    file,
                    None,
                    format!(
                        "the schema of ODCS {} can't be compiled: {why}",
                        self.as_str()
                    ),
                ));
                return findings;
            }
        };
        let json = tree.to_json();
        let errors: Vec<ValidationError<'_>> =
            rules.validator.iter_errors(&json).take(10 * MOST).collect();
        let words = Words {
            standard: self,
            rules,
            file,
            tree,
        };
        // A key that the standard knows counts as unevaluated when something else is wrong with the
        // object that holds it: that would be noise.
        let others: Vec<String> = errors
            .iter()
            .filter(|e| !matches!(e.kind(), ValidationErrorKind::UnevaluatedProperties { .. }))
            .map(|e| e.instance_path().as_str().to_owned())
            .collect();
        for error in &errors {
            if findings.as_slice().len() >= MOST {
                break;
            }
            words.explain(error, &others, &mut findings, 0);
        }
        findings
    }
}

struct Words<'a> {
    standard: Standard,
    rules: &'static Rules,
    file: &'a str,
    tree: &'a Node,
}

impl Words<'_> {
    fn push(
        &self,
        code: Code,
        at: Position,
        message: String,
        help: Option<String>,
        out: &mut Findings,
    ) {
        let mut finding = Finding::error(code, self.file, Some(at), message);
        finding.help = help;
        out.push(finding);
    }

    fn explain(
        &self,
        error: &ValidationError<'_>,
        others: &[String],
        out: &mut Findings,
        depth: usize,
    ) {
        let path = error.instance_path().as_str();
        let node = self.tree.at_pointer(path);
        let named = match path.rsplit('/').next() {
            Some(last) if !last.is_empty() => {
                format!("`{}`", readable(path))
            }
            _ => "the contract".to_owned(),
        };
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
                let elsewhere = others
                    .iter()
                    .any(|o| o == path || o.starts_with(&format!("{path}/")));
                for key in unexpected {
                    if elsewhere && self.rules.keys.contains(key) {
                        continue;
                    }
                    self.unknown_key(node, &named, key, out);
                }
            }
            ValidationErrorKind::Required { property } => {
                let property = property.as_str().unwrap_or_default();
                self.push(
                    Code::Odcs,
                    node.at,
                    format!("{named} has no `{property}`, which ODCS requires"),
                    None,
                    out,
                );
            }
            ValidationErrorKind::Type { kind } => {
                let wanted = match kind {
                    TypeKind::Single(one) => one.to_string(),
                    TypeKind::Multiple(set) => set
                        .iter()
                        .map(|t| t.to_string())
                        .collect::<Vec<_>>()
                        .join(" or "),
                };
                let is = kind_of(&node.value);
                let help = (wanted == "string"
                    && !matches!(node.value, Value::List(_) | Value::Map(_)))
                .then(|| "put it in quotes".to_owned());
                self.push(
                    Code::Odcs,
                    node.at,
                    format!("{named} must be of type {wanted}, but is {is}"),
                    help,
                    out,
                );
            }
            ValidationErrorKind::Enum { options } => {
                let options: Vec<&str> = options
                    .as_array()
                    .map(|o| o.iter().filter_map(serde_json::Value::as_str).collect())
                    .unwrap_or_default();
                let is = node.scalar().unwrap_or_default();
                let help =
                    nearest(&is, options.iter().copied()).map(|n| format!("did you mean `{n}`?"));
                self.push(
                    Code::Odcs,
                    node.at,
                    format!("{named} is `{is}`, which is none of {}", options.join(", ")),
                    help,
                    out,
                );
            }
            ValidationErrorKind::AnyOf { context }
            | ValidationErrorKind::OneOfNotValid { context }
                if depth < 8 =>
            {
                // The branch that came furthest is the one that was meant.
                let meant = context.iter().max_by_key(|branch| {
                    let same_type = !branch.iter().any(|e| {
                        e.instance_path().as_str() == path
                            && matches!(e.kind(), ValidationErrorKind::Type { .. })
                    });
                    let deepest = branch
                        .iter()
                        .map(|e| e.instance_path().as_str().len())
                        .max();
                    (same_type, deepest, std::cmp::Reverse(branch.len()))
                });
                match meant {
                    Some(branch) if !branch.is_empty() => {
                        for inner in branch {
                            self.explain(inner, others, out, depth + 1);
                        }
                    }
                    _ => self.other(error, node, &named, out),
                }
            }
            ValidationErrorKind::Pattern { pattern } => self.push(
                Code::Odcs,
                node.at,
                format!(
                    "{named} is `{}`, which doesn't match {pattern}",
                    node.scalar().unwrap_or_default()
                ),
                None,
                out,
            ),
            _ => self.other(error, node, &named, out),
        }
    }

    fn other(&self, error: &ValidationError<'_>, node: &Node, named: &str, out: &mut Findings) {
        let message = format!("{}", error.masked_with(named.to_owned()));
        self.push(Code::Odcs, node.at, message, None, out);
    }

    fn unknown_key(&self, node: &Node, named: &str, key: &str, out: &mut Findings) {
        let at = node
            .entries()
            .iter()
            .find(|(k, _)| k.text == key)
            .map_or(node.at, |(k, _)| k.at);
        let near = nearest(key, self.rules.keys.iter().map(String::as_str)).filter(|n| *n != key);
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "what ODCS has no key for goes in `customProperties`".to_owned(),
        };
        self.push(
            Code::UnknownKey,
            at,
            format!(
                "ODCS {} has no key `{key}` in {named}",
                self.standard.as_str()
            ),
            Some(help),
            out,
        );
    }
}

/// `/schema/0/properties/2/name` as `schema[0].properties[2].name`.
fn readable(pointer: &str) -> String {
    let mut out = String::new();
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        if step.bytes().all(|b| b.is_ascii_digit()) && !step.is_empty() {
            out.push('[');
            out.push_str(&step);
            out.push(']');
        } else {
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(&step);
        }
    }
    out
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::Text(_) => "a string",
        Value::List(_) => "a list",
        Value::Map(_) => "a mapping",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_schemas_compile() {
        for standard in [Standard::V3_1, Standard::V3_2] {
            assert!(standard.rules().is_ok());
        }
    }
}
