//! What clients asked a registry and what they were told: appended to a file before a request is
//! sent and after it is answered, so that nothing which dies can take it along.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context as _, Result};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

/// What a client asks. Subjects are written with their context, as `:.team:orders`; plain ones are
/// in the default context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Call {
    /// `POST /subjects/{subject}/versions`.
    Register {
        /// Subject.
        subject: String,
        /// Schema, as the registry stores it.
        text: String,
    },
    /// `POST /subjects/{subject}`: which version has this text.
    LookUp {
        /// Subject.
        subject: String,
        /// Schema, as the registry stores it.
        text: String,
    },
    /// `DELETE /subjects/{subject}`.
    SoftDelete {
        /// Subject.
        subject: String,
    },
    /// `DELETE /subjects/{subject}?permanent=true`.
    HardDelete {
        /// Subject.
        subject: String,
    },
    /// `DELETE /subjects/{subject}/versions/{version}`.
    SoftDeleteVersion {
        /// Subject.
        subject: String,
        /// Version.
        version: i32,
    },
    /// `DELETE /subjects/{subject}/versions/{version}?permanent=true`.
    HardDeleteVersion {
        /// Subject.
        subject: String,
        /// Version.
        version: i32,
    },
    /// `GET /subjects/{subject}/versions`.
    List {
        /// Subject.
        subject: String,
    },
    /// `GET /contexts/{context}/schemas/ids/{id}`.
    ById {
        /// Context, `.` for the default one.
        context: String,
        /// Schema id.
        id: i32,
    },
}

impl Call {
    /// The subject that is asked about; none where it is an id.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Register { subject, .. }
            | Self::LookUp { subject, .. }
            | Self::SoftDelete { subject }
            | Self::HardDelete { subject }
            | Self::SoftDeleteVersion { subject, .. }
            | Self::HardDeleteVersion { subject, .. }
            | Self::List { subject } => Some(subject),
            Self::ById { .. } => None,
        }
    }

    /// Whether it may change something.
    #[must_use]
    pub fn is_write(&self) -> bool {
        !matches!(
            self,
            Self::LookUp { .. } | Self::List { .. } | Self::ById { .. }
        )
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum End {
    /// Registered, or found to be there.
    Registered {
        /// Version.
        version: i32,
        /// Schema id.
        id: i32,
    },
    /// The versions that were deleted, or that there are.
    Versions {
        /// Ascending.
        versions: Vec<i32>,
    },
    /// The schema with the id.
    Text {
        /// As the registry stores it.
        text: String,
    },
    /// Refused for good: nothing changed, and the code tells something of the state.
    Refused {
        /// Confluent's error code.
        code: u32,
    },
    /// It had no effect and never will: no connection, or 50004.
    NotTaken,
    /// It may take effect at any later time, or never: a time-out, a reset, 50001 to 50003.
    Unknown,
}

/// A request from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// In the order in which requests began.
    pub number: u64,
    /// Who asked.
    pub client: usize,
    /// Which instance was asked.
    pub instance: usize,
    /// When it was about to be sent, nanoseconds of one clock.
    pub began: u64,
    /// When its end was known, by the same clock; none if that never was.
    pub ended: Option<u64>,
    /// What was asked.
    pub call: Call,
    /// `Meshwork-Min-Offset` of the request.
    pub min_offset: Option<i64>,
    /// What came of it.
    pub end: End,
    /// `Meshwork-Offset` of the answer.
    pub offset: Option<i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Began {
        op: u64,
        client: usize,
        instance: usize,
        began: u64,
        min_offset: Option<i64>,
        call: Call,
    },
    Ended {
        op: u64,
        ended: u64,
        offset: Option<i64>,
        what: End,
    },
}

/// Writes the history.
#[derive(Debug)]
pub struct Recorder {
    file: Mutex<File>,
    next: AtomicU64,
    start: Instant,
}

impl Recorder {
    /// A new history in a new file.
    ///
    /// # Errors
    /// The file can't be made.
    pub fn create(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(path)
            .with_context(|| format!("no history in {}", path.display()))?;
        Ok(Self {
            file: Mutex::new(file),
            next: AtomicU64::new(0),
            start: Instant::now(),
        })
    }

    /// Notes a request that is about to be sent, and gives its number.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn began(
        &self,
        client: usize,
        instance: usize,
        call: &Call,
        min_offset: Option<i64>,
    ) -> Result<u64> {
        let op = self.next.fetch_add(1, Ordering::Relaxed);
        self.append(&Line::Began {
            op,
            client,
            instance,
            began: self.now(),
            min_offset,
            call: call.clone(),
        })?;
        Ok(op)
    }

    /// Notes what came of a request.
    ///
    /// # Errors
    /// The file can't be written.
    pub fn ended(&self, op: u64, what: &End, offset: Option<i64>) -> Result<()> {
        self.append(&Line::Ended {
            op,
            ended: self.now(),
            offset,
            what: what.clone(),
        })
    }

    /// Nanoseconds of the history's clock.
    #[must_use]
    pub fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn append(&self, line: &Line) -> Result<()> {
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        self.file.lock().write_all(text.as_bytes())?;
        Ok(())
    }
}

/// Reads a history back, in the order in which requests began.
///
/// # Errors
/// The file can't be read, or is no history.
pub fn read(path: &Path) -> Result<Vec<Op>> {
    let mut ops: Vec<Op> = Vec::new();
    let mut at: HashMap<u64, usize> = HashMap::new();
    let file = File::open(path).with_context(|| format!("no history in {}", path.display()))?;
    for line in BufReader::new(file).lines() {
        let line = line?;
        match serde_json::from_str(&line)
            .with_context(|| format!("no line of a history: {line}"))?
        {
            Line::Began {
                op,
                client,
                instance,
                began,
                min_offset,
                call,
            } => {
                at.insert(op, ops.len());
                ops.push(Op {
                    number: op,
                    client,
                    instance,
                    began,
                    ended: None,
                    call,
                    min_offset,
                    end: End::Unknown,
                    offset: None,
                });
            }
            Line::Ended {
                op,
                ended,
                offset,
                what,
            } => {
                let op = at
                    .get(&op)
                    .and_then(|at| ops.get_mut(*at))
                    .with_context(|| format!("the end of a request that never began: {line}"))?;
                op.ended = Some(ended);
                op.offset = offset;
                op.end = what;
            }
        }
    }
    ops.sort_by_key(|op| op.number);
    Ok(ops)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_what_never_ended_is_unknown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history");
        let recorder = Recorder::create(&path).unwrap();
        let register = Call::Register {
            subject: ":.team:orders".to_owned(),
            text: r#"{"type":"string"}"#.to_owned(),
        };
        let list = Call::List {
            subject: "orders".to_owned(),
        };
        let first = recorder.began(1, 2, &register, None).unwrap();
        let second = recorder.began(3, 0, &list, Some(7)).unwrap();
        let done = End::Registered { version: 1, id: 9 };
        recorder.ended(first, &done, Some(12)).unwrap();

        let ops = read(&path).unwrap();
        assert_eq!(ops.len(), 2);
        assert_eq!((ops[0].number, &ops[0].call), (first, &register));
        assert_eq!((&ops[0].end, ops[0].offset), (&done, Some(12)));
        assert!(ops[0].ended.unwrap() >= ops[0].began);
        assert_eq!((ops[1].number, ops[1].min_offset), (second, Some(7)));
        assert_eq!((&ops[1].end, ops[1].ended), (&End::Unknown, None));
        assert!(
            Recorder::create(&path).is_err(),
            "a history is never overwritten"
        );
    }
}
