//! A JSON text as a flat list of values that point into it.
//!
//! Numbers stay text, so that 64-bit and decimal digits stay exact, and strings
//! are unescaped only when asked for. The list is kept from line to line: a
//! warm reader takes no memory of its own.

use std::borrow::Cow;

use super::fault::Syntax;

/// Arrays and objects within each other, at most. A datum nests no deeper than
/// [`meshwork_avro::validator::MAX_DEPTH`], with a tag for each union at most.
const MAX_DEPTH: usize = 2 * meshwork_avro::validator::MAX_DEPTH as usize + 2;

/// Longest text: positions are 32 bits.
const MAX_LENGTH: usize = 1 << 30;

/// One value. Positions in the text are of what is between the quotes.
#[derive(Copy, Clone, Debug)]
pub(super) enum Token {
    Null,
    Bool(bool),
    Number {
        from: u32,
        to: u32,
    },
    Text {
        from: u32,
        to: u32,
        escaped: bool,
    },
    /// Its items follow; `end` is one past the last.
    Array {
        end: u32,
    },
    /// Its keys (a [`Token::Text`] each) and values follow by turns.
    Object {
        end: u32,
    },
}

/// The tokens of one JSON text.
#[derive(Debug, Default)]
pub(super) struct Tape {
    tokens: Vec<Token>,
    open: Vec<u32>,
}

/// A read text, to look around in.
#[derive(Copy, Clone)]
pub(super) struct Document<'a> {
    text: &'a str,
    tokens: &'a [Token],
}

impl Tape {
    /// Reads one JSON value, with nothing but white space around it.
    pub(super) fn read<'a>(&'a mut self, text: &'a str) -> Result<Document<'a>, Syntax> {
        self.tokens.clear();
        self.open.clear();
        if text.len() > MAX_LENGTH {
            return Err(Syntax {
                at: MAX_LENGTH,
                what: "the text is longer than 1 GiB",
            });
        }
        Reader {
            text: text.as_bytes(),
            at: 0,
            tape: self,
        }
        .document()?;
        Ok(Document {
            text,
            tokens: &self.tokens,
        })
    }
}

impl<'a> Document<'a> {
    /// The value at a place; the whole is at 0.
    pub(super) fn token(self, at: usize) -> Token {
        self.tokens.get(at).copied().unwrap_or(Token::Null)
    }

    /// The place after a value.
    pub(super) fn after(self, at: usize) -> usize {
        match self.token(at) {
            Token::Array { end } | Token::Object { end } => end as usize,
            _ => at + 1,
        }
    }

    /// The text of a number.
    pub(super) fn number(self, from: u32, to: u32) -> &'a str {
        self.text
            .get(from as usize..to as usize)
            .unwrap_or_default()
    }

    /// The text of a string.
    pub(super) fn string(self, from: u32, to: u32, escaped: bool) -> Cow<'a, str> {
        let raw = self
            .text
            .get(from as usize..to as usize)
            .unwrap_or_default();
        if escaped {
            Cow::Owned(unescape(raw))
        } else {
            Cow::Borrowed(raw)
        }
    }

    /// The key at a place.
    pub(super) fn key(self, at: usize) -> Cow<'a, str> {
        match self.token(at) {
            Token::Text { from, to, escaped } => self.string(from, to, escaped),
            _ => Cow::Borrowed(""),
        }
    }

    /// The single member of an object: its key and the place of its value.
    pub(super) fn only_member(self, at: usize) -> Option<(Cow<'a, str>, usize)> {
        let Token::Object { end } = self.token(at) else {
            return None;
        };
        let value = at + 2;
        (value < end as usize && self.after(value) == end as usize)
            .then(|| (self.key(at + 1), value))
    }
}

struct Reader<'t, 'p> {
    text: &'t [u8],
    at: usize,
    tape: &'p mut Tape,
}

/// What may stand next.
enum Next {
    Value,
    ValueOrEnd,
    KeyOrEnd,
    Key,
    CommaOrEnd,
    Nothing,
}

impl Reader<'_, '_> {
    fn document(mut self) -> Result<(), Syntax> {
        let mut next = Next::Value;
        loop {
            self.space();
            next = match (next, self.peek()) {
                (Next::Nothing, None) => return Ok(()),
                (Next::Nothing, Some(_)) => return self.fault("text after the value"),
                (_, None) => return self.fault("the text ends within a value"),
                (Next::ValueOrEnd, Some(b']'))
                | (Next::KeyOrEnd, Some(b'}'))
                | (Next::CommaOrEnd, Some(b']' | b'}')) => self.close()?,
                (Next::CommaOrEnd, Some(b',')) => {
                    self.at += 1;
                    if self.in_object() {
                        Next::Key
                    } else {
                        Next::Value
                    }
                }
                (Next::CommaOrEnd, Some(_)) if self.in_object() => {
                    return self.fault("expected , or } here");
                }
                (Next::CommaOrEnd, Some(_)) => return self.fault("expected , or ] here"),
                (Next::Key | Next::KeyOrEnd, Some(b'"')) => {
                    self.string()?;
                    self.space();
                    if self.peek() != Some(b':') {
                        return self.fault("expected : here");
                    }
                    self.at += 1;
                    Next::Value
                }
                (Next::Key | Next::KeyOrEnd, Some(_)) => {
                    return self.fault("expected a name in quotes here");
                }
                (Next::Value | Next::ValueOrEnd, Some(first)) => self.value(first)?,
            };
        }
    }

    fn value(&mut self, first: u8) -> Result<Next, Syntax> {
        match first {
            b'"' => self.string()?,
            b'{' => {
                self.open(Token::Object { end: 0 })?;
                return Ok(Next::KeyOrEnd);
            }
            b'[' => {
                self.open(Token::Array { end: 0 })?;
                return Ok(Next::ValueOrEnd);
            }
            b'-' | b'0'..=b'9' => self.number()?,
            _ => {
                let (word, token) = match first {
                    b't' => (&b"true"[..], Token::Bool(true)),
                    b'f' => (&b"false"[..], Token::Bool(false)),
                    b'n' => (&b"null"[..], Token::Null),
                    _ => return self.fault("expected a value here"),
                };
                if !self.rest().starts_with(word) {
                    return self.fault("expected a value here");
                }
                self.at += word.len();
                self.tape.tokens.push(token);
            }
        }
        Ok(self.after_value())
    }

    fn after_value(&self) -> Next {
        if self.tape.open.is_empty() {
            Next::Nothing
        } else {
            Next::CommaOrEnd
        }
    }

    fn in_object(&self) -> bool {
        let open = self
            .tape
            .open
            .last()
            .and_then(|at| self.tape.tokens.get(*at as usize));
        matches!(open, Some(Token::Object { .. }))
    }

    fn open(&mut self, token: Token) -> Result<(), Syntax> {
        if self.tape.open.len() >= MAX_DEPTH {
            return self.fault("nested too deep");
        }
        self.tape.open.push(position(self.tape.tokens.len()));
        self.tape.tokens.push(token);
        self.at += 1;
        Ok(())
    }

    fn close(&mut self) -> Result<Next, Syntax> {
        let past = position(self.tape.tokens.len());
        let closing = self.peek();
        let open = self
            .tape
            .open
            .pop()
            .and_then(|at| self.tape.tokens.get_mut(at as usize));
        match (open, closing) {
            (Some(Token::Array { end }), Some(b']'))
            | (Some(Token::Object { end }), Some(b'}')) => *end = past,
            _ => return self.fault("this bracket closes nothing"),
        }
        self.at += 1;
        Ok(self.after_value())
    }

    fn string(&mut self) -> Result<(), Syntax> {
        self.at += 1;
        let from = self.at;
        let mut escaped = false;
        loop {
            // Up to the next byte that means something.
            let plain = self
                .rest()
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f));
            let Some(plain) = plain else {
                return self.fault("the text ends within a string");
            };
            self.at += plain;
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return self.fault("a control character within a string; write \\u00XX"),
            }
        }
        let (from, to) = (position(from), position(self.at));
        self.tape.tokens.push(Token::Text { from, to, escaped });
        self.at += 1;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Syntax> {
        let start = self.at;
        match self.rest().get(1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => match self.rest().get(2..6).and_then(hex) {
                Some(0xd800..=0xdbff) => {
                    let low = self.rest().get(6..12).filter(|low| low.starts_with(b"\\u"));
                    match low.and_then(|low| low.get(2..)).and_then(hex) {
                        Some(0xdc00..=0xdfff) => self.at += 12,
                        _ => return self.fault("half of a surrogate pair"),
                    }
                }
                Some(0xdc00..=0xdfff) => return self.fault("half of a surrogate pair"),
                Some(_) => self.at += 6,
                None => return self.fault("\\u takes four hexadecimal digits"),
            },
            _ => {
                self.at = start;
                return self.fault("no such escape");
            }
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Syntax> {
        let from = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let leading = self.peek();
        let whole = self.digits();
        if whole == 0 {
            return self.fault("expected a digit here");
        }
        if leading == Some(b'0') && whole > 1 {
            self.at = from;
            return self.fault("a number with a leading zero");
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return self.fault("expected a digit here");
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return self.fault("expected a digit here");
            }
        }
        let (from, to) = (position(from), position(self.at));
        self.tape.tokens.push(Token::Number { from, to });
        Ok(())
    }

    fn digits(&mut self) -> usize {
        let count = self
            .rest()
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        self.at += count;
        count
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn fault<T>(&self, what: &'static str) -> Result<T, Syntax> {
        Err(Syntax { at: self.at, what })
    }
}

/// A position in a text of at most [`MAX_LENGTH`].
fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| {
        char::from(*digit)
            .to_digit(16)
            .map(|digit| value * 16 + digit)
    })
}

/// Undoes the escapes of a string that has been checked.
fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let kind = escape.as_bytes().first().copied().unwrap_or_default();
        let mut length = 1;
        match kind {
            b'b' => text.push('\u{8}'),
            b'f' => text.push('\u{c}'),
            b'n' => text.push('\n'),
            b'r' => text.push('\r'),
            b't' => text.push('\t'),
            b'u' => {
                let unit = |from: usize| {
                    escape
                        .as_bytes()
                        .get(from..from + 4)
                        .and_then(hex)
                        .unwrap_or_default()
                };
                let high = unit(1);
                length = 5;
                let code = if (0xd800..0xdc00).contains(&high) {
                    length = 11;
                    0x1_0000 + ((high - 0xd800) << 10) + (unit(7).saturating_sub(0xdc00))
                } else {
                    high
                };
                text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            other => text.push(char::from(other)),
        }
        rest = escape.get(length..).unwrap_or_default();
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text again, from the tokens.
    fn print(document: Document<'_>, at: usize, out: &mut String) {
        match document.token(at) {
            Token::Null => out.push_str("null"),
            Token::Bool(value) => out.push_str(if value { "true" } else { "false" }),
            Token::Number { from, to } => out.push_str(document.number(from, to)),
            Token::Text { from, to, escaped } => {
                out.push_str(&format!("{:?}", document.string(from, to, escaped)));
            }
            Token::Array { end } => {
                out.push('[');
                let mut item = at + 1;
                while item < end as usize {
                    print(document, item, out);
                    out.push(',');
                    item = document.after(item);
                }
                out.push(']');
            }
            Token::Object { end } => {
                out.push('{');
                let mut member = at + 1;
                while member < end as usize {
                    print(document, member, out);
                    out.push(':');
                    print(document, member + 1, out);
                    out.push(',');
                    member = document.after(member + 1);
                }
                out.push('}');
            }
        }
    }

    #[test]
    fn reads_json_and_says_where_it_is_not() {
        let cases: &[(&str, Result<&str, usize>)] = &[
            ("null", Ok("null")),
            (" [ ] ", Ok("[]")),
            ("{}", Ok("{}")),
            (
                r#"{"a":[1,-0.5e+3,{"b":true}],"c":""}"#,
                Ok(r#"{"a":[1,-0.5e+3,{"b":true,},],"c":"",}"#),
            ),
            (r#""\n\/\u00e9\ud834\udd1e\\""#, Ok("\"\\n/é𝄞\\\\\"")),
            ("9007199254740993", Ok("9007199254740993")),
            ("", Err(0)),
            ("[1,]", Err(3)),
            ("{\"a\":1,}", Err(7)),
            ("[1 2]", Err(3)),
            ("{\"a\" 1}", Err(5)),
            ("01", Err(0)),
            ("1.", Err(2)),
            ("1e", Err(2)),
            ("-", Err(1)),
            ("nul", Err(0)),
            ("null x", Err(5)),
            ("[1}", Err(2)),
            ("\"a", Err(1)),
            ("\"\u{1}\"", Err(1)),
            ("\"\\x\"", Err(1)),
            ("\"\\ud834\"", Err(1)),
            ("\"\\udd1e\"", Err(1)),
            ("{a:1}", Err(1)),
            ("]", Err(0)),
        ];
        let mut tape = Tape::default();
        for (text, expected) in cases {
            let read = tape.read(text).map(|document| {
                let mut out = String::new();
                print(document, 0, &mut out);
                out
            });
            match (read, expected) {
                (Ok(read), Ok(expected)) => assert_eq!(read, *expected, "{text}"),
                (Err(syntax), Err(at)) => assert_eq!(syntax.at, *at, "{text}: {}", syntax.what),
                (read, expected) => panic!("{text}: {read:?}, expected {expected:?}"),
            }
        }
        let deep = "[".repeat(10_000);
        assert_eq!(
            tape.read(&deep).map(|_| ()).unwrap_err().what,
            "nested too deep"
        );
    }
}
