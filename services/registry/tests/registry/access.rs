//! Who is let in, and to what: real TLS, real tokens, stock clients.

mod audit;
mod basic;
mod bearer;
mod certificate;
mod our_client;
mod reserved;
mod rules;
mod stock;
mod tls;

use std::path::{Path, PathBuf};
use std::time::Duration;

use meshwork_registry::Config;
use meshwork_registry::access::{AuthenticationConfig, BasicConfig, TlsConfig};
use meshwork_registry_client::{RegistryClient, RegistryClientConfig};
use meshwork_testkit::{Pair, unique};
use reqwest::{Client, ClientBuilder, Identity, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Registry, answer};

/// Nothing here takes longer, however slow the machine is.
const DEADLINE: Duration = Duration::from_secs(60);

/// Looks at files that found something of no use.
const UNUSABLE: &str = r#"meshwork_registry_files_looked_at_total{outcome="unusable"}"#;

/// Passwords of the users of [`users`].
const USERS: [(&str, &str); 4] = [
    ("ann", "ann's password"),
    ("bob", "bob: with a colon"),
    ("apply", "pässword"),
    ("root", "root"),
];

/// Where servers are.
const HOSTS: [&str; 2] = ["localhost", "127.0.0.1"];

/// An authority, and the directory that everything of a test is written to.
struct Pki {
    dir: TempDir,
    authority: meshwork_testkit::Pki,
}

impl Pki {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let authority = meshwork_testkit::Pki::new(dir.path());
        Self { dir, authority }
    }

    /// A file of this content.
    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        // Whole or not at all, as those who rotate certificates do.
        let new = self.dir.path().join("new");
        std::fs::write(&new, content).unwrap();
        std::fs::rename(new, &path).unwrap();
        path
    }

    fn ca_file(&self) -> PathBuf {
        self.authority.ca_file()
    }

    /// Of this server.
    fn server(&self) -> Pair {
        self.authority.server(&HOSTS)
    }

    /// Of an instance, which is a server and a client of the others.
    fn instance(&self) -> Pair {
        self.authority.peer("instance", &HOSTS)
    }

    /// Of a client: by common name and organization.
    fn client(&self, name: &str) -> Pair {
        self.authority.client(name)
    }

    fn tls(&self) -> TlsConfig {
        listener(&self.server())
    }

    /// Users with the passwords of [`USERS`], one half by each kind of hash.
    fn users(&self) -> BasicConfig {
        let lines: Vec<String> = USERS
            .iter()
            .enumerate()
            .map(|(number, (name, password))| format!("{name}:{}", hash(password, number % 2 == 0)))
            .collect();
        BasicConfig {
            users_file: self.file("users", &lines.join("\n")),
            checks_at_once: 1,
        }
    }

    /// Trusts the authority.
    fn asks(&self) -> ClientBuilder {
        let ca = std::fs::read(self.ca_file()).unwrap();
        let ca = reqwest::Certificate::from_pem(&ca).unwrap();
        Client::builder().tls_certs_only([ca]).timeout(DEADLINE)
    }
}

/// A listener with this certificate.
fn listener(own: &Pair) -> TlsConfig {
    serde_json::from_value(json!({
        "certificate_file": own.certificate,
        "key_file": own.key,
        "reload_interval": "1s",
    }))
    .unwrap()
}

/// What reqwest shows of a client.
fn identity(own: &Pair) -> Identity {
    Identity::from_pem(&std::fs::read(own.key_store()).unwrap()).unwrap()
}

fn hash(password: &str, bcrypt: bool) -> String {
    use argon2::PasswordHasher as _;
    if bcrypt {
        return bcrypt::hash(password, 4).unwrap();
    }
    let params = argon2::Params::new(64, 1, 1, None).unwrap();
    argon2::Argon2::from(params)
        .hash_password_with_salt(password.as_bytes(), b"0123456789abcdef")
        .unwrap()
        .to_string()
}

/// Our own client, as one of [`USERS`].
fn our_client(pki: &Pki, registry: &Registry, name: &str) -> RegistryClient {
    let (_, password) = USERS.iter().find(|(user, _)| *user == name).unwrap();
    let config: RegistryClientConfig = serde_json::from_value(json!({
        "urls": [registry.url],
        "ca_file": pki.ca_file(),
        "user": name,
        "password": password,
    }))
    .unwrap();
    RegistryClient::new(&config).unwrap()
}

/// Users by password, over TLS, and nobody else.
fn by_password(pki: &Pki) -> Config {
    Config {
        topic: unique("schemas"),
        tls: Some(pki.tls()),
        authentication: AuthenticationConfig {
            basic: Some(pki.users()),
            ..AuthenticationConfig::default()
        },
        ..Config::default()
    }
}

/// Somebody who asks a registry.
#[derive(Clone)]
struct User {
    http: Client,
    url: String,
    name: Option<(String, String)>,
}

impl User {
    /// One of [`USERS`].
    fn named(pki: &Pki, registry: &Registry, name: &str) -> Self {
        let (_, password) = USERS.iter().find(|(user, _)| *user == name).unwrap();
        Self {
            name: Some((name.to_owned(), (*password).to_owned())),
            ..Self::nobody(pki, registry)
        }
    }

    fn nobody(pki: &Pki, registry: &Registry) -> Self {
        Self {
            http: pki.asks().build().unwrap(),
            url: registry.url.clone(),
            name: None,
        }
    }

    fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let request = self
            .http
            .request(method.parse().unwrap(), format!("{}{path}", self.url));
        match &self.name {
            Some((name, password)) => request.basic_auth(name, Some(password)),
            None => request,
        }
    }

    /// Status and body.
    async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request
                .header("Content-Type", "application/vnd.schemaregistry.v1+json")
                .body(body.to_string());
        }
        answer(request).await
    }

    /// The answer to a call that succeeds.
    async fn ok(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let (status, answer) = self.call(method, path, body).await;
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    /// A call that is refused with 403, 40301.
    async fn denied(&self, method: &str, path: &str, body: Option<Value>) {
        let (status, answer) = self.call(method, path, body).await;
        assert_eq!(
            (status, &answer["error_code"]),
            (403, &json!(40_301)),
            "{method} {path}: {answer}"
        );
        let message = answer["message"].as_str().unwrap();
        assert!(
            message.starts_with("User is denied operation "),
            "{message}"
        );
    }

    async fn register(&self, subject: &str, text: &str) -> i64 {
        let path = format!("/subjects/{subject}/versions");
        let answer = self
            .ok("POST", &path, Some(json!({ "schema": text })))
            .await;
        answer["id"].as_i64().unwrap()
    }
}

/// That an answer is a refusal of who is not known, and says by what they may be.
async fn unauthenticated(response: Response, challenges: &[&str]) -> String {
    assert_eq!(response.status(), 401);
    let given: Vec<String> = response
        .headers()
        .get_all("www-authenticate")
        .iter()
        .map(|value| value.to_str().unwrap().to_owned())
        .collect();
    assert_eq!(given, challenges);
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(body["error_code"], 401, "{body}");
    body["message"].as_str().unwrap().to_owned()
}

/// A metric's value, 0 while it is not there.
fn metric(registry: &Registry, line: &str) -> u64 {
    let text = registry.metrics.encode().unwrap();
    text.lines()
        .find_map(|given| given.strip_prefix(line)?.trim().parse().ok())
        .unwrap_or(0)
}

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/e2e/clients")
}
