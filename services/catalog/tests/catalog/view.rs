//! The view follows its topics, survives what they hold, and is the same however it was built.

use meshwork_catalog::{
    CatalogEvent, CatalogWatch, ListRequest, WatchFrom, read_catalog, search::Filter,
};
use meshwork_model::mesh::announcement::ProductStatus;
use meshwork_model::topic::ControlTopic;
use meshwork_testkit::{DEADLINE, kafka, registry};

use crate::mesh::{Catalog, Mesh, domain, product, urn, write};

fn of(domain: &str) -> ListRequest {
    ListRequest {
        filter: Filter {
            domain: Some(domain.to_owned()),
            ..Filter::default()
        },
        ..ListRequest::default()
    }
}

/// Names of the domain's products, as listed.
fn listed(catalog: &Catalog, domain: &str) -> Vec<String> {
    let page = catalog.handle.list(&of(domain)).unwrap();
    assert_eq!(page.total, u64::try_from(page.items.len()).unwrap());
    page.items.iter().map(|item| item.urn.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn announced_replaced_and_withdrawn_products_show_at_once() {
    let mesh = Mesh::new().await;
    let domain = domain("shown");
    let dir = tempfile::tempdir().unwrap();
    let catalog = Catalog::start(dir.path()).await;
    assert!(catalog.readiness.waiting().is_empty());
    let (a, b) = (urn(&domain, "arrivals", 1), urn(&domain, "departures", 1));
    let b2 = urn(&domain, "departures", 2);
    mesh.announce(&product(&a, "Flights that arrived")).await;
    let last = mesh.announce(&product(&b, "Flights that left")).await;
    catalog.reads(last).await;
    assert_eq!(listed(&catalog, &domain), [a.to_string(), b.to_string()]);

    // By name: the newest active version, or the one that is named.
    let name = b.name().to_string();
    let mut next = product(&b2, "Flights that left, anew");
    next.status = ProductStatus::Draft;
    let last = mesh.announce(&next).await;
    catalog.reads(last).await;
    assert_eq!(catalog.handle.get(&name).unwrap().item.urn, b);
    next.status = ProductStatus::Active;
    let last = mesh.announce(&next).await;
    catalog.reads(last).await;
    let newest = catalog.handle.get(&name).unwrap();
    assert_eq!((newest.item.urn, newest.versions.len()), (b2.clone(), 2));
    for form in [b.to_string(), format!("{name}:v1"), b.topic()] {
        assert_eq!(catalog.handle.get(&form).unwrap().item.urn, b, "{form}");
    }

    // Found by a column and by a near word; the old text is gone from the index.
    let filter = of(&domain).filter;
    let found = catalog
        .handle
        .search("tailnum anew", &filter, None)
        .unwrap();
    assert_eq!(found.items.len(), 1);
    assert_eq!(found.items[0].matched, ["column", "description"]);
    let near = catalog.handle.search("depatures", &filter, None).unwrap();
    assert_eq!(near.total, 2);
    assert_eq!(near.did_you_mean.as_deref(), Some("departures"));

    mesh.withdraw(&a).await;
    let mut retired = product(&b, "Flights that left");
    retired.status = ProductStatus::Retired;
    let last = mesh.announce(&retired).await;
    catalog.reads(last).await;
    assert_eq!(listed(&catalog, &domain), [b2.to_string()]);
    let problem = catalog.handle.get(&a.to_string()).unwrap_err();
    assert_eq!(
        (problem.status, problem.code.as_str()),
        (404, "no-such-product")
    );

    // The topic read alone says the same.
    let snapshot = read_catalog(&kafka().config(), &registry()).await.unwrap();
    let alone: Vec<String> = snapshot
        .products
        .iter()
        .filter(|p| p.domain == domain)
        .map(|p| format!("{} {:?}", p.urn, p.status))
        .collect();
    assert_eq!(alone, [format!("{b} Retired"), format!("{b2} Active")]);
    catalog.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_are_no_announcements_stop_nothing_and_are_said() {
    let mesh = Mesh::new().await;
    let domain = domain("broken");
    let (good, broken) = (urn(&domain, "good", 1), urn(&domain, "broken", 1));
    let dir = tempfile::tempdir().unwrap();
    let catalog = Catalog::start(dir.path()).await;
    mesh.announce(&product(&broken, "Announced well, then broken"))
        .await;
    let key = broken.to_string();
    for bytes in [
        b"".as_slice(),
        b"x",
        &[0, 0, 0, 0, 1],
        &[0, 0, 0, 0, 1, 255, 255],
    ] {
        write(ControlTopic::Catalog, &key, Some(bytes)).await;
    }
    // A schema that the registry has never given, and a key that is no URN.
    write(
        ControlTopic::Catalog,
        &key,
        Some(&[0, 0x7f, 0xff, 0xff, 0xff, 1]),
    )
    .await;
    write(ControlTopic::Catalog, "no-urn", Some(b"x")).await;
    write(ControlTopic::CatalogChanges, &key, Some(b"x")).await;
    let last = mesh.announce(&product(&good, "Fine")).await;
    catalog.reads(last).await;
    let page = catalog.handle.list(&of(&domain)).unwrap();
    let names: Vec<String> = page.items.iter().map(|item| item.urn.to_string()).collect();
    assert_eq!(
        names,
        [key.clone(), good.to_string()],
        "the last good word stands"
    );
    assert!(
        page.unavailable
            .iter()
            .any(|text| text.contains("do not decode")),
        "{:?}",
        page.unavailable
    );
    let snapshot = read_catalog(&kafka().config(), &registry()).await.unwrap();
    assert!(snapshot.unreadable.iter().any(|u| u.key == key));
    assert!(snapshot.products.iter().any(|p| p.urn == good));
    catalog.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_and_a_lost_or_corrupt_store_is_filled_anew() {
    let mesh = Mesh::new().await;
    let domain = domain("again");
    let dir = tempfile::tempdir().unwrap();
    let mut urns = Vec::new();
    let mut last = 0;
    let mut announce = async |mesh: &Mesh, from: u32, until: u32| {
        for n in from..until {
            let urn = urn(&domain, &format!("p{n:02}"), 1);
            last = mesh.announce(&product(&urn, &format!("number {n}"))).await;
            mesh.change(&urn, &format!("{urn}/{n}"), "made").await;
            urns.push(urn.to_string());
        }
        last
    };
    announce(&mesh, 0, 5).await;
    let catalog = Catalog::start(dir.path()).await;
    let last = announce(&mesh, 5, 10).await;
    catalog.reads(last).await;
    catalog.abort().await;
    let last = announce(&mesh, 10, 15).await;

    let catalog = Catalog::start(dir.path()).await;
    catalog.reads(last).await;
    let whole = listed(&catalog, &domain);
    assert_eq!(whole, urns);
    catalog.stop().await;

    std::fs::write(dir.path().join("CURRENT"), b"nonsense\n").unwrap();
    let catalog = Catalog::start(dir.path()).await;
    assert_eq!(listed(&catalog, &domain), whole);
    catalog.stop().await;

    let other = tempfile::tempdir().unwrap();
    let catalog = Catalog::start(other.path()).await;
    assert_eq!(listed(&catalog, &domain), whole);
    let found = catalog
        .handle
        .search("number 14", &of(&domain).filter, None)
        .unwrap();
    assert_eq!(found.items[0].item.urn.to_string(), urns[14]);
    catalog.stop().await;
    for entry in std::fs::read_dir(dir.path().parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        let own = dir
            .path()
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(&own) && name != own {
            std::fs::remove_dir_all(entry.path()).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_what_happens_from_now_on() {
    let mesh = Mesh::new().await;
    let domain = domain("watched");
    let urn = urn(&domain, "p", 1);
    mesh.announce(&product(&urn, "before")).await;
    let mut watch = CatalogWatch::start(&kafka().config(), &registry(), WatchFrom::Beginning)
        .await
        .unwrap();
    mesh.announce(&product(&urn, "after")).await;
    mesh.change(&urn, "1", "reworded").await;
    mesh.withdraw(&urn).await;
    let mut told = Vec::new();
    while told.len() < 4 {
        let event = tokio::time::timeout(DEADLINE, watch.next())
            .await
            .unwrap()
            .unwrap();
        match event {
            CatalogEvent::Announced(product) if product.urn == urn => {
                told.push(product.description.unwrap());
            }
            CatalogEvent::Withdrawn(gone) if gone == urn => told.push("withdrawn".to_owned()),
            CatalogEvent::Changed { change, .. } if change.urn.as_ref() == Some(&urn) => {
                told.push(format!("change {}", change.id));
            }
            _ => {}
        }
    }
    // Each topic in its own order.
    let of_catalog: Vec<&str> = told
        .iter()
        .map(String::as_str)
        .filter(|t| !t.starts_with("change"))
        .collect();
    assert_eq!(of_catalog, ["before", "after", "withdrawn"]);
    assert!(told.contains(&"change 1".to_owned()));
}
