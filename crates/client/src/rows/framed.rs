//! Records that are encoded already, one behind the other (`produce --avro`).
//!
//! Each is: length of the key as a big-endian i32 (−1: no key), the key, length of the value as a
//! big-endian i32 (−1: a tombstone), the value in Confluent framing (`00`, schema id, datum). An
//! Avro object container file would lose the keys and the schema ids.

use std::io::{self, BufReader, Read, Write};

use super::input::{Batch, MAX_LINE_BYTES};

/// Why framed records can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FramedReadError {
    /// The file or stream, or an end within a record.
    #[error("record {record} can't be read")]
    Read {
        /// Which, from 1.
        record: u64,
        /// Why.
        source: io::Error,
    },
    /// A length that can't be.
    #[error(
        "record {record} says that its {what} has {length} bytes; at most {MAX_LINE_BYTES} are taken"
    )]
    Length {
        /// Which, from 1.
        record: u64,
        /// Key or value.
        what: &'static str,
        /// As stated.
        length: i32,
    },
}

pub(super) struct FramedSource<R> {
    reader: BufReader<R>,
    record: u64,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl<R: Read> FramedSource<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader: BufReader::with_capacity(256 * 1024, reader),
            record: 0,
            key: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Adds the next record to `batch`; false at the end.
    pub(super) fn next(&mut self, batch: &mut Batch) -> Result<bool, FramedReadError> {
        self.record += 1;
        let record = self.record;
        let failed = |source| FramedReadError::Read { record, source };
        let mut length = [0u8; 4];
        let mut read = 0;
        while read < length.len() {
            let rest = length.get_mut(read..).unwrap_or_default();
            match self.reader.read(rest) {
                Ok(0) if read == 0 => return Ok(false),
                Ok(0) => return Err(failed(io::ErrorKind::UnexpectedEof.into())),
                Ok(n) => read += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        let has_key = fill(&mut self.reader, &mut self.key, record, "key", length)?;
        self.reader.read_exact(&mut length).map_err(failed)?;
        // A tombstone comes through as an empty value, which no framed one is.
        fill(&mut self.reader, &mut self.value, record, "value", length)?;
        batch.push(record, has_key.then_some(&*self.key), &self.value);
        Ok(true)
    }
}

fn fill(
    reader: &mut impl Read,
    into: &mut Vec<u8>,
    record: u64,
    what: &'static str,
    length: [u8; 4],
) -> Result<bool, FramedReadError> {
    into.clear();
    let length = i32::from_be_bytes(length);
    if length == -1 {
        return Ok(false);
    }
    let size = usize::try_from(length)
        .ok()
        .filter(|size| *size <= MAX_LINE_BYTES)
        .ok_or(FramedReadError::Length {
            record,
            what,
            length,
        })?;
    into.resize(size, 0);
    reader
        .read_exact(into)
        .map_err(|source| FramedReadError::Read { record, source })?;
    Ok(true)
}

/// Writes one record in the form that `produce --avro` reads.
///
/// # Errors
/// The writer's, or a key or value above 2^31 − 1 bytes.
pub fn write_framed(
    out: &mut impl Write,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> io::Result<()> {
    for part in [key, value] {
        let length = match part {
            None => -1,
            Some(bytes) => i32::try_from(bytes.len())
                .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?,
        };
        out.write_all(&length.to_be_bytes())?;
        out.write_all(part.unwrap_or_default())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    type KeyAndValue = (Option<Vec<u8>>, Vec<u8>);

    fn read(bytes: &[u8]) -> Result<Vec<KeyAndValue>, FramedReadError> {
        let mut source = FramedSource::new(bytes);
        let mut batch = Batch::default();
        while source.next(&mut batch)? {}
        Ok(batch
            .iter()
            .map(|i| (i.key.map(<[u8]>::to_vec), i.value.to_vec()))
            .collect())
    }

    #[test]
    fn what_is_written_reads_back_and_every_cut_is_noticed() {
        let mut bytes = Vec::new();
        write_framed(&mut bytes, Some(b"k"), Some(b"value")).unwrap();
        let first = bytes.len();
        write_framed(&mut bytes, None, None).unwrap();
        assert_eq!(
            read(&bytes).unwrap(),
            [(Some(b"k".to_vec()), b"value".to_vec()), (None, Vec::new())]
        );
        for cut in (1..bytes.len()).filter(|cut| *cut != first) {
            assert!(read(&bytes[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn a_length_that_cannot_be_takes_no_memory() {
        for length in [-2, i32::MAX] {
            assert!(matches!(
                read(&length.to_be_bytes()),
                Err(FramedReadError::Length {
                    record: 1,
                    what: "key",
                    ..
                })
            ));
        }
    }
}
