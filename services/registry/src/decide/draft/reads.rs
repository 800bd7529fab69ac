//! What was made of a draft's text, for the next look at it: a registration is decided on at once
//! and again in its turn, and each time its text is read as strictly as a look-up does and as
//! strictly as a new version must be.

use std::sync::Arc;

use meshwork_avro::Strictness;
use parking_lot::Mutex;

use crate::record::Reference;
use crate::texts::{KEPT_TEXT, NewText};

/// Most that is kept of one reading, bytes: the text, its graph, and the texts that are made of it.
/// 200 plain fields fit. Two readings are kept of a draft, 480 KiB, and with
/// [`max_waiting_writes`](crate::Config::max_waiting_writes) at 1,024 no more than 480 MiB for all that
/// wait for their turn.
const MOST: usize = 240 << 10;

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
        let bytes = text.len() + read.schema().memory_bytes() + 2 * KEPT_TEXT;
        if references.is_empty() && bytes <= MOST {
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

    #[test]
    fn no_more_is_kept_of_a_text_than_is_said_of_all_that_wait() {
        let (rows, texts) = (MemoryRows::default(), Texts::default());
        let (state, subject) = (State::new(&rows), Subject::new("s"));
        let kept = |text: &str| {
            let draft = draft(text);
            for strictness in [Strictness::Strict, Strictness::Stored] {
                for normal in [Normal::AsWritten, Normal::Normalized] {
                    let read = draft.read(&state, &texts, &subject, normal, strictness);
                    assert!(read.expect("parses").is_some());
                }
            }
            let kept = draft.reads.0.lock();
            [&kept.strict, &kept.stored]
                .into_iter()
                .flatten()
                .map(|kept| {
                    let read = &kept.read;
                    let made = [read.kept_written(), read.kept_normal()];
                    let made: usize = made.into_iter().flatten().map(str::len).sum();
                    kept.text.len() + read.schema().memory_bytes() + made
                })
                .sum::<usize>()
        };
        let field = |n: i32| format!(r#"{{"name":"field_{n}","type":"string","doc":"a"}}"#);
        let record = |fields: i32| {
            let fields: Vec<String> = (0..fields).map(field).collect();
            let fields = fields.join(",");
            format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#)
        };
        let most = (480 << 20) / crate::Config::default().max_waiting_writes;
        assert!((1..=most).contains(&kept(&record(200))));
        // Long, of many parts in few bytes, and with texts that are longer than its own.
        assert_eq!(kept(&record(2_000)), 0);
        assert_eq!(
            kept(&format!(
                r#"{{"type":"int","a":[{}1]}}"#,
                "1,".repeat(8_000)
            )),
            0
        );
        let space = "n".repeat(1_000);
        let ends = r#"{"name":"a","type":["null","R"]},{"name":"b","type":["null","R"]}"#;
        let spelled = |fields: i32| {
            let field = |n: i32| format!(r#"{{"name":"f{n}","type":["null","R"]}},"#);
            let fields: String = (0..fields).map(field).collect();
            format!(
                r#"{{"type":"record","name":"R","namespace":"{space}","fields":[{fields}{ends}]}}"#
            )
        };
        assert!((1..=most).contains(&kept(&spelled(10))));
        assert!((1..=most).contains(&kept(&spelled(100))));
    }
}
