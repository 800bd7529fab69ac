//! Where this instance stands among all that serve the same `_schemas`.

use std::sync::Arc;

/// Whether this instance writes, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The group has not said yet who is to write.
    Waiting,
    /// Another instance writes; changes are passed on to it.
    Following,
    /// Elected; fencing its predecessor and catching up.
    TakingOver,
    /// Takes changes.
    Writing,
    /// Elected, and must not write.
    Refusing(Arc<str>),
}

impl Standing {
    /// Whether a change had better wait a moment than be refused.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::Waiting | Self::TakingOver)
    }

    /// The name that metrics and logs know it by.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Following => "following",
            Self::TakingOver => "taking_over",
            Self::Writing => "writing",
            Self::Refusing(_) => "refusing",
        }
    }
}
