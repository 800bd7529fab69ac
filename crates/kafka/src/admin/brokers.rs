//! Brokers: their settings.

use std::collections::BTreeMap;

use rdkafka::admin::ResourceSpecifier;

use super::Admin;
use crate::error::{ErrorCode, KafkaError};

impl Admin {
    /// The settings of a broker that have a value which it shows, as that broker tells them.
    ///
    /// # Errors
    /// See [`KafkaError`]; the broker refuses it without DESCRIBE_CONFIGS on the cluster.
    pub async fn broker_configs(&self, id: i32) -> Result<BTreeMap<String, String>, KafkaError> {
        let what = format!("read the settings of broker {id}");
        let asked = [ResourceSpecifier::Broker(id)];
        let results = self
            .request(&what, || {
                self.inner.client.describe_configs(&asked, &self.options())
            })
            .await?;
        let mut configs = BTreeMap::new();
        for result in results {
            let resource = result.map_err(|code| KafkaError::Refused {
                what: what.clone(),
                code: ErrorCode(code),
                said: code.to_string(),
            })?;
            let told = resource.entries.into_iter();
            configs.extend(told.filter_map(|entry| Some((entry.name, entry.value?))));
        }
        Ok(configs)
    }
}
