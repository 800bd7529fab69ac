//! Bad and hostile requests.

use std::time::Duration;

use meshwork_model::units::{ByteSize, HumanDuration};
use meshwork_registry::Config;
use meshwork_testkit::{DEADLINE, unique};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{Registry, answer, record};

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_are_told_apart() {
    let registry = Registry::with(Config {
        topic: unique("schemas"),
        max_body_bytes: ByteSize::from_mib(1),
        max_record_bytes: 20_000,
        ..Config::default()
    })
    .await;
    let long_doc = format!(
        r#"{{"type":"record","name":"R","doc":"{}","fields":[]}}"#,
        "x".repeat(20_000)
    );
    let deep = format!(
        "{}\"int\"{}",
        r#"{"type":"array","items":"#.repeat(10_000),
        "}".repeat(10_000)
    );
    let v1 = "application/vnd.schemaregistry.v1+json";
    let schema = |text: &str| json!({ "schema": text }).to_string();
    for (subject, kind, body, status, code) in [
        ("s", v1, "x".repeat(1 << 20) + "x", 413, 413),
        ("s", "text/plain", schema("\"string\""), 415, 415),
        ("s", v1, String::new(), 422, 422),
        ("s", v1, "{\"schema\":".to_owned(), 400, 400),
        ("s", v1, " \n".to_owned(), 422, 422),
        ("s", v1, "null".to_owned(), 422, 422),
        ("s", v1, "[]".to_owned(), 400, 400),
        ("s", v1, "-1".to_owned(), 400, 400),
        ("s", v1, "[".repeat(100_000), 400, 400),
        ("s", v1, r#"{"schema":"x"}{}"#.to_owned(), 400, 400),
        ("s", v1, r#"{"schema":"\ud800"}"#.to_owned(), 400, 400),
        (
            "s",
            "APPLICATION/JSON; charset=utf-8",
            "{}".to_owned(),
            422,
            42201,
        ),
        ("s", v1, "{\"schema\":1}".to_owned(), 400, 400),
        ("s", v1, "{}".to_owned(), 422, 42201),
        ("s", v1, schema(""), 422, 42201),
        ("s", v1, schema("not avro"), 422, 42201),
        ("s", v1, schema("\"string\" trailing"), 422, 42201),
        (
            "s",
            v1,
            schema(r#"{"type":"record","name":"a-b","fields":[]}"#),
            422,
            42201,
        ),
        (
            "s",
            v1,
            schema(
                r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","default":"x"}]}"#,
            ),
            422,
            42201,
        ),
        ("s", v1, schema(&deep), 422, 42201),
        (
            "s",
            v1,
            json!({ "schema": "{}", "schemaType": "JSON" }).to_string(),
            422,
            42201,
        ),
        ("s", v1, schema(&long_doc), 422, 42209),
        (
            "s",
            v1,
            json!({ "schema": "\"int\"", "id": 7 }).to_string(),
            422,
            42205,
        ),
        (
            "s",
            v1,
            json!({ "schema": "\"int\"", "version": 5 }).to_string(),
            422,
            42201,
        ),
        ("a%0Ab", v1, schema("\"string\""), 422, 42208),
        ("__GLOBAL", v1, schema("\"string\""), 422, 42208),
    ] {
        let request = registry
            .request(
                "POST".parse().unwrap(),
                &format!("/subjects/{subject}/versions"),
            )
            .header("Content-Type", kind)
            .body(body.clone());
        let (got, body) = answer(request).await;
        assert_eq!((got, &body["error_code"]), (status, &json!(code)), "{body}");
        assert!(!body["message"].as_str().unwrap().is_empty());
    }
    assert_eq!(
        registry.ok("GET", "/subjects?deleted=true", None).await,
        json!([])
    );
    // Repeated members are legal, and the last one counts; so do unknown ones, and no type at all.
    let body = r#"{"schema":"\"int\"","new":{},"schema":"\"string\""}"#;
    let request = registry
        .request("POST".parse().unwrap(), "/subjects/s/versions")
        .body(body);
    let (status, answer) = answer(request).await;
    assert_eq!((status, &answer["schema"]), (200, &json!("\"string\"")));
    // In the schema's text too, which may have comments, as in Java.
    let text = r#"{"type":"enum","name":"E","symbols":["A"],/* not A */"symbols":["B"]}"#;
    let body = Some(json!({ "schema": text }));
    let answer = registry.ok("POST", "/subjects/e/versions", body).await;
    assert_eq!(
        answer["schema"],
        json!(r#"{"type":"enum","name":"E","symbols":["B"]}"#)
    );
    // Java reads UTF-16 as well.
    let body: Vec<u8> =
        r#"{"schema":"\"string\""}"#.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let request = registry
        .request("POST".parse().unwrap(), "/subjects/s/versions")
        .header("Content-Type", "application/json; charset=utf-16")
        .body(body);
    let (status, answer) = crate::harness::answer(request).await;
    assert_eq!((status, &answer["version"]), (200, &json!(1)), "{answer}");
    registry.stop().await;
}

/// Schemas that are deep, endless in themselves, or of a megabyte: refused, or taken as Java takes
/// them, and never walked for ever.
#[tokio::test(flavor = "multi_thread")]
async fn schemas_that_go_deep_in_circles_and_on_and_on() {
    const DEEP: usize = 10_000;
    let registry = Registry::start().await;
    let arrays = format!(
        "{}\"int\"{}",
        r#"{"type":"array","items":"#.repeat(DEEP),
        "}".repeat(DEEP)
    );
    let unions = format!(
        "{}\"int\"{}",
        r#"["null",{"type":"map","values":"#.repeat(DEEP),
        "}]".repeat(DEEP)
    );
    let records: String = (0..DEEP)
        .map(|n| format!(r#"{{"type":"record","name":"R{n}","fields":[{{"name":"f","type":"#))
        .chain(std::iter::once("\"int\"".to_owned()))
        .chain(std::iter::repeat_n("}]}".to_owned(), DEEP))
        .collect();
    let symbols: Vec<String> = (0..110_000).map(|n| format!("\"S{n:06}\"")).collect();
    let long = format!(
        r#"{{"type":"enum","name":"E","symbols":[{}]}}"#,
        symbols.join(",")
    );
    assert!(long.len() > 1_000_000);
    for text in [&arrays, &unions, &records, &long] {
        for path in [
            "/subjects/s/versions",
            "/subjects/s",
            "/compatibility/subjects/s/versions",
        ] {
            let body = Some(json!({ "schema": text }));
            let (status, answer) = registry.call("POST", path, body).await;
            // Where there is nothing to look in, there is nothing to read either.
            let nowhere = path == "/subjects/s" && status == 404;
            assert!(nowhere || status == 422, "{path}: {status} {answer}");
        }
    }
    assert_eq!(registry.ok("GET", "/subjects", None).await, json!([]));

    // Java takes a record that no datum can fill; comparing two of them comes to an end.
    let endless = record("R", r#"{"name":"r","type":"R"}"#);
    let longer = record(
        "R",
        r#"{"name":"r","type":"R"},{"name":"a","type":"int","default":0}"#,
    );
    assert_eq!(registry.register("endless", &endless).await, 1);
    assert_eq!(registry.register("endless", &longer).await, 2);
    let answer = registry.ok("GET", "/schemas/ids/2", None).await;
    assert_eq!(answer["schema"], json!(longer));
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_never_end_are_not_waited_for() {
    let registry = Registry::with(Config {
        topic: unique("schemas"),
        header_timeout: HumanDuration::from_secs(1),
        ..Config::default()
    })
    .await;
    let address = registry.url.strip_prefix("http://").unwrap();
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    socket
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        .await
        .unwrap();
    let mut rest = Vec::new();
    // Closed by the registry, with or without a word.
    tokio::time::timeout(DEADLINE, socket.read_to_end(&mut rest))
        .await
        .expect("the connection is closed at the header deadline")
        .ok();
    // A request that is sent whole is still answered.
    tokio::time::sleep(Duration::ZERO).await;
    registry.ok("GET", "/", None).await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_connections_as_are_allowed_and_the_next_one_waits() {
    let registry = Registry::with(Config {
        topic: unique("schemas"),
        max_connections: 2,
        ..Config::default()
    })
    .await;
    let address = registry.url.strip_prefix("http://").unwrap();
    let idle = tokio::net::TcpStream::connect(address).await.unwrap();
    let calls = (0..8).map(|_| {
        let url = format!("{}/", registry.url);
        // Each with a connection of its own, closed after its answer.
        async move {
            reqwest::Client::new()
                .get(url)
                .header("Connection", "close")
                .send()
                .await
                .unwrap()
                .status()
                .as_u16()
        }
    });
    for call in calls.map(tokio::spawn).collect::<Vec<_>>() {
        let status = tokio::time::timeout(DEADLINE, call).await.unwrap().unwrap();
        assert_eq!(status, 200);
    }
    drop(idle);
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_give_one_id_for_one_content() {
    let registry = crate::harness::shared(Registry::start().await);
    let calls: Vec<_> = (0..60)
        .map(|n| {
            let registry = std::sync::Arc::clone(&registry);
            tokio::spawn(async move {
                // Twenty contents, three subjects each.
                let text = record(&format!("R{}", n % 20), r#"{"name":"a","type":"int"}"#);
                let id = registry.register(&format!("s{n}"), &text).await;
                (text, id)
            })
        })
        .collect();
    let mut ids = std::collections::BTreeMap::new();
    for call in calls {
        let (text, id) = call.await.unwrap();
        assert_eq!(*ids.entry(text).or_insert(id), id);
    }
    let mut all: Vec<i64> = ids.into_values().collect();
    all.sort_unstable();
    assert_eq!(all, (1..=20).collect::<Vec<i64>>());
}
