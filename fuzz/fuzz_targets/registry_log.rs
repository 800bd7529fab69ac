//! Any bytes as the registry's log. The body is in the registry, where plain tests replay the corpus;
//! only its pure modules are built here.
#![no_main]
#![allow(
    dead_code,
    unused_imports,
    reason = "modules of the registry, of which a part is used"
)]

#[path = "../../services/registry/src/pure.rs"]
mod pure;

use pure::{content, fuzzing, recent, record, state, subject};

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzzing::log(data));
