//! The HTTP API of the freshness role.

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use meshwork_model::mesh::SloStatus;
use meshwork_model::mesh::alert::AlertState;
use meshwork_model::mesh::slice::SliceState;
use meshwork_model::problem::{PROBLEM_JSON, Problem};
use meshwork_model::time::{MINUTE_MS, Timestamp, rfc3339};
use serde::{Deserialize, Serialize};

use crate::core::Totals;
use crate::handle::Handle;
use crate::shared::Standing;

/// An SLO as `GET /v1/slos` shows it. Times are RFC 3339, durations milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SloView {
    /// SLO key.
    pub slo: String,
    /// The product version that promises it.
    pub urn: String,
    /// Owning domain.
    pub domain: String,
    /// Who answers for it.
    pub owner: String,
    /// End of the last closed minute.
    #[serde(with = "rfc3339")]
    pub as_of: Timestamp,
    /// What that minute was.
    pub state: SliceState,
    /// Freshness lag, or the worst delay in that minute.
    pub lag_ms: Option<i64>,
    /// The limit.
    pub within_ms: i64,
    /// Objective in millionths.
    pub objective: i32,
    /// Period of the objective.
    pub window_ms: i64,
    /// Slices in the period that ends at `as_of`.
    pub good: i64,
    /// Likewise.
    pub bad: i64,
    /// Likewise.
    pub expected_quiet: i64,
    /// Likewise.
    pub unmeasurable: i64,
    /// Slices that the schedule makes due in the period.
    pub due: i64,
    /// Bad slices that the objective allows in the period, in millionths of a slice.
    pub budget_millionths: i64,
    /// What is left of it; below 0 when overspent.
    pub budget_left_millionths: i64,
    /// Whether it alerts.
    pub alert: AlertState,
    /// Rule that fired first, while firing or frozen.
    pub rule: Option<String>,
    /// All slices since the announcement; `mesh.slo.status` alone does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totals: Option<Totals>,
}

impl From<Standing> for SloView {
    fn from(s: Standing) -> Self {
        Self {
            totals: Some(s.totals),
            ..s.status.into()
        }
    }
}

impl From<SloStatus> for SloView {
    fn from(status: SloStatus) -> Self {
        Self {
            slo: status.slo,
            urn: status.urn.to_string(),
            domain: status.domain,
            owner: status.owner,
            as_of: status.as_of,
            state: status.state,
            lag_ms: status.lag_ms,
            within_ms: status.within_ms,
            objective: status.objective,
            window_ms: status.window_ms,
            good: status.good,
            bad: status.bad,
            expected_quiet: status.expected_quiet,
            unmeasurable: status.unmeasurable,
            due: status.due,
            budget_millionths: status.budget_millionths,
            budget_left_millionths: status.budget_left_millionths,
            alert: status.alert,
            rule: status.rule,
            totals: None,
        }
    }
}

/// A run of equal slices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceView {
    /// Start of the first minute.
    #[serde(with = "rfc3339")]
    pub from: Timestamp,
    /// End of the last minute.
    #[serde(with = "rfc3339")]
    pub until: Timestamp,
    /// How many.
    pub minutes: i32,
    /// What all of them are.
    pub state: SliceState,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Period {
    from: Option<String>,
    to: Option<String>,
}

pub(crate) fn routes(handle: Handle) -> Router {
    Router::new()
        .route("/v1/slos", get(all))
        .route("/v1/slos/{urn}/{id}", get(one))
        .route("/v1/slos/{urn}/{id}/slices", get(slices))
        .with_state(handle)
}

async fn all(State(handle): State<Handle>) -> Json<Vec<SloView>> {
    Json(handle.standings().into_iter().map(SloView::from).collect())
}

async fn one(State(handle): State<Handle>, Path((urn, id)): Path<(String, String)>) -> Response {
    match handle.standing(&format!("{urn}#{id}")) {
        Some(standing) => Json(SloView::from(standing)).into_response(),
        None => problem(&unknown(&urn, &id)),
    }
}

async fn slices(
    State(handle): State<Handle>,
    Path((urn, id)): Path<(String, String)>,
    period: Result<Query<Period>, axum::extract::rejection::QueryRejection>,
) -> Response {
    let slo = format!("{urn}#{id}");
    let Some(standing) = handle.standing(&slo) else {
        return problem(&unknown(&urn, &id));
    };
    let Query(period) = match period {
        Ok(period) => period,
        Err(e) => return problem(&Problem::bad_parameter("from, to", e.body_text())),
    };
    let end = Timestamp::from_millis(standing.next.saturating_mul(MINUTE_MS));
    let bounds = moment("to", period.to, end).and_then(|to| {
        let day_before = to.plus_millis(-1440 * MINUTE_MS);
        Ok((moment("from", period.from, day_before)?, to))
    });
    let (from, to) = match bounds {
        Ok(bounds) => bounds,
        Err(p) => return problem(&p),
    };
    let found = tokio::task::spawn_blocking(move || handle.slices(&slo, from, to)).await;
    match found {
        Ok(Ok(found)) => {
            let runs = found.unwrap_or_default().into_iter().map(|s| SliceView {
                from: s.from,
                until: s
                    .from
                    .plus_millis(i64::from(s.minutes).saturating_mul(MINUTE_MS)),
                minutes: s.minutes,
                state: s.state,
            });
            Json(runs.collect::<Vec<_>>()).into_response()
        }
        Ok(Err(e)) => problem(&store_failed(&e.to_string())),
        Err(e) => problem(&store_failed(&e.to_string())),
    }
}

fn moment(
    parameter: &str,
    text: Option<String>,
    default: Timestamp,
) -> Result<Timestamp, Box<Problem>> {
    let Some(text) = text else {
        return Ok(default);
    };
    text.parse::<Timestamp>().map_err(|e| {
        let detail = format!("`{text}` is no RFC 3339 time such as 2013-01-15T12:00:00Z: {e}");
        Box::new(Problem::bad_parameter(parameter, detail))
    })
}

fn unknown(urn: &str, id: &str) -> Problem {
    Problem::new(
        404,
        "unknown-slo",
        "There is no such SLO",
        format!("no minute of {urn}#{id} has closed here; `/v1/slos` lists those that are judged"),
    )
}

fn store_failed(said: &str) -> Problem {
    Problem::new(
        503,
        "store-failed",
        "The freshness role's store can't be read",
        said,
    )
}

fn problem(p: &Problem) -> Response {
    let status = StatusCode::from_u16(p.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let kind = [(header::CONTENT_TYPE, PROBLEM_JSON)];
    (status, kind, Json(p)).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use meshwork_model::mesh::SloStatus;
    use tower::ServiceExt as _;

    use super::*;
    use crate::shared::Shared;

    fn handle() -> Handle {
        let shared = Shared::new();
        let status = SloStatus {
            slo: "urn:meshwork:a:b:v1#x".into(),
            urn: "urn:meshwork:a:b:v1".parse().unwrap(),
            domain: "a".into(),
            owner: "o".into(),
            as_of: Timestamp::from_millis(1_358_253_540_000),
            state: SliceState::Bad,
            lag_ms: Some(7),
            within_ms: 5,
            objective: 990_000,
            window_ms: 60_000,
            good: 1,
            bad: 2,
            expected_quiet: 3,
            unmeasurable: 4,
            due: 7,
            budget_millionths: 70_000,
            budget_left_millionths: -1_930_000,
            alert: AlertState::Firing,
            rule: Some("1h_5m".into()),
        };
        let standing = Standing {
            status,
            totals: Totals::default(),
            shard: 0,
            id: 0,
            first: 0,
            next: 22_637_559,
        };
        let key = standing.status.slo.clone();
        shared.standings.write().insert(key, standing);
        Handle::new(Arc::new(shared))
    }

    async fn get(path: &str) -> (u16, serde_json::Value) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = handle().routes().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn shows_how_slos_stand() {
        let (status, all) = get("/v1/slos").await;
        assert_eq!((status, all.as_array().unwrap().len()), (200, 1));
        assert_eq!(all[0]["as_of"], "2013-01-15T12:39:00Z");
        assert_eq!(all[0]["budget_left_millionths"], -1_930_000);
        let (status, one) = get("/v1/slos/urn:meshwork:a:b:v1/x").await;
        assert_eq!((status, &one), (200, &all[0]));
    }

    #[tokio::test]
    async fn says_what_is_wrong_with_a_question() {
        for (path, status, code) in [
            ("/v1/slos/urn:meshwork:a:b:v1/y", 404, "unknown-slo"),
            ("/v1/slos/urn:meshwork:a:b:v1/y/slices", 404, "unknown-slo"),
            (
                "/v1/slos/urn:meshwork:a:b:v1/x/slices?from=noon",
                400,
                "bad-parameter",
            ),
            (
                "/v1/slos/urn:meshwork:a:b:v1/x/slices?since=1",
                400,
                "bad-parameter",
            ),
        ] {
            let (answered, problem) = get(path).await;
            assert_eq!(answered, status, "{path}");
            assert_eq!(problem["code"], code, "{path}");
        }
    }
}
