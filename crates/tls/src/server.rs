//! TLS at a listener.

use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::error::FileError;
use crate::files::{File, Named};
use crate::pem::{certificates, private_key};

/// Longest chain taken, certificates. A real one has two to four.
const MAX_CHAIN: usize = 16;

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
    let chain = certificates(certificate.0, certificate.1)?;
    if chain.len() > MAX_CHAIN {
        return Err(certificate.0.wrong(
            format!("there are {} certificates in it, and {MAX_CHAIN} are the most", chain.len()),
            "write the server's own certificate first, then only those between it and its authority",
        ));
    }
    let private = private_key(key.0, key.1)?;
    let pair = |error: rustls::Error| FileError::Pair {
        certificate: certificate.0.file.clone(),
        key: key.0.file.clone(),
        why: error.to_string(),
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(pair)?;
    let (named, bytes, must) = match clients {
        ClientCertificates::Unasked => {
            return builder
                .with_no_client_auth()
                .with_single_cert(chain, private)
                .map_err(pair);
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
    builder
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, private)
        .map_err(pair)
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
