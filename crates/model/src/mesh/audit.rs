//! Value of `mesh.audit`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{MeshRecord, MeshSchema};
use crate::time::Timestamp;

/// The actor of whoever was not named.
pub const ANONYMOUS: &str = "anonymous";

/// Somebody changed what the mesh keeps, or was refused. Its key is the actor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// The same for every repeat of this event: of a change [`AuditEvent::id_of_change`], of a
    /// refusal a UUID.
    pub id: String,
    /// When; of a change, the timestamp of its record.
    pub at: Timestamp,
    /// Who: the principal, or [`ANONYMOUS`].
    pub actor: String,
    /// How the actor was known.
    pub authenticated_by: Authentication,
    /// The role that writes this, such as `registry`.
    pub role: String,
    /// The instance that made the change, or that refused it.
    pub instance: String,
    /// What was done, or asked for.
    pub action: AuditAction,
    /// Qualified name of the subject, or `:.ctx:` for a context; none: the whole registry, or
    /// nothing in particular.
    pub subject: Option<String>,
    /// Version.
    pub version: Option<i32>,
    /// Schema id.
    pub schema_id: Option<i32>,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// What a refused client was answered.
    pub error_code: Option<i32>,
    /// Of a change: offset of its record in the role's log, `_schemas` for the registry.
    pub offset: Option<i64>,
    /// IP address that a refused request came from.
    pub client: Option<String>,
    /// Refusals of the same actor since its previous event that have no event of their own,
    /// because there were too many.
    pub suppressed: i64,
    /// What else is known, such as method and path of a refused request.
    pub details: BTreeMap<String, String>,
}

impl MeshRecord for AuditEvent {
    const SCHEMA: MeshSchema = MeshSchema::AuditEvent;
}

impl AuditEvent {
    /// Id of the event of a change, from the place of the record that made it.
    #[must_use]
    pub fn id_of_change(topic: &str, partition: i32, offset: i64) -> String {
        format!("{topic}@{partition}:{offset}")
    }
}

/// How an actor was known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Authentication {
    /// It is not said.
    #[default]
    Unknown,
    /// Not at all.
    None,
    /// By user and password.
    Basic,
    /// By a signed token.
    Bearer,
    /// By the certificate of its TLS connection.
    Certificate,
}

/// What was done, or asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AuditAction {
    /// None of the others.
    #[default]
    Other,
    /// Read; only where it was refused.
    Read,
    /// A schema was registered.
    Register,
    /// A version or a subject was hidden.
    SoftDelete,
    /// A version or a subject was removed for good.
    HardDelete,
    /// Settings were changed.
    SetConfig,
    /// Settings were removed.
    DeleteConfig,
    /// The mode was changed.
    SetMode,
    /// The mode was removed.
    DeleteMode,
    /// An empty context was removed.
    DeleteContext,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum AuditOutcome {
    /// It was done.
    Done,
    /// Who asked could not show who they are.
    Unauthenticated,
    /// No rule allows it.
    Denied,
    /// The subject is kept for others.
    Reserved,
}

#[cfg(test)]
mod tests {
    use serde_avro_fast::ser::SerializerConfig;

    use super::*;

    fn refusal() -> AuditEvent {
        AuditEvent {
            id: "6c2f1d9e-0000-4000-8000-000000000000".to_owned(),
            at: Timestamp::from_millis(1_358_253_540_000),
            actor: "mallory".to_owned(),
            authenticated_by: Authentication::Basic,
            role: "registry".to_owned(),
            instance: "r1".to_owned(),
            action: AuditAction::SoftDelete,
            subject: Some(":.prod:orders-value".to_owned()),
            version: None,
            schema_id: None,
            outcome: AuditOutcome::Denied,
            error_code: Some(40_301),
            offset: None,
            client: Some("192.0.2.7".to_owned()),
            suppressed: 3,
            details: BTreeMap::from([("request".to_owned(), "DELETE /subjects/x".to_owned())]),
        }
    }

    #[test]
    fn every_symbol_is_one_of_the_schema() {
        let schema: serde_avro_fast::Schema = MeshSchema::AuditEvent.text().parse().unwrap();
        let actions = [
            AuditAction::Other,
            AuditAction::Read,
            AuditAction::Register,
            AuditAction::SoftDelete,
            AuditAction::HardDelete,
            AuditAction::SetConfig,
            AuditAction::DeleteConfig,
            AuditAction::SetMode,
            AuditAction::DeleteMode,
            AuditAction::DeleteContext,
        ];
        let known = [
            Authentication::Unknown,
            Authentication::None,
            Authentication::Basic,
            Authentication::Bearer,
            Authentication::Certificate,
        ];
        let outcomes = [
            AuditOutcome::Done,
            AuditOutcome::Unauthenticated,
            AuditOutcome::Denied,
            AuditOutcome::Reserved,
        ];
        for (action, (known, outcome)) in actions
            .into_iter()
            .zip(known.into_iter().zip(outcomes.into_iter().cycle()).cycle())
        {
            let event = AuditEvent {
                action,
                authenticated_by: known,
                outcome,
                offset: Some(7),
                ..refusal()
            };
            let mut config = SerializerConfig::new(&schema);
            let bytes = serde_avro_fast::to_datum_vec(&event, &mut config).unwrap();
            let read: AuditEvent = serde_avro_fast::from_datum_slice(&bytes, &schema).unwrap();
            assert_eq!(read, event);
        }
    }
}
