//! Faults on purpose around a cluster of three brokers: some die, move, join, or can't be reached.
//! What was acknowledged is compared with what is there.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]

#[path = "gateway/mesh.rs"]
#[allow(dead_code, reason = "shared with other test binaries")]
mod mesh;
#[path = "gateway/raw.rs"]
#[allow(dead_code, reason = "shared with other test binaries")]
mod raw;
#[path = "gateway/transaction.rs"]
mod transaction;

#[path = "faults/child.rs"]
#[allow(dead_code, reason = "shared with other test binaries")]
mod child;
#[path = "faults/leaders.rs"]
mod leaders;
#[path = "faults/oracle.rs"]
mod oracle;

#[path = "faults/bytes.rs"]
mod bytes;
#[path = "faults/cut.rs"]
mod cut;
#[path = "faults/ends.rs"]
mod ends;
#[path = "faults/joins.rs"]
mod joins;
#[path = "faults/links.rs"]
mod links;
#[path = "faults/lost.rs"]
mod lost;
#[path = "faults/newer.rs"]
mod newer;
#[path = "faults/quarantine_away.rs"]
mod quarantine_away;
#[path = "faults/transactions.rs"]
mod transactions;

use meshwork_testkit::{Linked, kafka, linked_kafka, wait_until};
use tokio::sync::{Mutex, MutexGuard};

/// The cluster, whole, as one test's at a time.
pub(crate) struct Turn {
    pub(crate) linked: &'static Linked,
    _turn: MutexGuard<'static, ()>,
}

pub(crate) async fn turn() -> Turn {
    static TURN: Mutex<()> = Mutex::const_new(());
    let turn = TURN.lock().await;
    let linked = linked_kafka();
    // Whatever a test that failed has left.
    for (link, node) in linked.links().iter().zip(1..) {
        link.tap(None);
        link.mend();
        blocking(move || {
            let _ = kafka().dev().resume(node);
            kafka().dev().start_node(node).unwrap();
        })
        .await;
    }
    wait_until("all brokers to be there", || async {
        let cluster = kafka().admin().cluster().await;
        cluster.is_ok_and(|cluster| cluster.brokers.len() == 3)
    })
    .await;
    Turn {
        linked,
        _turn: turn,
    }
}

/// Does what blocks, while the gateway runs on.
pub(crate) async fn blocking<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(what).await.unwrap()
}
