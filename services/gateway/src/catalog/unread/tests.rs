use std::sync::Arc;

use meshwork_kafka::{InRecord, Trouble};
use meshwork_model::mesh::announcement::ProductStatus;
use meshwork_model::name::SchemaId;
use meshwork_registry_client::{MeshWriter, RegistryClient, RegistryClientConfig};

use super::*;
use crate::products::tests::announcement;

const URN: &str = "urn:meshwork:sales:orders:v1";

fn id(id: i64) -> SchemaId {
    SchemaId::new(id).unwrap()
}

/// One whose registry nobody finds.
fn decoder() -> MeshReader<ProductAnnouncement> {
    let config = RegistryClientConfig {
        retries: 0,
        ..RegistryClientConfig::new("http://127.0.0.1:1")
    };
    let decoder = MeshReader::new(RegistryClient::new(&config).unwrap());
    decoder.know(id(1)).unwrap();
    decoder
}

fn announced(status: ProductStatus) -> ProductAnnouncement {
    ProductAnnouncement {
        status,
        ..announcement("at")
    }
}

fn framed(announcement: &ProductAnnouncement, schema: i64) -> Vec<u8> {
    let writer = MeshWriter::<ProductAnnouncement>::with_id(id(schema)).unwrap();
    writer.encode(announcement).unwrap()
}

fn read(key: &str, values: &[Option<Vec<u8>>], caught_up: bool) -> ReadBatch {
    let record = |value: &Option<Vec<u8>>| InRecord {
        topic: Arc::from("mesh.catalog"),
        partition: 0,
        offset: 0,
        timestamp: None,
        key: Some(Bytes::copy_from_slice(key.as_bytes())),
        value: value.clone().map(Bytes::from),
        headers: Vec::new(),
    };
    ReadBatch {
        records: values.iter().map(record).collect(),
        caught_up,
        ..ReadBatch::default()
    }
}

fn news(of: News) -> Vec<(Urn, News)> {
    vec![(URN.parse().unwrap(), of)]
}

fn is(status: ProductStatus) -> Vec<(Urn, News)> {
    news(News::Announced(Box::new(announced(status))))
}

#[test]
fn nothing_counts_before_the_end_was_reached_and_then_only_what_came_last() {
    let decoder = decoder();
    let (active, retired) = (ProductStatus::Active, ProductStatus::Retired);
    let some = |status| Some(framed(&announced(status), 1));
    let mut unread = Unread::default();
    assert!(!unread.take(read(URN, &[some(active)], false)));
    assert!(!unread.take(ReadBatch::default()));
    // What is the end can't be known while no broker is there.
    let no_broker = ReadBatch {
        caught_up: true,
        trouble: Some(Trouble {
            since: std::time::Instant::now(),
            said: String::new(),
        }),
        ..ReadBatch::default()
    };
    assert!(!unread.take(no_broker));
    assert!(unread.take(read(URN, &[some(retired)], true)));
    assert_eq!(unread.decide(&decoder), is(retired));
    assert!(unread.is_empty());
    assert!(!unread.take(read(URN, &[], true)), "nothing new");
    // From then on it is followed as it comes.
    assert!(unread.take(read(URN, &[some(retired), some(active)], true)));
    assert_eq!(unread.decide(&decoder), is(active));
    assert!(unread.take(read(URN, &[some(retired), None], false)));
    assert_eq!(unread.decide(&decoder), news(News::Withdrawn));
}

#[test]
fn what_can_not_be_read_is_said_to_be_so_and_its_key_tells_of_which_product() {
    let decoder = decoder();
    let mut unread = Unread::default();
    let good = framed(&announced(ProductStatus::Active), 1);
    for bad in [
        b"junk".to_vec(),
        good[..20].to_vec(),
        framed(
            &ProductAnnouncement {
                urn: "urn:meshwork:sales:others:v1".parse().unwrap(),
                ..announced(ProductStatus::Active)
            },
            1,
        ),
    ] {
        assert!(unread.take(read(URN, &[Some(good.clone()), Some(bad)], true)));
        assert_eq!(unread.decide(&decoder), news(News::Unread));
        assert!(unread.is_empty(), "no asking helps");
    }
    assert!(unread.take(read("no urn", &[Some(good)], true)));
    assert_eq!(unread.decide(&decoder), []);
}

#[tokio::test]
async fn what_lacks_its_schema_is_kept_until_that_is_there() {
    let (decoder, refusals) = (decoder(), Refusals::default());
    let mut unread = Unread::default();
    let active = ProductStatus::Active;
    let value = framed(&announced(active), 2);
    assert!(unread.take(read(URN, &[Some(value)], true)));
    for _ in 0..2 {
        assert_eq!(unread.decide(&decoder), news(News::Unread));
        assert!(!unread.is_empty());
        assert!(!unread.ask(&decoder, &refusals).await, "no registry");
    }
    decoder.know(id(2)).unwrap();
    assert!(unread.ask(&decoder, &refusals).await);
    assert_eq!(unread.decide(&decoder), is(active));
    assert!(unread.is_empty());
}
