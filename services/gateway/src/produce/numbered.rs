//! Batches whose records can be taken out: those of an idempotent producer follow its numbering,
//! those of others just lose them.

use std::sync::Arc;

use meshwork_model::time::{Clock as _, WallClock};
use meshwork_pipeline::{BatchOutcome, BatchReport, Recorded};

use super::batch::Batch;
use super::decide::{Sender, Unbearable, Verdict};
use super::errors::{Refused, Why, code};
use super::guard::{Place, Session};
use super::numbering::{self, Look};
use super::repeats::Known;
use crate::connection::line::Proof;
use crate::quarantine::{Kept, Payload, SessionKey, Standing, WriteError};

/// How long is waited until it is known whether a product that is new here has a quarantine.
const KNOWN_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);
/// Times that a batch is looked at anew because its verdict has just appeared.
const LOOKS_MAX: usize = 4;

/// A batch of an idempotent producer, outside transactions.
pub(super) struct Numbered<'n> {
    batch: &'n Batch<'n>,
    session: &'n Session,
    place: Place,
    key: SessionKey,
    /// Records from the first to the last sequence.
    count: u32,
}

impl<'n> Numbered<'n> {
    pub(super) fn new(batch: &'n Batch<'n>, session: &'n Session, place: Place) -> Self {
        let more = (i64::from(place.last) - i64::from(place.first)).rem_euclid(1 << 31);
        Self {
            batch,
            session,
            place,
            key: SessionKey {
                producer_id: session.producer_id,
                epoch: place.epoch,
                partition: session.partition,
            },
            count: u32::try_from(more + 1).unwrap_or(u32::MAX),
        }
    }

    pub(super) async fn decide(&self, sender: &mut Sender<'_>) -> Result<Verdict, Unbearable> {
        let quarantine = &self.batch.shared.quarantine;
        let soon = (tokio::time::Instant::now() + KNOWN_WITHIN).min(sender.deadline);
        let standing = quarantine.standing(&self.session.topic, soon);
        let kept = match standing.await {
            Some(Standing::Absent) => None,
            Some(Standing::Kept(kept)) => Some(kept),
            None => {
                return Ok(later(
                    Why::Quarantine,
                    "it is not known yet what was taken out of the topic before: try later",
                ));
            }
        };
        // Where the topic was left behind nothing is to be read, until it is made anew.
        if let Some(kept) = kept.as_ref().filter(|kept| !kept.is_left())
            && !sender.contacts.contains(self.session, self.place.epoch)
        {
            // Another gateway may have decided on batches of this producer, also since another
            // connection of it ended here.
            let follower = &quarantine.follower;
            if !follower.read_to_end(kept, sender.deadline).await {
                return Ok(later(
                    Why::Quarantine,
                    "what was taken out of the producer's batches before can't be read: try later",
                ));
            }
            sender.contacts.insert(self.session, self.place.epoch);
        }
        for _ in 0..LOOKS_MAX {
            let look = kept.as_ref().map_or(
                Look::New {
                    removed_before: 0,
                    attempted: false,
                },
                |kept| kept.look(self.key, self.place.first, self.count),
            );
            match look {
                Look::Forgotten => return Err(Unbearable::Forgotten),
                Look::Mixed => return Ok(self.others()),
                Look::Recorded {
                    removed_before,
                    removed,
                } => return self.recorded(sender, removed_before, &removed).await,
                Look::New {
                    removed_before,
                    attempted,
                } => {
                    let (verdict, written) = self
                        .new_one(sender, kept.as_ref(), removed_before, attempted)
                        .await?;
                    if let Some(verdict) = verdict {
                        return Ok(verdict);
                    }
                    if let (Some(kept), Some(offset)) = (&kept, written) {
                        let read = kept.read_behind(offset);
                        if tokio::time::timeout_at(sender.deadline, read)
                            .await
                            .is_err()
                        {
                            sender.contacts.remove(self.session);
                            return Ok(later(
                                Why::Quarantine,
                                "its verdict is written and not read back yet: try later",
                            ));
                        }
                    }
                }
            }
        }
        // What is written does not appear: what is known of the numbering can't be trusted.
        Err(Unbearable::Unread)
    }

    /// The sequences were used for other records before.
    fn others(&self) -> Verdict {
        Verdict::Refused(Refused::new(
            code::OUT_OF_ORDER_SEQUENCE_NUMBER,
            Why::OtherRecords,
            format!(
                "some of the sequences {} to {} were used for other records before",
                self.place.first, self.place.last
            ),
        ))
    }

    /// It was decided on before.
    async fn recorded(
        &self,
        sender: &mut Sender<'_>,
        removed_before: u64,
        removed: &[(u32, u32)],
    ) -> Result<Verdict, Unbearable> {
        let follow = |repeat| Some(Recorded { removed, repeat });
        let mut report = match self.batch.walk(sender, removed_before, follow(false)).await {
            Ok(report) => report,
            Err(verdict) => return Ok(verdict),
        };
        if report.outcome == BatchOutcome::OtherRecords {
            return Ok(self.others());
        }
        if report.outcome == BatchOutcome::Rejected {
            // Good when it was decided on, bad now: right only if the log has it.
            let before = removed_before.saturating_add(count(removed.len()));
            match self
                .batch
                .in_log(sender, self.session, self.place, before)
                .await
            {
                Known::New => return Ok(self.batch.refused(&report)),
                Known::Not(refused) => return Ok(Verdict::Refused(refused)),
                Known::Repeat => {}
            }
            report = match self.batch.walk(sender, removed_before, follow(true)).await {
                Ok(report) => report,
                Err(verdict) => return Ok(verdict),
            };
        }
        if report.outcome == BatchOutcome::Nothing
            && let Some(verdict) = self.batch.may_write(sender).await?
        {
            return Ok(verdict);
        }
        Ok(self.batch.passed(report))
    }

    /// Nothing was decided on it yet. Gives what becomes of it, or the offset of the verdict that was
    /// written.
    async fn new_one(
        &self,
        sender: &mut Sender<'_>,
        kept: Option<&Arc<Kept>>,
        removed_before: u64,
        attempted: bool,
    ) -> Result<(Option<Verdict>, Option<i64>), Unbearable> {
        let done = |verdict| Ok((Some(verdict), None));
        let report = match self.batch.walk(sender, removed_before, None).await {
            Ok(report) => report,
            Err(verdict) => return done(verdict),
        };
        let refuses = report.outcome == BatchOutcome::Rejected;
        if !refuses && report.removed == 0 && !attempted {
            if let Some(kept) = kept {
                self.carry(kept);
            }
            return done(self.batch.passed(report));
        }
        if refuses || report.removed > 0 {
            // One that the log has already was good when it came first, or came another way: it
            // goes on whole, so that its numbers stay its own.
            match self
                .batch
                .in_log(sender, self.session, self.place, removed_before)
                .await
            {
                Known::New => {}
                Known::Not(refused) => return done(Verdict::Refused(refused)),
                Known::Repeat => {
                    let repeat = Recorded {
                        removed: &[],
                        repeat: true,
                    };
                    let walked = self.batch.walk(sender, removed_before, Some(repeat)).await;
                    return done(walked.map_or_else(|verdict| verdict, |r| self.batch.passed(r)));
                }
            }
        }
        if refuses {
            return done(self.batch.refused(&report));
        }
        let Some(kept) = kept else {
            // The topic is made as soon as the product is announced.
            return done(not_there());
        };
        if report.removed > 0
            && let Some(verdict) = self.batch.may_write(sender).await?
        {
            return done(verdict);
        }
        self.write(sender, kept, removed_before, report).await
    }

    /// Puts what is bad into quarantine, and then the verdict.
    async fn write(
        &self,
        sender: &mut Sender<'_>,
        kept: &Arc<Kept>,
        removed_before: u64,
        report: BatchReport,
    ) -> Result<(Option<Verdict>, Option<i64>), Unbearable> {
        let done = |verdict| Ok((Some(verdict), None));
        if !kept.is_there() {
            // What is written there can't be read back.
            return done(not_there());
        }
        let no_room = || {
            later(
                Why::Quarantine,
                "too many verdicts of the topic's producers are kept, or of this one on their way: try later",
            )
        };
        // Before what is bad is written: it would be in quarantine, and not known as taken out.
        if !kept.has_room(self.key, self.place.first, self.count) {
            return done(no_room());
        }
        let writer = &self.batch.shared.quarantine.writer;
        if report.removed > 0 {
            let sequences: Vec<i32> = report
                .refused
                .iter()
                .map(|r| sequence(self.place.first, r.index))
                .collect();
            let payload = Payload {
                batch: report.quarantine.as_deref().unwrap_or_default(),
                records: report.refused.len(),
                session: Some((self.key, &sequences)),
                partition: self.session.partition,
            };
            match writer.payload(kept, payload, sender.deadline).await {
                Ok(()) => {}
                Err(WriteError::TooLarge | WriteError::Damaged) => {
                    return done(self.batch.refused(&report));
                }
                Err(error) => return done(self.batch.put_off(kept, &error)),
            }
        }
        // From here on a verdict may come to be in the log, so that one has to be.
        if !kept.attempt(self.key, self.place.first, self.count) {
            return done(no_room());
        }
        let verdict = numbering::Verdict {
            first: self.place.first,
            count: self.count,
            removed_before,
            removed: report.refused.iter().map(|r| (r.index, r.digest)).collect(),
        };
        match writer
            .verdict(kept, self.key, &verdict, sender.deadline)
            .await
        {
            Ok(offset) => {
                if report.removed > 0 {
                    self.batch.count_quarantined(&report);
                }
                Ok((None, Some(offset)))
            }
            Err(error) => {
                sender.contacts.remove(self.session);
                done(self.batch.put_off(kept, &error))
            }
        }
    }

    /// Has the count written anew where the last word on it grows old.
    fn carry(&self, kept: &Arc<Kept>) {
        let Some(verdict) = kept.carry(self.key, self.place.first, WallClock.now()) else {
            return;
        };
        let (kept, key) = (Arc::clone(kept), self.key);
        let quarantine = Arc::clone(&self.batch.shared.quarantine);
        let deadline = tokio::time::Instant::now() + CARRY_WITHIN;
        tokio::spawn(async move {
            if let Err(error) = quarantine
                .writer
                .verdict(&kept, key, &verdict, deadline)
                .await
            {
                tracing::debug!(topic = %kept.topic, %error, "a count can't be carried on now; the next batch tries again");
            }
            kept.carried(key);
        });
    }
}

/// How long the writing of a count may take.
const CARRY_WITHIN: std::time::Duration = std::time::Duration::from_secs(60);

impl Batch<'_> {
    /// A batch without idempotence: what is bad just goes to quarantine, at least once.
    pub(super) async fn unnumbered(&self, sender: &mut Sender<'_>) -> Result<Verdict, Unbearable> {
        let report = match self.walk(sender, 0, None).await {
            Ok(report) => report,
            Err(verdict) => return Ok(verdict),
        };
        if report.outcome == BatchOutcome::Rejected {
            return Ok(self.refused(&report));
        }
        if report.removed == 0 {
            return Ok(self.passed(report));
        }
        let topic = &self.product.topic;
        // Of one that wants no answer what is good goes on, and what is bad is counted as lost.
        let kept = self.shared.quarantine.kept(topic);
        let Some(kept) = kept.filter(|kept| kept.takes_records() || self.request.acks == 0) else {
            return Ok(not_there());
        };
        if let Some(verdict) = self.may_write(sender).await? {
            return Ok(verdict);
        }
        let payload = Payload {
            batch: report.quarantine.as_deref().unwrap_or_default(),
            records: report.refused.len(),
            session: None,
            partition: self.partition.partition,
        };
        let writer = &self.shared.quarantine.writer;
        if self.request.acks == 0 {
            let (metrics, name) = (self.shared.metrics.clone(), Arc::clone(topic));
            let written = writer.payload_unheard(&kept, payload, move |error| {
                metrics.unquarantined(&name);
                tracing::warn!(topic = %name, %error, "a refused record of a producer that wants no answers is lost");
            });
            if written.is_err() {
                return Ok(self.refused(&report));
            }
        } else {
            match writer.payload(&kept, payload, sender.deadline).await {
                Ok(()) => {}
                Err(WriteError::TooLarge | WriteError::Damaged) => return Ok(self.refused(&report)),
                Err(error) => return Ok(self.put_off(&kept, &error)),
            }
        }
        self.count_quarantined(&report);
        Ok(self.passed(report))
    }

    /// Whether the client may write to the topic, which is asked before its records go to quarantine
    /// or are called delivered. `Some`: not, or not known.
    async fn may_write(&self, sender: &mut Sender<'_>) -> Result<Option<Verdict>, Unbearable> {
        let topic = &self.product.topic;
        let proof = sender
            .line
            .may_write(topic, self.partition.partition, sender.deadline)
            .await
            .map_err(|_| Unbearable::Broken)?;
        Ok(match proof {
            Proof::May => None,
            Proof::MayNot => Some(Verdict::Refused(Refused::new(
                code::TOPIC_AUTHORIZATION_FAILED,
                Why::NotAllowed,
                format!("the client may not write to {topic}"),
            ))),
            Proof::NoSuchPartition => Some(Verdict::Refused(Refused::new(
                code::UNKNOWN_TOPIC_OR_PARTITION,
                Why::UnknownTopic,
                format!("the broker knows no such partition of {topic}"),
            ))),
            Proof::Unknown => Some(later(
                Why::Unasked,
                "whether the client may write to the topic can't be asked: try later",
            )),
        })
    }

    fn put_off(&self, kept: &Kept, error: &WriteError) -> Verdict {
        let topic = &kept.topic;
        self.shared.metrics.unquarantined(&self.product.topic);
        later(
            Why::Quarantine,
            format!("{topic} does not take the batch's refused records ({error}): try later"),
        )
    }
}

fn later(why: Why, message: impl Into<String>) -> Verdict {
    Verdict::Refused(Refused::later(why, message))
}

fn not_there() -> Verdict {
    later(
        Why::Quarantine,
        "the product's quarantine is not there yet, or may not be read: try later",
    )
}

fn sequence(first: i32, index: u32) -> i32 {
    let at = (i64::from(first) + i64::from(index)).rem_euclid(1 << 31);
    i32::try_from(at).unwrap_or(first)
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
