//! TLS on the listener, with certificates that may be replaced while it runs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};
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

/// Longest chain taken, certificates. A real one has two to four.
const MAX_CHAIN: usize = 16;

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
                Arc::clone(files).watch(interval, metrics.clone(), stop.clone()),
                outgoing.watch(interval, metrics, stop),
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
    Reloaded::open(files, move |bytes| {
        let pair: Vec<u8> = bytes.iter().take(2).flatten().copied().collect();
        let identity = reqwest::Identity::from_pem(&pair).map_err(|error| AccessError::Pair {
            certificate: certificate.clone(),
            key: key.clone(),
            why: in_words(error),
        })?;
        let mut builder = reqwest::Client::builder().identity(identity);
        if let Some((named, bytes)) = named.get(2).zip(bytes.get(2)) {
            let authorities = certificates((named, bytes))?
                .into_iter()
                .map(|authority| reqwest::Certificate::from_der(&authority))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| named.wrong(in_words(error), PEM))?;
            builder = builder.tls_certs_only(authorities);
        }
        client(builder)
    })
}

fn client(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, AccessError> {
    builder
        .connect_timeout(CONNECT_WITHIN)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(|error| AccessError::Setting {
            key: "registry.service.tls",
            why: format!("other instances can't be asked: {}", in_words(error)),
        })
}

fn server(
    named: &[Named],
    bytes: &[Vec<u8>],
    client: ClientCertificate,
) -> Result<ServerConfig, AccessError> {
    let (Some(certificate), Some(key)) = (
        named.first().zip(bytes.first()),
        named.get(1).zip(bytes.get(1)),
    ) else {
        unreachable!("both files are always named");
    };
    let chain = certificates(certificate)?;
    let private = PrivateKeyDer::from_pem_slice(key.1).map_err(|error| {
        key.0.wrong(
            format!("no private key can be read from it: {error}"),
            "write the key in PEM, not encrypted: `openssl pkey -in KEY -out KEY.plain` takes the passphrase off",
        )
    })?;
    let pair = |error: rustls::Error| AccessError::Pair {
        certificate: certificate.0.file.clone(),
        key: key.0.file.clone(),
        why: error.to_string(),
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(pair)?;
    let builder = match named.get(2).zip(bytes.get(2)) {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let wrong = |why: String| {
                authorities
                    .0
                    .wrong(why, "write the authorities' certificates there, in PEM")
            };
            let mut roots = RootCertStore::empty();
            for authority in certificates(authorities)? {
                roots
                    .add(authority)
                    .map_err(|error| wrong(error.to_string()))?;
            }
            let mut verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            if client == ClientCertificate::Optional {
                verifier = verifier.allow_unauthenticated();
            }
            let verifier = verifier.build().map_err(|error| wrong(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, private).map_err(pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(
    (named, bytes): (&Named, &Vec<u8>),
) -> Result<Vec<CertificateDer<'static>>, AccessError> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| named.wrong(format!("it is no PEM: {error}"), PEM))?;
    if all.is_empty() {
        return Err(named.wrong("there is no certificate in it", PEM));
    }
    if named.key == CERTIFICATE && all.len() > MAX_CHAIN {
        return Err(named.wrong(
            format!("there are {} certificates in it, and {MAX_CHAIN} are the most", all.len()),
            "write the server's own certificate first, then only those between it and its authority",
        ));
    }
    Ok(all)
}
