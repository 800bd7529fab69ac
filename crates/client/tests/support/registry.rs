//! A registry in a few lines, to be switched off and on: what this crate asks of one, and no more.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use meshwork_registry_client::{RegistryClient, RegistryClientConfig};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// A text and the subjects that hold it.
type Held = (String, Vec<String>);

#[derive(Clone, Default)]
pub struct Registry {
    /// By id − 1.
    schemas: Arc<Mutex<Vec<Held>>>,
    down: Arc<AtomicBool>,
    asked: Arc<Mutex<HashMap<String, usize>>>,
    url: String,
}

impl Registry {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let registry = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            ..Self::default()
        };
        let router = Router::new()
            .route("/subjects/{subject}/versions", post(register).get(versions))
            .route("/subjects/{subject}/versions/{version}", get(version))
            .route("/schemas/ids/{id}", get(by_id))
            .route("/schemas/ids/{id}/versions", get(holders))
            .with_state(registry.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        registry
    }

    /// A client that gives up soon.
    pub fn client(&self) -> RegistryClient {
        let config = RegistryClientConfig {
            retries: 0,
            ..RegistryClientConfig::new(&self.url)
        };
        RegistryClient::new(&config).unwrap()
    }

    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// How often a schema was asked for by its id.
    pub fn asked_for(&self, id: i32) -> usize {
        self.asked.lock().get(&id.to_string()).copied().unwrap_or(0)
    }

    pub fn add(&self, subject: &str, text: &str) -> i32 {
        let mut schemas = self.schemas.lock();
        let at = schemas
            .iter()
            .position(|(t, _)| t == text)
            .unwrap_or_else(|| {
                schemas.push((text.to_owned(), Vec::new()));
                schemas.len() - 1
            });
        if !schemas[at].1.contains(&subject.to_owned()) {
            schemas[at].1.push(subject.to_owned());
        }
        i32::try_from(at + 1).unwrap()
    }

    fn of(&self, subject: &str) -> Vec<(usize, String)> {
        self.schemas
            .lock()
            .iter()
            .enumerate()
            .filter(|(_, (_, subjects))| subjects.iter().any(|s| s == subject))
            .map(|(at, (text, _))| (at + 1, text.clone()))
            .collect()
    }

    fn answer(&self, answer: Option<Value>) -> Response {
        if self.down.load(Ordering::SeqCst) {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        match answer {
            Some(value) => Json(value).into_response(),
            None => (
                StatusCode::NOT_FOUND,
                Json(json!({"error_code": 40403, "message": "Schema not found"})),
            )
                .into_response(),
        }
    }
}

/// As the real one names it in a test: any function of the text will do.
pub fn guid(id: usize) -> String {
    format!("00000000-0000-0000-0000-{id:012x}")
}

async fn register(
    State(registry): State<Registry>,
    Path(subject): Path<String>,
    Json(body): Json<Value>,
) -> Response {
    let text = body["schema"].as_str().unwrap();
    let id = registry.add(&subject, text);
    registry.answer(Some(
        json!({"id": id, "version": id, "schema": text, "subject": subject}),
    ))
}

async fn versions(State(registry): State<Registry>, Path(subject): Path<String>) -> Response {
    let ids: Vec<usize> = registry.of(&subject).into_iter().map(|v| v.0).collect();
    registry.answer((!ids.is_empty()).then(|| json!(ids)))
}

async fn version(
    State(registry): State<Registry>,
    Path((subject, version)): Path<(String, usize)>,
) -> Response {
    let found = registry.of(&subject).into_iter().find(|v| v.0 == version);
    registry.answer(found.map(|(id, text)| {
        json!({"id": id, "version": id, "schema": text, "subject": subject, "guid": guid(id)})
    }))
}

async fn by_id(State(registry): State<Registry>, Path(id): Path<usize>) -> Response {
    *registry.asked.lock().entry(id.to_string()).or_default() += 1;
    let text = registry
        .schemas
        .lock()
        .get(id.wrapping_sub(1))
        .map(|s| s.0.clone());
    registry.answer(text.map(|text| json!({"schema": text, "guid": guid(id)})))
}

async fn holders(State(registry): State<Registry>, Path(id): Path<usize>) -> Response {
    let subjects = registry
        .schemas
        .lock()
        .get(id.wrapping_sub(1))
        .map(|s| s.1.clone());
    registry.answer(subjects.map(|subjects| {
        json!(
            subjects
                .iter()
                .map(|subject| json!({"subject": subject, "version": id}))
                .collect::<Vec<_>>()
        )
    }))
}
