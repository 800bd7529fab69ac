//! Files of certificates and keys, for TLS. Read once, when a client is made.

use std::io::Read as _;
use std::path::Path;

use meshwork_model::text::with_causes;
use reqwest::{Certificate, ClientBuilder, Identity};

use crate::config::RegistryClientConfig;
use crate::error::RegistryClientError;

/// Largest file read; the bundle of all public authorities has 250 KiB.
const MAX_BYTES: u64 = 4 << 20;

/// Trusts the authorities of `ca_file`, and shows the certificate of `certificate_file`.
///
/// # Errors
/// A file that can't be used, or one of certificate and key without the other.
pub(crate) fn with(
    mut http: ClientBuilder,
    config: &RegistryClientConfig,
) -> Result<ClientBuilder, RegistryClientError> {
    if let Some(path) = &config.ca_file {
        http = http.tls_certs_merge(certificates("ca_file", path)?.1);
    }
    match (&config.certificate_file, &config.key_file) {
        (Some(certificate), Some(key)) => Ok(http.identity(identity(certificate, key)?)),
        (Some(path), None) => Err(alone("certificate_file", path, "key_file")),
        (None, Some(path)) => Err(alone("key_file", path, "certificate_file")),
        (None, None) => Ok(http),
    }
}

fn alone(option: &'static str, path: &Path, other: &str) -> RegistryClientError {
    file(option, path)(format!("{other} is not given, and one is of no use alone"))
}

fn file(option: &'static str, path: &Path) -> impl Fn(String) -> RegistryClientError {
    move |why| RegistryClientError::File {
        option,
        path: path.to_owned(),
        why,
    }
}

fn read(option: &'static str, path: &Path) -> Result<Vec<u8>, RegistryClientError> {
    let mut pem = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut pem))
        .map_err(|e| file(option, path)(e.to_string()))?;
    Ok(pem)
}

fn certificates(
    option: &'static str,
    path: &Path,
) -> Result<(Vec<u8>, Vec<Certificate>), RegistryClientError> {
    let bad = file(option, path);
    let pem = read(option, path)?;
    let certificates = Certificate::from_pem_bundle(&pem).map_err(|e| bad(with_causes(&e)))?;
    if certificates.is_empty() {
        return Err(bad("it holds no certificate in PEM form".to_owned()));
    }
    Ok((pem, certificates))
}

fn identity(certificate: &Path, key: &Path) -> Result<Identity, RegistryClientError> {
    let (mut pem, _) = certificates("certificate_file", certificate)?;
    let bad = file("key_file", key);
    let secret = read("key_file", key)?;
    let text = String::from_utf8_lossy(&secret);
    if text.contains("ENCRYPTED") {
        return Err(bad(
            "the key is encrypted; `openssl pkey -in <file> -out <new file>` decrypts it"
                .to_owned(),
        ));
    }
    if !text.contains("PRIVATE KEY-----") {
        return Err(bad("it holds no private key in PEM form".to_owned()));
    }
    pem.push(b'\n');
    pem.extend_from_slice(&secret);
    let identity = Identity::from_pem(&pem).map_err(|e| bad(with_causes(&e)))?;
    // That they belong together is seen when a client is made of them.
    reqwest::Client::builder()
        .identity(identity.clone())
        .build()
        .map_err(|e| {
            let why = with_causes(&e);
            bad(format!(
                "it does not go with the first certificate of certificate_file, {}: {why}",
                certificate.display()
            ))
        })?;
    Ok(identity)
}
