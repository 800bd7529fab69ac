//! The catalog's HTTP API. Unknown parameters are errors, with the nearest known name; errors are
//! `application/problem+json`.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use meshwork_model::name::Urn;
use meshwork_model::problem::{PROBLEM_JSON, Problem, nearest};

use crate::answer::STATUS_WORDS;
use crate::handle::{Handle, LIMIT_MAX, ListRequest};
use crate::search::{Filter, QUERY_MAX_CHARS, product_version};

/// A request's parameters, in order.
type Parameters = Query<Vec<(String, String)>>;

impl Handle {
    /// The routes under `/v1/products`, `/v1/search` and `/v1/changes`.
    pub fn routes(&self) -> Router {
        Router::new()
            .route("/v1/products", get(list))
            .route("/v1/products/{name}", get(product))
            .route("/v1/products/{name}/contract", get(contract))
            .route("/v1/products/{name}/schema", get(schema))
            .route("/v1/search", get(search))
            .route("/v1/changes", get(changes))
            .with_state(self.clone())
    }
}

/// A problem on its way out.
struct Refusal(Problem);

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.0)).into_response();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        response
    }
}

async fn list(State(handle): State<Handle>, Query(given): Parameters) -> Result<Response, Refusal> {
    let mut request = ListRequest::default();
    for (name, value) in &given {
        match name.as_str() {
            "q" => request.q = Some(query(value)?),
            "limit" => request.limit = Some(limit(value)?),
            "cursor" => request.cursor = Some(value.clone()),
            _ => filter(&mut request.filter, name, value, &["q", "limit", "cursor"])?,
        }
    }
    let page = handle.list(&request)?;
    let next = page.next_cursor.as_ref().and_then(|cursor| {
        let mut link = String::from("</v1/products?");
        for (name, value) in given.iter().filter(|(name, _)| name != "cursor") {
            link.push_str(&format!("{}={}&", encode(name), encode(value)));
        }
        link.push_str(&format!("cursor={cursor}>; rel=\"next\""));
        HeaderValue::from_str(&link).ok()
    });
    let mut response = Json(page).into_response();
    if let Some(next) = next {
        response.headers_mut().insert(header::LINK, next);
    }
    Ok(response)
}

async fn product(
    State(handle): State<Handle>,
    Path(name): Path<String>,
    Query(given): Parameters,
) -> Result<Response, Refusal> {
    none_known(&given)?;
    Ok(Json(handle.get(&name)?).into_response())
}

async fn contract(
    State(handle): State<Handle>,
    Path(name): Path<String>,
    Query(given): Parameters,
) -> Result<Response, Refusal> {
    none_known(&given)?;
    let product = handle.announcement(&name)?;
    Ok(text("application/yaml", product.contract))
}

async fn schema(
    State(handle): State<Handle>,
    Path(name): Path<String>,
    Query(given): Parameters,
) -> Result<Response, Refusal> {
    let mut of_key = false;
    for (name, value) in &given {
        match (name.as_str(), value.as_str()) {
            ("part", "value") => of_key = false,
            ("part", "key") => of_key = true,
            ("part", _) => {
                return Err(Problem::bad_parameter("part", "part is `value` or `key`").into());
            }
            _ => return Err(Problem::unknown_parameter(name, &["part"]).into()),
        }
    }
    let product = handle.announcement(&name)?;
    let schema = if of_key {
        product.key_schema.ok_or_else(|| {
            Problem::new(
                404,
                "no-key-schema",
                "The product has no key schema",
                format!("keys of `{name}` are the UTF-8 of one column"),
            )
        })?
    } else {
        product.value_schema
    };
    Ok(text("application/json", schema.schema))
}

async fn search(
    State(handle): State<Handle>,
    Query(given): Parameters,
) -> Result<Response, Refusal> {
    let mut words = None;
    let mut asked = None;
    let mut narrow = Filter::default();
    for (name, value) in &given {
        match name.as_str() {
            "q" => words = Some(query(value)?),
            "limit" => asked = Some(limit(value)?),
            _ => filter(&mut narrow, name, value, &["q", "limit"])?,
        }
    }
    let Some(words) = words else {
        return Err(
            Problem::bad_parameter("q", "q is missing: give the words to search for").into(),
        );
    };
    Ok(Json(handle.search(&words, &narrow, asked)?).into_response())
}

async fn changes(
    State(handle): State<Handle>,
    Query(given): Parameters,
) -> Result<Response, Refusal> {
    let mut after = None;
    let mut urn: Option<Urn> = None;
    let mut asked = None;
    for (name, value) in &given {
        match name.as_str() {
            "limit" => asked = Some(limit(value)?),
            "after" | "cursor" => {
                after = Some(
                    value
                        .parse::<i64>()
                        .ok()
                        .filter(|n| *n >= -1)
                        .ok_or_else(|| {
                            Problem::bad_parameter(
                                name,
                                format!("{name} is the offset of a change"),
                            )
                        })?,
                );
            }
            "urn" => {
                urn = Some(product_version(value).ok_or_else(|| {
                    Problem::bad_parameter(
                        "urn",
                        format!(
                            "`{value}` is no URN: write urn:meshwork:<domain>:<product>:v<major>"
                        ),
                    )
                })?);
            }
            _ => {
                return Err(
                    Problem::unknown_parameter(name, &["urn", "after", "cursor", "limit"]).into(),
                );
            }
        }
    }
    Ok(Json(handle.changes(after, urn.as_ref(), asked)?).into_response())
}

const FILTERS: [&str; 4] = ["domain", "status", "owner", "tag"];

/// Takes a filter's parameter in; `others` are the further ones of this path.
fn filter(filter: &mut Filter, name: &str, value: &str, others: &[&str]) -> Result<(), Problem> {
    match name {
        "domain" => filter.domain = Some(value.to_owned()),
        "owner" => filter.owner = Some(value.to_owned()),
        "tag" => filter.tag = Some(value.to_owned()),
        "status" => {
            let mut wanted = std::collections::BTreeSet::new();
            for word in value.split(',') {
                if !STATUS_WORDS.contains(&word) {
                    let near = nearest(word, STATUS_WORDS)
                        .map_or_else(String::new, |near| format!(", did you mean `{near}`?"));
                    return Err(Problem::bad_parameter(
                        "status",
                        format!(
                            "`{word}` is no status{near} (known are {})",
                            STATUS_WORDS.join(", ")
                        ),
                    ));
                }
                wanted.insert(word.to_owned());
            }
            filter.status = Some(wanted);
        }
        _ => {
            let known: Vec<&str> = FILTERS.iter().chain(others).copied().collect();
            return Err(Problem::unknown_parameter(name, &known));
        }
    }
    Ok(())
}

fn none_known(given: &[(String, String)]) -> Result<(), Problem> {
    match given.first() {
        None => Ok(()),
        Some((name, _)) => Err(Problem::bad_parameter(
            name,
            format!("unknown parameter `{name}`: this path takes none"),
        )),
    }
}

fn query(value: &str) -> Result<String, Problem> {
    if value.chars().count() > QUERY_MAX_CHARS {
        return Err(Problem::bad_parameter(
            "q",
            format!("q has more than {QUERY_MAX_CHARS} characters"),
        ));
    }
    Ok(value.to_owned())
}

fn limit(value: &str) -> Result<usize, Problem> {
    value
        .parse::<usize>()
        .ok()
        .filter(|n| (1..=LIMIT_MAX).contains(n))
        .ok_or_else(|| {
            Problem::bad_parameter("limit", format!("limit is a number from 1 to {LIMIT_MAX}"))
        })
}

fn text(kind: &'static str, body: String) -> Response {
    (
        [
            (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
            // What somebody else wrote is never run as something else.
            (
                header::X_CONTENT_TYPE_OPTIONS,
                HeaderValue::from_static("nosniff"),
            ),
        ],
        body,
    )
        .into_response()
}

/// Percent-encodes all but unreserved characters (RFC 3986, 2.3).
fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
        out
    })
}
