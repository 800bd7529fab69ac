//! A way to the registry that can be cut, and held up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use meshwork_model::units::HumanDuration;
use meshwork_registry_client::{RegistryClient, RegistryClientConfig};
use parking_lot::Mutex;
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
}

impl Way {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let way = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            cut: Arc::default(),
            torn: Arc::default(),
            gate: Arc::new(watch::Sender::new((0, 0))),
        };
        let (cut, token, gate) = (
            Arc::clone(&way.cut),
            Arc::clone(&way.torn),
            Arc::clone(&way.gate),
        );
        tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                if cut.load(Ordering::SeqCst) {
                    continue;
                }
                gate.send_modify(|(come, _)| *come += 1);
                let (torn, mut gate) = (token.lock().clone(), gate.subscribe());
                tokio::spawn(async move {
                    let passed = async {
                        gate.wait_for(|(come, all)| come >= all).await.unwrap();
                        let to = registry_url().trim_start_matches("http://");
                        let mut registry = TcpStream::connect(to).await.unwrap();
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut registry).await;
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
