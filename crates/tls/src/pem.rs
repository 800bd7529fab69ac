//! Certificates and keys in PEM.

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::FileError;
use crate::files::Named;

const CERTIFICATES: &str =
    "write certificates there in PEM: blocks that begin with -----BEGIN CERTIFICATE-----";

/// All certificates of a file; at least one.
///
/// # Errors
/// [`FileError::Content`].
pub fn certificates(
    named: &Named,
    bytes: &[u8],
) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| named.wrong(format!("it is no PEM: {error}"), CERTIFICATES))?;
    if all.is_empty() {
        return Err(named.wrong("there is no certificate in it", CERTIFICATES));
    }
    Ok(all)
}

/// The private key of a file.
///
/// # Errors
/// [`FileError::Content`].
pub fn private_key(named: &Named, bytes: &[u8]) -> Result<PrivateKeyDer<'static>, FileError> {
    PrivateKeyDer::from_pem_slice(bytes).map_err(|error| {
        named.wrong(
            format!("no private key can be read from it: {error}"),
            "write the key in PEM, not encrypted: `openssl pkey -in KEY -out KEY.plain` takes the passphrase off",
        )
    })
}
