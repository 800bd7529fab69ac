//! Connections to brokers.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;

use crate::brokers::{Brokers, NodeId};
use crate::connection::frames::{Sink, Source};
use crate::connection::tune;
use crate::error::Ended;

/// Connects to brokers.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) within: Duration,
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
            match tokio::time::timeout(self.within, TcpStream::connect(&address)).await {
                Ok(Ok(stream)) => {
                    tune(&stream).map_err(Ended::NoBroker)?;
                    let (source, sink) = stream.into_split();
                    return Ok(Connected {
                        source: Box::new(source),
                        sink: Box::new(sink),
                        address,
                    });
                }
                Ok(Err(error)) => {
                    failed = io::Error::new(error.kind(), format!("{address}: {error}"));
                }
                Err(_) => {
                    failed = io::Error::new(
                        io::ErrorKind::TimedOut,
                        format!(
                            "{address} did not answer within {} ms",
                            self.within.as_millis()
                        ),
                    );
                }
            }
        }
        Err(Ended::NoBroker(failed))
    }
}
