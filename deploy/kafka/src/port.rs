//! Free ports below the range that outgoing connections use.
//!
//! A port from that range (what binding to port 0 gives) could be taken by some connection while a
//! broker is down; a client that retries against it may even connect to itself.

use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::DevKafkaError;

const TRIES: u32 = 1_000;
const FIRST: u16 = 15_000;

/// `n` different ports on 127.0.0.1 that were free a moment ago, also for others that must know
/// theirs before they listen, or keep it while they are down.
///
/// # Errors
/// [`DevKafkaError::NoFreePort`].
pub fn free(n: usize) -> Result<Vec<u16>, DevKafkaError> {
    let last = last();
    let mut found: Vec<u16> = Vec::with_capacity(n);
    for _ in 0..TRIES {
        if found.len() == n {
            break;
        }
        let port = fastrand::u16(FIRST..=last);
        if !found.contains(&port) && is_free(port) {
            found.push(port);
        }
    }
    if found.len() == n {
        Ok(found)
    } else {
        Err(DevKafkaError::NoFreePort { tries: TRIES })
    }
}

/// The first of `n` ports on 127.0.0.1, each one above the other, that were free a moment ago.
///
/// # Errors
/// [`DevKafkaError::NoFreePort`].
pub fn free_in_a_row(n: usize) -> Result<u16, DevKafkaError> {
    let row_at = |first: u16| (first..=u16::MAX).take(n).filter(|port| is_free(*port));
    (0..TRIES)
        .map(|_| fastrand::u16(FIRST..=last()))
        .find(|first| row_at(*first).count() == n)
        .ok_or(DevKafkaError::NoFreePort { tries: TRIES })
}

/// Whether nothing listens on `port` at this moment.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Waits until nothing listens on `port`; false if something still does after `limit`.
pub(crate) fn wait_free(port: u16, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while !is_free(port) {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(50));
    }
    true
}

fn last() -> u16 {
    let ephemeral: u16 = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .unwrap_or(32_768);
    ephemeral.saturating_sub(1).max(FIRST + 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_different_free_ports() {
        let mut ports = free(6).unwrap();
        assert!(ports.iter().all(|p| is_free(*p)));
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 6);
    }

    #[test]
    fn gives_free_ports_in_a_row() {
        let first = free_in_a_row(5).unwrap();
        assert!((first..first + 5).all(is_free));
    }
}
