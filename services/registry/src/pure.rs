//! The modules that stand without RocksDB and Kafka, as a tree of their own for the fuzz target
//! `registry_log`, which is built without them. Not a part of this crate.

pub(crate) mod content;
pub(crate) mod fuzzing;
pub(crate) mod recent;
pub(crate) mod record;
pub(crate) mod state;
pub(crate) mod subject;
