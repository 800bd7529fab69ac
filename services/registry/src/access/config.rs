//! What of access can be configured.

use std::path::PathBuf;

use meshwork_model::units::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::AccessError;

/// TLS on the registry's listener: 1.2 or 1.3. Where it is set, nothing is answered without it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// PEM: the certificate, then those between it and the authority.
    pub certificate_file: PathBuf,
    /// PEM: the certificate's private key, not encrypted.
    pub key_file: PathBuf,
    /// PEM: authorities whose certificates clients may show. Absent: clients are not asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca_file: Option<PathBuf>,
    /// Whether clients must show a certificate of `client_ca_file`. Default `required`.
    #[serde(default)]
    pub client_certificate: ClientCertificate,
    /// PEM: authorities of the other instances' certificates, for what is passed on to the one that
    /// writes; this one shows its own certificate to it. Absent: the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances_ca_file: Option<PathBuf>,
    /// How often the files are looked at; what is new in them holds for connections from then on.
    /// Default `10s`, at least `1s`.
    #[serde(default = "reload_interval")]
    pub reload_interval: HumanDuration,
}

/// Whether a client must show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificate {
    /// Without one there is no connection.
    #[default]
    Required,
    /// Without one the client must show otherwise who it is.
    Optional,
}

fn reload_interval() -> HumanDuration {
    HumanDuration::from_secs(10)
}

/// How clients show who they are. None of the three ways configured: everybody is anonymous.
/// Several instances must have the same ones: each checks for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AuthenticationConfig {
    /// Lets in who shows nothing, as `anonymous`. Who shows something wrong is refused all the
    /// same. Default false, once there is a way to be known.
    pub allow_anonymous: bool,
    /// By user and password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic: Option<BasicConfig>,
    /// By a signed token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer: Option<BearerConfig>,
    /// By the certificate of the TLS connection, which needs `tls.client_ca_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateConfig>,
    /// Principals, by certificate, of the other instances: what they forward to the writer counts
    /// as asked by the one whom they name in `Meshwork-Principal`.
    pub instances: Vec<String>,
    /// How long a password or token that was right is believed without being checked again, at
    /// most until the token's end. Default `5m`; a change of the files ends it at once.
    pub remember: HumanDuration,
    /// How many of them. Default 10,000, about 2 MiB.
    pub remembered: usize,
    /// How often the users' and the keys' files are looked at. Default `10s`, at least `1s`.
    pub reload_interval: HumanDuration,
}

impl Default for AuthenticationConfig {
    fn default() -> Self {
        Self {
            allow_anonymous: false,
            basic: None,
            bearer: None,
            certificate: None,
            instances: Vec::new(),
            remember: HumanDuration::from_secs(300),
            remembered: 10_000,
            reload_interval: reload_interval(),
        }
    }
}

/// Users and their passwords.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicConfig {
    /// Lines `user:hash`, as `htpasswd -nB user` writes them (bcrypt) or with an Argon2 hash;
    /// empty lines and those that begin with `#` don't count.
    pub users_file: PathBuf,
    /// Passwords checked at once: each takes a core for as long as its hash is dear, so that this
    /// many cores at most are lost to those who guess. Default 1.
    #[serde(default = "one")]
    pub checks_at_once: usize,
}

fn one() -> usize {
    1
}

/// JSON Web Tokens, signed with RS, PS, ES or EdDSA algorithms by a key of a JSON Web Key Set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BearerConfig {
    /// What `iss` must be.
    pub issuer: String,
    /// One of these must be in `aud`.
    pub audiences: Vec<String>,
    /// The claim that names the principal. Default `sub`.
    #[serde(default = "sub")]
    pub principal_claim: String,
    /// How far clocks may be apart, for `exp` and `nbf`. Default `30s`, at most `5m`.
    #[serde(default = "leeway")]
    pub leeway: HumanDuration,
    /// The keys, from a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_file: Option<PathBuf>,
    /// The keys, from a URL: https, or http on the same machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_url: Option<String>,
    /// PEM: authorities that `keys_url` is trusted by. Absent: the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_ca_file: Option<PathBuf>,
    /// How often `keys_url` is asked again; a key that is not known is asked for at once, but not
    /// more often than every 10 s. Default `10m`.
    #[serde(default = "refresh")]
    pub keys_refresh: HumanDuration,
    /// How long keys are trusted while `keys_url` can't be reached. Default `24h`; then tokens are
    /// answered 503.
    #[serde(default = "trusted")]
    pub keys_trusted_for: HumanDuration,
}

fn sub() -> String {
    "sub".to_owned()
}

fn leeway() -> HumanDuration {
    HumanDuration::from_secs(30)
}

fn refresh() -> HumanDuration {
    HumanDuration::from_secs(600)
}

fn trusted() -> HumanDuration {
    HumanDuration::from_secs(24 * 3_600)
}

/// Principals by certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CertificateConfig {
    /// What of the certificate's subject is the principal's name.
    pub name: CertificateName,
}

/// What of a certificate's subject is the principal's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CertificateName {
    /// The common name; a subject with none or several is refused.
    #[default]
    CommonName,
    /// All of it, as in RFC 4514: `CN=ann,OU=Data,O=Acme`.
    DistinguishedName,
}

impl AuthenticationConfig {
    /// Whether there is any way to be known.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.basic.is_some() || self.bearer.is_some() || self.certificate.is_some()
    }
}

fn setting(key: &'static str, why: impl Into<String>) -> AccessError {
    AccessError::Setting {
        key,
        why: why.into(),
    }
}

/// Whether the parts go together.
///
/// # Errors
/// The first that does not.
pub(super) fn check(config: &crate::Config) -> Result<(), AccessError> {
    let authentication = &config.authentication;
    if !authentication.is_configured() {
        if !config.rules.is_empty() {
            return Err(setting(
                "registry.service.rules",
                "rules need principals, and nobody can be known: set registry.service.authentication.basic, .bearer or .certificate",
            ));
        }
        if !config.reserved.is_empty() {
            return Err(setting(
                "registry.service.reserved",
                "subjects are kept for principals, and nobody can be known: set registry.service.authentication.basic, .bearer or .certificate",
            ));
        }
    }
    let asks = config
        .tls
        .as_ref()
        .is_some_and(|tls| tls.client_ca_file.is_some());
    if authentication.certificate.is_some() && !asks {
        return Err(setting(
            "registry.service.authentication.certificate",
            "clients are not asked for certificates: set registry.service.tls.client_ca_file",
        ));
    }
    if !authentication.instances.is_empty() && authentication.certificate.is_none() {
        return Err(setting(
            "registry.service.authentication.instances",
            "instances are known by their certificates: set registry.service.authentication.certificate",
        ));
    }
    if let Some(bearer) = &authentication.bearer {
        check_bearer(bearer)?;
    }
    for rule in &config.rules {
        if rule.principals.is_empty() || rule.allow.is_empty() {
            return Err(setting(
                "registry.service.rules",
                format!(
                    "the rule for subjects `{}` allows nobody anything: name principals, and any of read, write, delete, configure",
                    rule.subjects
                ),
            ));
        }
    }
    for kept in &config.reserved {
        if kept.principals.is_empty() {
            return Err(setting(
                "registry.service.reserved",
                format!(
                    "`{}` is reserved for nobody, so that nobody could register there: name principals",
                    kept.prefix
                ),
            ));
        }
    }
    Ok(())
}

fn check_bearer(bearer: &BearerConfig) -> Result<(), AccessError> {
    if bearer.issuer.is_empty() || bearer.audiences.iter().all(String::is_empty) {
        return Err(setting(
            "registry.service.authentication.bearer",
            "issuer and audiences must be set: else a token for any other service would do here",
        ));
    }
    if bearer.keys_file.is_some() == bearer.keys_url.is_some() {
        return Err(setting(
            "registry.service.authentication.bearer",
            "one of keys_file and keys_url must be set, and not both",
        ));
    }
    if bearer.leeway > HumanDuration::from_secs(300) {
        return Err(setting(
            "registry.service.authentication.bearer.leeway",
            "more than 5m would let tokens live on long past their end; mend the clocks instead",
        ));
    }
    Ok(())
}
