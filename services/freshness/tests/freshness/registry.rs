//! A registry of a few lines: ids by text, in memory. The real one is another role's, and tested there.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use parking_lot::Mutex;
use serde_json::{Value, json};

#[derive(Default)]
struct Known {
    texts: Vec<String>,
    subjects: HashMap<String, Vec<usize>>,
}

type Shared = Arc<Mutex<Known>>;

/// Serves on a free port until the runtime ends.
pub(crate) async fn serve() -> SocketAddr {
    let routes = Router::new()
        .route("/subjects/{subject}/versions", post(register))
        .route("/schemas/ids/{id}", get(by_id))
        .with_state(Shared::default());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

async fn register(
    State(known): State<Shared>,
    Path(subject): Path<String>,
    Json(body): Json<Value>,
) -> Json<Value> {
    let text = body["schema"].as_str().unwrap().to_owned();
    let mut known = known.lock();
    let at = known.texts.iter().position(|t| *t == text);
    let at = at.unwrap_or_else(|| {
        known.texts.push(text.clone());
        known.texts.len() - 1
    });
    let versions = known.subjects.entry(subject.clone()).or_default();
    let version = versions.iter().position(|v| *v == at);
    let version = version.unwrap_or_else(|| {
        versions.push(at);
        versions.len() - 1
    });
    Json(json!({
        "subject": subject, "version": version + 1, "id": at + 1, "schema": text,
        "guid": "00000000-0000-0000-0000-000000000000",
    }))
}

async fn by_id(
    State(known): State<Shared>,
    Path(id): Path<usize>,
) -> Result<Json<Value>, (StatusCode, Json<Value>)> {
    match known.lock().texts.get(id.wrapping_sub(1)) {
        Some(text) => Ok(Json(json!({ "schema": text }))),
        None => Err((
            StatusCode::NOT_FOUND,
            Json(json!({ "error_code": 40403, "message": "no such schema" })),
        )),
    }
}
