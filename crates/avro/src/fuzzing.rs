//! Bodies of fuzz targets, here so that plain tests can replay what the fuzzer found.

use crate::compatibility::incompatibilities;
use crate::diff::diff;
use crate::schema::Schema;
use crate::stability::check_stability;
use crate::validator::Validator;

/// Reads `data` as a schema's text.
///
/// # Panics
/// If a text that was printed from a schema does not read as that schema, or a
/// schema differs from itself or is not compatible with itself.
pub fn schema(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let stable = check_stability(text);
    assert!(stable.is_ok(), "{stable:?} of {text}");
    if let Ok(schema) = Schema::parse(text) {
        let differs = diff(&schema, &schema).changes;
        assert!(differs.is_empty(), "from itself: {differs:?} of {text}");
    }
    // An alias may make one field match two, in Java too.
    let aliases = text.contains("aliases");
    if let (false, Ok(schema)) = (aliases, Schema::parse(text)) {
        let found = incompatibilities(&schema, &schema);
        assert!(found.is_empty(), "with itself: {found:?} of {text}");
    }
}

/// Reads `data` as a schema's text, a zero byte and a datum; gives back schema and datum
/// if the datum decodes exactly.
///
/// # Panics
/// If the quick and the exact walk do not agree.
#[must_use]
pub fn datum(data: &[u8]) -> Option<(Schema, &[u8])> {
    let zero = data.iter().position(|byte| *byte == 0)?;
    let (text, datum) = data.split_at_checked(zero)?;
    let datum = datum.get(1..)?;
    let schema = Schema::parse(std::str::from_utf8(text).ok()?).ok()?;
    let validator = Validator::compile(&schema, None).ok()?;
    let verdict = validator.validate(datum);
    assert_eq!(
        verdict,
        validator.explain(datum),
        "quick and exact walk, {datum:x?}"
    );
    verdict.ok().map(|_| (schema, datum))
}
