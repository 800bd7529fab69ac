//! The store: opening with its checks, reading, committing.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamilyDescriptor, DB, DBCompressionType,
    DBRecoveryMode, Direction, ErrorKind, IteratorMode, LruCacheOptions, Options, ReadOptions,
    WriteBufferManager, WriteOptions, properties,
};

use crate::aside::set_aside;
use crate::batch::Batch;
use crate::error::StateError;
use crate::options::StoreOptions;

/// Family of the format marker and the offsets.
pub(crate) const META: &str = "_meta";
const MARKER_KEY: &[u8] = b"marker";
const OFFSET_PREFIX: u8 = b'o';

/// Shards of the block cache, as a power of two. Few, so that each takes the largest blocks;
/// RocksDB's own choice makes shards of 512 KiB.
const CACHE_SHARD_BITS: i32 = 2;

/// How [`Store::open`] found the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It was there and is of this format.
    Existing,
    /// There was none.
    Created,
    /// There was one that can't be used; it was renamed, and an empty one took its place.
    SetAside {
        /// Where the old one is now.
        to: PathBuf,
        /// What was wrong with it.
        why: String,
    },
}

/// A key and its value.
pub type Entry = (Box<[u8]>, Box<[u8]>);

/// How a store fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether the latest commit failed: the service goes on reading, and nothing is kept until a
    /// commit succeeds. RocksDB resumes flushes and compactions when space is freed; after a failed
    /// commit the store must be opened again.
    pub degraded: bool,
    /// Commits that failed since the store was opened.
    pub failed_commits: u64,
    /// Flushes and compactions that failed since the store was opened.
    pub background_errors: u64,
    /// The latest failure in RocksDB's words.
    pub last_error: Option<String>,
    /// Memory in use by write buffers and block cache, bytes.
    pub memory_bytes: u64,
}

pub(crate) struct Inner {
    pub(crate) db: DB,
    dir: PathBuf,
    sync: bool,
    cache: Cache,
    buffers: WriteBufferManager,
    failed_commits: AtomicU64,
    last_error: Mutex<Option<String>>,
    degraded: std::sync::atomic::AtomicBool,
}

/// A service's state on disk. Cheap to clone; closed when the last clone is dropped.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("dir", &self.inner.dir)
            .finish_non_exhaustive()
    }
}

/// Why an existing store can't be taken as it is.
enum Refusal {
    /// Set it aside.
    Unreadable(String),
    /// Leave it alone and fail.
    Fatal(StateError),
}

impl Store {
    /// Opens the store in `dir`, creating the directory and the store where absent. One that is
    /// corrupt, or of another name or format, is set aside once.
    ///
    /// # Errors
    /// [`StateError::Locked`] where it is open elsewhere, [`StateError::Io`] where the file system
    /// refuses; such a store is not set aside.
    pub fn open(dir: &Path, options: &StoreOptions) -> Result<(Self, Opened), StateError> {
        let io = |e: std::io::Error| StateError::Io {
            dir: dir.to_owned(),
            reason: e.to_string(),
        };
        fs::create_dir_all(dir).map_err(io)?;
        let why = match Self::try_open(dir, options) {
            Ok((store, opened)) => return Ok((store, opened)),
            Err(Refusal::Fatal(e)) => return Err(e),
            Err(Refusal::Unreadable(why)) => why,
        };
        Self::set_aside(dir, options, &why)
    }

    /// Sets the store in `dir` aside, which must be closed, and opens an empty one in its place. For
    /// what only the service can see: values that make no sense, offsets outside of the log.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn set_aside(
        dir: &Path,
        options: &StoreOptions,
        why: &str,
    ) -> Result<(Self, Opened), StateError> {
        let io = |e: std::io::Error| StateError::Io {
            dir: dir.to_owned(),
            reason: e.to_string(),
        };
        let to = set_aside(dir, options.keep_set_aside).map_err(io)?;
        let why = why.to_owned();
        tracing::warn!(
            store = %dir.display(), set_aside_as = %to.display(), reason = %why,
            "store can't be used and was set aside; a new one is filled from the log"
        );
        fs::create_dir_all(dir).map_err(io)?;
        match Self::try_open(dir, options) {
            Ok((store, _)) => Ok((store, Opened::SetAside { to, why })),
            Err(Refusal::Fatal(e)) => Err(e),
            Err(Refusal::Unreadable(reason)) => Err(StateError::UnreadableAgain {
                dir: dir.to_owned(),
                reason,
            }),
        }
    }

    fn try_open(dir: &Path, options: &StoreOptions) -> Result<(Self, Opened), Refusal> {
        let io = |e: std::io::Error| {
            Refusal::Fatal(StateError::Io {
                dir: dir.to_owned(),
                reason: e.to_string(),
            })
        };
        // RocksDB takes a directory without CURRENT for an empty one and deletes what is in it.
        let is_new = !dir.join("CURRENT").exists();
        if is_new {
            for entry in fs::read_dir(dir).map_err(io)? {
                let name = entry.map_err(io)?.file_name();
                let name = name.to_string_lossy();
                let data = Path::new(name.as_ref()).extension().is_some_and(|e| {
                    e.eq_ignore_ascii_case("sst") || e.eq_ignore_ascii_case("log")
                }) || name.starts_with("MANIFEST");
                if data {
                    return Err(Refusal::Unreadable(format!(
                        "CURRENT is missing though {name} is there"
                    )));
                }
            }
        }

        let mut cache = LruCacheOptions::default();
        cache.set_capacity(options.block_cache_bytes);
        cache.set_num_shard_bits(CACHE_SHARD_BITS);
        let cache = Cache::new_lru_cache_opts(&cache);
        let buffers =
            WriteBufferManager::new_write_buffer_manager(options.write_buffer_bytes, false);
        let database = database_options(options, &buffers);
        let mut names: Vec<String> = if is_new {
            Vec::new()
        } else {
            DB::list_cf(&database, dir).map_err(|e| refusal(dir, &e))?
        };
        for wanted in options.families.iter().copied().chain([META, "default"]) {
            if !names.iter().any(|n| n == wanted) {
                names.push(wanted.to_owned());
            }
        }
        let families = names
            .into_iter()
            .map(|n| ColumnFamilyDescriptor::new(n, family_options(options, &cache)));
        let db = DB::open_cf_descriptors(&database, dir, families).map_err(|e| refusal(dir, &e))?;
        let store = Self {
            inner: Arc::new(Inner {
                db,
                dir: dir.to_owned(),
                sync: options.sync,
                cache,
                buffers,
                failed_commits: AtomicU64::new(0),
                last_error: Mutex::new(None),
                degraded: std::sync::atomic::AtomicBool::new(false),
            }),
        };
        let opened = store.check(options)?;
        Ok((store, opened))
    }

    /// Checks marker and offsets; writes the marker where the store is empty.
    fn check(&self, options: &StoreOptions) -> Result<Opened, Refusal> {
        let unreadable = |e: StateError| Refusal::Unreadable(e.to_string());
        let marker = self.get(META, MARKER_KEY).map_err(unreadable)?;
        let expected = options.marker();
        let Some(marker) = marker else {
            // Killed between creation and the marker: empty, so as good as new.
            for family in options.families.iter().copied().chain([META]) {
                if self
                    .scan(family, &[], None)
                    .map_err(unreadable)?
                    .next()
                    .is_some()
                {
                    return Err(Refusal::Unreadable(format!(
                        "it has data in {family} and no format marker"
                    )));
                }
            }
            let mut batch = self.write();
            batch.put(META, MARKER_KEY, expected.as_bytes());
            self.commit(batch).map_err(Refusal::Fatal)?;
            return Ok(Opened::Created);
        };
        if marker != expected.as_bytes() {
            return Err(Refusal::Unreadable(format!(
                "its format is `{}`, this version reads `{expected}`",
                String::from_utf8_lossy(&marker)
            )));
        }
        for entry in self
            .scan_prefix(META, &[OFFSET_PREFIX])
            .map_err(unreadable)?
        {
            let (key, value) = entry.map_err(unreadable)?;
            if parse_offset(&key, &value).is_none() {
                return Err(Refusal::Unreadable(
                    "an input offset in it is not a topic, a partition and a number".to_owned(),
                ));
            }
        }
        Ok(Opened::Existing)
    }

    /// An empty batch.
    #[must_use]
    pub fn write(&self) -> Batch {
        Batch::new(Arc::clone(&self.inner))
    }

    /// Writes the batch, all or nothing. An empty one costs nothing.
    ///
    /// # Errors
    /// [`StateError::NoFamily`], or [`StateError::Write`] where RocksDB refuses; the failure also
    /// shows in [`Store::health`] until a commit succeeds.
    pub fn commit(&self, batch: Batch) -> Result<(), StateError> {
        if let Some(family) = batch.unknown {
            return Err(StateError::NoFamily {
                dir: self.inner.dir.clone(),
                family,
            });
        }
        if batch.writes.is_empty() {
            return Ok(());
        }
        let mut options = WriteOptions::default();
        options.set_sync(self.inner.sync);
        match self.inner.db.write_opt(batch.writes, &options) {
            Ok(()) => {
                self.inner.degraded.store(false, Ordering::Relaxed);
                Ok(())
            }
            Err(e) => {
                let reason = e.into_string();
                self.inner.failed_commits.fetch_add(1, Ordering::Relaxed);
                self.inner.degraded.store(true, Ordering::Relaxed);
                *self.inner.last_error.lock() = Some(reason.clone());
                Err(StateError::Write {
                    dir: self.inner.dir.clone(),
                    reason,
                })
            }
        }
    }

    /// The value of `key` in `family`.
    ///
    /// # Errors
    /// [`StateError::NoFamily`], [`StateError::Read`].
    pub fn get(&self, family: &str, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>, StateError> {
        self.inner
            .db
            .get_cf(self.family(family)?, key)
            .map_err(|e| self.read_error(family, e))
    }

    /// Entries of `family` whose key starts with `prefix`, in key order.
    ///
    /// # Errors
    /// [`StateError::NoFamily`]; each entry may be [`StateError::Read`].
    pub fn scan_prefix<'a>(
        &'a self,
        family: &'a str,
        prefix: &[u8],
    ) -> Result<impl Iterator<Item = Result<Entry, StateError>> + use<'a>, StateError> {
        self.scan(family, prefix, after_prefix(prefix).as_deref())
    }

    /// Entries of `family` with keys from `from` to before `until` (none: to the end), in key order.
    ///
    /// # Errors
    /// [`StateError::NoFamily`]; each entry may be [`StateError::Read`].
    pub fn scan<'a>(
        &'a self,
        family: &'a str,
        from: &[u8],
        until: Option<&[u8]>,
    ) -> Result<impl Iterator<Item = Result<Entry, StateError>> + use<'a>, StateError> {
        let mut options = ReadOptions::default();
        if let Some(until) = until {
            options.set_iterate_upper_bound(until.to_vec());
        }
        let mode = IteratorMode::From(from, Direction::Forward);
        let entries = self
            .inner
            .db
            .iterator_cf_opt(self.family(family)?, options, mode);
        Ok(entries.map(move |e| e.map_err(|e| self.read_error(family, e))))
    }

    /// Offset up to before which the topic-partition is folded in; none: not at all.
    ///
    /// # Errors
    /// [`StateError::Read`].
    pub fn offset(&self, topic: &str, partition: i32) -> Result<Option<i64>, StateError> {
        let key = offset_key(topic, partition);
        let Some(value) = self.get(META, &key)? else {
            return Ok(None);
        };
        match parse_offset(&key, &value) {
            Some((_, _, offset)) => Ok(Some(offset)),
            None => Err(StateError::Read {
                dir: self.inner.dir.clone(),
                family: META.to_owned(),
                reason: format!("offset of {topic}:{partition} is not a number"),
            }),
        }
    }

    /// All input offsets: topic, partition, next offset.
    ///
    /// # Errors
    /// [`StateError::Read`].
    pub fn offsets(&self) -> Result<Vec<(String, i32, i64)>, StateError> {
        let mut all = Vec::new();
        for entry in self.scan_prefix(META, &[OFFSET_PREFIX])? {
            let (key, value) = entry?;
            all.extend(parse_offset(&key, &value));
        }
        Ok(all)
    }

    /// How the store fares. Cheap: counters only.
    #[must_use]
    pub fn health(&self) -> Health {
        let inner = &self.inner;
        let background_errors = inner
            .db
            .property_int_value(properties::BACKGROUND_ERRORS)
            .ok()
            .flatten()
            .unwrap_or(0);
        let memory = inner
            .cache
            .get_usage()
            .saturating_add(inner.buffers.get_usage());
        Health {
            degraded: inner.degraded.load(Ordering::Relaxed),
            failed_commits: inner.failed_commits.load(Ordering::Relaxed),
            background_errors,
            last_error: inner.last_error.lock().clone(),
            memory_bytes: u64::try_from(memory).unwrap_or(u64::MAX),
        }
    }

    /// Where it is kept.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    pub(crate) fn family(&self, name: &str) -> Result<&rocksdb::ColumnFamily, StateError> {
        self.inner
            .db
            .cf_handle(name)
            .ok_or_else(|| StateError::NoFamily {
                dir: self.inner.dir.clone(),
                family: name.to_owned(),
            })
    }

    pub(crate) fn read_error(&self, family: &str, e: rocksdb::Error) -> StateError {
        let (dir, family) = (self.inner.dir.clone(), family.to_owned());
        let corrupt = e.kind() == ErrorKind::Corruption;
        let reason = e.into_string();
        if corrupt {
            StateError::Corrupt {
                dir,
                family,
                reason,
            }
        } else {
            StateError::Read {
                dir,
                family,
                reason,
            }
        }
    }
}

fn database_options(options: &StoreOptions, buffers: &WriteBufferManager) -> Options {
    let mut database = Options::default();
    database.create_if_missing(true);
    database.create_missing_column_families(true);
    database.set_max_open_files(options.open_files);
    database.set_write_buffer_manager(buffers);
    let wal = u64::try_from(options.write_buffer_bytes).unwrap_or(u64::MAX);
    database.set_max_total_wal_size(wal.saturating_mul(4));
    // A log cut short by a crash is read up to its last whole batch; the rest comes from Kafka.
    database.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    // RocksDB's own diary: two files of 1 MiB.
    database.set_keep_log_file_num(2);
    database.set_max_log_file_size(1 << 20);
    database
}

fn family_options(options: &StoreOptions, cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_bloom_filter(10.0, false);
    // In pieces: the filter of a whole file is near a MiB, and would be read anew for every key
    // that is asked for once it has been pushed out.
    table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    table.set_partition_filters(true);
    table.set_pin_top_level_index_and_filter(true);
    let mut family = Options::default();
    family.set_block_based_table_factory(&table);
    family.set_write_buffer_size(options.write_buffer_bytes);
    family.set_compression_type(DBCompressionType::Lz4);
    family
}

/// What an error at opening means: unreadable, or refused by the system.
fn refusal(dir: &Path, e: &rocksdb::Error) -> Refusal {
    let reason = e.to_string();
    let dir = dir.to_owned();
    match e.kind() {
        // A file that the manifest names is gone: that is damage and not the system's refusal.
        ErrorKind::IOError if reason.contains("No such file") => Refusal::Unreadable(reason),
        ErrorKind::IOError if reason.contains("lock") || reason.contains("LOCK") => {
            Refusal::Fatal(StateError::Locked { dir, reason })
        }
        ErrorKind::IOError => Refusal::Fatal(StateError::Io { dir, reason }),
        _ => Refusal::Unreadable(reason),
    }
}

pub(crate) fn offset_key(topic: &str, partition: i32) -> Vec<u8> {
    let mut key = Vec::with_capacity(topic.len().saturating_add(6));
    key.push(OFFSET_PREFIX);
    key.extend_from_slice(topic.as_bytes());
    key.push(0);
    key.extend_from_slice(&partition.to_be_bytes());
    key
}

fn parse_offset(key: &[u8], value: &[u8]) -> Option<(String, i32, i64)> {
    let (name, partition) = key.split_last_chunk::<4>()?;
    let (zero, name) = name.split_last()?;
    let (prefix, topic) = name.split_first()?;
    if *zero != 0 || *prefix != OFFSET_PREFIX {
        return None;
    }
    let topic = std::str::from_utf8(topic).ok()?.to_owned();
    let partition = i32::from_be_bytes(*partition);
    let offset = i64::from_be_bytes(value.try_into().ok()?);
    (partition >= 0 && offset >= 0).then_some((topic, partition, offset))
}

/// The least key above all that start with `prefix`; none where there is no such key.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last.saturating_add(1));
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests;
