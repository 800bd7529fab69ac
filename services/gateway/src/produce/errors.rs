//! What a client is told of a batch that the gateway itself refuses.

use meshwork_pipeline::{Reason, RefusedRecord};
use meshwork_wire::protocol::produce::{
    OwnAnswer, OwnedTopic, RECORD_ERRORS, RecordError, TopicRef,
};

use super::guard::{Behind, Place};

/// Kafka's error codes, as far as the gateway answers with them (`Errors.java`).
pub(crate) mod code {
    /// The bytes are no batch, or its checksum is wrong. Clients send it again.
    pub(crate) const CORRUPT_MESSAGE: i16 = 2;
    /// No such partition: look it up again.
    pub(crate) const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    /// Unpacks to more than is allowed.
    pub(crate) const RECORD_LIST_TOO_LARGE: i16 = 18;
    /// Try later.
    pub(crate) const NOT_ENOUGH_REPLICAS: i16 = 19;
    /// The topic may not be written here.
    pub(crate) const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
    /// The product version is retired.
    pub(crate) const POLICY_VIOLATION: i16 = 44;
    /// An earlier batch was refused and has not come again.
    pub(crate) const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
    /// A record breaks the contract.
    pub(crate) const INVALID_RECORD: i16 = 87;
    /// No topic is known by this id: look it up again.
    pub(crate) const UNKNOWN_TOPIC_ID: i16 = 100;
}

/// A refusal of a whole batch.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) code: i16,
    pub(crate) message: String,
    pub(crate) records: Vec<RecordError>,
}

impl Refused {
    pub(crate) fn new(code: i16, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            records: Vec::new(),
        }
    }

    /// Because an earlier batch failed and has not come again.
    pub(crate) fn behind(behind: Behind, place: Place) -> Self {
        Self::new(
            behind.code,
            format!(
                "the batch at sequence {} was refused and has not come again, so that the one at {} may not pass it",
                behind.refused, place.first
            ),
        )
    }

    /// Because of these records.
    pub(crate) fn records(topic: &str, refused: &[RefusedRecord]) -> Self {
        if let Some(retired) = refused.iter().find(|r| r.refusal.reason == Reason::Retired) {
            return Self::new(code::POLICY_VIOLATION, retired.refusal.to_string());
        }
        let first = refused
            .first()
            .map(|r| format!("; record {}: {}", r.index, r.refusal));
        let message = format!(
            "{} of the batch's records break the contract of {topic}{}",
            refused.len(),
            first.unwrap_or_default(),
        );
        Self {
            code: code::INVALID_RECORD,
            message,
            records: refused
                .iter()
                .take(RECORD_ERRORS)
                .map(|r| RecordError {
                    batch_index: i32::try_from(r.index).unwrap_or(i32::MAX),
                    message: Some(r.refusal.to_string()),
                })
                .collect(),
        }
    }

    pub(crate) fn answer(self, topic: TopicRef<'_>, partition: i32) -> OwnAnswer {
        answer(topic.owned(), partition, self)
    }
}

fn answer(topic: OwnedTopic, partition: i32, refused: Refused) -> OwnAnswer {
    OwnAnswer {
        topic,
        partition,
        error_code: refused.code,
        base_offset: -1,
        log_append_time_ms: -1,
        log_start_offset: -1,
        record_errors: refused.records,
        message: Some(refused.message),
    }
}

/// Success without an offset: every record of the batch went to quarantine.
pub(crate) fn taken_out(topic: TopicRef<'_>, partition: i32) -> OwnAnswer {
    OwnAnswer {
        topic: topic.owned(),
        partition,
        error_code: 0,
        base_offset: -1,
        log_append_time_ms: -1,
        log_start_offset: -1,
        record_errors: Vec::new(),
        message: None,
    }
}
