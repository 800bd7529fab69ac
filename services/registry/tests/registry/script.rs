//! Calls and the answers that they must get, as text:
//!
//! ```text
//! # comment
//! METHOD PATH [BODY] => STATUS JSON            the whole answer, `ts` aside
//! METHOD PATH [BODY] => STATUS CODE MESSAGE    a refusal
//! METHOD PATH [BODY] ~> STATUS JSON            members of the answer, others ignored
//! ```
//!
//! The answer may stand on a line of its own. Every answer is held against `/openapi.json` too.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use tokio::sync::OnceCell;

use crate::harness::Registry;

struct Step<'a> {
    method: &'a str,
    path: &'a str,
    body: Option<Value>,
    whole: bool,
    status: u16,
    answer: Value,
}

/// Plays a script.
pub(crate) async fn play(registry: &Registry, script: &str) {
    let description = Description::of(registry).await;
    for step in steps(script) {
        let Step {
            method,
            path,
            body,
            whole,
            status,
            answer: expected,
        } = step;
        let (got, mut answer) = registry.call(method, path, body.clone()).await;
        let call = format!("{method} {path} {body:?}");
        description.check(method, path, got, &answer);
        assert_eq!(got, status, "{call}: {answer}");
        if !whole {
            assert!(
                contains(&answer, &expected),
                "{call}: {answer} has not {expected}"
            );
            continue;
        }
        // Timestamps are the log's.
        without_timestamps(&mut answer);
        assert_eq!(answer, expected, "{call}");
    }
}

fn without_timestamps(answer: &mut Value) {
    match answer {
        Value::Object(members) => {
            members.remove("ts");
        }
        Value::Array(items) => items.iter_mut().for_each(without_timestamps),
        _ => {}
    }
}

/// Whether `part`'s members are in `whole`, and its items one by one.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part.iter().all(|(name, part)| {
            whole
                .get(name)
                .map_or(part.is_null(), |whole| contains(whole, part))
        }),
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len()
                && whole
                    .iter()
                    .zip(part)
                    .all(|(whole, part)| contains(whole, part))
        }
        (whole, part) => whole == part,
    }
}

fn steps(script: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut pending = None;
    for line in script.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (call, whole, answer) = match (line.split_once("=> "), line.split_once("~> ")) {
            (Some((call, answer)), _) => (call, true, answer),
            (None, Some((call, answer))) => (call, false, answer),
            (None, None) => {
                assert!(pending.replace(line).is_none(), "no answer before: {line}");
                continue;
            }
        };
        let call = if call.is_empty() {
            pending
                .take()
                .unwrap_or_else(|| panic!("no call for: {line}"))
        } else {
            call.trim()
        };
        steps.push(step(call, whole, answer));
    }
    assert_eq!(pending, None, "a call without an answer");
    steps
}

fn step<'a>(call: &'a str, whole: bool, answer: &str) -> Step<'a> {
    let json = |text: &str| -> Value {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    };
    let (method, rest) = call.split_once(' ').unwrap();
    let (path, body) = match rest.split_once(' ') {
        Some((path, body)) => (path, Some(json(body))),
        None => (rest, None),
    };
    let (status, answer) = answer.split_once(' ').unwrap_or((answer, ""));
    let answer = match answer.split_once(' ') {
        _ if answer.is_empty() => Value::Null,
        Some((code, message)) if code.parse::<u32>().is_ok() => {
            json!({ "error_code": json(code), "message": message })
        }
        _ => json(answer),
    };
    Step {
        method,
        path,
        body,
        whole,
        status: status.parse().unwrap(),
        answer,
    }
}

/// What `/openapi.json` says of answers.
struct Description {
    /// By method, path and status.
    answers: HashMap<(String, String, String), jsonschema::Validator>,
    paths: Vec<String>,
}

impl Description {
    async fn of(registry: &Registry) -> &'static Self {
        static ONCE: OnceCell<Description> = OnceCell::const_new();
        ONCE.get_or_init(|| async { Self::read(registry.ok("GET", "/openapi.json", None).await) })
            .await
    }

    fn read(mut document: Value) -> Self {
        let components = document["components"]["schemas"].as_object_mut().unwrap();
        // Nothing but what is described may be answered.
        for component in components.values_mut() {
            if let Some(members) = component.as_object_mut()
                && members.contains_key("properties")
            {
                members.insert("additionalProperties".to_owned(), false.into());
            }
        }
        let components = document["components"].clone();
        let mut answers = HashMap::new();
        let paths = document["paths"].as_object().unwrap();
        for (path, operations) in paths {
            for (method, operation) in operations.as_object().unwrap() {
                for (status, answer) in operation["responses"].as_object().unwrap() {
                    let schema = answer["content"]
                        .as_object()
                        .and_then(|content| content.values().next())
                        .map_or(Value::Null, |content| content["schema"].clone());
                    let mut root = schema.as_object().cloned().unwrap_or_else(Map::new);
                    root.insert("components".to_owned(), components.clone());
                    let validator = jsonschema::validator_for(&root.into()).unwrap();
                    answers.insert(
                        (method.to_uppercase(), path.clone(), status.clone()),
                        validator,
                    );
                }
            }
        }
        Self {
            answers,
            paths: paths.keys().cloned().collect(),
        }
    }

    fn check(&self, method: &str, path: &str, status: u16, answer: &Value) {
        let path = path.split('?').next().unwrap();
        let Some(described) = self
            .paths
            .iter()
            .filter(|described| is_like(path, described))
            .min_by_key(|described| described.matches('{').count())
        else {
            return;
        };
        let of = |status: String| {
            self.answers
                .get(&(method.to_owned(), described.clone(), status))
        };
        let Some(validator) = of(status.to_string()).or_else(|| of("default".to_owned())) else {
            assert_eq!(status, 404, "{method} {described} is not described");
            return;
        };
        let errors: Vec<String> = validator
            .iter_errors(answer)
            .map(|error| error.to_string())
            .collect();
        assert!(
            errors.is_empty(),
            "{method} {described} {status}: {answer}: {errors:?}"
        );
    }
}

fn is_like(path: &str, described: &str) -> bool {
    let parts = |path| str::split(path, '/').filter(|part: &&str| !part.is_empty());
    parts(path).count() == parts(described).count()
        && parts(path)
            .zip(parts(described))
            .all(|(part, described)| described.starts_with('{') || part == described)
}
