//! Refusals as clients see them: Confluent's error codes and messages, one enum for all.

use std::fmt;

use crate::state::StateError;

/// An error code. The first three digits are the HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names say what Confluent's codes mean")]
pub enum Code {
    BadRequest,
    Unauthenticated,
    NotFound,
    NotAcceptable,
    RequestTimeout,
    Conflict,
    TooLarge,
    UnsupportedMediaType,
    Unprocessable,
    Unavailable,
    Denied,
    SubjectNotFound,
    VersionNotFound,
    SchemaNotFound,
    SubjectSoftDeleted,
    SubjectNotSoftDeleted,
    VersionSoftDeleted,
    VersionNotSoftDeleted,
    NoSubjectLevel,
    NoSubjectMode,
    Incompatible,
    InvalidSchema,
    InvalidVersion,
    InvalidLevel,
    InvalidMode,
    NotPermitted,
    Reserved,
    Referenced,
    InvalidSubject,
    SchemaTooLarge,
    InvalidRuleSet,
    ContextNotEmpty,
    StoreFailed,
    StoreDamaged,
    StoreTimedOut,
    ForwardFailed,
    NoWriter,
    /// Another instance writes; shown to clients as [`Code::NoWriter`].
    NotHere,
}

impl Code {
    /// Confluent's number.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthenticated => 401,
            Self::NotFound => 404,
            Self::NotAcceptable => 406,
            Self::RequestTimeout => 408,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::Unprocessable => 422,
            Self::Unavailable => 503,
            Self::Denied => 40_301,
            Self::SubjectNotFound => 40_401,
            Self::VersionNotFound => 40_402,
            Self::SchemaNotFound => 40_403,
            Self::SubjectSoftDeleted => 40_404,
            Self::SubjectNotSoftDeleted => 40_405,
            Self::VersionSoftDeleted => 40_406,
            Self::VersionNotSoftDeleted => 40_407,
            Self::NoSubjectLevel => 40_408,
            Self::NoSubjectMode => 40_409,
            Self::Incompatible => 40_901,
            Self::InvalidSchema => 42_201,
            Self::InvalidVersion => 42_202,
            Self::InvalidLevel => 42_203,
            Self::InvalidMode => 42_204,
            Self::NotPermitted | Self::Reserved => 42_205,
            Self::Referenced => 42_206,
            Self::InvalidSubject => 42_208,
            Self::SchemaTooLarge => 42_209,
            Self::InvalidRuleSet => 42_210,
            Self::ContextNotEmpty => 42_211,
            Self::StoreFailed | Self::StoreDamaged => 50_001,
            Self::StoreTimedOut => 50_002,
            Self::ForwardFailed => 50_003,
            Self::NoWriter | Self::NotHere => 50_004,
        }
    }

    /// What it means, in a few words.
    #[must_use]
    pub const fn about(self) -> &'static str {
        match self {
            Self::BadRequest => "the request can't be read",
            Self::Unauthenticated => "who asks is not shown, or wrongly",
            Self::Unavailable => "who asks can't be checked for now",
            Self::Denied => "no rule allows it",
            Self::NotFound => "no such path, or not with this method",
            Self::NotAcceptable => "no accepted type is one that the registry answers in",
            Self::RequestTimeout => "not answered in time",
            Self::Conflict | Self::Incompatible => "incompatible with an earlier version",
            Self::TooLarge => "the body is larger than is read",
            Self::UnsupportedMediaType => "the body's type is not JSON",
            Self::Unprocessable => "no body, or a member of the wrong type",
            Self::SubjectNotFound => "no such subject",
            Self::VersionNotFound => "no such version",
            Self::SchemaNotFound => "no such schema",
            Self::SubjectSoftDeleted => "the subject is soft-deleted already",
            Self::SubjectNotSoftDeleted => "the subject must be soft-deleted first",
            Self::VersionSoftDeleted => "the version is soft-deleted already",
            Self::VersionNotSoftDeleted => "the version must be soft-deleted first",
            Self::NoSubjectLevel => "no settings of its own",
            Self::NoSubjectMode => "no mode of its own",
            Self::InvalidSchema => "an invalid schema",
            Self::InvalidVersion => "not the number of a version",
            Self::InvalidLevel => "not a compatibility level",
            Self::InvalidMode => "not a mode, or not one for this place",
            Self::NotPermitted => "not in this mode, or not with this id",
            Self::Reserved => "kept for others",
            Self::Referenced => "other schemas refer to it",
            Self::InvalidSubject => "not a name for a subject",
            Self::SchemaTooLarge => "larger than one record may be",
            Self::InvalidRuleSet => "invalid rules",
            Self::ContextNotEmpty => "the context has subjects",
            Self::StoreFailed => "Kafka refused the write",
            Self::StoreDamaged => "the registry's own store can't be read",
            Self::StoreTimedOut => "Kafka did not answer in time",
            Self::ForwardFailed => "the writer could not be reached; the change may have been made",
            Self::NoWriter | Self::NotHere => "no instance takes writes for now",
        }
    }

    /// HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            // Some clients try again on 502 and 503 only.
            Self::NoWriter | Self::NotHere | Self::ForwardFailed => 503,
            _ => {
                let mut status = self.number();
                while status >= 1000 {
                    status /= 10;
                }
                #[expect(clippy::cast_possible_truncation, reason = "below 1000")]
                {
                    status as u16
                }
            }
        }
    }
}

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// What kind.
    pub code: Code,
    /// In Confluent's words.
    pub message: String,
}

impl Refusal {
    /// With a message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub(crate) fn subject_not_found(subject: impl fmt::Display) -> Self {
        let message = format!("Subject '{subject}' not found.");
        Self::new(Code::SubjectNotFound, message)
    }

    pub(crate) fn version_not_found(version: impl fmt::Display) -> Self {
        Self::new(
            Code::VersionNotFound,
            format!("Version {version} not found."),
        )
    }

    pub(crate) fn schema_not_found(which: impl fmt::Display) -> Self {
        Self::new(Code::SchemaNotFound, format!("Schema {which} not found"))
    }

    pub(crate) fn no_such_schema() -> Self {
        Self::new(Code::SchemaNotFound, "Schema not found")
    }

    pub(crate) fn invalid_version(version: impl fmt::Display) -> Self {
        Self::new(
            Code::InvalidVersion,
            format!(
                "The specified version '{version}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""
            ),
        )
    }

    pub(crate) fn invalid_schema(why: impl fmt::Display) -> Self {
        Self::new(Code::InvalidSchema, format!("Invalid schema: {why}"))
    }

    pub(crate) fn invalid_subject(subject: impl fmt::Display) -> Self {
        Self::new(
            Code::InvalidSubject,
            format!("The specified subject '{subject}' is not a valid."),
        )
    }

    /// New content or settings where only some may change them.
    pub(crate) fn reserved(subject: impl fmt::Display) -> Self {
        Self::new(
            Code::Reserved,
            format!(
                "Subject {subject} is reserved: what is registered there is answered, and new content comes from its contract, by `meshwork product apply` (registry.service.reserved)"
            ),
        )
    }

    pub(crate) fn not_permitted(message: impl Into<String>) -> Self {
        Self::new(Code::NotPermitted, message)
    }
}

impl From<StateError> for Refusal {
    fn from(error: StateError) -> Self {
        let code = if error.is_damage() {
            Code::StoreDamaged
        } else {
            Code::StoreFailed
        };
        Self::new(code, error.to_string())
    }
}
