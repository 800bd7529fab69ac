//! Places in text files.

use std::fmt;

/// A place in a text file, both counted from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

impl Position {
    /// The beginning of a file.
    pub const START: Self = Self { line: 1, column: 1 };

    /// The place of a byte of `text`; its end if it is shorter.
    #[must_use]
    pub fn of_byte(text: &str, offset: usize) -> Self {
        let mut at = Self::START;
        for (i, c) in text.char_indices() {
            if i >= offset {
                break;
            }
            if c == '\n' {
                at.line = at.line.saturating_add(1);
                at.column = 1;
            } else {
                at.column = at.column.saturating_add(1);
            }
        }
        at
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Deepest nesting that [`JsonPlaces`] follows; Avro schemas are allowed less.
const MAX_DEPTH: usize = 512;

/// A step into a JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The member of this name.
    Member(String),
    /// The element of this index.
    Element(usize),
}

/// Finds the places of values in a JSON text by their path.
#[derive(Clone, Debug)]
pub struct JsonPlaces<'a> {
    text: &'a str,
    /// Byte at which each line starts.
    lines: Vec<usize>,
}

impl<'a> JsonPlaces<'a> {
    /// Of this text. It need not be sound: what can't be found has no place.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        Self {
            text,
            lines: std::iter::once(0)
                .chain(breaks.map(|(i, _)| i + 1))
                .collect(),
        }
    }

    /// Place of the value at `path` from the root.
    #[must_use]
    pub fn of(&self, path: &[Step]) -> Option<Position> {
        let scan = self.scan_to(path)?;
        scan.peek().map(|_| self.position(scan.at))
    }

    /// The elements of the array at `path` that have a `name`, each with its place: a record's
    /// fields.
    #[must_use]
    pub fn named_elements(&self, path: &[Step]) -> Vec<(String, Position)> {
        let mut found = Vec::new();
        let Some(mut scan) = self.scan_to(path) else {
            return found;
        };
        if scan.take(b'[').is_none() {
            return found;
        }
        loop {
            scan.blanks();
            let start = scan.at;
            let mut inner = Scan { ..scan };
            if let Some(name) = inner.enter_member("name").and_then(|()| inner.string()) {
                found.push((name, self.position(start)));
            }
            if scan.skip_value().is_none() || scan.take(b',').is_none() {
                return found;
            }
        }
    }

    fn scan_to(&self, path: &[Step]) -> Option<Scan<'a>> {
        let mut scan = Scan {
            bytes: self.text.as_bytes(),
            at: 0,
        };
        for step in path {
            match step {
                Step::Member(name) => scan.enter_member(name)?,
                Step::Element(index) => scan.enter_element(*index)?,
            }
        }
        scan.blanks();
        Some(scan)
    }

    fn position(&self, byte: usize) -> Position {
        let line = self.lines.partition_point(|start| *start <= byte);
        let start = self.lines.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let column = self.text.get(start..byte).map_or(0, |t| t.chars().count());
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Position {
            line: narrow(line.max(1)),
            column: narrow(column.saturating_add(1)),
        }
    }
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.blanks();
        (self.peek() == Some(byte)).then(|| self.at += 1)
    }

    /// The string at this place, without its quotes; escapes are decoded.
    fn string(&mut self) -> Option<String> {
        self.blanks();
        let start = self.at;
        self.skip_string()?;
        let raw = self.bytes.get(start..self.at)?;
        serde_json::from_slice(raw).ok()
    }

    fn skip_string(&mut self) -> Option<()> {
        self.take(b'"')?;
        loop {
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(());
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
    }

    /// Over one value, without recursion.
    fn skip_value(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            self.blanks();
            match self.peek()? {
                b'"' => self.skip_string()?,
                b'{' | b'[' => {
                    depth += 1;
                    if depth > MAX_DEPTH {
                        return None;
                    }
                    self.at += 1;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' => self.at += 1,
                _ => {
                    while !matches!(
                        self.peek(),
                        None | Some(
                            b',' | b':'
                                | b'}'
                                | b']'
                                | b'{'
                                | b'['
                                | b'"'
                                | b' '
                                | b'\t'
                                | b'\r'
                                | b'\n'
                        )
                    ) {
                        self.at += 1;
                    }
                }
            }
            if depth == 0 {
                return Some(());
            }
        }
    }

    fn enter_member(&mut self, name: &str) -> Option<()> {
        self.take(b'{')?;
        loop {
            let key = self.string()?;
            self.take(b':')?;
            if key == name {
                return Some(());
            }
            self.skip_value()?;
            self.take(b',')?;
        }
    }

    fn enter_element(&mut self, index: usize) -> Option<()> {
        self.take(b'[')?;
        for _ in 0..index {
            self.skip_value()?;
            self.take(b',')?;
        }
        self.blanks();
        (self.peek() != Some(b']')).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str) -> Step {
        Step::Member(name.to_owned())
    }

    #[test]
    fn finds_values_by_path() {
        let text = "{\n  \"name\": \"R\", \"x\": {\"y\": [1, \"],}\\\"\", [true]]},\n  \"fields\": [\n    {\"name\": \"a\"},\n    {\"name\": \"é\", \"type\": \"int\"}\n  ]\n}";
        let places = JsonPlaces::new(text);
        let at = |line, column| Some(Position { line, column });
        assert_eq!(places.of(&[]), at(1, 1));
        assert_eq!(places.of(&[member("name")]), at(2, 11));
        assert_eq!(
            places.of(&[member("x"), member("y"), Step::Element(2), Step::Element(0)]),
            at(2, 41)
        );
        assert_eq!(
            places.of(&[member("fields"), Step::Element(1), member("type")]),
            at(5, 27)
        );
        let fields = places.named_elements(&[member("fields")]);
        assert_eq!(
            fields,
            [
                ("a".to_owned(), Position { line: 4, column: 5 }),
                ("é".to_owned(), Position { line: 5, column: 5 })
            ]
        );
        assert_eq!(places.named_elements(&[member("x")]), []);
        assert_eq!(places.of(&[member("fields"), Step::Element(2)]), None);
        assert_eq!(places.of(&[member("none")]), None);
    }

    #[test]
    fn unsound_text_has_no_places_and_does_no_harm() {
        for text in [
            "",
            "{",
            "[",
            "{\"a",
            "{\"a\": \"\\",
            "]]]]",
            "{\"a\" 1}",
            "[1 2",
        ] {
            let places = JsonPlaces::new(text);
            let _ = places.of(&[member("a"), Step::Element(1)]);
            let _ = places.named_elements(&[]);
        }
        let deep = "[".repeat(100_000);
        assert_eq!(JsonPlaces::new(&deep).of(&[Step::Element(1)]), None);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in ".{0,60}", index in 0usize..4) {
            let places = JsonPlaces::new(&text);
            let _ = places.of(&[Step::Element(index), member("a")]);
            let _ = places.named_elements(&[Step::Element(index)]);
            let _ = Position::of_byte(&text, index);
        }
    }
}
