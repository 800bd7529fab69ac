//! The HTTP API.

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use meshwork_catalog::Handle;
use meshwork_catalog::answer::{ChangePage, Page, ProductDetail, ProductItem, SearchAnswer};
use meshwork_model::problem::Problem;
use meshwork_testkit::wait_until;
use tower::ServiceExt;

use crate::mesh::{Catalog, Mesh, domain, product, urn};

async fn get(handle: &Handle, path: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = handle.routes().oneshot(request).await.unwrap();
    let status = response.status();
    let headers = response.headers().clone();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, headers, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_page_by_page_and_gives_texts_as_written() {
    let mesh = Mesh::new().await;
    let domain = domain("paged");
    let dir = tempfile::tempdir().unwrap();
    let catalog = Catalog::start(dir.path()).await;
    let mut last = 0;
    for n in 0..7 {
        let urn = urn(&domain, &format!("p{n}"), 1);
        last = mesh.announce(&product(&urn, "weather by the hour")).await;
    }
    catalog.reads(last).await;
    let handle = &catalog.handle;

    for query in ["", "&q=weather"] {
        let base = format!("/v1/products?domain={domain}{query}&limit=3");
        let mut path = base.clone();
        let mut seen = Vec::new();
        let mut pages = 0;
        loop {
            let (status, headers, body) = get(handle, &path).await;
            assert_eq!(status, StatusCode::OK, "{body}");
            let page: Page<ProductItem> = serde_json::from_str(&body).unwrap();
            assert_eq!(page.total, 7);
            pages += 1;
            seen.extend(page.items.iter().map(|item| item.urn.to_string()));
            let Some(cursor) = page.next_cursor else {
                assert!(!headers.contains_key("link"));
                break;
            };
            let link = headers["link"].to_str().unwrap();
            path = format!("{base}&cursor={cursor}");
            assert_eq!(link, format!("<{path}>; rel=\"next\""));
        }
        assert_eq!(pages, 3, "{query}");
        let mut sorted = seen.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!((seen.len(), &seen), (7, &sorted), "{query}");
    }

    let name = format!("{domain}.p3");
    let (_, _, body) = get(handle, &format!("/v1/products/{name}")).await;
    let detail: ProductDetail = serde_json::from_str(&body).unwrap();
    assert_eq!(detail.item.topic, format!("{name}.v1"));
    assert_eq!(
        (detail.enforcement.as_str(), detail.partitions),
        ("quarantine", 3)
    );
    let urn = detail.item.urn.to_string();
    let (_, headers, contract) = get(handle, &format!("/v1/products/{urn}/contract")).await;
    assert_eq!(headers["content-type"], "application/yaml");
    assert_eq!(contract, format!("apiVersion: v3.1.0\nid: {urn}\n"));
    let (_, _, schema) = get(handle, &format!("/v1/products/{urn}/schema")).await;
    assert!(schema.contains("tailnum"), "{schema}");
    let (status, _, body) = get(handle, &format!("/v1/products/{urn}/schema?part=key")).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{body}");

    let (_, _, body) = get(handle, &format!("/v1/search?q=wether&domain={domain}")).await;
    let answer: SearchAnswer = serde_json::from_str(&body).unwrap();
    assert_eq!(answer.total, 7);
    assert_eq!(answer.did_you_mean.as_deref(), Some("weather"));
    catalog.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_come_in_the_order_of_the_log() {
    let mesh = Mesh::new().await;
    let domain = domain("changed");
    let urn = urn(&domain, "p", 1);
    let dir = tempfile::tempdir().unwrap();
    let catalog = Catalog::start(dir.path()).await;
    for n in 0..5 {
        mesh.change(&urn, &format!("c{n}"), &format!("change {n}"))
            .await;
    }
    let path = format!("/v1/changes?urn={urn}&limit=2");
    wait_until("the changes to be read", || {
        let handle = catalog.handle.clone();
        let urn = urn.clone();
        async move { handle.changes(None, Some(&urn), None).unwrap().items.len() == 5 }
    })
    .await;
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let (_, _, body) = get(&catalog.handle, &format!("{path}{after}")).await;
        let page: ChangePage = serde_json::from_str(&body).unwrap();
        seen.extend(page.items.iter().flat_map(|change| change.in_words.clone()));
        match page.next_cursor {
            Some(cursor) => after = format!("&after={cursor}"),
            None => break,
        }
    }
    let expected: Vec<String> = (0..5).map(|n| format!("change {n}")).collect();
    assert_eq!(seen, expected);
    catalog.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_are_problems_that_help() {
    let mesh = Mesh::new().await;
    let domain = domain("helped");
    let dir = tempfile::tempdir().unwrap();
    let catalog = Catalog::start(dir.path()).await;
    let last = mesh
        .announce(&product(&urn(&domain, "departures", 1), "x"))
        .await;
    catalog.reads(last).await;
    let page: Page<ProductItem> =
        serde_json::from_str(&get(&catalog.handle, "/v1/products?limit=1").await.2).unwrap();
    let cursor = page.next_cursor.unwrap_or_else(|| "00".to_owned());
    for (path, status, says) in [
        (
            "/v1/products?domian=x".to_owned(),
            400,
            "did you mean `domain`?",
        ),
        ("/v1/products?limit=0".to_owned(), 400, "from 1 to 200"),
        ("/v1/products?limit=201".to_owned(), 400, "from 1 to 200"),
        (
            "/v1/products?status=activ".to_owned(),
            400,
            "did you mean `active`?",
        ),
        ("/v1/products?cursor=zz".to_owned(), 400, "begin without it"),
        (
            format!("/v1/products?owner=x&cursor={cursor}"),
            400,
            "begin without it",
        ),
        (
            format!("/v1/products?q={}", "x".repeat(300)),
            400,
            "256 characters",
        ),
        (
            format!("/v1/products/{domain}.departure"),
            404,
            "did you mean",
        ),
        ("/v1/products/%20".to_owned(), 404, "is announced"),
        ("/v1/products/a.b?x=1".to_owned(), 400, "takes none"),
        ("/v1/search".to_owned(), 400, "q is missing"),
        ("/v1/search?q=x&sort=y".to_owned(), 400, "unknown parameter"),
        ("/v1/changes?urn=x".to_owned(), 400, "is no URN"),
        (
            "/v1/changes?after=x".to_owned(),
            400,
            "the offset of a change",
        ),
    ] {
        let (got, headers, body) = get(&catalog.handle, &path).await;
        assert_eq!(got.as_u16(), status, "{path}: {body}");
        assert_eq!(
            headers["content-type"], "application/problem+json",
            "{path}"
        );
        let problem: Problem = serde_json::from_str(&body).unwrap();
        assert_eq!(problem.status, status);
        assert!(problem.detail.contains(says), "{path}: {problem}");
        assert_eq!(problem.kind, format!("urn:meshwork:error:{}", problem.code));
    }
    catalog.stop().await;
}
