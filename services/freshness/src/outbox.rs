//! What leaves the shard: one row for each SLO and commit, written in the same batch as the state, sent
//! in order, and removed once Kafka has it.

use std::collections::HashMap;

use meshwork_model::mesh::{SloAlert, SloSlice, SloStatus};
use meshwork_model::time::{MINUTE_MS, Timestamp};
use meshwork_state::{Batch, StateError, Store};
use serde::{Deserialize, Serialize};

/// Column family.
pub(crate) const FAMILY: &str = "outbox";

/// What one commit closed of one SLO. It goes out whole, in one transaction, so that whoever sees the
/// status knows that the slices and alerts up to it are there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) slo: String,
    pub(crate) slices: Vec<SloSlice>,
    pub(crate) alerts: Vec<SloAlert>,
    pub(crate) status: Option<SloStatus>,
}

impl Row {
    /// Leaves out what was published before: all up to `as_of`, the latest published status.
    pub(crate) fn after(mut self, as_of: Timestamp) -> Self {
        let Some(status) = &self.status else {
            return self;
        };
        if status.as_of <= as_of {
            self.status = None;
        }
        self.alerts.retain(|a| a.at > as_of);
        self.slices.retain_mut(|s| {
            let missing = as_of.millis_since(s.from).max(0) / MINUTE_MS;
            let missing = i32::try_from(missing).unwrap_or(i32::MAX).min(s.minutes);
            s.minutes -= missing;
            s.from = s.from.plus_millis(i64::from(missing) * MINUTE_MS);
            s.minutes > 0
        });
        self
    }

    /// Takes in a later row of the same SLO.
    fn absorb(&mut self, later: Self) {
        for slice in later.slices {
            if let Some(last) = self.slices.last_mut() {
                let until = last.from.plus_millis(i64::from(last.minutes) * MINUTE_MS);
                let same = last.state == slice.state && last.revision == slice.revision;
                if same && until == slice.from {
                    last.minutes = last.minutes.saturating_add(slice.minutes);
                    last.worst_lag_ms = last.worst_lag_ms.max(slice.worst_lag_ms);
                    continue;
                }
            }
            self.slices.push(slice);
        }
        self.alerts.extend(later.alerts);
        self.status = later.status.or(self.status.take());
    }

    pub(crate) fn put(&self, number: u64, batch: &mut Batch) -> Result<(), serde_json::Error> {
        batch.put(FAMILY, number.to_be_bytes(), serde_json::to_vec(self)?);
        Ok(())
    }
}

/// Joins the rows of each SLO, in order of their first.
pub(crate) fn join(rows: Vec<Row>) -> Vec<Row> {
    let mut joined: Vec<Row> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for row in rows {
        let place = places.get(&row.slo).and_then(|i| joined.get_mut(*i));
        if let Some(earlier) = place {
            earlier.absorb(row);
        } else {
            places.insert(row.slo.clone(), joined.len());
            joined.push(row);
        }
    }
    joined
}

/// Rows from the least on, at most `most` of them, with the number after the last. Rows that can't be
/// read are left out and told.
pub(crate) fn rows(store: &Store, most: usize) -> Result<(Vec<Row>, Option<u64>), StateError> {
    let mut rows = Vec::new();
    let mut next = None;
    for entry in store.scan(FAMILY, &[], None)?.take(most) {
        let (key, value) = entry?;
        if let Ok(number) = (*key).try_into().map(u64::from_be_bytes) {
            next = Some(number.saturating_add(1));
        }
        match serde_json::from_slice(&value) {
            Ok(row) => rows.push(row),
            Err(e) => {
                tracing::error!(error = %e, "a result in the outbox can't be read and is left out");
            }
        }
    }
    Ok((rows, next))
}

/// Number for the next row, and how many there are.
pub(crate) fn next_number(store: &Store) -> Result<(u64, u64), StateError> {
    let (mut next, mut count) = (0, 0_u64);
    for entry in store.scan(FAMILY, &[], None)? {
        let (key, _) = entry?;
        if let Ok(number) = (*key).try_into().map(u64::from_be_bytes) {
            next = number.saturating_add(1);
        }
        count = count.saturating_add(1);
    }
    Ok((next, count))
}

/// Removes the rows before `next`.
pub(crate) fn remove(store: &Store, next: u64) -> Result<(), StateError> {
    let mut batch = store.write();
    batch.delete_range(FAMILY, 0_u64.to_be_bytes(), next.to_be_bytes());
    store.commit(batch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use meshwork_model::mesh::alert::AlertState;
    use meshwork_model::mesh::slice::SliceState;

    fn minute(n: i64) -> Timestamp {
        Timestamp::from_millis(n * MINUTE_MS)
    }

    fn slice(from: i64, minutes: i32) -> SloSlice {
        SloSlice {
            slo: "s".into(),
            from: minute(from),
            minutes,
            state: SliceState::Good,
            revision: 0,
            worst_lag_ms: None,
        }
    }

    fn status(as_of: i64) -> SloStatus {
        SloStatus {
            slo: "s".into(),
            urn: "urn:meshwork:a:b:v1".parse().unwrap(),
            domain: "a".into(),
            owner: "o".into(),
            as_of: minute(as_of),
            state: SliceState::Good,
            lag_ms: None,
            within_ms: 1,
            objective: 1,
            window_ms: 1,
            good: 0,
            bad: 0,
            expected_quiet: 0,
            unmeasurable: 0,
            due: 0,
            budget_millionths: 0,
            budget_left_millionths: 0,
            alert: AlertState::Quiet,
            rule: None,
        }
    }

    #[test]
    fn what_was_published_is_left_out() {
        let row = Row {
            slo: "s".into(),
            slices: vec![slice(0, 10), slice(10, 10)],
            alerts: Vec::new(),
            status: Some(status(20)),
        };
        // (published as of, slices left, status left)
        for (as_of, slices, has_status) in [
            (0, vec![slice(0, 10), slice(10, 10)], true),
            (4, vec![slice(4, 6), slice(10, 10)], true),
            (10, vec![slice(10, 10)], true),
            (19, vec![slice(19, 1)], true),
            (20, vec![], false),
            (99, vec![], false),
        ] {
            let left = row.clone().after(minute(as_of));
            assert_eq!(left.slices, slices, "{as_of}");
            assert_eq!(left.status.is_some(), has_status, "{as_of}");
        }
    }

    #[test]
    fn rows_of_one_slo_leave_as_one() {
        let row = |slo: &str, from, minutes| Row {
            slo: slo.into(),
            slices: vec![slice(from, minutes)],
            status: Some(status(from + i64::from(minutes))),
            ..Row::default()
        };
        let mut bad = row("a", 7, 1);
        bad.slices[0].state = SliceState::Bad;
        let joined = join(vec![row("a", 0, 5), row("b", 0, 5), row("a", 5, 2), bad]);
        assert_eq!(joined.len(), 2);
        assert_eq!(joined[0].slices[0], slice(0, 7));
        assert_eq!(joined[0].slices[1].state, SliceState::Bad);
        assert_eq!(joined[0].status, Some(status(8)));
        assert_eq!(joined[1].slices, [slice(0, 5)]);
    }
}
