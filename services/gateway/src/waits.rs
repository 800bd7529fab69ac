//! (to be replaced)
use meshwork_wire::protocol::{ApiKey, RequestHeader};
pub(crate) fn max_wait_ms(_: &RequestHeader<'_>, _: &[u8]) -> Option<i32> {
    Some(300_000)
}
pub(crate) fn throttle_ms(_: ApiKey, _: i16, _: &[u8]) -> i32 {
    0
}
