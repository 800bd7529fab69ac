//! The load: connections that each send one full batch after the other, so and so many of them
//! unanswered at a time, or one at its moment.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use meshwork_wire::protocol::produce::read_answers;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::frame::{CORRELATION_ID, Request, VERSION};

/// Requests of a connection that may be unanswered, as Java's default.
const IN_FLIGHT: usize = 5;
/// Until the sockets' buffers, and a Java's compiler, have found their pace.
const WARM_UP: Duration = Duration::from_millis(700);
/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was acknowledged within a span of time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moved {
    /// Bytes of batches.
    pub(super) bytes: u64,
    pub(super) took: Duration,
}

impl Moved {
    /// Megabytes (10^6).
    pub(super) fn megabytes(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let bytes = self.bytes as f64;
        bytes / 1e6
    }

    /// Megabytes (10^6) a second.
    pub(super) fn rate(&self) -> f64 {
        self.megabytes() / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// Sends as fast as the answers come, one connection for each request, for `span` after warming up.
/// `mark` is called when the span begins and when it ends.
///
/// # Errors
/// A connection fails, or a batch is not acknowledged.
pub(super) async fn full<T>(
    address: SocketAddr,
    requests: &[Request],
    span: Duration,
    mut mark: impl FnMut() -> Result<T>,
) -> Result<(Moved, T, T)> {
    let acknowledged = Arc::new(AtomicU64::new(0));
    let (stop, stopped) = watch::channel(false);
    let mut all = JoinSet::new();
    for request in requests {
        let (read, write) = connect(address).await?.into_split();
        // One more has been taken out by who waits for its answer.
        let (owe, owed) = mpsc::channel(IN_FLIGHT - 1);
        let bytes: Arc<[u8]> = request.bytes.as_slice().into();
        let moved = u64::try_from(request.moved)?;
        let counter = Arc::clone(&acknowledged);
        let stopped = stopped.clone();
        all.spawn(async move {
            let sent = send(write, &bytes, owe, stopped);
            let answered = receive(read, owed, |_| {
                counter.fetch_add(moved, Ordering::Relaxed);
            });
            tokio::try_join!(sent, answered).map(|_| ())
        });
    }
    tokio::time::sleep(WARM_UP).await;
    let first = mark()?;
    let (from, began) = (acknowledged.load(Ordering::Relaxed), Instant::now());
    tokio::time::sleep(span).await;
    let last = mark()?;
    let moved = Moved {
        bytes: acknowledged.load(Ordering::Relaxed) - from,
        took: began.elapsed(),
    };
    let _ = stop.send(true);
    while let Some(ended) = all.join_next().await {
        ended??;
    }
    Ok((moved, first, last))
}

/// Sends `rate` requests a second in all, whether or not answers come. Gives the times from the moment
/// at which each was due to its answer, in milliseconds, ascending, of those due within `span` after
/// warming up.
///
/// # Errors
/// As [`full`].
pub(super) async fn paced(
    address: SocketAddr,
    requests: &[Request],
    rate: f64,
    span: Duration,
) -> Result<Vec<f64>> {
    let mut all: JoinSet<Result<Vec<f64>>> = JoinSet::new();
    let connections = u32::try_from(requests.len())?;
    let every = Duration::from_secs_f64(f64::from(connections) / rate);
    let begin = Instant::now();
    for (n, request) in (0u32..).zip(requests) {
        let (read, write) = connect(address).await?.into_split();
        let (owe, owed) = mpsc::channel(1_000);
        let bytes: Arc<[u8]> = request.bytes.as_slice().into();
        let first = begin + every * n / connections;
        all.spawn(async move {
            let mut times = Vec::new();
            let sent = send_paced(write, &bytes, owe, first, every, WARM_UP + span);
            let answered = receive(read, owed, |due: Instant| {
                if due >= begin + WARM_UP {
                    times.push(due.elapsed().as_secs_f64() * 1e3);
                }
            });
            tokio::try_join!(sent, answered)?;
            Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(ended) = all.join_next().await {
        times.extend(ended??);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// Sends a request so and so often, one after the other.
///
/// # Errors
/// As [`full`].
pub(super) async fn times(address: SocketAddr, request: &Request, times: usize) -> Result<()> {
    let (read, mut write) = connect(address).await?.into_split();
    let (owe, owed) = mpsc::channel(IN_FLIGHT - 1);
    let sent = async {
        // Ends when all is sent, so that no more is waited for.
        let owe = owe;
        for _ in 0..times {
            owe.send(Instant::now()).await?;
            write.write_all(&request.bytes).await?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(sent, receive(read, owed, |_| {}))?;
    Ok(())
}

pub(super) async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address)
        .await
        .with_context(|| format!("{address} can't be connected to"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn send(
    mut write: OwnedWriteHalf,
    request: &[u8],
    owe: mpsc::Sender<Instant>,
    stopped: watch::Receiver<bool>,
) -> Result<OwnedWriteHalf> {
    while !*stopped.borrow() {
        // Waits while as many as may be are unanswered.
        owe.send(Instant::now()).await?;
        write.write_all(request).await?;
    }
    // Kept until all is answered: Kroxylicious gives no more answers once this side is closed.
    Ok(write)
}

async fn send_paced(
    mut write: OwnedWriteHalf,
    request: &[u8],
    owe: mpsc::Sender<Instant>,
    first: Instant,
    every: Duration,
    span: Duration,
) -> Result<OwnedWriteHalf> {
    let mut due = first;
    while due < first + span {
        tokio::time::sleep_until(due.into()).await;
        owe.send(due).await?;
        write.write_all(request).await?;
        due += every;
    }
    Ok(write)
}

async fn receive(
    read: OwnedReadHalf,
    mut owed: mpsc::Receiver<Instant>,
    mut answered: impl FnMut(Instant),
) -> Result<()> {
    let mut read = BufReader::new(read);
    let mut frame = Vec::new();
    while let Some(since) = owed.recv().await {
        let answer = async {
            let length = usize::try_from(read.read_i32().await?)?;
            frame.resize(length, 0);
            read.read_exact(&mut frame).await?;
            anyhow::Ok(())
        };
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(done) => done.context("no answer")?,
            Err(_) => bail!("no answer within {PATIENCE:?}"),
        }
        check(&frame)?;
        answered(since);
    }
    Ok(())
}

/// That an answer is to our request, and says yes.
///
/// # Errors
/// It is not, or the batch is refused.
pub(super) fn check(frame: &[u8]) -> Result<()> {
    ensure!(
        frame.first_chunk() == Some(&CORRELATION_ID.to_be_bytes()),
        "an answer to something else"
    );
    let mut error = 0;
    read_answers(frame, VERSION, |answer| error = answer.error_code)?;
    ensure!(error == 0, "a batch is refused with code {error}");
    Ok(())
}
