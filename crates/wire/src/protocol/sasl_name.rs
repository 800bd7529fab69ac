//! Who logs in, as the tokens of SASL mechanisms say. A name counts only once the broker has let it
//! in: PLAIN by error 0, SCRAM by [`scram_is_final`], OAUTHBEARER by error 0 and an empty token.

use std::borrow::Cow;
use std::fmt;

/// The name in PLAIN's one token, `authzid NUL authcid NUL passwd` (RFC 4616): the authcid. `None`: the
/// token is malformed, and the broker will refuse it.
#[must_use]
pub fn plain(token: &[u8]) -> Option<&str> {
    let mut parts = token.split(|byte| *byte == 0);
    let (_, name, password) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || name.is_empty() || password.is_empty() {
        return None;
    }
    std::str::from_utf8(name).ok()
}

/// Who SCRAM's first message is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScramFirst<'a> {
    /// The user's name; or, if `delegation_token`, the id of a delegation token, whose owner is not on
    /// the wire.
    pub name: Cow<'a, str>,
    /// Extension `tokenauth=true` (KIP-48).
    pub delegation_token: bool,
}

/// SCRAM's client-first message (RFC 5802, as Kafka takes it: no channel binding). `None`: malformed.
#[must_use]
pub fn scram_client_first(token: &[u8]) -> Option<ScramFirst<'_>> {
    let message = std::str::from_utf8(token).ok()?;
    let (authzid, bare) = message.strip_prefix("n,")?.split_once(',')?;
    if !(authzid.is_empty() || authzid.starts_with("a=")) {
        return None;
    }
    let mut attributes = bare.split(',');
    let mut first = attributes.next()?;
    if first.starts_with("m=") {
        first = attributes.next()?;
    }
    let name = sasl_name(first.strip_prefix("n=")?)?;
    attributes.next()?.strip_prefix("r=")?;
    let delegation_token = attributes
        .filter_map(|extension| extension.split_once('='))
        .any(|(key, value)| key == "tokenauth" && value.eq_ignore_ascii_case("true"));
    Some(ScramFirst {
        name,
        delegation_token,
    })
}

/// `=2C` is a comma and `=3D` an equals sign; no other `=` may stand in a name.
fn sasl_name(encoded: &str) -> Option<Cow<'_, str>> {
    if encoded.is_empty() {
        return None;
    }
    let mut parts = encoded.split('=');
    let first = parts.next()?;
    if first.len() == encoded.len() {
        return Some(Cow::Borrowed(encoded));
    }
    let mut name = String::with_capacity(encoded.len());
    name.push_str(first);
    for part in parts {
        let rest = if let Some(rest) = part.strip_prefix("2C") {
            name.push(',');
            rest
        } else {
            name.push('=');
            part.strip_prefix("3D")?
        };
        name.push_str(rest);
    }
    Some(Cow::Owned(name))
}

/// Whether a server's SCRAM message is the one that ends the exchange well: `v=` and its signature.
#[must_use]
pub fn scram_is_final(token: &[u8]) -> bool {
    token.starts_with(b"v=")
}

/// A bearer token. Never shown by `Debug`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BearerToken<'a>(&'a str);

impl fmt::Debug for BearerToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(bearer token of {} bytes)", self.0.len())
    }
}

impl<'a> BearerToken<'a> {
    /// The token. Not for logs.
    #[must_use]
    pub const fn reveal(self) -> &'a str {
        self.0
    }

    /// If it is a JWT in the compact form of RFC 7515: its payload, still in base64url without
    /// padding. The name is the payload's claim `sub`, unless the broker is told another
    /// (`sasl.oauthbearer.sub.claim.name`). An opaque token has no payload.
    #[must_use]
    pub fn jwt_payload(self) -> Option<&'a str> {
        let mut parts = self.0.split('.');
        let (header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
        let whole = parts.next().is_none() && !header.is_empty() && !payload.is_empty();
        whole.then_some(payload)
    }
}

/// The token in OAUTHBEARER's first message (RFC 7628), as Kafka takes it. `None`: malformed.
#[must_use]
pub fn oauth_bearer(token: &[u8]) -> Option<BearerToken<'_>> {
    const SEPARATOR: char = '\u{1}';
    let message = std::str::from_utf8(token).ok()?;
    let (authzid, pairs) = message.strip_prefix("n,")?.split_once(',')?;
    if !(authzid.is_empty() || authzid.starts_with("a=")) {
        return None;
    }
    let pairs = pairs.strip_prefix(SEPARATOR)?.strip_suffix(SEPARATOR)?;
    let auth = pairs
        .split(SEPARATOR)
        .find_map(|pair| pair.strip_prefix("auth="))?;
    let (scheme, token) = auth.split_once(' ')?;
    let token = token.trim_start_matches(' ');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~+/.=".contains(&byte);
    let whole =
        scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.bytes().all(allowed);
    whole.then_some(BearerToken(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_are_the_authcid() {
        assert_eq!(plain(b"\0alice\0secret"), Some("alice"));
        assert_eq!(plain(b"admin\0alice\0secret"), Some("alice"));
        assert_eq!(plain("\0zoë\0s".as_bytes()), Some("zoë"));
        for bad in [
            &b""[..],
            b"alice",
            b"\0alice",
            b"\0\0secret",
            b"\0alice\0",
            b"\0alice\0secret\0more",
            b"\0\xff\0secret",
        ] {
            assert_eq!(plain(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn scram_names_are_decoded() {
        let read = |message: &str| {
            scram_client_first(message.as_bytes())
                .map(|first| (first.name.into_owned(), first.delegation_token))
        };
        let user = |name: &str| Some((name.to_owned(), false));
        assert_eq!(read("n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"), user("user"));
        assert_eq!(read("n,a=admin,n=user,r=x"), user("user"));
        assert_eq!(read("n,,m=ext,n=user,r=x"), user("user"));
        assert_eq!(read("n,,n=a=2Cb=3Dc=2C,r=x"), user("a,b=c,"));
        // Not decoded twice.
        assert_eq!(read("n,,n==3D2C,r=x"), user("=2C"));
        assert_eq!(
            read("n,,n=tokenid,r=x,tokenauth=true"),
            Some(("tokenid".to_owned(), true))
        );
        assert_eq!(read("n,,n=u,r=x,tokenauth=false"), user("u"));
        // The nonce is no extension, and what is like one within it is not taken for one.
        assert_eq!(read("n,,n=u,r=tokenauth=true"), user("u"));
        for bad in [
            "",
            "n",
            "n,",
            "n,,",
            "n,,n=user",
            "n,,n=,r=x",
            "n,,r=x,n=user",
            "n,,n=a=2,r=x",
            "n,,n=a=2cb,r=x",
            "n,,n=a=b,r=x",
            "n,b=x,n=user,r=x",
            "y,,n=user,r=x",
            "p=tls-unique,,n=user,r=x",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert!(scram_is_final(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ="));
        assert!(!scram_is_final(b"r=x,s=QSXCR+Q6sek8bf92,i=4096"));
        assert!(!scram_is_final(b"e=other-error"));
    }

    #[test]
    fn bearer_tokens_give_their_payload() {
        let read = |message: &'static str| oauth_bearer(message.as_bytes());
        let jwt = read("n,,\u{1}auth=Bearer eyJh.eyJzdWIi.c2ln\u{1}\u{1}").unwrap();
        assert_eq!(jwt.reveal(), "eyJh.eyJzdWIi.c2ln");
        assert_eq!(jwt.jwt_payload(), Some("eyJzdWIi"));
        // An unsecured one ends with a point.
        let unsecured = read("n,a=me,\u{1}host=x\u{1}auth=bearer  e30.e30.\u{1}a=b\u{1}\u{1}");
        assert_eq!(unsecured.unwrap().jwt_payload(), Some("e30"));
        let opaque = read("n,,\u{1}auth=Bearer 2YotnFZFEjr1zCsicMWpAA\u{1}\u{1}").unwrap();
        assert_eq!(opaque.jwt_payload(), None);
        assert!(!format!("{opaque:?}").contains("2Yot"), "{opaque:?}");
        for bad in [
            "",
            "n,,",
            "n,,\u{1}\u{1}",
            "n,,auth=Bearer x\u{1}\u{1}",
            "n,,\u{1}auth=Bearer x",
            "n,,\u{1}auth=Basic x\u{1}\u{1}",
            "n,,\u{1}auth=Bearer\u{1}\u{1}",
            "n,,\u{1}auth=Bearer \u{1}\u{1}",
            "n,,\u{1}auth=Bearer a b\u{1}\u{1}",
            "y,,\u{1}auth=Bearer x\u{1}\u{1}",
            // After an error the client sends one byte (RFC 7628, section 3.2.3).
            "\u{1}",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
