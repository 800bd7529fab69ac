//! The load: so many connections that are kept, on each one request after the other, all from one
//! thread. The same for every server that is measured.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::wire::Head;
use crate::table::within;

/// Longest that one answer may take: above every time limit of the servers.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is asked, and how.
#[derive(Clone, Debug)]
pub(super) struct Load {
    /// The server.
    pub(super) to: SocketAddr,
    /// The requests of each connection; there are as many connections as lists.
    pub(super) requests: Arc<[Vec<Bytes>]>,
    /// Whether a connection begins anew where its list ends; else it is done there.
    pub(super) repeat: bool,
    /// When no request is sent any more.
    pub(super) lasts: Duration,
    /// Requests a second of all connections together, sent at their time whether or not the server
    /// keeps up and measured from that time; none: each when the one before it is answered.
    pub(super) pace: Option<f64>,
}

/// What came of a load.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured {
    /// Time from the first request to the last answer.
    pub(super) took: Duration,
    /// Times of all answers, µs, in order.
    times: Vec<u32>,
}

impl Measured {
    /// Answers a second.
    #[must_use]
    pub(super) fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let answers = self.times.len() as f64;
        answers / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The time within which that part of the answers came, ms; no number if there are none.
    #[must_use]
    pub(super) fn within(&self, part: f64) -> f64 {
        within(&self.times, part).map_or(f64::NAN, |us| f64::from(us) / 1_000.0)
    }

    /// Answers in all.
    #[must_use]
    pub(super) fn answers(&self) -> usize {
        self.times.len()
    }

    /// The run with the middle rate; of two middle ones the lower.
    #[must_use]
    pub(super) fn median(mut runs: Vec<Self>) -> Self {
        runs.sort_by(|a, b| a.rate().total_cmp(&b.rate()));
        let middle = runs.len().saturating_sub(1) / 2;
        if middle < runs.len() {
            runs.swap_remove(middle)
        } else {
            Self::default()
        }
    }
}

/// Requests for `connections`, the first of which begins at the front of `requests`, the next one
/// further on.
#[must_use]
pub(super) fn spread(requests: &[Bytes], connections: usize) -> Arc<[Vec<Bytes>]> {
    let step = requests.len() / connections.max(1);
    (0..connections)
        .map(|n| {
            let mut own = requests.to_vec();
            own.rotate_left((n * step) % requests.len().max(1));
            own
        })
        .collect()
}

impl Load {
    /// Does it in a thread of its own.
    ///
    /// # Errors
    /// The server closes a connection, or answers anything but 200.
    pub(super) fn start(self) -> std::thread::JoinHandle<Result<Measured>> {
        std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(self.all())
        })
    }

    /// Does it and waits.
    ///
    /// # Errors
    /// As [`Load::start`].
    pub(super) fn run(self) -> Result<Measured> {
        join(self.start())
    }

    async fn all(self) -> Result<Measured> {
        let mut streams = Vec::new();
        for _ in 0..self.requests.len() {
            let stream = TcpStream::connect(self.to).await;
            let stream = stream.with_context(|| format!("no connection to {}", self.to))?;
            stream.set_nodelay(true)?;
            streams.push(stream);
        }
        let started = Instant::now();
        let load = Arc::new(self);
        let mut running = JoinSet::new();
        for (n, stream) in streams.into_iter().enumerate() {
            running.spawn(connection(Arc::clone(&load), n, stream, started));
        }
        let mut times = Vec::new();
        while let Some(done) = running.join_next().await {
            times.append(&mut done??);
        }
        times.sort_unstable();
        Ok(Measured {
            took: started.elapsed(),
            times,
        })
    }
}

/// What a thread that does a load came to.
///
/// # Errors
/// The load's.
pub(super) fn join(thread: std::thread::JoinHandle<Result<Measured>>) -> Result<Measured> {
    thread
        .join()
        .map_err(|_| anyhow::anyhow!("the thread of a load panicked"))?
}

async fn connection(
    load: Arc<Load>,
    n: usize,
    mut stream: TcpStream,
    started: Instant,
) -> Result<Vec<u32>> {
    let requests = load.requests.get(n).map_or(&[][..], Vec::as_slice);
    let mut times = Vec::new();
    let mut read = Vec::with_capacity(64 * 1024);
    let mut schedule = load
        .pace
        .map(|pace| Schedule::new(pace, n, load.requests.len()));
    let mut left = requests.iter();
    loop {
        let request = match left.next() {
            Some(request) => request,
            None if load.repeat && !requests.is_empty() => {
                left = requests.iter();
                continue;
            }
            None => break,
        };
        let due = match &mut schedule {
            Some(schedule) => {
                let due = started + schedule.next();
                tokio::time::sleep_until(due.into()).await;
                due
            }
            None => Instant::now(),
        };
        if due.duration_since(started) >= load.lasts {
            break;
        }
        tokio::time::timeout(PATIENCE, answered(&mut stream, request, &mut read))
            .await
            .with_context(|| format!("no answer within {PATIENCE:?}"))??;
        times.push(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(times)
}

/// When a connection sends.
struct Schedule {
    every: Duration,
    next: Duration,
}

impl Schedule {
    /// The connections' times lie evenly between each other.
    fn new(pace: f64, n: usize, connections: usize) -> Self {
        let count = u32::try_from(connections).unwrap_or(u32::MAX);
        let every = Duration::from_secs_f64(f64::from(count) / pace);
        let first = every * u32::try_from(n).unwrap_or(0) / count.max(1);
        Self { every, next: first }
    }

    fn next(&mut self) -> Duration {
        let now = self.next;
        self.next += self.every;
        now
    }
}

/// Sends a request and reads its answer, which leaves `read` empty.
async fn answered(stream: &mut TcpStream, request: &[u8], read: &mut Vec<u8>) -> Result<()> {
    stream.write_all(request).await?;
    loop {
        ensure!(
            stream.read_buf(read).await? > 0,
            "the connection was closed"
        );
        let Some(head) = Head::parse(read)? else {
            continue;
        };
        let whole = head.length + head.body;
        while read.len() < whole {
            ensure!(
                stream.read_buf(read).await? > 0,
                "the connection was closed"
            );
        }
        ensure!(read.len() == whole, "more came than one answer");
        if head.status != 200 {
            let body = read.get(head.length..).unwrap_or_default();
            anyhow::bail!("{}: {}", head.status, String::from_utf8_lossy(body));
        }
        read.clear();
        return Ok(());
    }
}

/// Asks once, on a connection of its own; gives the body.
///
/// # Errors
/// No answer, or one that is not 200.
pub(super) fn ask(to: SocketAddr, request: &[u8]) -> Result<Vec<u8>> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let mut read = Vec::new();
    let mut part = [0; 16 * 1024];
    loop {
        if let Some(head) = Head::parse(&read)?
            && read.len() >= head.length + head.body
        {
            let body = read.split_off(head.length);
            ensure!(
                head.status == 200,
                "{}: {}",
                head.status,
                String::from_utf8_lossy(&body)
            );
            return Ok(body);
        }
        let n = stream.read(&mut part)?;
        ensure!(n > 0, "the connection was closed");
        read.extend_from_slice(part.get(..n).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_ordered_times() {
        let measured = Measured {
            took: Duration::from_secs(2),
            times: (1..=100).map(|n| n * 1_000).collect(),
        };
        assert!((measured.rate() - 50.0).abs() < 1e-9);
        assert!((measured.within(0.5) - 51.0).abs() < 1e-9);
        assert!((measured.within(0.99) - 100.0).abs() < 1e-9);
        assert!(Measured::default().within(0.99).is_nan());
    }

    #[test]
    fn a_pace_is_kept_by_all_connections_together() {
        let mut first = Schedule::new(100.0, 0, 4);
        let mut last = Schedule::new(100.0, 3, 4);
        assert_eq!(first.next(), Duration::ZERO);
        assert_eq!(last.next(), Duration::from_millis(30));
        assert_eq!(first.next(), Duration::from_millis(40));
    }

    #[test]
    fn each_connection_begins_elsewhere() {
        let requests: Vec<Bytes> = (0u8..4).map(|n| Bytes::from(vec![n])).collect();
        let spread = spread(&requests, 2);
        assert_eq!(spread[0][0], requests[0]);
        assert_eq!(spread[1][0], requests[2]);
        assert_eq!(spread[1].len(), 4);
    }
}
