//! The table of endpoints.

mod schemas;
mod server;
mod settings;
mod subjects;

use super::operation::{Operation, Query};

pub(super) const DELETED: Query = Query::flag("deleted", "Soft-deleted ones too.");
pub(super) const DELETED_ONLY: Query = Query::flag("deletedOnly", "Soft-deleted ones only.");
pub(super) const OFFSET: Query = Query::number("offset", "How many to skip. Default 0.");
pub(super) const LIMIT: Query = Query::number(
    "limit",
    "At most so many; the default and the greatest are those of the list.",
);
pub(super) const NORMALIZE: Query = Query::flag(
    "normalize",
    "Bring the schema into normal form first. Settings of the subject may ask for it too.",
);
pub(super) const FORMAT: Query = Query::text(
    "format",
    "`resolved`: the text with the types that it refers to written out. Others are ignored.",
);
pub(super) const OF_SUBJECT: Query = Query::text(
    "subject",
    "Look in the context of this subject, and in this subject first.",
);
pub(super) const PERMANENT: Query = Query::flag(
    "permanent",
    "For good, which needs a soft delete first. Otherwise only hidden.",
);
pub(super) const DEFAULT_TO_GLOBAL: Query = Query::flag(
    "defaultToGlobal",
    "What holds for the subject, wherever it is set.",
);
pub(super) const SUBJECT_PREFIX: Query = Query::text(
    "subjectPrefix",
    "Only subjects that start so. `:.ctx:` in front: in that context; `:*:`: in any.",
);
pub(super) const REFERENCE_FORMAT: Query = Query::text(
    "referenceFormat",
    "`qualified`: subjects of references with their context.",
);
pub(super) const FIND_TAGS: Query = Query::texts(
    "findTags",
    "Tell in `schemaTags` where these inline tags stand; `*` for all.",
);

/// All endpoints, by topic. Methods of one path stand together.
pub(super) fn all() -> Vec<Operation> {
    let mut all = schemas::all();
    all.extend(subjects::all());
    all.extend(settings::all());
    all.extend(server::all());
    all
}
