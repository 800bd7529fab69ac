//! Apicurio Registry beside ours, where a Java that it takes is there: its API is Confluent's too.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use meshwork_dev_kafka::free_ports;

use super::server::Server;
use crate::java::fetch;

/// The version that `benches/java/apicurio/pom.xml` names.
pub(super) const VERSION: &str = "3.3.3";

/// Where Apicurio has Confluent's API.
pub(super) const API: &str = "/apis/ccompat/v7";

/// The Java that it needs at least.
pub(super) const JAVA: u32 = 21;

/// Starts it, with its storage in memory, if there is a Java for it.
///
/// # Errors
/// Java is there, but Apicurio can't be fetched or does not start.
pub(super) fn start(dir: &Path) -> Result<Option<Server>> {
    let Some(java) = java() else {
        return Ok(None);
    };
    let app = fetch("apicurio")?;
    let port = free_ports(1)?.pop().context("no port")?;
    let mut command = Command::new(java);
    command
        .current_dir(&app)
        .arg(format!("-Dquarkus.http.port={port}"))
        .args([
            "-Dquarkus.http.host=127.0.0.1",
            "-Dquarkus.management.port=0",
        ])
        // It logs every request otherwise, and ours does not.
        .args([
            "-Dquarkus.http.access-log.enabled=false",
            "-Dquarkus.log.level=WARN",
        ])
        .args(["-jar", "quarkus-run.jar"]);
    std::fs::create_dir_all(dir)?;
    Server::other(command, port, dir, &format!("{API}/subjects")).map(Some)
}

/// The first that is new enough: of `JAVA_HOME`, of `PATH`, of `/usr/lib/jvm`.
fn java() -> Option<PathBuf> {
    let home = std::env::var_os("JAVA_HOME").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path: Vec<PathBuf> = std::env::split_paths(&path)
        .map(|dir| dir.join("java"))
        .collect();
    let mut installed: Vec<PathBuf> = std::fs::read_dir("/usr/lib/jvm")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    installed.sort();
    home.into_iter()
        .map(|home| home.join("bin/java"))
        .chain(path)
        .chain(installed.into_iter().map(|home| home.join("bin/java")))
        .find(|java| version_of(java).is_some_and(|version| version >= JAVA))
}

fn version_of(java: &Path) -> Option<u32> {
    let output = Command::new(java)
        .arg("-version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    major(&String::from_utf8_lossy(&output.stderr))
}

/// 17 of `openjdk version "17.0.15" 2025-04-15`.
fn major(said: &str) -> Option<u32> {
    let (_, version) = said.split_once("version \"")?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_what_java_says() {
        assert_eq!(major("openjdk version \"17.0.15\" 2025-04-15"), Some(17));
        assert_eq!(major("openjdk version \"25\" 2025-09-16"), Some(25));
        assert_eq!(major("java version \"1.8.0_452\""), Some(1));
        assert_eq!(major("command not found"), None);
    }

    #[test]
    fn the_version_is_the_one_that_is_fetched() {
        let pom = include_str!("../../java/apicurio/pom.xml");
        assert!(pom.contains(&format!("-app</artifactId>\n      <version>{VERSION}<")));
    }
}
