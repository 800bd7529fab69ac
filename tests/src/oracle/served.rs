//! What instances serve at the end.

use std::collections::{BTreeMap, BTreeSet};

use super::ids::{Held, Id};
use super::log::{At, Change};
use super::violation::Violation;

/// A version as an instance serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServedVersion {
    /// Schema id.
    pub id: i32,
    /// Schema.
    pub text: String,
    /// Whether it is soft-deleted.
    pub deleted: bool,
}

/// All that an instance serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Which instance.
    pub instance: usize,
    /// Versions by subject and number, soft-deleted ones too.
    pub versions: BTreeMap<(String, i32), ServedVersion>,
    /// Texts by context and id, for every id that was asked for; none where it has none.
    pub texts: BTreeMap<Id, Option<String>>,
}

pub(super) fn check(served: &[Served], committed: &[At], held: &Held) -> Vec<Violation> {
    let expected = versions(committed);
    served
        .iter()
        .flat_map(|served| {
            let mut found = check_versions(served, &expected);
            found.extend(check_texts(served, held));
            found
        })
        .collect()
}

fn check_versions(
    served: &Served,
    expected: &BTreeMap<(String, i32), ServedVersion>,
) -> Vec<Violation> {
    let keys: BTreeSet<_> = expected.keys().chain(served.versions.keys()).collect();
    keys.into_iter()
        .filter_map(|key| {
            let (by_log, by_instance) = (expected.get(key), served.versions.get(key));
            (by_log != by_instance).then(|| Violation::Served {
                instance: served.instance,
                what: format!("version {} of subject {}", key.1, key.0),
                expected: format!("{by_log:?}"),
                found: format!("{by_instance:?}"),
            })
        })
        .collect()
}

/// An id that a version holds is served. One that none holds any more may be, with its own text.
fn check_texts(served: &Served, held: &Held) -> Vec<Violation> {
    held.texts
        .iter()
        .filter_map(|(id, text)| {
            let found = served.texts.get(id).cloned().flatten();
            let right = match &found {
                Some(found) => found == text,
                None => !held.at_end(id),
            };
            (!right).then(|| Violation::Served {
                instance: served.instance,
                what: format!("id {} of context {}", id.1, id.0),
                expected: text.clone(),
                found: format!("{found:?}"),
            })
        })
        .collect()
}

/// The versions that there are at the end of the log.
fn versions(committed: &[At]) -> BTreeMap<(String, i32), ServedVersion> {
    let mut versions: BTreeMap<(String, i32), ServedVersion> = BTreeMap::new();
    for At { change, .. } in committed {
        match change {
            Change::Schema {
                subject,
                version,
                id,
                text,
                deleted,
                ..
            } => {
                let now = ServedVersion {
                    id: *id,
                    text: text.clone(),
                    deleted: *deleted,
                };
                versions.insert((subject.clone(), *version), now);
            }
            Change::Gone { subject, version } => {
                versions.remove(&(subject.clone(), *version));
            }
            Change::SoftUpTo { subject, version } => {
                let range = (subject.clone(), i32::MIN)..=(subject.clone(), *version);
                for (_, held) in versions.range_mut(range) {
                    held.deleted = true;
                }
            }
            Change::Clear { subject } => {
                versions.retain(|(name, _), held| name != subject || !held.deleted);
            }
            Change::Office { .. } | Change::Other => {}
        }
    }
    versions
}
