//! Any bytes as a Produce request or answer. The body is in the crate, where plain tests replay the
//! corpus.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| meshwork_wire::fuzzing::produce(data));
