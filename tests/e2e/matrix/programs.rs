//! The stock clients, each as a program that prints a JSON line for all that it is told.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;

/// Longest that a program may take: beyond the deadlines inside them.
const DEADLINE: Duration = Duration::from_secs(300);

/// Names of Java's clients, newest first.
static JAVA: LazyLock<Vec<String>> = LazyLock::new(|| {
    let versions = include_str!("../clients/java/versions").lines();
    versions.map(|version| format!("java-{version}")).collect()
});

/// A stock client, pinned where its program says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Client {
    /// Apache Kafka's own, 4.x.
    Java4,
    /// And 3.x.
    Java3,
    /// confluent-kafka-python, on librdkafka.
    Confluent,
    /// The command-line tool on librdkafka.
    Kcat,
    /// For Node.
    Kafkajs,
    /// For asyncio.
    Aiokafka,
    /// For Go.
    FranzGo,
}

/// All of them.
pub(crate) const CLIENTS: [Client; 7] = [
    Client::Java4,
    Client::Java3,
    Client::Confluent,
    Client::Kcat,
    Client::Kafkajs,
    Client::Aiokafka,
    Client::FranzGo,
];

impl Client {
    /// Its name, which is its `client.id` too.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Java4 => &JAVA[0],
            Self::Java3 => &JAVA[1],
            Self::Confluent => "confluent-kafka-python",
            Self::Kcat => "kcat",
            Self::Kafkajs => "kafkajs",
            Self::Aiokafka => "aiokafka",
            Self::FranzGo => "franz-go",
        }
    }

    /// Its number, from 0.
    pub(crate) fn number(self) -> usize {
        CLIENTS.iter().position(|c| *c == self).unwrap()
    }

    /// Whether it is there; else that is said.
    pub(crate) fn is_here(self) -> bool {
        let go = || std::process::Command::new("go").arg("version").output();
        if self == Self::FranzGo && go().is_err() {
            eprintln!("NOT RUN: there is no Go here");
            return false;
        }
        true
    }

    async fn command(self) -> Command {
        match self {
            Self::Java4 | Self::Java3 => {
                let version = self.name().trim_start_matches("java-");
                let path = script("java/java.sh", &[version]).await;
                let mut java = Command::new("java");
                java.args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
                    .args(["-cp", &path, "Matrix"]);
                java
            }
            Self::Confluent => python(&[], "python/matrix_confluent.py").await,
            Self::Aiokafka => python(&["aiokafka"], "python/matrix_aiokafka.py").await,
            Self::Kafkajs => {
                let modules = script("node/node.sh", &["kafkajs"]).await;
                let mut node = Command::new("node");
                node.env("NODE_PATH", modules)
                    .arg(clients().join("kafkajs/matrix.js"));
                node
            }
            Self::FranzGo => Command::new(script("kgo/go.sh", &[]).await),
            Self::Kcat => unreachable!("kcat has no program: see kcat.rs"),
        }
    }

    /// Runs a scenario; the lines that it printed.
    pub(crate) async fn run(self, scenario: &str, arguments: &[(&str, &str)]) -> Vec<Value> {
        let mut command = self.command().await;
        command.arg(scenario);
        command.arg(format!("client={}", self.name()));
        command.args(
            arguments
                .iter()
                .map(|(name, value)| format!("{name}={value}")),
        );
        let output = said(command).await;
        assert!(
            output.status.success(),
            "{} {scenario}: {}{}",
            self.name(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        lines(&output)
    }
}

/// What a program printed, each line a JSON document.
pub(crate) fn lines(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect()
}

/// Runs a command to its end.
pub(crate) async fn said(mut command: Command) -> Output {
    command.kill_on_drop(true);
    let shown = format!("{:?}", command.as_std());
    match tokio::time::timeout(DEADLINE, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => {
            panic!("{shown} can't be run: {error}; deploy/setup.sh clients brings what is missing")
        }
        Err(_) => panic!("{shown} took longer than {} s", DEADLINE.as_secs()),
    }
}

fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/clients")
}

/// What a script that brings a client prints.
async fn script(path: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(clients().join(path));
    command.args(arguments);
    let output = said(command).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{path}: {errors}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn python(environment: &[&str], program: &str) -> Command {
    let venv = script("venv.sh", environment).await;
    let mut python = Command::new(Path::new(&venv).join("bin/python"));
    // Nothing is left in the checkout.
    python.env("PYTHONDONTWRITEBYTECODE", "1");
    python.arg(clients().join(program));
    python
}
