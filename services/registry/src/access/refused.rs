//! Refused attempts as events for `mesh.audit`. Noting one never waits: past a rate they are
//! counted instead, and past the queue's bound dropped and counted.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use meshwork_model::mesh::AuditEvent;
use meshwork_model::mesh::audit::{AuditAction, AuditOutcome};
use meshwork_model::time::Timestamp;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::metrics::AccessMetrics;
use super::principal::Principal;

/// Events that wait for their writer. At about 1 KiB each that is 1 MiB.
const WAITING: usize = 1_024;

/// Actors whose rate is remembered. One that is pushed out begins anew with a full burst.
const ACTORS: usize = 4_096;

/// Events of one actor written at once …
const BURST: i64 = 10;

/// … and one more for each of these that go by, in milliseconds.
const REFILL_MS: i64 = 1_000;

/// Longest text from outside in an event, characters.
const MAX_TEXT: usize = 256;

/// A refused attempt.
pub(crate) struct Attempt<'a> {
    pub(crate) principal: &'a Principal,
    /// Who it claimed to be, where that was not so.
    pub(crate) claimed: Option<&'a str>,
    pub(crate) client: Option<IpAddr>,
    pub(crate) action: AuditAction,
    pub(crate) subject: Option<&'a str>,
    pub(crate) outcome: AuditOutcome,
    pub(crate) error_code: u32,
    pub(crate) why: &'a str,
    /// Method and path.
    pub(crate) request: String,
}

/// Where refusals are noted.
pub(crate) struct Refused {
    instance: String,
    events: mpsc::Sender<AuditEvent>,
    rates: Cache<String, Arc<Mutex<Rate>>>,
    metrics: AccessMetrics,
}

/// How much one actor may still say.
#[derive(Clone, Copy, Debug)]
struct Rate {
    left: i64,
    since: Timestamp,
    suppressed: i64,
}

impl Rate {
    fn new(now: Timestamp) -> Self {
        Self {
            left: BURST,
            since: now,
            suppressed: 0,
        }
    }

    /// How many went unsaid since the last one, if this one may be said.
    fn take(&mut self, now: Timestamp) -> Option<i64> {
        let refills = now.millis_since(self.since) / REFILL_MS;
        if refills < 0 {
            // The clock was set back.
            self.since = now;
        } else if refills > 0 {
            self.left = self.left.saturating_add(refills).min(BURST);
            self.since = self.since.plus_millis(refills.saturating_mul(REFILL_MS));
        }
        if self.left == 0 {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.left -= 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

impl Refused {
    /// And the other end of the queue, for whoever writes `mesh.audit`.
    pub(crate) fn new(
        instance: String,
        metrics: AccessMetrics,
    ) -> (Self, mpsc::Receiver<AuditEvent>) {
        let (events, received) = mpsc::channel(WAITING);
        let refused = Self {
            instance,
            events,
            rates: Cache::new(ACTORS),
            metrics,
        };
        (refused, received)
    }

    pub(crate) fn note(&self, attempt: &Attempt<'_>, now: Timestamp) {
        self.metrics.refused(attempt.outcome);
        // Whoever is not named is told apart by where they are.
        let actor = match (attempt.principal.is_anonymous(), attempt.client) {
            (true, Some(client)) => format!("{} {client}", attempt.principal.name()),
            _ => attempt.principal.name().to_owned(),
        };
        let rate = self
            .rates
            .get_or_insert_with(&actor, || {
                Ok::<_, std::convert::Infallible>(Arc::new(Mutex::new(Rate::new(now))))
            })
            .unwrap_or_else(|never| match never {});
        let Some(suppressed) = rate.lock().take(now) else {
            self.metrics.unaudited();
            return;
        };
        if self
            .events
            .try_send(self.event(attempt, suppressed, now))
            .is_err()
        {
            rate.lock().suppressed += suppressed + 1;
            self.metrics.unaudited();
        }
    }

    fn event(&self, attempt: &Attempt<'_>, suppressed: i64, now: Timestamp) -> AuditEvent {
        let mut details = BTreeMap::from([
            ("request".to_owned(), short(&attempt.request)),
            ("why".to_owned(), short(attempt.why)),
        ]);
        if let Some(claimed) = attempt.claimed {
            details.insert("claimed".to_owned(), short(claimed));
        }
        AuditEvent {
            id: Uuid::new_v4().to_string(),
            at: now,
            actor: attempt.principal.name().to_owned(),
            authenticated_by: attempt.principal.how(),
            role: "registry".to_owned(),
            instance: self.instance.clone(),
            action: attempt.action,
            subject: attempt.subject.map(short),
            version: None,
            schema_id: None,
            outcome: attempt.outcome,
            error_code: i32::try_from(attempt.error_code).ok(),
            offset: None,
            client: attempt.client.map(|client| client.to_string()),
            suppressed,
            details,
        }
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt<'a>(principal: &'a Principal, why: &'a str) -> Attempt<'a> {
        Attempt {
            principal,
            claimed: Some("ann"),
            client: Some([192, 0, 2, 7].into()),
            action: AuditAction::Register,
            subject: Some("s"),
            outcome: AuditOutcome::Unauthenticated,
            error_code: 401,
            why,
            request: "POST /subjects/s/versions".to_owned(),
        }
    }

    #[test]
    fn one_actor_says_so_much_and_the_rest_is_counted() {
        let (refused, mut events) = Refused::new("r1".to_owned(), AccessMetrics::default());
        let nobody = Principal::anonymous();
        let now = Timestamp::from_millis(1_000_000);
        for _ in 0..BURST + 5 {
            refused.note(&attempt(&nobody, "wrong"), now);
        }
        let mut seen = 0;
        while let Ok(event) = events.try_recv() {
            seen += 1;
            assert_eq!((event.suppressed, event.actor.as_str()), (0, "anonymous"));
            assert_eq!(event.details["claimed"], "ann");
        }
        assert_eq!(seen, BURST);
        refused.note(&attempt(&nobody, "wrong"), now.plus_millis(REFILL_MS));
        assert_eq!(events.try_recv().unwrap().suppressed, 5);
        // Another client is not held back by this one.
        let other = Attempt {
            client: Some([192, 0, 2, 8].into()),
            ..attempt(&nobody, "wrong")
        };
        refused.note(&other, now.plus_millis(REFILL_MS));
        assert_eq!(events.try_recv().unwrap().suppressed, 0);
    }

    #[test]
    fn what_waits_is_bounded_and_so_are_texts() {
        let (refused, mut events) = Refused::new("r1".to_owned(), AccessMetrics::default());
        let nobody = Principal::anonymous();
        let now = Timestamp::from_millis(0);
        let long = "é".repeat(10_000);
        for host in 0..=u16::MAX {
            let client = [10, 0, host.to_be_bytes()[0], host.to_be_bytes()[1]];
            let attempt = Attempt {
                client: Some(client.into()),
                ..attempt(&nobody, &long)
            };
            refused.note(&attempt, now);
        }
        assert_eq!(events.len(), WAITING);
        assert!(refused.rates.len() <= ACTORS);
        let why = &events.try_recv().unwrap().details["why"];
        assert_eq!(why.chars().count(), MAX_TEXT + 1);
    }
}
