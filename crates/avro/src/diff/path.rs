//! Places that share their beginnings: each is its last step and the place before it.

use std::fmt::Write as _;

/// Steps that are followed: the levels of JSON that Java tools read. Only named types that refer
/// to each other in a chain lead deeper.
const MAX_DEPTH: u32 = 1_000;

/// Characters of a place in words; a longer one loses its beginning.
const MAX_PLACE: usize = 300;

/// A step from a type to one within it.
#[derive(Copy, Clone, Debug)]
pub(super) enum Step<'a> {
    /// To the field of this position and name.
    Field(usize, &'a str),
    /// From a field to its type.
    Type,
    /// To the items of an array.
    Items,
    /// To the values of a map.
    Values,
    /// To the branch of this position, with its name where the union has several that hold data.
    Branch(usize, Option<&'a str>),
    /// Nowhere: only the other schema has a union here.
    Stay,
}

/// A place in both schemas. Positions may differ, so each schema has a position of its own.
#[derive(Copy, Clone, Debug, Default)]
pub(super) struct At(u32);

struct Link<'a> {
    before: u32,
    depth: u32,
    old: Step<'a>,
    new: Step<'a>,
}

/// All places so far.
#[derive(Default)]
pub(super) struct Places<'a> {
    links: Vec<Link<'a>>,
}

/// Whose positions a pointer has.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub(super) enum Side {
    Old,
    New,
}

impl<'a> Places<'a> {
    fn link(&self, at: At) -> Option<&Link<'a>> {
        at.0.checked_sub(1)
            .and_then(|index| self.links.get(index as usize))
    }

    /// The place that goes on from `at`; none where that is too deep.
    pub(super) fn extend(&mut self, at: At, old: Step<'a>, new: Step<'a>) -> Option<At> {
        let depth = self.link(at).map_or(0, |link| link.depth) + 1;
        if depth > MAX_DEPTH {
            return None;
        }
        self.links.push(Link {
            before: at.0,
            depth,
            old,
            new,
        });
        u32::try_from(self.links.len()).ok().map(At)
    }

    fn steps(&self, mut at: At, side: Side) -> Vec<Step<'a>> {
        let mut steps = Vec::new();
        while let Some(link) = self.link(at) {
            steps.push(match side {
                Side::Old => link.old,
                Side::New => link.new,
            });
            at = At(link.before);
        }
        steps.reverse();
        steps
    }

    /// The JSON pointer, with further members behind it.
    pub(super) fn pointer(&self, at: At, side: Side, members: &[&str]) -> String {
        let mut text = String::new();
        for step in self.steps(at, side) {
            match step {
                Step::Field(index, _) => {
                    let _ = write!(text, "/fields/{index}");
                }
                Step::Type => text.push_str("/type"),
                Step::Items => text.push_str("/items"),
                Step::Values => text.push_str("/values"),
                Step::Stay => {}
                Step::Branch(index, _) => {
                    let _ = write!(text, "/{index}");
                }
            }
        }
        for member in members {
            text.push('/');
            text.push_str(&member.replace('~', "~0").replace('/', "~1"));
        }
        text
    }

    /// The path of field names in words: `customer.addresses[].city`; empty for the whole.
    pub(super) fn names(&self, at: At, side: Side) -> String {
        let mut text = String::new();
        for step in self.steps(at, side) {
            match step {
                Step::Field(_, name) => {
                    if !text.is_empty() {
                        text.push('.');
                    }
                    text.push_str(name);
                }
                Step::Type | Step::Stay | Step::Branch(_, None) => {}
                Step::Items => text.push_str("[]"),
                Step::Values => text.push_str("{}"),
                Step::Branch(_, Some(name)) => {
                    let _ = write!(text, "<{name}>");
                }
            }
        }
        let surplus = text.chars().count().saturating_sub(MAX_PLACE);
        if surplus > 0 {
            let kept: String = text.chars().skip(surplus + 1).collect();
            text = format!("…{kept}");
        }
        text
    }
}
