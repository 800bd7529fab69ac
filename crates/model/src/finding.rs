//! What a check found: a stable code, words, the place in the file, and how to mend it.

pub mod place;
pub mod render;

use std::fmt;

pub use place::Position;
pub use render::Format;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Worth knowing.
    Note,
    /// Works, but not as one may think.
    Warning,
    /// Must be mended before the product can be announced.
    Error,
}

impl Level {
    /// `error`, `warning` or `note`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal),+ $(,)?) => {
        /// What kind of finding it is. The text never changes, so that scripts can rely on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code { $($(#[doc = $doc])+ $name),+ }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The stable text.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }

            /// What it stands for, in a sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+)),+ }
            }
        }
    };
}

codes! {
    /// The file is missing, unreadable or too large.
    File = "file",
    /// The contract is not YAML that can be read.
    Yaml = "yaml",
    /// The contract breaks the Open Data Contract Standard's own schema.
    Odcs = "odcs",
    /// A key that the standard doesn't know.
    UnknownKey = "unknown-key",
    /// The id is not a URN, or disagrees with the domain or the topic.
    Name = "name",
    /// The version is not `major.minor.patch`.
    Version = "version",
    /// The status is none of the five.
    Status = "status",
    /// Nobody with the role `owner`.
    Owner = "owner",
    /// The contract doesn't describe exactly one topic.
    Object = "object",
    /// A column's name, type or key position makes no sense.
    Column = "column",
    /// A Meshwork property with a value that can't be read.
    Setting = "setting",
    /// A Meshwork property that doesn't exist.
    UnknownSetting = "unknown-setting",
    /// A service level that can't be read.
    ServiceLevel = "service-level",
    /// No service level that Meshwork measures.
    NoServiceLevel = "no-service-level",
    /// A service level that can never raise an alert.
    NeverFires = "never-fires",
    /// A service level that no producer could keep.
    NeverMet = "never-met",
    /// A service level that alerts on very little.
    Touchy = "touchy",
    /// The event-time field is missing or can't hold a time.
    EventTime = "event-time",
    /// The key columns are missing, nullable or can't be a key.
    Key = "key",
    /// The Avro schema does not parse.
    Schema = "schema",
    /// A column of the contract that the schema doesn't have.
    MissingField = "missing-field",
    /// A field of the schema that the contract doesn't have.
    UndeclaredField = "undeclared-field",
    /// Contract and schema say different types.
    TypeMismatch = "type-mismatch",
    /// Contract and schema disagree on whether a value may be absent.
    Nullability = "nullability",
    /// The schema breaks the promise to readers or writers of the registered one.
    Incompatible = "incompatible",
    /// Two files describe the same product version.
    Duplicate = "duplicate",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind.
    pub code: Code,
    /// How much it matters.
    pub level: Level,
    /// What is wrong, in words.
    pub message: String,
    /// The file, as it was named by whoever asked.
    pub file: String,
    /// Where in it; none: the file as a whole.
    pub at: Option<Position>,
    /// How to mend it.
    pub help: Option<String>,
}

impl Finding {
    /// An error.
    #[must_use]
    pub fn error(code: Code, file: &str, at: Option<Position>, message: impl Into<String>) -> Self {
        Self {
            code,
            level: Level::Error,
            message: message.into(),
            file: file.to_owned(),
            at,
            help: None,
        }
    }

    /// The same at another level.
    #[must_use]
    pub fn at_level(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// With advice on how to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// `file:line:column: error[code]: message (help)`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(at) = self.at {
            write!(f, ":{}:{}", at.line, at.column)?;
        }
        write!(
            f,
            ": {}[{}]: {}",
            self.level.as_str(),
            self.code,
            self.message
        )
    }
}

/// What one check found, in the order of files and places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// One more.
    pub fn push(&mut self, finding: Finding) {
        self.0.push(finding);
    }

    /// All of another check.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether there is an error among them.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|f| f.level == Level::Error)
    }

    /// How many of a level.
    #[must_use]
    pub fn count(&self, level: Level) -> usize {
        self.0.iter().filter(|f| f.level == level).count()
    }

    /// All.
    #[must_use]
    pub fn as_slice(&self) -> &[Finding] {
        &self.0
    }

    /// By file and place, each once.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.0.sort_by(|a, b| {
            (&a.file, a.at, a.code, &a.message).cmp(&(&b.file, b.at, b.code, &b.message))
        });
        self.0.dedup();
        self
    }
}

impl IntoIterator for Findings {
    type Item = Finding;
    type IntoIter = std::vec::IntoIter<Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<Finding> for Findings {
    fn from_iter<I: IntoIterator<Item = Finding>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}

/// The findings a line each.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, finding) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{finding}")?;
            if let Some(help) = &finding.help {
                write!(f, " ({help})")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}

/// The nearest of `known` to a misspelt `word`, if it is near: at most two edits, or a third of it.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().take(64).collect();
    known
        .into_iter()
        .map(|k| {
            (
                edits(&word, &k.to_lowercase().chars().collect::<Vec<_>>()),
                k,
            )
        })
        .filter(|(distance, k)| *distance <= 2.max(k.chars().count() / 3) && *distance < word.len())
        .min()
        .map(|(_, k)| k)
}

/// Levenshtein distance.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (y, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let new = (diagonal + usize::from(x != y))
                .min(*cell + 1)
                .min(left + 1);
            diagonal = *cell;
            left = new;
            *cell = new;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_kebab_case_words_with_a_meaning() {
        let mut seen = std::collections::BTreeSet::new();
        for code in Code::ALL {
            let text = code.as_str();
            assert!(seen.insert(text), "{text} twice");
            assert!(
                text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
                "{text}"
            );
            assert!(code.meaning().trim().ends_with('.'), "{text}");
        }
    }

    #[test]
    fn suggests_only_what_is_near() {
        let known = ["partitions", "enforcement", "tag", "eventTime"];
        assert_eq!(nearest("partition", known), Some("partitions"));
        assert_eq!(nearest("eventtime", known), Some("eventTime"));
        assert_eq!(nearest("enforcment", known), Some("enforcement"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("x", known), None);
        assert_eq!(nearest("", known), None);
    }
}
