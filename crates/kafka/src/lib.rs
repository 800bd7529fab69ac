//! The mesh's way to Kafka, and the only user of rdkafka.
//!
//! librdkafka's blocking calls run off the async threads here, its queues are bounded here, and its
//! errors become [`KafkaError`], which names the broker and the time tried. Writers are
//! [`Producer`] (idempotent, at librdkafka's speed) and [`TransactionalProducer`] (all or nothing);
//! readers are [`LogReader`] (a log as the source of a view: no group, offsets kept by the caller)
//! and [`GroupConsumer`] (a member of a consumer group).

mod admin;
mod background;
mod config;
mod context;
pub mod control;
mod error;
mod group;
mod producer;
pub mod quarantine;
mod raw;
mod reader;
mod record;
mod transactional;

pub use admin::{
    Admin, AnyMember, Broker, Cluster, ConfigValue, Creation, GroupDescription, GroupKind,
    GroupListing, GroupMember, GroupState, Isolation, NewTopic, PartitionOffset, PartitionState,
    TopicInfo,
};
pub use config::KafkaConfig;
pub use error::{ErrorCode, KafkaError, SendError, TransactionError};
pub use group::{GroupBatch, GroupConsumer, GroupOptions, StartAt};
pub use producer::{BoxedDelivery, Delivery, NotQueued, Producer, ProducerOptions};
pub use reader::{Assigned, From, LogReader, ReadBatch, ReaderOptions, Trouble};
pub use record::{Delivered, Header, InRecord, OutRecord, OwnedOutRecord};
pub use transactional::{Progress, TransactionalOptions, TransactionalProducer};
