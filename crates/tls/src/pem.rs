//! Certificates and keys in PEM.

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::error::FileError;
use crate::files::{File, Named};

/// Longest chain taken, certificates. A real one has two to four.
const MAX_CHAIN: usize = 16;

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

/// A certificate, those between it and its authority behind it, and its key; each a file and its
/// bytes.
///
/// # Errors
/// A file that does not hold what it should, or a key of another certificate.
pub(crate) fn pair(certificate: File<'_>, key: File<'_>) -> Result<CertifiedKey, FileError> {
    let chain = certificates(certificate.0, certificate.1)?;
    if chain.len() > MAX_CHAIN {
        return Err(certificate.0.wrong(
            format!(
                "there are {} certificates in it, and {MAX_CHAIN} are the most",
                chain.len()
            ),
            "write the certificate itself first, then only those between it and its authority",
        ));
    }
    let private = private_key(key.0, key.1)?;
    CertifiedKey::from_der(chain, private, &provider()).map_err(|error| FileError::Pair {
        certificate: certificate.0.file.clone(),
        key: key.0.file.clone(),
        why: error.to_string(),
    })
}

/// A certificate and its key, each a file and its bytes, in one text of PEM, as HTTP clients want them.
/// What is wrong with them is said of the file that it is in.
///
/// # Errors
/// A file that does not hold what it should, or a key of another certificate.
pub fn identity_pem(certificate: File<'_>, key: File<'_>) -> Result<Vec<u8>, FileError> {
    pair(certificate, key)?;
    // The first may end without one.
    Ok([certificate.1, b"\n", key.1].concat())
}

/// What signs, verifies and encrypts.
pub(crate) fn provider() -> CryptoProvider {
    rustls::crypto::aws_lc_rs::default_provider()
}

fn private_key(named: &Named, bytes: &[u8]) -> Result<PrivateKeyDer<'static>, FileError> {
    PrivateKeyDer::from_pem_slice(bytes).map_err(|error| {
        named.wrong(
            format!("no private key can be read from it: {error}"),
            "write the key in PEM, not encrypted: `openssl pkey -in KEY -out KEY.plain` takes the passphrase off",
        )
    })
}
