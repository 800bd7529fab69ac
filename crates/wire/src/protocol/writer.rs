//! Writes the primitive types of Kafka's protocol.

use super::reader::Uuid;

/// Appends to a buffer in the encoding of a version. Lengths above what the protocol can say are
/// cut to it: what is written here is small (hosts, messages, lists of partitions).
#[derive(Debug)]
pub struct Writer<'o> {
    out: &'o mut Vec<u8>,
    flexible: bool,
}

impl<'o> Writer<'o> {
    /// Behind what `out` has.
    pub const fn new(out: &'o mut Vec<u8>, flexible: bool) -> Self {
        Self { out, flexible }
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    /// A byte.
    pub fn i8(&mut self, value: i8) {
        self.raw(&value.to_be_bytes());
    }

    /// Two bytes.
    pub fn i16(&mut self, value: i16) {
        self.raw(&value.to_be_bytes());
    }

    /// Four bytes.
    pub fn i32(&mut self, value: i32) {
        self.raw(&value.to_be_bytes());
    }

    /// Eight bytes.
    pub fn i64(&mut self, value: i64) {
        self.raw(&value.to_be_bytes());
    }

    /// A topic id.
    pub fn uuid(&mut self, value: &Uuid) {
        self.raw(value);
    }

    /// An unsigned varint.
    pub fn unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.out
                .push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
            value >>= 7;
        }
        self.out.push(u8::try_from(value).unwrap_or(0));
    }

    /// A string that may be null, of at most 32,767 bytes: cut at a character above that.
    pub fn nullable_string(&mut self, text: Option<&str>) {
        let Some(text) = text else {
            return if self.flexible {
                self.unsigned_varint(0);
            } else {
                self.i16(-1);
            };
        };
        let end = text.floor_char_boundary(usize::from(i16::MAX.unsigned_abs()));
        let text = text.get(..end).unwrap_or_default();
        if self.flexible {
            self.unsigned_varint(u32::try_from(text.len()).unwrap_or(0) + 1);
        } else {
            self.i16(i16::try_from(text.len()).unwrap_or(0));
        }
        self.raw(text.as_bytes());
    }

    /// A string.
    pub fn string(&mut self, text: &str) {
        self.nullable_string(Some(text));
    }

    /// An array's (or a byte string's) length.
    pub fn length(&mut self, count: usize) {
        let count = i32::try_from(count).unwrap_or(i32::MAX - 1);
        if self.flexible {
            self.unsigned_varint(count.unsigned_abs() + 1);
        } else {
            self.i32(count);
        }
    }

    /// An array that is null.
    pub fn null_array(&mut self) {
        if self.flexible {
            self.unsigned_varint(0);
        } else {
            self.i32(-1);
        }
    }

    /// No tagged fields; nothing where not flexible.
    pub fn no_tags(&mut self) {
        if self.flexible {
            self.out.push(0);
        }
    }
}
