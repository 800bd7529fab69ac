//! TLS on the listener, with certificates that may be replaced while it runs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use meshwork_tls::{
    ClientCertificates, File, FileError, certificates, identity_pem, server_config,
};
use rustls::{ServerConfig, ServerConnection};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::access::{
    AccessError, AccessMetrics, CertificateName, ClientCertificate, Named, Peer, Reloaded,
    TlsConfig, certificate_principal, in_words,
};
use crate::config::Config;

const CERTIFICATE: &str = "registry.service.tls.certificate_file";
const KEY: &str = "registry.service.tls.key_file";
const CLIENT_CA: &str = "registry.service.tls.client_ca_file";
const INSTANCES_CA: &str = "registry.service.tls.instances_ca_file";

const PEM: &str =
    "write certificates there in PEM: blocks that begin with -----BEGIN CERTIFICATE-----";

/// Longest wait for a connection to another instance.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// How connections are accepted, and made to other instances. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Tls {
    /// None: plain.
    files: Option<(Arc<Reloaded<ServerConfig>>, TlsConfig)>,
    outgoing: Outgoing,
    name: CertificateName,
}

/// What other instances are asked with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Outgoing(Arc<Reloaded<reqwest::Client>>);

impl Outgoing {
    pub(super) fn client(&self) -> Arc<reqwest::Client> {
        self.0.current()
    }
}

impl Tls {
    /// Reads the files, if TLS is configured.
    ///
    /// # Errors
    /// A file that can't be used, with what to do about it.
    pub(crate) fn open(config: &Config) -> Result<Self, AccessError> {
        let name = config
            .authentication
            .certificate
            .as_ref()
            .map(|certificate| certificate.name)
            .unwrap_or_default();
        let Some(tls) = &config.tls else {
            return Ok(Self {
                files: None,
                outgoing: Outgoing(Arc::new(Reloaded::open(Vec::new(), |_| {
                    client(reqwest::Client::builder())
                })?)),
                name,
            });
        };
        let mut files = vec![
            Named {
                file: tls.certificate_file.clone(),
                key: CERTIFICATE,
            },
            Named {
                file: tls.key_file.clone(),
                key: KEY,
            },
        ];
        files.extend(tls.client_ca_file.clone().map(|file| Named {
            file,
            key: CLIENT_CA,
        }));
        let client = tls.client_certificate;
        let named = files.clone();
        let reloaded = Reloaded::open(files, move |bytes| server(&named, bytes, client))?;
        let outgoing = Outgoing(Arc::new(outgoing(tls)?));
        Ok(Self {
            files: Some((Arc::new(reloaded), tls.clone())),
            outgoing,
            name,
        })
    }

    /// What other instances are asked with.
    pub(crate) fn outgoing(&self) -> Outgoing {
        self.outgoing.clone()
    }

    /// What new connections are accepted with; none: they are plain.
    pub(super) fn acceptor(&self) -> Option<TlsAcceptor> {
        let (files, _) = self.files.as_ref()?;
        Some(TlsAcceptor::from(files.current()))
    }

    /// Looks at the files now and then, until `stop`.
    pub(crate) async fn watch(&self, metrics: AccessMetrics, stop: CancellationToken) {
        if let Some((files, config)) = &self.files {
            let interval = config.reload_interval.get();
            let outgoing = Arc::clone(&self.outgoing.0);
            tokio::join!(
                Arc::clone(files).watch(interval, metrics.watcher(), stop.clone()),
                outgoing.watch(interval, metrics.watcher(), stop),
            );
        }
    }

    /// The other end of a connection, once its handshake is done.
    pub(super) fn peer(&self, address: SocketAddr, connection: Option<&ServerConnection>) -> Peer {
        let shown = connection
            .and_then(|connection| connection.peer_certificates())
            .and_then(<[_]>::first);
        Peer {
            address: address.ip(),
            certificate: shown.map(|certificate| {
                certificate_principal(certificate, self.name).map_err(|error| error.to_string())
            }),
        }
    }
}

/// Asks with this instance's own certificate, and trusts the authority that is configured.
fn outgoing(tls: &TlsConfig) -> Result<Reloaded<reqwest::Client>, AccessError> {
    let mut files = vec![
        Named {
            file: tls.certificate_file.clone(),
            key: CERTIFICATE,
        },
        Named {
            file: tls.key_file.clone(),
            key: KEY,
        },
    ];
    files.extend(tls.instances_ca_file.clone().map(|file| Named {
        file,
        key: INSTANCES_CA,
    }));
    let named = files.clone();
    let reloaded = Reloaded::open(files, move |bytes| {
        let (certificate, key, authorities) = split(&named, bytes);
        let pem = identity_pem(certificate, key)?;
        let identity = reqwest::Identity::from_pem(&pem).map_err(|error| FileError::Pair {
            certificate: certificate.0.file.clone(),
            key: key.0.file.clone(),
            why: in_words(error),
        })?;
        let mut builder = reqwest::Client::builder().identity(identity);
        if let Some((named, bytes)) = authorities {
            let authorities = certificates(named, bytes)?
                .into_iter()
                .map(|authority| reqwest::Certificate::from_der(&authority))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| named.wrong(in_words(error), PEM))?;
            builder = builder.tls_certs_only(authorities);
        }
        client(builder)
    })?;
    Ok(reloaded)
}

fn client(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, FileError> {
    builder
        .connect_timeout(CONNECT_WITHIN)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(|error| FileError::Unusable {
            key: "registry.service.tls",
            why: format!("other instances can't be asked: {}", in_words(error)),
        })
}

/// The certificate, its key, and the authorities if there are any, with their bytes.
fn split<'f>(named: &'f [Named], bytes: &'f [Vec<u8>]) -> (File<'f>, File<'f>, Option<File<'f>>) {
    let mut files = named.iter().zip(bytes.iter().map(Vec::as_slice));
    let (Some(certificate), Some(key)) = (files.next(), files.next()) else {
        unreachable!("both files are always named");
    };
    (certificate, key, files.next())
}

fn server(
    named: &[Named],
    bytes: &[Vec<u8>],
    client: ClientCertificate,
) -> Result<ServerConfig, FileError> {
    let (certificate, key, authorities) = split(named, bytes);
    let clients = match (authorities, client) {
        (None, _) => ClientCertificates::Unasked,
        (Some((named, bytes)), ClientCertificate::Optional) => {
            ClientCertificates::Optional(named, bytes)
        }
        (Some((named, bytes)), ClientCertificate::Required) => {
            ClientCertificates::Required(named, bytes)
        }
    };
    let mut config = server_config(certificate, key, clients)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::ClientCertificate;

    #[test]
    fn a_certificate_whose_file_ends_without_a_line_end_is_shown_to_other_instances() {
        let dir = tempfile::tempdir().unwrap();
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let file = |name: &str, text: &str| {
            let file = dir.path().join(name);
            std::fs::write(&file, text).unwrap();
            file
        };
        let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let with_key = |key: &str| TlsConfig {
            certificate_file: file("certificate", own.cert.pem().trim_end()),
            key_file: file("key", key.trim_end()),
            client_ca_file: None,
            client_certificate: ClientCertificate::Optional,
            instances_ca_file: None,
            reload_interval: meshwork_model::units::HumanDuration::from_secs(10),
        };
        assert!(outgoing(&with_key(&own.signing_key.serialize_pem())).is_ok());
        let error = outgoing(&with_key(&other)).err().unwrap();
        assert!(matches!(error, AccessError::File(FileError::Pair { .. })));
    }
}
