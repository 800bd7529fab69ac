//! Frames from a socket, and bytes to one: bounded, with few system calls.

use std::io;
use std::io::IoSlice;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use meshwork_wire::protocol::{FrameError, LENGTH_BYTES, frame_length};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// One direction of a connection, encrypted or not.
pub(crate) type Source = Box<dyn AsyncRead + Send + Unpin>;
/// The other.
pub(crate) type Sink = Box<dyn AsyncWrite + Send + Unpin>;

/// What an idle connection holds.
const IDLE_BYTES: usize = 4 << 10;
/// Read beyond the end of a large frame, so that the next one's first bytes come along.
const AHEAD_BYTES: usize = 4 << 10;
/// Read at a time where a frame's length is not known yet.
const READ_BYTES: usize = 64 << 10;
/// Arrived bytes after which room for the whole of a frame is made at once.
pub(crate) const EARNEST_BYTES: usize = 64 << 10;
/// Small messages are gathered up to this many bytes.
const GATHER_BYTES: usize = 32 << 10;
/// What a connection reads large frames into: most producers' batches and what goes with them.
const LARGE_BYTES: usize = 256 << 10;
/// Large buffers kept, over all connections: 16 MiB.
const LARGE_KEPT: usize = 64;

/// Large buffers that no connection needs now. A new one costs the kernel more than what is read
/// into it, and every connection keeping its own costs memory for nothing.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    kept: Mutex<Vec<BytesMut>>,
}

impl Buffers {
    fn take(&self) -> BytesMut {
        let kept = self.kept.lock().pop();
        kept.unwrap_or_else(|| BytesMut::with_capacity(LARGE_BYTES))
    }

    fn give(&self, mut buffer: BytesMut) {
        buffer.clear();
        // Not while a part of it is still held, and not one that had to grow.
        if !buffer.try_reclaim(LARGE_BYTES) || buffer.capacity() > LARGE_BYTES {
            return;
        }
        let mut kept = self.kept.lock();
        if kept.len() < LARGE_KEPT {
            kept.push(buffer);
        }
    }
}

/// Reads frames.
pub(crate) struct Frames {
    source: Source,
    buffer: BytesMut,
    /// The small buffer, while `buffer` is a large one.
    small: Option<BytesMut>,
    buffers: Arc<Buffers>,
}

impl Frames {
    pub(crate) fn new(source: Source, buffers: Arc<Buffers>) -> Self {
        Self {
            source,
            buffer: BytesMut::with_capacity(IDLE_BYTES),
            small: None,
            buffers,
        }
    }

    /// Bytes that have come and were not taken.
    pub(crate) fn ready(&self) -> &[u8] {
        &self.buffer
    }

    /// Waits until `n` bytes are there. `false`: the other end has closed, and fewer are. May be
    /// dropped and called again without losing anything.
    pub(crate) async fn fill(&mut self, n: usize) -> io::Result<bool> {
        while self.buffer.len() < n {
            let missing = n - self.buffer.len();
            let room = if missing <= EARNEST_BYTES || self.buffer.len() >= EARNEST_BYTES {
                missing
            } else {
                EARNEST_BYTES
            };
            if n > IDLE_BYTES {
                self.enlarge();
            }
            if self.buffer.capacity() - self.buffer.len() < room {
                self.buffer.reserve(room + AHEAD_BYTES);
            }
            // Several small frames at once; of a large one not much of what comes behind it, which
            // would have to be moved.
            let most = READ_BYTES.max(room + AHEAD_BYTES);
            let mut into = (&mut self.buffer).limit(most);
            if self.source.read_buf(&mut into).await? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Waits until at least one byte is there, and takes as many as have come, up to `most`. Empty:
    /// the other end has closed.
    pub(crate) async fn some(&mut self, most: usize) -> io::Result<Bytes> {
        if self.buffer.is_empty() {
            self.enlarge();
            self.buffer.reserve(most.min(LARGE_BYTES));
            self.source.read_buf(&mut self.buffer).await?;
        }
        Ok(self.take(most))
    }

    fn enlarge(&mut self) {
        if self.small.is_none() {
            let mut large = self.buffers.take();
            large.extend_from_slice(&self.buffer);
            let mut small = std::mem::replace(&mut self.buffer, large);
            small.clear();
            self.small = Some(small);
        }
    }

    /// Gives a large buffer back in which nothing is.
    pub(crate) fn shrink(&mut self) {
        if self.buffer.is_empty()
            && let Some(mut small) = self.small.take()
        {
            if !small.try_reclaim(IDLE_BYTES) {
                small = BytesMut::with_capacity(IDLE_BYTES);
            }
            let large = std::mem::replace(&mut self.buffer, small);
            self.buffers.give(large);
        }
    }

    /// Waits for the beginning of a frame: its length and its first `least` bytes, which stay where
    /// they are. `None`: the other end has closed where a frame would begin. While nothing comes, a
    /// connection holds no large buffer.
    pub(crate) async fn begin(
        &mut self,
        least: usize,
        limit: usize,
    ) -> Result<Option<usize>, Begin> {
        if self.small.is_some() && self.buffer.is_empty() {
            let begun = at_once(pin!(self.fill(LENGTH_BYTES))).await;
            match begun {
                Some(Ok(true)) => {}
                Some(Ok(false)) => return self.closed(),
                Some(Err(error)) => return Err(Begin::Io(error)),
                None => self.shrink(),
            }
        }
        if !self.fill(LENGTH_BYTES).await? {
            return self.closed();
        }
        let Some(prefix) = self.buffer.first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = frame_length(*prefix, least, limit)?;
        if !self.fill(LENGTH_BYTES + least).await? {
            return self.closed();
        }
        Ok(Some(length))
    }

    fn closed(&self) -> Result<Option<usize>, Begin> {
        if self.buffer.is_empty() {
            Ok(None)
        } else {
            Err(Begin::Io(io::ErrorKind::UnexpectedEof.into()))
        }
    }

    /// Takes `n` bytes that are there.
    pub(crate) fn take(&mut self, n: usize) -> Bytes {
        let n = n.min(self.buffer.len());
        self.buffer.split_to(n).freeze()
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        self.buffer.clear();
        self.shrink();
    }
}

impl Frames {
    /// Reads until the other end closes, at most for `within`, and forgets what comes.
    pub(crate) async fn discard(mut self, within: Duration) {
        let read = async {
            loop {
                self.buffer.clear();
                match self.source.read_buf(&mut self.buffer).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
            }
        };
        let _ = tokio::time::timeout(within, read).await;
    }
}

/// Why no frame begins.
#[derive(Debug)]
pub(crate) enum Begin {
    Io(io::Error),
    Frame(FrameError),
}

impl From<io::Error> for Begin {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<FrameError> for Begin {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

/// Writes bytes; small ones are gathered until [`flush`](Outbox::flush).
pub(crate) struct Outbox {
    sink: Sink,
    gathered: Vec<u8>,
    stalled_after: Duration,
}

impl Outbox {
    pub(crate) fn new(sink: Sink, stalled_after: Duration) -> Self {
        Self {
            sink,
            gathered: Vec::new(),
            stalled_after,
        }
    }

    /// Whether something waits for [`flush`](Self::flush).
    pub(crate) fn has_gathered(&self) -> bool {
        !self.gathered.is_empty()
    }

    /// Writes `bytes`, now or with the next flush.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.gathered.len() + bytes.len() <= GATHER_BYTES {
            self.gathered.extend_from_slice(bytes);
            return Ok(());
        }
        self.write_all(&[bytes]).await
    }

    /// Writes the pieces one behind the other, and what was gathered before.
    pub(crate) async fn write_all(&mut self, pieces: &[&[u8]]) -> io::Result<()> {
        let gathered = std::mem::take(&mut self.gathered);
        let mut slices = Vec::with_capacity(pieces.len() + 1);
        slices.push(IoSlice::new(&gathered));
        slices.extend(pieces.iter().map(|piece| IoSlice::new(piece)));
        let written = write_slices(&mut self.sink, &mut slices, self.stalled_after).await;
        self.gathered = gathered;
        self.gathered.clear();
        written
    }

    /// Writes what was gathered.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        if !self.gathered.is_empty() {
            self.write_all(&[]).await?;
            if self.gathered.capacity() > GATHER_BYTES {
                self.gathered = Vec::new();
            }
        }
        // Nothing is left behind in an encrypting sink either.
        self.sink.flush().await
    }

    /// Says that nothing more will come.
    pub(crate) async fn close(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.sink.shutdown().await
    }
}

/// What a future gives without being waited for. A time limit is set up only for what has to be: each
/// takes the runtime's own count of who holds it, which all threads share.
pub(crate) async fn at_once<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        Poll::Ready(match future.as_mut().poll(context) {
            Poll::Ready(done) => Some(done),
            Poll::Pending => None,
        })
    })
    .await
}

async fn write_slices(
    sink: &mut Sink,
    mut slices: &mut [IoSlice<'_>],
    stalled_after: Duration,
) -> io::Result<()> {
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        let mut writing = pin!(sink.write_vectored(slices));
        let written = match at_once(writing.as_mut()).await {
            Some(written) => written?,
            None => tokio::time::timeout(stalled_after, writing)
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??,
        };
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        IoSlice::advance_slices(&mut slices, written);
    }
    Ok(())
}
