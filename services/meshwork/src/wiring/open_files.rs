//! Files that this process may have open, connections among them.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What a process has open besides its clients' connections: state, listeners, its own connections to
/// brokers and to the registry.
const BESIDES: u64 = 1_000;

/// Raises the limit that is set to the one that may be set, as Java and Go do by themselves: shells and
/// systemd set 1,024 for the sake of programs that still use `select(2)`. Says so where the connections
/// that are allowed need more.
pub(super) fn raise(connections: Option<usize>) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(%error, "the limit of open files can't be raised");
    }
    let Some(allowed) = getrlimit(Resource::Nofile).current else {
        return;
    };
    // One to the client and one to the broker.
    let connections = u64::try_from(connections.unwrap_or(0)).unwrap_or(u64::MAX);
    let needed = connections.saturating_mul(2).saturating_add(BESIDES);
    if connections > 0 && allowed < needed {
        tracing::warn!(
            allowed,
            needed,
            "gateway.service.max_connections needs more open files than this process may have: raise the hard limit (LimitNOFILE= of systemd, ulimit -Hn), or lower max_connections"
        );
    }
}
