//! Stock clients in other languages, as they are published and with default settings. Each is a
//! program in `tests/e2e/clients` that brings what it needs, ends with a failed assertion, and
//! prints what it did.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::Registry;

/// PyPI `confluent-kafka`: blocking and asyncio.
#[tokio::test(flavor = "multi_thread")]
async fn the_stock_python_client_works() {
    let registry = Registry::start().await;
    let venv = run(clients().join("venv.sh"), &[]).await;
    let python = Path::new(venv.trim()).join("bin/python");
    let script = clients().join("registry.py");
    let said = run(python, &[script.to_str().unwrap(), &registry.url]).await;
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["blocking"]["calls"], said["asyncio"]["calls"]);
    assert_eq!(
        said["blocking"]["order_id"],
        json!(1),
        "the first id of a new log"
    );
    registry.stop().await;
}

/// npm `@kafkajs/confluent-schema-registry`.
#[tokio::test(flavor = "multi_thread")]
async fn the_stock_kafkajs_client_works() {
    let registry = Registry::start().await;
    let said = node("kafkajs.js", &registry).await;
    assert_eq!(said["order_id"], json!(1));
    registry.stop().await;
}

/// npm `@confluentinc/schemaregistry`.
#[tokio::test(flavor = "multi_thread")]
async fn the_stock_confluent_client_for_node_works() {
    let registry = Registry::start().await;
    let said = node("confluent.js", &registry).await;
    assert_eq!(said["order_id"], json!(1));
    registry.stop().await;
}

async fn node(script: &str, registry: &Registry) -> Value {
    let folder = clients().join("node");
    let modules = run(folder.join("node.sh"), &[]).await;
    let mut node = Command::new("node");
    node.env("NODE_PATH", modules.trim())
        .arg(folder.join(script))
        .arg(&registry.url);
    serde_json::from_str(&said(node).await).unwrap()
}

/// Go `github.com/twmb/franz-go/pkg/sr`, where Go is: `tests/run.sh` says so where it is not.
#[tokio::test(flavor = "multi_thread")]
async fn the_stock_go_client_works() {
    if std::process::Command::new("go")
        .arg("version")
        .output()
        .is_err()
    {
        eprintln!("NOT RUN: there is no Go here");
        return;
    }
    let registry = Registry::start().await;
    let mut go = Command::new("go");
    go.current_dir(clients().join("go"))
        .args(["run", "-mod=readonly", "."])
        .arg(&registry.url);
    let said: Value = serde_json::from_str(&said(go).await).unwrap();
    assert_eq!(said["order_id"], json!(1));
    registry.stop().await;
}

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/e2e/clients")
}

async fn run(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments);
    said(command).await
}

/// What the program prints; its end with an error is the test's, with all that it said.
async fn said(mut command: Command) -> String {
    let output = command.output().await.unwrap();
    assert!(
        output.status.success(),
        "{:?}: {}{}",
        command.as_std(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
