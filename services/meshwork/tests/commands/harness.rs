//! The binary as a user's shell starts it, and a registry role as an operator does.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;

use meshwork_testkit::{DEADLINE, kafka, unique, wait_for};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Its output, if it ended so.
    #[track_caller]
    pub(crate) fn with(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:#?}");
        self.out
    }

    /// Its output as JSON, if it ended so.
    #[track_caller]
    pub(crate) fn json(self, code: i32) -> Value {
        let out = self.with(code);
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshwork"));
    command.args(args).env("NO_COLOR", "1").kill_on_drop(true);
    // What the surroundings set must not reach a test.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MESHWORK_")) {
        command.env_remove(name);
    }
    command
}

/// Runs a command to its end.
pub(crate) async fn meshwork(args: &[&str]) -> Ran {
    meshwork_with(args, "").await
}

/// Runs a command with something on its standard input.
pub(crate) async fn meshwork_with(args: &[&str], input: &str) -> Ran {
    let mut child = started(args);
    let mut stdin = child.stdin.take().unwrap();
    // It may end before it has read everything.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    ended(args, child).await
}

/// Starts a command.
pub(crate) fn started(args: &[&str]) -> Child {
    command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for a command's end.
pub(crate) async fn ended(args: &[&str], child: Child) -> Ran {
    let output = tokio::time::timeout(DEADLINE, child.wait_with_output())
        .await
        .unwrap_or_else(|_| panic!("{args:?} did not end within {DEADLINE:?}"))
        .unwrap();
    let ran = Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    assert!(!ran.err.contains("panicked"), "{args:?}: {ran:#?}");
    ran
}

/// The shared cluster's address.
pub(crate) async fn brokers() -> String {
    tokio::task::spawn_blocking(|| kafka().bootstrap_servers())
        .await
        .unwrap()
}

/// A registry role in a process of its own, on a topic of its own.
pub(crate) struct Registry {
    child: Child,
    dir: tempfile::TempDir,
    /// Topic.
    pub(crate) topic: String,
    /// Where it answers.
    pub(crate) url: String,
    /// Its admin listener.
    pub(crate) admin: String,
    http: reqwest::Client,
}

impl Registry {
    /// On a new topic, without schemas of its own.
    pub(crate) async fn start() -> Self {
        Self::on(&unique("schemas")).await
    }

    /// On this topic, without schemas of its own.
    pub(crate) async fn on(topic: &str) -> Self {
        Self::with(topic, "    announce_changes: false\n").await
    }

    /// As it is started where nothing else is said.
    pub(crate) async fn announcing() -> Self {
        Self::with(&unique("schemas"), "").await
    }

    async fn with(topic: &str, more: &str) -> Self {
        let brokers = brokers().await;
        let dir = tempfile::tempdir().unwrap();
        let config = configured(dir.path(), topic, &brokers, more);
        let addresses = dir.path().join("addresses.json");
        let mut child = command(&["run", "--role", "registry", "--config"])
            .arg(&config)
            .args([
                "--registry-listen",
                "127.0.0.1:0",
                "--admin-listen",
                "127.0.0.1:0",
            ])
            .arg("--addresses-file")
            .arg(&addresses)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let bound = wait_for("the registry's addresses", || {
            let ended = child.try_wait().unwrap();
            let log = std::fs::read_to_string(dir.path().join("log")).unwrap_or_default();
            assert!(ended.is_none(), "the registry ended: {log}");
            let read = std::fs::read(&addresses).ok();
            async move { serde_json::from_slice::<Value>(&read?).ok() }
        })
        .await;
        let address = |name: &str| bound[name].as_str().unwrap().to_owned();
        let registry = Self {
            child,
            topic: topic.to_owned(),
            url: address("registry"),
            admin: address("admin"),
            dir,
            http: reqwest::Client::new(),
        };
        let started = Instant::now();
        while registry.call("GET", "/subjects", None).await.0 != 200 {
            assert!(started.elapsed() < DEADLINE, "{}", registry.log());
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        registry
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// A configuration file that leads to it and its topic.
    pub(crate) async fn config(&self) -> PathBuf {
        configuration(self.dir.path(), &self.topic, &brokers().await)
    }

    /// Status and body; 0 where it could not be asked.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let url = format!("{}{path}", self.url);
        let mut request = self.http.request(method.parse().unwrap(), url);
        if let Some(body) = body {
            request = request
                .header("Content-Type", "application/vnd.schemaregistry.v1+json")
                .body(body.to_string());
        }
        match request.send().await {
            Ok(answer) => {
                let status = answer.status().as_u16();
                let text = answer.text().await.unwrap_or_default();
                (
                    status,
                    serde_json::from_str(&text).unwrap_or(Value::String(text)),
                )
            }
            Err(error) => (0, Value::String(error.to_string())),
        }
    }

    /// The answer to a call that succeeds.
    #[track_caller]
    pub(crate) fn ok(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> impl Future<Output = Value> {
        let from = std::panic::Location::caller();
        async move {
            let (status, answer) = self.call(method, path, body).await;
            assert_eq!(
                status,
                200,
                "{from}: {method} {path}: {answer}\n{}",
                self.log()
            );
            answer
        }
    }

    /// Runs a command against it.
    pub(crate) async fn meshwork(&self, args: &[&str]) -> Ran {
        let mut all = args.to_vec();
        all.extend(["--registry-url", &self.url]);
        meshwork(&all).await
    }

    /// As [`Self::meshwork`], with something on standard input.
    pub(crate) async fn meshwork_with(&self, args: &[&str], input: &str) -> Ran {
        let mut all = args.to_vec();
        all.extend(["--registry-url", &self.url]);
        meshwork_with(&all, input).await
    }

    /// `kill -9`.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

/// Writes a configuration file.
pub(crate) fn configuration(dir: &Path, topic: &str, brokers: &str) -> PathBuf {
    configured(dir, topic, brokers, "")
}

fn configured(dir: &Path, topic: &str, brokers: &str, more: &str) -> PathBuf {
    let path = dir.join("meshwork.yaml");
    let data = dir.join("data");
    let text = format!(
        "kafka:\n  bootstrap_servers: \"{brokers}\"\nregistry:\n  service:\n    topic: {topic}\n{more}\
         data_dir: {}\n",
        data.display()
    );
    std::fs::write(&path, text).unwrap();
    path
}

/// A file with this content, in a directory that goes with the value.
pub(crate) struct Files(tempfile::TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Writes a file and gives its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// The path of a file that is not written yet.
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }
}

/// A record with the fields given as JSON.
pub(crate) fn record(name: &str, fields: &str) -> String {
    format!(r#"{{"type":"record","name":"{name}","fields":[{fields}]}}"#)
}

/// Answers by method and path, and keeps what it was asked.
pub(crate) struct Other {
    pub(crate) url: String,
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

impl Other {
    pub(crate) async fn start(
        answers: impl Fn(&str) -> (u16, String) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        let answers = Arc::new(answers);
        let router = Router::new().fallback(async move |request: Request| {
            let line = format!("{} {}", request.method(), request.uri().path());
            let (status, body) = answers(&line);
            let user = request.headers().get("authorization").cloned();
            let user = user
                .map(|u| u.to_str().unwrap().to_owned())
                .unwrap_or_default();
            kept.lock().unwrap().push(format!("{line} {user}"));
            // A date of its own, where the test gives one.
            let (_, date) = answers("date");
            let date = (!date.starts_with('{')).then_some([("date", date)]);
            (StatusCode::from_u16(status).unwrap(), date, body).into_response()
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, asked }
    }
}

pub(crate) fn not_found() -> (u16, String) {
    (
        404,
        r#"{"error_code":404,"message":"HTTP 404 Not Found"}"#.to_owned(),
    )
}
