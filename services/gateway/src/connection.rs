//! One client's connection and the one to the broker behind it: requests go *up*, answers come
//! *down*, each in order. Both directions run in one task.

pub(crate) mod frames;
pub(crate) mod line;
pub(crate) mod login;
pub(crate) mod pending;

mod down;
mod up;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::brokers::NodeId;
use crate::consumption;
use crate::error::Ended;
use crate::produce::{Contacts, First, Guard};
use crate::service::Shared;
use frames::{Frames, Outbox, Sink, Source};
use login::Identity;

/// A client that has been accepted.
pub(crate) struct Accepted {
    pub(crate) source: Source,
    pub(crate) sink: Sink,
    /// The broker that its port stands for; none: any.
    pub(crate) node: Option<NodeId>,
    /// Subject of its certificate, where it has shown one that is trusted.
    pub(crate) certificate: Option<String>,
    /// Where it is.
    pub(crate) address: IpAddr,
}

/// What both directions know of the connection.
#[derive(Debug)]
pub(crate) struct Conn {
    /// Where the broker is.
    pub(crate) broker: String,
    /// Where the client is.
    address: IpAddr,
    pub(crate) who: Mutex<Identity>,
    /// Milliseconds after `since` until which the broker does not read from this connection.
    throttled_until: AtomicI64,
    since: Instant,
    /// `rebalance_timeout_ms` of the last JoinGroup: SyncGroup may take as long.
    rebalance_ms: AtomicI64,
    /// Who reads what on it.
    consumption: consumption::Connection,
    /// Where the broker took records of the client lately.
    proofs: line::Proofs,
}

impl Conn {
    fn throttled_until(&self) -> Instant {
        let millis = self.throttled_until.load(Ordering::Relaxed);
        self.since + Duration::from_millis(u64::try_from(millis).unwrap_or(0))
    }

    fn throttle(&self, millis: i32) {
        if millis > 0 {
            let now = i64::try_from(self.since.elapsed().as_millis()).unwrap_or(i64::MAX);
            self.throttled_until
                .fetch_max(now.saturating_add(millis.into()), Ordering::Relaxed);
        }
    }
}

/// Serves a client until either end closes, a limit is broken, or `stop`: then what is in flight is
/// finished.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    accepted: Accepted,
    stop: CancellationToken,
) -> Result<(), Ended> {
    let upstream = shared
        .upstream
        .connect(&shared.brokers, accepted.node)
        .await?;
    let conn = Arc::new(Conn {
        broker: upstream.address,
        address: accepted.address,
        who: Mutex::new(Identity::new(
            accepted.certificate,
            shared.config.producer.as_deref(),
        )),
        throttled_until: AtomicI64::new(0),
        since: Instant::now(),
        rebalance_ms: AtomicI64::new(0),
        consumption: consumption::Connection::new(
            Arc::clone(&shared.consumption),
            accepted.address,
        ),
        proofs: line::Proofs::default(),
    });
    let stalled_after = shared.config.stalled_after.get();
    let answer_within = shared.config.answer_within.get();
    let (owe, owed) = mpsc::channel(shared.config.max_requests_in_flight.max(1));
    let up = up::Up {
        shared: Arc::clone(&shared),
        conn: Arc::clone(&conn),
        client: Frames::new(accepted.source, Arc::clone(&shared.buffers)),
        broker: Outbox::new(upstream.sink, stalled_after),
        owe,
        span: Span::none(),
        // Its own: each look at the one of all takes a lock that they would share.
        stop: stop.child_token(),
        guard: Guard::default(),
        first: First::default(),
        contacts: Contacts::default(),
    };
    let down = down::Down {
        broker: Frames::new(upstream.source, Arc::clone(&shared.buffers)),
        shared,
        conn,
        client: Outbox::new(accepted.sink, stalled_after),
        owed,
        failed: Guard::default(),
    };
    let (up, down) = (up.run(), down.run());
    tokio::pin!(up, down);
    // Whoever fails ends both. When the client has nothing more to ask, what it is owed is still
    // written, but not for as long as its requests allow: that may be weeks, and it may be gone. When
    // the broker has closed and owes nothing, that is all.
    let client = tokio::select! {
        asked = &mut up => {
            let client = asked?;
            match tokio::time::timeout(answer_within, down).await {
                Ok(ended) => ended?,
                Err(_) => return Err(Ended::TooLong {
                    what: "an answer for a client that asks nothing more",
                    millis: answer_within.as_millis(),
                }),
            }
            client
        }
        ended = &mut down => return ended,
    };
    // Closed with unread bytes, a socket is reset, and the client loses answers that it was sent.
    client.discard(LINGER).await;
    Ok(())
}

/// How long is waited for the other end to close too.
const LINGER: Duration = Duration::from_secs(1);

/// Settings of a socket on either side.
pub(crate) fn tune(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(60))
        .with_interval(Duration::from_secs(10))
        .with_retries(3);
    socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

#[cfg(test)]
mod tests;
