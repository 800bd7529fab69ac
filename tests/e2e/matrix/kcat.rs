//! kcat is a program itself. What it is told it says on stderr; here that becomes the lines that the
//! other clients' programs print. It has no transactions that end by choice, and can't set timestamps.

use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

use crate::mesh::mesh;
use crate::programs::{Client, lines};
use meshwork_kafka::NewTopic;

/// How long is waited for what must come.
const DEADLINE: Duration = Duration::from_secs(60);

fn kcat(bootstrap: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("kcat");
    command
        .args(["-b", bootstrap, "-X"])
        .arg(format!("client.id={}", Client::Kcat.name()))
        .args(arguments)
        .kill_on_drop(true);
    command
}

async fn run(mut command: Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect(
            "kcat, which deploy/setup.sh clients brings (Debian, Ubuntu: apt-get install kcat)",
        );
    let mut stdin = child.stdin.take().unwrap();
    // One that ends early does not read it all; what it says tells why.
    let _ = stdin.write_all(input).await;
    drop(stdin);
    tokio::time::timeout(2 * DEADLINE, child.wait_with_output())
        .await
        .expect("kcat ends within two minutes")
        .unwrap()
}

/// Produces records of keys and values; a line for each that it was told of, in that order.
pub(crate) async fn produce(
    bootstrap: &str,
    (topic, partition): (&str, &str),
    settings: &[&str],
    records: &[(Option<String>, Vec<u8>)],
) -> Vec<Value> {
    let mut input = Vec::new();
    for (n, (key, value)) in records.iter().enumerate() {
        input.extend(if n == 0 { &b""[..] } else { b"<next>" });
        input.extend(key.as_deref().unwrap_or_default().as_bytes());
        input.extend(b"<value>");
        input.extend(value);
    }
    let mut command = kcat(bootstrap, &["-P", "-E", "-vvv", "-Z", "-t", topic]);
    command.args([
        "-p", partition, "-K", "<value>", "-D", "<next>", "-H", "h=x",
    ]);
    command.args(["-X", "topic.produce.offset.report=true"]);
    for setting in settings {
        command.args(["-X", setting]);
    }
    let output = run(command, &input).await;
    let mut told = Vec::new();
    for line in String::from_utf8_lossy(&output.stderr).lines() {
        let i = told.len();
        if let Some(why) = line.strip_prefix("% Delivery failed for message: ") {
            told.push(json!({"i": i, "ok": false, "error": why, "why": why}));
        } else if line.starts_with("% Message delivered to partition") {
            let offset = line
                .split("(offset ")
                .nth(1)
                .and_then(|rest| rest.split(')').next());
            let offset: i64 = offset.unwrap().parse().unwrap();
            told.push(json!({"i": i, "ok": true, "offset": offset}));
        }
    }
    assert_eq!(told.len(), records.len(), "{output:?}");
    told
}

/// Everything that it can do, once.
pub(crate) async fn same(arguments: &[(&str, &str)]) -> Vec<Value> {
    let arg = |name: &str| arguments.iter().find(|(n, _)| *n == name).unwrap().1;
    let (bootstrap, product, partition) = (arg("bootstrap"), arg("topic"), arg("partition"));
    let topic = format!("{}-topic", arg("prefix"));
    mesh()
        .await
        .kafka
        .create_topic(&NewTopic::new(topic.clone(), 2))
        .await;
    let mut said = Vec::new();
    for way in ["plain", "none", "gzip", "snappy", "lz4", "zstd"] {
        let codec = if way == "plain" { "none" } else { way };
        let records: Vec<_> = (0..3)
            .map(|i| {
                (
                    Some(format!("{way}{i}")),
                    format!("{way}{i} ").repeat(40).into_bytes(),
                )
            })
            .collect();
        let settings = [
            format!("enable.idempotence={}", way != "plain"),
            format!("compression.codec={codec}"),
        ];
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        said.extend(produce(bootstrap, (product, partition), &settings, &records).await);
    }
    let format = "{\"offset\":%o,\"key\":\"%k\",\"value\":\"%s\",\"headers\":\"%h\"}\\n";
    let consume = [
        "-C", "-e", "-q", "-t", product, "-p", partition, "-f", format,
    ];
    said.extend(lines(&run(kcat(bootstrap, &consume), b"").await));
    let records = [(Some("g".to_owned()), b"g".to_vec())];
    for partition in ["0", "1"] {
        said.extend(produce(bootstrap, (&topic, partition), &[], &records).await);
    }
    let listed = lines(&run(kcat(bootstrap, &["-L", "-J", "-t", &topic]), b"").await);
    said.push(json!({"partitions": listed[0]["topics"][0]["partitions"], "brokers": listed[0]["brokers"].as_array().unwrap().len()}));
    let asked = format!("{topic}:0:-1");
    let asked = run(kcat(bootstrap, &["-Q", "-t", &asked]), b"").await;
    said.push(
        json!({"end": String::from_utf8_lossy(&asked.stdout).rsplit(' ').next().unwrap().trim()}),
    );
    said.extend(groups(bootstrap, &format!("{}-classic", arg("prefix")), &topic).await);
    said
}

/// Two members, the second of which takes a partition over.
async fn groups(bootstrap: &str, group: &str, topic: &str) -> Vec<Value> {
    let mut a = Member::join(bootstrap, group, topic);
    a.assigned(2).await;
    let mut b = Member::join(bootstrap, group, topic);
    b.assigned(1).await;
    a.assigned(1).await;
    b.leave().await;
    a.assigned(2).await;
    a.leave().await;
    vec![json!({"group": "rebalanced twice"})]
}

struct Member {
    child: Child,
    said: Lines<BufReader<ChildStderr>>,
}

impl Member {
    fn join(bootstrap: &str, group: &str, topic: &str) -> Self {
        let mut command = kcat(bootstrap, &["-X", "auto.offset.reset=earliest"]);
        let mut child = command
            .args(["-G", group, topic])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { child, said }
    }

    async fn assigned(&mut self, partitions: usize) {
        let waited = tokio::time::timeout(DEADLINE, async {
            while let Some(line) = self.said.next_line().await.unwrap() {
                if line.contains("assigned:") && line.matches('[').count() == partitions {
                    return true;
                }
            }
            false
        });
        assert!(
            waited.await.expect("an assignment within a minute"),
            "kcat ended"
        );
    }

    /// As by Ctrl-C: it says good-bye to its group.
    async fn leave(mut self) {
        let id = self.child.id().unwrap().to_string();
        let status = Command::new("kill")
            .args(["-INT", &id])
            .status()
            .await
            .unwrap();
        assert!(status.success());
        // What it still says must not stop it.
        while self.said.next_line().await.unwrap().is_some() {}
        self.child.wait().await.unwrap();
    }
}
