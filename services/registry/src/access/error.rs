//! What of the configuration of access can't be used, and how to mend it.

use meshwork_model::text::with_causes;

/// An error with its causes on one line, without URLs, which may name what should not be told.
/// reqwest's own text says little without them.
pub(crate) fn in_words(error: reqwest::Error) -> String {
    with_causes(&error.without_url())
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
