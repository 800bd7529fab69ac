//! Stock clients in other languages, as they are published and with default settings. Each is a
//! program in `tests/e2e/clients` that brings what it needs, ends with a failed assertion, and
//! prints what it did.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

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

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/e2e/clients")
}

/// What the program prints; its end with an error is the test's, with all that it said.
async fn run(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> String {
    let output = tokio::process::Command::new(&program)
        .args(arguments)
        .output()
        .await
        .unwrap();
    assert!(
        output.status.success(),
        "{:?} {arguments:?}: {}{}",
        program.as_ref(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
