//! The table of endpoints.

use super::operation::{Operation, Query, Shape};
use super::{compatibility, openapi, schemas, settings, subjects};
use crate::refusal::Code;

const DELETED: Query = Query::flag("deleted", "Soft-deleted ones too.");
const DELETED_ONLY: Query = Query::flag("deletedOnly", "Soft-deleted ones only.");
const OFFSET: Query = Query::number("offset", "How many to skip. Default 0.");
const LIMIT: Query = Query::number(
    "limit",
    "At most so many; the default and the greatest are those of the list.",
);
const NORMALIZE: Query = Query::flag(
    "normalize",
    "Bring the schema into normal form first. Settings of the subject may ask for it too.",
);
const FORMAT: Query = Query::text(
    "format",
    "`resolved`: the text with the types that it refers to written out. Others are ignored.",
);
const OF_SUBJECT: Query = Query::text(
    "subject",
    "Look in the context of this subject, and in this subject first.",
);
const PERMANENT: Query = Query::flag(
    "permanent",
    "For good, which needs a soft delete first. Otherwise only hidden.",
);
const DEFAULT_TO_GLOBAL: Query = Query::flag(
    "defaultToGlobal",
    "What holds for the subject, wherever it is set.",
);
const SUBJECT_PREFIX: Query = Query::text(
    "subjectPrefix",
    "Only subjects that start so. `:.ctx:` in front: in that context; `:*:`: in any.",
);

const NO_SUBJECT: Code = Code::SubjectNotFound;
const NO_VERSION: Code = Code::VersionNotFound;
const NO_SCHEMA: Code = Code::SchemaNotFound;

/// All endpoints, by topic. Methods of one path stand together.
pub(super) fn all() -> Vec<Operation> {
    let mut all = by_id();
    all.extend(of_subjects());
    all.extend(of_versions());
    all.extend(verdicts());
    all.extend(of_settings());
    all.extend(of_server());
    all
}

fn by_id() -> Vec<Operation> {
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
                OFFSET,
                LIMIT,
            ])
            .answers(Shape::ListOf("Version")),
        Operation::get("/schemas/types", schemas::types)
            .title("Kinds of schemas that may be registered.")
            .answers(Shape::ListOf("SchemaType")),
        Operation::get("/schemas/ids/{id}", schemas::by_id)
            .title("The schema that an id stands for.")
            .details(
                "Also where only soft-deleted versions hold it. A `subject` of the default \
                 context that does not hold it is no error; `subject` and `version` are answered \
                 only where it was sent.",
            )
            .query([
                OF_SUBJECT,
                FORMAT,
                Query::flag(
                    "fetchMaxId",
                    "Tell the greatest id of the context in `maxId`.",
                ),
            ])
            .answers(Shape::One("SchemaById"))
            .refuses(&[NO_SCHEMA]),
        Operation::get("/schemas/ids/{id}/schema", schemas::text_by_id)
            .title("The text of a schema, as it is.")
            .query([OF_SUBJECT, FORMAT])
            .answers(Shape::One("SchemaText"))
            .refuses(&[NO_SCHEMA]),
        Operation::get("/schemas/ids/{id}/subjects", schemas::subjects_of_id)
            .title("Subjects that hold an id.")
            .query([OF_SUBJECT, DELETED, OFFSET, LIMIT])
            .answers(Shape::ListOf("Subject"))
            .refuses(&[NO_SCHEMA]),
        Operation::get("/schemas/ids/{id}/versions", schemas::versions_of_id)
            .title("Versions that hold an id.")
            .query([OF_SUBJECT, DELETED, OFFSET, LIMIT])
            .answers(Shape::ListOf("Place"))
            .refuses(&[NO_SCHEMA]),
        Operation::get("/schemas/guids/{guid}", schemas::by_guid)
            .title("The schema that a GUID stands for.")
            .query([FORMAT])
            .answers(Shape::One("SchemaById"))
            .refuses(&[NO_SCHEMA]),
        Operation::get("/schemas/guids/{guid}/ids", schemas::ids_of_guid)
            .title("The ids of a GUID, one for each context that has the schema.")
            .answers(Shape::ListOf("ContextId")),
    ]
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
        Operation::get("/subjects/{subject}/versions", subjects::versions)
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
        Operation::post("/subjects/{subject}/versions", subjects::register)
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
                Code::NotPermitted,
                Code::InvalidSubject,
                Code::SchemaTooLarge,
            ]),
        Operation::get("/subjects/{subject}/versions/{version}", subjects::version)
            .title("One version.")
            .details(
                "One of a subject of the default context that is not there is looked for in the \
                 other contexts.",
            )
            .query([FORMAT, DELETED])
            .answers(Shape::One("Version"))
            .refuses(&[NO_SUBJECT, NO_VERSION, Code::InvalidVersion]),
        Operation::delete(
            "/subjects/{subject}/versions/{version}",
            subjects::delete_version,
        )
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
            subjects::version_text,
        )
        .title("The text of one version, as it is.")
        .query([FORMAT, DELETED])
        .answers(Shape::One("SchemaText"))
        .refuses(&[NO_SUBJECT, NO_VERSION, Code::InvalidVersion]),
        Operation::get(
            "/subjects/{subject}/versions/{version}/referencedby",
            subjects::referenced_by,
        )
        .title("Ids of the schemas that refer to a version.")
        .query([DELETED, OFFSET, LIMIT])
        .answers(Shape::ListOf("SchemaId"))
        .refuses(&[NO_SUBJECT, NO_VERSION, Code::InvalidVersion]),
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

fn of_settings() -> Vec<Operation> {
    vec![
        Operation::get("/config", settings::global)
            .title("Settings of the default context.")
            .answers(Shape::One("Config")),
        Operation::put("/config", settings::put_global)
            .title("Change settings of the default context.")
            .details("What is absent stays, what is null is cleared.")
            .body("ConfigChange")
            .answers(Shape::One("ConfigChange"))
            .refuses(&[Code::InvalidLevel, Code::NotPermitted]),
        Operation::delete("/config", settings::delete_global)
            .title("Back to the defaults.")
            .details("The answer is what was set.")
            .answers(Shape::One("Config"))
            .refuses(&[Code::NotPermitted]),
        Operation::get("/config/{subject}", settings::of_subject)
            .title("Settings of a subject, or of a context: `:.ctx:`.")
            .query([DEFAULT_TO_GLOBAL])
            .answers(Shape::One("Config"))
            .refuses(&[Code::NoSubjectLevel]),
        Operation::put("/config/{subject}", settings::put_subject)
            .title("Change settings of a subject or a context.")
            .details("What is absent stays, what is null is cleared.")
            .body("ConfigChange")
            .answers(Shape::One("ConfigChange"))
            .refuses(&[Code::InvalidLevel, Code::NotPermitted, Code::InvalidSubject]),
        Operation::delete("/config/{subject}", settings::delete_subject)
            .title("Remove settings of a subject or a context.")
            .details("The answer is what was set.")
            .answers(Shape::One("Config"))
            .refuses(&[NO_SUBJECT, Code::NotPermitted]),
        Operation::get("/mode", settings::global_mode)
            .title("Mode of the default context.")
            .answers(Shape::One("Mode")),
        Operation::get("/mode/{subject}", settings::mode)
            .title("Mode of a subject, or of a context: `:.ctx:`.")
            .query([DEFAULT_TO_GLOBAL])
            .answers(Shape::One("Mode"))
            .refuses(&[Code::NoSubjectMode]),
        Operation::get("/contexts", settings::contexts)
            .title("Names of contexts, the default one `.` first.")
            .query([
                Query::text("contextPrefix", "Only contexts that start so."),
                OFFSET,
                LIMIT,
            ])
            .answers(Shape::ListOf("Context")),
    ]
}

fn of_server() -> Vec<Operation> {
    vec![
        Operation::get("/", settings::root)
            .title("Is anybody there?")
            .answers(Shape::One("Empty")),
        Operation::post("/", settings::root)
            .title("Is anybody there?")
            .details("For clients that can only send.")
            .answers(Shape::One("Empty")),
        Operation::get("/v1/metadata/id", settings::cluster_id)
            .title("Which Kafka cluster and which registry this is.")
            .answers(Shape::One("ServerId")),
        Operation::get("/v1/metadata/version", settings::server_version)
            .title("Which version of the server this is.")
            .answers(Shape::One("ServerVersion")),
        Operation::get("/v1/metadata/deployment", settings::deployment)
            .title("Marks of the deployment: none.")
            .answers(Shape::One("Deployment")),
        Operation::get(
            "/associations/resources/{namespace}/{name}",
            settings::associations,
        )
        .title("Associations of a resource: none.")
        .details("Serializers of all languages ask, and go on.")
        .query([
            Query::text("resourceType", "Ignored."),
            Query::texts("associationType", "Ignored."),
            OFFSET,
            LIMIT,
        ])
        .answers(Shape::ListOf("Association")),
        Operation::get("/openapi.json", openapi::answer)
            .title("This description.")
            .answers(Shape::One("OpenApi")),
    ]
}
