//! What log lines look like, as another process sees them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::process::Command;

use meshwork_telemetry::logging::{LoggingConfig, init};

/// Set in the process that logs.
const LOGS: &str = "MESHWORK_TEST_LOGS";

#[test]
fn there_are_no_colours_where_standard_error_is_no_terminal() {
    if std::env::var_os(LOGS).is_some() {
        init(&LoggingConfig::default(), "test").unwrap();
        tracing::warn!(answer = 42, "said");
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["there_are_no_colours", "--nocapture"])
        .env(LOGS, "1")
        .env_remove("NO_COLOR")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("said") && said.contains("answer=42"),
        "{said}"
    );
    assert!(!said.contains('\u{1b}'), "{said:?}");
}
