//! Files of certificates and keys, for TLS. Read once, when a client is made.

use std::path::Path;

use meshwork_model::text::with_causes;
use meshwork_tls::{FileError, Named, certificates, identity_pem};
use reqwest::{Certificate, ClientBuilder, Identity};

use crate::config::RegistryClientConfig;
use crate::error::RegistryClientError;

const CERTIFICATE: &str = "registry.client.certificate_file";
const KEY: &str = "registry.client.key_file";

/// Trusts the authorities of `ca_file`, and shows the certificate of `certificate_file`.
///
/// # Errors
/// A file that can't be used, or one of certificate and key without the other.
pub(crate) fn with(
    mut http: ClientBuilder,
    config: &RegistryClientConfig,
) -> Result<ClientBuilder, RegistryClientError> {
    if let Some(path) = &config.ca_file {
        http = http.tls_certs_merge(authorities(&named(path, "registry.client.ca_file"))?);
    }
    match (&config.certificate_file, &config.key_file) {
        (Some(certificate), Some(key)) => {
            let (certificate, key) = (named(certificate, CERTIFICATE), named(key, KEY));
            Ok(http.identity(identity(&certificate, &key)?))
        }
        (Some(_), None) => Err(alone(CERTIFICATE, "key_file")),
        (None, Some(_)) => Err(alone(KEY, "certificate_file")),
        (None, None) => Ok(http),
    }
}

fn named(file: &Path, key: &'static str) -> Named {
    Named {
        file: file.to_owned(),
        key,
    }
}

fn alone(key: &'static str, other: &str) -> RegistryClientError {
    let why = format!("{other} is not given, and one is of no use alone: give both, or none");
    FileError::Unusable { key, why }.into()
}

fn authorities(file: &Named) -> Result<Vec<Certificate>, RegistryClientError> {
    let all = certificates(file, &file.read()?)?;
    all.iter()
        .map(|der| {
            let unfit = |e: reqwest::Error| {
                file.wrong(
                    with_causes(&e),
                    "write the authorities' certificates there, in PEM",
                )
            };
            Ok(Certificate::from_der(der).map_err(unfit)?)
        })
        .collect()
}

fn identity(certificate: &Named, key: &Named) -> Result<Identity, RegistryClientError> {
    let pem = identity_pem((certificate, &certificate.read()?), (key, &key.read()?))?;
    let unfit = |e: reqwest::Error| FileError::Pair {
        certificate: certificate.file.clone(),
        key: key.file.clone(),
        why: with_causes(&e),
    };
    Ok(Identity::from_pem(&pem).map_err(unfit)?)
}
