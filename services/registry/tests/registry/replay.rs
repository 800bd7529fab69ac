//! What the Java client (`CachedSchemaRegistryClient`, 8.2), its serializers, and the Maven and
//! Gradle plug-ins built on it send, byte for byte, as `HttpURLConnection` puts it on the wire:
//! recorded from a JDK 17 and a JDK 25, for Java 8 with the Accept header it is known for. Each
//! request comes on a connection of its own, for the client disconnects after each.
//!
//! Answers are held to what the client does with them: 200 and 204 are parsed, all else must be
//! `{error_code, message}`; 404 with 40401 to 40403 is remembered as "missing", any other is not.

mod administration;
mod plugins;
mod serializers;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::{Registry, record};

/// A JDK's requests.
struct Java {
    name: &'static str,
    agent: &'static str,
    accept: &'static str,
}

const JDKS: [Java; 3] = [
    Java {
        name: "java8",
        agent: "Java/1.8.0_452",
        accept: "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2",
    },
    Java {
        name: "java17",
        agent: "Java/17.0.15",
        accept: "text/html, image/gif, image/jpeg, */*; q=0.2",
    },
    Java {
        name: "java25",
        agent: "Java/25.0.3",
        accept: "*/*",
    },
];

/// Longest answer that a test expects, bytes.
const MOST: u64 = 1 << 20;

/// A client at work.
struct Client<'a> {
    java: &'a Java,
    registry: &'a Registry,
}

/// What came back, parsed as the client parses it.
#[derive(Debug)]
struct Reply {
    request: String,
    status: u16,
    body: Value,
}

impl Client<'_> {
    fn subject(&self, name: &str) -> String {
        format!("{}-{name}", self.java.name)
    }

    async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None).await
    }

    async fn delete(&self, path: &str) -> Reply {
        self.send("DELETE", path, None).await
    }

    async fn post(&self, path: &str, body: &str) -> Reply {
        self.send("POST", path, Some(body)).await
    }

    async fn put(&self, path: &str, body: &str) -> Reply {
        self.send("PUT", path, Some(body)).await
    }

    async fn send(&self, method: &str, path: &str, body: Option<&str>) -> Reply {
        let Java { agent, accept, .. } = self.java;
        let host = self.registry.url.strip_prefix("http://").unwrap();
        // In the order in which the JDK writes them; Content-Type also without a body.
        let length = body.map_or(String::new(), |body| {
            format!("Content-Length: {}\r\n", body.len())
        });
        let request = format!(
            "{method} {path} HTTP/1.1\r\n\
             Content-Type: application/vnd.schemaregistry.v1+json\r\n\
             Confluent-Accept-Unknown-Properties: true\r\n\
             Confluent-Client-Version: java/8.2.2\r\n\
             Cache-Control: no-cache\r\n\
             Pragma: no-cache\r\n\
             User-Agent: {agent}\r\n\
             Host: {host}\r\n\
             Accept: {accept}\r\n\
             Connection: keep-alive\r\n\
             {length}\r\n"
        );
        let mut stream = TcpStream::connect(host).await.unwrap();
        // Head and body are two writes in Java.
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
            .write_all(body.unwrap_or_default().as_bytes())
            .await
            .unwrap();
        let (status, body) = read_reply(stream).await;
        Reply {
            request: format!("{}: {method} {path}", self.java.name),
            status,
            body,
        }
    }
}

/// Reads up to the declared length, as a client does that keeps the connection.
async fn read_reply(stream: TcpStream) -> (u16, Value) {
    let mut stream = stream.take(MOST);
    let mut bytes = Vec::new();
    let head = loop {
        assert!(
            stream.read_buf(&mut bytes).await.unwrap() > 0,
            "ended early"
        );
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break String::from_utf8(bytes.drain(..at + 4).collect()).unwrap();
        }
    };
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let header = |wanted: &str| {
        head.split("\r\n")
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.to_owned())
    };
    let status: u16 = status.parse().unwrap();
    if status == 204 {
        return (status, Value::Null);
    }
    assert_eq!(
        header("content-type").as_deref(),
        Some("application/vnd.schemaregistry.v1+json"),
        "{head}"
    );
    let length: usize = header("content-length").unwrap().parse().unwrap();
    while bytes.len() < length {
        assert!(
            stream.read_buf(&mut bytes).await.unwrap() > 0,
            "ended early"
        );
    }
    (status, serde_json::from_slice(&bytes).unwrap())
}

impl Reply {
    /// 200, and the body has at least these members with these values.
    #[track_caller]
    fn has(self, expected: &Value) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        match (expected, &self.body) {
            (Value::Object(expected), Value::Object(body)) => {
                for (name, value) in expected {
                    assert_eq!(body.get(name), Some(value), "{name} of {self:?}");
                }
            }
            (expected, body) => assert_eq!(body, expected, "{}", self.request),
        }
        self.body
    }

    /// 200, and a list that this is in.
    #[track_caller]
    fn has_item(self, expected: &Value) {
        assert_eq!(self.status, 200, "{self:?}");
        let items = self.body.as_array().unwrap();
        assert!(items.contains(expected), "{expected} is not in {self:?}");
    }

    /// Refused with just this code and message, under the status that the code begins with.
    #[track_caller]
    fn refuses(&self, code: u32, message: &str) {
        let digits = code.to_string();
        assert_eq!(self.status.to_string(), digits[..3], "{self:?}");
        let expected = json!({ "error_code": code, "message": message });
        assert_eq!(self.body, expected, "{self:?}");
    }
}

/// As Jackson writes a `RegisterSchemaRequest`.
fn draft(text: &str) -> String {
    format!(r#"{{"schemaType":"AVRO","schema":{}}}"#, json!(text))
}

fn draft_referring(name: &str, subject: &str, version: i32, text: &str) -> String {
    format!(
        r#"{{"schemaType":"AVRO","references":[{{"name":"{name}","subject":"{subject}","version":{version}}}],"schema":{}}}"#,
        json!(text)
    )
}

fn one() -> String {
    record("Order", r#"{"name":"id","type":"string"}"#)
}

fn two() -> String {
    record(
        "Order",
        r#"{"name":"id","type":"string"},{"name":"note","type":["null","string"],"default":null}"#,
    )
}

fn bad() -> String {
    record("Order", r#"{"name":"weight","type":"double"}"#)
}

macro_rules! replays {
    ($($name:ident = $play:path;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let registry = Registry::start().await;
            for java in &JDKS {
                $play(&Client { java, registry: &registry }).await;
            }
            registry.stop().await;
        }
    )*};
}

replays! {
    java_serializers_work = serializers::work;
    java_remembers_what_is_missing = serializers::missing;
    java_administers = administration::lists_deletions_and_settings;
    java_sets_modes = administration::modes;
    the_maven_plugin_works = plugins::maven;
    the_gradle_plugin_works = plugins::gradle;
}
