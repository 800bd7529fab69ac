//! What of the configuration of access can't be used, and how to mend it.

use std::error::Error as _;
use std::path::PathBuf;

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
    /// A file can't be read.
    #[error(
        "{file} ({key}) can't be read: {why}; mend the path, or let the process's user read it"
    )]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Where the configuration names it.
        key: &'static str,
        /// What the system says.
        why: std::io::Error,
    },
    /// A file is longer than such files are.
    #[error(
        "{file} ({key}) has more than {limit} bytes, the most that is read; is it the right file?"
    )]
    TooLong {
        /// The file.
        file: PathBuf,
        /// Where the configuration names it.
        key: &'static str,
        /// Most bytes.
        limit: u64,
    },
    /// A file does not hold what it should.
    #[error("{file} ({key}): {why}; {cure}")]
    Content {
        /// The file.
        file: PathBuf,
        /// Where the configuration names it.
        key: &'static str,
        /// What is wrong.
        why: String,
        /// What to do.
        cure: &'static str,
    },
    /// Certificate and key don't go together, or TLS can't use them.
    #[error(
        "TLS can't use {certificate} with {key}: {why}; check that the key belongs to the first certificate: `openssl x509 -noout -pubkey -in {certificate}` and `openssl pkey -pubout -in {key}` print the same"
    )]
    Pair {
        /// `tls.certificate_file`.
        certificate: PathBuf,
        /// `tls.key_file`.
        key: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Settings that don't go together, or a value that can't be used.
    #[error("{key}: {why}")]
    Setting {
        /// Where in the configuration.
        key: &'static str,
        /// What is wrong, and how to mend it.
        why: String,
    },
}
