//! One port for three brokers, told apart by the name that a client asks for.

use kafka_protocol::messages::{ApiKey, MetadataRequest, MetadataResponse, ProduceResponse};
use meshwork_gateway::{Config, TlsConfig};
use meshwork_kafka::{NewTopic, control};
use meshwork_model::topic::ControlTopic;
use meshwork_testkit::{Cluster, Nodes, Pki, registry, secure_kafka, wait_for, wait_until};
use meshwork_wire::Codec;

use crate::entry::connect_tls;
use crate::mesh::Gateway;
use crate::raw::{batch, produce_request};

/// Not leader of this partition.
const NOT_LEADER: i16 = 6;

#[tokio::test]
async fn names_lead_to_their_brokers_at_one_port() {
    let _ = secure_kafka();
    let cluster = Cluster::start(Nodes::Three);
    control::ensure(&cluster.admin(), ControlTopic::Catalog)
        .await
        .unwrap();
    cluster.create_topic(&NewTopic::new("spread", 3)).await;
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::new(dir.path());
    let server = pki.server(&["kafka.example.com", "*.kafka.example.com"]);
    let config = Config {
        tls: Some(TlsConfig {
            certificate_file: server.certificate.clone(),
            key_file: server.key.clone(),
            client_ca_file: None,
            client_certificate_optional: false,
            broker_name: Some("b{node}.kafka.example.com".to_owned()),
        }),
        ..Config::default()
    };
    let gateway = Gateway::start_at(config, registry(), cluster.config()).await;
    let ca = pki.ca_file();
    let (address, port) = (
        &gateway.address,
        gateway.address.rsplit(':').next().unwrap(),
    );

    // Any name bootstraps.
    let metadata = wait_for("three brokers and three leaders", || async {
        let raw = connect_tls(address, "kafka.example.com", &ca, None).await;
        let mut raw = raw.unwrap();
        let asks = MetadataRequest::default().with_topics(None);
        let answer: MetadataResponse = raw.ask(ApiKey::Metadata, 9, &asks).await?;
        let spread = |answer: &MetadataResponse| {
            let topic = answer
                .topics
                .iter()
                .find(|topic| topic.name.as_ref().is_some_and(|name| &***name == "spread"));
            let mut leaders: Vec<i32> = topic?.partitions.iter().map(|p| p.leader_id.0).collect();
            leaders.sort_unstable();
            Some(leaders)
        };
        let complete = answer.brokers.len() == 3 && spread(&answer)? == [1, 2, 3];
        complete.then_some(answer)
    })
    .await;
    for broker in &metadata.brokers {
        let host = format!("b{}.kafka.example.com", broker.node_id.0);
        assert_eq!(&*broker.host, &host);
        assert_eq!(broker.port.to_string(), port);
    }

    let partitions = metadata
        .topics
        .iter()
        .find(|topic| topic.name.as_ref().is_some_and(|name| &***name == "spread"))
        .map(|topic| topic.partitions.clone())
        .unwrap();
    let record = batch(Codec::None, &[b"v".to_vec()]);
    for broker in &metadata.brokers {
        for partition in &partitions {
            let mut asks = produce_request("spread", &record);
            asks.topic_data[0].partition_data[0].index = partition.partition_index;
            // Only the broker that leads takes it, once it has heard that it does.
            let leads = partition.leader_id == broker.node_id;
            let wanted = if leads { 0 } else { NOT_LEADER };
            wait_until("a broker to know what it leads", || async {
                let raw = connect_tls(address, &broker.host, &ca, None).await;
                let answer: Option<ProduceResponse> =
                    raw.unwrap().ask(ApiKey::Produce, 9, &asks).await;
                answer.is_some_and(|a| a.responses[0].partition_responses[0].error_code == wanted)
            })
            .await;
        }
    }
    gateway.stop().await;
}
