//! Query parameters: booleans in any case, unknown ones ignored, a bad one as if absent.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// The parameters of a request. Empty values count as absent, unless it is said otherwise.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Parameters {
    fn parse(query: &str) -> Self {
        if query.is_empty() {
            return Self::default();
        }
        Self(
            form_urlencoded::parse(query.as_bytes())
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    /// Values of the parameters `first` and `second`, paired in their order.
    pub(super) fn pairs(&self, first: &str, second: &str) -> Vec<(&str, &str)> {
        let values = |wanted: &str| {
            self.0
                .iter()
                .filter(move |(name, _)| name == wanted)
                .map(|(_, value)| value.as_str())
                .collect::<Vec<_>>()
        };
        values(first).into_iter().zip(values(second)).collect()
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts(name).next()
    }

    /// All values of a parameter that may be repeated.
    pub(super) fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(given, value)| given == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    /// A value that may be empty.
    pub(super) fn given(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(given, _)| given == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.text(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    /// The asked-for page of a list: `offset`, and `limit` where it is above 0, at most `most`.
    pub(super) fn page<T>(&self, items: impl Iterator<Item = T>, most: usize) -> Vec<T> {
        let (offset, limit) = self.window(most);
        items.skip(offset).take(limit).collect()
    }

    /// As [`Self::page`], of items that may fail to be read. None is read behind the page.
    pub(super) fn try_page<T, E>(
        &self,
        items: impl Iterator<Item = Result<T, E>>,
        most: usize,
    ) -> Result<Vec<T>, E> {
        let (offset, limit) = self.window(most);
        let mut page = Vec::new();
        for (at, item) in items.take(offset.saturating_add(limit)).enumerate() {
            let item = item?;
            if at >= offset {
                page.push(item);
            }
        }
        Ok(page)
    }

    fn window(&self, most: usize) -> (usize, usize) {
        let offset = self
            .number("offset")
            .and_then(|offset| usize::try_from(offset).ok())
            .unwrap_or(0);
        let limit = self
            .number("limit")
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| *limit > 0)
            .unwrap_or(most)
            .min(most);
        (offset, limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_come_in_any_case_and_nonsense_is_absent() {
        let parameters = Parameters::parse("normalize=True&deleted=TRUE&force=yes&subject=&x");
        assert!(parameters.flag("normalize") && parameters.flag("deleted"));
        assert!(!parameters.flag("force") && !parameters.flag("absent"));
        assert_eq!(parameters.text("subject"), None);
        assert_eq!(parameters.given("subject"), Some(""));
        let tags = Parameters::parse("t=a&t=&u=c&t=b");
        assert!(tags.texts("t").eq(["a", "b"]));
        assert_eq!(Parameters::parse("s=a%2Fb+c").text("s"), Some("a/b c"));
    }

    #[test]
    fn pages_are_bounded() {
        let page = |query| Parameters::parse(query).page(0..10, 5);
        assert_eq!(page(""), [0, 1, 2, 3, 4]);
        assert_eq!(page("offset=8"), [8, 9]);
        assert_eq!(page("offset=1&limit=2"), [1, 2]);
        assert_eq!(page("offset=-1&limit=-1"), [0, 1, 2, 3, 4]);
        assert_eq!(page("limit=100"), [0, 1, 2, 3, 4]);
        assert_eq!(page("limit=x&offset=y"), [0, 1, 2, 3, 4]);
        let items = || (0..10).map(|n| if n == 4 { Err(n) } else { Ok(n) });
        let page = |query| Parameters::parse(query).try_page(items(), 5);
        assert_eq!(page("limit=4"), Ok(vec![0, 1, 2, 3]));
        assert_eq!(page("offset=2&limit=2"), Ok(vec![2, 3]));
        assert_eq!(page(""), Err(4));
        assert_eq!(page("offset=6"), Err(4));
    }
}
