//! Clients in Rust: ours and schema_registry_converter.

use apache_avro::types::Value as AvroValue;
use meshwork_model::mesh::ProductChange;
use meshwork_model::mesh::change::{Change, SchemaChange, StatusChange};
use meshwork_model::name::SchemaId;
use meshwork_model::time::Timestamp;
use meshwork_registry_client::{
    MeshError, MeshReader, MeshWriter, RegistryClient, RegistryClientConfig, RegistryClientError,
    unframe,
};
use schema_registry_converter::async_impl::avro::{AvroDecoder, AvroEncoder};
use schema_registry_converter::async_impl::schema_registry::SrSettings;
use schema_registry_converter::avro_common::get_supplied_schema;
use schema_registry_converter::schema_registry_common::SubjectNameStrategy;
use serde_json::json;

use crate::harness::{Registry, record};

#[tokio::test(flavor = "multi_thread")]
async fn our_client_finds_registers_and_remembers() {
    let registry = Registry::start().await;
    let client = registry.client();
    let one = record("R", r#"{"name":"a","type":"string"}"#);
    let two = record(
        "R",
        r#"{"name":"a","type":"string"},{"name":"b","type":"int","default":1}"#,
    );
    let bad = record("R", r#"{"name":"c","type":"string"}"#);

    assert_eq!(client.latest("s").await.unwrap(), None);
    assert_eq!(client.versions("s").await.unwrap(), Vec::<i32>::new());
    assert_eq!(client.look_up("s", &one).await.unwrap(), None);
    let first = client.register("s", &one, &[], false).await.unwrap();
    assert_eq!((first.version, first.id.get()), (1, 1));
    assert_eq!(client.register("s", &one, &[], false).await.unwrap(), first);
    assert_eq!(
        client.look_up("s", &one).await.unwrap(),
        Some(first.clone())
    );
    let second = client.register("s", &two, &[], false).await.unwrap();
    assert_eq!(client.latest("s").await.unwrap(), Some(second.clone()));
    assert_eq!(client.version("s", 1).await.unwrap(), Some(first.clone()));
    assert_eq!(client.versions("s").await.unwrap(), [1, 2]);
    assert_eq!(client.subjects().await.unwrap(), ["s"]);

    assert!(client.compatibility("none", &bad).await.unwrap().compatible);
    let verdict = client.compatibility("s", &bad).await.unwrap();
    assert!(
        !verdict.compatible && verdict.messages.len() > 1,
        "{verdict:?}"
    );
    let error = client.register("s", &bad, &[], false).await.unwrap_err();
    assert!(
        matches!(&error, RegistryClientError::Incompatible { subject, .. } if subject == "s"),
        "{error}"
    );
    assert_eq!(client.level("s").await.unwrap(), None);
    client.set_level("s", "FULL").await.unwrap();
    assert_eq!(client.level("s").await.unwrap().as_deref(), Some("FULL"));
    assert!(client.set_level("s", "SIDEWAYS").await.is_err());

    assert!(client.cached_schema(first.id).is_none());
    let stored = client.schema(first.id).await.unwrap();
    assert_eq!(
        (stored.text.as_str(), &stored.guid),
        (one.as_str(), &first.guid)
    );
    assert!(client.cached_schema(first.id).is_some());
    let unknown = SchemaId::new(999).unwrap();
    assert!(client.schema(unknown).await.unwrap_err().is_not_found());
    assert!(client.belongs("s", first.id).await.unwrap());
    assert!(!client.belongs("other", first.id).await.unwrap());
    assert!(!client.belongs("s", unknown).await.unwrap());

    // What is known goes on without the registry; what is not says so.
    registry.stop().await;
    assert_eq!(client.schema(first.id).await.unwrap(), stored);
    assert!(client.belongs("s", first.id).await.unwrap());
    let error = client.schema(SchemaId::new(2).unwrap()).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    assert!(error.to_string().contains(&client.urls()), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn our_client_goes_on_with_the_next_url() {
    let registry = Registry::start().await;
    let client = RegistryClient::new(&RegistryClientConfig {
        urls: vec!["http://127.0.0.1:1".to_owned(), registry.url.clone()],
        ..RegistryClientConfig::default()
    })
    .unwrap();
    assert_eq!(client.subjects().await.unwrap(), Vec::<String>::new());
    registry.stop().await;
}

fn change() -> ProductChange {
    ProductChange {
        id: "c1".to_owned(),
        at: Timestamp::from_millis(1_358_253_540_000),
        who: "ann".to_owned(),
        urn: Some("urn:meshwork:operations:departures:v1".parse().unwrap()),
        consumers: vec!["g1".to_owned(), "g2".to_owned()],
        change: Change::SchemaChange(SchemaChange {
            subject: "operations.departures.v1-value".to_owned(),
            from_version: Some(1),
            to_version: 2,
            in_words: vec!["field `a` added".to_owned()],
        }),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mesh_records_are_read_as_they_were_written() {
    let registry = Registry::start().await;
    let client = registry.client();
    let writer = MeshWriter::<ProductChange>::register(&client, "mesh.catalog.changes-value")
        .await
        .unwrap();
    let reader = MeshReader::<ProductChange>::new(client);
    for change in [
        change(),
        ProductChange {
            urn: None,
            consumers: Vec::new(),
            change: Change::StatusChange(StatusChange {
                from_status: "active".to_owned(),
                to_status: "retired".to_owned(),
                reason: None,
            }),
            ..change()
        },
    ] {
        let bytes = writer.encode(&change).unwrap();
        assert_eq!(unframe(&bytes).unwrap().0, writer.id());
        assert_eq!(reader.decode(&bytes).await.unwrap(), change);
        assert_eq!(reader.decode_known(&bytes).unwrap(), Some(change));
        for cut in 0..bytes.len() {
            assert!(reader.decode(&bytes[..cut]).await.is_err(), "cut at {cut}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(matches!(
            reader.decode(&longer).await,
            Err(MeshError::Decode { .. })
        ));
    }
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_registry_converter_works() {
    let registry = Registry::start().await;
    let settings = SrSettings::new(registry.url.clone());
    let encoder = AvroEncoder::new(settings.clone());
    let decoder = AvroDecoder::new(settings);
    let schema = apache_avro::Schema::parse_str(&record(
        "Order",
        r#"{"name":"id","type":"string"},{"name":"n","type":"long"}"#,
    ))
    .unwrap();
    let strategy = SubjectNameStrategy::TopicNameStrategyWithSchema(
        "orders".to_owned(),
        false,
        get_supplied_schema(&schema),
    );
    let bytes = encoder
        .encode(
            vec![
                ("id", AvroValue::String("o1".to_owned())),
                ("n", AvroValue::Long(7)),
            ],
            strategy,
        )
        .await
        .unwrap();
    let id = unframe(&bytes).unwrap().0;
    let there = registry
        .ok("GET", "/subjects/orders-value/versions/latest", None)
        .await;
    assert_eq!(there["id"], json!(id.get()));
    let decoded = decoder.decode(Some(&bytes)).await.unwrap();
    assert_eq!(decoded.name.unwrap().name(), "Order");
    assert_eq!(
        decoded.value,
        AvroValue::Record(vec![
            ("id".to_owned(), AvroValue::String("o1".to_owned())),
            ("n".to_owned(), AvroValue::Long(7)),
        ])
    );
    registry.stop().await;
}
