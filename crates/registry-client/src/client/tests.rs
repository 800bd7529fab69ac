//! The client against a stub that misbehaves as registries do. Against a real one it is tested with
//! the registry.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use meshwork_model::units::{ByteSize, HumanDuration};
use tokio::net::TcpListener;

use super::*;

type Answers = dyn Fn(usize, &str) -> (u16, &'static str) + Send + Sync;

/// Answers by how many requests came before, and by path.
struct Stub {
    url: String,
    asked: Arc<AtomicUsize>,
}

struct Behaviour {
    asked: Arc<AtomicUsize>,
    answers: Box<Answers>,
}

async fn handle(State(stub): State<Arc<Behaviour>>, request: Request) -> Response {
    let n = stub.asked.fetch_add(1, Ordering::SeqCst);
    let (status, body) = (stub.answers)(n, request.uri().path());
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

impl Stub {
    async fn new(
        answers: impl Fn(usize, &str) -> (u16, &'static str) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let behaviour = Arc::new(Behaviour {
            asked: Arc::clone(&asked),
            answers: Box::new(answers),
        });
        let router = Router::new().fallback(handle).with_state(behaviour);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, asked }
    }

    fn config(&self) -> RegistryClientConfig {
        RegistryClientConfig {
            missing_for: HumanDuration::from_secs(3600),
            unavailable_for: HumanDuration::from_secs(3600),
            retries: 2,
            ..RegistryClientConfig::new(&self.url)
        }
    }

    fn client(&self) -> RegistryClient {
        RegistryClient::new(&self.config()).unwrap()
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn id(id: i64) -> SchemaId {
    SchemaId::new(id).unwrap()
}

const STRING: &str = r#"{"schema":"\"string\""}"#;
const MISSING: &str = r#"{"error_code":40403,"message":"Schema 7 not found"}"#;

#[tokio::test]
async fn asks_again_where_that_may_help() {
    for status in [429, 502, 503, 504] {
        let stub = Stub::new(move |n, _| if n < 2 { (status, "") } else { (200, STRING) }).await;
        let schema = stub.client().schema(id(7)).await.unwrap();
        assert_eq!(
            (schema.text.as_str(), schema.schema_type.as_str()),
            ("\"string\"", "AVRO")
        );
        assert_eq!(stub.asked(), 3, "{status}");
    }
}

#[tokio::test]
async fn gives_up_after_as_many_attempts_as_it_may_make() {
    let stub =
        Stub::new(|_, _| (503, r#"{"error_code":50004,"message":"Leader not known."}"#)).await;
    let error = stub.client().schema(id(7)).await.unwrap_err();
    assert_eq!(stub.asked(), 3);
    assert!(error.is_unavailable());
    for part in [
        "schema 7",
        &stub.url,
        "3 attempts",
        "Leader not known.",
        "50004",
    ] {
        assert!(error.to_string().contains(part), "{part} not in {error}");
    }
}

#[tokio::test]
async fn does_not_ask_again_where_that_can_not_help() {
    for (status, body) in [
        (404, MISSING),
        (500, ""),
        (401, "no"),
        (200, "{}"),
        (200, "<html>"),
    ] {
        let stub = Stub::new(move |_, _| (status, body)).await;
        let client = stub.client();
        let error = client.schema(id(7)).await.unwrap_err();
        assert_eq!(error.is_not_found(), status == 404, "{error}");
        // It is believed for a while, too.
        assert_eq!(client.schema(id(7)).await.unwrap_err(), error);
        assert_eq!(stub.asked(), 1, "{error}");
    }
}

#[tokio::test]
async fn many_who_ask_for_one_id_make_one_request() {
    let stub = Stub::new(|_, _| (200, STRING)).await;
    let client = stub.client();
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.schema(id(7)).await })
        })
        .collect();
    for asked in asking {
        assert_eq!(asked.await.unwrap().unwrap().text, "\"string\"");
    }
    assert_eq!(stub.asked(), 1);
    assert!(client.cached_schema(id(7)).is_some());
    assert!(client.cached_schema(id(8)).is_none());
}

/// Thousands that start at once on a cold cache cost the registry one request for each schema, and one
/// for each that is not there.
#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_on_a_cold_cache_ask_once_for_each_schema() {
    const CLIENTS: i64 = 5_000;
    const SCHEMAS: i64 = 20;
    let stub = Stub::new(|_, path| {
        if path.ends_with("/7") {
            (404, MISSING)
        } else {
            (200, STRING)
        }
    })
    .await;
    let client = stub.client();
    // The second time all is known, "not there" included.
    for _ in 0..2 {
        let asking: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let client = client.clone();
                tokio::spawn(async move {
                    let there = client.schema(id(100 + number % SCHEMAS)).await;
                    (there, client.schema(id(7)).await)
                })
            })
            .collect();
        for asked in asking {
            let (there, missing) = asked.await.unwrap();
            assert_eq!(there.unwrap().text, "\"string\"");
            assert!(missing.unwrap_err().is_not_found());
        }
        assert_eq!(i64::try_from(stub.asked()), Ok(SCHEMAS + 1));
    }
}

#[tokio::test]
async fn membership_is_asked_once() {
    let stub = Stub::new(|_, _| (200, r#"[{"subject":"s","version":1}]"#)).await;
    let client = stub.client();
    assert_eq!(client.cached_belongs("s", id(7)), None);
    for _ in 0..3 {
        assert!(client.belongs("s", id(7)).await.unwrap());
        assert!(!client.belongs("t", id(7)).await.unwrap());
    }
    assert_eq!(stub.asked(), 2);
    assert_eq!(client.cached_belongs("s", id(7)), Some(true));
}

#[tokio::test]
async fn a_start_waits_for_a_registry_that_is_starting() {
    let answer = r#"{"id":7,"version":1,"schema":"\"string\""}"#;
    let stub = Stub::new(move |n, _| if n < 5 { (503, "") } else { (200, answer) }).await;
    let client = RegistryClient::new(&RegistryClientConfig {
        retries: 0,
        ..stub.config()
    })
    .unwrap();
    assert!(
        client
            .register("s", "\"string\"", &[], false)
            .await
            .is_err()
    );
    let registered = client.register_at_start("s", "\"string\"").await.unwrap();
    assert_eq!((registered.id, stub.asked()), (id(7), 6));

    let stub = Stub::new(|_, _| (503, "")).await;
    let client = RegistryClient::new(&RegistryClientConfig {
        retries: 0,
        startup_timeout: HumanDuration::from_millis(1),
        ..stub.config()
    })
    .unwrap();
    let error = client
        .register_at_start("s", "\"string\"")
        .await
        .unwrap_err();
    assert!(error.is_unavailable(), "{error}");
}

/// Before Confluent 8.0 a registration answers with the id alone.
#[tokio::test]
async fn an_old_registry_is_asked_for_the_version() {
    let stub = Stub::new(|_, path| {
        if path.ends_with("/versions") {
            (200, r#"{"id":7}"#)
        } else {
            (
                200,
                r#"{"subject":"s","version":3,"id":7,"schema":"\"string\""}"#,
            )
        }
    })
    .await;
    let registered = stub
        .client()
        .register("s", "\"string\"", &[], false)
        .await
        .unwrap();
    assert_eq!(
        (registered.version, registered.id, registered.guid),
        (3, id(7), None)
    );
    assert_eq!(stub.asked(), 2);
}

#[tokio::test]
async fn incompatible_is_told_apart_by_either_code() {
    for body in [
        r#"{"error_code":409,"message":"why"}"#,
        r#"{"error_code":40901,"message":"why"}"#,
    ] {
        let stub = Stub::new(move |_, _| (409, body)).await;
        let error = stub
            .client()
            .register("s", "\"string\"", &[], false)
            .await
            .unwrap_err();
        assert_eq!(
            error,
            RegistryClientError::Incompatible {
                subject: "s".to_owned(),
                message: "why".to_owned(),
            }
        );
    }
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let stub = Stub::new(|_, _| (200, STRING)).await;
    let client = RegistryClient::new(&RegistryClientConfig {
        max_answer_bytes: ByteSize::from_bytes(5),
        ..stub.config()
    })
    .unwrap();
    let error = client.schema(id(7)).await.unwrap_err();
    assert!(
        matches!(&error, RegistryClientError::TooLong { limit: 5, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn no_url_is_refused() {
    let config = RegistryClientConfig {
        urls: Vec::new(),
        ..RegistryClientConfig::default()
    };
    assert!(RegistryClient::new(&config).is_err());
}

#[tokio::test]
async fn credentials_of_the_configuration_are_sent() {
    let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
    let router = Router::new().fallback({
        let heard = Arc::clone(&heard);
        async move |request: Request| {
            let sent = request.headers().get("authorization").cloned();
            heard
                .lock()
                .unwrap()
                .push(sent.map(|value| value.to_str().unwrap().to_owned()));
            STRING
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let plain = RegistryClientConfig::new(format!("http://{address}"));
    let user = RegistryClientConfig {
        user: Some("ann".to_owned()),
        password: Some("s:cret".to_owned()),
        ..plain.clone()
    };
    let in_url = RegistryClientConfig {
        urls: vec![format!("http://bob:pw@{address}")],
        ..user.clone()
    };
    let token = RegistryClientConfig {
        bearer_token: Some("t0ken".to_owned()),
        ..user.clone()
    };
    for config in [&plain, &user, &in_url, &token] {
        assert!(!format!("{config:?}").contains("cret"));
        let client = RegistryClient::new(config).unwrap();
        client.schema(id(7)).await.unwrap();
    }
    let expected = [
        None,
        Some("Basic YW5uOnM6Y3JldA=="),
        Some("Basic Ym9iOnB3"),
        Some("Bearer t0ken"),
    ];
    let heard = heard.lock().unwrap();
    assert_eq!(
        heard.iter().map(Option::as_deref).collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn a_file_of_certificates_that_holds_none_is_named() {
    for path in ["/nonexistent/ca.pem", "/dev/null"] {
        let config = RegistryClientConfig {
            ca_file: Some(path.into()),
            ..RegistryClientConfig::default()
        };
        let error = RegistryClient::new(&config).err().unwrap().to_string();
        assert!(error.contains("ca_file") && error.contains(path), "{error}");
    }
}

#[test]
fn a_certificate_without_its_key_is_no_use() {
    for (certificate, key, said) in [
        (
            Some("/a"),
            None,
            "registry.client.certificate_file: key_file is not given",
        ),
        (
            None,
            Some("/b"),
            "registry.client.key_file: certificate_file is not given",
        ),
        (
            Some("/nonexistent"),
            Some("/b"),
            "/nonexistent (registry.client.certificate_file) can't be read",
        ),
        (
            Some("/dev/null"),
            Some("/dev/null"),
            "there is no certificate in it",
        ),
    ] {
        let config = RegistryClientConfig {
            certificate_file: certificate.map(Into::into),
            key_file: key.map(Into::into),
            ..RegistryClientConfig::default()
        };
        let error = RegistryClient::new(&config).err().unwrap().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[tokio::test]
async fn a_registry_that_compares_with_one_version_only_is_asked_for_the_latest() {
    let stub = Stub::new(|_, path| {
        if path.ends_with("/latest") {
            (200, r#"{"is_compatible":false,"messages":["m"]}"#)
        } else {
            (404, r#"{"error_code":404,"message":"HTTP 404 Not Found"}"#)
        }
    })
    .await;
    let verdict = stub.client().compatibility("s", "\"int\"").await.unwrap();
    assert!(!verdict.compatible && verdict.messages == ["m"]);
    assert_eq!(stub.asked(), 2);
}
