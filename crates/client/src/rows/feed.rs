//! Input to its end, into a producer.

use std::ops::ControlFlow;
use std::sync::Arc;

use meshwork_pipeline::{Reason, Refusal};

use super::input::{Input, InputError, Item};
use super::json::JsonRows;
use crate::producer::{MeshProducer, NewRecord, ProduceError, RecordPosition};

/// What the input's items are.
#[derive(Debug)]
pub enum FeedKind {
    /// JSON texts (CSV rows too): to be encoded.
    Json(Box<JsonRows>),
    /// Encoded already.
    Framed,
}

/// Why not all of the input was produced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// The input.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The producer.
    #[error(transparent)]
    Produce(#[from] ProduceError),
}

/// Sends all of an input.
#[derive(Debug)]
pub struct Feed {
    kind: FeedKind,
    source: Option<Arc<str>>,
}

impl Feed {
    /// `source` names the input in errors: `flights.jsonl`.
    #[must_use]
    pub const fn new(kind: FeedKind, source: Option<Arc<str>>) -> Self {
        Self { kind, source }
    }

    /// Sends the input to its end and waits until it is written and observed. `refused` hears of
    /// each record that comes back refused ([`ProduceError::Refused`]) and says whether to go on.
    ///
    /// # Errors
    /// The input can't be read on, something was not written, or the refusal at which to stop. What
    /// was sent before is written all the same.
    pub async fn run(
        &mut self,
        input: &mut Input,
        producer: &mut MeshProducer,
        mut refused: impl FnMut(&ProduceError) -> ControlFlow<()>,
    ) -> Result<(), FeedError> {
        let fed = self.feed(input, producer, &mut refused).await;
        let flushed = producer.flush().await;
        fed?;
        flushed?;
        Ok(())
    }

    async fn feed(
        &mut self,
        input: &mut Input,
        producer: &mut MeshProducer,
        refused: &mut impl FnMut(&ProduceError) -> ControlFlow<()>,
    ) -> Result<(), FeedError> {
        while let Some(batch) = input.next().await? {
            for item in batch.iter() {
                let position = RecordPosition {
                    source: self.source.clone(),
                    line: item.number,
                };
                match self.send(producer, &item, &position).await {
                    Ok(()) => {}
                    Err(error) if error.is_refusal() => {
                        if refused(&error).is_break() {
                            return Err(error.into());
                        }
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    async fn send(
        &mut self,
        producer: &mut MeshProducer,
        item: &Item<'_>,
        position: &RecordPosition,
    ) -> Result<(), ProduceError> {
        let rows = match &mut self.kind {
            FeedKind::Framed => {
                let record = NewRecord {
                    key: item.key,
                    value: (!item.value.is_empty()).then_some(item.value),
                    ..NewRecord::default()
                };
                return producer.send(&record, position).await.map(drop);
            }
            FeedKind::Json(rows) => rows,
        };
        let text = std::str::from_utf8(item.value);
        let refusal = match text {
            Ok(text) => match rows.row(text) {
                Ok(row) => {
                    let record = NewRecord {
                        key: row.key,
                        value: Some(row.value),
                        ..NewRecord::default()
                    };
                    return producer.send(&record, position).await.map(drop);
                }
                Err(refusal) => refusal,
            },
            Err(error) => {
                Refusal::new(Reason::Line, "the line is not UTF-8").at(error.valid_up_to())
            }
        };
        let record = NewRecord {
            key: text.ok().and_then(|text| rows.key_of(text)),
            value: Some(item.value),
            ..NewRecord::default()
        };
        producer
            .refuse_line(&record, position, refusal)
            .await
            .map(drop)
    }
}
