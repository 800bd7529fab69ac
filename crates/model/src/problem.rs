//! Errors of the HTTP API, as RFC 9457 problems: one shape for every role and for the clients that
//! read them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Media type of a [`Problem`].
pub const PROBLEM_JSON: &str = "application/problem+json";

/// An error as `application/problem+json` (RFC 9457) with Meshwork's `code` and `help`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:meshwork:error:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is, the same for every problem of this code.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened this time, and how to mend it.
    pub detail: String,
    /// Stable code.
    pub code: String,
    /// Path of the page that explains the code.
    pub help: String,
    /// Which parameters are wrong, where that can be said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ParameterError>,
}

/// One wrong parameter of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterError {
    /// Its name.
    pub parameter: String,
    /// What is wrong with it.
    pub detail: String,
}

impl Problem {
    /// A problem of `code`; `type` and `help` follow from it.
    #[must_use]
    pub fn new(status: u16, code: &str, title: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:meshwork:error:{code}"),
            title: title.to_owned(),
            status,
            detail: detail.into(),
            code: code.to_owned(),
            help: format!("/help/errors/{code}"),
            errors: Vec::new(),
        }
    }

    /// A query parameter that no such path takes: `400`, with the nearest name that it does.
    #[must_use]
    pub fn unknown_parameter(given: &str, known: &[&str]) -> Self {
        let detail = match nearest(given, known.iter().copied()) {
            Some(near) => format!("unknown parameter `{given}`, did you mean `{near}`?"),
            None => format!(
                "unknown parameter `{given}`, known are {}",
                known.join(", ")
            ),
        };
        Self::bad_parameter(given, detail)
    }

    /// A query parameter whose value makes no sense: `400`.
    #[must_use]
    pub fn bad_parameter(parameter: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let mut problem = Self::new(
            400,
            "bad-parameter",
            "The request has a wrong parameter",
            detail.clone(),
        );
        problem.errors.push(ParameterError {
            parameter: parameter.to_owned(),
            detail,
        });
        problem
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Problem {}

/// Longest text, in characters, that [`distance`] compares; longer ones are infinitely far.
const DISTANCE_MAX_CHARS: usize = 128;

/// Levenshtein distance, none if it is above `limit` or a text has more than 128 characters.
#[must_use]
pub fn distance(a: &str, b: &str, limit: usize) -> Option<usize> {
    let a: Vec<char> = a.chars().take(DISTANCE_MAX_CHARS + 1).collect();
    let b: Vec<char> = b.chars().take(DISTANCE_MAX_CHARS + 1).collect();
    if a.len() > DISTANCE_MAX_CHARS
        || b.len() > DISTANCE_MAX_CHARS
        || a.len().abs_diff(b.len()) > limit
    {
        return None;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        // `diagonal` is the cell above and to the left, `left` the one just written.
        let mut diagonal = i;
        let mut left = i + 1;
        let mut least = left;
        let (first, cells) = row.split_first_mut()?;
        *first = left;
        for (cell, y) in cells.iter_mut().zip(&b) {
            let above = *cell;
            let here = (diagonal + usize::from(x != y))
                .min(above + 1)
                .min(left + 1);
            diagonal = above;
            left = here;
            least = least.min(here);
            *cell = here;
        }
        if least > limit {
            return None;
        }
    }
    row.last().copied().filter(|d| *d <= limit)
}

/// The one of `known` that `asked` most likely meant: at most a third of its letters differ.
#[must_use]
pub fn nearest<'a>(asked: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (asked.chars().count() / 3).clamp(1, 4);
    known
        .into_iter()
        .filter_map(|name| distance(asked, name, limit).map(|d| (d, name)))
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, limit, expected) in [
            ("departures", "departures", 0, Some(0)),
            ("depatures", "departures", 2, Some(1)),
            ("kitten", "sitting", 3, Some(3)),
            ("kitten", "sitting", 2, None),
            ("", "abc", 3, Some(3)),
            ("abc", "", 2, None),
        ] {
            assert_eq!(distance(a, b, limit), expected, "{a} {b}");
        }
    }

    #[test]
    fn an_unknown_parameter_names_the_nearest() {
        let problem = Problem::unknown_parameter("domian", &["q", "domain", "owner"]);
        assert_eq!(problem.status, 400);
        assert!(
            problem.detail.contains("did you mean `domain`"),
            "{problem}"
        );
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!(json["type"], "urn:meshwork:error:bad-parameter");
        assert_eq!(json["errors"][0]["parameter"], "domian");
        let problem = Problem::unknown_parameter("zzzzzz", &["q", "domain"]);
        assert!(problem.detail.contains("known are q, domain"), "{problem}");
    }
}
