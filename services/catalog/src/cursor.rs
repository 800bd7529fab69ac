//! Opaque cursors of lists: the last item's place and a digest of the filters that it belongs to.

use meshwork_model::problem::Problem;

/// A place behind an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Sort key of the item, as the list writes it.
    pub(crate) key: u64,
    /// What tells items of one key apart.
    pub(crate) id: String,
}

impl Cursor {
    /// As text for a list with these filters.
    pub(crate) fn encode(&self, filters: &str) -> String {
        let plain = format!("{:016x}{:016x}{}", digest(filters), self.key, self.id);
        plain.bytes().fold(String::new(), |mut text, byte| {
            use std::fmt::Write as _;
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// From text, for a list with these filters.
    ///
    /// # Errors
    /// A mangled cursor, or one of other filters: a `400` for parameter `cursor`.
    pub(crate) fn decode(text: &str, filters: &str) -> Result<Self, Problem> {
        let bad = || {
            Problem::bad_parameter(
                "cursor",
                "cursor is not one that this list gave: begin without it",
            )
        };
        if text.len() > 2000 || !text.len().is_multiple_of(2) {
            return Err(bad());
        }
        let mut plain = Vec::with_capacity(text.len() / 2);
        for pair in text.as_bytes().chunks(2) {
            let pair = std::str::from_utf8(pair).map_err(|_| bad())?;
            plain.push(u8::from_str_radix(pair, 16).map_err(|_| bad())?);
        }
        let plain = String::from_utf8(plain).map_err(|_| bad())?;
        let number = |range| {
            plain
                .get(range)
                .and_then(|hex| u64::from_str_radix(hex, 16).ok())
                .ok_or_else(bad)
        };
        if number(0..16)? != digest(filters) {
            return Err(Problem::bad_parameter(
                "cursor",
                "cursor belongs to a list with other filters: begin without it",
            ));
        }
        Ok(Self {
            key: number(16..32)?,
            id: plain.get(32..).ok_or_else(bad)?.to_owned(),
        })
    }
}

/// FNV-1a: the same on every instance and build.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_only_with_its_own_filters() {
        let cursor = Cursor {
            key: 7,
            id: "urn:meshwork:a:b:v1".into(),
        };
        let text = cursor.encode("q=x");
        assert_eq!(Cursor::decode(&text, "q=x").unwrap(), cursor);
        let other = Cursor::decode(&text, "q=y").unwrap_err();
        assert!(other.detail.contains("other filters"), "{other}");
        for mangled in ["", "00", "zz", "é", &text[1..], "+1"] {
            assert_eq!(Cursor::decode(mangled, "q=x").unwrap_err().status, 400);
        }
    }
}
