//! Which versions of which APIs a client used, by what the gateway logged of its requests.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use serde_json::Value;

use crate::mesh::Process;
use crate::programs::Client;

/// Versions by API.
pub(crate) type Used = BTreeMap<String, BTreeSet<i64>>;

/// What a client used so far.
pub(crate) fn used(gateway: &Process, client: Client) -> Used {
    let mut used = Used::new();
    for line in gateway.log().lines() {
        if !line.contains("meshwork_gateway::requests") {
            continue;
        }
        let line: Value = serde_json::from_str(line).unwrap();
        let fields = line.get("fields").unwrap_or(&line);
        if fields["client"] == client.name() {
            let api = fields["api"].as_str().unwrap().to_owned();
            let version = fields["version"].as_i64().unwrap();
            used.entry(api).or_default().insert(version);
        }
    }
    used
}

/// Prints it where a test that passes is heard too.
pub(crate) fn print(client: Client, used: &Used) {
    let cells: Vec<String> = used
        .iter()
        .map(|(api, versions)| {
            let versions: Vec<String> = versions.iter().map(ToString::to_string).collect();
            format!("{api} {}", versions.join(","))
        })
        .collect();
    let _ = writeln!(
        std::io::stderr(),
        "\nmatrix: {}: {}",
        client.name(),
        cells.join(" · ")
    );
}

/// The greatest version of an API; −1 where it was not used.
pub(crate) fn greatest(used: &Used, api: &str) -> i64 {
    used.get(api)
        .and_then(|versions| versions.last().copied())
        .unwrap_or(-1)
}
