//! JSON as Jackson prints it: compact, non-ASCII as it is, control characters as `\u001F`.

use std::io::{self, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::ser::{CharEscape, Formatter, Serializer};

struct Jackson;

impl Formatter for Jackson {
    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        let text: &[u8] = match escape {
            CharEscape::Quote => b"\\\"",
            CharEscape::ReverseSolidus => b"\\\\",
            CharEscape::Solidus => b"/",
            CharEscape::Backspace => b"\\b",
            CharEscape::FormFeed => b"\\f",
            CharEscape::LineFeed => b"\\n",
            CharEscape::CarriageReturn => b"\\r",
            CharEscape::Tab => b"\\t",
            // serde_json writes lower-case digits here.
            CharEscape::AsciiControl(byte) => return write!(writer, "\\u{byte:04X}"),
        };
        writer.write_all(text)
    }
}

/// `value` as one line of JSON.
pub(crate) fn to_json(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(128);
    // Cannot fail: our types have string keys, and a Vec takes what is written.
    let _ = value.serialize(&mut Serializer::with_formatter(&mut bytes, Jackson));
    bytes
}

/// An object read as Java reads it: a repeated member is legal, and its last value counts.
pub(crate) fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    // A sequence would be taken for the members in their order.
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'{') {
        return None;
    }
    serde_json::from_slice(bytes).ok().or_else(|| {
        // Rare, and slower: by way of a value, for the sake of repeated members.
        let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
        serde_json::from_value(value).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_as_jackson_does() {
        assert_eq!(
            to_json(&"a\"\\/\n\u{1f}\u{7f}é\u{2028}").as_slice(),
            "\"a\\\"\\\\/\\n\\u001F\u{7f}é\u{2028}\"".as_bytes()
        );
    }
}
