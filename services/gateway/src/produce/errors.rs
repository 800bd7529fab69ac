//! What a client is told of a batch that the gateway itself refuses.

use meshwork_pipeline::{BatchReport, Reason};
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
    /// Unpacks to more bytes than are allowed, or has more records.
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

/// Why a batch is refused: a label of the metric `batches_refused`. Labels never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Its records break the contract; which reasons they have is counted by records.
    Contract,
    /// The product version is retired.
    Retired,
    /// It can't be read.
    Unreadable,
    /// A schema is not known here and the registry can't be asked, or not in time.
    Registry,
    /// `mesh.catalog` has not been read yet, and its topic may be a product's.
    Early,
    /// Its topic is a product's whose announcement can't be read.
    Unannounced,
    /// An earlier batch of its producer was refused.
    Behind,
    /// Its transaction's request has another batch that breaks its contract.
    WithAnother,
    /// Its sequence numbers were used for other records.
    OtherRecords,
    /// Whether it is a repeat, or whether the client may write, can't be asked of the broker.
    Unasked,
    /// Quarantine is not known yet, or does not take what it should.
    Quarantine,
    /// The client may not write there, or nobody may through the gateway.
    NotAllowed,
    /// No such topic or partition is known, or another broker leads it.
    UnknownTopic,
}

impl Why {
    /// The label.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Contract => "contract",
            Self::Retired => "retired",
            Self::Unreadable => "unreadable",
            Self::Registry => "registry-unavailable",
            Self::Early => "early",
            Self::Unannounced => "unannounced",
            Self::Behind => "behind",
            Self::WithAnother => "with-another",
            Self::OtherRecords => "other-records",
            Self::Unasked => "unasked",
            Self::Quarantine => "quarantine",
            Self::NotAllowed => "not-allowed",
            Self::UnknownTopic => "unknown-topic",
        }
    }
}

/// A refusal of a whole batch.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) code: i16,
    pub(crate) why: Why,
    pub(crate) message: String,
    pub(crate) records: Vec<RecordError>,
    /// Its records that break the contract, by reason.
    pub(crate) reasons: Vec<(Reason, u32)>,
}

impl Refused {
    pub(crate) fn new(code: i16, why: Why, message: impl Into<String>) -> Self {
        Self {
            code,
            why,
            message: message.into(),
            records: Vec::new(),
            reasons: Vec::new(),
        }
    }

    /// It may succeed if the client sends it again.
    pub(crate) fn later(why: Why, message: impl Into<String>) -> Self {
        Self::new(code::NOT_ENOUGH_REPLICAS, why, message)
    }

    /// Because an earlier batch failed and has not come again.
    pub(crate) fn behind(behind: Behind, place: Place) -> Self {
        Self::new(
            behind.code,
            Why::Behind,
            format!(
                "the batch at sequence {} was refused and has not come again, so that the one at {} may not pass it",
                behind.refused, place.first
            ),
        )
    }

    /// Because of these records.
    pub(crate) fn records(topic: &str, report: &BatchReport) -> Self {
        let (refused, reasons) = (&report.refused, report.reasons());
        if let Some(retired) = refused.iter().find(|r| r.refusal.reason == Reason::Retired) {
            return Self {
                reasons,
                ..Self::new(
                    code::POLICY_VIOLATION,
                    Why::Retired,
                    retired.refusal.to_string(),
                )
            };
        }
        let first = refused
            .first()
            .map(|r| format!("; record {}: {}", r.index, r.refusal));
        let message = format!(
            "{} of the batch's records break the contract of {topic}{}",
            refused.len(),
            first.unwrap_or_default(),
        );
        let records = refused.iter().take(RECORD_ERRORS).map(|r| RecordError {
            batch_index: i32::try_from(r.index).unwrap_or(i32::MAX),
            message: Some(r.refusal.to_string()),
        });
        Self {
            records: records.collect(),
            reasons,
            ..Self::new(code::INVALID_RECORD, Why::Contract, message)
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
