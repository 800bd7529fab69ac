//! The records of the `mesh.*` topics: Rust types, one for each schema in `schemas/mesh/`, and the
//! schemas' texts. The types serialize with serde; field names are the schemas' own.

pub mod alert;
pub mod announcement;
pub mod audit;
pub mod change;
pub mod lineage;
pub mod observation;
pub mod slice;
pub mod status;

pub use alert::SloAlert;
pub use announcement::ProductAnnouncement;
pub use audit::AuditEvent;
pub use change::ProductChange;
pub use lineage::LineageFact;
pub use observation::StreamObservation;
pub use slice::SloSlice;
pub use status::SloStatus;

/// A schema of the mesh's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MeshSchema {
    /// Value of `mesh.catalog`.
    ProductAnnouncement,
    /// Value of `mesh.catalog.changes`.
    ProductChange,
    /// Value of `mesh.observations`.
    StreamObservation,
    /// Value of `mesh.lineage`.
    LineageFact,
    /// Value of `mesh.slo.slices`.
    SloSlice,
    /// Value of `mesh.slo.status`.
    SloStatus,
    /// Value of `mesh.slo.alerts`.
    SloAlert,
    /// Value of `mesh.audit`.
    AuditEvent,
}

impl MeshSchema {
    /// The schema's text, as in `schemas/mesh/`.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::ProductAnnouncement => {
                include_str!("../../../schemas/mesh/ProductAnnouncement.avsc")
            }
            Self::ProductChange => include_str!("../../../schemas/mesh/ProductChange.avsc"),
            Self::StreamObservation => include_str!("../../../schemas/mesh/StreamObservation.avsc"),
            Self::LineageFact => include_str!("../../../schemas/mesh/LineageFact.avsc"),
            Self::SloSlice => include_str!("../../../schemas/mesh/SloSlice.avsc"),
            Self::SloStatus => include_str!("../../../schemas/mesh/SloStatus.avsc"),
            Self::SloAlert => include_str!("../../../schemas/mesh/SloAlert.avsc"),
            Self::AuditEvent => include_str!("../../../schemas/mesh/AuditEvent.avsc"),
        }
    }
}

/// A Rust type whose Avro form is one of the mesh's schemas.
pub trait MeshRecord: serde::Serialize + serde::de::DeserializeOwned + Send + 'static {
    /// Its schema.
    const SCHEMA: MeshSchema;
}
