//! What of the configuration of access can't be used, and how to mend it.

use std::error::Error as _;

/// An error with its causes on one line, without URLs, which may name what should not be told.
/// reqwest's own text says little without them.
pub(crate) fn in_words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Why the registry can't start with this `tls`, `authentication`, `rules` or `reserved`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// A file can't be used.
    #[error(transparent)]
    File(#[from] meshwork_tls::FileError),
    /// Settings that don't go together, or a value that can't be used.
    #[error("{key}: {why}")]
    Setting {
        /// Where in the configuration.
        key: &'static str,
        /// What is wrong, and how to mend it.
        why: String,
    },
}
