//! The process's metrics in OpenMetrics text. Each service registers its own, under its own prefix.

use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::registry::Registry;

/// The metrics of one process. Clones share them.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// With the common prefix `meshwork`.
    #[must_use]
    pub fn new() -> Self {
        Self {
            registry: Arc::new(Mutex::new(Registry::with_prefix("meshwork"))),
        }
    }

    /// Lets a service register its metrics; call once per service.
    pub fn register<T>(&self, add: impl FnOnce(&mut Registry) -> T) -> T {
        add(&mut self.registry.lock())
    }

    /// All of them as OpenMetrics text.
    ///
    /// # Errors
    /// A metric that can't be written as text.
    pub fn encode(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry.lock())?;
        Ok(text)
    }
}
