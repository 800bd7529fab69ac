//! Input read on a thread of its own and handed over in batches, bounded: reading a file or a pipe
//! blocks, and parsing the next while this is being sent keeps both busy.

use std::io::{self, BufRead, Read};
use std::ops::Range;

use meshwork_avro::Schema;
use tokio::sync::mpsc;

use super::csv::{CsvMapping, CsvReadError, CsvSource};
use super::framed::{FramedReadError, FramedSource};

/// Longest line or row. 16 MiB: above the largest record that a broker takes in practice, and a
/// file without a line break must not fill the memory.
pub const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;
/// A batch is handed over at this size, or when nothing more is there for now.
const BATCH_BYTES: usize = 256 * 1024;
/// Batches that may wait.
const BATCHES_WAITING: usize = 4;

/// Why input can't be read on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The file or stream.
    #[error("input can't be read after line {line}")]
    Read {
        /// The last line that could be.
        line: u64,
        /// Why.
        source: io::Error,
    },
    /// A line that is too long.
    #[error("line {line} is longer than {MAX_LINE_BYTES} bytes")]
    TooLong {
        /// Which.
        line: u64,
    },
    /// The CSV.
    #[error(transparent)]
    Csv(#[from] CsvReadError),
    /// The framed records.
    #[error(transparent)]
    Framed(#[from] FramedReadError),
}

/// Some lines, rows or records.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    items: Vec<Place>,
}

#[derive(Debug)]
struct Place {
    number: u64,
    key: Option<Range<usize>>,
    value: Range<usize>,
}

/// One of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// Line, or record, from 1.
    pub number: u64,
    /// Key, of input that is encoded already.
    pub key: Option<&'a [u8]>,
    /// JSON text, or a framed value.
    pub value: &'a [u8],
}

impl Batch {
    /// In their order.
    pub fn iter(&self) -> impl Iterator<Item = Item<'_>> {
        self.items.iter().map(|place| Item {
            number: place.number,
            key: place.key.clone().and_then(|range| self.bytes.get(range)),
            value: self.bytes.get(place.value.clone()).unwrap_or_default(),
        })
    }

    pub(super) fn push(&mut self, number: u64, key: Option<&[u8]>, value: &[u8]) {
        let mut append = |bytes: &[u8]| {
            let from = self.bytes.len();
            self.bytes.extend_from_slice(bytes);
            from..self.bytes.len()
        };
        let key = key.map(&mut append);
        let value = append(value);
        self.items.push(Place { number, key, value });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= BATCH_BYTES
    }
}

/// Batches as they are read. Dropping it ends the thread at its next batch.
#[derive(Debug)]
pub struct Input {
    batches: mpsc::Receiver<Result<Batch, InputError>>,
}

/// Hands batches over; false once nobody takes them.
pub(super) struct Hand(mpsc::Sender<Result<Batch, InputError>>);

impl Hand {
    pub(super) fn over(&self, batch: &mut Batch) -> bool {
        batch.is_empty() || self.0.blocking_send(Ok(std::mem::take(batch))).is_ok()
    }
}

impl Input {
    /// JSON lines. Empty ones are skipped; a last one without a line break counts.
    pub fn json_lines(reader: impl Read + Send + 'static) -> Self {
        Self::read(move |hand| read_lines(reader, hand))
    }

    /// CSV with a header row, as JSON of `schema`'s fields.
    pub fn csv(reader: impl Read + Send + 'static, mapping: CsvMapping, schema: &Schema) -> Self {
        let schema = schema.clone();
        Self::read(move |hand| {
            let mut source = CsvSource::new(reader, &mapping, &schema)?;
            let mut batch = Batch::default();
            while source.next(&mut batch)? {
                if batch.is_full() && !hand.over(&mut batch) {
                    return Ok(());
                }
            }
            hand.over(&mut batch);
            Ok(())
        })
    }

    /// Records that are encoded already; see [`write_framed`](super::write_framed) for the form.
    pub fn framed(reader: impl Read + Send + 'static) -> Self {
        Self::read(move |hand| {
            let mut source = FramedSource::new(reader);
            let mut batch = Batch::default();
            while source.next(&mut batch)? {
                if batch.is_full() && !hand.over(&mut batch) {
                    return Ok(());
                }
            }
            hand.over(&mut batch);
            Ok(())
        })
    }

    fn read(work: impl FnOnce(&Hand) -> Result<(), InputError> + Send + 'static) -> Self {
        let (tell, batches) = mpsc::channel(BATCHES_WAITING);
        let failed = tell.clone();
        let spawned = std::thread::Builder::new()
            .name("produce-input".to_owned())
            .spawn(move || {
                let hand = Hand(tell);
                if let Err(error) = work(&hand) {
                    // Whoever asked may be gone.
                    let _ = hand.0.blocking_send(Err(error));
                }
            });
        if let Err(source) = spawned {
            let _ = failed.try_send(Err(InputError::Read { line: 0, source }));
        }
        Self { batches }
    }

    /// The next batch; none at the end.
    ///
    /// # Errors
    /// See [`InputError`]. What came before it was handed over.
    pub async fn next(&mut self) -> Result<Option<Batch>, InputError> {
        self.batches.recv().await.transpose()
    }
}

/// Lines are handed over as they come, so that someone at a terminal sees each one sent.
fn read_lines(reader: impl Read, hand: &Hand) -> Result<(), InputError> {
    let mut reader = io::BufReader::with_capacity(BATCH_BYTES, reader);
    let mut batch = Batch::default();
    let mut partial = Vec::new();
    let mut line = 0u64;
    let push = |line: u64, text: &[u8], batch: &mut Batch| {
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if !text.trim_ascii().is_empty() {
            batch.push(line, None, text);
        }
    };
    loop {
        let chunk = match reader.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            chunk => chunk.map_err(|source| InputError::Read { line, source })?,
        };
        if chunk.is_empty() {
            break;
        }
        let used = chunk.len();
        let mut pieces = chunk.split(|b| *b == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            if pieces.peek().is_none() {
                partial.extend_from_slice(piece);
            } else if partial.is_empty() {
                line += 1;
                push(line, piece, &mut batch);
            } else {
                line += 1;
                partial.extend_from_slice(piece);
                push(line, &partial, &mut batch);
                partial.clear();
            }
            if partial.len() > MAX_LINE_BYTES {
                hand.over(&mut batch);
                return Err(InputError::TooLong { line: line + 1 });
            }
        }
        reader.consume(used);
        if !hand.over(&mut batch) {
            return Ok(());
        }
    }
    if !partial.is_empty() {
        push(line + 1, &partial, &mut batch);
    }
    hand.over(&mut batch);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(bytes: Vec<u8>) -> Vec<(u64, String)> {
        let mut input = Input::json_lines(io::Cursor::new(bytes));
        let mut all = Vec::new();
        while let Some(batch) = input.next().await.unwrap() {
            all.extend(
                batch
                    .iter()
                    .map(|i| (i.number, String::from_utf8(i.value.to_vec()).unwrap())),
            );
        }
        all
    }

    #[tokio::test]
    async fn lines_keep_their_numbers_over_empty_ones_and_chunks() {
        let long = "x".repeat(BATCH_BYTES + 7);
        let text = format!("a\n\nb\r\n  \n{long}\nlast");
        assert_eq!(
            lines(text.into_bytes()).await,
            [
                (1, "a".to_owned()),
                (3, "b".to_owned()),
                (5, long),
                (6, "last".to_owned())
            ]
        );
        assert_eq!(lines(Vec::new()).await, []);
        assert_eq!(lines(b"\n\n".to_vec()).await, []);
    }

    #[tokio::test]
    async fn a_line_without_end_is_refused_and_those_before_it_come_through() {
        let reader = io::Cursor::new(b"a\n".to_vec()).chain(io::repeat(b'x'));
        let mut input = Input::json_lines(reader);
        let first = input.next().await.unwrap().unwrap();
        assert_eq!(first.iter().next().unwrap().value, b"a");
        let error = input.next().await.unwrap_err();
        assert!(matches!(error, InputError::TooLong { line: 2 }), "{error}");
    }
}
