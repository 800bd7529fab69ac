//! How a store is kept. Every limit is stated here.

/// How a store is kept.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// What the store is for, such as `freshness`; part of the format marker, so that one service
    /// never reads another's directory.
    pub name: &'static str,
    /// Version of what the service writes. A store of another version is set aside.
    pub format: u32,
    /// Column families. Names do not start with an underscore.
    pub families: Vec<&'static str>,
    /// Most memory for blocks read, index and filter blocks included, in bytes. Default 32 MiB:
    /// the state of 10,000 partitions fits twice.
    pub block_cache_bytes: usize,
    /// Memory for writes that are not yet in files, of all families together, in bytes. A flush
    /// starts at this size. Default 32 MiB; the write-ahead log is bounded by four times this.
    pub write_buffer_bytes: usize,
    /// Most files held open. Default 256.
    pub open_files: i32,
    /// Most stores set aside that are kept beside this one; the oldest is removed. Default 2.
    pub keep_set_aside: usize,
    /// Wait for the disk at each commit. Off by default: the write-ahead log is handed to the
    /// operating system at each commit, so a killed process loses nothing, and what a machine that
    /// loses power forgets, data and offsets alike, is read again from Kafka.
    pub sync: bool,
}

impl StoreOptions {
    /// Options with the defaults described at each field.
    #[must_use]
    pub fn new(name: &'static str, format: u32, families: &[&'static str]) -> Self {
        Self {
            name,
            format,
            families: families.to_vec(),
            block_cache_bytes: 32 << 20,
            write_buffer_bytes: 32 << 20,
            open_files: 256,
            keep_set_aside: 2,
            sync: false,
        }
    }

    pub(crate) fn marker(&self) -> String {
        format!("meshwork {} {}", self.name, self.format)
    }
}
