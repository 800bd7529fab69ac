//! A registry in this process, on a topic of its own.

use std::sync::Arc;

use meshwork_kafka::KafkaConfig;
use meshwork_registry::{Config, Context, Error, Handle, Service};
use meshwork_registry_client::{RegistryClient, RegistryClientConfig};
use meshwork_telemetry::{Metrics, Readiness};
use meshwork_testkit::{Cluster, Nodes, kafka, unique};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Key of the record that says who writes, and which ids were given.
const OWN: &str = r#"{"keytype":"NOOP","subject":"__meshwork","magic":0}"#;

pub(crate) struct Registry {
    pub(crate) topic: String,
    pub(crate) config: Config,
    pub(crate) url: String,
    pub(crate) handle: Handle,
    pub(crate) metrics: Metrics,
    /// Where its store is, under `registry`.
    pub(crate) dir: Arc<TempDir>,
    http: reqwest::Client,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

/// Kafka blocks while it starts.
pub(crate) async fn cluster() -> &'static Cluster {
    tokio::task::spawn_blocking(kafka).await.unwrap()
}

/// One of a test's own, to pause, to kill or to have `mesh.*` topics on.
pub(crate) async fn own_cluster() -> Cluster {
    tokio::task::spawn_blocking(|| Cluster::start(Nodes::One))
        .await
        .unwrap()
}

impl Registry {
    /// On a new topic.
    pub(crate) async fn start() -> Self {
        Self::on(&unique("schemas")).await
    }

    pub(crate) async fn on(topic: &str) -> Self {
        let config = Config {
            topic: topic.to_owned(),
            // Many registries share the cluster here.
            announce_changes: false,
            ..Config::default()
        };
        Self::with(config).await
    }

    /// Ready once this returns.
    pub(crate) async fn with(config: Config) -> Self {
        let kafka = cluster().await.config();
        Self::with_kafka(config, kafka).await
    }

    /// With a store of its own, made anew from the log.
    pub(crate) async fn with_kafka(config: Config, kafka: KafkaConfig) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        Self::in_dir(config, kafka, dir).await
    }

    /// With the store that is in `dir`.
    pub(crate) async fn in_dir(config: Config, kafka: KafkaConfig, dir: Arc<TempDir>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = if config.tls.is_some() {
            // Certificates are of names.
            format!(
                "https://localhost:{}",
                listener.local_addr().unwrap().port()
            )
        } else {
            format!("http://{}", listener.local_addr().unwrap())
        };
        let readiness = Readiness::new();
        let metrics = Metrics::new();
        let topic = config.topic.clone();
        let told = config.clone();
        let context = Context {
            kafka,
            data_dir: dir.path().join("registry"),
            readiness: readiness.clone(),
            metrics: metrics.clone(),
        };
        let (service, handle) = Service::new(config, context, listener);
        let stop = CancellationToken::new();
        let mut task = tokio::spawn(service.run(stop.clone()));
        tokio::select! {
            () = readiness.ready() => {}
            ended = &mut task => panic!("registry ended: {ended:?}"),
        }
        assert!(handle.is_ready());
        Self {
            topic,
            url,
            handle,
            metrics,
            config: told,
            dir,
            http: reqwest::Client::new(),
            stop,
            task,
        }
    }

    /// In order, as on SIGTERM.
    pub(crate) async fn stop(self) -> String {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
        self.topic
    }

    /// At once, as on `kill -9`: nothing is drained.
    pub(crate) async fn kill(self) -> String {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
        self.topic
    }

    pub(crate) fn client(&self) -> RegistryClient {
        RegistryClient::new(&RegistryClientConfig::new(&self.url)).unwrap()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// Status and JSON body.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self.request(method.parse().unwrap(), path);
        if let Some(body) = body {
            request = request
                .header("Content-Type", "application/vnd.schemaregistry.v1+json")
                .body(body.to_string());
        }
        answer(request).await
    }

    /// The answer to a call that succeeds.
    pub(crate) async fn ok(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.call(method, path, body).await;
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    /// Registers a text and gives its id.
    pub(crate) async fn register(&self, subject: &str, text: &str) -> i64 {
        let path = format!("/subjects/{subject}/versions");
        let body = serde_json::json!({ "schema": text });
        self.ok("POST", &path, Some(body)).await["id"]
            .as_i64()
            .unwrap()
    }

    /// Keys and values of the log, as text; no value is a tombstone. Without who was elected.
    pub(crate) async fn log(&self) -> Vec<(String, Option<String>)> {
        log_of(&self.topic).await
    }
}

pub(crate) async fn log_of(topic: &str) -> Vec<(String, Option<String>)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut marked = json!({});
    cluster()
        .await
        .read_all(topic)
        .await
        .iter()
        .map(|record| {
            let key = text(record.key.as_deref().unwrap_or_default());
            let value = record.value.as_deref().map(text);
            (key, value)
        })
        .filter_map(|(key, value)| {
            if key != OWN {
                return Some((key, value));
            }
            let value: Value = serde_json::from_str(&value.unwrap()).unwrap();
            let ids = value.get("greatestIds").cloned().unwrap_or(json!({}));
            let news = ids != marked;
            marked.clone_from(&ids);
            news.then(|| (key, Some(json!({ "greatestIds": ids }).to_string())))
        })
        .collect()
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    if status == 204 {
        assert!(response.bytes().await.unwrap().is_empty());
        return (status, Value::Null);
    }
    let kind = response
        .headers()
        .get("content-type")
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    let bytes = response.bytes().await.unwrap();
    let body = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    assert!(kind.ends_with("json"), "{kind}: {body}");
    (status, body)
}

/// A record with the fields given as JSON.
pub(crate) fn record(name: &str, fields: &str) -> String {
    format!(r#"{{"type":"record","name":"{name}","fields":[{fields}]}}"#)
}

pub(crate) fn shared<T>(value: T) -> Arc<T> {
    Arc::new(value)
}
