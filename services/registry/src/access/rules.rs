//! Who may do what, and which subjects are kept for whom.

use std::collections::HashMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::prefix::SubjectPrefix;
use super::principal::{EVERYBODY, Principal};
use crate::subject::Subject;

/// What can be done with a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Schemas, versions, settings and modes are read, schemas are looked up and compared.
    Read,
    /// Schemas are registered.
    Write,
    /// Versions, subjects and contexts are deleted.
    Delete,
    /// Settings and modes are changed.
    Configure,
}

/// As Confluent's registry writes them in its refusals.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Delete => "Delete",
            Self::Configure => "Configure",
        })
    }
}

/// Allows principals to do something with some subjects. What no rule allows is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Who: names of principals; `*` is everybody who is let in, `anonymous` who is not named.
    pub principals: Vec<String>,
    /// Which subjects.
    pub subjects: SubjectPrefix,
    /// What they may do.
    pub allow: Vec<Action>,
}

/// Keeps subjects for some principals: nobody else registers what is new there, deletes or
/// configures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reservation {
    /// Which subjects.
    pub prefix: SubjectPrefix,
    /// For whom: names of principals, such as the one that `meshwork product apply` runs as.
    pub principals: Vec<String>,
}

/// What an action is done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// A subject, or a context's settings (`:.ctx:`).
    Subject(Subject),
    /// The whole registry.
    Everything,
}

impl Scope {
    /// The scope that a name stands for: `:.__GLOBAL:` is the whole registry's.
    pub(crate) fn of(subject: Subject) -> Self {
        if subject.is_of_all_contexts() {
            Self::Everything
        } else {
            Self::Subject(subject)
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject(subject) => subject.fmt(f),
            Self::Everything => f.write_str("__GLOBAL"),
        }
    }
}

/// What one principal is allowed.
#[derive(Clone, Debug, Default)]
struct Allowed(Vec<(SubjectPrefix, Action)>);

impl Allowed {
    fn any(&self, action: Action, holds: impl Fn(&SubjectPrefix) -> bool) -> bool {
        self.0
            .iter()
            .any(|(prefix, allowed)| *allowed == action && holds(prefix))
    }
}

/// The rules and reservations in force.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// None: there are no rules, and everything is allowed.
    allowed: Option<HashMap<String, Allowed>>,
    reserved: Vec<Reservation>,
}

impl Rules {
    pub(crate) fn new(rules: &[Rule], reserved: &[Reservation]) -> Self {
        let mut allowed: HashMap<String, Allowed> = HashMap::new();
        for rule in rules {
            for principal in &rule.principals {
                let own = allowed.entry(principal.clone()).or_default();
                for action in &rule.allow {
                    own.0.push((rule.subjects.clone(), *action));
                }
            }
        }
        Self {
            allowed: (!rules.is_empty()).then_some(allowed),
            reserved: reserved.to_vec(),
        }
    }

    fn any(
        &self,
        principal: &Principal,
        action: Action,
        holds: impl Fn(&SubjectPrefix) -> bool,
    ) -> bool {
        let Some(allowed) = &self.allowed else {
            return true;
        };
        [principal.name(), EVERYBODY]
            .into_iter()
            .filter_map(|name| allowed.get(name))
            .any(|own| own.any(action, &holds))
    }

    /// Whether any rule allows it.
    pub(crate) fn allow(&self, principal: &Principal, action: Action, scope: &Scope) -> bool {
        self.any(principal, action, |prefix| match scope {
            Scope::Subject(subject) => prefix.holds(subject),
            Scope::Everything => prefix.is_everything(),
        })
    }

    /// Whether it is allowed for some subject of a context.
    pub(crate) fn allow_in(&self, principal: &Principal, action: Action, context: &str) -> bool {
        self.any(principal, action, |prefix| prefix.in_context(context))
    }

    /// What the full names of a context's subjects begin with for which an action is allowed. There
    /// must be rules.
    pub(crate) fn within(
        &self,
        principal: &Principal,
        action: Action,
        context: &str,
    ) -> Vec<String> {
        let allowed = self.allowed.iter().flat_map(|allowed| {
            [principal.name(), EVERYBODY]
                .into_iter()
                .filter_map(|name| allowed.get(name))
        });
        allowed
            .flat_map(|own| &own.0)
            .filter(|(_, allowed)| *allowed == action)
            .filter_map(|(prefix, _)| prefix.within(context))
            .collect()
    }

    /// Whether everything is allowed, so that lists need no filter.
    pub(crate) fn allow_everything(&self, principal: &Principal, action: Action) -> bool {
        self.any(principal, action, SubjectPrefix::is_everything)
    }

    /// Whether a subject is not kept for others. Where several reservations hold it, one that
    /// names the principal is enough.
    pub(crate) fn free_for(&self, principal: &Principal, subject: &Subject) -> bool {
        let mut holding = self
            .reserved
            .iter()
            .filter(|reservation| reservation.prefix.holds(subject))
            .peekable();
        holding.peek().is_none()
            || holding.any(|reservation| {
                reservation
                    .principals
                    .iter()
                    .any(|name| !principal.is_anonymous() && name == principal.name())
            })
    }
}

#[cfg(test)]
mod tests {
    use meshwork_model::mesh::audit::Authentication;

    use super::*;

    fn rule(principals: &[&str], subjects: &str, allow: &[Action]) -> Rule {
        Rule {
            principals: principals.iter().map(|&name| name.to_owned()).collect(),
            subjects: subjects.parse().unwrap(),
            allow: allow.to_vec(),
        }
    }

    fn named(name: &str) -> Principal {
        Principal::named(name, Authentication::Basic).unwrap()
    }

    fn on(subject: &str) -> Scope {
        Scope::of(Subject::new(subject))
    }

    #[test]
    fn without_rules_everything_is_allowed_with_them_what_they_say() {
        let none = Rules::new(&[], &[]);
        assert!(none.allow(&Principal::anonymous(), Action::Delete, &Scope::Everything));
        let rules = Rules::new(
            &[
                rule(&["ann"], "orders-", &[Action::Read, Action::Write]),
                rule(&["ann", "bob"], ":.dev:", &[Action::Delete]),
                rule(&["*"], "public-", &[Action::Read]),
                rule(&["anonymous"], "open-", &[Action::Read]),
                rule(&["root"], ":*:", &[Action::Configure, Action::Read]),
            ],
            &[],
        );
        let ann = named("ann");
        for (who, action, scope, allowed) in [
            (&ann, Action::Read, on("orders-value"), true),
            (&ann, Action::Write, on("orders-value"), true),
            (&ann, Action::Delete, on("orders-value"), false),
            (&ann, Action::Read, on("payments-value"), false),
            (&ann, Action::Read, on(":.dev:orders-value"), false),
            (&ann, Action::Delete, on(":.dev:x"), true),
            (&ann, Action::Read, on("public-x"), true),
            (&ann, Action::Write, on("public-x"), false),
            (&ann, Action::Read, on("open-x"), false),
            (&ann, Action::Configure, Scope::Everything, false),
            (&named("bob"), Action::Delete, on(":.dev:"), true),
            (&named("bob"), Action::Read, on("orders-value"), false),
            (&Principal::anonymous(), Action::Read, on("open-x"), true),
            (&Principal::anonymous(), Action::Read, on("public-x"), true),
            (
                &Principal::anonymous(),
                Action::Read,
                on("orders-value"),
                false,
            ),
            (&named("root"), Action::Configure, Scope::Everything, true),
            (&named("root"), Action::Configure, on(":.__GLOBAL:"), true),
            (&ann, Action::Delete, on(":.__GLOBAL:"), false),
        ] {
            assert_eq!(
                rules.allow(who, action, &scope),
                allowed,
                "{who:?} {action} {scope}"
            );
        }
        assert!(rules.allow_in(&ann, Action::Read, "."));
        assert!(!rules.allow_in(&ann, Action::Read, ".dev"));
        assert!(rules.allow_everything(&named("root"), Action::Read));
        assert!(!rules.allow_everything(&ann, Action::Read));
    }

    #[test]
    fn what_is_reserved_is_free_for_those_it_is_kept_for() {
        let rules = Rules::new(
            &[],
            &[
                Reservation {
                    prefix: "operations.".parse().unwrap(),
                    principals: vec!["apply".to_owned()],
                },
                Reservation {
                    prefix: ":*:operations.departures".parse().unwrap(),
                    principals: vec!["ann".to_owned()],
                },
            ],
        );
        for (who, subject, free) in [
            (named("apply"), "operations.x-value", true),
            (named("ann"), "operations.x-value", false),
            (named("ann"), "operations.departures.v1-value", true),
            (named("apply"), "operations.departures.v1-value", true),
            (
                named("apply"),
                ":.dev:operations.departures.v1-value",
                false,
            ),
            (named("bob"), "operations", true),
            (named("bob"), "other", true),
            (Principal::anonymous(), "operations.x-value", false),
        ] {
            assert_eq!(
                rules.free_for(&who, &Subject::new(subject)),
                free,
                "{who:?} {subject}"
            );
        }
    }
}
