//! What can go wrong with a store.

use std::path::PathBuf;

/// A store failed. None of these means that what was committed is lost.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// Another process, or another part of this one, has the store open.
    #[error(
        "store {dir} is in use by another process: stop it, or give this one a data directory of its own"
    )]
    Locked {
        /// The store's directory.
        dir: PathBuf,
        /// RocksDB's words.
        reason: String,
    },
    /// The file system refused: no space, no permission, a broken disk.
    #[error("store {dir} can't be used: {reason}; check space and permissions, then start again")]
    Io {
        /// The store's directory.
        dir: PathBuf,
        /// The system's or RocksDB's words.
        reason: String,
    },
    /// The store was set aside and the new one in its place is unreadable too.
    #[error("store {dir} is unreadable though it was just made anew: {reason}; check the disk")]
    UnreadableAgain {
        /// The store's directory.
        dir: PathBuf,
        /// RocksDB's words.
        reason: String,
    },
    /// A read failed, or found what no version of this store writes.
    #[error("reading {family} in store {dir}: {reason}")]
    Read {
        /// The store's directory.
        dir: PathBuf,
        /// Column family.
        family: String,
        /// RocksDB's words.
        reason: String,
    },
    /// Bytes on disk are not what was written: the disk, or something else, changed them. The store
    /// can be set aside and filled anew.
    #[error("{family} in store {dir} is damaged: {reason}")]
    Corrupt {
        /// The store's directory.
        dir: PathBuf,
        /// Column family.
        family: String,
        /// RocksDB's words.
        reason: String,
    },
    /// A batch was not written; nothing of it was.
    #[error("writing to store {dir}: {reason}; nothing of this batch was kept")]
    Write {
        /// The store's directory.
        dir: PathBuf,
        /// RocksDB's words.
        reason: String,
    },
    /// A family that the options do not name. A mistake of the caller's.
    #[error("store {dir} has no family {family}: name it in the store's options")]
    NoFamily {
        /// The store's directory.
        dir: PathBuf,
        /// What was asked for.
        family: String,
    },
}
