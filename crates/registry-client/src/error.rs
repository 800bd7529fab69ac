//! What can go wrong between a caller and its registry.

/// Why the registry gave no usable answer. Cloneable, since one failed look-up answers all who
/// waited for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryClientError {
    /// A URL that can't be one of a registry.
    #[error("registry URL `{url}` is not usable: {why}; give one such as http://127.0.0.1:8081")]
    Url {
        /// As given, without credentials.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The HTTP client could not be made.
    #[error("the HTTP client could not be set up: {0}")]
    Setup(String),
    /// The registry has no such thing (404).
    #[error("the registry has no {what}: {message} (error code {code})")]
    NotFound {
        /// What was asked for, such as `schema 7`.
        what: String,
        /// The registry's `error_code`, such as 40403.
        code: u32,
        /// The registry's message.
        message: String,
    },
    /// The schema breaks the subject's compatibility level (409).
    #[error("schema is incompatible with subject `{subject}`: {message}")]
    Incompatible {
        /// Subject.
        subject: String,
        /// The registry's message, which lists the differences.
        message: String,
    },
    /// The registry refused the request for another reason (4xx).
    #[error("the registry at {url} refused {what}: {message} (error code {code})")]
    Refused {
        /// Where.
        url: String,
        /// What was asked for.
        what: String,
        /// The registry's `error_code`, or the HTTP status where it gave none.
        code: u32,
        /// The registry's message.
        message: String,
    },
    /// No instance answered, or only with 5xx or 429, after all retries.
    #[error("no registry answered {what} at {urls} after {attempts} attempts: {detail}")]
    Unavailable {
        /// What was asked for.
        what: String,
        /// Where it was tried.
        urls: String,
        /// How often.
        attempts: u32,
        /// The last failure.
        detail: String,
    },
    /// An answer that is not what the Confluent API says.
    #[error("the registry at {url} answered {what} with something that is not its API: {detail}")]
    BadAnswer {
        /// Where.
        url: String,
        /// What was asked for.
        what: String,
        /// What did not fit.
        detail: String,
    },
    /// A longer answer than is read.
    #[error(
        "the registry at {url} answered {what} with more than {limit} bytes, which are the limit \
         (registry.client.max_answer_bytes)"
    )]
    TooLong {
        /// Where.
        url: String,
        /// What was asked for.
        what: String,
        /// Bytes that are read.
        limit: usize,
    },
    /// A file of certificates or keys that can't be used: which, why, and how to mend it.
    #[error("{0}")]
    File(String),
    /// A stored schema that can't be used.
    #[error("schema {id} can't be used: {detail}")]
    Schema {
        /// Its id.
        id: u32,
        /// Why.
        detail: String,
    },
}

/// As text, since the error of the file system in it can't be cloned.
impl From<meshwork_tls::FileError> for RegistryClientError {
    fn from(error: meshwork_tls::FileError) -> Self {
        Self::File(error.to_string())
    }
}

impl RegistryClientError {
    /// Whether the registry said that there is no such thing.
    #[must_use]
    pub const fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether it may work later without any change by the caller.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
