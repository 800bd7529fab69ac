//! Ids that must not be given though the state does not know them.

use std::collections::BTreeMap;

use crate::record::{Key, ReadKey, SchemaValue};
use crate::subject::Subject;

/// The greatest ids, by context, of records that may never have had an effect: of aborted
/// transactions, and of writes whose fate is unknown. Other registries apply the former, and take
/// another schema under such an id for a clash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken(BTreeMap<String, i32>);

impl Taken {
    /// The greatest of them; 0 if none.
    pub(crate) fn of(&self, context: &str) -> i32 {
        self.0.get(context).copied().unwrap_or(0)
    }

    /// All of them, by context.
    pub(crate) fn by_context(&self) -> impl Iterator<Item = (&str, i32)> {
        self.0.iter().map(|(context, id)| (context.as_str(), *id))
    }

    /// Notes what a record may use. What is no schema uses nothing.
    pub(crate) fn note(&mut self, key: &[u8], value: Option<&[u8]>) {
        let (Ok(key), Some(value)) = (ReadKey::parse(key), value) else {
            return;
        };
        let (Key::Schema { subject, .. }, Ok(value)) =
            (key.key, serde_json::from_slice::<SchemaValue>(value))
        else {
            return;
        };
        let id = i32::try_from(value.id).unwrap_or(0);
        let context = Subject::new(&subject).context().to_owned();
        let taken = self.0.entry(context).or_default();
        *taken = id.max(*taken);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_id_of_each_context_is_kept() {
        let mut taken = Taken::default();
        for (subject, id) in [("s", 7), ("t", 3), (":.ctx:s", 2)] {
            let key =
                format!(r#"{{"keytype":"SCHEMA","subject":"{subject}","version":1,"magic":1}}"#);
            let value = format!(r#"{{"subject":"{subject}","version":1,"id":{id},"schema":"x"}}"#);
            taken.note(key.as_bytes(), Some(value.as_bytes()));
            taken.note(key.as_bytes(), None);
        }
        taken.note(b"nonsense", Some(b"{}"));
        assert_eq!((taken.of("."), taken.of(".ctx"), taken.of(".x")), (7, 2, 0));
    }
}
