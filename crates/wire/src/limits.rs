//! What a batch may cost its reader.

/// Bounds on one record batch. All in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of one batch as it stands on the wire, header included. Default 100 MiB: the
    /// broker's own `socket.request.max.bytes`, above which nothing can have come.
    pub max_batch_bytes: usize,
    /// Most bytes that the records of one batch may have once decompressed. Default 64 MiB: a batch
    /// has 1 MiB by default (`message.max.bytes`) and honest data seldom packs better than 1 : 20,
    /// so that 64 leaves room while one worker's buffer stays small.
    pub max_decompressed_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_batch_bytes: 100 * 1024 * 1024,
            max_decompressed_bytes: 64 * 1024 * 1024,
        }
    }
}
