//! Brokers' addresses in answers, which the gateway replaces by its own.

use std::ops::Range;

use super::reader::{Reader, WireError};
use super::splice::Splice;
use super::writer::Writer;

/// Fewest bytes of a broker: node id, empty host, port.
pub(super) const BROKER_LEAST: usize = 9;

/// Node id, host and port, which follow one another wherever the protocol names a broker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address<'a> {
    pub(super) node: i32,
    pub(super) host: &'a str,
    pub(super) port: i32,
    /// Where the host begins.
    from: usize,
    /// Where the port ends.
    to: usize,
    flexible: bool,
}

impl<'a> Address<'a> {
    pub(super) fn read(at: &mut Reader<'a>) -> Result<Self, WireError> {
        let node = at.i32()?;
        let from = at.position();
        Ok(Self {
            node,
            host: at.string()?,
            port: at.i32()?,
            from,
            to: at.position(),
            flexible: at.is_flexible(),
        })
    }

    /// Where the node id stands.
    pub(super) const fn node_bytes(&self) -> Range<usize> {
        self.from - 4..self.from
    }

    /// Writes another host and port. Equal ones stay byte for byte.
    pub(super) fn replace(&self, splice: &mut Splice<'_>, host: &str, port: i32) {
        if self.host == host && self.port == port {
            return;
        }
        splice.replace(self.from..self.to, |out| {
            let mut out = Writer::new(out, self.flexible);
            out.string(host);
            out.i32(port);
        });
    }
}

/// Rewrites an array of brokers; `rest` passes over what a broker has behind its port. A broker for
/// which `endpoint` gives `None` is left out.
pub(super) fn rewrite<'a>(
    splice: &mut Splice<'_>,
    at: &mut Reader<'a>,
    rest: impl Fn(&mut Reader<'a>) -> Result<(), WireError>,
    mut endpoint: impl FnMut(i32, &str, i32) -> Option<(String, i32)>,
) -> Result<(), WireError> {
    splice.array(at, BROKER_LEAST, |splice, at| {
        let address = Address::read(at)?;
        rest(at)?;
        let Some((host, port)) = endpoint(address.node, address.host, address.port) else {
            return Ok(false);
        };
        address.replace(splice, &host, port);
        Ok(true)
    })
}

/// Passes over an array of brokers.
pub(super) fn skip<'a>(
    at: &mut Reader<'a>,
    rest: impl Fn(&mut Reader<'a>) -> Result<(), WireError>,
) -> Result<(), WireError> {
    for _ in 0..at.array(BROKER_LEAST)? {
        Address::read(at)?;
        rest(at)?;
    }
    Ok(())
}
