//! The command line with bad input: a clear error that says what, where and how to mend it, the
//! right exit code, and no panic.

use std::process::{Command, Output, Stdio};

use meshwork_tests::meshwork;

fn run(args: &[&str]) -> (i32, String, String) {
    run_with(args, "")
}

fn run_with(args: &[&str], input: &str) -> (i32, String, String) {
    use std::io::Write as _;
    let mut child = Command::new(meshwork().unwrap())
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    let (out, err) = (
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    );
    assert!(!err.contains("panicked"), "{args:?}: {err}");
    (status.code().unwrap(), out, err)
}

#[test]
fn an_unknown_key_in_the_configuration_is_named_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("meshwork.yaml");
    std::fs::write(&file, "role: [registry]\nkafka:\n  bootstrap_server: x\n").unwrap();
    let (code, _, err) = run(&["run", "--config", file.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(
        err.contains("bootstrap_server") && err.contains("line 3"),
        "{err}"
    );
}

#[test]
fn a_broker_that_is_down_is_named_within_a_stated_time() {
    // Port 1 is nobody's.
    let (code, _, err) = run(&[
        "product",
        "list",
        "--from-topics",
        "--bootstrap-server",
        "127.0.0.1:1",
    ]);
    assert_eq!(code, 1);
    assert!(err.contains("127.0.0.1:1") && err.contains(" s"), "{err}");
}

#[test]
fn a_port_that_is_taken_is_said_before_anything_starts() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, _, err) = run(&[
        "run",
        "--role",
        "registry",
        "--bootstrap-server",
        "127.0.0.1:1",
        "--registry-listen",
        &address,
    ]);
    assert_eq!(code, 1);
    assert!(
        err.contains(&address) && err.contains("--registry-listen"),
        "{err}"
    );
}

#[test]
fn no_server_is_said_with_how_to_start_one() {
    let (code, _, err) = run(&["slo", "status", "--server", "http://127.0.0.1:1"]);
    assert_eq!(code, 1);
    assert!(
        err.contains("meshwork run") && err.contains("--server"),
        "{err}"
    );
}

const CONTRACT: &str = "\
apiVersion: v3.2.0
kind: DataContract
id: urn:meshwork:sales:orders
name: orders
version: 1.0.0
status: active
domain: sales
schema:
- name: orders
  physicalName: sales.orders.v1
  physicalType: topic
  logicalType: object
  properties:
  - {name: order_id, logicalType: string, physicalType: string, primaryKey: true, primaryKeyPosition: 1, required: true}
slaProperties:
- {id: fresh, property: freshness, value: 5, unit: min, element: orders.order_id}
";

#[test]
fn a_contract_without_owner_and_a_schema_that_does_not_parse_are_findings_with_places() {
    let dir = tempfile::tempdir().unwrap();
    let contract = dir.path().join("sales.orders.odcs.yaml");
    std::fs::write(&contract, CONTRACT).unwrap();
    std::fs::write(
        dir.path().join("sales.orders.avsc"),
        "{\"type\": \"recrod\"}",
    )
    .unwrap();
    let (code, out, _) = run(&["product", "check", dir.path().to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(out.contains("owner"), "{out}");
    assert!(
        out.contains("sales.orders.avsc") && out.contains("recrod"),
        "{out}"
    );
    let (code, out, _) = run(&[
        "product",
        "check",
        "--output-format",
        "github",
        contract.to_str().unwrap(),
    ]);
    assert_eq!(code, 1);
    assert!(
        out.lines()
            .any(|l| l.starts_with("::error file=") && l.contains("line=")),
        "{out}"
    );
}

#[test]
fn the_contracts_of_the_demo_are_clean() {
    let contracts = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas/flights");
    let (code, out, err) = run(&["product", "check", contracts]);
    assert_eq!(code, 0, "{out}{err}");
    let (code, out, _) = run(&["product", "check", "--output-format", "json", contracts]);
    assert_eq!(code, 0);
    serde_json::from_str::<serde_json::Value>(&out).unwrap();
}

#[test]
fn validate_says_where_a_datum_goes_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let schema = dir.path().join("s.avsc");
    std::fs::write(
        &schema,
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"b","type":"string"}]}"#,
    )
    .unwrap();
    let schema = schema.to_str().unwrap();
    let validate = |hex: &str| run(&["schema", "validate", "--hex", hex, "--schema", schema]);
    assert_eq!(validate("0204 6869").0, 0);
    let (code, out, _) = validate("020468");
    assert_eq!(code, 1);
    assert!(out.contains("/b") && out.contains("byte"), "{out}");
    let (code, _, err) = validate("zz");
    assert_eq!(code, 1);
    assert!(err.contains("hexadecimal"), "{err}");

    let (code, out, _) = run_with(
        &["schema", "validate", "--lines"],
        "{\"schema\": \"int\", \"hex\": \"02\"}\n{\"schema\": \"int\", \"hex\": \"\"}\nnonsense\n",
    );
    assert_eq!(code, 0, "a filter: its verdicts are its output");
    let answers: Vec<serde_json::Value> = out
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(answers.len(), 3);
    assert_eq!(answers[0]["valid"], true);
    assert_eq!(answers[1]["error"]["offset"], 0);
    assert_eq!(answers[2]["valid"], false);
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for args in [
        &["produce"][..],
        &["nonsense"],
        &["slo", "status", "-o", "xml"],
    ] {
        assert_eq!(run(args).0, 2, "{args:?}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let binary = meshwork().unwrap();
    for command in ["completion bash", "config", "--help"] {
        let script = format!(
            "set -o pipefail; '{}' {command} | head -n 1",
            binary.display()
        );
        let output = Command::new("bash").args(["-c", &script]).output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && err.is_empty(),
            "{command}: {err}"
        );
    }
}
