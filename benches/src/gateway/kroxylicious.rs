//! Kroxylicious beside the gateway, where there is a JDK: once without a filter, once checking that
//! values are JSON, which is the cheapest check that it has.

use std::path::Path;

use anyhow::Result;

use super::proxy::Proxy;
use crate::java;

/// A filter on the topic that JSON goes to.
const JSON: &str = r"filterDefinitions:
  - name: json
    type: RecordValidation
    config:
      rules:
        - topicNames: [bench.json]
          valueRule:
            allowNulls: false
            syntacticallyCorrectJson:
              validateObjectKeysUnique: false
defaultFilters: [json]
";

/// One with each configuration.
#[derive(Debug)]
pub(super) struct Both {
    pub(super) plain: Proxy,
    pub(super) json: Proxy,
}

/// Starts them, if there is a JDK to compile their main with.
///
/// # Errors
/// They can't be fetched, or do not start.
pub(super) async fn start(kafka: &str, dir: &Path) -> Result<Option<Both>> {
    if !java::has_jdk() {
        return Ok(None);
    }
    let app = java::fetch("kroxylicious")?;
    Ok(Some(Both {
        plain: Proxy::kroxylicious(&app, kafka, "", &dir.join("kroxylicious")).await?,
        json: Proxy::kroxylicious(&app, kafka, JSON, &dir.join("kroxylicious-json")).await?,
    }))
}
