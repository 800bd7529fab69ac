//! What was made of a draft's text, for the next look at it: a registration is decided on at once
//! and again in its turn, and each time its text is read as strictly as a look-up does and as
//! strictly as a new version must be.

use std::sync::Arc;

use meshwork_avro::Strictness;
use parking_lot::Mutex;

use crate::record::Reference;
use crate::texts::NewText;

/// Longest text that is kept, bytes. What waits for its turn takes some twenty times as much; a
/// record of 200 fields has 9 KB.
const LONGEST: usize = 32 << 10;

/// Kept for as long as the draft or a copy of it is. Says nothing about the draft: two drafts are
/// equal whether their texts were read or not.
#[derive(Clone, Debug, Default)]
pub struct Reads(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    strict: Option<Read>,
    stored: Option<Read>,
}

#[derive(Debug)]
struct Read {
    text: Box<str>,
    read: Arc<NewText>,
}

impl Kept {
    fn place(&mut self, strictness: Strictness) -> &mut Option<Read> {
        match strictness {
            Strictness::Strict => &mut self.strict,
            Strictness::Stored => &mut self.stored,
        }
    }
}

impl Reads {
    /// What was made of this text when it was read so, without references.
    pub(super) fn of(&self, text: &str, strictness: Strictness) -> Option<Arc<NewText>> {
        let mut kept = self.0.lock();
        let kept = kept.place(strictness).as_ref();
        kept.filter(|kept| *kept.text == *text)
            .map(|kept| Arc::clone(&kept.read))
    }

    /// Keeps what was made of a text. Not where there are references: what they name may be another
    /// schema the next time.
    pub(super) fn keep(
        &self,
        text: &str,
        references: &[Reference],
        strictness: Strictness,
        read: &Arc<NewText>,
    ) {
        if references.is_empty() && text.len() <= LONGEST {
            *self.0.lock().place(strictness) = Some(Read {
                text: text.into(),
                read: Arc::clone(read),
            });
        }
    }
}

impl PartialEq for Reads {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Reads {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{Draft, Normal};
    use crate::state::{MemoryRows, State};
    use crate::subject::Subject;
    use crate::texts::Texts;

    fn draft(text: &str) -> Draft {
        Draft {
            schema: Some(text.to_owned()),
            ..Draft::default()
        }
    }

    #[test]
    fn a_text_is_read_once_in_each_way_and_another_text_anew() {
        let rows = MemoryRows::default();
        let (state, texts) = (State::new(&rows), Texts::default());
        let read = |draft: &Draft, strictness| {
            let subject = Subject::new("s");
            let read = draft.read(&state, &texts, &subject, Normal::AsWritten, strictness);
            let parsed = read.expect("parses").expect("a text");
            assert_eq!(&*parsed.content.text, draft.text());
            std::ptr::from_ref(parsed.avro().expect("Avro")) as usize
        };
        let first = draft(r#"{"type":"fixed","name":"F","size":1}"#);
        let strict = read(&first, Strictness::Strict);
        let stored = read(&first, Strictness::Stored);
        assert_ne!(strict, stored);
        let mut copy = first.clone();
        assert_eq!(read(&copy, Strictness::Strict), strict);
        assert_eq!(read(&copy, Strictness::Stored), stored);
        copy.schema = draft(r#"{"type":"fixed","name":"G","size":1}"#).schema;
        assert_ne!(read(&copy, Strictness::Strict), strict);
        assert_ne!(copy, first);
        copy.schema.clone_from(&first.schema);
        assert_eq!(copy, first);
    }
}
