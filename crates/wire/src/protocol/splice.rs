//! A message written anew from the old one: what is not replaced is copied as it is.

use std::ops::Range;

use super::header::{LENGTH_BYTES, seal};
use super::reader::{Reader, WireError};
use super::writer::Writer;

/// Copies a frame and replaces parts of it, front to back. The result has its length in front.
#[derive(Debug)]
pub(super) struct Splice<'a> {
    frame: &'a [u8],
    /// Up to where the frame has been copied or replaced.
    done: usize,
    out: Vec<u8>,
}

impl<'a> Splice<'a> {
    pub(super) fn new(frame: &'a [u8]) -> Self {
        let mut out = Vec::with_capacity(LENGTH_BYTES + frame.len());
        out.extend_from_slice(&[0; LENGTH_BYTES]);
        Self {
            frame,
            done: 0,
            out,
        }
    }

    /// Copies up to byte `to`.
    fn keep(&mut self, to: usize) {
        let kept = self.frame.get(self.done..to).unwrap_or_default();
        self.out.extend_from_slice(kept);
        self.done = self.done.max(to);
    }

    /// Writes something else for a range of the frame.
    pub(super) fn replace(&mut self, range: Range<usize>, write: impl FnOnce(&mut Vec<u8>)) {
        self.keep(range.start);
        write(&mut self.out);
        self.done = self.done.max(range.end);
    }

    /// An array of which elements may go: `element` reads one, replaces what it likes, and says
    /// whether it stays. The count is mended.
    pub(super) fn array<'r>(
        &mut self,
        at: &mut Reader<'r>,
        least: usize,
        mut element: impl FnMut(&mut Self, &mut Reader<'r>) -> Result<bool, WireError>,
    ) -> Result<(), WireError> {
        let count_at = at.position();
        let Some(count) = at.nullable_array(least)? else {
            return Ok(());
        };
        let count_bytes = at.position() - count_at;
        self.keep(count_at);
        let mark = self.out.len();
        self.keep(at.position());
        let mut kept = 0usize;
        for _ in 0..count {
            let from = at.position();
            if element(self, at)? {
                kept += 1;
            } else {
                self.replace(from..at.position(), |_| ());
            }
        }
        self.keep(at.position());
        if kept != count {
            let mut bytes = Vec::with_capacity(LENGTH_BYTES + 1);
            Writer::new(&mut bytes, at.is_flexible()).length(kept);
            self.out.splice(mark..mark + count_bytes, bytes);
        }
        Ok(())
    }

    /// The rest as it is, and the length.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, WireError> {
        self.keep(self.frame.len());
        seal(self.out)
    }
}
