//! `/config`, `/mode` and `/contexts`.

use super::super::operation::{Operation, Query, Shape};
use super::super::{config, contexts, mode};
use super::{DEFAULT_TO_GLOBAL, LIMIT, OFFSET};
use crate::refusal::Code;

const NO_SUBJECT: Code = Code::SubjectNotFound;

const FORCE: Query = Query::flag(
    "force",
    "IMPORT also where live versions are, and without forgetting soft-deleted ones.",
);
const RECURSIVE: Query = Query::flag("recursive", "Of a context: with those of all its subjects.");

pub(super) fn all() -> Vec<Operation> {
    vec![
        Operation::get("/config", config::get_default)
            .title("Settings of the default context.")
            .query([DEFAULT_TO_GLOBAL])
            .answers(Shape::One("Config")),
        Operation::put("/config", config::put_default)
            .title("Change settings of the default context.")
            .details("What is absent stays, what is null is cleared.")
            .body("ConfigChange")
            .answers(Shape::One("ConfigChange"))
            .refuses(&[Code::InvalidLevel, Code::NotPermitted, Code::InvalidRuleSet]),
        Operation::delete("/config", config::delete_default)
            .title("Back to the defaults.")
            .details("The answer is what was set.")
            .answers(Shape::One("Config"))
            .refuses(&[Code::NotPermitted]),
        Operation::get("/config/{subject}", config::get)
            .title("Settings of a subject, or of a context: `:.ctx:`.")
            .query([DEFAULT_TO_GLOBAL])
            .answers(Shape::One("Config"))
            .refuses(&[Code::NoSubjectLevel]),
        Operation::put("/config/{subject}", config::put)
            .title("Change settings of a subject or a context.")
            .details("What is absent stays, what is null is cleared.")
            .body("ConfigChange")
            .answers(Shape::One("ConfigChange"))
            .refuses(&[
                Code::InvalidLevel,
                Code::NotPermitted,
                Code::InvalidSubject,
                Code::InvalidRuleSet,
            ]),
        Operation::delete("/config/{subject}", config::delete)
            .title("Remove settings of a subject or a context.")
            .details("The answer is what was set.")
            .answers(Shape::One("Config"))
            .refuses(&[NO_SUBJECT, Code::NotPermitted]),
        Operation::get("/mode", mode::get_default)
            .title("Mode of the default context.")
            .query([DEFAULT_TO_GLOBAL])
            .answers(Shape::One("Mode")),
        Operation::put("/mode", mode::put_default)
            .title("Set the mode of the default context, or with null remove it.")
            .query([FORCE])
            .body("ModeChange")
            .answers(Shape::One("ModeChange"))
            .refuses(&[Code::InvalidMode, Code::NotPermitted, Code::Referenced]),
        Operation::delete("/mode", mode::delete_default)
            .title("Back to READWRITE.")
            .details("The answer is what was set.")
            .query([RECURSIVE])
            .answers(Shape::One("Mode")),
        Operation::get("/mode/{subject}", mode::get)
            .title("Mode of a subject, or of a context: `:.ctx:`.")
            .query([DEFAULT_TO_GLOBAL])
            .answers(Shape::One("Mode"))
            .refuses(&[Code::NoSubjectMode]),
        Operation::put("/mode/{subject}", mode::put)
            .title("Set the mode of a subject or a context, or with null remove it.")
            .query([FORCE])
            .body("ModeChange")
            .answers(Shape::One("ModeChange"))
            .refuses(&[
                Code::InvalidMode,
                Code::NotPermitted,
                Code::Referenced,
                Code::InvalidSubject,
            ]),
        Operation::delete("/mode/{subject}", mode::delete)
            .title("Remove the mode of a subject or a context.")
            .details("The answer is what was set.")
            .query([RECURSIVE])
            .answers(Shape::One("Mode"))
            .refuses(&[NO_SUBJECT]),
        Operation::get("/contexts", contexts::list)
            .title("Names of contexts, the default one `.` first.")
            .query([
                Query::text("contextPrefix", "Only contexts that start so."),
                OFFSET,
                LIMIT,
            ])
            .answers(Shape::ListOf("Context")),
        Operation::delete("/contexts/{context}", contexts::delete)
            .title("Delete a context without subjects.")
            .details("Dot and colons may be left out. One that is not there is deleted already.")
            .refuses(&[Code::ContextNotEmpty]),
    ]
}
