//! Who asks.

use std::sync::Arc;

use meshwork_model::mesh::audit::{ANONYMOUS, Authentication};

/// Longest name of a principal, bytes: a distinguished name with room to spare.
pub(crate) const MAX_NAME: usize = 512;

/// In a rule: everybody who is let in.
pub(crate) const EVERYBODY: &str = "*";

/// Somebody, and how they are known. Cheap to clone.
///
/// Names of all ways to be known are one namespace, as in Kafka: the user `ann`, the token whose
/// `sub` is `ann` and the certificate of `CN=ann` are one principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    name: Arc<str>,
    how: Authentication,
}

impl Principal {
    pub(crate) fn anonymous() -> Self {
        Self {
            name: ANONYMOUS.into(),
            how: Authentication::None,
        }
    }

    /// None if the name can't be a principal's: empty, too long, with control characters, or one
    /// that means something else.
    pub(crate) fn named(name: &str, how: Authentication) -> Option<Self> {
        is_name(name).then(|| Self {
            name: name.into(),
            how,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn how(&self) -> Authentication {
        self.how
    }

    pub(crate) fn is_anonymous(&self) -> bool {
        self.how == Authentication::None
    }
}

/// Whether somebody may be called this.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME
        && name != ANONYMOUS
        && name != EVERYBODY
        && !name.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_called_what_means_something_else() {
        for name in ["ann", "CN=ann,O=Acme", "é", "a b"] {
            assert!(
                Principal::named(name, Authentication::Basic).is_some(),
                "{name}"
            );
        }
        let long = "x".repeat(MAX_NAME + 1);
        for name in ["", "anonymous", "*", "a\nb", "a\0", &long] {
            assert!(
                Principal::named(name, Authentication::Basic).is_none(),
                "{name:?}"
            );
        }
        assert!(Principal::anonymous().is_anonymous());
    }
}
