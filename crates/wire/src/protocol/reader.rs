//! Reads the primitive types of Kafka's protocol from borrowed bytes. Nothing is allocated, and no
//! count is believed before the bytes that it would need are there.

use std::ops::Range;

/// Why bytes are no message of the stated kind, or a message can't be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The message ends within a field.
    #[error("message ends within a field at byte {at}")]
    Truncated {
        /// Where the field begins, from the start of the frame.
        at: usize,
    },
    /// A length or count that can't be: below its least, or more than the bytes that are left.
    #[error("length {stated} at byte {at} does not fit the {left} bytes that are left")]
    Length {
        /// Where, from the start of the frame.
        at: usize,
        /// As stated.
        stated: i64,
        /// What is left behind it.
        left: usize,
    },
    /// A varint of more than five bytes.
    #[error("varint at byte {at} is longer than five bytes")]
    Varint {
        /// Where, from the start of the frame.
        at: usize,
    },
    /// A string that is not UTF-8.
    #[error("string at byte {at} is not UTF-8")]
    Utf8 {
        /// Where, from the start of the frame.
        at: usize,
    },
    /// Null where the protocol allows none.
    #[error("null at byte {at} where there must be a value")]
    Null {
        /// Where, from the start of the frame.
        at: usize,
    },
    /// Bytes behind the last field.
    #[error("{left} bytes follow the last field")]
    Trailing {
        /// How many.
        left: usize,
    },
    /// A frame's length has four bytes and a sign.
    #[error("frame of {bytes} bytes is larger than the protocol can say")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// A version that this reader does not know.
    #[error("version {version} of {api} is not known here")]
    Version {
        /// API's name.
        api: &'static str,
        /// Version.
        version: i16,
    },
}

/// A 16-byte topic id (KIP-516). All zero: none.
pub type Uuid = [u8; 16];

/// Reads from the front, and knows how far it has come. `flexible` chooses the encoding of strings,
/// bytes and arrays (KIP-482).
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    all: &'a [u8],
    at: usize,
    flexible: bool,
}

impl<'a> Reader<'a> {
    /// From byte `at` of a frame on.
    #[must_use]
    pub const fn new(frame: &'a [u8], at: usize, flexible: bool) -> Self {
        Self {
            all: frame,
            at,
            flexible,
        }
    }

    /// Where it is, from the start of the frame.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Whether strings and arrays are compact and tagged fields follow.
    #[must_use]
    pub const fn is_flexible(&self) -> bool {
        self.flexible
    }

    /// Bytes not read yet.
    #[must_use]
    pub fn left(&self) -> usize {
        self.all.len().saturating_sub(self.at)
    }

    /// Takes `n` bytes as they are.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    #[inline]
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let end = self.at.checked_add(n);
        let taken = end.and_then(|end| self.all.get(self.at..end));
        let taken = taken.ok_or(WireError::Truncated { at: self.at })?;
        self.at += n;
        Ok(taken)
    }

    #[inline]
    fn array_of<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let at = self.at;
        self.take(N)?
            .try_into()
            .map_err(|_| WireError::Truncated { at })
    }

    /// A byte.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn i8(&mut self) -> Result<i8, WireError> {
        self.array_of().map(i8::from_be_bytes)
    }

    /// A boolean: 0 is false.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn bool(&mut self) -> Result<bool, WireError> {
        Ok(self.i8()? != 0)
    }

    /// Two bytes.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn i16(&mut self) -> Result<i16, WireError> {
        self.array_of().map(i16::from_be_bytes)
    }

    /// Four bytes.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    #[inline]
    pub fn i32(&mut self) -> Result<i32, WireError> {
        self.array_of().map(i32::from_be_bytes)
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn i64(&mut self) -> Result<i64, WireError> {
        self.array_of().map(i64::from_be_bytes)
    }

    /// A topic id.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn uuid(&mut self) -> Result<Uuid, WireError> {
        self.array_of()
    }

    /// An unsigned varint of at most 32 bits.
    ///
    /// # Errors
    /// [`WireError::Truncated`], [`WireError::Varint`].
    #[inline]
    pub fn unsigned_varint(&mut self) -> Result<u32, WireError> {
        let at = self.at;
        let mut value = 0u32;
        for shift in [0u32, 7, 14, 21, 28] {
            let [byte] = self.array_of()?;
            let low = u32::from(byte & 0x7f);
            if shift == 28 && low > 0x0f {
                return Err(WireError::Varint { at });
            }
            value |= low << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(WireError::Varint { at })
    }

    /// A length as strings (2 bytes) or bytes and arrays (4 bytes) have it where not flexible;
    /// −1 is null.
    fn length(&mut self, short: bool) -> Result<Option<usize>, WireError> {
        let at = self.at;
        let stated = if self.flexible {
            i64::from(self.unsigned_varint()?) - 1
        } else if short {
            i64::from(self.i16()?)
        } else {
            i64::from(self.i32()?)
        };
        if stated == -1 {
            return Ok(None);
        }
        usize::try_from(stated)
            .ok()
            .filter(|n| *n <= self.left())
            .map(Some)
            .ok_or(WireError::Length {
                at,
                stated,
                left: self.left(),
            })
    }

    /// A string that may be null.
    ///
    /// # Errors
    /// Cut, too long for what is left, or not UTF-8.
    pub fn nullable_string(&mut self) -> Result<Option<&'a str>, WireError> {
        let Some(length) = self.length(true)? else {
            return Ok(None);
        };
        let at = self.at;
        std::str::from_utf8(self.take(length)?)
            .map(Some)
            .map_err(|_| WireError::Utf8 { at })
    }

    /// A string.
    ///
    /// # Errors
    /// As [`nullable_string`](Self::nullable_string), and null.
    pub fn string(&mut self) -> Result<&'a str, WireError> {
        let at = self.at;
        self.nullable_string()?.ok_or(WireError::Null { at })
    }

    /// Bytes that may be null.
    ///
    /// # Errors
    /// Cut, or too long for what is left.
    #[inline]
    pub fn nullable_bytes(&mut self) -> Result<Option<&'a [u8]>, WireError> {
        match self.length(false)? {
            Some(length) => self.take(length).map(Some),
            None => Ok(None),
        }
    }

    /// Bytes.
    ///
    /// # Errors
    /// As [`nullable_bytes`](Self::nullable_bytes), and null.
    pub fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let at = self.at;
        self.nullable_bytes()?.ok_or(WireError::Null { at })
    }

    /// How many elements an array has; each needs at least `least` bytes (1 or more), so that no
    /// more are promised than could be there. Null counts as none: `None`.
    ///
    /// # Errors
    /// Cut, or more than what is left could hold.
    pub fn nullable_array(&mut self, least: usize) -> Result<Option<usize>, WireError> {
        let at = self.at;
        let Some(count) = self.length(false)? else {
            return Ok(None);
        };
        if count.saturating_mul(least.max(1)) > self.left() {
            return Err(WireError::Length {
                at,
                stated: i64::try_from(count).unwrap_or(i64::MAX),
                left: self.left(),
            });
        }
        Ok(Some(count))
    }

    /// As [`nullable_array`](Self::nullable_array), null as 0.
    ///
    /// # Errors
    /// As there.
    pub fn array(&mut self, least: usize) -> Result<usize, WireError> {
        Ok(self.nullable_array(least)?.unwrap_or(0))
    }

    /// Tagged fields (KIP-482), each given to `field` as its tag and the range of its bytes in the
    /// frame. None where not flexible.
    ///
    /// # Errors
    /// Cut, or more than what is left could hold.
    pub fn tagged(
        &mut self,
        mut field: impl FnMut(u32, Range<usize>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        if !self.flexible {
            return Ok(());
        }
        let at = self.at;
        let count = self.unsigned_varint()?;
        // A field has at least its tag and its length.
        if usize::try_from(count).is_ok_and(|n| n > self.left() / 2) {
            return Err(WireError::Length {
                at,
                stated: i64::from(count),
                left: self.left(),
            });
        }
        for _ in 0..count {
            let tag = self.unsigned_varint()?;
            let at = self.at;
            let size = self.unsigned_varint()?;
            let from = self.at;
            let size = usize::try_from(size)
                .ok()
                .filter(|n| *n <= self.left())
                .ok_or(WireError::Length {
                    at,
                    stated: i64::from(size),
                    left: self.left(),
                })?;
            self.take(size)?;
            field(tag, from..from + size)?;
        }
        Ok(())
    }

    /// Passes over tagged fields.
    ///
    /// # Errors
    /// As [`tagged`](Self::tagged).
    pub fn skip_tagged(&mut self) -> Result<(), WireError> {
        self.tagged(|_, _| Ok(()))
    }

    /// Nothing may follow.
    ///
    /// # Errors
    /// [`WireError::Trailing`].
    pub fn end(&self) -> Result<(), WireError> {
        match self.left() {
            0 => Ok(()),
            left => Err(WireError::Trailing { left }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_lengths_are_not_believed() {
        // 54 million elements in eight bytes.
        let frame = [0x03, 0x38, 0x00, 0x00, 0, 0, 0, 0];
        assert!(matches!(
            Reader::new(&frame, 0, false).array(1),
            Err(WireError::Length {
                stated: 54_001_664,
                left: 4,
                ..
            })
        ));
        // 20 million tagged fields.
        let frame = [0x80, 0xda, 0xc4, 0x09, 0, 0];
        assert!(matches!(
            Reader::new(&frame, 0, true).skip_tagged(),
            Err(WireError::Length { left: 2, .. })
        ));
        let frame = [0xff, 0xff, 0xff, 0xff, 0x7f];
        assert_eq!(
            Reader::new(&frame, 0, true).unsigned_varint(),
            Err(WireError::Varint { at: 0 })
        );
        let frame = [0xff, 0xfe, 1];
        assert_eq!(
            Reader::new(&frame, 0, false).nullable_string(),
            Err(WireError::Length {
                at: 0,
                stated: -2,
                left: 1
            })
        );
    }

    #[test]
    fn reads_both_encodings() {
        let old = [0, 2, b'h', b'i', 0xff, 0xff, 0, 0, 0, 1, 7];
        let mut at = Reader::new(&old, 0, false);
        assert_eq!(at.string(), Ok("hi"));
        assert_eq!(at.nullable_string(), Ok(None));
        assert_eq!(at.nullable_bytes(), Ok(Some(&[7][..])));
        at.end().unwrap();
        let new = [3, b'h', b'i', 0, 2, 7, 1, 0, 1, 9];
        let mut at = Reader::new(&new, 0, true);
        assert_eq!(at.string(), Ok("hi"));
        assert_eq!(at.string(), Err(WireError::Null { at: 3 }));
        assert_eq!(at.bytes(), Ok(&[7][..]));
        let mut seen = Vec::new();
        at.tagged(|tag, range| {
            seen.push((tag, range));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [(0, 9..10)]);
        at.end().unwrap();
    }
}
