//! What a batch may cost its reader.

/// Bounds on one record batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of one batch as it stands on the wire, header included. Default 100 MiB: the
    /// broker's own `socket.request.max.bytes`, above which nothing can have come.
    pub max_batch_bytes: usize,
    /// Most bytes that the records of one batch may have once decompressed. Default 64 MiB: a batch
    /// has 1 MiB by default (`message.max.bytes`) and honest data seldom packs better than 1 : 20,
    /// so that 64 leaves room while one worker's buffer stays small.
    pub max_decompressed_bytes: usize,
    /// Most records of one batch. Default 1,000,000: the least record has 7 bytes, so that 64 MiB
    /// could hold 9 million, and whoever reads them keeps some dozens of bytes for each; Kafka's own
    /// clients put some thousands into a batch of 1 MiB.
    pub max_records: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_batch_bytes: 100 * 1024 * 1024,
            max_decompressed_bytes: 64 * 1024 * 1024,
            max_records: 1_000_000,
        }
    }
}
