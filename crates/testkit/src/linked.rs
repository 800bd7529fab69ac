//! The shared cluster of three brokers behind links, to be cut off and killed one by one.

use std::sync::OnceLock;

use meshwork_dev_kafka::{Listener, Nodes};
use meshwork_kafka::KafkaConfig;

use crate::cluster::{Cluster, shared};
use crate::link::Link;
use crate::secure::{PASSWORD, logins};

const LINK: &str = "LINK";
const LOGIN: &str = "LOGIN";

/// A cluster whose three brokers have, beside their plain listener,
///
/// - one that clients are told to reach through a [`Link`] for each;
/// - one at which clients log in by PLAIN, with access rules: all may do everything with what no rule
///   is on. Whoever comes by the others may do everything.
#[derive(Debug)]
pub struct Linked {
    /// The cluster itself.
    pub cluster: &'static Cluster,
    links: Vec<Link>,
}

/// [`crate::kafka`] with three brokers and their links: a test binary whose tests need them asks for
/// this first, in each of them.
///
/// # Panics
/// If Kafka can't be had, or was started without.
#[must_use]
pub fn linked_kafka() -> &'static Linked {
    static LINKED: OnceLock<Linked> = OnceLock::new();
    LINKED.get_or_init(|| match start() {
        Ok(linked) => linked,
        Err(why) => panic!("no links to Kafka: {why}"),
    })
}

fn start() -> Result<Linked, String> {
    let nodes = Nodes::Three.count();
    let links: Vec<Link> = (0..nodes)
        .map(|_| Link::bind())
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    let mut ours = false;
    let cluster = shared(|_, options| {
        ours = true;
        options.nodes = Nodes::Three;
        let listener = |name: &str, protocol: &str, advertised| Listener {
            name: name.to_owned(),
            protocol: protocol.to_owned(),
            advertised,
        };
        let told = links.iter().map(Link::port).collect();
        options.listeners.push(listener(LINK, "PLAINTEXT", told));
        let login = listener(LOGIN, "SASL_PLAINTEXT", Vec::new());
        options.listeners.push(login);
        logins(&mut options.settings, "listener.name.login", "PLAIN");
        for (key, value) in [
            (
                "authorizer.class.name",
                "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            ),
            ("super.users", "User:ANONYMOUS"),
            ("allow.everyone.if.no.acl.found", "true"),
        ] {
            options.settings.insert(key.to_owned(), value.to_owned());
        }
    });
    if !ours {
        return Err("the shared Kafka runs already: ask for linked_kafka() first".to_owned());
    }
    for (link, node) in links.iter().zip(1..) {
        let port = cluster.dev().port_of(LINK, node);
        let port = port.ok_or("a broker has no port for its link")?;
        link.lead_to(port).map_err(|error| error.to_string())?;
    }
    Ok(Linked { cluster, links })
}

impl Linked {
    /// How clients reach the brokers through the links.
    #[must_use]
    pub fn config(&self) -> KafkaConfig {
        let addresses: Vec<String> = self
            .links
            .iter()
            .map(|link| format!("127.0.0.1:{}", link.port()))
            .collect();
        KafkaConfig::new(addresses.join(","))
    }

    /// How one of the users reaches the brokers with a login.
    ///
    /// # Panics
    /// If the brokers have no such listener.
    #[must_use]
    pub fn login(&self, user: &str) -> KafkaConfig {
        let Some(servers) = self.cluster.dev().bootstrap_servers_of(LOGIN) else {
            panic!("the brokers have no listener {LOGIN}");
        };
        let mut config = KafkaConfig::new(servers);
        for (key, value) in [
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanisms", "PLAIN"),
            ("sasl.username", user),
            ("sasl.password", PASSWORD),
        ] {
            config.properties.insert(key.to_owned(), value.to_owned());
        }
        config
    }

    /// The link to a node (from 1).
    ///
    /// # Panics
    /// If there is no such node.
    #[must_use]
    pub fn link(&self, node: i32) -> &Link {
        let at = usize::try_from(node).ok().and_then(|n| n.checked_sub(1));
        match at.and_then(|at| self.links.get(at)) {
            Some(link) => link,
            None => panic!("there is no node {node}"),
        }
    }

    /// The links to all nodes.
    #[must_use]
    pub fn links(&self) -> &[Link] {
        &self.links
    }
}
