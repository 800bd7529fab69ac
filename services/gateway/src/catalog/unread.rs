//! What was read of `mesh.catalog` and is not decided on yet: the last record of each product. What a
//! later one has replaced is never looked at.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use meshwork_kafka::ReadBatch;
use meshwork_model::mesh::ProductAnnouncement;
use meshwork_model::name::Urn;
use meshwork_model::text::with_causes;
use meshwork_registry_client::{MeshError, MeshReader};

use crate::products::News;
use crate::refusals::Refusals;

/// How long the registry is waited for each time that a schema is asked for.
const ASKED_WITHIN: Duration = Duration::from_secs(5);

/// What is said with each announcement that can't be read.
const SO: &str = "an announcement in mesh.catalog can't be read: what was known of its product before holds; where nothing was, its topic's batches are put off; unless it is read soon, announce it again (meshwork product apply)";

/// See the module. There are no more than products that were ever announced, as in the topic itself
/// once it is compacted.
#[derive(Debug, Default)]
pub(super) struct Unread {
    last: HashMap<Urn, Last>,
    /// Whether everything has been read that was there when reading began.
    at_end: bool,
}

#[derive(Debug)]
struct Last {
    offset: i64,
    /// None: withdrawn.
    value: Option<Bytes>,
}

enum Decoded {
    Is(News),
    /// Its schema has to be asked for.
    Lacks,
}

impl Unread {
    /// Takes in what was read. Whether it is to be decided on: not before the end was reached once,
    /// since what came before may have been replaced long ago.
    pub(super) fn take(&mut self, batch: ReadBatch) -> bool {
        let reached = !self.at_end && batch.caught_up && batch.trouble.is_none();
        self.at_end |= reached;
        let came = !batch.records.is_empty();
        for record in batch.records {
            let key = std::str::from_utf8(record.key.as_deref().unwrap_or_default());
            let Some(urn) = key.ok().and_then(|key| key.parse::<Urn>().ok()) else {
                tracing::warn!(
                    offset = record.offset,
                    "a record of mesh.catalog is skipped: its key is no URN, so that it is no product's"
                );
                continue;
            };
            let (offset, value) = (record.offset, record.value);
            self.last.insert(urn, Last { offset, value });
        }
        self.at_end && (came || reached)
    }

    /// Whether the end was reached.
    pub(super) fn is_at_end(&self) -> bool {
        self.at_end
    }

    /// Whether nothing is left that lacks its schema.
    pub(super) fn is_empty(&self) -> bool {
        self.last.is_empty()
    }

    /// Decides on everything. What lacks its schema stays, and can't be read until it is there.
    pub(super) fn decide(&mut self, decoder: &MeshReader<ProductAnnouncement>) -> Vec<(Urn, News)> {
        let mut news = Vec::with_capacity(self.last.len());
        self.last
            .retain(|urn, last| match last.decode(urn, decoder) {
                Decoded::Is(is) => {
                    news.push((urn.clone(), is));
                    false
                }
                Decoded::Lacks => {
                    news.push((urn.clone(), News::Unread));
                    true
                }
            });
        news
    }

    /// Asks for the schemas that are lacking; [`Self::decide`] again then. `false`: the registry can't
    /// be asked, or does not answer. One that it does not have it may know of a moment later.
    pub(super) async fn ask(
        &self,
        decoder: &MeshReader<ProductAnnouncement>,
        refusals: &Refusals,
    ) -> bool {
        for (urn, last) in &self.last {
            let Some(value) = last.value.as_deref() else {
                continue;
            };
            let asks = tokio::time::timeout(ASKED_WITHIN, decoder.decode(value));
            let error = match asks.await {
                Ok(Ok(_)) => continue,
                Ok(Err(error)) => error,
                Err(_) => {
                    refusals.say("announcements: slow registry", || {
                        tracing::warn!(%urn, "the registry does not answer; {SO}");
                    });
                    return false;
                }
            };
            let there = !matches!(&error, MeshError::Registry(away) if !away.is_not_found());
            let what = if there {
                urn.to_string()
            } else {
                "no registry".to_owned()
            };
            refusals.say(&format!("announcements: {what}"), || {
                tracing::warn!(%urn, offset = last.offset, error = %with_causes(&error), "{SO}");
            });
            if !there {
                return false;
            }
        }
        true
    }
}

impl Last {
    /// As far as that goes without asking the registry.
    fn decode(&self, urn: &Urn, decoder: &MeshReader<ProductAnnouncement>) -> Decoded {
        let Some(value) = self.value.as_deref() else {
            return Decoded::Is(News::Withdrawn);
        };
        let offset = self.offset;
        match decoder.decode_known(value) {
            Ok(None) => return Decoded::Lacks,
            Ok(Some(announced)) if announced.urn == *urn => {
                return Decoded::Is(News::Announced(Box::new(announced)));
            }
            Ok(Some(other)) => {
                tracing::warn!(%urn, offset, says = %other.urn, "its key is another URN than its value's; {SO}");
            }
            Err(error) => {
                tracing::warn!(%urn, offset, error = %with_causes(&error), "{SO}");
            }
        }
        Decoded::Is(News::Unread)
    }
}

#[cfg(test)]
mod tests;
