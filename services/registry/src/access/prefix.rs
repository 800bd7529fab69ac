//! Prefixes of subjects, as rules and reservations give them.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::subject::{DEFAULT_CONTEXT, Subject};

/// Subjects by the beginning of their names: `orders-` in the default context, `:.ctx:orders-` in
/// another, `:*:orders-` in all. An empty name takes in all subjects and the settings of the
/// context itself: `:.ctx:`; `:*:` takes in everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct SubjectPrefix {
    /// None: all contexts.
    context: Option<String>,
    plain: String,
}

/// A prefix that can't be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no prefix of subjects: write `name`, `:.context:name` or `:*:name`, without a trailing `*`"
)]
pub struct PrefixError(String);

impl FromStr for SubjectPrefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        // `orders-*` is what other systems have; taken as a name it would match nothing, silently.
        if text.ends_with('*') || text.chars().any(char::is_control) {
            return Err(PrefixError(text.to_owned()));
        }
        if let Some(plain) = text.strip_prefix(":*:") {
            return Ok(Self {
                context: None,
                plain: plain.to_owned(),
            });
        }
        let subject = Subject::new(text);
        Ok(Self {
            context: Some(subject.context().to_owned()),
            plain: subject.plain().to_owned(),
        })
    }
}

impl TryFrom<String> for SubjectPrefix {
    type Error = PrefixError;

    fn try_from(text: String) -> Result<Self, PrefixError> {
        text.parse()
    }
}

impl From<SubjectPrefix> for String {
    fn from(prefix: SubjectPrefix) -> Self {
        prefix.to_string()
    }
}

impl fmt::Display for SubjectPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.context.as_deref() {
            None => write!(f, ":*:{}", self.plain),
            Some(DEFAULT_CONTEXT) => f.write_str(&self.plain),
            Some(context) => write!(f, ":{context}:{}", self.plain),
        }
    }
}

impl SubjectPrefix {
    /// Whether a subject is among them.
    #[must_use]
    pub fn holds(&self, subject: &Subject) -> bool {
        self.in_context(subject.context()) && subject.plain().starts_with(&self.plain)
    }

    /// Whether any subject of a context can be among them.
    #[must_use]
    pub fn in_context(&self, context: &str) -> bool {
        self.context.as_deref().is_none_or(|own| own == context)
    }

    /// What the full names of its subjects of a context begin with; none if it has none there.
    #[must_use]
    pub fn within(&self, context: &str) -> Option<String> {
        if !self.in_context(context) {
            return None;
        }
        Some(if context == DEFAULT_CONTEXT {
            self.plain.clone()
        } else {
            format!(":{context}:{}", self.plain)
        })
    }

    /// Whether everything is.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.context.is_none() && self.plain.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_of_one_context_or_of_all() {
        for (prefix, subject, held) in [
            ("orders-", "orders-value", true),
            ("orders-", "orders", false),
            ("orders-", ":.ctx:orders-value", false),
            ("", "anything", true),
            ("", ":.ctx:anything", false),
            (":.ctx:", ":.ctx:anything", true),
            (":.ctx:", ":.ctx:", true),
            (":.ctx:a", ":.ctx:", false),
            (":.ctx:a", ":.ctx2:a", false),
            (":.ctx", ":.ctx:a", true),
            (":*:", "s", true),
            (":*:", ":.ctx:s", true),
            (":*:o", ":.ctx:orders", true),
            (":*:o", ":.ctx:", false),
            (":.:o", "orders", true),
        ] {
            let parsed: SubjectPrefix = prefix.parse().unwrap();
            assert_eq!(
                parsed.holds(&Subject::new(subject)),
                held,
                "{prefix} {subject}"
            );
            assert_eq!(parsed.to_string().parse(), Ok(parsed), "{prefix}");
        }
    }

    #[test]
    fn within_a_context_full_names_begin_so() {
        for (prefix, context, begin) in [
            ("o", ".", Some("o")),
            ("o", ".c", None),
            (":.c:o", ".c", Some(":.c:o")),
            (":.c:o", ".", None),
            (":*:o", ".", Some("o")),
            (":*:o", ".c", Some(":.c:o")),
            (":*:", ".", Some("")),
        ] {
            let prefix: SubjectPrefix = prefix.parse().unwrap();
            assert_eq!(
                prefix.within(context).as_deref(),
                begin,
                "{prefix} {context}"
            );
        }
    }

    #[test]
    fn a_star_at_the_end_is_refused() {
        for text in ["orders-*", "*", ":.ctx:*", "a\nb"] {
            assert!(text.parse::<SubjectPrefix>().is_err(), "{text}");
        }
    }
}
