//! Answers that name brokers, or say what may be asked: they name the gateway instead.

use meshwork_wire::protocol::{
    ApiKey, WireError, api_versions, describe_cluster, find_coordinator, metadata,
};

use super::{Down, Wanted, unreadable};
use crate::apis;
use crate::error::Ended;

impl Down {
    pub(super) fn rewrite(&self, wanted: &Wanted, frame: &[u8]) -> Result<Vec<u8>, Ended> {
        let (brokers, refusals) = (&self.shared.brokers, &self.shared.refusals);
        let version = wanted.version;
        let endpoint = |node: i32, host: &str, port: i32| {
            brokers.learn(node, host, port);
            brokers.endpoint(node, refusals)
        };
        let wrong = |source: WireError| unreadable(wanted, source);
        match wanted.api {
            ApiKey::API_VERSIONS => {
                api_versions::rewrite(frame, version, apis::shown).map_err(wrong)
            }
            ApiKey::METADATA => {
                let learn = |topic: metadata::MetadataTopic<'_>| {
                    if let (0, Some(name)) = (topic.error_code, topic.name) {
                        self.shared.topics.has(name, topic.partitions);
                    }
                    if let (0, Some(name), Some(id)) = (topic.error_code, topic.name, topic.id) {
                        self.shared.learn_topic(id, name);
                    }
                };
                metadata::rewrite(frame, version, endpoint, learn).map_err(wrong)
            }
            ApiKey::FIND_COORDINATOR => {
                find_coordinator::rewrite(frame, version, endpoint).map_err(wrong)
            }
            _ => describe_cluster::rewrite(frame, version, endpoint).map_err(|error| Ended::Own {
                api: wanted.api.name(),
                what: error.to_string(),
            }),
        }
    }
}
