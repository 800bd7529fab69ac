//! Who asks, and what they may do.
//!
//! Pure: [`rules`] say who may do what, [`wanted`] says what a request wants, [`users`], [`token`]
//! and [`certificate`] tell who somebody is. Shells: `reloaded` reads files again, `key_source`
//! fetches keys, `passwords` bounds what checking costs, `gate` stands before the handlers, and
//! `auditor` writes what it refused.
//! With nothing configured there is no gate: everybody is anonymous and may do everything.

mod auditor;
mod certificate;
mod config;
mod error;
mod gate;
mod identify;
mod key_source;
mod keys;
mod metrics;
mod passwords;
mod prefix;
mod principal;
mod refused;
mod rules;
mod token;
mod users;
mod verified;
mod wanted;

pub use config::{
    AuthenticationConfig, BasicConfig, BearerConfig, CertificateConfig, CertificateName,
    ClientCertificate, TlsConfig,
};
pub use error::AccessError;
pub use prefix::SubjectPrefix;
pub use rules::{Action, Reservation, Rule};

pub(crate) use auditor::Auditor;
pub(crate) use certificate::principal as certificate_principal;
pub(crate) use error::in_words;
pub(crate) use gate::{Access, Caller, gate};
pub(crate) use identify::{PRINCIPAL, Peer, SharedPeer};
pub(crate) use meshwork_tls::{Named, Reloaded};
pub(crate) use metrics::AccessMetrics;
pub(crate) use principal::is_name;
