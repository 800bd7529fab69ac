//! Faults on purpose: gateways and brokers that die, stop or come back. What was acknowledged is
//! compared with what is there.
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

#[path = "faults/brokers.rs"]
mod brokers;
#[path = "faults/child.rs"]
mod child;
#[path = "faults/killed.rs"]
mod killed;
#[path = "faults/leaders.rs"]
#[allow(dead_code, reason = "shared with other test binaries")]
mod leaders;
#[path = "faults/made_anew.rs"]
mod made_anew;
#[path = "faults/oracle.rs"]
#[allow(dead_code, reason = "shared with other test binaries")]
mod oracle;
#[path = "faults/slow.rs"]
mod slow;
#[path = "faults/unobserved.rs"]
mod unobserved;

use meshwork_testkit::kafka;
use tokio::sync::{Mutex, MutexGuard};

/// The cluster is one test's at a time: what one kills the others need.
pub(crate) async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    let turn = TURN.lock().await;
    // Whatever a test that failed has left.
    tokio::task::spawn_blocking(|| {
        let _ = kafka().dev().resume(1);
        kafka().dev().start_node(1).unwrap();
    })
    .await
    .unwrap();
    // Before the first observation there is no topic that could be limited.
    let _ = unobserved::undo().await;
    turn
}
