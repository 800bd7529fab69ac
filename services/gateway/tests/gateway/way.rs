//! A way to the registry that can be cut, and held up, and tells what was asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use meshwork_model::units::HumanDuration;
use meshwork_registry_client::{RegistryClient, RegistryClientConfig};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use meshwork_testkit::registry_url;

/// Connections that have come, and how many have to come before any goes on.
type Gate = watch::Sender<(usize, usize)>;

pub(crate) struct Way {
    url: String,
    cut: Arc<AtomicBool>,
    torn: Arc<Mutex<CancellationToken>>,
    gate: Arc<Gate>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Way {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let way = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            cut: Arc::default(),
            torn: Arc::default(),
            gate: Arc::new(watch::Sender::new((0, 0))),
            asked: Arc::default(),
        };
        let (cut, token, gate) = (
            Arc::clone(&way.cut),
            Arc::clone(&way.torn),
            Arc::clone(&way.gate),
        );
        let asked = Arc::clone(&way.asked);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                if cut.load(Ordering::SeqCst) {
                    continue;
                }
                gate.send_modify(|(come, _)| *come += 1);
                let (torn, mut gate) = (token.lock().clone(), gate.subscribe());
                let asked = Arc::clone(&asked);
                tokio::spawn(async move {
                    let passed = async {
                        gate.wait_for(|(come, all)| come >= all).await.unwrap();
                        let to = registry_url().trim_start_matches("http://");
                        let registry = TcpStream::connect(to).await.unwrap();
                        pass(client, registry, &asked).await;
                    };
                    tokio::select! {
                        () = torn.cancelled() => {}
                        () = passed => {}
                    }
                });
            }
        });
        way
    }

    /// A registry client that goes this way, with more patience than any test has.
    pub(crate) fn client(&self) -> RegistryClient {
        let config = RegistryClientConfig {
            timeout: HumanDuration::from_secs(600),
            ..RegistryClientConfig::new(&self.url)
        };
        RegistryClient::new(&config).unwrap()
    }

    /// How often this was asked for, the query left out.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.asked.lock().iter().filter(|at| *at == path).count()
    }

    /// Ends all connections, and lets none through.
    pub(crate) fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        self.tear();
    }

    pub(crate) fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }

    /// Ends all connections, and holds up the ones that come until there are so many.
    pub(crate) fn hold_up(&self, all: usize) {
        self.gate.send_replace((0, all));
        self.tear();
    }

    fn tear(&self) {
        let mut torn = self.torn.lock();
        torn.cancel();
        *torn = CancellationToken::new();
    }
}

/// Until either side ends. A request's first line is in one piece, for it is written in one.
async fn pass(client: TcpStream, registry: TcpStream, asked: &Mutex<Vec<String>>) {
    let (mut requests, mut to_client) = client.into_split();
    let (mut answers, mut to_registry) = registry.into_split();
    let asking = async {
        let mut chunk = vec![0; 64 << 10];
        while let Ok(read @ 1..) = requests.read(&mut chunk).await {
            let text = String::from_utf8_lossy(&chunk[..read]);
            if let Some(path) = text.strip_prefix("GET ") {
                let path = path.split([' ', '?']).next().unwrap_or_default();
                asked.lock().push(path.to_owned());
            }
            if to_registry.write_all(&chunk[..read]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = asking => {}
        _ = tokio::io::copy(&mut answers, &mut to_client) => {}
    }
}
