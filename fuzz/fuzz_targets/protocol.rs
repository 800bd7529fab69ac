//! Any bytes as a message of Kafka's protocol. The body is in the crate, where plain tests replay the
//! corpus.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| meshwork_wire::fuzzing::protocol(data));
