//! A JSON Web Key Set: the public keys that tokens may be signed with.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

/// Most keys taken from a set. Providers publish two to ten.
const MAX_KEYS: usize = 64;

/// Shortest RSA modulus, bytes: 2,048 bits (NIST SP 800-131A).
const MIN_RSA: usize = 256;

const RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// One public key and what it may verify. A key verifies only what its own kind can sign, whatever
/// a token says: a public RSA key is never the secret of an HMAC.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: Option<String>,
    pub(crate) decoding: DecodingKey,
    algorithms: Vec<Algorithm>,
}

impl Key {
    pub(crate) fn verifies(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// None: a key of no use here, such as one for encryption, a symmetric one, or a short one.
    fn of(jwk: &Jwk) -> Option<Self> {
        let common = &jwk.common;
        if matches!(&common.public_key_use, Some(usage) if *usage != PublicKeyUse::Signature) {
            return None;
        }
        if matches!(&common.key_operations, Some(all) if !all.contains(&KeyOperations::Verify)) {
            return None;
        }
        let able: &[Algorithm] = match &jwk.algorithm {
            AlgorithmParameters::RSA(key) => {
                let modulus = URL_SAFE_NO_PAD.decode(&key.n).ok()?;
                let length = modulus.iter().skip_while(|byte| **byte == 0).count();
                (length >= MIN_RSA).then_some(RSA)?
            }
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => &[Algorithm::ES256],
                EllipticCurve::P384 => &[Algorithm::ES384],
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                &[Algorithm::EdDSA]
            }
            _ => return None,
        };
        let algorithms: Vec<Algorithm> = able
            .iter()
            .copied()
            .filter(|algorithm| {
                common
                    .key_algorithm
                    .is_none_or(|named| named == KeyAlgorithm::from(*algorithm))
            })
            .collect();
        if algorithms.is_empty() {
            return None;
        }
        Some(Self {
            id: common.key_id.clone(),
            decoding: DecodingKey::from_jwk(jwk).ok()?,
            algorithms,
        })
    }
}

/// The keys of a set that are of use.
#[derive(Clone, Default)]
pub(crate) struct Keys(Vec<Key>);

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

impl Keys {
    /// From a set's JSON. Keys that are of no use are left out.
    ///
    /// # Errors
    /// It is no set, or none of its keys is of use: in words.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let set: Set = serde_json::from_slice(bytes)
            .map_err(|error| format!("it is no JSON Web Key Set: {error}"))?;
        if set.keys.len() > MAX_KEYS {
            return Err(format!(
                "it has {} keys, and {MAX_KEYS} are the most",
                set.keys.len()
            ));
        }
        let given = set.keys.len();
        let keys: Vec<Key> = set
            .keys
            .into_iter()
            .filter_map(|key| serde_json::from_value::<Jwk>(key).ok())
            .filter_map(|jwk| Key::of(&jwk))
            .collect();
        if keys.is_empty() {
            return Err(format!(
                "none of its {given} keys is a public one for signatures: RSA from 2,048 bits, P-256, P-384 or Ed25519"
            ));
        }
        Ok(Self(keys))
    }

    /// The keys that may have signed a token: the one it names or, where it names none, those of
    /// its kind.
    pub(crate) fn candidates<'a>(
        &'a self,
        id: Option<&'a str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &'a Key> {
        self.0.iter().filter(move |key| {
            key.verifies(algorithm) && id.is_none_or(|id| key.id.as_deref() == Some(id))
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
