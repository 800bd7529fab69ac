//! JSON Web Tokens: whether one is signed by a known key, for us, and now.

use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde_json::{Map, Value};

use meshwork_model::mesh::audit::Authentication;
use meshwork_model::time::Timestamp;

use super::config::BearerConfig;
use super::keys::Keys;
use super::principal::Principal;

/// Longest token looked at, bytes. The ones of large providers have about two thousand.
const MAX_TOKEN: usize = 16 << 10;

/// Why a token does not count. In words for logs and for the client, who holds the token anyway.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("the token is no signed JSON Web Token")]
    Malformed,
    #[error("the token is signed with an algorithm that is not taken: RS, PS, ES and EdDSA are")]
    Algorithm,
    /// It may be a new one: worth asking for the keys again.
    #[error("the token is signed with a key that is not known")]
    UnknownKey,
    #[error("the token's signature is wrong")]
    Signature,
    #[error("the token has ended, or does not say when it will")]
    Ended,
    #[error("the token does not hold yet")]
    NotYet,
    #[error("the token is from another issuer")]
    Issuer,
    #[error("the token is for another audience")]
    Audience,
    #[error("the token does not name its principal")]
    Principal,
}

/// A token that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) principal: Principal,
    /// It counts until then, leeway included.
    pub(crate) until: Timestamp,
}

/// Checks a token against the keys.
///
/// # Errors
/// The first thing that is wrong with it; the signature comes before anything it claims.
pub(crate) fn check(
    token: &str,
    keys: &Keys,
    wanted: &BearerConfig,
    now: Timestamp,
) -> Result<Verdict, TokenError> {
    if token.len() > MAX_TOKEN {
        return Err(TokenError::Malformed);
    }
    let header = decode_header(token).map_err(|error| match error.kind() {
        // `none`, and whatever else jsonwebtoken has no name for.
        jsonwebtoken::errors::ErrorKind::Json(_) => TokenError::Algorithm,
        _ => TokenError::Malformed,
    })?;
    if matches!(
        header.alg,
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512
    ) {
        return Err(TokenError::Algorithm);
    }
    // What a token says must be understood is not (RFC 7515, section 4.1.11).
    if header.crit.is_some() || header.enc.is_some() {
        return Err(TokenError::Malformed);
    }
    let claims = verified(token, header.kid.as_deref(), header.alg, keys)?;
    judge(&claims, wanted, now)
}

/// The claims, once a key has verified them.
fn verified(
    token: &str,
    id: Option<&str>,
    algorithm: Algorithm,
    keys: &Keys,
) -> Result<Map<String, Value>, TokenError> {
    let mut validation = Validation::new(algorithm);
    // These are judged below, at a time that is an argument.
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let mut tried = TokenError::UnknownKey;
    for key in keys.candidates(id, algorithm) {
        match decode(token, &key.decoding, &validation) {
            Ok(data) => return Ok(data.claims),
            Err(_) => tried = TokenError::Signature,
        }
    }
    Err(tried)
}

fn judge(
    claims: &Map<String, Value>,
    wanted: &BearerConfig,
    now: Timestamp,
) -> Result<Verdict, TokenError> {
    let leeway = i64::try_from(wanted.leeway.get().as_millis()).unwrap_or(i64::MAX);
    let until = moment(claims, "exp")
        .ok_or(TokenError::Ended)?
        .plus_millis(leeway);
    if now >= until {
        return Err(TokenError::Ended);
    }
    if claims.contains_key("nbf") {
        let from = moment(claims, "nbf").ok_or(TokenError::NotYet)?;
        if now.plus_millis(leeway) < from {
            return Err(TokenError::NotYet);
        }
    }
    if claims.get("iss").and_then(Value::as_str) != Some(wanted.issuer.as_str()) {
        return Err(TokenError::Issuer);
    }
    let is_ours = |value: &Value| {
        value.as_str().is_some_and(|name| {
            !name.is_empty() && wanted.audiences.iter().any(|ours| ours == name)
        })
    };
    let ours = match claims.get("aud") {
        Some(Value::Array(all)) => all.iter().any(is_ours),
        Some(one) => is_ours(one),
        None => false,
    };
    if !ours {
        return Err(TokenError::Audience);
    }
    let principal = claims
        .get(&wanted.principal_claim)
        .and_then(Value::as_str)
        .and_then(|name| Principal::named(name, Authentication::Bearer))
        .ok_or(TokenError::Principal)?;
    Ok(Verdict { principal, until })
}

/// A `NumericDate`: seconds since 1970, with or without a fraction (RFC 7519, section 2).
fn moment(claims: &Map<String, Value>, name: &str) -> Option<Timestamp> {
    let value = claims.get(name)?;
    let seconds = value
        .as_i64()
        .or_else(|| value.as_f64().and_then(whole_seconds))?;
    Some(Timestamp::from_millis(seconds.saturating_mul(1_000)))
}

fn whole_seconds(seconds: f64) -> Option<i64> {
    // Beyond this a date means nothing, and no float is exact.
    const FAR: f64 = 1e14;
    #[expect(clippy::cast_possible_truncation, reason = "within ±1e14")]
    (seconds.abs() < FAR).then_some(seconds as i64)
}

#[cfg(test)]
mod tests;
