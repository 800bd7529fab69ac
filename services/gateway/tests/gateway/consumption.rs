//! Who reads what and how far, and which group and transactional id are one job: learnt on the wire
//! from stock clients, written to observations, answered by lineage.

use std::time::{Duration, Instant};

use meshwork_gateway::Config;
use meshwork_kafka::{
    Assigned, From, GroupConsumer, GroupOptions, KafkaConfig, LogReader, OutRecord, OwnedOutRecord,
    Progress, ReaderOptions, TransactionalOptions, TransactionalProducer,
};
use meshwork_lineage::answer::LineageAnswer;
use meshwork_model::mesh::announcement::EnforcementMode;
use meshwork_model::mesh::observation::{
    JobSide, PartitionObservation, ReaderPosition, TransactionalJob, Trust,
};
use meshwork_model::time::WallClock;
use meshwork_telemetry::{Metrics, Readiness};
use meshwork_testkit::{DEADLINE, kafka, registry, unique, wait_for};
use tokio_util::sync::CancellationToken;

use super::mesh::{Gateway, Product};

/// A product with records that came before anybody looked.
async fn filled(records: usize) -> Product {
    let product = Product::new(EnforcementMode::Reject).await;
    for n in 0..records {
        let flight = product.flight(&format!("AA{n}"));
        let record = OutRecord {
            topic: product.topic(),
            key: Some(b"k"),
            value: Some(&flight),
            ..OutRecord::default()
        };
        kafka().producer().deliver(&record).await.unwrap();
    }
    product
}

fn through(gateway: &Gateway, client_id: &str) -> KafkaConfig {
    KafkaConfig {
        client_id: client_id.to_owned(),
        ..gateway.kafka()
    }
}

/// Waits for observations of the product of which `look` finds something.
async fn observed<T>(
    product: &Product,
    what: &str,
    look: impl Fn(&[PartitionObservation]) -> Option<T>,
) -> T {
    wait_for(what, || async { look(&product.observations().await) }).await
}

fn reader<'a>(seen: &'a [PartitionObservation], name: &str) -> Vec<&'a ReaderPosition> {
    seen.iter()
        .flat_map(|o| &o.readers)
        .filter(|reader| reader.name == name)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_is_seen_with_its_client_and_how_far_it_has_read() {
    let product = filled(3).await;
    let gateway = Gateway::start(Config::default()).await;
    let (client, group) = (unique("board-app"), unique("board"));
    let mut consumer = GroupConsumer::subscribe(
        &through(&gateway, &client),
        &group,
        &[product.topic()],
        GroupOptions::default(),
    )
    .unwrap();
    let (started, mut read) = (Instant::now(), 0);
    while read < 3 {
        assert!(started.elapsed() < DEADLINE, "the group reads its records");
        read += consumer.next(DEADLINE).await.unwrap().records.len();
    }
    // Before anything is committed, its group is concluded from where it joined.
    observed(&product, "the position to be observed", |seen| {
        reader(seen, &client)
            .into_iter()
            .find(|r| r.next_offset == Some(3))
            .map(|r| {
                assert_eq!(r.trust, Trust::ClientId);
                assert_eq!(r.group.as_deref(), Some(&*group));
                assert!(r.inferred);
            })
    })
    .await;
    let next = [(product.topic().to_owned(), 0, 3)];
    consumer.commit(&next).await.unwrap();
    let seen = observed(&product, "the commit to be observed", |seen| {
        reader(seen, &client)
            .into_iter()
            .find(|r| r.committed == Some(3))
            .cloned()
    })
    .await;
    assert_eq!(seen.group.as_deref(), Some(&*group));
    assert!(!seen.inferred, "the commit shows it");
    // What was only read tells nothing of records, nor of how far the log reaches.
    let all = product.observations().await;
    assert!(
        all.iter()
            .all(|o| o.offsets.is_empty() && o.records == 0 && o.end_offset.is_none())
    );
    consumer.close().await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_without_a_group_is_seen_by_its_own_name() {
    let product = filled(5).await;
    let gateway = Gateway::start(Config::default()).await;
    let client = unique("kcat");
    let partitions = vec![Assigned {
        topic: product.topic().to_owned(),
        partition: 0,
        from: From::Offset(2),
    }];
    let config = through(&gateway, &client);
    let mut log = LogReader::start(&config, partitions, ReaderOptions::default()).unwrap();
    let (started, mut read) = (Instant::now(), 0);
    while read < 3 {
        assert!(started.elapsed() < DEADLINE, "the records are read");
        read += log
            .next(Duration::from_secs(1))
            .await
            .unwrap()
            .records
            .len();
    }
    let seen = observed(&product, "the reader to be observed", |seen| {
        reader(seen, &client)
            .into_iter()
            .find(|r| r.next_offset == Some(5))
            .cloned()
    })
    .await;
    assert_eq!((seen.group, seen.committed), (None, None));
    assert_eq!(seen.trust, Trust::ClientId);
    let all = product.observations().await;
    let offsets = reader(&all, &client).into_iter().map(|r| r.next_offset);
    assert!(offsets.into_iter().all(|offset| offset >= Some(2)));
    drop(log);
    gateway.stop().await;
}

struct Lineage {
    handle: meshwork_lineage::Handle,
    shutdown: CancellationToken,
    running: tokio::task::JoinHandle<Result<(), meshwork_lineage::Error>>,
    _dir: tempfile::TempDir,
}

impl Lineage {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let context = meshwork_lineage::Context {
            kafka: kafka().config(),
            registry: registry(),
            clock: std::sync::Arc::new(WallClock),
            data_dir: dir.path().to_owned(),
            readiness: Readiness::new(),
            metrics: Metrics::new(),
        };
        let config = meshwork_lineage::Config::default();
        let (service, handle) = meshwork_lineage::Service::new(config, context).unwrap();
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(service.run(shutdown.clone()));
        Self {
            handle,
            shutdown,
            running,
            _dir: dir,
        }
    }

    async fn down(
        &self,
        product: &Product,
        what: &str,
        enough: impl Fn(&LineageAnswer) -> bool,
    ) -> LineageAnswer {
        wait_for(what, || async {
            let answer = self.handle.down(product.topic(), 3).ok();
            let answer = answer.filter(|answer| enough(answer));
            if answer.is_none() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            answer
        })
        .await
    }
}

fn name(product: &Product) -> String {
    let urn = &product.announcement.urn;
    format!("{}:{}", urn.name(), urn.version())
}

fn has_edge(answer: &LineageAnswer, from: &str, to: &str, basis: &str) -> bool {
    answer
        .edges
        .iter()
        .any(|e| e.from.name == from && e.to.name == to && e.basis == basis)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_reads_and_writes_in_transactions_is_seen_and_lineage_answers_with_it() {
    let (input, output) = (filled(3).await, filled(0).await);
    let gateway = Gateway::start(Config::default()).await;
    let (group, transactional_id) = (unique("delays"), unique("delays-tx"));
    let job = TransactionalProducer::open(
        &through(&gateway, "delays-app"),
        &transactional_id,
        TransactionalOptions::default(),
    )
    .await
    .unwrap();
    let record = OwnedOutRecord {
        topic: output.topic().into(),
        partition: None,
        key: Some(b"k".as_slice().into()),
        value: Some(output.flight("AA0").into()),
        headers: Vec::new(),
        timestamp: None,
    };
    let progress = Progress {
        group: group.clone(),
        next: vec![(input.topic().to_owned(), 0, 3)],
    };
    job.commit_with_progress(vec![record], progress)
        .await
        .unwrap();
    let find = |side| {
        let (group, id) = (group.clone(), transactional_id.clone());
        move |seen: &[PartitionObservation]| -> Option<TransactionalJob> {
            let mut jobs = seen.iter().flat_map(|o| &o.jobs);
            jobs.find(|j| j.side == side && j.group == group && j.transactional_id == id)
                .cloned()
        }
    };
    let read = observed(&input, "the job's reading", find(JobSide::Reads)).await;
    let written = observed(&output, "the job's writing", find(JobSide::Writes)).await;
    assert!(read.producer_id.is_some_and(|id| id >= 0));
    assert_eq!(read.producer_id, written.producer_id);
    let committed = observed(&input, "how far it has read", |seen| {
        reader(seen, "delays-app").into_iter().next().cloned()
    })
    .await;
    assert_eq!(committed.group.as_deref(), Some(&*group));
    assert_eq!((committed.committed, committed.inferred), (Some(3), false));
    // The outcome is not known when it is counted: what was acknowledged is.
    let all = output.observations().await;
    assert_eq!(all.iter().map(|o| o.records).sum::<i64>(), 1);
    assert_eq!(all.iter().map(|o| o.transactional).sum::<i64>(), 1);

    let lineage = Lineage::start();
    let (from, to) = (name(&input), name(&output));
    // Random parts of names are folded in the graph. What was seen is in several partitions, and the
    // group in another record than the job.
    let down = lineage
        .down(&input, "lineage to know the job and its group", |answer| {
            let has_group = answer.edges.iter().any(|e| e.to.kind == "group");
            answer.totals.jobs == 1 && answer.totals.products == 1 && has_group
        })
        .await;
    let job = down.edges.iter().find(|e| e.to.kind == "job").unwrap();
    assert_eq!((&*job.from.name, &*job.basis), (&*from, "observed"));
    assert!(has_edge(&down, &job.to.name, &to, "observed"));
    assert!(job.to.detail.contains_key("transactional_ids"));
    let group_edge = down.edges.iter().find(|e| e.to.kind == "group").unwrap();
    assert_eq!(group_edge.from.name, from);
    let up = lineage.handle.up(output.topic(), 3).unwrap();
    assert!(has_edge(&up, &job.to.name, &to, "observed"));
    assert!(has_edge(&up, &from, &job.to.name, "observed"));
    let by_name = lineage.handle.down(&job.to.name, 1).unwrap();
    assert!(has_edge(&by_name, &job.to.name, &to, "observed"));
    lineage.shutdown.cancel();
    lineage.running.await.unwrap().unwrap();
    gateway.stop().await;
}
