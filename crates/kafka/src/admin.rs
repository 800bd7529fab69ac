//! Looking at a cluster and changing it. Every call has a time-out, and names the brokers when it
//! passes.

mod brokers;
mod groups;
mod offsets;
mod topics;

pub use groups::{AnyMember, GroupDescription, GroupKind, GroupListing, GroupMember, GroupState};
pub use offsets::{Isolation, PartitionOffset};
pub use topics::{ConfigValue, Creation, NewTopic, PartitionState, TopicInfo};

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::Client;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::RDKafkaErrorCode;

use crate::background::Background;
use crate::config::KafkaConfig;
use crate::context::Context;
use crate::error::{ErrorCode, KafkaError};
use crate::raw::admin::{self as raw, Failure};
use crate::raw::events::Queue;

/// How long a call has by default.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A client for looking at a cluster and changing it. Cheap to clone; clones share a connection.
#[derive(Clone)]
pub struct Admin {
    inner: Arc<Inner>,
    timeout: Duration,
}

struct Inner {
    client: Background<AdminClient<Context>>,
    context: Context,
    bootstrap_servers: String,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin")
            .field("bootstrap_servers", &self.inner.bootstrap_servers)
            .finish_non_exhaustive()
    }
}

/// A cluster, as its brokers describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its id; `None` where the broker gives none.
    pub cluster_id: Option<String>,
    /// Its brokers, by id.
    pub brokers: Vec<Broker>,
}

/// A broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// Node id.
    pub id: i32,
    /// Host that it advertises.
    pub host: String,
    /// Port that it advertises.
    pub port: u16,
}

impl Admin {
    /// Makes a client. Talks to nobody yet.
    ///
    /// # Errors
    /// [`KafkaError::Config`].
    pub fn new(config: &KafkaConfig) -> Result<Self, KafkaError> {
        let context = Context::default();
        let client =
            AdminClient::from_config_and_context(&config.client(&[], &[]), context.clone())
                .map_err(|e| KafkaError::config(&e))?;
        Ok(Self {
            inner: Arc::new(Inner {
                client: Background::new(client),
                context,
                bootstrap_servers: config.bootstrap_servers.clone(),
            }),
            timeout: TIMEOUT,
        })
    }

    /// The same client with another time-out per call; 30 s otherwise.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            timeout,
        }
    }

    /// The cluster's id and brokers.
    ///
    /// # Errors
    /// See [`KafkaError`].
    pub async fn cluster(&self) -> Result<Cluster, KafkaError> {
        self.blocking("look at the cluster", |client, timeout| {
            let (cluster_id, brokers) = raw::describe_cluster(client, timeout)?;
            let mut brokers: Vec<Broker> = brokers
                .into_iter()
                .map(|(id, host, port)| Broker { id, host, port })
                .collect();
            brokers.sort_by_key(|b| b.id);
            Ok(Cluster {
                cluster_id,
                brokers,
            })
        })
        .await
    }

    /// Runs a blocking call of librdkafka off the async threads.
    async fn blocking<T: Send + 'static>(
        &self,
        what: impl Into<String>,
        call: impl FnOnce(&Client<Context>, Duration) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, KafkaError> {
        let inner = Arc::clone(&self.inner);
        let timeout = self.timeout;
        let started = Instant::now();
        let done = tokio::task::spawn_blocking(move || {
            let client = inner.client.inner();
            let done = raw::answers(client, timeout).and_then(|()| call(client, timeout));
            if let Some(mut queue) = Queue::main(client) {
                queue.drain();
            }
            done
        })
        .await;
        match done {
            Ok(Ok(value)) => {
                self.inner.context.clear();
                Ok(value)
            }
            Ok(Err(failure)) => Err(self.error(what, started, failure)),
            // The runtime is going down, or librdkafka's answer could not be read.
            Err(joined) => Err(KafkaError::Ended {
                what: "admin requests".to_owned(),
                said: Some(joined.to_string()),
            }),
        }
    }

    /// Runs a request of rdkafka's own admin client, which goes out as soon as it is made.
    async fn request<T, F>(
        &self,
        what: impl Into<String>,
        request: impl FnOnce() -> F,
    ) -> Result<T, KafkaError>
    where
        F: Future<Output = Result<T, rdkafka::error::KafkaError>>,
    {
        let what = what.into();
        self.blocking(what.as_str(), |_, _| Ok(())).await?;
        let started = Instant::now();
        let done = request().await;
        if let Some(mut queue) = Queue::main(self.inner.client.inner()) {
            queue.drain();
        }
        done.map_err(|e| self.error(what, started, rd(&e)))
    }

    fn options(&self) -> AdminOptions {
        AdminOptions::new()
            .request_timeout(Some(self.timeout))
            .operation_timeout(Some(self.timeout))
    }

    fn error(&self, what: impl Into<String>, started: Instant, failure: Failure) -> KafkaError {
        let code = ErrorCode(failure.code);
        if code.is_unreachable() {
            return KafkaError::Unreachable {
                what: what.into(),
                bootstrap_servers: self.inner.bootstrap_servers.clone(),
                waited: started.elapsed(),
                said: self.inner.context.last_error().unwrap_or(failure.said),
            };
        }
        KafkaError::Refused {
            what: what.into(),
            code,
            said: failure.said,
        }
    }
}

/// rdkafka's error as a failure of a request.
fn rd(error: &rdkafka::error::KafkaError) -> Failure {
    use rdkafka::error::KafkaError as E;
    let said = error.to_string();
    let code = match error {
        // `rdkafka_error_code` leaves this one out.
        E::AdminOp(code) => *code,
        E::Canceled => RDKafkaErrorCode::OperationTimedOut,
        other => other.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail),
    };
    Failure { code, said }
}
