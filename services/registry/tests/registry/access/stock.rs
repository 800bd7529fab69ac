//! Stock clients over TLS: PyPI `confluent-kafka`, and curl where it is there.

use std::process::Output;

use serde_json::{Value, json};
use tokio::process::Command;

use super::{Pki, User, by_password, clients};
use crate::harness::Registry;

async fn run(command: &mut Command) -> Output {
    let output = command.output().await.unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// With basic authentication, a CA file, and rules: registers, reads, and is told what it may not.
#[tokio::test(flavor = "multi_thread")]
async fn the_stock_python_client_works_with_tls_and_passwords() {
    let pki = Pki::new();
    let mut config = by_password(&pki);
    config.rules = serde_json::from_value(json!([
        {"principals": ["ann"], "subjects": "mine", "allow": ["read", "write"]},
        {"principals": ["root"], "subjects": ":*:", "allow": ["read", "write"]},
    ]))
    .unwrap();
    let registry = Registry::with(config).await;
    User::named(&pki, &registry, "root")
        .register("theirs-value", r#""string""#)
        .await;
    let venv = run(&mut Command::new(clients().join("venv.sh"))).await;
    let venv = String::from_utf8(venv.stdout).unwrap();
    let output = run(Command::new(format!("{}/bin/python", venv.trim()))
        .arg(clients().join("registry_access.py"))
        .arg(&registry.url)
        .arg(pki.ca_file())
        .arg("ann:ann's password"))
    .await;
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(said["ok"], json!(true));
    registry.stop().await;
}
