//! Reads JSON text with Jackson's rules, without recursion.

use thiserror::Error;

use super::{Json, Number};

/// Bounds on what is read.
#[derive(Copy, Clone, Debug)]
pub struct JsonLimits {
    /// Levels of arrays and objects within each other. Jackson's own limit, so that what is
    /// read here can be read by every Java tool, and the other way round.
    pub depth: usize,
    /// Digits and signs of one number; Jackson's own limit.
    pub number_length: usize,
    /// Bytes of one object key; Jackson's own limit.
    pub key_length: usize,
}

impl Default for JsonLimits {
    fn default() -> Self {
        Self {
            depth: 1_000,
            number_length: 1_000,
            key_length: 50_000,
        }
    }
}

/// Why a text is not JSON, and where.
#[derive(Clone, Debug, Error, Eq, PartialEq)]
#[error("invalid JSON at byte {offset}: {fault}")]
pub struct JsonError {
    /// Position in the text, in bytes.
    pub offset: usize,
    /// What is wrong there.
    pub fault: JsonFault,
}

/// What is wrong with a JSON text.
#[derive(Copy, Clone, Debug, Error, Eq, PartialEq)]
#[non_exhaustive]
pub enum JsonFault {
    /// The text ends within a value.
    #[error("the text ends too early")]
    UnexpectedEnd,
    /// A character that cannot stand there.
    #[error("unexpected character {0:?}")]
    Unexpected(char),
    /// A control character in a string.
    #[error("control character in a string, write it as an escape")]
    ControlCharacter,
    /// A backslash followed by something else than JSON knows.
    #[error("unknown escape")]
    Escape,
    /// A number that JSON does not know.
    #[error("malformed number")]
    Number,
    /// More levels than the limit.
    #[error("more than {0} levels of arrays and objects")]
    TooDeep(usize),
    /// A number longer than the limit.
    #[error("number longer than {0} characters")]
    NumberTooLong(usize),
    /// A key longer than the limit.
    #[error("object key longer than {0} bytes")]
    KeyTooLong(usize),
    /// Something after the value.
    #[error("text after the end of the value")]
    Trailing,
}

/// An array or object that is not closed yet.
enum Open {
    Array(Vec<Json>),
    Object { members: Members, key: String },
}

/// The members of an object while it is read: a repeated key keeps its place.
#[derive(Default)]
struct Members {
    list: Vec<(String, Json)>,
    /// Places by key, kept once there are too many to look through.
    index: std::collections::HashMap<String, usize>,
}

impl Members {
    const LOOK_THROUGH: usize = 16;

    fn put(&mut self, key: String, value: Json) {
        let place = if self.index.is_empty() {
            self.list.iter().position(|(name, _)| *name == key)
        } else {
            self.index.get(&key).copied()
        };
        if let Some((_, old)) = place.and_then(|place| self.list.get_mut(place)) {
            *old = value;
            return;
        }
        if !self.index.is_empty() {
            self.index.insert(key.clone(), self.list.len());
        }
        self.list.push((key, value));
        if self.index.is_empty() && self.list.len() >= Self::LOOK_THROUGH {
            self.index = self
                .list
                .iter()
                .enumerate()
                .map(|(at, (name, _))| (name.clone(), at))
                .collect();
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    limits: JsonLimits,
}

pub(super) fn parse(text: &str, limits: &JsonLimits) -> Result<Json, JsonError> {
    let mut reader = Reader {
        text,
        at: 0,
        limits: *limits,
    };
    let value = reader.value()?;
    // As `String.trim` in Java: everything up to the space counts as white.
    let rest = text.get(reader.at..).unwrap_or_default();
    if rest.chars().any(|c| c > ' ') {
        return reader.fail(JsonFault::Trailing);
    }
    Ok(value)
}

impl Reader<'_> {
    fn fail<T>(&self, fault: JsonFault) -> Result<T, JsonError> {
        Err(JsonError {
            offset: self.at,
            fault,
        })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn unexpected<T>(&self) -> Result<T, JsonError> {
        match self
            .text
            .get(self.at..)
            .and_then(|rest| rest.chars().next())
        {
            Some(c) => self.fail(JsonFault::Unexpected(c)),
            None => self.fail(JsonFault::UnexpectedEnd),
        }
    }

    /// Skips white space and comments.
    fn space(&mut self) -> Result<(), JsonError> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(b'/') => self.comment()?,
                _ => return Ok(()),
            }
        }
    }

    fn comment(&mut self) -> Result<(), JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if rest.starts_with("//") {
            let end = rest.find(['\n', '\r']).unwrap_or(rest.len());
            self.at += end;
            Ok(())
        } else if let Some(body) = rest.strip_prefix("/*") {
            match body.find("*/") {
                Some(end) => {
                    self.at += end + 4;
                    Ok(())
                }
                None => self.fail(JsonFault::UnexpectedEnd),
            }
        } else {
            self.unexpected()
        }
    }

    fn value(&mut self) -> Result<Json, JsonError> {
        let mut open: Vec<Open> = Vec::new();
        loop {
            self.space()?;
            // A value, or the end of an empty container.
            let mut done = match self.peek() {
                Some(b'[') => {
                    self.enter(open.len())?;
                    open.push(Open::Array(Vec::new()));
                    self.space()?;
                    if self.peek() != Some(b']') {
                        continue;
                    }
                    self.at += 1;
                    open.pop();
                    Json::Array(Vec::new())
                }
                Some(b'{') => {
                    self.enter(open.len())?;
                    self.space()?;
                    if self.peek() == Some(b'}') {
                        self.at += 1;
                        Json::Object(Vec::new())
                    } else {
                        let key = self.key()?;
                        open.push(Open::Object {
                            members: Members::default(),
                            key,
                        });
                        continue;
                    }
                }
                _ => self.scalar()?,
            };
            // Put it where it belongs; it may close what it is in.
            loop {
                let Some(container) = open.last_mut() else {
                    return Ok(done);
                };
                match container {
                    Open::Array(items) => items.push(done),
                    Open::Object { members, key } => members.put(std::mem::take(key), done),
                }
                self.space()?;
                match (self.peek(), open.pop()) {
                    (Some(b','), Some(mut container)) => {
                        self.at += 1;
                        if let Open::Object { key, .. } = &mut container {
                            self.space()?;
                            *key = self.key()?;
                        }
                        open.push(container);
                        break;
                    }
                    (Some(b']'), Some(Open::Array(items))) => {
                        self.at += 1;
                        done = Json::Array(items);
                    }
                    (Some(b'}'), Some(Open::Object { members, .. })) => {
                        self.at += 1;
                        done = Json::Object(members.list);
                    }
                    _ => return self.unexpected(),
                }
            }
        }
    }

    fn enter(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth >= self.limits.depth {
            return self.fail(JsonFault::TooDeep(self.limits.depth));
        }
        self.at += 1;
        Ok(())
    }

    /// A key and its colon.
    fn key(&mut self) -> Result<String, JsonError> {
        if self.peek() != Some(b'"') {
            return self.unexpected();
        }
        let key = self.string()?;
        if key.len() > self.limits.key_length {
            return self.fail(JsonFault::KeyTooLong(self.limits.key_length));
        }
        self.space()?;
        if self.peek() != Some(b':') {
            return self.unexpected();
        }
        self.at += 1;
        Ok(key)
    }

    fn scalar(&mut self) -> Result<Json, JsonError> {
        match self.peek() {
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Json::Bool(true)),
            Some(b'f') => self.literal("false", Json::Bool(false)),
            Some(b'n') => self.literal("null", Json::Null),
            _ => self.unexpected(),
        }
    }

    fn literal(&mut self, word: &str, value: Json) -> Result<Json, JsonError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let Some(after) = rest.strip_prefix(word) else {
            return self.unexpected();
        };
        if after
            .chars()
            .next()
            .is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$')
        {
            return self.unexpected();
        }
        self.at += word.len();
        Ok(value)
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<Json, JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let leading_zero = self.peek() == Some(b'0');
        let whole = self.digits();
        if whole == 0 || (leading_zero && whole > 1) {
            return self.fail(JsonFault::Number);
        }
        let mut length = whole;
        let mut integer = true;
        if self.peek() == Some(b'.') {
            integer = false;
            self.at += 1;
            let fraction = self.digits();
            if fraction == 0 {
                return self.fail(JsonFault::Number);
            }
            length += fraction;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            integer = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            let exponent = self.digits();
            if exponent == 0 {
                return self.fail(JsonFault::Number);
            }
            length += exponent;
        }
        if length > self.limits.number_length {
            return self.fail(JsonFault::NumberTooLong(self.limits.number_length));
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        let number = if integer {
            match text.parse() {
                Ok(value) => Number::Integer(value),
                Err(_) => Number::Big(text.to_owned()),
            }
        } else {
            match text.parse() {
                Ok(value) => Number::Double(value),
                Err(_) => return self.fail(JsonFault::Number),
            }
        };
        Ok(Json::Number(number))
    }

    /// A string, from its opening quote on.
    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            let plain = rest
                .iter()
                .position(|c| matches!(c, b'"' | b'\\' | 0..=0x1f))
                .unwrap_or(rest.len());
            out.push_str(self.text.get(self.at..self.at + plain).unwrap_or_default());
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(_) => return self.fail(JsonFault::ControlCharacter),
                None => return self.fail(JsonFault::UnexpectedEnd),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        self.at += 1;
        let c = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            Some(_) => return self.fail(JsonFault::Escape),
            None => return self.fail(JsonFault::UnexpectedEnd),
        };
        self.at += 1;
        Ok(c)
    }

    /// `uXXXX`, with its second half where it is a surrogate. Half a pair, which Java can hold
    /// and UTF-8 can't, becomes `?`, which is what Java's own UTF-8 makes of it.
    fn unicode(&mut self) -> Result<char, JsonError> {
        let first = self.hex4()?;
        if (0xd800..0xdc00).contains(&first)
            && self.text.as_bytes().get(self.at..self.at + 2) == Some(b"\\u")
        {
            let before = self.at;
            self.at += 1;
            let second = self.hex4()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or('?'));
            }
            self.at = before;
        }
        Ok(char::from_u32(first).unwrap_or('?'))
    }

    fn hex4(&mut self) -> Result<u32, JsonError> {
        self.at += 1;
        let mut code = 0;
        for _ in 0..4 {
            let Some(digit) = self.peek().and_then(|c| char::from(c).to_digit(16)) else {
                return self.fail(JsonFault::Escape);
            };
            code = code * 16 + digit;
            self.at += 1;
        }
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_jackson_reads() {
        for (text, printed) in [
            (
                " [1, 2.50, -0, 1e3, \"a\\u0041\\ud83d\\ude00\" ] ",
                "[1,2.5,0,1000.0,\"aA😀\"]",
            ),
            ("{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}"),
            (
                "/* c */ {\"a\" // x\n : [ ] /**/ , \"b\": { } }",
                "{\"a\":[],\"b\":{}}",
            ),
            (
                "123456789012345678901234567890",
                "123456789012345678901234567890",
            ),
            ("\"\\u0001\\n\\/é\"", "\"\\u0001\\n/é\""),
            ("1e999", "\"Infinity\""),
            ("true \u{1}", "true"),
            ("\"\\ud83dx\\ude00\"", "\"?x?\""),
        ] {
            assert_eq!(Json::parse(text).unwrap().to_text(), printed, "{text}");
        }
    }

    #[test]
    fn refuses_what_jackson_refuses() {
        for text in [
            "",
            " ",
            "[1,]",
            "{,}",
            "{\"a\"}",
            "{\"a\":1,}",
            "01",
            "-",
            "1.",
            ".5",
            "+1",
            "1e",
            "tru",
            "truex",
            "NaN",
            "'a'",
            "\"a",
            "\"\t\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "[1 2]",
            "[1]]",
            "1 2",
            "1 // c",
            "# c\n1",
            "{a:1}",
            "[1}",
            "/* x",
            "\u{feff}1",
        ] {
            assert!(Json::parse(text).is_err(), "{text:?}");
        }
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(Json::parse(&deep(1_000)).is_ok());
        assert_eq!(
            Json::parse(&deep(1_001)).unwrap_err().fault,
            JsonFault::TooDeep(1_000)
        );
        assert!(Json::parse(&"[".repeat(1_000_000)).is_err());
        assert!(Json::parse(&"9".repeat(1_000)).is_ok());
        assert!(Json::parse(&"9".repeat(1_001)).is_err());
    }

    #[test]
    fn many_keys_keep_their_first_place() {
        let text = format!(
            "{{{}}}",
            (0..200)
                .map(|n| format!("\"k{}\":{n}", n % 100))
                .collect::<Vec<_>>()
                .join(",")
        );
        let json = Json::parse(&text).unwrap();
        let members = json.as_object().unwrap();
        assert_eq!(members.len(), 100);
        assert_eq!(
            members[7],
            ("k7".to_owned(), Json::Number(Number::Integer(107)))
        );
    }
}
