//! Lineage's HTTP API: `GET /v1/lineage?name=…&direction=up|down&depth=…&limit=…`.

use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use meshwork_model::problem::{PROBLEM_JSON, Problem};

use crate::answer::LineageAnswer;
use crate::handle::{DEPTH_DEFAULT, DEPTH_MAX, Handle, LIMIT_DEFAULT, LIMIT_MAX};
use crate::walk::Direction;

const PARAMETERS: [&str; 4] = ["name", "direction", "depth", "limit"];

impl Handle {
    /// The route `/v1/lineage`.
    pub fn routes(&self) -> Router {
        Router::new()
            .route("/v1/lineage", get(lineage))
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

async fn lineage(
    State(handle): State<Handle>,
    Query(given): Query<Vec<(String, String)>>,
) -> Result<Json<LineageAnswer>, Refusal> {
    let mut name = None;
    let mut direction = Direction::Down;
    let mut depth = DEPTH_DEFAULT;
    let mut limit = LIMIT_DEFAULT;
    for (parameter, value) in &given {
        match parameter.as_str() {
            "name" => name = Some(value.as_str()),
            "direction" => {
                direction = match value.as_str() {
                    "up" => Direction::Up,
                    "down" => Direction::Down,
                    _ => {
                        return Err(Problem::bad_parameter(
                            "direction",
                            format!("`{value}` is no direction: write up or down"),
                        )
                        .into());
                    }
                }
            }
            "depth" => {
                depth = value.parse().map_err(|_| {
                    Problem::bad_parameter(
                        "depth",
                        format!("depth is a number of product steps from 1 to {DEPTH_MAX}"),
                    )
                })?;
            }
            "limit" => {
                limit = value.parse().map_err(|_| {
                    Problem::bad_parameter(
                        "limit",
                        format!("limit is a number of edges from 1 to {LIMIT_MAX}"),
                    )
                })?;
            }
            _ => return Err(Problem::unknown_parameter(parameter, &PARAMETERS).into()),
        }
    }
    let Some(name) = name else {
        return Err(Problem::bad_parameter(
            "name",
            "name is missing: give a product, a topic, group:<id> or producer:<name>",
        )
        .into());
    };
    Ok(Json(handle.lineage(name, direction, depth, limit)?))
}
