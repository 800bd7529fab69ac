//! Frames from a socket, and bytes to one: bounded, with few system calls.

use std::io;
use std::io::IoSlice;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use meshwork_wire::protocol::{FrameError, LENGTH_BYTES, frame_length};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// One direction of a connection, encrypted or not.
pub(crate) type Source = Box<dyn AsyncRead + Send + Unpin>;
/// The other.
pub(crate) type Sink = Box<dyn AsyncWrite + Send + Unpin>;

/// What an idle connection holds.
const IDLE_BYTES: usize = 4 << 10;
/// Read beyond the end of a large frame, so that the next one's first bytes come along.
const AHEAD_BYTES: usize = 4 << 10;
/// Arrived bytes after which room for the whole of a frame is made at once.
pub(crate) const EARNEST_BYTES: usize = 64 << 10;
/// Small messages are gathered up to this many bytes.
const GATHER_BYTES: usize = 32 << 10;
/// A buffer larger than this is given back when nothing is in it.
const KEEP_BYTES: usize = 256 << 10;

/// Reads frames.
pub(crate) struct Frames {
    source: Source,
    buffer: BytesMut,
}

impl Frames {
    pub(crate) fn new(source: Source) -> Self {
        Self {
            source,
            buffer: BytesMut::with_capacity(IDLE_BYTES),
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
            if self.buffer.capacity() - self.buffer.len() < room {
                self.buffer.reserve(room + AHEAD_BYTES);
            }
            if self.source.read_buf(&mut self.buffer).await? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Waits for the beginning of a frame: its length and its first `least` bytes, which stay where
    /// they are. `None`: the other end has closed where a frame would begin. An idle connection's
    /// large buffer is given back.
    pub(crate) async fn begin(
        &mut self,
        least: usize,
        limit: usize,
    ) -> Result<Option<usize>, Begin> {
        if self.buffer.is_empty() && self.buffer.capacity() > KEEP_BYTES {
            // A producer at full speed comes again at once and would only ask for the same room.
            let again = tokio::time::timeout(IDLE_AFTER, self.fill(LENGTH_BYTES)).await;
            match again {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => return self.closed(),
                Ok(Err(error)) => return Err(Begin::Io(error)),
                Err(_) => {
                    if self.buffer.is_empty() {
                        self.buffer = BytesMut::with_capacity(IDLE_BYTES);
                    }
                }
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

/// How long a connection keeps a large buffer while nothing comes.
const IDLE_AFTER: Duration = Duration::from_secs(1);

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

async fn write_slices(
    sink: &mut Sink,
    mut slices: &mut [IoSlice<'_>],
    stalled_after: Duration,
) -> io::Result<()> {
    IoSlice::advance_slices(&mut slices, 0);
    while !slices.is_empty() {
        let written = tokio::time::timeout(stalled_after, sink.write_vectored(slices))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        IoSlice::advance_slices(&mut slices, written);
    }
    Ok(())
}
