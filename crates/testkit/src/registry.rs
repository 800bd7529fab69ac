//! The real registry on the shared cluster, for tests of the other roles.

use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

use meshwork_kafka::control;
use meshwork_model::mesh::MeshRecord;
use meshwork_model::topic::ControlTopic;
use meshwork_registry::{Config, Context, Service};
use meshwork_registry_client::{MeshWriter, RegistryClient, RegistryClientConfig};
use meshwork_telemetry::{Metrics, Readiness};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{kafka, wait_for};

/// URL of the test binary's registry, which runs on a thread of its own until the process ends. It
/// answers once it has read its log.
///
/// # Panics
/// If it can't be started, with the reason; then also for everyone who asks later.
#[must_use]
pub fn registry_url() -> &'static str {
    static URL: OnceLock<Result<String, String>> = OnceLock::new();
    let url = URL.get_or_init(|| {
        let (tell, told) = channel();
        std::thread::spawn(move || {
            if let Err(why) = run(&tell) {
                let _ = tell.send(Err(why));
            }
        });
        told.recv()
            .unwrap_or_else(|_| Err("its thread panicked".to_owned()))
    });
    match url {
        Ok(url) => url,
        Err(why) => panic!("no registry for tests: {why}"),
    }
}

fn run(tell: &Sender<Result<String, String>>) -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let runtime = tokio::runtime::Runtime::new().map_err(|e| e.to_string())?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.map_err(|e| e.to_string())?;
        let address = listener.local_addr().map_err(|e| e.to_string())?;
        let context = Context {
            kafka: kafka().config(),
            data_dir: dir.path().to_owned(),
            readiness: Readiness::new(),
            metrics: Metrics::new(),
        };
        let (service, _) = Service::new(Config::default(), context, listener);
        let _ = tell.send(Ok(format!("http://{address}")));
        match service.run(CancellationToken::new()).await {
            Ok(()) => Ok(()),
            Err(error) => panic!("the registry for tests ended: {error}"),
        }
    })
}

/// A client of [`registry_url`].
///
/// # Panics
/// As there.
#[must_use]
pub fn registry() -> RegistryClient {
    match RegistryClient::new(&RegistryClientConfig::new(registry_url())) {
        Ok(client) => client,
        Err(error) => panic!("no client of the registry: {error}"),
    }
}

/// What encodes records for a control topic: that is created, and their schema registered, once the
/// registry takes it.
///
/// # Panics
/// If that is not within [`crate::DEADLINE`].
pub async fn mesh_writer<T: MeshRecord>(topic: ControlTopic) -> MeshWriter<T> {
    if let Err(error) = control::ensure(&kafka().admin(), topic).await {
        panic!("no {}: {error}", topic.name());
    }
    let (client, subject) = (registry(), format!("{}-value", topic.name()));
    wait_for("the registry to take a schema of the mesh", || async {
        MeshWriter::register(&client, &subject).await.ok()
    })
    .await
}
