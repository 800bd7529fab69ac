//! TLS on both sides: certificates of clients, of the gateway, and of the broker.

use std::path::Path;

use kafka_protocol::messages::{ApiKey, MetadataRequest, MetadataResponse};
use meshwork_gateway::{Config, TlsConfig, UpstreamTlsConfig};
use meshwork_kafka::KafkaConfig;
use meshwork_model::mesh::observation::Trust;
use meshwork_testkit::{PASSWORD, Pair, Pki, kafka, registry, secure_kafka, wait_until};
use tokio::io::AsyncReadExt as _;

use crate::entry::{client, connect_tls, deliver, gateway_at, names, observed, product};
use crate::mesh::Gateway;
use crate::raw::Raw;

/// A gateway's certificates, and those of its clients.
struct Certificates {
    pki: Pki,
    server: Pair,
    _dir: tempfile::TempDir,
}

impl Certificates {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::new(dir.path());
        let server = pki.server(&["localhost"]);
        Self {
            pki,
            server,
            _dir: dir,
        }
    }

    fn config(&self) -> TlsConfig {
        TlsConfig {
            certificate_file: self.server.certificate.clone(),
            key_file: self.server.key.clone(),
            client_ca_file: None,
            client_certificate_optional: false,
            broker_name: None,
        }
    }

    /// For clients that show certificates.
    fn mutual(&self, optional: bool) -> TlsConfig {
        TlsConfig {
            client_ca_file: Some(self.pki.ca_file()),
            client_certificate_optional: optional,
            ..self.config()
        }
    }
}

fn with_tls(tls: TlsConfig) -> Config {
    Config {
        tls: Some(tls),
        advertised_host: Some("localhost".to_owned()),
        ..Config::default()
    }
}

/// How stock clients come with TLS.
fn encrypted(gateway: &Gateway, ca: &Path, own: Option<&Pair>) -> KafkaConfig {
    let ca = ca.display().to_string();
    let mut properties = vec![
        ("security.protocol", "ssl"),
        ("ssl.ca.location", &*ca),
        ("broker.address.family", "v4"),
    ];
    let files = own.map(|own| [&own.certificate, &own.key].map(|file| file.display().to_string()));
    if let Some([certificate, key]) = &files {
        properties.push(("ssl.certificate.location", &**certificate));
        properties.push(("ssl.key.location", &**key));
    }
    let mut config = client(gateway, &properties);
    config.bootstrap_servers = gateway.address.replace("127.0.0.1", "localhost");
    config
}

#[tokio::test]
async fn the_subject_of_a_certificate_names_who_shows_it() {
    let product = product().await;
    let certificates = Certificates::new();
    let ca = certificates.pki.ca_file();
    let alice = certificates.pki.client("alice");
    let gateway = Gateway::start_at(
        with_tls(certificates.mutual(false)),
        registry(),
        kafka().config(),
    )
    .await;
    let delivered = deliver(&encrypted(&gateway, &ca, Some(&alice)), &product).await;
    assert!(delivered.is_ok(), "{delivered:?}");
    assert_eq!(names(&product).await, ["CN=alice,O=Acme"]);
    let seen = observed(&product, 1).await;
    assert_eq!(seen, [("CN=alice,O=Acme".to_owned(), Trust::Mtls)]);

    // Nobody comes without, or with one of another authority.
    let elsewhere = Certificates::new();
    let other = elsewhere.pki.client("alice");
    for own in [None, Some(&other)] {
        // By TLS 1.3 a client is done before the server has looked at its certificate.
        if let Ok(mut raw) = connect_tls(&gateway.address, "localhost", &ca, own).await {
            assert!(raw.stream.read_u8().await.is_err());
        }
    }
    wait_until("both refusals to be counted", || async {
        gateway.metric("meshwork_gateway_connections_ended_total{reason=\"handshake\"}") == 2
    })
    .await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_certificate_may_be_optional_and_a_login_counts_for_more() {
    let product = product().await;
    let certificates = Certificates::new();
    let ca = certificates.pki.ca_file();
    let bob = certificates.pki.client("bob");
    let upstream = secure_kafka();
    let mut config = with_tls(certificates.mutual(true));
    let gateway = Gateway::start_at(config.clone(), registry(), kafka().config()).await;
    for own in [Some(&bob), None] {
        let delivered = deliver(&encrypted(&gateway, &ca, own), &product).await;
        assert!(delivered.is_ok(), "{delivered:?}");
    }
    gateway.stop().await;

    // Both sides are encrypted, and the login goes through to the broker.
    config.upstream_tls = Some(UpstreamTlsConfig {
        ca_file: upstream.pki.ca_file(),
        certificate_file: None,
        key_file: None,
    });
    let gateway = gateway_at("SASLTLS", config).await;
    let mut login = encrypted(&gateway, &ca, Some(&bob));
    for (key, value) in [
        ("security.protocol", "sasl_ssl"),
        ("sasl.mechanisms", "PLAIN"),
        ("sasl.username", "alice"),
        ("sasl.password", PASSWORD),
    ] {
        login.properties.insert(key.to_owned(), value.to_owned());
    }
    let delivered = deliver(&login, &product).await;
    assert!(delivered.is_ok(), "{delivered:?}");
    assert_eq!(
        names(&product).await,
        ["CN=bob,O=Acme", "test-app", "alice"]
    );
    gateway.stop().await;
}

#[tokio::test]
async fn the_gateway_shows_the_broker_its_own_certificate() {
    let product = product().await;
    let upstream = secure_kafka();
    let tls = |own: Option<&Pair>| Config {
        upstream_tls: Some(UpstreamTlsConfig {
            ca_file: upstream.pki.ca_file(),
            certificate_file: own.map(|own| own.certificate.clone()),
            key_file: own.map(|own| own.key.clone()),
        }),
        ..Config::default()
    };
    let gateway = gateway_at("TLS", tls(Some(&upstream.pair))).await;
    let delivered = deliver(&client(&gateway, &[]), &product).await;
    assert!(delivered.is_ok(), "{delivered:?}");
    gateway.stop().await;

    // Without one the broker lets nobody in, and the client is told by the end of its connection.
    let gateway = gateway_at("TLS", tls(None)).await;
    let mut raw = Raw::connect(&gateway.address).await;
    let asks = MetadataRequest::default();
    let answer: Option<MetadataResponse> = raw.ask(ApiKey::Metadata, 9, &asks).await;
    assert!(answer.is_none());
    gateway.stop().await;
}

#[tokio::test]
async fn a_certificate_that_was_replaced_is_shown_to_who_comes_next() {
    let _ = product().await;
    let before = Certificates::new();
    let after = Certificates::new();
    let gateway = Gateway::start_at(with_tls(before.config()), registry(), kafka().config()).await;
    let (old, new) = (before.pki.ca_file(), after.pki.ca_file());
    let mut early = connect_tls(&gateway.address, "localhost", &old, None)
        .await
        .unwrap();
    let wrong = connect_tls(&gateway.address, "localhost", &new, None).await;
    assert!(wrong.is_err());
    after.server.replace(&before.server);
    wait_until("the new certificate to be shown", || async {
        let late = connect_tls(&gateway.address, "localhost", &new, None).await;
        late.is_ok()
    })
    .await;
    // Who was there before stays.
    let asks = MetadataRequest::default();
    let answer: Option<MetadataResponse> = early.ask(ApiKey::Metadata, 9, &asks).await;
    assert!(answer.is_some());
    gateway.stop().await;
}
