//! Logging in with the gateway's own credentials (`kafka.properties`): PLAIN and SCRAM (RFC 5802,
//! 7677). The words are made here; who says them is the connection.

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use meshwork_kafka::KafkaConfig;

/// Most rounds of hashing that a server may ask for: some tenths of a second.
const ITERATIONS_MAX: u32 = 1_000_000;

/// Why no login is possible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoginError {
    /// Not with this mechanism.
    #[error(
        "the gateway's own questions can't log in with {0}: use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512 in kafka.properties"
    )]
    Mechanism(String),
    /// The broker says no.
    #[error("the broker refuses the gateway's own login: {0}")]
    Refused(String),
    /// It answers what it should not.
    #[error("the broker's part of the login is not right: {0}")]
    Wrong(&'static str),
}

/// How the gateway logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Plain,
    Scram(Hash),
    Other(String),
}

/// The hash of SCRAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha512,
}

/// Name, password and how they are said.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(super) mechanism: Mechanism,
    name: String,
    password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("mechanism", &self.mechanism)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// As librdkafka's properties say. `None`: the brokers want no login.
    pub(crate) fn of(kafka: &KafkaConfig) -> Option<Self> {
        let property = |names: &[&str]| {
            let found = names.iter().find_map(|name| kafka.properties.get(*name));
            found.cloned().unwrap_or_default()
        };
        if !kafka.wants_login() {
            return None;
        }
        let mechanism = property(&["sasl.mechanisms", "sasl.mechanism"]);
        Some(Self {
            mechanism: match mechanism.as_str() {
                "PLAIN" => Mechanism::Plain,
                "SCRAM-SHA-256" => Mechanism::Scram(Hash::Sha256),
                "SCRAM-SHA-512" => Mechanism::Scram(Hash::Sha512),
                _ => Mechanism::Other(mechanism),
            },
            name: property(&["sasl.username"]),
            password: property(&["sasl.password"]),
        })
    }

    /// The mechanism's name on the wire.
    pub(super) fn mechanism_name(&self) -> &str {
        match &self.mechanism {
            Mechanism::Plain => "PLAIN",
            Mechanism::Scram(Hash::Sha256) => "SCRAM-SHA-256",
            Mechanism::Scram(Hash::Sha512) => "SCRAM-SHA-512",
            Mechanism::Other(name) => name,
        }
    }

    /// The one message of PLAIN (RFC 4616).
    pub(super) fn plain(&self) -> Vec<u8> {
        format!("\0{}\0{}", self.name, self.password).into_bytes()
    }

    /// SCRAM's first message is [`Scram::first`].
    pub(super) fn scram(&self, hash: Hash, nonce: String) -> Scram {
        let name = self.name.replace('=', "=3D").replace(',', "=2C");
        Scram {
            hash,
            bare: format!("n={name},r={nonce}"),
            nonce,
            password: self.password.clone(),
        }
    }
}

/// A SCRAM login on its way.
pub(super) struct Scram {
    hash: Hash,
    nonce: String,
    bare: String,
    password: String,
}

/// The client's last message, and what the server has to say to it.
pub(super) struct Last {
    pub(super) message: Vec<u8>,
    signature: Vec<u8>,
}

impl Scram {
    pub(super) fn first(&self) -> Vec<u8> {
        format!("n,,{}", self.bare).into_bytes()
    }

    /// The answer to the server's first message.
    pub(super) fn last(&self, server: &[u8]) -> Result<Last, LoginError> {
        let wrong = LoginError::Wrong;
        let server = std::str::from_utf8(server).map_err(|_| wrong("no text"))?;
        let field = |name: &str| server.split(',').find_map(|part| part.strip_prefix(name));
        let nonce = field("r=").ok_or(wrong("no nonce"))?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(wrong("another nonce"));
        }
        let salt = field("s=").and_then(|salt| BASE64.decode(salt).ok());
        let salt = salt.ok_or(wrong("no salt"))?;
        let rounds = field("i=").and_then(|rounds| rounds.parse::<std::num::NonZeroU32>().ok());
        let rounds = rounds
            .filter(|rounds| rounds.get() <= ITERATIONS_MAX)
            .ok_or(wrong("no number of rounds, or too many"))?;
        let (mac, hash, derive) = match self.hash {
            Hash::Sha256 => (
                hmac::HMAC_SHA256,
                &digest::SHA256,
                pbkdf2::PBKDF2_HMAC_SHA256,
            ),
            Hash::Sha512 => (
                hmac::HMAC_SHA512,
                &digest::SHA512,
                pbkdf2::PBKDF2_HMAC_SHA512,
            ),
        };
        let mut salted = vec![0; hash.output_len()];
        pbkdf2::derive(derive, rounds, &salt, self.password.as_bytes(), &mut salted);
        let sign = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(mac, key), text);
        let client_key = sign(&salted, b"Client Key");
        let stored = digest::digest(hash, client_key.as_ref());
        let unsigned = format!("c=biws,r={nonce}");
        let all = format!("{},{server},{unsigned}", self.bare);
        let signature = sign(stored.as_ref(), all.as_bytes());
        let proof: Vec<u8> = client_key
            .as_ref()
            .iter()
            .zip(signature.as_ref())
            .map(|(a, b)| a ^ b)
            .collect();
        let server_key = sign(&salted, b"Server Key");
        Ok(Last {
            message: format!("{unsigned},p={}", BASE64.encode(proof)).into_bytes(),
            signature: sign(server_key.as_ref(), all.as_bytes()).as_ref().to_vec(),
        })
    }
}

impl Last {
    /// Whether the server knows the password too.
    pub(super) fn check(&self, server: &[u8]) -> Result<(), LoginError> {
        let signature = std::str::from_utf8(server)
            .ok()
            .and_then(|text| text.strip_prefix("v="))
            .and_then(|text| text.split(',').next())
            .and_then(|text| BASE64.decode(text).ok())
            .ok_or(LoginError::Wrong("no signature"))?;
        constant_time::verify_slices_are_equal(&signature, &self.signature)
            .map_err(|_| LoginError::Wrong("another signature"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(mechanism: &str) -> Credentials {
        let mut kafka = KafkaConfig::new("a:1");
        for (key, value) in [
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanisms", mechanism),
            ("sasl.username", "user"),
            ("sasl.password", "pencil"),
        ] {
            kafka.properties.insert(key.to_owned(), value.to_owned());
        }
        Credentials::of(&kafka).unwrap()
    }

    #[test]
    fn scram_as_in_rfc_7677() {
        let scram = credentials("SCRAM-SHA-256").scram(Hash::Sha256, "rOprNGfwEbeRWgbNEkqO".into());
        assert_eq!(scram.first(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let server = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let last = scram.last(server).unwrap();
        assert_eq!(
            String::from_utf8(last.message.clone()).unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(
            last.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="),
            Ok(())
        );
        assert!(
            last.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=")
                .is_err()
        );
        assert!(last.check(b"e=other-error").is_err());
        for bad in [
            &b"r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"[..],
            b"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=9999999",
            b"r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0",
            b"r=rOprNGfwEbeRWgbNEkqOx,i=4096",
            b"\xff",
        ] {
            assert!(scram.last(bad).is_err());
        }
    }

    #[test]
    fn credentials_are_librdkafkas_and_not_printed() {
        let plain = credentials("PLAIN");
        assert_eq!(plain.plain(), b"\0user\0pencil");
        assert!(!format!("{plain:?}").contains("pencil"));
        assert_eq!(
            credentials("GSSAPI").mechanism,
            Mechanism::Other("GSSAPI".into())
        );
        assert!(Credentials::of(&KafkaConfig::new("a:1")).is_none());
    }
}
