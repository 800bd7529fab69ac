//! Our own client, in every way that a registry lets somebody in.

use meshwork_registry::Config;
use meshwork_registry::access::{CertificateConfig, CertificateName, ClientCertificate};
use meshwork_registry_client::{RegistryClient, RegistryClientConfig, RegistryClientError};
use meshwork_testkit::unique;
use serde_json::{Value, json};

use super::{Pki, by_password, our_client};
use crate::harness::{Registry, record};
use crate::signer::Signer;

/// What is in the client's part of a configuration file, and trusting the authority.
fn config_of(pki: &Pki, registry: &Registry, more: &Value) -> RegistryClientConfig {
    let mut config = json!({
        "urls": [registry.url],
        "ca_file": pki.ca_file(),
        "retries": 0,
    });
    let more = more.as_object().unwrap().clone();
    config.as_object_mut().unwrap().extend(more);
    serde_json::from_value(config).unwrap()
}

fn client(pki: &Pki, registry: &Registry, more: &Value) -> RegistryClient {
    RegistryClient::new(&config_of(pki, registry, more)).unwrap()
}

/// That a client is refused, with this code and a word of why.
async fn refused(client: &RegistryClient, wanted: u32, why: &str) {
    let error = client.subjects().await.unwrap_err();
    assert!(
        matches!(&error, RegistryClientError::Refused { code, .. } if *code == wanted),
        "{error:?}"
    );
    assert!(error.to_string().contains(why), "{error}");
}

/// That there is no connection, and that a word says why.
async fn unreachable(client: &RegistryClient, why: &str) {
    let error = client.subjects().await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    let text = error.to_string().to_lowercase();
    assert!(text.contains(why), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn by_user_and_password_over_tls() {
    let pki = Pki::new();
    let registry = Registry::with(Config {
        reserved: serde_json::from_value(json!([
            {"prefix": "operations.", "principals": ["apply"]},
        ]))
        .unwrap(),
        ..by_password(&pki)
    })
    .await;
    let text = record("R", r#"{"name":"f","type":"int"}"#);
    let [apply, ann] = ["apply", "ann"].map(|name| our_client(&pki, &registry, name));
    let register = async |client: &RegistryClient, subject: &str| {
        client.register(subject, &text, &[], false).await
    };
    let stored = register(&apply, "operations.x").await.unwrap();
    assert_eq!(register(&ann, "operations.x").await.unwrap(), stored);
    let error = register(&ann, "operations.y").await.unwrap_err();
    assert!(
        matches!(&error, RegistryClientError::Refused { code: 42_205, .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("`meshwork product apply`"),
        "{error}"
    );

    // In the URL.
    let mut config = config_of(&pki, &registry, &json!({}));
    config.urls = vec![registry.url.replace("://", "://root:root@")];
    let root = RegistryClient::new(&config).unwrap();
    assert!(
        root.subjects()
            .await
            .unwrap()
            .contains(&"operations.x".to_owned())
    );

    refused(
        &client(&pki, &registry, &json!({})),
        401,
        "nothing shows who asks",
    )
    .await;
    let wrong = json!({"user": "ann", "password": "guessed"});
    refused(&client(&pki, &registry, &wrong), 401, "password is wrong").await;
    // An authority that is not the registry's.
    let other = Pki::new();
    let astray = json!({"ca_file": other.ca_file(), "user": "root", "password": "root"});
    unreachable(&client(&pki, &registry, &astray), "certificate").await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_token() {
    let pki = Pki::new();
    let signer = Signer::es256();
    let keys = json!({ "keys": [signer.jwk("1")] }).to_string();
    let registry = Registry::with(Config {
        topic: unique("schemas"),
        tls: Some(pki.tls()),
        authentication: serde_json::from_value(json!({"bearer": {
            "issuer": "https://idp.example",
            "audiences": ["registry"],
            "keys_file": pki.file("keys.json", &keys),
        }}))
        .unwrap(),
        ..Config::default()
    })
    .await;
    let token = |audience: &str| {
        let claims = super::bearer::claims("ann");
        let claims =
            json!({"aud": audience, "iss": claims["iss"], "sub": "ann", "exp": claims["exp"]});
        json!({"bearer_token": signer.token("1", &claims), "user": "of no effect"})
    };
    let ann = client(&pki, &registry, &token("registry"));
    let stored = ann.register("s", "\"string\"", &[], false).await.unwrap();
    assert_eq!(&*ann.schema(stored.id).await.unwrap().text, "\"string\"");
    refused(&client(&pki, &registry, &token("other")), 401, "the token").await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_certificate() {
    let pki = Pki::new();
    let mut config = by_password(&pki);
    let tls = config.tls.as_mut().unwrap();
    tls.client_ca_file = Some(pki.ca_file());
    tls.client_certificate = ClientCertificate::Required;
    config.authentication.basic = None;
    config.authentication.certificate = Some(CertificateConfig {
        name: CertificateName::CommonName,
    });
    config.rules = serde_json::from_value(json!([
        {"principals": ["ann"], "subjects": "ann.", "allow": ["read", "write"]},
    ]))
    .unwrap();
    let registry = Registry::with(config).await;
    // Two files of the certificate and its key.
    let files = |pki: &Pki, name: &str| {
        let own = pki.client(name);
        json!({ "certificate_file": own.certificate, "key_file": own.key })
    };
    let shown = files(&pki, "ann");
    let ann = client(&pki, &registry, &shown);
    let stored = ann
        .register("ann.x", "\"string\"", &[], false)
        .await
        .unwrap();
    assert!(ann.belongs("ann.x", stored.id).await.unwrap());
    let error = ann
        .register("bob.x", "\"string\"", &[], false)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, RegistryClientError::Refused { code: 40_301, .. }),
        "{error}"
    );
    let bob = files(&pki, "bob");
    assert_eq!(
        client(&pki, &registry, &bob).subjects().await.unwrap(),
        Vec::<String>::new()
    );
    // None, and one of an authority that the registry does not trust.
    unreachable(&client(&pki, &registry, &json!({})), "certificate").await;
    let other = Pki::new();
    let stranger = files(&other, "ann");
    unreachable(&client(&pki, &registry, &stranger), "unknownca").await;

    // Files that are of no use are named before anything is asked.
    let nonsense = pki.file(
        "nonsense.key",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    );
    let encrypted = pki.file(
        "encrypted.key",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    for (key, said) in [
        (bob["key_file"].clone(), "openssl x509"),
        (json!(nonsense), "TLS can't use"),
        (json!(encrypted), "not encrypted"),
        (
            shown["certificate_file"].clone(),
            "no private key can be read from it",
        ),
    ] {
        let files = json!({"certificate_file": shown["certificate_file"], "key_file": key});
        let error = RegistryClient::new(&config_of(&pki, &registry, &files))
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains(said), "{error}");
        assert!(error.contains(key.as_str().unwrap()), "{error}");
    }
    registry.stop().await;
}
