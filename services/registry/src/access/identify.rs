//! Who sent a request: by its `Authorization`, else by the certificate of its connection.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use meshwork_model::mesh::audit::Authentication;
use meshwork_model::time::{Clock as _, WallClock};

use super::config::AuthenticationConfig;
use super::error::AccessError;
use super::key_source::KeySource;
use super::passwords::Passwords;
use super::principal::Principal;
use super::token::{self, TokenError};
use super::verified::{Credential, Known, Verified};

/// Names the caller of a request that an instance forwards, where its `Authorization` does not.
pub(crate) const PRINCIPAL: HeaderName = HeaderName::from_static("meshwork-principal");

/// Set on what an instance forwards to the writer.
const FORWARD: &str = "x-forward";

/// Most bytes of an `Authorization` that are looked at: a token and room to spare.
const MAX_AUTHORIZATION: usize = 24 << 10;

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) address: IpAddr,
    /// Who its certificate is of; a reason where it is nobody's; none where it showed none.
    pub(crate) certificate: Option<Result<Principal, String>>,
}

/// Why it is not known who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// Nothing was shown.
    Missing,
    /// What was shown is wrong: why, and who it claimed to be.
    Wrong {
        why: String,
        claimed: Option<String>,
        /// It was a token.
        token: bool,
    },
    /// It can't be checked now.
    Unchecked(&'static str),
}

impl Unknown {
    fn wrong(why: impl Into<String>) -> Self {
        Self::Wrong {
            why: why.into(),
            claimed: None,
            token: false,
        }
    }
}

/// Tells who asks.
pub(crate) struct Identify {
    config: AuthenticationConfig,
    passwords: Option<Passwords>,
    keys: Option<KeySource>,
    verified: Verified,
}

impl Identify {
    /// Reads the files.
    ///
    /// # Errors
    /// One that can't be used.
    pub(crate) fn open(config: &AuthenticationConfig) -> Result<Self, AccessError> {
        let verified = Verified::new(config.remembered).map_err(|_| AccessError::Setting {
            key: "registry.service.authentication",
            why: "the system gives no random numbers".to_owned(),
        })?;
        Ok(Self {
            passwords: config.basic.as_ref().map(Passwords::open).transpose()?,
            keys: config.bearer.as_ref().map(KeySource::open).transpose()?,
            verified,
            config: config.clone(),
        })
    }

    pub(crate) fn passwords(&self) -> Option<&Passwords> {
        self.passwords.as_ref()
    }

    pub(crate) fn keys(&self) -> Option<&KeySource> {
        self.keys.as_ref()
    }

    /// The ways that a client may show who it is, for `WWW-Authenticate`.
    pub(crate) fn challenges(&self, token_was_wrong: bool) -> Vec<HeaderValue> {
        let mut all = Vec::with_capacity(2);
        if self.passwords.is_some() {
            all.push(HeaderValue::from_static(
                r#"Basic realm="registry", charset="UTF-8""#,
            ));
        }
        if self.keys.is_some() {
            all.push(HeaderValue::from_static(if token_was_wrong {
                r#"Bearer realm="registry", error="invalid_token""#
            } else {
                r#"Bearer realm="registry""#
            }));
        }
        all
    }

    /// Who sent a request with these headers.
    ///
    /// # Errors
    /// It is not known.
    pub(crate) async fn principal(
        &self,
        headers: &HeaderMap,
        peer: Option<&Peer>,
    ) -> Result<Principal, Unknown> {
        let mut shown = headers.get_all(header::AUTHORIZATION).iter();
        match (shown.next(), shown.next()) {
            (Some(value), None) => self.by_header(value).await,
            (Some(_), Some(_)) => Err(Unknown::wrong("there is more than one Authorization")),
            (None, _) => self.by_connection(headers, peer),
        }
    }

    fn by_connection(
        &self,
        headers: &HeaderMap,
        peer: Option<&Peer>,
    ) -> Result<Principal, Unknown> {
        let shown = peer.and_then(|peer| peer.certificate.as_ref());
        if let (Some(_), Some(shown)) = (&self.config.certificate, shown) {
            let principal = shown.clone().map_err(Unknown::wrong)?;
            if !self.is_forwarded(headers, &principal) {
                return Ok(principal);
            }
            // Not the instance asks, but whom it asks for; if it names nobody, nobody.
            if let Some(name) = headers.get(&PRINCIPAL) {
                return std::str::from_utf8(name.as_bytes())
                    .ok()
                    .and_then(|name| Principal::named(name, Authentication::Certificate))
                    .ok_or_else(|| Unknown::wrong("Meshwork-Principal names nobody"));
            }
        }
        if self.config.allow_anonymous {
            return Ok(Principal::anonymous());
        }
        Err(Unknown::Missing)
    }

    fn is_forwarded(&self, headers: &HeaderMap, principal: &Principal) -> bool {
        headers.contains_key(FORWARD)
            && self
                .config
                .instances
                .iter()
                .any(|instance| instance == principal.name())
    }

    async fn by_header(&self, value: &HeaderValue) -> Result<Principal, Unknown> {
        let bytes = value.as_bytes();
        if bytes.len() > MAX_AUTHORIZATION {
            return Err(Unknown::wrong("the Authorization is too long"));
        }
        let text = value
            .to_str()
            .map_err(|_| Unknown::wrong("the Authorization is not ASCII"))?;
        let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("basic")
            && let Some(passwords) = &self.passwords
        {
            let credential = self
                .verified
                .credential(bytes, passwords.users().generation());
            return self.by_password(passwords, rest, credential).await;
        }
        if scheme.eq_ignore_ascii_case("bearer")
            && let Some(keys) = &self.keys
        {
            return self.by_token(keys, rest, bytes).await;
        }
        // Not passed over: who shows something means it to count.
        Err(Unknown::wrong(
            "this way to show who asks is not configured here",
        ))
    }

    async fn by_password(
        &self,
        passwords: &Passwords,
        encoded: &str,
        credential: Credential,
    ) -> Result<Principal, Unknown> {
        let known = self.verified.known(credential, Instant::now());
        if let Some(Known::Right(principal)) = known {
            return Ok(principal);
        }
        let decoded = STANDARD
            .decode(encoded)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let Some((name, password)) = decoded.as_deref().and_then(|text| text.split_once(':'))
        else {
            return Err(Unknown::wrong(
                "the Authorization is not Basic with user and password",
            ));
        };
        let wrong = || Unknown::Wrong {
            why: "user or password is wrong".to_owned(),
            claimed: Some(name.to_owned()),
            token: false,
        };
        if known == Some(Known::Wrong) {
            return Err(wrong());
        }
        passwords
            .check(
                name,
                password,
                &self.verified,
                credential,
                self.config.remember.get(),
            )
            .await
            .map_err(|_| {
                Unknown::Unchecked("too many passwords wait to be checked; ask again in a moment")
            })?
            .ok_or_else(wrong)
    }

    async fn by_token(
        &self,
        source: &KeySource,
        token: &str,
        whole: &[u8],
    ) -> Result<Principal, Unknown> {
        let unchecked = || {
            Unknown::Unchecked(
                "tokens can't be checked: their keys can't be had (registry.service.authentication.bearer.keys_url)",
            )
        };
        let (mut keys, mut generation) = source.keys().await.map_err(|_| unchecked())?;
        let now = Instant::now();
        let credential = self.verified.credential(whole, generation);
        if let Some(Known::Right(principal)) = self.verified.known(credential, now) {
            return Ok(principal);
        }
        let Some(wanted) = &self.config.bearer else {
            return Err(unchecked());
        };
        let wall = WallClock.now();
        let mut verdict = token::check(token, &keys, wanted, wall);
        if verdict == Err(TokenError::UnknownKey)
            && let Some(newer) = source.newer(generation).await
        {
            (keys, generation) = newer;
            verdict = token::check(token, &keys, wanted, wall);
        }
        let verdict = verdict.map_err(|error| Unknown::Wrong {
            why: error.to_string(),
            claimed: None,
            token: true,
        })?;
        let left = u64::try_from(verdict.until.millis_since(wall)).unwrap_or(0);
        let until = now + self.config.remember.get().min(Duration::from_millis(left));
        let credential = self.verified.credential(whole, generation);
        self.verified
            .right(credential, verdict.principal.clone(), until);
        Ok(verdict.principal)
    }
}

/// Shared by all connections.
pub(crate) type SharedPeer = Arc<Peer>;
