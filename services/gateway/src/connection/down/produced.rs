//! Answers to Produce: what was acknowledged is counted, and what the gateway itself has to say is
//! added.

use std::collections::HashMap;

use meshwork_wire::protocol::ApiKey;
use meshwork_wire::protocol::produce::{self, Edit, OwnAnswer, PartitionAnswer, TopicRef};

use super::{Down, Wanted, own_failed, unreadable};
use crate::connection::pending::{Own, Produced, Sent};
use crate::error::Ended;
use crate::produce::{Guard, Place, Refused, Session, Unbearable, Why};

impl Down {
    /// Counts what was acknowledged, and adds our own answers. `None`: the answer passes as it is.
    pub(super) fn produced(
        &mut self,
        wanted: &Wanted,
        frame: &[u8],
        produced: Produced,
    ) -> Result<Option<Vec<u8>>, Ended> {
        let Produced {
            own,
            sent: all,
            transactional_id,
        } = produced;
        let version = wanted.version;
        let mut finder = Finder::new(&all);
        let mut renumbered = false;
        let mut room = true;
        let summary = produce::read_answers(frame, version, |answer| {
            let Some(sent) = finder.find(&answer) else {
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
            if let Some(id) = &transactional_id {
                let consumption = &self.conn.consumption;
                consumption.wrote(id, &sent.name, sent.partition);
            }
        })
        .map_err(|source| unreadable(wanted, source))?;
        if !room {
            return Err(too_many_failed());
        }
        self.conn.throttle(summary.throttle_ms);
        if own.is_empty() && !renumbered && !summary.has_endpoints {
            return Ok(None);
        }
        let mut finder = Finder::new(&all);
        let edit = |answer: &PartitionAnswer<'_>| {
            // The client's records and the log's are not one for one.
            let hidden = renumbered
                && answer.error_code == 0
                && finder.find(answer).is_some_and(|sent| sent.renumbered);
            hidden.then(|| Edit {
                base_offset: Some(-1),
                ..Edit::default()
            })
        };
        let endpoint = |node: i32| self.shared.brokers.endpoint(node, &self.shared.refusals);
        produce::rewrite_answer(frame, version, &answers(own), edit, endpoint)
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

pub(super) fn answers(own: Vec<Own>) -> Vec<OwnAnswer> {
    own.into_iter().map(|own| own.answer).collect()
}

/// Finds what an answer is about. Most brokers answer in the order of the request; for any other
/// there is a map, so that many partitions don't have to be looked through for each.
struct Finder<'p> {
    all: &'p [Sent],
    next: usize,
    /// Made with the first answer that is out of turn.
    places: Option<HashMap<(TopicRef<'p>, i32), &'p Sent>>,
}

impl<'p> Finder<'p> {
    const fn new(all: &'p [Sent]) -> Self {
        Self {
            all,
            next: 0,
            places: None,
        }
    }

    fn find(&mut self, answer: &PartitionAnswer<'_>) -> Option<&'p Sent> {
        let wanted = (answer.topic, answer.partition);
        let next = self.all.get(self.next);
        if let Some(sent) = next.filter(|sent| place_of(sent) == wanted) {
            self.next += 1;
            return Some(sent);
        }
        let all = self.all;
        let places = self
            .places
            .get_or_insert_with(|| all.iter().map(|sent| (place_of(sent), sent)).collect());
        places.get(&wanted).copied()
    }
}

fn place_of(sent: &Sent) -> (TopicRef<'_>, i32) {
    (sent.topic.borrowed(), sent.partition)
}

fn too_many_failed() -> Ended {
    Ended::Own {
        api: ApiKey::PRODUCE.name(),
        what: Unbearable::TooManyRefused.why().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use meshwork_pipeline::PartitionTally;

    use super::*;

    fn sent(topic: &str, partition: i32) -> Sent {
        Sent {
            topic: TopicRef::Name(topic).owned(),
            name: topic.into(),
            partition,
            tally: PartitionTally::new(topic, partition),
            parts: Vec::new(),
            records: 1,
            alone: false,
            renumbered: false,
            session: None,
        }
    }

    /// Where it is found, of those that were sent.
    fn find(finder: &mut Finder<'_>, topic: &str, partition: i32) -> Option<usize> {
        let found = finder.find(&PartitionAnswer {
            topic: TopicRef::Name(topic),
            partition,
            error_code: 0,
            base_offset: 0,
            log_append_time_ms: -1,
            log_start_offset: 0,
        })?;
        finder.all.iter().position(|sent| std::ptr::eq(sent, found))
    }

    #[test]
    fn answers_are_found_in_turn_and_out_of_turn() {
        let all = [sent("a", 0), sent("a", 1), sent("b", 0), sent("b", 7)];
        let mut finder = Finder::new(&all);
        for (at, (topic, partition)) in [("a", 0), ("a", 1), ("b", 0)].into_iter().enumerate() {
            assert_eq!(find(&mut finder, topic, partition), Some(at));
        }
        assert!(finder.places.is_none(), "found in turn");
        // What was not looked at passes in between, and a broker may answer as it likes.
        assert_eq!(find(&mut finder, "plain", 0), None);
        assert_eq!(find(&mut finder, "b", 7), Some(3));
        assert_eq!(find(&mut finder, "a", 1), Some(1));
        assert_eq!(find(&mut finder, "b", 0), Some(2));
        assert_eq!(find(&mut finder, "b", 1), None);
    }
}
