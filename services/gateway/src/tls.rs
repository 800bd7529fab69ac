//! TLS on both sides: with clients, and with brokers.

use std::sync::Arc;
use std::time::Duration;

use meshwork_tls::{
    ClientCertificates, File, FileError, Named, Reloaded, client_config, distinguished_name,
    server_config,
};
use rustls::{ClientConfig, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::CancellationToken;

use crate::brokers::NodeId;
use crate::config::{TlsConfig, UpstreamTlsConfig};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// With clients.
#[derive(Clone)]
pub(crate) struct ClientTls(Arc<Reloaded<ServerConfig>>);

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientTls")
    }
}

impl ClientTls {
    /// Reads the files.
    ///
    /// # Errors
    /// One that can't be used.
    pub(crate) fn open(config: &TlsConfig) -> Result<Self, FileError> {
        let mut files = vec![
            named(
                &config.certificate_file,
                "gateway.service.tls.certificate_file",
            ),
            named(&config.key_file, "gateway.service.tls.key_file"),
        ];
        let authorities = config.client_ca_file.as_ref();
        files.extend(authorities.map(|file| named(file, "gateway.service.tls.client_ca_file")));
        let (all, optional) = (files.clone(), config.client_certificate_optional);
        let build = move |bytes: &[Vec<u8>]| {
            let mut files = with_bytes(&all, bytes);
            let (certificate, key) = pair(&mut files)?;
            let clients = match files.next() {
                None => ClientCertificates::Unasked,
                Some((named, bytes)) if optional => ClientCertificates::Optional(named, bytes),
                Some((named, bytes)) => ClientCertificates::Required(named, bytes),
            };
            server_config(certificate, key, clients)
        };
        Ok(Self(Arc::new(Reloaded::open(files, build)?)))
    }

    /// What the next connection is accepted with.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.current())
    }

    /// Reads the files again when they change, until `stop`.
    pub(crate) async fn watch(self, stop: CancellationToken) {
        self.0.watch(LOOK_EVERY, drop, stop).await;
    }
}

/// With brokers.
#[derive(Clone)]
pub(crate) struct BrokerTls(Arc<Reloaded<ClientConfig>>);

impl std::fmt::Debug for BrokerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BrokerTls")
    }
}

impl BrokerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// One that can't be used, or a certificate without its key.
    pub(crate) fn open(config: &UpstreamTlsConfig) -> Result<Self, FileError> {
        let authorities = named(&config.ca_file, "gateway.service.upstream_tls.ca_file");
        let mut files = vec![authorities];
        match (&config.certificate_file, &config.key_file) {
            (None, None) => {}
            (Some(certificate), Some(key)) => {
                let key_of = "gateway.service.upstream_tls.certificate_file";
                files.push(named(certificate, key_of));
                files.push(named(key, "gateway.service.upstream_tls.key_file"));
            }
            _ => {
                return Err(FileError::Unusable {
                    key: "gateway.service.upstream_tls",
                    why: "certificate_file and key_file go together: give both, or none".to_owned(),
                });
            }
        }
        let all = files.clone();
        let build = move |bytes: &[Vec<u8>]| {
            let mut files = with_bytes(&all, bytes);
            let trusted = files.next().ok_or_else(missing)?;
            let own = match files.next() {
                None => None,
                Some(certificate) => Some((certificate, files.next().ok_or_else(missing)?)),
            };
            client_config(trusted, own)
        };
        Ok(Self(Arc::new(Reloaded::open(files, build)?)))
    }

    /// What the next connection is made with.
    pub(crate) fn connector(&self) -> TlsConnector {
        TlsConnector::from(self.0.current())
    }

    /// Reads the files again when they change, until `stop`.
    pub(crate) async fn watch(self, stop: CancellationToken) {
        self.0.watch(LOOK_EVERY, drop, stop).await;
    }
}

fn named(file: &std::path::Path, key: &'static str) -> Named {
    Named {
        file: file.to_owned(),
        key,
    }
}

fn with_bytes<'f>(named: &'f [Named], bytes: &'f [Vec<u8>]) -> impl Iterator<Item = File<'f>> {
    named.iter().zip(bytes.iter().map(Vec::as_slice))
}

fn pair<'f>(files: &mut impl Iterator<Item = File<'f>>) -> Result<(File<'f>, File<'f>), FileError> {
    let certificate = files.next().ok_or_else(missing)?;
    Ok((certificate, files.next().ok_or_else(missing)?))
}

fn missing() -> FileError {
    FileError::Unusable {
        key: "gateway.service.tls",
        why: "certificate_file and key_file go together".to_owned(),
    }
}

/// Subject of a certificate that TLS has found valid.
pub(crate) fn subject(
    certificates: Option<&[rustls::pki_types::CertificateDer<'_>]>,
) -> Option<String> {
    let first = certificates?.first()?;
    distinguished_name(first).filter(|name| !name.is_empty())
}

/// Names of brokers' hosts, by which one port serves them all (SNI).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BrokerNames {
    before: String,
    after: String,
}

impl BrokerNames {
    /// From a name with `{node}` in it. `None`: there is none, or more than one.
    pub(crate) fn new(pattern: &str) -> Option<Self> {
        let (before, after) = pattern.split_once("{node}")?;
        (!after.contains("{node}") && !after.is_empty()).then(|| Self {
            before: before.to_ascii_lowercase(),
            after: after.to_ascii_lowercase(),
        })
    }

    /// The host of a node.
    pub(crate) fn host(&self, node: i32) -> String {
        format!("{}{node}{}", self.before, self.after)
    }

    /// The node whose host this is.
    pub(crate) fn node(&self, host: &str) -> Option<NodeId> {
        let host = host.to_ascii_lowercase();
        let node = host.strip_prefix(&self.before)?.strip_suffix(&self.after)?;
        let plain = !node.is_empty() && node.bytes().all(|b| b.is_ascii_digit());
        node.parse().ok().filter(|_| plain).map(NodeId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_nodes() {
        let names = BrokerNames::new("b{node}.Kafka.example.com").unwrap();
        assert_eq!(names.host(7), "b7.kafka.example.com");
        assert_eq!(names.node("B7.kafka.example.com"), Some(NodeId(7)));
        for other in [
            "kafka.example.com",
            "b.kafka.example.com",
            "b-1.kafka.example.com",
            "b+1.kafka.example.com",
            "bb7.kafka.example.com",
        ] {
            assert_eq!(names.node(other), None, "{other}");
        }
        assert_eq!(BrokerNames::new("kafka.example.com"), None);
        assert_eq!(BrokerNames::new("{node}.{node}.x"), None);
    }
}
