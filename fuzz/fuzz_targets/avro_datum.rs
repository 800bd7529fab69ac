//! Any bytes under any schema. The body is in the crate, where plain tests replay the
//! corpus; what is valid must decode in apache-avro too.
#![no_main]

#[path = "../../crates/avro/tests/support/apache.rs"]
mod apache;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some((schema, datum)) = meshwork_avro::fuzzing::datum(data) {
        apache::decodes(&schema, datum);
    }
});
