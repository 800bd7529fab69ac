//! Java's `SchemaCompatibility`, without recursion: pairs of types in progress are frames on a
//! stack of their own, since a recursive reader and a recursive writer can make a chain of
//! pairs as long as the product of their lengths.

use std::collections::HashMap;
use std::rc::Rc;

use super::found::{Found, Paths, Token};
use super::plain::{fits, promotes};
use super::{Incompatibility, IncompatibilityKind};
use crate::schema::{Enum, Kind, Name, NodeId, Record, Schema};

/// Incompatibilities that are listed. Java lists those of a pair of records once for every
/// place that has the pair, which can be more than any memory holds; ten thousand are more
/// than anyone reads, and all different ones of schemas that people write.
const MAX_LISTED: usize = 10_000;

/// Bytes of paths and messages that are listed; one message can name all symbols of an enum.
const MAX_LISTED_BYTES: usize = 16 << 20;

/// Pairs of types, fields and branches that are looked at: about a second's work. Schemas that
/// people write need a thousandth of it.
const MAX_STEPS: u64 = 10_000_000;

/// Pairs that are remembered, some 50 MB: two unions of 500 named types each.
const MAX_PAIRS: usize = 250_000;

/// Searches through a record's fields before an index of them is made, which costs as much as some.
const MAX_SEARCHES: usize = 8;

/// All reasons why `reader` can't read what `writer` wrote; empty where it can.
///
/// At most 10,000 are listed, and 16 MiB of them. Schemas too large to compare give a single
/// [`IncompatibilityKind::NotComparable`].
#[must_use]
pub fn incompatibilities(reader: &Schema, writer: &Schema) -> Vec<Incompatibility> {
    let mut checker = Checker {
        reader,
        writer,
        results: HashMap::new(),
        paths: Paths::default(),
        frames: Vec::new(),
        fields: HashMap::new(),
        steps: MAX_STEPS,
    };
    match checker.run() {
        Ok(outcome) => checker.list(&outcome),
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
    One(Found),
    Of(Outcome),
}

impl Outcome {
    fn compatible(&self) -> bool {
        self.parts.is_none()
    }

    fn of(parts: Vec<Part>) -> Self {
        Self {
            parts: (!parts.is_empty()).then(|| Rc::new(parts)),
        }
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

/// A pair of types that is being compared.
struct Frame {
    reader: NodeId,
    writer: NodeId,
    path: u32,
    /// The next child.
    next: usize,
    /// Of a record: the place of the writer's field behind the one found last, where the next one
    /// usually is.
    expected: usize,
    /// Of a record: how often the writer's fields were gone through.
    searches: usize,
    parts: Vec<Part>,
}

/// What to do next.
enum Next {
    /// Compare a child. It is reached by these steps from the pair's path, or has a path of its
    /// own, which Java then shows wherever the child turns up again.
    Child(NodeId, NodeId, Option<Vec<Token>>),
    Done,
}

struct Checker<'a> {
    reader: &'a Schema,
    writer: &'a Schema,
    /// Verdicts by pair; none yet while the pair is in progress.
    results: HashMap<(NodeId, NodeId), Option<Outcome>>,
    paths: Paths,
    frames: Vec<Frame>,
    /// Places of the fields of the writer's records, by name.
    fields: HashMap<NodeId, HashMap<&'a str, usize>>,
    steps: u64,
}

impl<'a> Checker<'a> {
    fn run(&mut self) -> Result<Outcome, String> {
        let mut given = self.begin(self.reader.root(), self.writer.root(), Paths::ROOT, &[])?;
        loop {
            let Some(mut frame) = self.frames.pop() else {
                return Ok(given.unwrap_or_default());
            };
            if let Some(outcome) = given.take() {
                self.take(&mut frame, outcome);
            }
            match self.advance(&mut frame)? {
                Next::Child(reader, writer, tokens) => {
                    let (base, tokens) = match tokens {
                        Some(tokens) => (frame.path, tokens),
                        None => (Paths::ROOT, Vec::new()),
                    };
                    self.frames.push(frame);
                    given = self.begin(reader, writer, base, &tokens)?;
                }
                Next::Done => {
                    let outcome = Outcome::of(frame.parts);
                    self.results
                        .insert((frame.reader, frame.writer), Some(outcome.clone()));
                    given = Some(outcome);
                }
            }
        }
    }

    /// All incompatibilities in order, up to the limits.
    fn list(&self, outcome: &Outcome) -> Vec<Incompatibility> {
        let mut list: Vec<Incompatibility> = Vec::new();
        let mut bytes = 0;
        let mut open: Vec<(&[Part], usize)> = Vec::new();
        open.extend(outcome.parts.as_ref().map(|parts| (parts.as_slice(), 0)));
        while let Some((parts, at)) = open.pop() {
            let Some(part) = parts.get(at) else {
                continue;
            };
            open.push((parts, at + 1));
            match part {
                Part::One(found) => {
                    let one = found.describe(self.reader, self.writer, &self.paths);
                    bytes += one.path.len() + one.message.len();
                    list.push(one);
                }
                Part::Of(outcome) => {
                    open.extend(outcome.parts.as_ref().map(|parts| (parts.as_slice(), 0)));
                }
            }
            if list.len() >= MAX_LISTED || bytes >= MAX_LISTED_BYTES {
                break;
            }
        }
        list
    }

    fn spend(&mut self, steps: usize) -> Result<(), String> {
        self.steps = self
            .steps
            .checked_sub(steps as u64)
            .ok_or_else(too_costly)?;
        Ok(())
    }

    /// Java's `getCompatibility`: the verdict, or a new frame.
    fn begin(
        &mut self,
        reader: NodeId,
        writer: NodeId,
        base: u32,
        tokens: &[Token],
    ) -> Result<Option<Outcome>, String> {
        self.spend(1)?;
        match self.results.get(&(reader, writer)) {
            Some(Some(outcome)) => return Ok(Some(outcome.clone())),
            // In progress: compatible unless proven otherwise.
            Some(None) => return Ok(Some(Outcome::default())),
            None => {}
        }
        if self.results.len() >= MAX_PAIRS {
            return Err(too_costly());
        }
        self.results.insert((reader, writer), None);
        let path = self.paths.extend(base, tokens);
        self.frames.push(Frame {
            reader,
            writer,
            path,
            next: 0,
            expected: 0,
            searches: 0,
            parts: Vec::new(),
        });
        Ok(None)
    }

    /// Adds an incompatibility of the pair itself.
    fn add(&mut self, frame: &mut Frame, kind: IncompatibilityKind, tokens: &[Token]) {
        self.add_with(frame, kind, tokens, frame.writer);
    }

    fn add_with(
        &mut self,
        frame: &mut Frame,
        kind: IncompatibilityKind,
        tokens: &[Token],
        writer: NodeId,
    ) {
        let path = self.paths.extend(frame.path, tokens);
        frame.parts.push(Part::One(Found {
            kind,
            path,
            reader: frame.reader,
            writer,
        }));
    }

    fn kinds(&self, frame: &Frame) -> (&'a Kind, &'a Kind) {
        (
            &self.reader.node(frame.reader).kind,
            &self.writer.node(frame.writer).kind,
        )
    }

    /// A child's verdict has come.
    fn take(&mut self, frame: &mut Frame, outcome: Outcome) {
        match self.kinds(frame) {
            (Kind::Union(_), Kind::Union(branches)) => {
                let at = frame.next - 1;
                if !outcome.compatible()
                    && let Some(branch) = branches.get(at)
                {
                    let kind = IncompatibilityKind::MissingUnionBranch;
                    self.add_with(frame, kind, &[Token::At(at)], *branch);
                }
            }
            (Kind::Union(branches), _) => {
                if outcome.compatible() {
                    frame.next = usize::MAX;
                } else if frame.next >= branches.len() {
                    self.add(frame, IncompatibilityKind::MissingUnionBranch, &[]);
                }
            }
            _ => {
                if !outcome.compatible() {
                    frame.parts.push(Part::Of(outcome));
                }
            }
        }
    }

    /// The next child of the pair, or the last checks on it.
    fn advance(&mut self, frame: &mut Frame) -> Result<Next, String> {
        let (reader, writer) = self.kinds(frame);
        let at = frame.next;
        frame.next = at.saturating_add(1);
        let (own_reader, own_writer) = (frame.reader, frame.writer);
        Ok(match (reader, writer) {
            (Kind::Array(r), Kind::Array(w)) if at == 0 => {
                Next::Child(*r, *w, Some(vec![Token::Word("items")]))
            }
            (Kind::Map(r), Kind::Map(w)) if at == 0 => {
                Next::Child(*r, *w, Some(vec![Token::Word("values")]))
            }
            (Kind::Array(_), Kind::Array(_)) | (Kind::Map(_), Kind::Map(_)) => Next::Done,
            (Kind::Union(_), Kind::Union(branches)) => match branches.get(at) {
                Some(branch) => Next::Child(own_reader, *branch, None),
                None => Next::Done,
            },
            (_, Kind::Union(branches)) => match branches.get(at) {
                Some(branch) => Next::Child(own_reader, *branch, Some(vec![Token::At(at)])),
                None => Next::Done,
            },
            (Kind::Union(branches), _) => match branches.get(at) {
                Some(branch) => Next::Child(*branch, own_writer, None),
                None => {
                    if branches.is_empty() {
                        self.add(frame, IncompatibilityKind::MissingUnionBranch, &[]);
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
                self.symbols(frame, r, w)?;
                Next::Done
            }
            (Kind::Fixed(r), Kind::Fixed(w)) => {
                self.names(frame, reader, writer);
                if r.size != w.size {
                    let kind = IncompatibilityKind::FixedSizeMismatch;
                    self.add(frame, kind, &[Token::Word("size")]);
                }
                Next::Done
            }
            _ => {
                if !promotes(reader, writer) {
                    self.add(frame, IncompatibilityKind::TypeMismatch, &[]);
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
            self.spend(1 + field.aliases.len())?;
            let mut matching: Option<usize> = None;
            for name in std::iter::once(&field.name).chain(&field.aliases) {
                let Some(place) = self.place_of(frame, w, name)? else {
                    continue;
                };
                if matching.is_none() {
                    matching = Some(place);
                    continue;
                }
                return Err(format!(
                    "Reader record field {} type:{} pos:{at} matches multiple fields in writer record schema {}",
                    field.name,
                    self.reader
                        .node(field.node)
                        .kind
                        .type_name()
                        .to_ascii_uppercase(),
                    self.writer.node_text(frame.writer),
                ));
            }
            let path = [Token::Word("fields"), Token::At(at)];
            let other = match matching.and_then(|place| w.fields.get(place)) {
                Some(other) => Some(other.node),
                None if field.default.is_some() => None,
                // Java's quirk: an enum that has a default is compared with the whole record.
                None => match &self.reader.node(field.node).kind {
                    Kind::Enum(symbols) if symbols.default.is_some() => Some(frame.writer),
                    _ => {
                        self.add(
                            frame,
                            IncompatibilityKind::ReaderFieldMissingDefaultValue,
                            &path,
                        );
                        None
                    }
                },
            };
            if let Some(other) = other {
                if let Some(pairs) = fits((self.reader, self.writer), field.node, other) {
                    self.spend(pairs)?;
                    frame.next += 1;
                    continue;
                }
                let [fields, at] = path;
                let path = vec![fields, at, Token::Word("type")];
                return Ok(Next::Child(field.node, other, Some(path)));
            }
            frame.next += 1;
        }
    }

    /// The place of the writer's field with this name. Versions of a record differ in few fields,
    /// which are searched for; where more are missing or moved, by an index. Both cost as much as
    /// the writer has fields.
    fn place_of(
        &mut self,
        frame: &mut Frame,
        w: &'a Record,
        name: &str,
    ) -> Result<Option<usize>, String> {
        let has_name = |place: &usize| {
            let field = w.fields.get(*place);
            field.is_some_and(|field| field.name == name)
        };
        let expected = Some(frame.expected).filter(has_name);
        let place = if expected.is_some() {
            expected
        } else if frame.searches < MAX_SEARCHES {
            frame.searches += 1;
            self.spend(w.fields.len())?;
            (0..w.fields.len()).find(has_name)
        } else {
            if !self.fields.contains_key(&frame.writer) {
                self.spend(w.fields.len())?;
            }
            let by_name = self.fields.entry(frame.writer).or_insert_with(|| {
                let fields = w.fields.iter().enumerate();
                fields
                    .map(|(place, field)| (field.name.as_str(), place))
                    .collect()
            });
            by_name.get(name).copied()
        };
        if let Some(place) = place {
            frame.expected = place + 1;
        }
        Ok(place)
    }

    /// Java's `checkReaderEnumContainsAllWriterEnumSymbols`.
    fn symbols(&mut self, frame: &mut Frame, r: &Enum, w: &Enum) -> Result<(), String> {
        if r.default.is_some() || r.symbols == w.symbols {
            return Ok(());
        }
        self.spend(r.symbols.len() + w.symbols.len())?;
        if super::found::missing_symbols(r, w).next().is_some() {
            self.add(
                frame,
                IncompatibilityKind::MissingEnumSymbols,
                &[Token::Word("symbols")],
            );
        }
        Ok(())
    }

    /// Java's `checkSchemaNames`.
    fn names(&mut self, frame: &mut Frame, reader: &Kind, writer: &Kind) {
        let (Some(r), Some(w)) = (reader.name(), writer.name()) else {
            return;
        };
        // An alias in no namespace, of a type in one, reads as `.name` there and matches nothing.
        let matches = |alias: &Name| {
            alias.full() == w.full() && (alias.namespace().is_some() || r.namespace().is_none())
        };
        if r.unqualified() != w.unqualified() && !reader.aliases().iter().any(matches) {
            self.add(
                frame,
                IncompatibilityKind::NameMismatch,
                &[Token::Word("name")],
            );
        }
    }
}

fn too_costly() -> String {
    format!(
        "schemas too large to compare, more than {MAX_STEPS} steps or {MAX_PAIRS} pairs of types"
    )
}
