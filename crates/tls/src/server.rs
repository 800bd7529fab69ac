//! TLS at a listener.

use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::sign::SingleCertAndKey;
use rustls::{RootCertStore, ServerConfig};

use crate::error::FileError;
use crate::files::{File, Named};
use crate::pem::{certificates, pair, provider};

/// Whether clients show certificates.
#[derive(Clone, Copy, Debug)]
pub enum ClientCertificates<'f> {
    /// They are not asked for one.
    Unasked,
    /// They may show one of these authorities.
    Optional(&'f Named, &'f [u8]),
    /// They must.
    Required(&'f Named, &'f [u8]),
}

/// TLS 1.2 and 1.3 with a certificate (those between it and its authority behind it) and its key,
/// each a file and its bytes.
///
/// # Errors
/// A file that does not hold what it should, or a pair that does not fit.
pub fn server_config(
    certificate: File<'_>,
    key: File<'_>,
    clients: ClientCertificates<'_>,
) -> Result<ServerConfig, FileError> {
    let own = Arc::new(SingleCertAndKey::from(pair(certificate, key)?));
    let provider = Arc::new(provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| {
            certificate
                .0
                .wrong(error.to_string(), "use another build of the TLS library")
        })?;
    let (named, bytes, must) = match clients {
        ClientCertificates::Unasked => {
            return Ok(builder.with_no_client_auth().with_cert_resolver(own));
        }
        ClientCertificates::Optional(named, bytes) => (named, bytes, false),
        ClientCertificates::Required(named, bytes) => (named, bytes, true),
    };
    let roots = Arc::new(authorities(named, bytes)?);
    let mut verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
    if !must {
        verifier = verifier.allow_unauthenticated();
    }
    let verifier = verifier
        .build()
        .map_err(|error| named.wrong(error.to_string(), AUTHORITIES))?;
    Ok(builder
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(own))
}

const AUTHORITIES: &str = "write the authorities' certificates there, in PEM";

/// The authorities of a file.
///
/// # Errors
/// [`FileError::Content`].
pub(crate) fn authorities(named: &Named, bytes: &[u8]) -> Result<RootCertStore, FileError> {
    let mut roots = RootCertStore::empty();
    for authority in certificates(named, bytes)? {
        roots
            .add(authority)
            .map_err(|error| named.wrong(error.to_string(), AUTHORITIES))?;
    }
    Ok(roots)
}
