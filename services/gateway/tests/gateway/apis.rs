//! Every API and version that the broker offers: what a client is shown, what passes, what closes.

use std::collections::BTreeMap;

use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, DescribeClusterRequest,
    DescribeClusterResponse, FindCoordinatorRequest, FindCoordinatorResponse, MetadataRequest,
    MetadataResponse,
};
use kafka_protocol::protocol::StrBytes;
use meshwork_gateway::Config;
use meshwork_testkit::{kafka, unique};
use meshwork_wire::protocol::ApiKey as Key;

use super::mesh::Gateway;
use super::raw::Raw;

async fn versions(address: &str) -> (BTreeMap<i16, (i16, i16)>, ApiVersionsResponse) {
    let request = ApiVersionsRequest::default()
        .with_client_software_name(StrBytes::from_static_str("raw"))
        .with_client_software_version(StrBytes::from_static_str("1"));
    let mut raw = Raw::connect(address).await;
    let answer: ApiVersionsResponse = raw.ask(ApiKey::ApiVersions, 3, &request).await.unwrap();
    let ranges = answer
        .api_keys
        .iter()
        .map(|k| (k.api_key, (k.min_version, k.max_version)))
        .collect();
    (ranges, answer)
}

#[tokio::test]
async fn what_is_shown_is_what_passes() {
    let gateway = Gateway::start(Config::default()).await;
    let broker = kafka().bootstrap_servers();
    let (offered, direct) = versions(&broker).await;
    let (shown, through) = versions(&gateway.address).await;
    for (key, (least, most)) in &shown {
        let (from, until) = offered[key];
        assert!(from <= *least && *most <= until, "{key} is offered so");
    }
    // Transactions go by these: without them clients fall back to the first protocol.
    assert_eq!(through.finalized_features, direct.finalized_features);
    assert_eq!(through.supported_features, direct.supported_features);
    assert_eq!(shown[&0], (0, 13), "Produce is never capped below 12");
    assert_eq!(shown[&1].1, 15, "Fetch answers above carry addresses");
    assert_eq!(shown[&17], (1, 1));

    // Not to be tried with nonsense: 64 would take a broker out of the cluster.
    let skipped = [Key::UNREGISTER_BROKER, Key::PRODUCE];
    for (key, (from, until)) in &offered {
        let api = Key(*key);
        if skipped.contains(&api) {
            continue;
        }
        // ApiVersions above the known is answered, not closed.
        let beyond = if api == Key::API_VERSIONS { 0 } else { 1 };
        for version in (*from..=*until + beyond).filter(|v| *v >= 0) {
            let passes = shown
                .get(key)
                .is_some_and(|(least, most)| (*least..=*most).contains(&version));
            let header = if api.is_flexible(version) { 2 } else { 1 };
            let mut raw = Raw::connect(&gateway.address).await;
            raw.send_body(*key, version, header, &[0; 256]).await;
            let answer = raw.frame().await;
            if !passes {
                assert_eq!(answer, None, "{} {version} is hidden", api.name());
                continue;
            }
            let mut raw = Raw::connect(&broker).await;
            raw.send_body(*key, version, header, &[0; 256]).await;
            let direct = raw.frame().await;
            assert_eq!(
                answer.is_some(),
                direct.is_some(),
                "{} {version} ends as it does directly",
                api.name()
            );
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_version_from_the_future_is_told_what_is_there() {
    let gateway = Gateway::start(Config::default()).await;
    let mut raw = Raw::connect(&gateway.address).await;
    raw.send_body(18, 9, 2, &[1, 1, 0]).await;
    let frame = raw.frame().await.unwrap();
    // Correlation id, error 35, one entry: ApiVersions 0 to 4.
    assert_eq!(
        frame[..],
        [0, 0, 0, 1, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4]
    );
    // The connection goes on.
    let request = ApiVersionsRequest::default();
    let answer: ApiVersionsResponse = raw.ask(ApiKey::ApiVersions, 0, &request).await.unwrap();
    assert_eq!(answer.error_code, 0);
    gateway.stop().await;
}

#[tokio::test]
async fn no_answer_names_a_brokers_own_address() {
    let gateway = Gateway::start(Config::default()).await;
    let broker_port: i32 = kafka()
        .bootstrap_servers()
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let topic = kafka().topic("seen", 1).await;
    let mut raw = Raw::connect(&gateway.address).await;
    let mut told = Vec::new();
    for version in 0..=13 {
        let request = MetadataRequest::default();
        let answer: MetadataResponse = raw.ask(ApiKey::Metadata, version, &request).await.unwrap();
        told.extend(answer.brokers.iter().map(|b| b.port));
        assert!(version == 0 || answer.topics.iter().all(|t| t.error_code == 0));
    }
    for version in 0..=6 {
        let group = StrBytes::from_string(unique("g"));
        let request = if version < 4 {
            FindCoordinatorRequest::default().with_key(group)
        } else {
            FindCoordinatorRequest::default().with_coordinator_keys(vec![group])
        };
        let answer: FindCoordinatorResponse = raw
            .ask(ApiKey::FindCoordinator, version, &request)
            .await
            .unwrap();
        if version < 4 {
            if answer.error_code == 0 {
                told.push(answer.port);
            }
        } else {
            let found = answer.coordinators.iter().filter(|c| c.error_code == 0);
            told.extend(found.map(|c| c.port));
        }
    }
    for version in 0..=1 {
        let request = DescribeClusterRequest::default();
        let answer: DescribeClusterResponse = raw
            .ask(ApiKey::DescribeCluster, version, &request)
            .await
            .unwrap();
        told.extend(answer.brokers.iter().map(|b| b.port));
    }
    assert!(told.len() >= 14 + 2);
    assert!(
        told.iter().all(|port| *port != broker_port && *port > 0),
        "{told:?}"
    );
    // Where they lead: to the same broker.
    for port in told {
        let mut raw = Raw::connect(&format!("127.0.0.1:{port}")).await;
        let request = MetadataRequest::default().with_topics(None);
        let answer: MetadataResponse = raw.ask(ApiKey::Metadata, 12, &request).await.unwrap();
        assert!(
            answer
                .topics
                .iter()
                .any(|t| t.name.as_ref().is_some_and(|n| ***n == *topic))
        );
    }
    gateway.stop().await;
}
