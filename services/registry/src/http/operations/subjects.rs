//! `/subjects…` and `/compatibility…`.

use super::super::operation::{Operation, Query, Shape};
use super::super::{compatibility, subjects, versions};
use super::{
    DELETED, DELETED_ONLY, FIND_TAGS, FORMAT, LIMIT, NORMALIZE, OFFSET, PERMANENT,
    REFERENCE_FORMAT, SUBJECT_PREFIX,
};
use crate::refusal::Code;

const NO_SUBJECT: Code = Code::SubjectNotFound;
const NO_VERSION: Code = Code::VersionNotFound;
const NO_SCHEMA: Code = Code::SchemaNotFound;

pub(super) fn all() -> Vec<Operation> {
    let mut all = of_subjects();
    all.extend(of_versions());
    all.extend(verdicts());
    all
}

fn of_subjects() -> Vec<Operation> {
    vec![
        Operation::get("/subjects", subjects::list)
            .title("Names of subjects, of all contexts unless `subjectPrefix` says otherwise.")
            .query([SUBJECT_PREFIX, DELETED, DELETED_ONLY, OFFSET, LIMIT])
            .answers(Shape::ListOf("Subject")),
        Operation::post("/subjects/{subject}", subjects::look_up)
            .title("The version that holds a schema.")
            .query([NORMALIZE, FORMAT, DELETED])
            .body("Draft")
            .answers(Shape::One("Version"))
            .refuses(&[NO_SUBJECT, NO_SCHEMA, Code::InvalidSchema]),
        Operation::delete("/subjects/{subject}", subjects::delete)
            .title("Delete all versions.")
            .details("The answer is the list of deleted ones.")
            .query([PERMANENT])
            .answers(Shape::ListOf("VersionNumber"))
            .refuses(&[
                NO_SUBJECT,
                Code::SubjectSoftDeleted,
                Code::SubjectNotSoftDeleted,
                Code::NotPermitted,
                Code::Referenced,
            ]),
        Operation::get("/subjects/{subject}/metadata", subjects::by_metadata)
            .title("The newest version whose metadata has these properties.")
            .details("Given as `key=…&value=…`, repeatedly.")
            .query([
                Query::texts("key", "Name of a property."),
                Query::texts(
                    "value",
                    "Its value; the first one belongs to the first `key`.",
                ),
                FORMAT,
                DELETED,
            ])
            .answers(Shape::One("Version"))
            .refuses(&[NO_SUBJECT, NO_SCHEMA]),
    ]
}

fn of_versions() -> Vec<Operation> {
    vec![
        Operation::get("/subjects/{subject}/versions", versions::list)
            .title("Numbers of versions.")
            .query([
                DELETED,
                DELETED_ONLY,
                Query::flag(
                    "deletedAsNegative",
                    "Soft-deleted ones too, as negative numbers.",
                ),
                OFFSET,
                LIMIT,
            ])
            .answers(Shape::ListOf("VersionNumber"))
            .refuses(&[NO_SUBJECT]),
        Operation::post("/subjects/{subject}/versions", versions::register)
            .title("Register a schema.")
            .details("What is there already answers with its id, also in mode READONLY.")
            .query([
                NORMALIZE,
                FORMAT,
                Query::flag("force", "Whatever the compatibility level says."),
            ])
            .body("Draft")
            .answers(Shape::One("Registration"))
            .refuses(&[
                Code::Incompatible,
                Code::InvalidSchema,
                Code::InvalidVersion,
                Code::NotPermitted,
                Code::InvalidSubject,
                Code::SchemaTooLarge,
                Code::InvalidRuleSet,
            ]),
        Operation::get("/subjects/{subject}/versions/{version}", versions::get)
            .title("One version.")
            .details(
                "One of a subject of the default context that is not there is looked for in the \
                 other contexts.",
            )
            .query([FORMAT, REFERENCE_FORMAT, FIND_TAGS, DELETED])
            .answers(Shape::One("Version"))
            .refuses(&[NO_SUBJECT, NO_VERSION, Code::InvalidVersion]),
        Operation::delete("/subjects/{subject}/versions/{version}", versions::delete)
            .title("Delete one version.")
            .details("The answer is its number.")
            .query([PERMANENT])
            .answers(Shape::One("VersionNumber"))
            .refuses(&[
                NO_SUBJECT,
                NO_VERSION,
                Code::VersionSoftDeleted,
                Code::VersionNotSoftDeleted,
                Code::InvalidVersion,
                Code::NotPermitted,
                Code::Referenced,
            ]),
        Operation::get(
            "/subjects/{subject}/versions/{version}/schema",
            versions::text,
        )
        .title("The text of one version, as it is.")
        .query([FORMAT, DELETED])
        .answers(Shape::One("SchemaText"))
        .refuses(&[NO_SUBJECT, NO_VERSION, Code::InvalidVersion]),
        Operation::get(
            "/subjects/{subject}/versions/{version}/referencedby",
            versions::referenced_by,
        )
        .title("Ids of the schemas that refer to a version.")
        .query([DELETED, OFFSET, LIMIT])
        .answers(Shape::ListOf("SchemaId"))
        .refuses(&[NO_SUBJECT, NO_VERSION, Code::InvalidVersion]),
        Operation::post(
            "/subjects/{subject}/versions/{version}/tags",
            versions::retag,
        )
        .title("Change inline tags, metadata and rules of a version.")
        .details(
            "What comes of it is registered as the next version, whose number its metadata tell.",
        )
        .body("Retag")
        .answers(Shape::One("Registration"))
        .refuses(&[
            NO_SUBJECT,
            NO_VERSION,
            Code::Incompatible,
            Code::InvalidSchema,
            Code::InvalidVersion,
            Code::NotPermitted,
            Code::InvalidSubject,
            Code::SchemaTooLarge,
            Code::InvalidRuleSet,
        ]),
    ]
}

fn verdicts() -> Vec<Operation> {
    const VERBOSE: Query = Query::flag(
        "verbose",
        "Give every reason. A schema that does not parse is then incompatible rather than refused.",
    );
    vec![
        Operation::post(
            "/compatibility/subjects/{subject}/versions",
            compatibility::with_all,
        )
        .title("Would this schema be compatible?")
        .details("Compared as its registration would be.")
        .query([NORMALIZE, VERBOSE])
        .body("Draft")
        .answers(Shape::One("Verdict"))
        .refuses(&[Code::InvalidSchema]),
        Operation::post(
            "/compatibility/subjects/{subject}/versions/{version}",
            compatibility::with_one,
        )
        .title("Is this schema compatible with one version?")
        .details("Under the subject's level; `latest` of an unknown subject takes anything.")
        .query([NORMALIZE, VERBOSE])
        .body("Draft")
        .answers(Shape::One("Verdict"))
        .refuses(&[NO_VERSION, Code::InvalidSchema, Code::InvalidVersion]),
    ]
}
