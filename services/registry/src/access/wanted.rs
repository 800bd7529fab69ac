//! What a request wants: the action and what it is done to, from its method and the route that it
//! matched. The only place that says so; a route that is not here is not served.

use axum::http::Method;
use meshwork_model::mesh::audit::AuditAction;

use super::rules::{Action, Scope};
use crate::subject::Subject;

/// What a request wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// What everybody is told alike: types, versions, the global settings.
    Open,
    /// A list: its handler leaves out what may not be read.
    List,
    /// A schema by id or GUID: its handler asks whether a subject that holds it may be read.
    Held,
    /// An action.
    On {
        /// Which.
        action: Action,
        /// What to.
        scope: Scope,
        /// As the audit calls it.
        audit: AuditAction,
        /// New content and settings, which reservations keep to some. Registering is not among
        /// them: what is live already answers everybody.
        kept: bool,
        /// The handler follows an alias: what it points at counts as well as the name.
        follows: bool,
    },
}

/// The action a refused request is reported as.
impl Wanted {
    pub(crate) fn audit(&self) -> AuditAction {
        match self {
            Self::On { audit, .. } => *audit,
            Self::Open | Self::List | Self::Held => AuditAction::Read,
        }
    }
}

/// What a request wants that matched `route` with these parameters, in their order; none for a
/// route or a method that is not known here. Paths under `/contexts/{context}/` have been rewritten
/// before they are routed.
pub(crate) fn wanted(
    method: &Method,
    route: &str,
    parameters: &[(&str, &str)],
    permanent: bool,
) -> Option<Wanted> {
    let parts: Vec<&str> = route
        .split('/')
        .skip(1)
        .map(|part| if part.starts_with('{') { "{}" } else { part })
        .collect();
    let named = || {
        let (_, name) = parameters.first()?;
        // What settings of no name are about is what those without a name are about.
        Some(Subject::scope(name).map_or(Scope::Everything, Scope::of))
    };
    let on = |action, scope, audit, kept| {
        Some(Wanted::On {
            action,
            scope,
            audit,
            kept,
            follows: matches!(parts.first(), Some(&("subjects" | "compatibility"))),
        })
    };
    // HEAD is GET without a body.
    let method = if method == Method::HEAD {
        "GET"
    } else {
        method.as_str()
    };
    let delete = if permanent {
        AuditAction::HardDelete
    } else {
        AuditAction::SoftDelete
    };
    match (method, parts.as_slice()) {
        (
            "GET",
            ["" | "openapi.json" | "master_available" | "config" | "mode"]
            | ["schemas", "types"]
            | ["v1", "metadata", _]
            | ["associations", "resources", "{}", "{}"],
        )
        | ("POST", [""]) => Some(Wanted::Open),
        ("GET", ["schemas" | "subjects" | "contexts"]) => Some(Wanted::List),
        (
            "GET",
            ["schemas", "ids" | "guids", "{}"]
            | ["schemas", "ids", "{}", "schema" | "subjects" | "versions"]
            | ["schemas", "guids", "{}", "ids"],
        ) => Some(Wanted::Held),
        (
            "GET",
            ["subjects", "{}", "metadata" | "versions"]
            | ["subjects", "{}", "versions", "{}"]
            | [
                "subjects",
                "{}",
                "versions",
                "{}",
                "schema" | "referencedby",
            ]
            | ["config" | "mode", "{}"],
        )
        | (
            "POST",
            ["subjects", "{}"]
            | ["compatibility", "subjects", "{}", "versions"]
            | ["compatibility", "subjects", "{}", "versions", "{}"],
        ) => on(Action::Read, named()?, AuditAction::Read, false),
        ("POST", ["subjects", "{}", "versions"]) => {
            on(Action::Write, named()?, AuditAction::Register, false)
        }
        ("POST", ["subjects", "{}", "versions", "{}", "tags"]) => {
            on(Action::Write, named()?, AuditAction::Register, true)
        }
        ("DELETE", ["subjects", "{}"] | ["subjects", "{}", "versions", "{}"]) => {
            on(Action::Delete, named()?, delete, true)
        }
        ("DELETE", ["contexts", "{}"]) => {
            on(Action::Delete, named()?, AuditAction::DeleteContext, true)
        }
        ("PUT" | "DELETE", [what @ ("config" | "mode"), rest @ ..]) => {
            let scope = match rest {
                [] => Scope::Everything,
                ["{}"] => named()?,
                _ => return None,
            };
            let audit = match (method, *what) {
                ("PUT", "config") => AuditAction::SetConfig,
                (_, "config") => AuditAction::DeleteConfig,
                ("PUT", _) => AuditAction::SetMode,
                (_, _) => AuditAction::DeleteMode,
            };
            on(Action::Configure, scope, audit, true)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// In short: what a request wants whose first parameter is `:.c:s`.
    fn short(method: &str, route: &str) -> String {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let parameters = [("first", ":.c:s"), ("second", "2")];
        match wanted(&method, route, &parameters, false) {
            None => "unknown".to_owned(),
            Some(Wanted::Open) => "open".to_owned(),
            Some(Wanted::List) => "list".to_owned(),
            Some(Wanted::Held) => "held".to_owned(),
            Some(Wanted::On {
                action,
                scope,
                audit,
                kept,
                follows,
            }) => {
                let mut words = format!("{action} {scope} {audit:?}");
                if kept {
                    words.push_str(" kept");
                }
                if follows {
                    words.push_str(" follows");
                }
                words
            }
        }
    }

    const TABLE: &[(&str, &str, &str)] = &[
        ("GET", "/", "open"),
        ("POST", "/", "open"),
        ("GET", "/openapi.json", "open"),
        ("GET", "/master_available", "open"),
        ("GET", "/v1/metadata/id", "open"),
        ("GET", "/v1/metadata/version", "open"),
        ("GET", "/v1/metadata/deployment", "open"),
        ("GET", "/associations/resources/{namespace}/{name}", "open"),
        ("GET", "/schemas", "list"),
        ("GET", "/schemas/types", "open"),
        ("GET", "/schemas/ids/{id}", "held"),
        ("GET", "/schemas/ids/{id}/schema", "held"),
        ("GET", "/schemas/ids/{id}/subjects", "held"),
        ("GET", "/schemas/ids/{id}/versions", "held"),
        ("GET", "/schemas/guids/{guid}", "held"),
        ("GET", "/schemas/guids/{guid}/ids", "held"),
        ("GET", "/subjects", "list"),
        ("POST", "/subjects/{subject}", "Read :.c:s Read follows"),
        (
            "DELETE",
            "/subjects/{subject}",
            "Delete :.c:s SoftDelete kept follows",
        ),
        (
            "GET",
            "/subjects/{subject}/metadata",
            "Read :.c:s Read follows",
        ),
        (
            "GET",
            "/subjects/{subject}/versions",
            "Read :.c:s Read follows",
        ),
        (
            "POST",
            "/subjects/{subject}/versions",
            "Write :.c:s Register follows",
        ),
        (
            "GET",
            "/subjects/{subject}/versions/{version}",
            "Read :.c:s Read follows",
        ),
        (
            "DELETE",
            "/subjects/{subject}/versions/{version}",
            "Delete :.c:s SoftDelete kept follows",
        ),
        (
            "GET",
            "/subjects/{subject}/versions/{version}/schema",
            "Read :.c:s Read follows",
        ),
        (
            "GET",
            "/subjects/{subject}/versions/{version}/referencedby",
            "Read :.c:s Read follows",
        ),
        (
            "POST",
            "/subjects/{subject}/versions/{version}/tags",
            "Write :.c:s Register kept follows",
        ),
        (
            "POST",
            "/compatibility/subjects/{subject}/versions",
            "Read :.c:s Read follows",
        ),
        (
            "POST",
            "/compatibility/subjects/{subject}/versions/{version}",
            "Read :.c:s Read follows",
        ),
        ("GET", "/config", "open"),
        ("PUT", "/config", "Configure __GLOBAL SetConfig kept"),
        ("DELETE", "/config", "Configure __GLOBAL DeleteConfig kept"),
        ("GET", "/config/{subject}", "Read :.c:s Read"),
        ("PUT", "/config/{subject}", "Configure :.c:s SetConfig kept"),
        (
            "DELETE",
            "/config/{subject}",
            "Configure :.c:s DeleteConfig kept",
        ),
        ("GET", "/mode", "open"),
        ("PUT", "/mode", "Configure __GLOBAL SetMode kept"),
        ("DELETE", "/mode", "Configure __GLOBAL DeleteMode kept"),
        ("GET", "/mode/{subject}", "Read :.c:s Read"),
        ("PUT", "/mode/{subject}", "Configure :.c:s SetMode kept"),
        (
            "DELETE",
            "/mode/{subject}",
            "Configure :.c:s DeleteMode kept",
        ),
        ("GET", "/contexts", "list"),
        (
            "DELETE",
            "/contexts/{context}",
            "Delete :.c:s DeleteContext kept",
        ),
    ];

    #[test]
    fn every_endpoint_is_here() {
        let here: BTreeSet<(&str, &str)> = TABLE
            .iter()
            .map(|(method, route, _)| (*method, *route))
            .collect();
        for (method, route) in crate::http::endpoints() {
            assert!(
                here.contains(&(method.to_uppercase().as_str(), route)),
                "{method} {route} is served, and nothing says what it wants"
            );
        }
    }

    #[test]
    fn an_endpoint_wants_what_the_table_says() {
        for (method, route, said) in TABLE {
            assert_eq!(short(method, route), *said, "{method} {route}");
            if *method == "GET" {
                assert_eq!(short("HEAD", route), *said, "HEAD {route}");
            }
        }
    }

    #[test]
    fn what_is_not_known_is_not_served() {
        for (method, route) in [
            ("GET", "/new"),
            ("PATCH", "/subjects/{subject}"),
            ("PUT", "/subjects/{subject}/versions"),
            ("DELETE", "/config/{subject}/{more}"),
            ("POST", "/config"),
            ("GET", "/subjects/{subject}/versions/{version}/new"),
            ("GET", "/contexts/{context}/subjects"),
        ] {
            assert_eq!(short(method, route), "unknown", "{method} {route}");
        }
        assert_eq!(wanted(&Method::PUT, "/config/{subject}", &[], false), None);
    }

    #[test]
    fn a_hard_delete_and_a_global_scope_are_told_apart() {
        let delete = |permanent| {
            wanted(&Method::DELETE, "/subjects/{s}", &[("s", "s")], permanent)
                .unwrap()
                .audit()
        };
        assert_eq!(delete(false), AuditAction::SoftDelete);
        assert_eq!(delete(true), AuditAction::HardDelete);
        let global = wanted(&Method::PUT, "/mode/{s}", &[("s", ":.__GLOBAL:")], false);
        assert!(matches!(
            global,
            Some(Wanted::On {
                scope: Scope::Everything,
                ..
            })
        ));
    }
}
