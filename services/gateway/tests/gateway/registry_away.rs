//! The registry is away: what is known goes on, what is not waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kafka_protocol::messages::ApiKey;
use meshwork_gateway::Config;
use meshwork_kafka::NewTopic;
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_registry_client::{RegistryClient, RegistryClientConfig};
use meshwork_testkit::{kafka, registry, registry_url, wait_until};
use meshwork_wire::Codec;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::mesh::{Gateway, Product};
use super::raw::{Raw, batch, idempotent, produce_request};

/// A way to the registry that can be cut.
struct Way {
    url: String,
    cut: Arc<AtomicBool>,
    torn: Arc<parking_lot::Mutex<CancellationToken>>,
}

impl Way {
    async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let cut = Arc::new(AtomicBool::new(false));
        let torn = Arc::new(parking_lot::Mutex::new(CancellationToken::new()));
        let (is_cut, token) = (Arc::clone(&cut), Arc::clone(&torn));
        tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                if is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                let torn = token.lock().clone();
                tokio::spawn(async move {
                    let to = registry_url().trim_start_matches("http://");
                    let mut registry = TcpStream::connect(to).await.unwrap();
                    tokio::select! {
                        () = torn.cancelled() => {}
                        _ = tokio::io::copy_bidirectional(&mut client, &mut registry) => {}
                    }
                });
            }
        });
        Self { url, cut, torn }
    }

    fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        let mut torn = self.torn.lock();
        torn.cancel();
        *torn = CancellationToken::new();
    }

    fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn known_schemas_go_on_and_unknown_ones_are_put_off() {
    let product = Product::new(EnforcementMode::Reject).await;
    let way = Way::open().await;
    let client = RegistryClient::new(&RegistryClientConfig::new(&way.url)).unwrap();
    let gateway = Gateway::start_with(Config::default(), client).await;
    let mut raw = Raw::connect(&gateway.address).await;
    let good = batch(Codec::None, &[product.flight("a")]);
    assert_eq!(raw.produce(9, product.topic(), &good).await.0, 0);

    let later = r#"{"type":"record","name":"Flight","namespace":"test","fields":[
        {"name":"id","type":"string"},
        {"name":"at","type":{"type":"long","logicalType":"timestamp-millis"}},
        {"name":"gate","type":"string","default":""}]}"#;
    let subject = product.announcement.urn.value_subject();
    let registered = registry()
        .register(&subject, later, &[], false)
        .await
        .unwrap();
    way.cut();
    let mut unknown = super::mesh::framed(registered.id.as_i32(), "b");
    unknown.extend([2, b'7']);
    let unknown = batch(Codec::None, &[unknown]);
    let mut patient = Raw::connect(&gateway.address).await;
    for _ in 0..3 {
        assert_eq!(
            raw.produce(9, product.topic(), &good).await.0,
            0,
            "from the cache"
        );
        let (code, ..) = patient.produce(9, product.topic(), &unknown).await;
        assert_eq!(code, 19, "try later");
    }
    let line = format!(
        "meshwork_gateway_records_refused_total{{topic=\"{}\",reason=\"registry-unavailable\"}}",
        product.topic()
    );
    assert!(gateway.metric(&line) >= 3);
    way.mend();
    wait_until("the schema to be known", || {
        let (address, topic) = (gateway.address.clone(), product.topic().to_owned());
        let unknown = unknown.clone();
        async move {
            Raw::connect(&address)
                .await
                .produce(9, &topic, &unknown)
                .await
                .0
                == 0
        }
    })
    .await;
    assert_eq!(product.log().await.len(), 5);
    gateway.stop().await;
}

#[tokio::test]
async fn until_the_products_are_known_nothing_passes_that_may_be_a_products() {
    let product = Product::new(EnforcementMode::Reject).await;
    let plain = kafka().topic("plain", 1).await;
    let like_a_product = format!("{plain}.made.v1");
    kafka()
        .create_topic(&NewTopic::new(&like_a_product, 1))
        .await;
    let way = Way::open().await;
    // Announcements are Avro, so that none can be read without the registry.
    way.cut();
    let client = RegistryClient::new(&RegistryClientConfig::new(&way.url)).unwrap();
    let gateway = Gateway::begin_at(Config::default(), client, kafka().config()).await;
    let mut raw = Raw::connect(&gateway.address).await;
    let good = batch(Codec::None, &[product.flight("a")]);
    let bad = batch(Codec::None, &[b"junk".to_vec()]);
    assert_eq!(raw.produce(9, product.topic(), &bad).await.0, 19);
    assert_eq!(raw.produce(9, product.topic(), &good).await.0, 19);
    let quarantine = product.announcement.urn.quarantine_topic();
    assert_eq!(raw.produce(9, &quarantine, &bad).await.0, 19);
    let unheard = produce_request(product.topic(), &bad).with_acks(0);
    raw.send(ApiKey::Produce, 9, &unheard).await;
    assert_eq!(raw.produce(9, &plain, &bad).await.0, 0, "no product's name");
    let numbered = |sequence| idempotent(bad.clone(), 7_000_002, 0, sequence);
    let (first, second) = (numbered(0), numbered(1));
    assert_eq!(raw.produce(9, &like_a_product, &first).await.0, 19);
    assert!(gateway.metric("meshwork_gateway_batches_early_total") >= 4);

    way.mend();
    gateway.ready().await;
    assert_eq!(product.log().await.len(), 0);
    assert_eq!(raw.produce(9, product.topic(), &bad).await.0, 87);
    assert_eq!(raw.produce(9, product.topic(), &good).await.0, 0);
    assert_eq!(product.log().await.len(), 1);
    // It was no product after all. A broker that knows nothing of the producer would take any
    // sequence for its first.
    assert_eq!(raw.produce(9, &like_a_product, &second).await.0, 19);
    assert_eq!(
        raw.produce(9, &like_a_product, &first).await,
        (0, 0, vec![])
    );
    assert_eq!(
        raw.produce(9, &like_a_product, &second).await,
        (0, 1, vec![])
    );
    gateway.stop().await;
}
