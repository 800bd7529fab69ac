//! The gateway as the rest of the process sees it.

use tokio::sync::{mpsc, oneshot};

/// A running gateway. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(crate) ask: mpsc::Sender<oneshot::Sender<()>>,
}

impl Handle {
    /// Has everything observed so far written to `mesh.observations`, without waiting for the second
    /// to be over, and returns once that is acknowledged. `false`: it can't be written now, for Kafka
    /// or the registry is away or the gateway has ended; or some of what was observed since this was
    /// asked last is lost, and has to be read back from the log (by the observer).
    pub async fn observe_now(&self) -> bool {
        let (done, heard) = oneshot::channel();
        self.ask.send(done).await.is_ok() && heard.await.is_ok()
    }
}
