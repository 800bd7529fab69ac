//! What a client is told of a batch that the gateway itself refuses.

use meshwork_pipeline::{BatchReport, Reason};
use meshwork_wire::protocol::produce::{
    MESSAGE_BYTES, OwnAnswer, OwnedTopic, RECORD_ERRORS, RECORD_ERRORS_IN_ALL,
    RECORD_MESSAGE_BYTES, RecordError, TEXT_BYTES, TopicRef,
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
        message: (!refused.message.is_empty()).then_some(refused.message),
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

/// What a request's refusals may say in all: no more than its answer holds. A request of some
/// megabytes can have batches of which each would be refused with a thousand records named.
pub(super) struct Telling {
    records: usize,
    text: usize,
}

impl Default for Telling {
    fn default() -> Self {
        Self {
            records: RECORD_ERRORS_IN_ALL,
            text: TEXT_BYTES,
        }
    }
}

impl Telling {
    /// Cuts what is too much, and gives its memory back.
    pub(super) fn bound(&mut self, refused: &mut Refused) {
        refused.message = self
            .text(&refused.message, MESSAGE_BYTES)
            .unwrap_or_default();
        let named = refused.records.len().min(self.records);
        self.records -= named;
        let records = refused.records.iter().take(named);
        let records = records.map(|record| RecordError {
            batch_index: record.batch_index,
            message: record
                .message
                .as_deref()
                .and_then(|text| self.text(text, RECORD_MESSAGE_BYTES)),
        });
        refused.records = records.collect();
    }

    fn text(&mut self, text: &str, limit: usize) -> Option<String> {
        let text = text.get(..text.floor_char_boundary(limit))?;
        self.text = self.text.checked_sub(text.len())?;
        Some(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(records: usize, text: &str) -> Refused {
        let record = |at| RecordError {
            batch_index: i32::try_from(at).unwrap(),
            message: Some(text.to_owned()),
        };
        Refused {
            records: (0..records).map(record).collect(),
            ..Refused::new(code::INVALID_RECORD, Why::Contract, text)
        }
    }

    #[test]
    fn a_requests_refusals_say_no_more_than_its_answer_holds() {
        let mut telling = Telling::default();
        let mut first = refused(2, "why");
        telling.bound(&mut first);
        assert_eq!(first.message, "why");
        assert_eq!(first.records, refused(2, "why").records);
        let long = "\u{e9}".repeat(10_000);
        let (mut named, mut text) = (2, 9);
        for _ in 0..20 {
            let mut refused = refused(1_000, &long);
            telling.bound(&mut refused);
            assert!(refused.message.len() <= 1_024);
            named += refused.records.len();
            assert_eq!(refused.records.capacity(), refused.records.len());
            let records = refused.records.iter().flat_map(|r| &r.message);
            text += refused.message.len() + records.map(String::len).sum::<usize>();
        }
        assert_eq!(named, RECORD_ERRORS_IN_ALL);
        assert!(text <= TEXT_BYTES, "{text}");
        // Why it is refused is known by its code.
        assert_eq!(refused(0, "").answer(TopicRef::Name("a"), 0).message, None);
    }
}
