//! Certificates of clients.

use meshwork_registry::access::{
    AuthenticationConfig, CertificateConfig, CertificateName, ClientCertificate,
};
use meshwork_registry::{Config, Standing};
use meshwork_testkit::{unique, wait_until};
use serde_json::json;

use super::{Pki, User, by_password, identity};
use crate::harness::{Registry, cluster};

fn config(pki: &Pki, required: ClientCertificate, name: CertificateName) -> Config {
    let mut config = by_password(pki);
    let tls = config.tls.as_mut().unwrap();
    tls.client_ca_file = Some(pki.ca_file());
    tls.client_certificate = required;
    config.authentication = AuthenticationConfig {
        certificate: Some(CertificateConfig { name }),
        instances: vec!["instance".to_owned()],
        ..config.authentication
    };
    config.rules = serde_json::from_value(json!([
        {"principals": ["ann", "CN=ann,O=Acme"], "subjects": "a", "allow": ["read", "write"]},
        {"principals": ["bob"], "subjects": "b", "allow": ["read", "write"]},
        {"principals": ["instance"], "subjects": ":*:", "allow": ["read", "write"]},
    ]))
    .unwrap();
    config
}

/// With the certificate of that name.
fn with(pki: &Pki, registry: &Registry, name: &str) -> User {
    let own = identity(&pki.client(name));
    User {
        http: pki.asks().identity(own).build().unwrap(),
        ..User::nobody(pki, registry)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_certificate_names_the_principal() {
    let pki = Pki::new();
    let registry = Registry::with(config(
        &pki,
        ClientCertificate::Required,
        CertificateName::CommonName,
    ))
    .await;
    let ann = with(&pki, &registry, "ann");
    ann.register("a", r#""string""#).await;
    ann.denied("GET", "/subjects/b/versions", None).await;
    // None, and one of an authority that nobody trusts.
    let none = User::nobody(&pki, &registry);
    assert!(none.request("GET", "/subjects").send().await.is_err());
    let other = Pki::new();
    let own = identity(&other.client("ann"));
    let other = User {
        http: pki.asks().identity(own).build().unwrap(),
        ..none
    };
    assert!(other.request("GET", "/subjects").send().await.is_err());
    // One that is nobody's name.
    let nobody = with(&pki, &registry, "anonymous");
    assert_eq!(nobody.call("GET", "/subjects", None).await.0, 401);
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_may_be_all_of_the_subject() {
    let pki = Pki::new();
    let registry = Registry::with(config(
        &pki,
        ClientCertificate::Required,
        CertificateName::DistinguishedName,
    ))
    .await;
    with(&pki, &registry, "ann")
        .register("a", r#""string""#)
        .await;
    with(&pki, &registry, "bob")
        .denied("GET", "/subjects/b/versions", None)
        .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_one_a_password_does_and_a_password_goes_before_one() {
    let pki = Pki::new();
    let registry = Registry::with(config(
        &pki,
        ClientCertificate::Optional,
        CertificateName::CommonName,
    ))
    .await;
    let nobody = User::nobody(&pki, &registry);
    assert_eq!(nobody.call("GET", "/subjects", None).await.0, 401);
    User::named(&pki, &registry, "bob")
        .register("b", r#""string""#)
        .await;
    let both = User {
        http: with(&pki, &registry, "ann").http,
        ..User::named(&pki, &registry, "bob")
    };
    both.ok("GET", "/subjects/b/versions", None).await;
    both.denied(
        "POST",
        "/subjects/a/versions",
        Some(json!({"schema": "\"int\""})),
    )
    .await;
    registry.stop().await;
}

/// Of instances that know each other: on one topic, each with a certificate of `CN=instance`.
fn instance(pki: &Pki, topic: &str) -> Config {
    let mut config = config(
        pki,
        ClientCertificate::Optional,
        CertificateName::CommonName,
    );
    topic.clone_into(&mut config.topic);
    config.announce_changes = false;
    let own = pki.instance();
    let tls = config.tls.as_mut().unwrap();
    tls.certificate_file = own.certificate;
    tls.key_file = own.key;
    tls.instances_ca_file = Some(pki.ca_file());
    config
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_passes_on_for_whom_it_was_asked() {
    let pki = Pki::new();
    let topic = unique("schemas");
    let writer = Registry::with(instance(&pki, &topic)).await;
    wait_until("the writer", || async {
        writer.handle.standing() == Standing::Writing
    })
    .await;
    let follower = Registry::with(instance(&pki, &topic)).await;
    let following = || async { follower.handle.standing() == Standing::Following };
    wait_until("the follower", following).await;
    let schema = |text: &str| Some(json!({ "schema": text }));
    // By password, by certificate, and by nobody; what each may do, and what not.
    let bob = User::named(&pki, &follower, "bob");
    bob.register("b", r#""string""#).await;
    bob.denied("POST", "/subjects/a/versions", schema(r#""int""#))
        .await;
    let ann = with(&pki, &follower, "ann");
    ann.register("a", r#""string""#).await;
    ann.denied("POST", "/subjects/b/versions", schema(r#""int""#))
        .await;
    let nobody = User::nobody(&pki, &follower);
    let (status, _) = nobody
        .call("POST", "/subjects/a/versions", schema(r#""int""#))
        .await;
    assert_eq!(status, 401);
    // Who asked is in the log, and not the instance that passed it on.
    let actors: Vec<String> = cluster()
        .await
        .read_all(&topic)
        .await
        .iter()
        .filter_map(|record| record.header("meshwork-actor"))
        .map(|actor| String::from_utf8(actor.to_vec()).unwrap())
        .collect();
    for actor in ["basic bob", "certificate ann"] {
        assert!(
            actors.iter().any(|given| given == actor),
            "{actor}: {actors:?}"
        );
    }
    assert!(
        !actors.iter().any(|given| given.contains("instance")),
        "{actors:?}"
    );
    follower.stop().await;
    writer.stop().await;
}

/// What an instance passes on counts as asked by the one it names, and by nobody where it names
/// none; and nobody else can name another.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_asks_for_whom_it_names() {
    let pki = Pki::new();
    let registry = Registry::with(config(
        &pki,
        ClientCertificate::Required,
        CertificateName::CommonName,
    ))
    .await;
    let instance = with(&pki, &registry, "instance");
    let mallory = with(&pki, &registry, "bob");
    let schema = r#"{"schema":"\"string\""}"#;
    for (user, headers, subject, status) in [
        (
            &instance,
            vec![("X-Forward", "true"), ("Meshwork-Principal", "ann")],
            "a",
            200,
        ),
        (
            &instance,
            vec![("X-Forward", "true"), ("Meshwork-Principal", "ann")],
            "b",
            403,
        ),
        (
            &instance,
            vec![("X-Forward", "true"), ("Meshwork-Principal", "anonymous")],
            "a",
            401,
        ),
        (&instance, vec![("X-Forward", "true")], "a", 401),
        (&instance, vec![], "a", 200),
        (
            &mallory,
            vec![("X-Forward", "true"), ("Meshwork-Principal", "ann")],
            "a",
            403,
        ),
        (&mallory, vec![("Meshwork-Principal", "instance")], "a", 403),
    ] {
        let mut request = user
            .request("POST", &format!("/subjects/{subject}/versions"))
            .header("Content-Type", "application/json")
            .body(schema);
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let answered = request.send().await.unwrap().status().as_u16();
        assert_eq!(answered, status, "{headers:?} {subject}");
    }
    registry.stop().await;
}
