//! Connections to brokers.

use std::io;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;

use crate::brokers::{Brokers, NodeId};
use crate::connection::frames::{Sink, Source};
use crate::connection::tune;
use crate::error::Ended;
use crate::tls::BrokerTls;

/// Connects to brokers.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) within: Duration,
    pub(crate) tls: Option<BrokerTls>,
}

/// A connection to a broker.
pub(crate) struct Connected {
    pub(crate) source: Source,
    pub(crate) sink: Sink,
    pub(crate) address: String,
}

impl Upstream {
    /// Connects to a node, or to any where none is named or the one that the bootstrap port stands
    /// for can't be reached.
    pub(crate) async fn connect(
        &self,
        brokers: &Brokers,
        node: Option<NodeId>,
    ) -> Result<Connected, Ended> {
        let addresses = match node {
            Some(node) => brokers.upstream(node).into_iter().collect(),
            None => {
                let own = brokers.of_bootstrap().and_then(|n| brokers.upstream(n));
                own.into_iter().chain(brokers.any()).collect::<Vec<_>>()
            }
        };
        let mut failed = io::Error::new(io::ErrorKind::NotFound, "its address is not known yet");
        for address in addresses {
            match self.to(&address).await {
                Ok(connected) => return Ok(connected),
                Err(error) => failed = error,
            }
        }
        Err(Ended::NoBroker(failed))
    }

    /// Connects to an address.
    pub(crate) async fn to(&self, address: &str) -> io::Result<Connected> {
        match tokio::time::timeout(self.within, self.one(address)).await {
            Ok(Ok((source, sink))) => Ok(Connected {
                source,
                sink,
                address: address.to_owned(),
            }),
            Ok(Err(error)) => Err(io::Error::new(error.kind(), format!("{address}: {error}"))),
            Err(_) => {
                let millis = self.within.as_millis();
                let said = format!("{address} did not answer within {millis} ms");
                Err(io::Error::new(io::ErrorKind::TimedOut, said))
            }
        }
    }

    async fn one(&self, address: &str) -> io::Result<(Source, Sink)> {
        let stream = TcpStream::connect(address).await?;
        tune(&stream)?;
        let Some(tls) = &self.tls else {
            let (source, sink) = stream.into_split();
            return Ok((Box::new(source), Box::new(sink)));
        };
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let stream = tls.connector().connect(name, stream).await?;
        let (source, sink) = tokio::io::split(stream);
        Ok((Box::new(source), Box::new(sink)))
    }
}
