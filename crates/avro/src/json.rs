//! JSON as Jackson reads and prints it, because schema texts are compared byte
//! for byte with what Java tools store: object keys keep their order, a repeated
//! key keeps its first place and takes its last value, whole numbers stay whole.

mod number;
mod read;
mod write;

pub use number::Number;
pub(crate) use number::write_float;
pub use read::{JsonError, JsonFault, JsonLimits};

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    String(String),
    /// Values in order.
    Array(Vec<Json>),
    /// Members in order, keys unique.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads one value with the limits that schema texts have. Comments (`/* */`, `//`) are
    /// skipped; anything but white space after the value is refused.
    ///
    /// # Errors
    /// What is wrong and at which byte.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        read::parse(text, &JsonLimits::default())
    }

    /// Reads one value with the given limits.
    ///
    /// # Errors
    /// What is wrong and at which byte.
    pub fn parse_with(text: &str, limits: &JsonLimits) -> Result<Self, JsonError> {
        read::parse(text, limits)
    }

    /// The text of a string, nothing for other values.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The items of an array, nothing for other values.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Json]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The members of an object, nothing for other values.
    #[must_use]
    pub fn as_object(&self) -> Option<&[(String, Json)]> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// A member of an object.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.as_object()?
            .iter()
            .find_map(|(name, value)| (name == key).then_some(value))
    }

    /// The whole number, if it is one that fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(Number::Integer(value)) => Some(*value),
            _ => None,
        }
    }

    /// Compact text as Jackson prints it.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    /// Appends the compact text to `out`.
    pub fn write(&self, out: &mut String) {
        write::value(self, out);
    }
}

/// Appends `text` as a JSON string: `"`, `\` and control characters escaped, all else as it is.
pub fn write_string(text: &str, out: &mut String) {
    write::string(text, out);
}
