//! What `_schemas` says, as a fold over its records in offset order. Plain values: the shell
//! applies what it reads, and answers from here.

mod fold;
mod ids;
mod scope;
mod subjects;

pub use fold::{Applied, LogRecord};
pub use ids::{ContextState, IdEntry};
pub(crate) use scope::DEFAULT_LEVEL;
pub use subjects::{SubjectState, Version};

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::content::Content;
use crate::record::{Key, Mode, Reference, Settings};
use crate::subject::{DEFAULT_CONTEXT, Subject};

/// A version of a subject.
pub type Place = (Subject, i32);

/// The state of the registry.
#[derive(Debug)]
pub struct State {
    subjects: BTreeMap<Subject, SubjectState>,
    contexts: BTreeMap<String, ContextState>,
    /// By subject or context; `None` is global.
    settings: BTreeMap<Option<Subject>, Settings>,
    modes: BTreeMap<Option<Subject>, Mode>,
    /// Which versions refer to a version.
    referrers: HashMap<Place, BTreeSet<Place>>,
    /// Live byte forms of a key other than the one we write. They must be tombstoned when the
    /// key is written, or compaction would keep both.
    other_forms: HashMap<Key, BTreeSet<Vec<u8>>>,
    /// The greatest ids by context that the log's own mark holds.
    marked: BTreeMap<String, i32>,
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// Of an empty log.
    #[must_use]
    pub fn new() -> Self {
        Self {
            subjects: BTreeMap::new(),
            contexts: BTreeMap::from([(DEFAULT_CONTEXT.to_owned(), ContextState::default())]),
            settings: BTreeMap::new(),
            modes: BTreeMap::new(),
            referrers: HashMap::new(),
            other_forms: HashMap::new(),
            marked: BTreeMap::new(),
        }
    }

    /// All subjects with their versions, soft-deleted ones included, in the order of their names.
    pub fn subjects(&self) -> impl Iterator<Item = (&Subject, &SubjectState)> {
        self.subjects.iter()
    }

    /// One subject, if it has any version, soft-deleted ones included.
    #[must_use]
    pub fn subject(&self, subject: &Subject) -> Option<&SubjectState> {
        self.subjects.get(subject)
    }

    /// One version, soft-deleted or not.
    #[must_use]
    pub fn version(&self, subject: &Subject, version: i32) -> Option<&Version> {
        self.subjects.get(subject)?.version(version)
    }

    /// Names of the contexts, the default one first.
    pub fn contexts(&self) -> impl Iterator<Item = &str> {
        // `.` sorts before every longer name that starts with it.
        self.contexts.keys().map(String::as_str)
    }

    /// The ids of one context.
    #[must_use]
    pub fn context(&self, name: &str) -> Option<&ContextState> {
        self.contexts.get(name)
    }

    /// What `id` stands for in `context`.
    #[must_use]
    pub fn id(&self, context: &str, id: i32) -> Option<&IdEntry> {
        self.contexts.get(context)?.ids.get(&id)
    }

    /// The greatest id that the log has ever given in `context`; 0 if none.
    #[must_use]
    pub fn greatest_id(&self, context: &str) -> i32 {
        let seen = self.contexts.get(context).map_or(0, |c| c.greatest);
        seen.max(self.marked_id(context))
    }

    /// The greatest id of `context` that is written down apart from the schemas themselves.
    pub(crate) fn marked_id(&self, context: &str) -> i32 {
        self.marked.get(context).copied().unwrap_or(0)
    }

    /// The marks of all contexts as they should be written now.
    pub(crate) fn marks(&self) -> BTreeMap<String, i32> {
        self.contexts
            .keys()
            .map(|name| (name.clone(), self.greatest_id(name)))
            .filter(|(_, greatest)| *greatest > 0)
            .collect()
    }

    /// The versions that refer to `place`, in order.
    pub fn referrers(&self, place: &Place) -> impl Iterator<Item = &Place> {
        self.referrers.get(place).into_iter().flatten()
    }

    /// Byte forms of `key` that live in the log beside the one we write.
    pub(crate) fn other_forms(&self, key: &Key) -> impl Iterator<Item = &Vec<u8>> {
        self.other_forms.get(key).into_iter().flatten()
    }

    /// The content of a version that a reference names, as seen from `referrer`.
    #[must_use]
    pub fn referenced(&self, referrer: &Subject, reference: &Reference) -> Option<&Version> {
        let subject = referrer.sibling(&reference.subject);
        self.version(&subject, reference.version)
    }

    /// How many different contents there are, over all contexts.
    #[must_use]
    pub fn schemas(&self) -> usize {
        self.contexts.values().map(|c| c.ids.len()).sum()
    }
}

/// A content is shared by all that hold it.
pub(crate) type Shared = Arc<Content>;
