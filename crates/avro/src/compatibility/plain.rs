//! Pairs of types that plainly fit. Most fields of two versions are such pairs, and they need no
//! frame, no path and no memory.

use crate::schema::{Kind, NodeId, Schema};

/// Pairs that are looked at before a pair is left to the whole comparison: a union of three types
/// beside itself takes ten.
const MOST: usize = 32;

/// The pairs that were looked at, where it is plain that `reader` reads what `writer` wrote; none
/// where only the whole comparison can tell. Records are left to it, since it remembers them.
///
/// Decides as [`super::compare`] does. Nothing is listed for a pair that fits, so that nobody can
/// see which way it was found to.
pub(super) fn fits(schemas: (&Schema, &Schema), reader: NodeId, writer: NodeId) -> Option<usize> {
    let mut left = MOST;
    Plain { schemas }
        .fits(reader, writer, &mut left)
        .then_some(MOST - left)
}

struct Plain<'a> {
    schemas: (&'a Schema, &'a Schema),
}

impl Plain<'_> {
    /// Recursion is bounded by [`MOST`].
    fn fits(&self, reader: NodeId, writer: NodeId, left: &mut usize) -> bool {
        let Some(less) = left.checked_sub(1) else {
            return false;
        };
        *left = less;
        let (r, w) = (
            &self.schemas.0.node(reader).kind,
            &self.schemas.1.node(writer).kind,
        );
        match (r, w) {
            (_, Kind::Union(branches)) => branches
                .iter()
                .all(|branch| self.fits(reader, *branch, left)),
            (Kind::Union(branches), _) => branches
                .iter()
                .any(|branch| self.fits(*branch, writer, left)),
            (Kind::Array(r), Kind::Array(w)) | (Kind::Map(r), Kind::Map(w)) => {
                self.fits(*r, *w, left)
            }
            (Kind::Record(_), Kind::Record(_)) => false,
            (Kind::Enum(own), Kind::Enum(other)) => {
                have_one_name(r, w) && (own.default.is_some() || own.symbols == other.symbols)
            }
            (Kind::Fixed(own), Kind::Fixed(other)) => have_one_name(r, w) && own.size == other.size,
            _ => promotes(r, w),
        }
    }
}

fn have_one_name(r: &Kind, w: &Kind) -> bool {
    match (r.name(), w.name()) {
        (Some(r), Some(w)) => r.unqualified() == w.unqualified(),
        _ => false,
    }
}

/// Whether types, neither of them a union nor both of one compound kind, read each other.
pub(super) fn promotes(reader: &Kind, writer: &Kind) -> bool {
    std::mem::discriminant(reader) == std::mem::discriminant(writer)
        || matches!(
            (reader, writer),
            (Kind::Long, Kind::Int)
                | (Kind::Float, Kind::Int | Kind::Long)
                | (Kind::Double, Kind::Int | Kind::Long | Kind::Float)
                | (Kind::Bytes, Kind::String)
                | (Kind::String, Kind::Bytes)
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::incompatibilities;
    use super::fits;
    use crate::Schema;

    /// Types without records.
    fn types() -> impl Strategy<Value = String> {
        let leaves = prop_oneof![
            prop::sample::select(vec![
                r#""null""#,
                r#""boolean""#,
                r#""int""#,
                r#""long""#,
                r#""float""#,
                r#""double""#,
                r#""bytes""#,
                r#""string""#,
                r#"{"type":"enum","name":"E","symbols":["A","B"]}"#,
                r#"{"type":"enum","name":"E","symbols":["A"]}"#,
                r#"{"type":"enum","name":"n.E","symbols":["A"],"default":"A"}"#,
                r#"{"type":"enum","name":"F","aliases":["E"],"symbols":["B","A"]}"#,
                r#"{"type":"fixed","name":"X","size":4}"#,
                r#"{"type":"fixed","name":"n.X","size":4}"#,
                r#"{"type":"fixed","name":"X","size":5}"#,
                r#"{"type":"fixed","name":"Y","aliases":["X"],"size":4}"#,
            ])
            .prop_map(str::to_owned),
            Just("[]".to_owned()),
        ];
        leaves.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                inner
                    .clone()
                    .prop_map(|items| format!(r#"{{"type":"array","items":{items}}}"#)),
                inner
                    .clone()
                    .prop_map(|values| format!(r#"{{"type":"map","values":{values}}}"#)),
                prop::collection::vec(inner, 1..4)
                    .prop_map(|branches| format!("[{}]", branches.join(","))),
            ]
        })
    }

    proptest! {
        /// What is said to fit has no incompatibilities, and what is small and has none is said to.
        #[test]
        fn it_agrees_with_the_whole_comparison(reader in types(), writer in types()) {
            let (Ok(reader), Ok(writer)) = (Schema::parse(&reader), Schema::parse(&writer)) else {
                return Ok(());
            };
            let found = incompatibilities(&reader, &writer);
            if fits((&reader, &writer), reader.root(), writer.root()).is_some() {
                prop_assert_eq!(found, []);
            }
            if let Some(pairs) = fits((&reader, &reader), reader.root(), reader.root()) {
                prop_assert!(pairs <= super::MOST);
            }
        }
    }

    #[test]
    fn what_teams_write_is_plain() {
        for (reader, writer) in [
            (r#""long""#, r#""int""#),
            (r#"["null","string"]"#, r#"["null","string"]"#),
            (r#"["null","string"]"#, r#""string""#),
            (
                r#"["null",{"type":"array","items":["null","double"]}]"#,
                r#"["null",{"type":"array","items":["null","float"]}]"#,
            ),
            (
                r#"{"type":"enum","name":"E","symbols":["A"],"default":"A"}"#,
                r#"{"type":"enum","name":"E","symbols":["A","B"]}"#,
            ),
        ] {
            let (reader, writer) = (Schema::parse(reader), Schema::parse(writer));
            let (reader, writer) = (reader.expect("parses"), writer.expect("parses"));
            assert_eq!(incompatibilities(&reader, &writer), []);
            assert!(fits((&reader, &writer), reader.root(), writer.root()).is_some());
        }
    }
}
