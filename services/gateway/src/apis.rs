//! What becomes of each API: the table that decides what a client sees, and what is looked at.
//!
//! An API that is not in the table is hidden, and so is a version above the one named: it could
//! carry a broker's address that nobody here would rewrite. Versions are those of Kafka 4.2.

use meshwork_wire::protocol::ApiKey;

/// What is done with a request and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Both pass as they are.
    Pass,
    /// The answer is cut to what is passed here.
    ApiVersions,
    /// The answer's addresses are rewritten; topics' ids are learnt.
    Metadata,
    /// The answer's addresses are rewritten.
    FindCoordinator,
    /// The answer's addresses are rewritten.
    DescribeCluster,
    /// Goes through the pipeline.
    Produce,
    /// The request is looked at, the answer's first bytes too.
    Fetch,
    /// Says which login is wanted.
    SaslHandshake,
    /// A step of it: the name counts once the broker has said yes.
    SaslAuthenticate,
    /// The request is looked at: who reads what.
    Group,
    /// The answer names the producer id of a transactional id.
    InitProducerId,
}

/// A line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Which API.
    pub(crate) api: ApiKey,
    /// Least version shown.
    pub(crate) least: i16,
    /// Greatest version that passes.
    pub(crate) most: i16,
    /// What is done.
    pub(crate) action: Action,
}

const fn pass(api: ApiKey, most: i16) -> Rule {
    act(api, most, Action::Pass)
}

const fn act(api: ApiKey, most: i16, action: Action) -> Rule {
    Rule {
        api,
        least: 0,
        most,
        action,
    }
}

/// The table. Hidden on purpose, by not being here: what brokers and controllers say to each other
/// (WriteTxnMarkers, share-group state, raft), controllers' addresses (Add/RemoveRaftVoter,
/// DescribeQuorum above 1), AddPartitionsToTxn above 3 (for brokers), Fetch above 15 (answers carry
/// addresses behind all records), and share groups (KIP-932), all or none of them.
pub(crate) const RULES: &[Rule] = &[
    act(ApiKey::PRODUCE, 13, Action::Produce),
    act(ApiKey::FETCH, 15, Action::Fetch),
    pass(ApiKey::LIST_OFFSETS, 11),
    act(ApiKey::METADATA, 13, Action::Metadata),
    act(ApiKey::OFFSET_COMMIT, 10, Action::Group),
    pass(ApiKey::OFFSET_FETCH, 10),
    act(ApiKey::FIND_COORDINATOR, 6, Action::FindCoordinator),
    act(ApiKey::JOIN_GROUP, 9, Action::Group),
    pass(ApiKey::HEARTBEAT, 4),
    pass(ApiKey::LEAVE_GROUP, 5),
    act(ApiKey::SYNC_GROUP, 5, Action::Group),
    pass(ApiKey::DESCRIBE_GROUPS, 6),
    pass(ApiKey::LIST_GROUPS, 5),
    Rule {
        api: ApiKey::SASL_HANDSHAKE,
        // Version 0 is followed by tokens without headers, which nobody here could tell from
        // requests.
        least: 1,
        most: 1,
        action: Action::SaslHandshake,
    },
    act(ApiKey::API_VERSIONS, 4, Action::ApiVersions),
    pass(ApiKey::CREATE_TOPICS, 7),
    pass(ApiKey::DELETE_TOPICS, 6),
    pass(ApiKey::DELETE_RECORDS, 2),
    act(ApiKey::INIT_PRODUCER_ID, 5, Action::InitProducerId),
    pass(ApiKey::OFFSET_FOR_LEADER_EPOCH, 4),
    pass(ApiKey::ADD_PARTITIONS_TO_TXN, 3),
    act(ApiKey::ADD_OFFSETS_TO_TXN, 4, Action::Group),
    pass(ApiKey::END_TXN, 5),
    act(ApiKey::TXN_OFFSET_COMMIT, 5, Action::Group),
    pass(ApiKey::DESCRIBE_ACLS, 3),
    pass(ApiKey::CREATE_ACLS, 3),
    pass(ApiKey::DELETE_ACLS, 3),
    pass(ApiKey::DESCRIBE_CONFIGS, 4),
    pass(ApiKey::ALTER_CONFIGS, 2),
    pass(ApiKey::ALTER_REPLICA_LOG_DIRS, 2),
    pass(ApiKey::DESCRIBE_LOG_DIRS, 5),
    act(ApiKey::SASL_AUTHENTICATE, 2, Action::SaslAuthenticate),
    pass(ApiKey::CREATE_PARTITIONS, 3),
    pass(ApiKey::CREATE_DELEGATION_TOKEN, 3),
    pass(ApiKey::RENEW_DELEGATION_TOKEN, 2),
    pass(ApiKey::EXPIRE_DELEGATION_TOKEN, 2),
    pass(ApiKey::DESCRIBE_DELEGATION_TOKEN, 3),
    pass(ApiKey::DELETE_GROUPS, 2),
    pass(ApiKey::ELECT_LEADERS, 2),
    pass(ApiKey::INCREMENTAL_ALTER_CONFIGS, 1),
    pass(ApiKey::ALTER_PARTITION_REASSIGNMENTS, 1),
    pass(ApiKey::LIST_PARTITION_REASSIGNMENTS, 0),
    pass(ApiKey::OFFSET_DELETE, 0),
    pass(ApiKey::DESCRIBE_CLIENT_QUOTAS, 1),
    pass(ApiKey::ALTER_CLIENT_QUOTAS, 1),
    pass(ApiKey::DESCRIBE_USER_SCRAM_CREDENTIALS, 0),
    pass(ApiKey::ALTER_USER_SCRAM_CREDENTIALS, 0),
    pass(ApiKey::DESCRIBE_QUORUM, 1),
    pass(ApiKey::UPDATE_FEATURES, 2),
    act(ApiKey::DESCRIBE_CLUSTER, 2, Action::DescribeCluster),
    pass(ApiKey::DESCRIBE_PRODUCERS, 0),
    pass(ApiKey::UNREGISTER_BROKER, 0),
    pass(ApiKey::DESCRIBE_TRANSACTIONS, 0),
    pass(ApiKey::LIST_TRANSACTIONS, 2),
    act(ApiKey::CONSUMER_GROUP_HEARTBEAT, 1, Action::Group),
    pass(ApiKey::CONSUMER_GROUP_DESCRIBE, 1),
    pass(ApiKey::GET_TELEMETRY_SUBSCRIPTIONS, 0),
    pass(ApiKey::PUSH_TELEMETRY, 0),
    pass(ApiKey::LIST_CONFIG_RESOURCES, 1),
    pass(ApiKey::DESCRIBE_TOPIC_PARTITIONS, 0),
    act(ApiKey::STREAMS_GROUP_HEARTBEAT, 0, Action::Group),
    pass(ApiKey::STREAMS_GROUP_DESCRIBE, 0),
];

/// The line of an API; none where it is hidden.
pub(crate) fn rule(api: ApiKey) -> Option<&'static Rule> {
    // The table is ascending.
    RULES
        .binary_search_by_key(&api, |rule| rule.api)
        .ok()
        .and_then(|at| RULES.get(at))
}

/// What a client is shown of the range that the broker offers.
pub(crate) fn shown(api: ApiKey, least: i16, most: i16) -> Option<(i16, i16)> {
    let rule = rule(api)?;
    let shown = (least.max(rule.least), most.min(rule.most));
    (shown.0 <= shown.1).then_some(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_ascending_and_names_known_apis() {
        assert!(RULES.is_sorted_by(|a, b| a.api < b.api));
        assert!(RULES.iter().all(|rule| rule.api.is_known()));
    }

    #[test]
    fn what_is_shown_is_the_intersection() {
        assert_eq!(shown(ApiKey::PRODUCE, 0, 99), Some((0, 13)));
        assert_eq!(shown(ApiKey::FETCH, 4, 18), Some((4, 15)));
        assert_eq!(shown(ApiKey::SASL_HANDSHAKE, 0, 1), Some((1, 1)));
        assert_eq!(shown(ApiKey::WRITE_TXN_MARKERS, 1, 2), None);
        assert_eq!(shown(ApiKey(900), 0, 1), None);
        // A broker that no longer speaks what is known here.
        assert_eq!(shown(ApiKey::FETCH, 16, 20), None);
    }
}
