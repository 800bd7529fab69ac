//! Quarantine does not take what has to be taken out: it may not be written, or nobody knows whether
//! it was.

use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::{
    ApiKey, CreateAclsRequest, CreateAclsResponse, DeleteAclsRequest, DeleteAclsResponse,
    InitProducerIdRequest, InitProducerIdResponse, SaslAuthenticateRequest,
    SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::StrBytes;
use meshwork_gateway::Config;
use meshwork_kafka::{Producer, ProducerOptions};
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_testkit::{PASSWORD, kafka, registry, wait_until};
use meshwork_wire::Codec;

use crate::leaders::{address_of, another_than, direct, in_sync, lead, leader};
use crate::links::{behind_links, impatient};
use crate::mesh::{Gateway, Product, followed};
use crate::oracle::Writing;
use crate::raw::{Raw, batch, idempotent};
use crate::{blocking, turn};

const TRY_LATER: i16 = 19;

/// Batches that were put off because of a product's quarantine.
fn put_off(gateway: &Gateway, product: &Product) -> u64 {
    let topic = product.topic();
    let line = format!("meshwork_gateway_quarantine_failed_total{{topic=\"{topic}\"}}");
    gateway.metric(&line)
}

async fn until_put_off(gateway: &Gateway, product: &Product) {
    let before = put_off(gateway, product);
    wait_until("batches to be put off", || async {
        put_off(gateway, product) > before
    })
    .await;
}

/// Waits until another client's batches are put off too: each broker comes to know of a rule in its
/// own time. What this sends is all bad, so that nothing of it gets into the product's log.
async fn until_put_off_for_others(address: &str, product: &Product) {
    let bad = batch(Codec::None, &[b"bad".to_vec()]);
    wait_until("another client's batches to be put off", || async {
        let mut raw = Raw::connect(address).await;
        log_in(&mut raw).await;
        raw.produce(9, product.topic(), &bad).await.0 == TRY_LATER
    })
    .await;
}

/// A product with a quarantine, which is there.
async fn quarantined(gateway: &Gateway) -> (Product, String) {
    let product = Product::new(EnforcementMode::Quarantine).await;
    followed(gateway, &product).await;
    let topic = product.announcement.urn.quarantine_topic();
    in_sync(3, &topic).await;
    (product, topic)
}

/// Operations that rules are about (`AclOperation.java`).
const READ: i8 = 3;
const WRITE: i8 = 4;

/// The gateway's rights on a topic: all but this operation.
async fn deny(topic: &str, operation: i8) {
    const ALLOW_ALL: (i8, i8) = (2, 3);
    const DENY: i8 = 2;
    let rules = [ALLOW_ALL, (operation, DENY)].map(|(operation, permission)| {
        AclCreation::default()
            .with_resource_type(2)
            .with_resource_name(StrBytes::from_string(topic.to_owned()))
            .with_resource_pattern_type(3)
            .with_principal(StrBytes::from_static_str("User:mesh"))
            .with_host(StrBytes::from_static_str("*"))
            .with_operation(operation)
            .with_permission_type(permission)
    });
    let asks = CreateAclsRequest::default().with_creations(rules.to_vec());
    let mut raw = direct().await;
    let answer: CreateAclsResponse = raw.ask(ApiKey::CreateAcls, 2, &asks).await.unwrap();
    assert!(answer.results.iter().all(|r| r.error_code == 0));
}

/// Takes all rules from a topic.
async fn allow(topic: &str) {
    let filter = DeleteAclsFilter::default()
        .with_resource_type_filter(2)
        .with_resource_name_filter(Some(StrBytes::from_string(topic.to_owned())))
        .with_pattern_type_filter(3)
        .with_principal_filter(None)
        .with_host_filter(None)
        .with_operation(1)
        .with_permission_type(1);
    let asks = DeleteAclsRequest::default().with_filters(vec![filter]);
    let mut raw = direct().await;
    let answer: DeleteAclsResponse = raw.ask(ApiKey::DeleteAcls, 2, &asks).await.unwrap();
    assert_eq!(answer.filter_results[0].error_code, 0);
    assert_eq!(answer.filter_results[0].matching_acls.len(), 2);
}

async fn log_in(raw: &mut Raw) {
    let mechanism = StrBytes::from_static_str("PLAIN");
    let asks = SaslHandshakeRequest::default().with_mechanism(mechanism);
    let answer: SaslHandshakeResponse = raw.ask(ApiKey::SaslHandshake, 1, &asks).await.unwrap();
    assert_eq!(answer.error_code, 0);
    let token = format!("\0alice\0{PASSWORD}").into_bytes();
    let asks = SaslAuthenticateRequest::default().with_auth_bytes(token.into());
    let answer: SaslAuthenticateResponse =
        raw.ask(ApiKey::SaslAuthenticate, 2, &asks).await.unwrap();
    assert_eq!(answer.error_code, 0);
}

/// A batch with something to be taken out is put off, and one without goes on.
async fn one_is_put_off(raw: &mut Raw, product: &Product) {
    let mixed = [product.flight("g1"), b"bad".to_vec()];
    let mixed = batch(Codec::None, &mixed);
    assert_eq!(raw.produce(9, product.topic(), &mixed).await.0, TRY_LATER);
    let good = batch(Codec::None, &[product.flight("g2")]);
    assert_eq!(raw.produce(9, product.topic(), &good).await.0, 0);
    let log = product.log().await;
    let there: Vec<_> = log
        .iter()
        .map(|r| r.value.clone().unwrap().to_vec())
        .collect();
    assert_eq!(there, [product.flight("g2")]);
}

#[tokio::test]
async fn where_the_gateway_may_not_write_batches_are_put_off() {
    let turn = turn().await;
    let brokers = turn.linked.login("mesh");
    let gateway = Gateway::start_at(Config::default(), registry(), brokers).await;
    let (product, quarantine) = quarantined(&gateway).await;
    let (other, others_quarantine) = quarantined(&gateway).await;
    let mut config = gateway.kafka();
    let login = turn.linked.login("alice");
    config.properties = login.properties;
    let producer = Producer::new(&config, &ProducerOptions::default()).unwrap();
    let writing = Writing::start_mixed(&product, producer);
    writing.goes_on(300).await;
    for topic in [&quarantine, &others_quarantine] {
        deny(topic, WRITE).await;
    }
    until_put_off(&gateway, &product).await;
    let of_leader = address_of_leader(&gateway, other.topic()).await;
    until_put_off_for_others(&of_leader, &other).await;
    let mut raw = Raw::connect(&of_leader).await;
    log_in(&mut raw).await;
    one_is_put_off(&mut raw, &other).await;
    for topic in [&quarantine, &others_quarantine] {
        allow(topic).await;
    }
    writing.goes_on(300).await;
    writing.compare().await;
    drop(raw);
    gateway.stop().await;
}

/// Where clients find the node that leads a topic, at a gateway whose clients have to log in.
async fn address_of_leader(gateway: &Gateway, topic: &str) -> String {
    use kafka_protocol::messages::{MetadataRequest, MetadataResponse};
    let node = i32::from(leader(topic).await);
    let mut raw = Raw::connect(&gateway.address).await;
    log_in(&mut raw).await;
    let asks = MetadataRequest::default();
    let answer: MetadataResponse = raw.ask(ApiKey::Metadata, 9, &asks).await.unwrap();
    let broker = answer.brokers.iter().find(|b| b.node_id.0 == node).unwrap();
    format!("{}:{}", &*broker.host, broker.port)
}

/// What a producer is told that comes for the first time, of a batch of which something is to be taken
/// out.
async fn newcomer(gateway: &Gateway, product: &Product) -> i16 {
    let asks = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(60_000)
        .with_producer_id((-1).into())
        .with_producer_epoch(-1);
    let mut raw = direct().await;
    let answer: InitProducerIdResponse = raw.ask(ApiKey::InitProducerId, 4, &asks).await.unwrap();
    let mixed = batch(Codec::None, &[product.flight("g"), b"bad".to_vec()]);
    let (id, epoch) = (answer.producer_id.0, answer.producer_epoch);
    let mut raw = Raw::connect(&address_of_leader(gateway, product.topic()).await).await;
    log_in(&mut raw).await;
    let mixed = idempotent(mixed, id, epoch, 0);
    raw.produce(9, product.topic(), &mixed).await.0
}

#[tokio::test]
async fn where_one_quarantine_may_not_be_read_the_producers_of_others_go_on() {
    let turn = turn().await;
    let brokers = turn.linked.login("mesh");
    let gateway = Gateway::start_at(Config::default(), registry(), brokers).await;
    let (product, quarantine) = quarantined(&gateway).await;
    let (other, _) = quarantined(&gateway).await;
    deny(&quarantine, READ).await;
    wait_until("a new producer to be put off", || async {
        newcomer(&gateway, &product).await == TRY_LATER
    })
    .await;
    wait_until("a new producer of another product", || async {
        newcomer(&gateway, &other).await == 0
    })
    .await;
    allow(&quarantine).await;
    wait_until("quarantine to be followed again", || async {
        newcomer(&gateway, &product).await == 0
    })
    .await;
    gateway.stop().await;
}

#[tokio::test]
async fn where_nobody_knows_whether_it_was_written_nothing_is_lost_or_doubled() {
    let turn = turn().await;
    let gateway = behind_links(&turn).await;
    let (product, quarantine) = quarantined(&gateway).await;
    let (other, others_quarantine) = quarantined(&gateway).await;
    for topic in [product.topic(), other.topic()] {
        lead(topic, &[1, 2, 3]).await;
    }
    for topic in [&quarantine, &others_quarantine] {
        lead(topic, &[2, 3, 1]).await;
    }
    let writing = Writing::start_mixed(&product, impatient(&gateway, 8_000));
    writing.goes_on(300).await;
    // What is on its way there stays on its way, and comes when nobody waits for it any more.
    let link = turn.linked.link(2);
    assert!(link.connections() > 0);
    link.hold();
    until_put_off(&gateway, &product).await;
    let mut raw = Raw::connect(&address_of(&gateway, 1).await).await;
    one_is_put_off(&mut raw, &other).await;
    link.mend();
    writing.goes_on(300).await;

    // And it is lost.
    link.cut();
    until_put_off(&gateway, &product).await;
    link.mend();
    writing.goes_on(300).await;

    // And its leader dies.
    blocking(|| kafka().dev().kill(2).unwrap()).await;
    another_than(2, &quarantine).await;
    writing.goes_on(300).await;
    blocking(|| kafka().dev().start_node(2).unwrap()).await;
    in_sync(3, &quarantine).await;
    writing.goes_on(300).await;
    writing.compare().await;
    gateway.stop().await;
}
