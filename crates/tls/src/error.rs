//! What is wrong with a file that the configuration names, and how to mend it.

use std::path::PathBuf;

/// Why a file can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It can't be read.
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
    /// It is longer than such files are.
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
    /// It does not hold what it should.
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
        /// File of the certificate.
        certificate: PathBuf,
        /// File of the key.
        key: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// What the files hold can't be put to use.
    #[error("{key}: {why}")]
    Unusable {
        /// Where in the configuration.
        key: &'static str,
        /// What is wrong.
        why: String,
    },
}
