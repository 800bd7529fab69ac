//! Who writes to the log: a registry of ours, and others.

use super::rows::StateError;
use super::values::{In, Out, garbled};

/// Records that others wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// Offset of the newest one; −1 if there is none.
    pub newest: i64,
    /// How many there were after the first one of our own.
    pub after_own: u64,
    /// Whether there has been one of our own.
    pub own: bool,
}

impl Default for Foreign {
    fn default() -> Self {
        Self {
            newest: -1,
            after_own: 0,
            own: false,
        }
    }
}

impl Foreign {
    pub(super) fn put(self) -> Vec<u8> {
        let mut out = Out::default();
        out.signed(self.newest);
        out.number(self.after_own);
        out.number(u64::from(self.own));
        out.0
    }

    pub(super) fn take(value: &[u8]) -> Result<Self, StateError> {
        let mut input = In(value);
        let mut read = || {
            Some(Self {
                newest: input.signed()?,
                after_own: input.number()?,
                own: input.number()? == 1,
            })
        };
        garbled("foreign records", read())
    }
}

/// Who writes, as the log's own record says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogWriter {
    /// Where it answers.
    pub url: Option<String>,
    /// Its name.
    pub instance: Option<String>,
    /// Up to which offset it knows of the ids of aborted records.
    pub scanned_to: Option<i64>,
    /// Offset of the record.
    pub offset: i64,
}

impl LogWriter {
    pub(super) fn put(&self) -> Vec<u8> {
        let mut out = Out::default();
        out.option(self.url.as_deref().map(str::as_bytes));
        out.option(self.instance.as_deref().map(str::as_bytes));
        out.signed(self.scanned_to.unwrap_or(-1));
        out.signed(self.offset);
        out.0
    }

    pub(super) fn take(value: &[u8]) -> Result<Self, StateError> {
        let mut input = In(value);
        let mut read = || {
            let mut text = || {
                Some(match input.option()? {
                    Some(bytes) => Some(std::str::from_utf8(bytes).ok()?.to_owned()),
                    None => None,
                })
            };
            let (url, instance) = (text()?, text()?);
            Some(Self {
                url,
                instance,
                scanned_to: Some(input.signed()?).filter(|offset| *offset >= 0),
                offset: input.signed()?,
            })
        };
        garbled("writer", read())
    }
}
