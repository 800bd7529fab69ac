//! What the processes that run roles say.

use std::time::Duration;

use super::report::{Code, Finding};
use crate::args::DoctorArgs;
use crate::config::Config;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of an answer that are shown.
const SHOWN: usize = 500;

pub(super) async fn check(
    args: &DoctorArgs,
    config: &Config,
    findings: &mut Vec<Finding>,
) -> anyhow::Result<()> {
    let http = reqwest::Client::builder().timeout(PATIENCE).build()?;
    let admin = match &args.admin_url {
        Some(url) => with_scheme(url),
        None => format!("http://{}", config.admin.listen),
    };
    let server = with_scheme(args.server.as_deref().unwrap_or(&config.server));
    findings.push(ready(&http, &admin).await);
    findings.push(match http.get(&server).send().await {
        Ok(_) => Finding::ok(Code::RoleNotReady, &server, "the roles' API answers"),
        Err(error) => Finding::warning(
            Code::RoleNotReady,
            &server,
            format!("no role's API answers: {}", root(&error)),
            "start one (meshwork run --role …), or say where it is with --server",
        ),
    });
    Ok(())
}

fn with_scheme(url: &str) -> String {
    let url = url.trim_end_matches('/');
    if url.contains("://") {
        url.to_owned()
    } else {
        format!("http://{url}")
    }
}

async fn ready(http: &reqwest::Client, admin: &str) -> Finding {
    let asked = async {
        let answer = http.get(format!("{admin}/ready")).send().await?;
        let status = answer.status();
        Ok::<_, reqwest::Error>((status, answer.text().await?))
    };
    match asked.await {
        Ok((status, _)) if status.is_success() => Finding::ok(
            Code::RoleNotReady,
            admin,
            "all roles of the process are ready",
        ),
        Ok((status, words)) => {
            let words: String = words.trim().chars().take(SHOWN).collect();
            Finding::warning(
                Code::RoleNotReady,
                admin,
                format!("not ready ({status}): {}", words.replace('\n', ", ")),
                "what it waits for is named; its log says more",
            )
        }
        Err(error) => Finding::warning(
            Code::RoleNotReady,
            admin,
            format!("no admin listener answers: {}", root(&error)),
            "start a process (meshwork run --role …), or say where it is with --admin-url",
        ),
    }
}

/// The innermost cause: reqwest's own words say only that it did not work.
fn root(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
