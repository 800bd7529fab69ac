//! `/schemas…`.

use super::super::operation::{Operation, Query, Shape};
use super::super::{ids, schemas};
use super::{
    DELETED, FIND_TAGS, FORMAT, LIMIT, OF_SUBJECT, OFFSET, REFERENCE_FORMAT, SUBJECT_PREFIX,
};
use crate::refusal::Code;

const NO_SCHEMA: Code = Code::SchemaNotFound;

/// Does an id belong to a subject? One call, with the same meaning in other registries.
const HOLDERS: &str = "All of the context where the id is found, which `subject` only helps to \
    find: it holds the id if it is among them. An id never stands for anything else, so that one \
    that belongs to a subject may be remembered; one that does not may do so soon.";

pub(super) fn all() -> Vec<Operation> {
    vec![
        Operation::get("/schemas", schemas::list)
            .title("Versions of subjects.")
            .details(
                "Those of the default context, unless `subjectPrefix` names another; at most \
                 1,000.",
            )
            .query([
                SUBJECT_PREFIX,
                DELETED,
                Query::flag("latestOnly", "Of each subject the greatest version only."),
                Query::text("ruleType", "Only versions with rules of this type."),
                Query::flag(
                    "aliases",
                    "With the names that lead to a subject, and with subjects that only such a \
                     name of the prefix leads to.",
                ),
                OFFSET,
                LIMIT,
            ])
            .answers(Shape::ListOf("Version")),
        Operation::get("/schemas/types", schemas::types)
            .title("Kinds of schemas that may be registered.")
            .answers(Shape::ListOf("SchemaType")),
        Operation::get("/schemas/ids/{id}", ids::by_id)
            .title("The schema that an id stands for.")
            .details(
                "Also where only soft-deleted versions hold it. A `subject` of the default \
                 context that does not hold it is no error; `subject` and `version` are answered \
                 only where it was sent.",
            )
            .query([
                OF_SUBJECT,
                FORMAT,
                REFERENCE_FORMAT,
                FIND_TAGS,
                Query::flag(
                    "includeSubjects",
                    "Tell in `subjects` who holds the id, at most 1,000. Karapace's.",
                ),
                Query::flag(
                    "fetchMaxId",
                    "Tell the greatest id of the context in `maxId`.",
                ),
            ])
            .answers(Shape::One("SchemaById"))
            .refuses(&[NO_SCHEMA]),
        Operation::get("/schemas/ids/{id}/schema", ids::text_by_id)
            .title("The text of a schema, as it is.")
            .query([OF_SUBJECT, FORMAT])
            .answers(Shape::One("SchemaText"))
            .refuses(&[NO_SCHEMA]),
        Operation::get("/schemas/ids/{id}/subjects", ids::subjects_of_id)
            .title("Subjects that hold an id.")
            .details(HOLDERS)
            .query([OF_SUBJECT, DELETED, OFFSET, LIMIT])
            .answers(Shape::ListOf("Subject"))
            .refuses(&[NO_SCHEMA]),
        Operation::get("/schemas/ids/{id}/versions", ids::versions_of_id)
            .title("Versions that hold an id.")
            .details(HOLDERS)
            .query([OF_SUBJECT, DELETED, OFFSET, LIMIT])
            .answers(Shape::ListOf("Place"))
            .refuses(&[NO_SCHEMA]),
        Operation::get("/schemas/guids/{guid}", ids::by_guid)
            .title("The schema that a GUID stands for.")
            .query([FORMAT])
            .answers(Shape::One("SchemaById"))
            .refuses(&[NO_SCHEMA]),
        Operation::get("/schemas/guids/{guid}/ids", ids::ids_of_guid)
            .title("The ids of a GUID, one for each context that has the schema.")
            .answers(Shape::ListOf("ContextId")),
    ]
}
