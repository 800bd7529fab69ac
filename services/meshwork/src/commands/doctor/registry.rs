//! What the registry says: whether it answers, on which Kafka it stands, and whether what it holds
//! can be used.

use meshwork_avro::Strictness;
use meshwork_model::text::counted;
use meshwork_model::time::{Clock as _, Timestamp, WallClock};
use meshwork_registry_client::{
    RegistryClient, RegistryClientConfig, RegistryClientError, StoredVersion, Wanted,
};

use super::report::{Code, Finding};
use crate::commands::schema::{Graphs, Pages};
use crate::config::Config;

/// Schemas that are told one by one; the others are counted.
const TOLD: usize = 20;

/// Seconds by which clocks may differ. HTTP tells whole seconds, and the answer takes time.
const SKEW_MS: i64 = 5_000;

pub(super) async fn check(
    config: &Config,
    cluster: Option<&str>,
    max_schemas: usize,
    findings: &mut Vec<Finding>,
) -> anyhow::Result<()> {
    let registry = RegistryClient::new(&RegistryClientConfig {
        // A doctor says what is so now.
        retries: 0,
        ..config.registry_client()
    })?;
    let place = registry.urls();
    match registry.subject_page(Wanted::default(), 0, 1).await {
        Ok(_) => findings.push(Finding::ok(Code::RegistryUnreachable, &place, "answers")),
        Err(error) => {
            findings.push(unreachable(&place, &error));
            return Ok(());
        }
    }
    let looked = async {
        clock(&registry, &place, findings).await?;
        same_cluster(&registry, &place, cluster, findings).await?;
        mode(&registry, &place, findings).await?;
        schemas(&registry, &place, max_schemas, findings).await
    };
    let looked: anyhow::Result<()> = looked.await;
    if let Err(error) = looked {
        match error.downcast_ref::<RegistryClientError>() {
            Some(error) => findings.push(unreachable(&place, error)),
            None => return Err(error),
        }
    }
    Ok(())
}

fn unreachable(place: &str, error: &RegistryClientError) -> Finding {
    let mend = match error {
        RegistryClientError::Refused {
            code: 401 | 403, ..
        }
        | RegistryClientError::Refused {
            code: 40101 | 40301,
            ..
        } => "give --registry-user and --registry-password, or --registry-token",
        RegistryClientError::Unavailable { detail, .. } if detail.contains("error code") => {
            "it runs and can't serve: its log and /ready on its admin listener say what it waits for"
        }
        RegistryClientError::Unavailable { .. } => {
            "start it (meshwork run --role registry), or say where it is with --registry-url; for \
             TLS see --registry-ca-file"
        }
        _ => "is this a registry with Confluent's API? --registry-url says where it is",
    };
    Finding::error(Code::RegistryUnreachable, place, error.to_string(), mend)
}

/// The registry's clock against this one.
async fn clock(
    registry: &RegistryClient,
    place: &str,
    findings: &mut Vec<Finding>,
) -> anyhow::Result<()> {
    let before = WallClock.now();
    let said = registry.date().await?;
    let after = WallClock.now();
    let Some(there) = said.as_deref().and_then(http_date) else {
        return Ok(());
    };
    // The answer was made between the two, and tells no fractions of a second.
    let ahead = there.millis_since(after);
    let behind = before.millis_since(there) - 1_000;
    if ahead.max(behind) > SKEW_MS {
        findings.push(Finding::warning(
            Code::ClockSkew,
            place,
            format!("it is {there} there and {after} here"),
            "set the clock of one of them (chronyc tracking)",
        ));
    } else {
        findings.push(Finding::ok(Code::ClockSkew, place, "shows the same time"));
    }
    Ok(())
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<Timestamp> {
    let parsed = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Timestamp::from_millis(parsed.timestamp().as_millisecond()))
}

async fn same_cluster(
    registry: &RegistryClient,
    place: &str,
    cluster: Option<&str>,
    findings: &mut Vec<Finding>,
) -> anyhow::Result<()> {
    let (Some(ours), Some(theirs)) = (cluster, registry.cluster_id().await?) else {
        return Ok(());
    };
    findings.push(if ours == theirs {
        Finding::ok(
            Code::RegistryOtherCluster,
            place,
            format!("stands on the same cluster, {ours}"),
        )
    } else {
        Finding::error(
            Code::RegistryOtherCluster,
            place,
            format!("stands on cluster {theirs}, and --bootstrap-server leads to {ours}"),
            "point both at one cluster, or name in --registry-url the registry that belongs to it",
        )
    });
    Ok(())
}

async fn mode(
    registry: &RegistryClient,
    place: &str,
    findings: &mut Vec<Finding>,
) -> anyhow::Result<()> {
    let mode = registry.mode(None).await?.unwrap_or_default();
    findings.push(match mode.as_str() {
        "" | "READWRITE" => Finding::ok(Code::RegistryMode, place, "takes registrations"),
        "IMPORT" => Finding::warning(
            Code::RegistryMode,
            place,
            "is in IMPORT mode: registrations without an id are refused",
            "an import that was killed leaves it so: run it again, or PUT /mode \
             {\"mode\":\"READWRITE\"}",
        ),
        other => Finding::warning(
            Code::RegistryMode,
            place,
            format!("is in {other} mode: new schemas are refused"),
            "if nobody wants it so: PUT /mode {\"mode\":\"READWRITE\"}",
        ),
    });
    Ok(())
}

/// Stored texts that today's parser refuses.
async fn schemas(
    registry: &RegistryClient,
    place: &str,
    most: usize,
    findings: &mut Vec<Finding>,
) -> anyhow::Result<()> {
    let mut graphs = Graphs::new(registry.clone());
    let (mut looked, mut refused) = (0_usize, 0_usize);
    let mut pages = Pages::new(registry.clone(), "", false);
    while looked < most
        && let Some(page) = pages.next().await?
    {
        let left = most - looked;
        for version in page.into_iter().filter(|v| v.kind() == "AVRO").take(left) {
            looked += 1;
            let Some(finding) = old(&mut graphs, &version).await? else {
                continue;
            };
            refused += 1;
            if refused <= TOLD {
                findings.push(finding);
            }
        }
    }
    if refused > TOLD {
        findings.push(Finding::warning(
            Code::OldSchema,
            place,
            format!(
                "{} that today's parser refuses",
                counted(refused - TOLD, "more schema")
            ),
            "as above",
        ));
    }
    if refused == 0 {
        findings.push(Finding::ok(
            Code::OldSchema,
            place,
            format!(
                "today's parser takes each of {} that were read",
                counted(looked, "schema")
            ),
        ));
    }
    Ok(())
}

async fn old(graphs: &mut Graphs, version: &StoredVersion) -> anyhow::Result<Option<Finding>> {
    let StoredVersion {
        subject,
        schema,
        references,
        ..
    } = version;
    let strict = graphs
        .parse(subject, schema, references, Strictness::Strict)
        .await?;
    let Err(why) = strict else {
        return Ok(None);
    };
    let stored = graphs
        .parse(subject, schema, references, Strictness::Stored)
        .await?;
    let found = match stored {
        Ok(_) => format!(
            "old code wrote it, and today's parser refuses it for new schemas: {why}; it is \
             served, and new versions are compared with it leniently"
        ),
        Err(why) => format!(
            "old code wrote it, and it can't be read even leniently: {why}; records under it can't \
             be checked, nor can new versions be compared with it"
        ),
    };
    Ok(Some(Finding::warning(
        Code::OldSchema,
        format!("{subject}@{} (id {})", version.version, version.id),
        found,
        format!(
            "register a corrected version (meshwork schema get {subject}@{}, mend it, meshwork \
             schema register … --subject {subject}), move producers to it, and delete this one \
             when its records are gone",
            version.version
        ),
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_dates_are_read() {
        let at = http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(at.to_string(), "1994-11-06T08:49:37Z");
        assert_eq!(http_date("yesterday"), None);
    }
}
