//! Cut short a message is an error; with any byte changed it is an error or another message, never
//! a panic.

use meshwork_wire::protocol::produce::{
    ProduceRequest, Replacement, has_endpoints, read_answers, rewrite_answer, throttle_ms,
};
use meshwork_wire::protocol::{RequestHeader, WireError};
use proptest::prelude::*;

use crate::generate::{answer, answer_frame, request, request_frame};
use crate::requests::joined;

fn read(frame: &[u8]) -> Result<ProduceRequest<'_>, WireError> {
    ProduceRequest::read(&RequestHeader::read(frame)?, frame)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn requests((version, theirs) in request(), flip in 1u8..) {
        let mut frame = request_frame(version, &theirs);
        for end in 0..frame.len() {
            prop_assert!(read(&frame[..end]).is_err(), "cut at {end}");
        }
        frame.push(0);
        prop_assert_eq!(read(&frame).err(), Some(WireError::Trailing { left: 1 }));
        frame.pop();
        for at in 0..frame.len() {
            frame[at] ^= flip;
            if let Ok(changed) = read(&frame) {
                prop_assert_eq!(changed.partitions().count(), changed.len());
                let same = changed.rewrite(vec![Replacement::Keep; changed.len()]).unwrap();
                prop_assert_eq!(joined(&same, &frame), &frame[..]);
                changed.rewrite(vec![Replacement::Drop; changed.len()]).unwrap();
            }
            frame[at] ^= flip;
        }
    }

    #[test]
    fn answers((version, theirs) in answer(), flip in 1u8..) {
        let mut frame = answer_frame(version, &theirs);
        let rewrite = |frame: &[u8]| {
            rewrite_answer(frame, version, &[], |_| None, |_| Some(("h".to_owned(), 1)))
        };
        for end in 0..frame.len() {
            prop_assert!(read_answers(&frame[..end], version, |_| {}).is_err(), "cut at {end}");
            prop_assert!(rewrite(&frame[..end]).is_err());
        }
        for at in 0..frame.len() {
            frame[at] ^= flip;
            let read = read_answers(&frame, version, |_| {});
            prop_assert_eq!(rewrite(&frame).is_ok(), read.is_ok());
            prop_assert_eq!(throttle_ms(&frame, version), read.map(|r| r.throttle_ms));
            if version >= 10 {
                prop_assert_eq!(has_endpoints(&frame, version), read.map(|r| r.has_endpoints));
            }
            frame[at] ^= flip;
        }
    }
}
