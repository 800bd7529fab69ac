//! Produce requests and answers.

#![expect(clippy::panic, reason = "that is how a fuzz target says what it found")]

use crate::protocol::produce::{
    Edit, OwnAnswer, ProduceRequest, RecordError, Replacement, Segment, VERSIONS, has_endpoints,
    read_answers, rewrite_answer, throttle_ms,
};
use crate::protocol::{LENGTH_BYTES, OwnedTopic, RequestHeader};

/// Reads `data` as a Produce message. The first byte chooses the version, and whether the rest is a
/// whole request, a request's body or an answer's body.
///
/// # Panics
/// If a message that reads well does not read alike after it was written again, or what was dropped,
/// replaced, edited or added is not found.
pub fn produce(data: &[u8]) {
    let Some((choice, data)) = data.split_first() else {
        return;
    };
    let versions = VERSIONS.end() - VERSIONS.start() + 1;
    let version = VERSIONS.start() + i16::from(*choice) % versions;
    match i16::from(*choice) / versions % 3 {
        0 => request(data),
        1 => {
            let [high, low] = version.to_be_bytes();
            // Correlation id 1, no client id.
            let mut frame = vec![0, 0, high, low, 0, 0, 0, 1, 0xff, 0xff];
            if version >= 9 {
                frame.push(0);
            }
            frame.extend_from_slice(data);
            request(&frame);
        }
        _ => {
            let mut frame = vec![0, 0, 0, 1];
            if version >= 9 {
                frame.push(0);
            }
            frame.extend_from_slice(data);
            answer(&frame, version);
        }
    }
}

fn request(frame: &[u8]) {
    let Ok(header) = RequestHeader::read(frame) else {
        return;
    };
    let Ok(request) = ProduceRequest::read(&header, frame) else {
        return;
    };
    assert_eq!(request.partitions().count(), request.len(), "counts");
    let Ok(same) = request.rewrite(vec![Replacement::Keep; request.len()]) else {
        panic!("a request that was read can be written");
    };
    assert_eq!(unframed(&joined(&same, frame)), frame, "kept whole");

    let new: &[u8] = b"records";
    let replacements = (0..request.len()).map(|n| match n % 3 {
        0 => Replacement::With(new.to_vec()),
        1 => Replacement::Drop,
        _ => Replacement::Keep,
    });
    let Ok(segments) = request.rewrite(replacements.collect()) else {
        panic!("a request that was read can be written");
    };
    let joined = joined(&segments, frame);
    let rewritten = unframed(&joined);
    let Ok(back) =
        RequestHeader::read(rewritten).and_then(|header| ProduceRequest::read(&header, rewritten))
    else {
        panic!("a request that was written can be read");
    };
    let expected = request.partitions().enumerate().filter_map(|(n, mut p)| {
        if n % 3 == 0 {
            p.records = Some(new);
        }
        (n % 3 != 1).then_some(p)
    });
    assert!(back.partitions().eq(expected), "dropped and replaced");
    assert_eq!(
        (back.transactional_id, back.acks, back.timeout_ms),
        (request.transactional_id, request.acks, request.timeout_ms),
    );
}

fn joined(segments: &[Segment], frame: &[u8]) -> Vec<u8> {
    segments
        .iter()
        .flat_map(|segment| segment.bytes(frame))
        .copied()
        .collect()
}

/// A frame without its length, which is right.
fn unframed(whole: &[u8]) -> &[u8] {
    let Some((length, frame)) = whole.split_first_chunk::<LENGTH_BYTES>() else {
        panic!("a frame begins with its length");
    };
    assert_eq!(
        usize::try_from(i32::from_be_bytes(*length)),
        Ok(frame.len()),
        "frame's length"
    );
    frame
}

/// Topic, partition, base offset.
type Seen = Vec<(OwnedTopic, i32, i64)>;

fn seen(frame: &[u8], version: i16) -> Option<Seen> {
    let mut seen = Seen::new();
    let summary = read_answers(frame, version, |p| {
        seen.push((p.topic.owned(), p.partition, p.base_offset));
    })
    .ok()?;
    assert_eq!(summary.partitions, seen.len(), "counts");
    assert_eq!(throttle_ms(frame, version), Ok(summary.throttle_ms));
    assert_eq!(has_endpoints(frame, version), Ok(summary.has_endpoints));
    Some(seen)
}

fn answer(frame: &[u8], version: i16) {
    let Some(before) = seen(frame, version) else {
        assert!(
            rewrite_answer(frame, version, &[], |_| None, |_| None).is_err(),
            "what can't be read can't be rewritten"
        );
        return;
    };
    let Ok(same) = rewrite_answer(frame, version, &[], |_| None, |_| None) else {
        panic!("an answer that was read can be written");
    };
    let same = unframed(&same);
    assert_eq!(seen(same, version).as_ref(), Some(&before), "nothing added");
    assert_eq!(has_endpoints(same, version), Ok(false), "no addresses left");
    if has_endpoints(frame, version) == Ok(false) {
        assert_eq!(same, frame, "kept whole");
    }

    let named = |n: u8| {
        if version >= 13 {
            OwnedTopic::Id([n; 16])
        } else {
            OwnedTopic::Name(format!("topic {n}").into())
        }
    };
    // One more partition for the first topic, and one of a topic of its own.
    let first = before.first().map_or_else(|| named(1), |p| p.0.clone());
    let own = [(first, 3), (named(2), 4)].map(|(topic, partition)| OwnAnswer {
        topic,
        partition,
        error_code: 87,
        base_offset: -7,
        log_append_time_ms: -1,
        log_start_offset: -1,
        record_errors: vec![RecordError {
            batch_index: 0,
            message: None,
        }],
        message: Some("refused".to_owned()),
    });
    let edit = Edit {
        base_offset: Some(-1),
        ..Edit::default()
    };
    let Ok(merged) = rewrite_answer(
        frame,
        version,
        &own,
        |_| Some(edit.clone()),
        |node| Some(("gateway".to_owned(), node)),
    ) else {
        panic!("an answer that was read can be written");
    };
    let Some(mut after) = seen(unframed(&merged), version) else {
        panic!("an answer that was written can be read");
    };
    let is_own = |topic: &OwnedTopic, partition| {
        own.iter()
            .any(|o| o.topic == *topic && o.partition == partition)
    };
    let mut expected: Seen = before
        .into_iter()
        .filter(|(topic, partition, _)| !is_own(topic, *partition))
        .map(|(topic, partition, _)| (topic, partition, -1))
        .collect();
    expected.extend(own.into_iter().map(|o| (o.topic, o.partition, -7)));
    let order = |p: &(OwnedTopic, i32, i64)| (format!("{:?}", p.0), p.1);
    expected.sort_by_key(order);
    expected.dedup();
    after.sort_by_key(order);
    after.dedup();
    assert_eq!(after, expected, "edited and merged");
}
