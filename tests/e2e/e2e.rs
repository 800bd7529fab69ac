//! The main job, end to end, as a new user runs it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may fail loudly"
)]

mod cli;

use std::path::Path;
use std::process::Command;

use meshwork_tests::{Demo, meshwork, venv_python};

/// The demo holds every expectation; while it stays up, a stock Python client reads the catalog and
/// a product through our registry, and the commands answer.
#[test]
fn the_demo_holds_and_others_can_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let addresses = dir.path().join("addresses.json");
    let mut demo = Demo::start(
        &dir.path().join("data"),
        &["--keep", "--addresses-file", addresses.to_str().unwrap()],
    )
    .unwrap();
    let last = demo
        .wait_for("the last line", |l| l.ends_with("expectations held"))
        .unwrap();
    let addresses: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&addresses).unwrap()).unwrap();
    let address = |name: &str| addresses[name].as_str().expect(name).to_owned();

    let read = Command::new(venv_python().unwrap())
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/clients/read.py"))
        .args([address("kafka"), address("registry")])
        .output()
        .unwrap();
    assert!(
        read.status.success(),
        "{}",
        String::from_utf8_lossy(&read.stderr)
    );
    let read: serde_json::Value = serde_json::from_slice(&read.stdout).unwrap();
    assert_eq!(read["products"].as_array().unwrap().len(), 7, "{read}");
    assert_eq!(read["records"], 26_483, "{read}");
    assert_eq!(read["keys"], 26_483, "{read}");
    assert!(!read["producers"].as_array().unwrap().is_empty(), "{read}");

    let status = meshwork_says(&["slo", "status", "-o", "json", "--server", &address("http")]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status.as_array().unwrap().len(), 7, "{status}");
    let products = meshwork_says(&[
        "product",
        "list",
        "-o",
        "name",
        "--server",
        &address("http"),
    ]);
    assert_eq!(products.lines().count(), 7, "{products}");
    let down = meshwork_says(&[
        "lineage",
        "down",
        "operations.departures",
        "-o",
        "json",
        "--server",
        &address("http"),
    ]);
    assert!(down.contains("flight-weather"), "{down}");
    let first = meshwork_says(&[
        "consume",
        "operations.departures",
        "-o",
        "start",
        "-n",
        "3",
        "--bootstrap-server",
        &address("kafka"),
        "--registry-url",
        &address("registry"),
    ]);
    assert_eq!(first.lines().count(), 3, "{first}");

    demo.terminate().unwrap();
    let ended = demo.end().unwrap();
    assert!(ended.success, "{last}\n{}", ended.stderr.join("\n"));
}

fn meshwork_says(args: &[&str]) -> String {
    let output = Command::new(meshwork().unwrap())
        .args(args)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "meshwork {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
