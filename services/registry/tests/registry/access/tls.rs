//! TLS on the listener.

use std::time::Instant;

use meshwork_model::units::HumanDuration;
use meshwork_registry::access::TlsConfig;
use meshwork_registry::{Config, Context, Error};
use meshwork_testkit::{Pair, unique, wait_until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{DEADLINE, Pki, UNUSABLE, User, listener, metric};
use crate::harness::Registry;

fn config(pki: &Pki) -> Config {
    Config {
        topic: unique("schemas"),
        tls: Some(pki.tls()),
        ..Config::default()
    }
}

fn address(registry: &Registry) -> String {
    registry.url.trim_start_matches("https://").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_answered_over_tls_and_nothing_without() {
    let pki = Pki::new();
    let registry = Registry::with(config(&pki)).await;
    let user = User::nobody(&pki, &registry);
    assert_eq!(user.register("s", r#""string""#).await, 1);
    for version in [
        reqwest::tls::Version::TLS_1_2,
        reqwest::tls::Version::TLS_1_3,
    ] {
        let http = pki
            .asks()
            .tls_version_min(version)
            .tls_version_max(version)
            .build()
            .unwrap();
        let user = User {
            http,
            ..user.clone()
        };
        assert_eq!(user.ok("GET", "/subjects", None).await[0], "s");
    }
    // Who does not trust the authority is told so by TLS, and who speaks plain HTTP gets none.
    let stranger = reqwest::Client::new().get(&registry.url).send().await;
    assert!(stranger.unwrap_err().is_connect());
    let mut plain = TcpStream::connect(address(&registry)).await.unwrap();
    plain
        .write_all(b"GET /subjects HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said).await;
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
    // A ClientHello that knows TLS 1.1 at most: an alert, fatal, protocol_version.
    let mut old = TcpStream::connect(address(&registry)).await.unwrap();
    let mut hello = vec![1, 0, 0, 53, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 4, 0xc0, 0x13, 0, 0x2f, 1, 0]);
    hello.extend([0, 8, 0, 13, 0, 4, 0, 2, 4, 1]);
    let mut record = vec![22, 3, 1, 0, 57];
    record.extend(&hello);
    old.write_all(&record).await.unwrap();
    let mut said = Vec::new();
    let _ = old.read_to_end(&mut said).await;
    assert_eq!((said[0], said[5], said[6]), (21, 2, 70), "{said:?}");
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_needs_no_restart() {
    let pki = Pki::new();
    let own = pki.server();
    let registry = Registry::with(Config {
        tls: Some(listener(&own)),
        ..config(&pki)
    })
    .await;
    let kept = User::nobody(&pki, &registry);
    kept.ok("GET", "/subjects", None).await;
    // Another authority's: first its certificate, whose key is not there yet, then the key.
    let next = Pki::new();
    let new = next.server();
    let without_key = Pair {
        key: own.key.clone(),
        ..new.clone()
    };
    without_key.replace(&own);
    wait_until("the certificate without its key is seen", || async {
        metric(&registry, UNUSABLE) > 0
    })
    .await;
    User::nobody(&pki, &registry)
        .ok("GET", "/subjects", None)
        .await;
    new.replace(&own);
    wait_until("the new certificate", || async {
        let user = User::nobody(&next, &registry);
        user.request("GET", "/subjects").send().await.is_ok()
    })
    .await;
    let old = User::nobody(&pki, &registry);
    assert!(old.request("GET", "/subjects").send().await.is_err());
    // A connection from before goes on.
    kept.ok("GET", "/subjects", None).await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_is_not_finished_is_ended_at_the_deadline() {
    let pki = Pki::new();
    let config = Config {
        header_timeout: HumanDuration::from_secs(1),
        max_connections: 2,
        ..config(&pki)
    };
    let registry = Registry::with(config).await;
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(address(&registry)).await.unwrap();
        stream.write_all(&[22, 3, 1]).await.unwrap();
        slow.push(stream);
    }
    let start = Instant::now();
    for mut stream in slow {
        let mut said = Vec::new();
        let _ = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut said))
            .await
            .expect("closed by the registry");
    }
    assert!(start.elapsed() < DEADLINE);
    // Their places are free again.
    User::nobody(&pki, &registry)
        .ok("GET", "/subjects", None)
        .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_files_is_said_with_their_names() {
    let pki = Pki::new();
    let own = pki.server();
    let certificate = own.certificate.to_str().unwrap();
    let stranger = Pki::new();
    let other = stranger.server().key;
    let none = pki.dir.path().join("none");
    let text = pki.file("text", "no PEM at all");
    let locked = pki.file(
        "locked",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    type Change<'a> = Box<dyn Fn(&mut TlsConfig) + Send + Sync + 'a>;
    let changes: [(Change<'_>, &[&str]); 6] = [
        (
            Box::new(|tls| tls.certificate_file = none.clone()),
            &[
                "none",
                "registry.service.tls.certificate_file",
                "can't be read",
                "mend the path",
            ],
        ),
        (
            Box::new(|tls| tls.certificate_file = text.clone()),
            &[
                "text",
                "registry.service.tls.certificate_file",
                "BEGIN CERTIFICATE",
            ],
        ),
        (
            Box::new(|tls| tls.key_file = text.clone()),
            &["text", "registry.service.tls.key_file", "openssl pkey"],
        ),
        (
            Box::new(|tls| tls.key_file = locked.clone()),
            &["locked", "registry.service.tls.key_file", "not encrypted"],
        ),
        (
            Box::new(|tls| tls.key_file = other.clone()),
            &[certificate, other.to_str().unwrap(), "openssl x509"],
        ),
        (
            Box::new(|tls| tls.client_ca_file = Some(text.clone())),
            &["text", "registry.service.tls.client_ca_file"],
        ),
    ];
    for (change, said) in changes {
        let mut config = config(&pki);
        change(config.tls.insert(listener(&own)));
        let error = refused(config).await.to_string();
        for word in said {
            assert!(error.contains(word), "{word}: {error}");
        }
    }
}

/// The error that a registry does not start with.
pub(super) async fn refused(config: Config) -> Error {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let context = Context {
        kafka: meshwork_kafka::KafkaConfig::default(),
        data_dir: dir.path().join("registry"),
        readiness: meshwork_telemetry::Readiness::new(),
        metrics: meshwork_telemetry::Metrics::new(),
    };
    let (service, _) = meshwork_registry::Service::new(config, context, listener);
    let stop = tokio_util::sync::CancellationToken::new();
    tokio::time::timeout(DEADLINE, service.run(stop))
        .await
        .expect("it ends at once")
        .expect_err("it is refused")
}
