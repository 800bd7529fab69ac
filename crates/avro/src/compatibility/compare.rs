//! Java's `SchemaCompatibility`, without recursion: pairs of types in progress are frames on a
//! stack of their own, since a recursive reader and a recursive writer can make a chain of
//! pairs as long as the product of their lengths.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;
use std::rc::Rc;

use super::{Incompatibility, IncompatibilityKind};
use crate::schema::{Field, Kind, NodeId, Record, Schema};
use crate::text::java_order;

/// Incompatibilities that are listed. Java lists those of a pair of records once for every
/// place that has the pair, which can be more than any memory holds; ten thousand are more
/// than anyone reads, and all different ones of schemas that people write.
const MAX_LISTED: usize = 10_000;

/// Pairs of types, fields and branches that are looked at: about a second's work. Schemas that
/// people write need a thousandth of it.
const MAX_STEPS: u64 = 10_000_000;

/// Pairs that are remembered: with [`MAX_STEPS`] the bound on memory, some 200 MB at worst.
const MAX_PAIRS: usize = 1_000_000;

/// All reasons why `reader` can't read what `writer` wrote; empty where it can.
#[must_use]
pub fn incompatibilities(reader: &Schema, writer: &Schema) -> Vec<Incompatibility> {
    let mut checker = Checker {
        reader,
        writer,
        results: HashMap::new(),
        path: Vec::new(),
        frames: Vec::new(),
        fields: HashMap::new(),
        steps: MAX_STEPS,
    };
    match checker.run() {
        Ok(outcome) => outcome.list(),
        Err(message) => vec![Incompatibility {
            kind: IncompatibilityKind::NotComparable,
            path: "/".to_owned(),
            message,
        }],
    }
}

/// The verdict on a pair; parts are shared between the places that have the pair.
#[derive(Clone, Default)]
struct Outcome {
    parts: Option<Rc<Vec<Part>>>,
}

enum Part {
    One(Incompatibility),
    Of(Outcome),
}

impl Outcome {
    fn compatible(&self) -> bool {
        self.parts.is_none()
    }

    /// All incompatibilities in order, up to the limit.
    fn list(&self) -> Vec<Incompatibility> {
        let mut list = Vec::new();
        let mut open: Vec<(&[Part], usize)> = Vec::new();
        open.extend(self.parts.as_ref().map(|parts| (parts.as_slice(), 0)));
        while let Some((parts, at)) = open.pop() {
            let Some(part) = parts.get(at) else {
                continue;
            };
            open.push((parts, at + 1));
            match part {
                Part::One(one) => list.push(one.clone()),
                Part::Of(outcome) => {
                    open.extend(outcome.parts.as_ref().map(|parts| (parts.as_slice(), 0)));
                }
            }
            if list.len() >= MAX_LISTED {
                break;
            }
        }
        list
    }
}

impl Drop for Outcome {
    /// Long chains of outcomes are taken apart in a loop, not by recursion.
    fn drop(&mut self) {
        let mut open: Vec<Rc<Vec<Part>>> = self.parts.take().into_iter().collect();
        while let Some(parts) = open.pop() {
            if let Some(parts) = Rc::into_inner(parts) {
                for part in parts {
                    if let Part::Of(mut outcome) = part {
                        open.extend(outcome.parts.take());
                    }
                }
            }
        }
    }
}

/// A step of a path.
#[derive(Copy, Clone)]
enum Token {
    Word(&'static str),
    At(usize),
}

/// A pair of types that is being compared.
struct Frame {
    reader: NodeId,
    writer: NodeId,
    /// What `path` was cut to when the pair was begun with a path of its own.
    outer: Option<Vec<Token>>,
    /// How long `path` was before the pair.
    base: usize,
    /// The next child.
    next: usize,
    parts: Vec<Part>,
}

/// What to do next.
enum Next {
    /// Compare a child, reached by this step of the path, or with a path of its own.
    Child(NodeId, NodeId, Option<Token>),
    Done,
}

struct Checker<'a> {
    reader: &'a Schema,
    writer: &'a Schema,
    /// Verdicts by pair; none yet while the pair is in progress.
    results: HashMap<(NodeId, NodeId), Option<Outcome>>,
    path: Vec<Token>,
    frames: Vec<Frame>,
    /// Fields of the writer's records by name.
    fields: HashMap<NodeId, HashMap<&'a str, &'a Field>>,
    steps: u64,
}

impl<'a> Checker<'a> {
    fn run(&mut self) -> Result<Outcome, String> {
        let mut given = self.begin(self.reader.root(), self.writer.root(), None)?;
        loop {
            let Some(mut frame) = self.frames.pop() else {
                return Ok(given.unwrap_or_default());
            };
            if let Some(outcome) = given.take() {
                self.take(&mut frame, outcome);
            }
            self.steps = self.steps.checked_sub(1).ok_or_else(too_costly)?;
            match self.advance(&mut frame)? {
                Next::Child(reader, writer, token) => {
                    self.frames.push(frame);
                    given = self.begin(reader, writer, token)?;
                }
                Next::Done => {
                    let parts = std::mem::take(&mut frame.parts);
                    let outcome = Outcome {
                        parts: (!parts.is_empty()).then(|| Rc::new(parts)),
                    };
                    self.results
                        .insert((frame.reader, frame.writer), Some(outcome.clone()));
                    self.restore(&mut frame);
                    given = Some(outcome);
                }
            }
        }
    }

    /// Java's `getCompatibility`: the verdict, or a new frame. Without a token the pair gets a
    /// path of its own, which Java then shows wherever the pair turns up again.
    fn begin(
        &mut self,
        reader: NodeId,
        writer: NodeId,
        token: Option<Token>,
    ) -> Result<Option<Outcome>, String> {
        match self.results.get(&(reader, writer)) {
            Some(Some(outcome)) => return Ok(Some(outcome.clone())),
            Some(None) => return Ok(Some(Outcome::default())),
            None => {}
        }
        if self.results.len() >= MAX_PAIRS {
            return Err(too_costly());
        }
        self.results.insert((reader, writer), None);
        let base = self.path.len();
        let outer = match token {
            Some(token) => {
                self.path.push(token);
                None
            }
            None => Some(std::mem::take(&mut self.path)),
        };
        self.frames.push(Frame {
            reader,
            writer,
            outer,
            base,
            next: 0,
            parts: Vec::new(),
        });
        Ok(None)
    }

    fn restore(&mut self, frame: &mut Frame) {
        match frame.outer.take() {
            Some(path) => self.path = path,
            None => self.path.truncate(frame.base),
        }
    }

    fn found(&self, kind: IncompatibilityKind, last: &[Token], message: String) -> Part {
        let mut path = String::from("/");
        for (at, token) in self.path.iter().chain(last).enumerate() {
            if at > 0 {
                path.push('/');
            }
            match token {
                Token::Word(word) => path.push_str(word),
                Token::At(at) => {
                    let _ = write!(path, "{at}");
                }
            }
        }
        Part::One(Incompatibility {
            kind,
            path,
            message,
        })
    }

    fn kinds(&self, frame: &Frame) -> (&'a Kind, &'a Kind) {
        (
            &self.reader.node(frame.reader).kind,
            &self.writer.node(frame.writer).kind,
        )
    }

    /// A child's verdict has come.
    fn take(&mut self, frame: &mut Frame, outcome: Outcome) {
        let (reader, writer) = self.kinds(frame);
        match (reader, writer) {
            (Kind::Union(_), Kind::Union(branches)) => {
                let at = frame.next - 1;
                if !outcome.compatible()
                    && let Some(branch) = branches.get(at)
                {
                    let message = lacking(&self.writer.node(*branch).kind);
                    let kind = IncompatibilityKind::MissingUnionBranch;
                    frame
                        .parts
                        .push(self.found(kind, &[Token::At(at)], message));
                }
            }
            (Kind::Union(branches), _) => {
                if outcome.compatible() {
                    frame.next = usize::MAX;
                } else if frame.next >= branches.len() {
                    frame.parts.push(self.missing_branch(writer));
                }
            }
            (Kind::Record(_), Kind::Record(_)) => {
                // The step to the field is above the step to its type.
                self.path.truncate(self.path.len().saturating_sub(2));
                if !outcome.compatible() {
                    frame.parts.push(Part::Of(outcome));
                }
            }
            _ => {
                if !outcome.compatible() {
                    frame.parts.push(Part::Of(outcome));
                }
            }
        }
    }

    fn missing_branch(&self, writer: &Kind) -> Part {
        self.found(
            IncompatibilityKind::MissingUnionBranch,
            &[],
            lacking(writer),
        )
    }

    /// The next child of the pair, or the last checks on it.
    fn advance(&mut self, frame: &mut Frame) -> Result<Next, String> {
        let (reader, writer) = self.kinds(frame);
        let at = frame.next;
        frame.next = at.saturating_add(1);
        let (own_reader, own_writer) = (frame.reader, frame.writer);
        Ok(match (reader, writer) {
            (Kind::Array(r), Kind::Array(w)) if at == 0 => {
                Next::Child(*r, *w, Some(Token::Word("items")))
            }
            (Kind::Map(r), Kind::Map(w)) if at == 0 => {
                Next::Child(*r, *w, Some(Token::Word("values")))
            }
            (Kind::Array(_), Kind::Array(_)) | (Kind::Map(_), Kind::Map(_)) => Next::Done,
            (Kind::Union(_), Kind::Union(branches)) => match branches.get(at) {
                Some(branch) => Next::Child(own_reader, *branch, None),
                None => Next::Done,
            },
            (_, Kind::Union(branches)) => match branches.get(at) {
                Some(branch) => Next::Child(own_reader, *branch, Some(Token::At(at))),
                None => Next::Done,
            },
            (Kind::Union(branches), _) => match branches.get(at) {
                Some(branch) => Next::Child(*branch, own_writer, None),
                None => {
                    if branches.is_empty() {
                        frame.parts.push(self.missing_branch(writer));
                    }
                    Next::Done
                }
            },
            (Kind::Record(r), Kind::Record(w)) => {
                if at == 0 {
                    self.names(frame, reader, writer);
                }
                self.field(frame, r, w)?
            }
            (Kind::Enum(r), Kind::Enum(w)) => {
                self.names(frame, reader, writer);
                let missing: BTreeSet<JavaOrdered<'_>> = {
                    let own: std::collections::HashSet<&str> =
                        r.symbols.iter().map(String::as_str).collect();
                    let symbols = w.symbols.iter().map(String::as_str);
                    symbols
                        .filter(|symbol| !own.contains(symbol))
                        .map(JavaOrdered)
                        .collect()
                };
                if !missing.is_empty() && r.default.is_none() {
                    let missing: Vec<&str> = missing.iter().map(|symbol| symbol.0).collect();
                    let message = format!("[{}]", missing.join(", "));
                    let kind = IncompatibilityKind::MissingEnumSymbols;
                    frame
                        .parts
                        .push(self.found(kind, &[Token::Word("symbols")], message));
                }
                Next::Done
            }
            (Kind::Fixed(r), Kind::Fixed(w)) => {
                self.names(frame, reader, writer);
                if r.size != w.size {
                    let message = format!("expected: {}, found: {}", w.size, r.size);
                    let kind = IncompatibilityKind::FixedSizeMismatch;
                    frame
                        .parts
                        .push(self.found(kind, &[Token::Word("size")], message));
                }
                Next::Done
            }
            _ => {
                if !promotes(reader, writer) {
                    let message = format!(
                        "reader type: {} not compatible with writer type: {}",
                        upper(reader),
                        upper(writer)
                    );
                    frame
                        .parts
                        .push(self.found(IncompatibilityKind::TypeMismatch, &[], message));
                }
                Next::Done
            }
        })
    }

    /// Goes on with a record from field `frame.next - 1` up to one that needs a comparison.
    fn field(&mut self, frame: &mut Frame, r: &'a Record, w: &'a Record) -> Result<Next, String> {
        loop {
            let at = frame.next - 1;
            let Some(field) = r.fields.get(at) else {
                return Ok(Next::Done);
            };
            self.steps = self
                .steps
                .checked_sub(1 + field.aliases.len() as u64)
                .ok_or_else(too_costly)?;
            let by_name = self.fields.entry(frame.writer).or_insert_with(|| {
                w.fields
                    .iter()
                    .map(|field| (field.name.as_str(), field))
                    .collect()
            });
            let mut matching = std::iter::once(&field.name)
                .chain(&field.aliases)
                .filter_map(|name| by_name.get(name.as_str()).copied());
            let first = matching.next();
            if matching.next().is_some() {
                return Err(format!(
                    "Reader record field {} type:{} pos:{at} matches multiple fields in writer record schema {}",
                    field.name,
                    upper(&self.reader.node(field.node).kind),
                    self.writer.node_text(frame.writer),
                ));
            }
            let other = match first {
                Some(other) => Some(other.node),
                None if field.default.is_some() => None,
                // Java's quirk: an enum that has a default is compared with the whole record.
                None => match &self.reader.node(field.node).kind {
                    Kind::Enum(symbols) if symbols.default.is_some() => Some(frame.writer),
                    _ => {
                        let path = [Token::Word("fields"), Token::At(at)];
                        let kind = IncompatibilityKind::ReaderFieldMissingDefaultValue;
                        frame
                            .parts
                            .push(self.found(kind, &path, field.name.clone()));
                        None
                    }
                },
            };
            if let Some(other) = other {
                self.path.extend([Token::Word("fields"), Token::At(at)]);
                return Ok(Next::Child(field.node, other, Some(Token::Word("type"))));
            }
            frame.next += 1;
        }
    }

    /// Java's `checkSchemaNames`.
    fn names(&self, frame: &mut Frame, reader: &Kind, writer: &Kind) {
        let (Some(r), Some(w)) = (reader.name(), writer.name()) else {
            return;
        };
        // An alias in no namespace, of a type in one, reads as `.name` there and matches nothing.
        let matches = |alias: &crate::schema::Name| {
            alias.full() == w.full() && (alias.namespace().is_some() || r.namespace().is_none())
        };
        if r.unqualified() != w.unqualified() && !reader.aliases().iter().any(matches) {
            let message = format!("expected: {}", w.full());
            let kind = IncompatibilityKind::NameMismatch;
            frame
                .parts
                .push(self.found(kind, &[Token::Word("name")], message));
        }
    }
}

/// Text in Java's order.
#[derive(Eq, PartialEq)]
struct JavaOrdered<'t>(&'t str);

impl Ord for JavaOrdered<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        java_order(self.0, other.0)
    }
}

impl PartialOrd for JavaOrdered<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Whether types, neither of them a union nor both of one compound kind, read each other.
fn promotes(reader: &Kind, writer: &Kind) -> bool {
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

fn lacking(writer: &Kind) -> String {
    format!("reader union lacking writer type: {}", upper(writer))
}

fn upper(kind: &Kind) -> String {
    kind.type_name().to_ascii_uppercase()
}

fn too_costly() -> String {
    format!(
        "schemas too large to compare, more than {MAX_STEPS} steps or {MAX_PAIRS} pairs of types"
    )
}
