//! Every listener of the process is bound before anything starts, so that a port that is taken is
//! said at once.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::config::Config;

#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) gateway: Option<TcpListener>,
    pub(super) registry: Option<TcpListener>,
    pub(super) http: Option<TcpListener>,
    pub(super) admin: TcpListener,
}

/// Where the process is reached.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Addresses {
    /// Kafka's bootstrap servers.
    pub(crate) kafka: String,
    /// The gateway, for Kafka clients to bootstrap from, if its role runs here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gateway: Option<String>,
    /// The registry's URL, if its role runs here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) registry: Option<String>,
    /// URL of the other roles' API, if one runs here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) http: Option<String>,
    /// URL of the admin listener.
    pub(crate) admin: String,
}

/// Which listeners the process's roles need.
#[derive(Clone, Copy, Debug)]
pub(super) struct Roles {
    pub(super) gateway: bool,
    pub(super) registry: bool,
    /// Any of the roles with an API.
    pub(super) http: bool,
}

impl Listeners {
    pub(super) async fn bind(config: &Config, roles: Roles) -> anyhow::Result<Self> {
        let Roles {
            gateway,
            registry,
            http,
        } = roles;
        Ok(Self {
            gateway: match gateway {
                true => Some(bind(config.gateway.listen, "--gateway-listen").await?),
                false => None,
            },
            registry: match registry {
                true => Some(bind(config.registry.listen, "--registry-listen").await?),
                false => None,
            },
            http: match http {
                true => Some(bind(config.http.listen, "--http-listen").await?),
                false => None,
            },
            admin: bind(config.admin.listen, "--admin-listen").await?,
        })
    }

    pub(super) fn addresses(&self, config: &Config) -> anyhow::Result<Addresses> {
        let url = |l: &TcpListener| Ok::<_, std::io::Error>(format!("http://{}", l.local_addr()?));
        // Which name the certificate is of is not known here: clients elsewhere are given
        // `registry.url`.
        let registry = |l: &TcpListener| match &config.registry.service.tls {
            None => url(l),
            Some(_) => Ok(format!("https://{}", l.local_addr()?)),
        };
        Ok(Addresses {
            kafka: config.kafka.bootstrap_servers.clone(),
            gateway: self
                .gateway
                .as_ref()
                .map(|l| Ok::<_, std::io::Error>(l.local_addr()?.to_string()))
                .transpose()?,
            registry: self.registry.as_ref().map(registry).transpose()?,
            http: self.http.as_ref().map(url).transpose()?,
            admin: url(&self.admin)?,
        })
    }
}

async fn bind(address: SocketAddr, option: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{address} can't be listened on; another address can be given with {option}")
    })
}

impl Addresses {
    /// As JSON, whole or not at all.
    ///
    /// # Errors
    /// The file can't be written.
    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        let partial = file.with_extension("partial");
        std::fs::write(&partial, serde_json::to_vec_pretty(self)?)
            .and_then(|()| std::fs::rename(&partial, file))
            .with_context(|| format!("the addresses can't be written to {}", file.display()))
    }
}
