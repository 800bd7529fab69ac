//! What can be wrong.

use std::fmt;

use crate::history::Op;

/// Something that must never be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violation {
    /// An id that means two texts.
    TwoTexts {
        /// Context.
        context: String,
        /// Id.
        id: i32,
        /// One text and where it was seen.
        one: (String, String),
        /// The other one and where.
        other: (String, String),
    },
    /// A text that was given a second id while it had one.
    TwoIds {
        /// Context.
        context: String,
        /// Text.
        text: String,
        /// The id that it had.
        had: i32,
        /// The one that it was given.
        given: i32,
        /// Where in the log.
        offset: i64,
    },
    /// A new id that is not above every id before it.
    Fell {
        /// Context.
        context: String,
        /// The new id.
        id: i32,
        /// Where in the log.
        offset: i64,
        /// The greatest id before.
        greatest: i32,
        /// Where that is, in an aborted record maybe.
        greatest_at: i64,
    },
    /// An acknowledged id that the log does not know.
    Lost {
        /// Context.
        context: String,
        /// Id.
        id: i32,
        /// Where it was acknowledged.
        seen: String,
    },
    /// A version number that the subject has already.
    VersionAgain {
        /// Subject.
        subject: String,
        /// Version.
        version: i32,
        /// Where in the log.
        offset: i64,
    },
    /// A text that became a second live version of its subject.
    Doubled {
        /// Subject.
        subject: String,
        /// Both versions.
        versions: (i32, i32),
        /// Where in the log.
        offset: i64,
    },
    /// An answer that no state of the subject explains.
    Unexplained {
        /// The request.
        op: Box<Op>,
    },
    /// An answer that is explained only by a state before one that it had to see.
    WentBack {
        /// The request.
        op: Box<Op>,
        /// Changes of the subject that it had to see.
        floor: usize,
        /// Changes that explain it.
        explained_by: usize,
    },
    /// A change that nobody asked for, or that was made more often than asked for.
    Uncaused {
        /// Subject.
        subject: String,
        /// Where in the log.
        offset: i64,
        /// The change.
        what: String,
    },
    /// An instance that does not serve what the log says.
    Served {
        /// Instance.
        instance: usize,
        /// What.
        what: String,
        /// By the log.
        expected: String,
        /// By the instance.
        found: String,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TwoTexts {
                context,
                id,
                one,
                other,
            } => write!(
                f,
                "id {id} of context {context} means two texts: {} ({}) and {} ({})",
                one.0, one.1, other.0, other.1
            ),
            Self::TwoIds {
                context,
                text,
                had,
                given,
                offset,
            } => write!(
                f,
                "context {context}: at offset {offset} a text that has id {had} is given id {given}: {text}"
            ),
            Self::Fell {
                context,
                id,
                offset,
                greatest,
                greatest_at,
            } => write!(
                f,
                "context {context}: new id {id} at offset {offset} is not above id {greatest} at offset {greatest_at}"
            ),
            Self::Lost { context, id, seen } => write!(
                f,
                "id {id} of context {context} is lost: {seen}, and no record of the log has it"
            ),
            Self::VersionAgain {
                subject,
                version,
                offset,
            } => write!(
                f,
                "subject {subject}: version {version} is given again at offset {offset}"
            ),
            Self::Doubled {
                subject,
                versions: (one, other),
                offset,
            } => write!(
                f,
                "subject {subject}: one text is live as versions {one} and {other} from offset {offset} on"
            ),
            Self::Unexplained { op } => {
                write!(f, "no state of the subject explains {}", Told(op))
            }
            Self::WentBack {
                op,
                floor,
                explained_by,
            } => write!(
                f,
                "{} had to see {floor} changes of its subject and is explained by {explained_by} of them only",
                Told(op)
            ),
            Self::Uncaused {
                subject,
                offset,
                what,
            } => write!(
                f,
                "subject {subject}: no request caused the change at offset {offset}: {what}"
            ),
            Self::Served {
                instance,
                what,
                expected,
                found,
            } => write!(
                f,
                "instance {instance} serves {what} as {found}; by the log it is {expected}"
            ),
        }
    }
}

/// A request in one line.
pub(super) struct Told<'a>(pub(super) &'a Op);

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = self.0;
        write!(
            f,
            "request {} of client {} to instance {} ({:?}, min offset {:?}, from {} to {} us): {:?} at offset {:?}",
            op.number,
            op.client,
            op.instance,
            op.call,
            op.min_offset,
            op.began / 1000,
            op.ended.unwrap_or(op.began) / 1000,
            op.end,
            op.offset,
        )
    }
}
