//! Binary forms of what changes often. Numbers are big-endian; an optional one is a byte 0 or 1 and the
//! number; a list is a u32 and its members.

use meshwork_model::mesh::observation::OffsetRange;
use meshwork_model::mesh::slice::SliceState;
use meshwork_model::slo::Severity;

use crate::core::alert::{Alert, Firing};
use crate::core::coverage::Coverage;
use crate::core::judge::Judged;
use crate::core::partition::{Partition, Poll, Seen};
use crate::core::sources::Heard;
use crate::core::track::Track;

fn put_i64(out: &mut Vec<u8>, n: i64) {
    out.extend_from_slice(&n.to_be_bytes());
}

fn put_option(out: &mut Vec<u8>, n: Option<i64>) {
    out.push(u8::from(n.is_some()));
    if let Some(n) = n {
        put_i64(out, n);
    }
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_be_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_len(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.bytes(1)?.first().copied()
    }

    fn i64(&mut self) -> Option<i64> {
        self.bytes(8)?.try_into().ok().map(i64::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.bytes(8)?.try_into().ok().map(u64::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.bytes(4)?.try_into().ok().map(u32::from_be_bytes)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn option(&mut self) -> Option<Option<i64>> {
        if self.flag()? {
            self.i64().map(Some)
        } else {
            Some(None)
        }
    }

    fn text(&mut self) -> Option<String> {
        let len = usize::try_from(self.u32()?).ok()?;
        let bytes = self.bytes(len)?;
        std::str::from_utf8(bytes).ok().map(str::to_owned)
    }

    /// A list whose members have at least `least` bytes, so that a garbled length allocates nothing.
    fn list<T>(
        &mut self,
        least: usize,
        mut read: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let len = usize::try_from(self.u32()?).ok()?;
        if len.checked_mul(least)? > self.0.len() {
            return None;
        }
        (0..len).map(|_| read(self)).collect()
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

pub(super) fn write_partition(out: &mut Vec<u8>, p: &Partition) {
    out.push(u8::from(p.topic_id.is_some()));
    if let Some(id) = &p.topic_id {
        put_text(out, id);
    }
    put_len(out, p.coverage.ranges().len());
    for range in p.coverage.ranges() {
        put_i64(out, range.from);
        put_i64(out, range.until);
    }
    put_option(out, p.watermark);
    put_option(out, p.maybe);
    put_option(out, p.known_until);
    put_len(out, usize::from(p.latest.is_some()));
    if let Some(poll) = &p.latest {
        put_i64(out, poll.end);
        put_i64(out, poll.at);
    }
    put_len(out, p.polls.len());
    for poll in &p.polls {
        put_i64(out, poll.end);
        put_i64(out, poll.at);
    }
    put_len(out, p.open.len());
    for (minute, seen) in &p.open {
        put_i64(out, *minute);
        put_option(out, seen.greatest);
        put_option(out, seen.maybe);
        out.push(u8::from(seen.delays));
        put_option(out, seen.delay_most);
        put_option(out, seen.delay_sure);
    }
}

pub(super) fn read_partition(value: &[u8]) -> Option<Partition> {
    let r = &mut Reader(value);
    let topic_id = if r.flag()? { Some(r.text()?) } else { None };
    let ranges = r.list(16, |r| {
        Some(OffsetRange {
            from: r.i64()?,
            until: r.i64()?,
        })
    })?;
    let mut coverage = Coverage::default();
    for range in ranges {
        coverage.add(range);
    }
    let poll = |r: &mut Reader<'_>| {
        Some(Poll {
            end: r.i64()?,
            at: r.i64()?,
        })
    };
    let read = Partition {
        topic_id,
        coverage,
        watermark: r.option()?,
        maybe: r.option()?,
        known_until: r.option()?,
        latest: r.list(16, poll)?.first().copied(),
        polls: r.list(16, poll)?,
        open: r
            .list(13, |r| {
                let minute = r.i64()?;
                let seen = Seen {
                    greatest: r.option()?,
                    maybe: r.option()?,
                    delays: r.flag()?,
                    delay_most: r.option()?,
                    delay_sure: r.option()?,
                };
                Some((minute, seen))
            })?
            .into(),
    };
    r.end()?;
    Some(read)
}

pub(super) fn write_track(out: &mut Vec<u8>, t: &Track) {
    for minute in [t.first, t.next, t.last_bad, t.last_unmeasurable] {
        put_i64(out, minute);
    }
    put_len(out, usize::from(t.last.is_some()));
    if let Some(judged) = &t.last {
        out.push(state_code(judged.state));
        put_option(out, judged.lag_ms);
    }
    put_len(out, t.alerts.len());
    for alert in &t.alerts {
        out.push(u8::from(alert.severity == Severity::Ticket));
        put_len(out, usize::from(alert.firing.is_some()));
        if let Some(firing) = &alert.firing {
            put_i64(out, firing.fired_at);
            put_text(out, &firing.rule);
            put_i64(out, i64::from(firing.false_minutes));
            out.push(u8::from(firing.frozen));
        }
    }
}

pub(super) fn read_track(value: &[u8], t: &mut Track) -> Option<()> {
    let r = &mut Reader(value);
    t.first = r.i64()?;
    t.next = r.i64()?;
    t.last_bad = r.i64()?;
    t.last_unmeasurable = r.i64()?;
    let last = r.list(2, |r| {
        Some(Judged {
            state: state_of(r.byte()?)?,
            lag_ms: r.option()?,
        })
    })?;
    t.last = last.first().copied();
    t.alerts = r.list(5, |r| {
        let severity = if r.flag()? {
            Severity::Ticket
        } else {
            Severity::Page
        };
        let firing = r.list(21, |r| {
            Some(Firing {
                fired_at: r.i64()?,
                rule: r.text()?,
                false_minutes: u32::try_from(r.i64()?).ok()?,
                frozen: r.flag()?,
            })
        })?;
        Some(Alert {
            severity,
            firing: firing.into_iter().next(),
        })
    })?;
    r.end()
}

const fn state_code(state: SliceState) -> u8 {
    match state {
        SliceState::ExpectedQuiet => 0,
        SliceState::Good => 1,
        SliceState::Bad => 2,
        SliceState::Unmeasurable => 3,
    }
}

const fn state_of(code: u8) -> Option<SliceState> {
    match code {
        0 => Some(SliceState::ExpectedQuiet),
        1 => Some(SliceState::Good),
        2 => Some(SliceState::Bad),
        3 => Some(SliceState::Unmeasurable),
        _ => None,
    }
}

pub(super) fn write_heard(out: &mut Vec<u8>, h: &Heard) {
    put_i64(out, h.greatest);
    out.extend_from_slice(&h.order.to_be_bytes());
    for word in h.bits {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

pub(super) fn read_heard(value: &[u8]) -> Option<Heard> {
    let r = &mut Reader(value);
    let greatest = r.i64()?;
    let order = r.u64()?;
    let mut bits = [0; 8];
    for word in &mut bits {
        *word = r.u64()?;
    }
    r.end()?;
    Some(Heard {
        greatest,
        bits,
        order,
        dirty: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frozen form of the first stored format: never to change without a new format number.
    #[test]
    fn a_partition_is_stored_as_ever() {
        let mut partition = Partition {
            topic_id: Some("id".into()),
            watermark: Some(5),
            known_until: Some(9),
            latest: Some(Poll { end: 4, at: 9 }),
            polls: vec![Poll { end: 7, at: 10 }],
            ..Partition::default()
        };
        partition.coverage.add(OffsetRange { from: 0, until: 4 });
        let seen = Seen {
            greatest: Some(6),
            delays: true,
            delay_most: Some(1),
            delay_sure: Some(1),
            ..Seen::default()
        };
        partition.open.push_back((3, seen));
        let mut bytes = Vec::new();
        write_partition(&mut bytes, &partition);
        let n = |n: i64| n.to_be_bytes().to_vec();
        let some = |v: i64| [vec![1], n(v)].concat();
        let len = |n: u32| n.to_be_bytes().to_vec();
        let expected = [
            [vec![1], len(2), b"id".to_vec()].concat(),
            [len(1), n(0), n(4)].concat(),
            some(5),
            vec![0],
            some(9),
            [len(1), n(4), n(9)].concat(),
            [len(1), n(7), n(10)].concat(),
            [len(1), n(3), some(6), vec![0, 1], some(1), some(1)].concat(),
        ]
        .concat();
        assert_eq!(bytes, expected);
        assert_eq!(read_partition(&bytes), Some(partition));
        // No prefix and nothing longer passes for one.
        for end in 0..bytes.len() {
            assert_eq!(read_partition(&bytes[..end]), None, "{end}");
        }
        bytes.push(0);
        assert_eq!(read_partition(&bytes), None);
        // A garbled length allocates nothing.
        assert_eq!(read_partition(&[0, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
