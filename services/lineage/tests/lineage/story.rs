//! What the role finds, and how it answers.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use meshwork_kafka::{GroupConsumer, GroupOptions, NewTopic};
use meshwork_lineage::answer::{EdgeState, LineageAnswer, LineageEdge};
use meshwork_model::mesh::LineageFact;
use meshwork_model::topic::ControlTopic;
use meshwork_registry_client::MeshReader;
use meshwork_testkit::{DEADLINE, kafka, registry, unique, wait_for, wait_until};
use tower::ServiceExt;

use crate::mesh::{Lineage, Mesh, NOON, product};

fn edge<'a>(answer: &'a LineageAnswer, from: &str, to: &str) -> Option<&'a LineageEdge> {
    answer
        .edges
        .iter()
        .find(|edge| edge.from.name == from && edge.to.name == to)
}

#[tokio::test(flavor = "multi_thread")]
async fn producers_products_and_groups_from_what_the_mesh_says() {
    let mesh = Mesh::new().await;
    let (flights, delays) = (product("flights"), product("delays"));
    let (flights_name, delays_name) = (
        format!("{}:v1", flights.name()),
        format!("{}:v1", delays.name()),
    );
    let dir = tempfile::tempdir().unwrap();
    let lineage = Lineage::start(dir.path()).await;

    // Records that nobody can read stop nothing.
    for topic in [ControlTopic::Observations, ControlTopic::Catalog] {
        mesh.write(topic, "nonsense", b"not framed").await;
        mesh.write(topic, "urn:meshwork:a:b:v1", &[0, 0, 0, 0, 1, 255])
            .await;
    }
    mesh.announce(&flights, &[], NOON).await;
    mesh.announce(&delays, &[flights.to_string(), "raw-feed".into()], NOON)
        .await;
    mesh.observe(&flights, "ops", 0, 10).await;
    mesh.observe(&flights, "ops", 0, 10).await;
    mesh.observe(&flights, "ops", 5, 15).await;

    // A group that really reads the topic.
    let topic = flights.topic();
    kafka().create_topic(&NewTopic::new(topic.clone(), 1)).await;
    kafka().produce(&topic, &[("k", "v")]).await;
    let group = unique("board");
    let mut consumer = GroupConsumer::subscribe(
        &kafka().config(),
        &group,
        &[&topic],
        GroupOptions::default(),
    )
    .unwrap();
    let started = std::time::Instant::now();
    while consumer.next(DEADLINE).await.unwrap().records.is_empty() {
        assert!(started.elapsed() < DEADLINE, "the group reads its record");
    }
    consumer.commit(&[(topic.clone(), 0, 1)]).await.unwrap();

    let group_name = format!("group:{group}");
    let down = wait_for("the group and the product made from it", || {
        let down = lineage.handle.down(&flights_name, 3);
        let (to_group, to_product) = (group_name.clone(), delays_name.clone());
        let from = flights_name.clone();
        async move {
            let down = down.ok()?;
            edge(&down, &from, &to_group)?;
            edge(&down, &from, &to_product)?;
            Some(down)
        }
    })
    .await;
    assert_eq!(down.edges.len(), 2);
    assert_eq!((down.totals.products, down.totals.groups), (1, 1));
    let to_group = edge(&down, &flights_name, &group_name).unwrap();
    assert_eq!(to_group.basis, "observed");
    assert_eq!(to_group.records, None);
    let declared = edge(&down, &flights_name, &delays_name).unwrap();
    assert_eq!(declared.basis, "declared");
    assert_eq!(declared.state, EdgeState::Active);

    // Upstream from the end: through the product to who writes, each offset counted once.
    let up = wait_for("all observations to be counted", || {
        let up = lineage.handle.up(&delays_name, 5);
        let to = flights_name.clone();
        async move {
            let up = up.ok()?;
            (edge(&up, "producer:ops", &to)?.records == Some(15)).then_some(up)
        }
    })
    .await;
    let written = edge(&up, "producer:ops", &flights_name).unwrap();
    assert_eq!(written.basis, "observed");
    assert_eq!(written.first_seen.to_string(), "2013-01-15T12:00:00Z");
    assert_eq!(written.last_seen.to_string(), "2013-01-15T12:00:05Z");
    assert_eq!(written.from.id, "configured:ops");
    assert!(edge(&up, "topic:raw-feed", &delays_name).is_some());
    assert_eq!(
        up.of[0].detail.get("owner").map(String::as_str),
        Some("lineage-test-team")
    );

    // The contract no longer names the feed.
    mesh.announce(&delays, &[flights.to_string()], NOON + 60_000)
        .await;
    wait_until("the declared edge to end", || {
        let up = lineage.handle.up(&delays_name, 1);
        let (from, to) = (flights_name.clone(), delays_name.clone());
        async move {
            let up = up.unwrap();
            let state = |from: &str| edge(&up, from, &to).map(|edge| edge.state);
            state("topic:raw-feed") == Some(EdgeState::Ended)
                && state(&from) == Some(EdgeState::Active)
        }
    })
    .await;
    consumer.close().await;
    // What doesn't leave before the end leaves at the next start.
    wait_until("the whole count to be on the log", || async {
        count_on_the_log(&flights.to_string()).await == Some(15)
    })
    .await;
    lineage.stop().await;
}

/// Everything that was found is on `mesh.lineage`, framed and registered like any product's data: how
/// many records the last fact of who writes to a product says that there are.
async fn count_on_the_log(urn: &str) -> Option<i64> {
    use meshwork_model::mesh::lineage::Fact;
    let reader = MeshReader::<LineageFact>::new(registry());
    let mut records = None;
    for record in kafka().read_all(ControlTopic::Lineage.name()).await {
        let key = String::from_utf8(record.key.unwrap().to_vec()).unwrap();
        let fact = reader.decode(&record.value.unwrap()).await.unwrap();
        match fact.fact {
            Fact::EdgeFact(edge) => {
                assert!(key.starts_with("edge/"), "{key}");
                if edge.to.name == urn {
                    records = Some(edge.counts.iter().map(|count| count.records).sum());
                }
            }
            Fact::NodeFact(_) => assert!(key.starts_with("node/"), "{key}"),
        }
    }
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_over_http_and_refuses_with_problems() {
    let mesh = Mesh::new().await;
    let urn = product("http");
    mesh.announce(&urn, &["raw-http".to_owned()], NOON).await;
    let dir = tempfile::tempdir().unwrap();
    let lineage = Lineage::start(dir.path()).await;
    let name = urn.name().to_string();
    let get = |path: String| {
        let routes = lineage.handle.routes();
        async move {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = routes.oneshot(request).await.unwrap();
            let status = response.status();
            let kind = response.headers()["content-type"]
                .to_str()
                .unwrap()
                .to_owned();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            (status, kind, String::from_utf8(body.to_vec()).unwrap())
        }
    };
    let (status, kind, body) = get(format!("/v1/lineage?name={name}&direction=up&depth=2")).await;
    assert_eq!(
        (status, kind.as_str()),
        (StatusCode::OK, "application/json")
    );
    let answer: LineageAnswer = serde_json::from_str(&body).unwrap();
    assert_eq!(answer.edges.len(), 1, "{body}");
    assert_eq!(answer.edges[0].from.name, "topic:raw-http");
    for (query, expected, says) in [
        (
            "name=x&directoin=up",
            StatusCode::BAD_REQUEST,
            "did you mean `direction`?",
        ),
        (
            "name=x&direction=left",
            StatusCode::BAD_REQUEST,
            "up or down",
        ),
        ("name=x&depth=0", StatusCode::BAD_REQUEST, "from 1 to 32"),
        ("name=x&depth=many", StatusCode::BAD_REQUEST, "from 1 to 32"),
        (
            "name=x&limit=1000000",
            StatusCode::BAD_REQUEST,
            "from 1 to 10000",
        ),
        ("direction=up", StatusCode::BAD_REQUEST, "name is missing"),
        (
            "name=no-such-thing-at-all",
            StatusCode::NOT_FOUND,
            "knows nothing of",
        ),
    ] {
        let (status, kind, body) = get(format!("/v1/lineage?{query}")).await;
        assert_eq!(status, expected, "{query}: {body}");
        assert_eq!(kind, "application/problem+json", "{query}");
        assert!(body.contains(says), "{query}: {body}");
    }
    lineage.stop().await;
}
