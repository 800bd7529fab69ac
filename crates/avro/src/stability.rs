//! What must hold for every text, whoever wrote it: an entry for fuzzers and property tests.

use crate::parse::ParseOptions;
use crate::schema::{Schema, Strictness};

/// Reads `text` in both ways and checks that every text made from what was read is a schema
/// text again, and stays the same from then on.
///
/// Java's own text of a schema can be one that Java refuses: where a forward reference moves a
/// definition, a name may find another type or a default an unfinished one. Such a text is no
/// failure here.
///
/// # Errors
/// What does not hold.
#[doc(hidden)]
pub fn check_stability(text: &str) -> Result<(), String> {
    for strictness in [Strictness::Strict, Strictness::Stored] {
        let options = ParseOptions {
            strictness,
            ..ParseOptions::default()
        };
        let Ok(schema) = Schema::parse_with(text, &options) else {
            continue;
        };
        if schema.nodes().get(schema.root().index()).is_none() {
            return Err("the root is no node".to_owned());
        }
        let stored = schema.to_text();
        let (normal, canonical) = (schema.normal_form(), schema.canonical_form());
        for made in [&stored, &normal] {
            if let Ok(again) = Schema::parse_with(made, &options)
                && again.to_text() != *made
            {
                return Err(format!("{made} is stored as {}", again.to_text()));
            }
        }
        if schema.resolved_text() != stored {
            return Err(format!(
                "without references {stored} resolves to another text"
            ));
        }
        if strictness == Strictness::Strict
            && let Ok(again) = Schema::parse_with(&canonical, &options)
            && again.canonical_form() != canonical
        {
            return Err(format!("{canonical} has another canonical form"));
        }
        let interchange = schema.interchange_text();
        if let Err(error) = Schema::parse(&interchange) {
            return Err(format!("interchange text {interchange}: {error}"));
        }
    }
    Ok(())
}
