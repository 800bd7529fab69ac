//! Incompatibilities in short, as they are found, and in words, as they are listed.

use std::collections::HashSet;
use std::fmt::Write;

use super::{Incompatibility, IncompatibilityKind};
use crate::schema::{Enum, Kind, Name, NodeId, Schema};
use crate::text::java_order;

/// A step of a path.
#[derive(Copy, Clone)]
pub(super) enum Token {
    Word(&'static str),
    At(usize),
}

/// Paths that share their beginnings: each is its last step and the path before it. A chain of
/// pairs can be so long that paths of their own would fill any memory.
#[derive(Default)]
pub(super) struct Paths {
    steps: Vec<(u32, Token)>,
}

impl Paths {
    /// The empty path.
    pub(super) const ROOT: u32 = 0;

    /// The path that goes on from `base` by `tokens`.
    pub(super) fn extend(&mut self, base: u32, tokens: &[Token]) -> u32 {
        let mut path = base;
        for token in tokens {
            self.steps.push((path, *token));
            // As many as pairs, of which there are at most some hundred thousand, times three.
            path = u32::try_from(self.steps.len()).unwrap_or(Self::ROOT);
        }
        path
    }

    /// Its steps, first to last.
    fn tokens(&self, mut path: u32) -> Vec<Token> {
        let mut tokens = Vec::new();
        while let Some((before, token)) = path
            .checked_sub(1)
            .and_then(|at| self.steps.get(at as usize))
        {
            tokens.push(*token);
            path = *before;
        }
        tokens.reverse();
        tokens
    }

    /// As Java writes it: a JSON pointer, `/` for the empty path.
    fn text(&self, path: u32) -> String {
        let mut text = String::from("/");
        for (at, token) in self.tokens(path).into_iter().enumerate() {
            if at > 0 {
                text.push('/');
            }
            match token {
                Token::Word(word) => text.push_str(word),
                Token::At(at) => {
                    let _ = write!(text, "{at}");
                }
            }
        }
        text
    }

    /// The last number on a path.
    fn last_number(&self, path: u32) -> Option<usize> {
        self.tokens(path)
            .into_iter()
            .rev()
            .find_map(|token| match token {
                Token::At(at) => Some(at),
                Token::Word(_) => None,
            })
    }
}

/// An incompatibility as it was found.
pub(super) struct Found {
    pub(super) kind: IncompatibilityKind,
    pub(super) path: u32,
    pub(super) reader: NodeId,
    pub(super) writer: NodeId,
}

impl Found {
    /// In Java's words.
    pub(super) fn describe(
        &self,
        reader: &Schema,
        writer: &Schema,
        paths: &Paths,
    ) -> Incompatibility {
        let (r, w) = (
            &reader.node(self.reader).kind,
            &writer.node(self.writer).kind,
        );
        let upper = |kind: &Kind| kind.type_name().to_ascii_uppercase();
        let message = match (self.kind, r, w) {
            (IncompatibilityKind::NameMismatch, ..) => {
                format!("expected: {}", w.name().map_or("", Name::full))
            }
            (IncompatibilityKind::FixedSizeMismatch, Kind::Fixed(r), Kind::Fixed(w)) => {
                format!("expected: {}, found: {}", w.size, r.size)
            }
            (IncompatibilityKind::MissingEnumSymbols, Kind::Enum(r), Kind::Enum(w)) => {
                let mut missing: Vec<&str> = missing_symbols(r, w).collect();
                missing.sort_by(|a, b| java_order(a, b));
                format!("[{}]", missing.join(", "))
            }
            (IncompatibilityKind::ReaderFieldMissingDefaultValue, Kind::Record(record), _) => {
                let field = paths
                    .last_number(self.path)
                    .and_then(|at| record.fields.get(at));
                field.map(|field| field.name.clone()).unwrap_or_default()
            }
            (IncompatibilityKind::MissingUnionBranch, ..) => {
                format!("reader union lacking writer type: {}", upper(w))
            }
            _ => format!(
                "reader type: {} not compatible with writer type: {}",
                upper(r),
                upper(w)
            ),
        };
        Incompatibility {
            kind: self.kind,
            path: paths.text(self.path),
            message,
        }
    }
}

/// The writer's symbols that the reader's enum lacks.
pub(super) fn missing_symbols<'w>(r: &Enum, w: &'w Enum) -> impl Iterator<Item = &'w str> {
    let own: HashSet<&str> = r.symbols.iter().map(String::as_str).collect();
    let missing: Vec<&str> = w
        .symbols
        .iter()
        .map(String::as_str)
        .filter(|symbol| !own.contains(symbol))
        .collect();
    missing.into_iter()
}
