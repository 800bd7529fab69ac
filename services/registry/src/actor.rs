//! Who asked for a change, as the log's records say it.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use meshwork_model::mesh::audit::{ANONYMOUS, Authentication};

/// Somebody, and how they were known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Actor {
    /// Name of the principal.
    pub(crate) name: Arc<str>,
    /// How it was known.
    pub(crate) how: Authentication,
}

impl Actor {
    /// Nobody was named.
    pub(crate) fn anonymous() -> Self {
        Self {
            name: ANONYMOUS.into(),
            how: Authentication::None,
        }
    }

    /// The registry itself.
    pub(crate) fn registry() -> Self {
        Self {
            name: "meshwork".into(),
            how: Authentication::None,
        }
    }

    /// Value of the header: how, a space, the name.
    pub(crate) fn to_header(&self) -> String {
        format!("{} {}", how(self.how), self.name)
    }

    /// Reads the header; what makes no sense is somebody unknown.
    pub(crate) fn from_header(value: Option<&[u8]>) -> Self {
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
            },
            None => Self {
                name: ANONYMOUS.into(),
                how: Authentication::Unknown,
            },
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Actor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts
            .extensions
            .get::<Self>()
            .cloned()
            .unwrap_or_else(Self::anonymous))
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
            let actor = Actor {
                name: "CN=ann b, O=Acme".into(),
                how,
            };
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
}
