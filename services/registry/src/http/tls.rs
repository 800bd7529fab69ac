//! TLS on the listener, with certificates that may be replaced while it runs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use meshwork_tls::{ClientCertificates, FileError, certificates, server_config};
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
    let (certificate, key) = (tls.certificate_file.clone(), tls.key_file.clone());
    let reloaded = Reloaded::open(files, move |bytes| {
        let pair: Vec<u8> = bytes.iter().take(2).flatten().copied().collect();
        let identity = reqwest::Identity::from_pem(&pair).map_err(|error| FileError::Pair {
            certificate: certificate.clone(),
            key: key.clone(),
            why: in_words(error),
        })?;
        let mut builder = reqwest::Client::builder().identity(identity);
        if let Some((named, bytes)) = named.get(2).zip(bytes.get(2)) {
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

fn server(
    named: &[Named],
    bytes: &[Vec<u8>],
    client: ClientCertificate,
) -> Result<ServerConfig, FileError> {
    let mut files = named.iter().zip(bytes.iter().map(Vec::as_slice));
    let (Some(certificate), Some(key)) = (files.next(), files.next()) else {
        unreachable!("both files are always named");
    };
    let clients = match (files.next(), client) {
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
