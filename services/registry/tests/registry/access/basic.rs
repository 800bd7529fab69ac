//! Users and passwords.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use meshwork_registry::Config;
use meshwork_registry::access::{AuthenticationConfig, BasicConfig};
use meshwork_testkit::wait_until;
use serde_json::json;

use super::tls::refused;
use super::{Pki, UNUSABLE, User, by_password, hash, metric, unauthenticated};
use crate::harness::Registry;

const CHALLENGE: &str = r#"Basic realm="registry", charset="UTF-8""#;

#[tokio::test(flavor = "multi_thread")]
async fn only_those_with_a_right_password_are_let_in() {
    let pki = Pki::new();
    let registry = Registry::with(by_password(&pki)).await;
    for name in ["ann", "bob", "apply", "root"] {
        User::named(&pki, &registry, name)
            .ok("GET", "/subjects", None)
            .await;
    }
    let nobody = User::nobody(&pki, &registry);
    // Whatever is asked for, known paths or not.
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/subjects"),
        ("GET", "/schemas/ids/1"),
        ("POST", "/subjects/s/versions"),
        ("DELETE", "/subjects/s"),
        ("GET", "/contexts/c/subjects/s/versions"),
        ("GET", "/none"),
        ("PATCH", "/subjects"),
    ] {
        let response = nobody.request(method, path).send().await.unwrap();
        let message = unauthenticated(response, &[CHALLENGE]).await;
        assert!(message.starts_with("Unauthorized"), "{message}");
    }
    for (name, password) in [
        ("ann", ""),
        ("ann", "bob: with a colon"),
        ("ann", "ann's password "),
        ("Ann", "ann's password"),
        ("", ""),
        ("nobody", "x"),
        ("anonymous", "x"),
    ] {
        let user = User {
            name: Some((name.to_owned(), password.to_owned())),
            ..nobody.clone()
        };
        let response = user.request("GET", "/subjects").send().await.unwrap();
        unauthenticated(response, &[CHALLENGE]).await;
    }
    for value in [
        "Basic",
        "Basic !",
        "Basic YW5u",
        "Bearer x",
        "Digest x",
        "ann",
    ] {
        let request = nobody
            .request("GET", "/subjects")
            .header("Authorization", value);
        unauthenticated(request.send().await.unwrap(), &[CHALLENGE]).await;
    }
    let ann = User::named(&pki, &registry, "ann");
    let twice = ann
        .request("GET", "/subjects")
        .header("Authorization", "Basic YW5uOng=");
    unauthenticated(twice.send().await.unwrap(), &[CHALLENGE]).await;
    // Known to whoever is let in.
    assert_eq!(ann.call("GET", "/none", None).await.0, 404);
    assert_eq!(ann.call("PATCH", "/subjects", None).await.0, 404);
    assert_eq!(ann.register("s", r#""string""#).await, 1);
    assert!(
        metric(
            &registry,
            r#"meshwork_registry_requests_refused_total{outcome="unauthenticated"}"#
        ) > 20
    );
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_anonymous_are_let_in_where_it_says_so_and_the_wrong_are_not() {
    let pki = Pki::new();
    let mut config = by_password(&pki);
    config.authentication.allow_anonymous = true;
    let registry = Registry::with(config).await;
    let nobody = User::nobody(&pki, &registry);
    nobody.ok("GET", "/subjects", None).await;
    let wrong = User {
        name: Some(("ann".to_owned(), "x".to_owned())),
        ..nobody
    };
    let response = wrong.request("GET", "/subjects").send().await.unwrap();
    unauthenticated(response, &[CHALLENGE]).await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_holds_without_a_restart_and_the_old_one_ends() {
    let pki = Pki::new();
    let mut config = by_password(&pki);
    config.authentication.reload_interval = meshwork_model::units::HumanDuration::from_secs(1);
    let registry = Registry::with(config).await;
    let old = User::named(&pki, &registry, "ann");
    old.ok("GET", "/subjects", None).await;
    // Half-written nonsense changes nothing.
    pki.file("users", "ann:nonsense");
    wait_until("the nonsense is seen", || async {
        metric(&registry, UNUSABLE) > 0
    })
    .await;
    old.ok("GET", "/subjects", None).await;
    pki.file("users", &format!("ann:{}", hash("new", false)));
    let new = User {
        name: Some(("ann".to_owned(), "new".to_owned())),
        ..old.clone()
    };
    wait_until("the new password", || async {
        new.call("GET", "/subjects", None).await.0 == 200
    })
    .await;
    // Though it was right a moment ago, and remembered.
    assert_eq!(old.call("GET", "/subjects", None).await.0, 401);
    registry.stop().await;
}

/// Hashes that take tens of milliseconds, and those who guess at them: who was let in before is
/// answered as ever, and who guesses gets 401 or 503, never in.
#[tokio::test(flavor = "multi_thread")]
async fn guessing_does_not_keep_out_who_is_known() {
    let pki = Pki::new();
    let dear = |password: &str| bcrypt::hash(password, 10).unwrap();
    let file = pki.file("dear", &format!("ann:{}\nbob:{}", dear("a"), dear("b")));
    let config = Config {
        authentication: AuthenticationConfig {
            basic: Some(BasicConfig {
                users_file: file,
                checks_at_once: 1,
            }),
            ..AuthenticationConfig::default()
        },
        ..by_password(&pki)
    };
    let registry = Registry::with(config).await;
    let nobody = User::nobody(&pki, &registry);
    let ann = User {
        name: Some(("ann".to_owned(), "a".to_owned())),
        ..nobody.clone()
    };
    ann.ok("GET", "/subjects", None).await;
    let stop = Arc::new(AtomicBool::new(false));
    let guessing: Vec<_> = (0..32)
        .map(|worker| {
            let (stop, nobody) = (Arc::clone(&stop), nobody.clone());
            tokio::spawn(async move {
                let mut guesses = 0u32;
                while !stop.load(Ordering::Relaxed) {
                    guesses += 1;
                    let names = ["ann", "nobody", "somebody"];
                    let name = names[usize::try_from(worker).unwrap() % names.len()];
                    let user = User {
                        name: Some((name.to_owned(), format!("{worker} {guesses}"))),
                        ..nobody.clone()
                    };
                    let (status, _) = user.call("GET", "/subjects", None).await;
                    assert!(matches!(status, 401 | 503), "{status}");
                }
            })
        })
        .collect();
    // Known: never refused. Not known yet, and guessed at by nobody: gets its turn.
    for _ in 0..200 {
        ann.ok("GET", "/subjects", None).await;
    }
    let bob = User {
        name: Some(("bob".to_owned(), "b".to_owned())),
        ..nobody
    };
    wait_until("bob's turn", || async {
        bob.call("GET", "/subjects", None).await.0 == 200
    })
    .await;
    for _ in 0..200 {
        bob.ok("GET", "/subjects", None).await;
        ann.ok("GET", "/subjects", None).await;
    }
    stop.store(true, Ordering::Relaxed);
    for task in guessing {
        task.await.unwrap();
    }
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_first_requests_of_one_user_are_all_let_in() {
    let pki = Pki::new();
    let dear = bcrypt::hash("a", 10).unwrap();
    let mut config = by_password(&pki);
    config.authentication.basic = Some(BasicConfig {
        users_file: pki.file("dear", &format!("ann:{dear}")),
        checks_at_once: 1,
    });
    let registry = Registry::with(config).await;
    let ann = User {
        name: Some(("ann".to_owned(), "a".to_owned())),
        ..User::nobody(&pki, &registry)
    };
    // At 50 ms and more for each, they would not all get their turn within the longest wait.
    let first: Vec<_> = (0..200)
        .map(|_| {
            let ann = ann.clone();
            tokio::spawn(async move { ann.call("GET", "/subjects", None).await.0 })
        })
        .collect();
    for one in first {
        assert_eq!(one.await.unwrap(), 200);
    }
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_do_not_go_together_are_refused_at_the_start() {
    let pki = Pki::new();
    let none = || AuthenticationConfig::default();
    let parsed = |what: serde_json::Value| -> Config { serde_json::from_value(what).unwrap() };
    let users = pki.users().users_file;
    let broken = pki.file("broken", "ann:secret");
    for (config, said) in [
        (
            parsed(json!({"rules": [{"principals": ["a"], "subjects": "s", "allow": ["read"]}]})),
            "registry.service.rules: rules need principals",
        ),
        (
            parsed(json!({"reserved": [{"prefix": "s", "principals": ["a"]}]})),
            "registry.service.reserved: subjects are kept for principals",
        ),
        (
            parsed(json!({"authentication": {"certificate": {}}})),
            "set registry.service.tls.client_ca_file",
        ),
        (
            parsed(json!({"authentication": {"basic": {"users_file": "/none"}}})),
            "/none (registry.service.authentication.basic.users_file) can't be read",
        ),
        (
            parsed(json!({"authentication": {"basic": {"users_file": broken}}})),
            "line 1: user ann: it is neither a bcrypt",
        ),
        (
            parsed(json!({
                "authentication": {"basic": {"users_file": users}},
                "rules": [{"principals": [], "subjects": "s", "allow": ["read"]}],
            })),
            "allows nobody anything",
        ),
        (
            parsed(json!({"authentication": {"bearer": {
                "issuer": "", "audiences": ["a"], "keys_file": "x",
            }}})),
            "issuer and audiences must be set",
        ),
        (
            parsed(json!({"authentication": {"bearer": {"issuer": "i", "audiences": ["a"]}}})),
            "one of keys_file and keys_url",
        ),
        (
            parsed(json!({"authentication": {"bearer": {
                "issuer": "i", "audiences": ["a"], "keys_url": "http://idp.example/keys",
            }}})),
            "neither https nor http on this machine",
        ),
        (
            parsed(json!({"authentication": {"bearer": {
                "issuer": "i", "audiences": ["a"], "keys_file": users,
            }}})),
            "it is no JSON Web Key Set",
        ),
    ] {
        let error = refused(config).await.to_string();
        assert!(error.contains(said), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
    assert!(!none().is_configured());
    for text in [
        r#"{"rules":[{"principals":["a"],"subjects":"orders-*","allow":["read"]}]}"#,
        r#"{"rules":[{"principals":["a"],"subjects":"s","allow":["reed"]}]}"#,
        r#"{"authentication":{"basci":{}}}"#,
    ] {
        assert!(serde_json::from_str::<Config>(text).is_err(), "{text}");
    }
}
