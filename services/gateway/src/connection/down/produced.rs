//! Answers to Produce: what was acknowledged is counted, and what the gateway itself has to say is
//! added.

use meshwork_wire::protocol::ApiKey;
use meshwork_wire::protocol::produce::{self, Edit, OwnAnswer};

use super::{Down, Wanted, own_failed, unreadable};
use crate::connection::pending::Produced;
use crate::error::Ended;
use crate::produce::{Guard, Place, Refused, Session, Unbearable, Why};

impl Down {
    /// Counts what was acknowledged, and adds our own answers. `None`: the answer passes as it is.
    pub(super) fn produced(
        &mut self,
        wanted: &Wanted,
        frame: &[u8],
        produced: &Produced,
    ) -> Result<Option<Vec<u8>>, Ended> {
        let version = wanted.version;
        let mut renumbered = false;
        let mut room = true;
        let summary = produce::read_answers(frame, version, |answer| {
            let sent = produced
                .sent
                .iter()
                .find(|s| s.partition == answer.partition && s.topic.borrowed() == answer.topic);
            let Some(sent) = sent else {
                return;
            };
            room &= note(&mut self.failed, sent.session.as_ref(), answer.error_code);
            if answer.error_code != 0 {
                return;
            }
            renumbered |= sent.renumbered;
            if self.shared.quarantine.kept(&sent.name).is_some() {
                self.conn.proofs.add(&sent.name, sent.partition);
            }
            let observations = &self.shared.observations;
            let records = observations.acknowledged(sent, answer.base_offset);
            self.shared.metrics.records(&sent.name, records);
            if let Some(id) = &produced.transactional_id {
                let consumption = &self.conn.consumption;
                consumption.wrote(id, &sent.name, sent.partition);
            }
        })
        .map_err(|source| unreadable(wanted, source))?;
        if !room {
            return Err(too_many_failed());
        }
        self.conn.throttle(summary.throttle_ms);
        if produced.own.is_empty() && !renumbered && !summary.has_endpoints {
            return Ok(None);
        }
        let edit = |answer: &produce::PartitionAnswer<'_>| {
            let renumbered = produced.sent.iter().any(|s| {
                s.renumbered
                    && s.partition == answer.partition
                    && s.topic.borrowed() == answer.topic
            });
            // The client's records and the log's are not one for one.
            (renumbered && answer.error_code == 0).then(|| Edit {
                base_offset: Some(-1),
                ..Edit::default()
            })
        };
        let endpoint = |node: i32| self.shared.brokers.endpoint(node, &self.shared.refusals);
        produce::rewrite_answer(frame, version, &answers(produced), edit, endpoint)
            .map(Some)
            .map_err(|error| own_failed(wanted.api, &error))
    }

    /// A batch of which nothing was left to send is called delivered only if all before it were.
    pub(super) fn settle_own(&mut self, produced: &mut Produced) -> Result<(), Ended> {
        for own in &mut produced.own {
            if own.answer.error_code == 0
                && let Some((session, place)) = &own.session
                && let Some(behind) = self.failed.look(session, *place)
            {
                let topic = own.answer.topic.borrowed();
                // It was taken for delivered when the request was decided on.
                self.shared
                    .metrics
                    .batch_refused(&session.topic, Why::Behind.label());
                own.answer = Refused::behind(behind, *place).answer(topic, own.answer.partition);
            }
            if !note(
                &mut self.failed,
                own.session.as_ref(),
                own.answer.error_code,
            ) {
                return Err(too_many_failed());
            }
        }
        Ok(())
    }
}

/// Notes what a client is told of a batch. `false`: no more can be remembered.
#[must_use]
fn note(failed: &mut Guard, session: Option<&(Session, Place)>, error_code: i16) -> bool {
    let Some((session, place)) = session else {
        return true;
    };
    if error_code == 0 {
        failed.pass(session, *place);
        return true;
    }
    failed.refuse(session.clone(), *place, error_code)
}

pub(super) fn answers(produced: &Produced) -> Vec<OwnAnswer> {
    produced.own.iter().map(|own| own.answer.clone()).collect()
}

fn too_many_failed() -> Ended {
    Ended::Own {
        api: ApiKey::PRODUCE.name(),
        what: Unbearable::TooManyRefused.why().to_owned(),
    }
}
