//! Logins of stock clients pass through, and name them.

use meshwork_gateway::Config;
use meshwork_model::mesh::observation::Trust;
use meshwork_testkit::PASSWORD;

use crate::entry::{client, deliver, gateway_at, names, observed, product};
use crate::scram;

/// Of a stock client.
type Properties<'p> = &'p [(&'p str, &'p str)];

#[tokio::test]
async fn each_mechanism_names_who_logs_in() {
    let product = product().await;
    let odd = "ann, of a=b";
    scram::upsert(odd).await;
    let gateway = gateway_at("SASL", Config::default()).await;
    let logins: [(&str, &str, Properties<'_>); 4] = [
        ("PLAIN", "alice", &[("sasl.username", "alice")]),
        ("SCRAM-SHA-256", odd, &[("sasl.username", odd)]),
        ("SCRAM-SHA-512", odd, &[("sasl.username", odd)]),
        (
            "OAUTHBEARER",
            "otto",
            &[
                ("enable.sasl.oauthbearer.unsecure.jwt", "true"),
                ("sasl.oauthbearer.config", "principal=otto"),
            ],
        ),
    ];
    for (mechanism, _, more) in logins {
        let mut properties = vec![
            ("security.protocol", "sasl_plaintext"),
            ("sasl.mechanisms", mechanism),
        ];
        if mechanism != "OAUTHBEARER" {
            properties.push(("sasl.password", PASSWORD));
        }
        properties.extend(more);
        let delivered = deliver(&client(&gateway, &properties), &product).await;
        assert!(delivered.is_ok(), "{mechanism}: {delivered:?}");
    }
    assert_eq!(names(&product).await, ["alice", odd, odd, "otto"]);
    let mut seen = observed(&product, 4).await;
    seen.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = ["alice", odd, "otto"].map(|name| (name.to_owned(), Trust::Principal));
    assert_eq!(seen, expected);
    gateway.stop().await;
}
