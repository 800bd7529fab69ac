//! TLS of a connection that is made.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::sign::SingleCertAndKey;

use crate::error::FileError;
use crate::files::File;
use crate::pem::{pair, provider};
use crate::server::authorities;

/// TLS 1.2 and 1.3 that trusts the authorities of a file, and shows a certificate where one is
/// given with its key; each a file and its bytes.
///
/// # Errors
/// A file that does not hold what it should, or a pair that does not fit.
pub fn client_config(
    trusted: File<'_>,
    own: Option<(File<'_>, File<'_>)>,
) -> Result<ClientConfig, FileError> {
    let roots = authorities(trusted.0, trusted.1)?;
    let builder = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| {
            trusted
                .0
                .wrong(error.to_string(), "use another build of the TLS library")
        })?
        .with_root_certificates(roots);
    let Some((certificate, key)) = own else {
        return Ok(builder.with_no_client_auth());
    };
    let own = SingleCertAndKey::from(pair(certificate, key)?);
    Ok(builder.with_client_cert_resolver(Arc::new(own)))
}
