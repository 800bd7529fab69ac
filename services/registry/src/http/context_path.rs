//! `/contexts/{context}/…` in front of any path: the same request about the subjects of that
//! context. Paths are rewritten before they are routed, so that no handler need know.

use std::borrow::Cow;

use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::refusal::{Code, Refusal};

/// What may not stand unescaped in a segment of a path (RFC 3986).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':');

/// The path and query that a request means; none where they are what was sent. Empty segments
/// don't count: clients put `//` and a last `/` where their base URL ends in one.
///
/// # Errors
/// 400: a context's name with a colon in it.
pub(super) fn resolve(uri: &Uri) -> Result<Option<PathAndQuery>, Refusal> {
    let path = uri.path();
    let in_context = path.starts_with("/contexts/");
    if !in_context && !path.contains("//") && (path.len() <= 1 || !path.ends_with('/')) {
        return Ok(None);
    }
    let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let mut rest = segments.as_slice();
    let mut context = None;
    while let ["contexts", name, after @ ..] = rest {
        context = Some(qualifier(name)?);
        rest = after;
    }
    let Some(qualifier) = context else {
        return Ok(built(rest, uri.query()));
    };
    let path = qualified(rest, &qualifier);
    let query = with_context(&path, uri.query(), &qualifier);
    let path: Vec<&str> = path.iter().map(Cow::as_ref).collect();
    Ok(built(&path, query.as_deref()))
}

fn built(segments: &[&str], query: Option<&str>) -> Option<PathAndQuery> {
    let mut text = format!("/{}", segments.join("/"));
    if let Some(query) = query {
        text.push('?');
        text.push_str(query);
    }
    // Of parts that were a URI, so it is one; if not, what was sent is routed, and not found.
    text.parse().ok()
}

/// What stands in front of a subject in the context: `:.ctx:`, and nothing for the default one.
/// The dot and the colons around it may be left out.
fn qualifier(segment: &str) -> Result<String, Refusal> {
    let name = percent_decode_str(segment).decode_utf8_lossy();
    let name = name.strip_prefix(':').unwrap_or(&name);
    let name = name.strip_suffix(':').unwrap_or(name);
    if name.contains(':') {
        return Err(Refusal::new(
            Code::BadRequest,
            format!("Context name '{name}' cannot contain a colon"),
        ));
    }
    Ok(match name.strip_prefix('.').unwrap_or(name) {
        "" => String::new(),
        name => format!(":.{name}:"),
    })
}

fn is_qualified(name: &str) -> bool {
    name.starts_with(":.") || name.starts_with(":*:")
}

/// Segments with the subjects among them put into the context. The settings of nobody are those
/// of the context.
fn qualified<'a>(segments: &[&'a str], qualifier: &str) -> Vec<Cow<'a, str>> {
    let escaped = || utf8_percent_encode(qualifier, ESCAPED);
    let mut path = Vec::with_capacity(segments.len() + 1);
    let mut subject_next = false;
    for (place, segment) in segments.iter().copied().enumerate() {
        if subject_next && !is_qualified(&percent_decode_str(segment).decode_utf8_lossy()) {
            path.push(Cow::Owned(format!("{}{segment}", escaped())));
        } else {
            path.push(Cow::Borrowed(segment));
        }
        subject_next = !subject_next
            && (segment == "subjects" || (place == 0 && matches!(segment, "config" | "mode")));
    }
    if !qualifier.is_empty() {
        match segments {
            [] => path.extend([Cow::Borrowed("contexts"), escaped().to_string().into()]),
            ["config" | "mode"] => path.push(escaped().to_string().into()),
            _ => {}
        }
    }
    path
}

/// The query, with the parameters that name subjects put into the context.
fn with_context(path: &[Cow<'_, str>], query: Option<&str>, qualifier: &str) -> Option<String> {
    let name = match path {
        [schemas, ids, ..] if schemas == "schemas" && ids == "ids" => "subject",
        [list] if list == "schemas" || list == "subjects" => "subjectPrefix",
        _ => return query.map(str::to_owned),
    };
    let mut written = form_urlencoded::Serializer::new(String::new());
    let mut found = false;
    for (given, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if given != name {
            written.append_pair(&given, &value);
            continue;
        }
        found = true;
        if is_qualified(&value) {
            written.append_pair(name, &value);
        } else {
            written.append_pair(name, &format!("{qualifier}{value}"));
        }
    }
    if !found {
        written.append_pair(name, qualifier);
    }
    Some(written.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(uri: &str) -> String {
        resolve(&uri.parse().unwrap())
            .unwrap()
            .map_or_else(|| uri.to_owned(), |resolved| resolved.to_string())
    }

    #[test]
    fn a_context_in_the_path_qualifies_what_comes_after() {
        for (given, expected) in [
            // Nothing to be done.
            ("/", "/"),
            (
                "/subjects/s/versions?deleted=true",
                "/subjects/s/versions?deleted=true",
            ),
            ("/subjects/contexts/versions", "/subjects/contexts/versions"),
            ("/contexts", "/contexts"),
            // Empty segments.
            ("/subjects/", "/subjects"),
            ("//subjects//s/?x=1", "/subjects/s?x=1"),
            // The context itself.
            ("/contexts/.c", "/contexts/:.c:"),
            ("/contexts/c/", "/contexts/:.c:"),
            ("/contexts/:.c:", "/contexts/:.c:"),
            ("/contexts/%3A.c%3A", "/contexts/:.c:"),
            ("/contexts/.", "/"),
            ("/contexts/c/contexts", "/contexts"),
            // Subjects, however the context is written.
            (
                "/contexts/.c/subjects/s/versions",
                "/subjects/:.c:s/versions",
            ),
            (
                "/contexts/c/subjects/s/versions",
                "/subjects/:.c:s/versions",
            ),
            ("/contexts/:.c:/subjects/s", "/subjects/:.c:s"),
            ("/contexts/:.:/subjects/s", "/subjects/s"),
            ("/contexts/./subjects/s", "/subjects/s"),
            ("/contexts/é/subjects/s", "/subjects/:.%C3%A9:s"),
            ("/contexts/c/subjects/a%2Fb", "/subjects/:.c:a%2Fb"),
            ("/contexts/c/subjects/:.d:s", "/subjects/:.d:s"),
            ("/contexts/c/subjects/%3A.d%3As", "/subjects/%3A.d%3As"),
            (
                "/contexts/c/subjects/subjects/versions",
                "/subjects/:.c:subjects/versions",
            ),
            (
                "/contexts/c/compatibility/subjects/s/versions/1?verbose=true",
                "/compatibility/subjects/:.c:s/versions/1?verbose=true",
            ),
            // Settings.
            ("/contexts/c/config", "/config/:.c:"),
            ("/contexts/c/mode/", "/mode/:.c:"),
            ("/contexts/c/config/s", "/config/:.c:s"),
            ("/contexts/./mode", "/mode"),
            ("/contexts/c/subjects/config", "/subjects/:.c:config"),
            // Parameters.
            (
                "/contexts/c/schemas/ids/1",
                "/schemas/ids/1?subject=%3A.c%3A",
            ),
            (
                "/contexts/c/schemas/ids/1/versions?subject=s&limit=2",
                "/schemas/ids/1/versions?subject=%3A.c%3As&limit=2",
            ),
            (
                "/contexts/c/schemas/ids/1?subject=:.d:s",
                "/schemas/ids/1?subject=%3A.d%3As",
            ),
            ("/contexts/c/subjects", "/subjects?subjectPrefix=%3A.c%3A"),
            ("/contexts/./subjects", "/subjects?subjectPrefix="),
            (
                "/contexts/c/schemas?subjectPrefix=p",
                "/schemas?subjectPrefix=%3A.c%3Ap",
            ),
            (
                "/contexts/c/schemas?subjectPrefix=:*:",
                "/schemas?subjectPrefix=%3A*%3A",
            ),
            ("/contexts/c/schemas/types", "/schemas/types"),
            // The last context counts, as in Confluent's registry.
            ("/contexts/c/contexts/d/subjects/s", "/subjects/:.d:s"),
        ] {
            assert_eq!(resolved(given), expected, "{given}");
        }
    }

    #[test]
    fn a_colon_in_a_context_is_refused() {
        let uri: Uri = "/contexts/a:b/subjects".parse().unwrap();
        assert_eq!(
            resolve(&uri).unwrap_err(),
            Refusal::new(
                Code::BadRequest,
                "Context name 'a:b' cannot contain a colon"
            )
        );
    }
}
