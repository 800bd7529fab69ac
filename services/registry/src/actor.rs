//! Who asked for a change, as the log's records say it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use meshwork_model::mesh::audit::{ANONYMOUS, Authentication};

use crate::access::is_name;

/// Somebody, and how they were known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Actor {
    /// Name of the principal.
    pub(crate) name: Arc<str>,
    /// How it was known.
    pub(crate) how: Authentication,
    /// Of somebody who is not known: who they say they are. Told as that, and believed in nothing.
    pub(crate) claimed: Option<Arc<str>>,
}

/// In whose name a client asks that is not asked who it is, such as `meshwork product apply`.
pub(crate) const CLAIMED: HeaderName = HeaderName::from_static("meshwork-claimed-by");

impl Actor {
    /// Nobody was named.
    pub(crate) fn anonymous() -> Self {
        Self {
            name: ANONYMOUS.into(),
            how: Authentication::None,
            claimed: None,
        }
    }

    /// A principal.
    pub(crate) fn known(name: &str, how: Authentication) -> Self {
        Self {
            name: name.into(),
            how,
            claimed: None,
        }
    }

    /// The name for those who want just one: the claimed one where there is no other.
    pub(crate) fn who(&self) -> &str {
        self.claimed.as_deref().unwrap_or(&self.name)
    }

    /// With what a header says, if nobody is known and it can be somebody's name.
    fn claiming(mut self, header: Option<&[u8]>) -> Self {
        self.claimed = header
            .filter(|_| &*self.name == ANONYMOUS)
            .and_then(|name| std::str::from_utf8(name).ok())
            .filter(|name| is_name(name))
            .map(Into::into);
        self
    }

    /// The registry itself.
    pub(crate) fn registry() -> Self {
        Self {
            name: "meshwork".into(),
            how: Authentication::None,
            claimed: None,
        }
    }

    /// Value of the header: how, a space, the name.
    pub(crate) fn to_header(&self) -> String {
        format!("{} {}", how(self.how), self.name)
    }

    /// Reads the headers of a record: the one above, and the one of a claim.
    pub(crate) fn from_headers(value: Option<&[u8]>, claimed: Option<&[u8]>) -> Self {
        Self::from_header(value).claiming(claimed)
    }

    /// Reads the header; what makes no sense is somebody unknown.
    fn from_header(value: Option<&[u8]>) -> Self {
        let known = value
            .and_then(|value| std::str::from_utf8(value).ok())
            .and_then(|text| text.split_once(' '))
            .filter(|(_, name)| !name.is_empty());
        match known {
            Some((word, name)) => Self {
                name: name.into(),
                how: ALL
                    .into_iter()
                    .find(|one| how(*one) == word)
                    .unwrap_or_default(),
                claimed: None,
            },
            None => Self {
                name: ANONYMOUS.into(),
                how: Authentication::Unknown,
                claimed: None,
            },
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Actor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let actor = parts.extensions.get::<Self>().cloned();
        let claimed = parts.headers.get(CLAIMED);
        Ok(actor
            .unwrap_or_else(Self::anonymous)
            .claiming(claimed.map(HeaderValue::as_bytes)))
    }
}

const ALL: [Authentication; 5] = [
    Authentication::Unknown,
    Authentication::None,
    Authentication::Basic,
    Authentication::Bearer,
    Authentication::Certificate,
];

const fn how(how: Authentication) -> &'static str {
    match how {
        Authentication::Unknown => "unknown",
        Authentication::None => "none",
        Authentication::Basic => "basic",
        Authentication::Bearer => "bearer",
        Authentication::Certificate => "certificate",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_gives_back_who_it_was() {
        for how in ALL {
            let actor = Actor::known("CN=ann b, O=Acme", how);
            let header = actor.to_header();
            assert_eq!(Actor::from_header(Some(header.as_bytes())), actor);
        }
        for nonsense in [
            None,
            Some(&b""[..]),
            Some(b"basic"),
            Some(b"basic "),
            Some(b"\xff x"),
        ] {
            assert_eq!(&*Actor::from_header(nonsense).name, ANONYMOUS);
        }
    }

    #[test]
    fn a_claim_counts_where_nobody_is_known_and_changes_no_name() {
        let claimed = Actor::anonymous().claiming(Some("ann@host".as_bytes()));
        assert_eq!((&*claimed.name, claimed.who()), (ANONYMOUS, "ann@host"));
        let known = Actor::known("bob", Authentication::Basic);
        assert_eq!(known.clone().claiming(Some(b"ann@host")), known);
        let registry = Actor::registry();
        assert_eq!(registry.clone().claiming(Some(b"ann@host")), registry);
        let long = "x".repeat(10_000);
        for nonsense in [&b""[..], b"a\nb", b"\xff", b"*", long.as_bytes()] {
            assert_eq!(Actor::anonymous().claiming(Some(nonsense)).claimed, None);
        }
    }
}
