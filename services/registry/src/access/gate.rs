//! Stands before the handlers: lets in who may, with a [`Caller`] for the handler, and refuses the
//! others. Every request of the API passes here, once; with nothing configured there is no gate.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State as Held};
use axum::http::HeaderValue;
use axum::http::header;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use meshwork_model::mesh::AuditEvent;
use meshwork_model::mesh::audit::{AuditAction, AuditOutcome, Authentication};
use meshwork_model::time::{Clock as _, WallClock};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::config::{self, AuthenticationConfig};
use super::error::AccessError;
use super::identify::{Identify, SharedPeer, Unknown};
use super::metrics::AccessMetrics;
use super::principal::Principal;
use super::refused::{Attempt, Refused};
use super::rules::{Action, Rules, Scope};
use super::wanted::{Wanted, wanted};
use crate::actor::Actor;
use crate::config::Config;
use crate::http::Api;
use crate::refusal::{Code, Refusal};
use crate::subject::Subject;

/// Longest path that is written of a refused request, bytes; the audit shortens it further.
const MAX_PATH: usize = 2_048;

/// The gate, or that there is none. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Access(Option<Arc<Inner>>);

struct Inner {
    identify: Identify,
    rules: Rules,
    refused: Refused,
    metrics: AccessMetrics,
    config: AuthenticationConfig,
    events: Mutex<Option<mpsc::Receiver<AuditEvent>>>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() {
            "Access(configured)"
        } else {
            "Access(everybody)"
        })
    }
}

impl Access {
    /// Reads what is configured. `instance` is this instance's name, for the audit.
    ///
    /// # Errors
    /// A file that can't be used, or settings that don't go together.
    pub(crate) fn open(
        config: &Config,
        metrics: &AccessMetrics,
        instance: String,
    ) -> Result<Self, AccessError> {
        config::check(config)?;
        if !config.authentication.is_configured() {
            return Ok(Self(None));
        }
        let identify = Identify::open(&config.authentication)?;
        if config.tls.is_none() {
            tracing::warn!(
                "the registry takes passwords and tokens without TLS: whoever can listen in on the network has them (registry.service.tls), unless a proxy on this machine speaks TLS"
            );
        }
        let (refused, events) = Refused::new(instance, metrics.clone());
        Ok(Self(Some(Arc::new(Inner {
            identify,
            rules: Rules::new(&config.rules, &config.reserved),
            refused,
            metrics: metrics.clone(),
            config: config.authentication.clone(),
            events: Mutex::new(Some(events)),
        }))))
    }

    /// Whether there is a gate.
    pub(crate) fn is_configured(&self) -> bool {
        self.0.is_some()
    }

    /// Refused attempts, for the [`super::Auditor`]; given once. While nobody takes them they are
    /// kept up to a bound, then dropped and counted.
    pub(crate) fn refusals(&self) -> Option<mpsc::Receiver<AuditEvent>> {
        self.0.as_ref()?.events.lock().take()
    }

    /// Keeps users and keys fresh until `stop`.
    pub(crate) async fn watch(&self, stop: CancellationToken) {
        let Some(inner) = &self.0 else {
            return;
        };
        let interval = inner.config.reload_interval.get();
        let users = async {
            if let Some(passwords) = inner.identify.passwords() {
                let users = Arc::clone(passwords.users());
                users
                    .watch(interval, inner.metrics.watcher(), stop.clone())
                    .await;
            }
        };
        let keys = async {
            if let Some(keys) = inner.identify.keys() {
                keys.watch(interval, inner.metrics.clone(), stop.clone())
                    .await;
            }
        };
        tokio::join!(users, keys);
    }
}

/// Who sent a request, as handlers see them. Taken from the gate; one that did not pass there is
/// nobody, and may do nothing that has a rule.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    principal: Principal,
    access: Access,
}

impl FromRequestParts<Api> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Self::Rejection> {
        Ok(parts
            .extensions
            .get::<Self>()
            .cloned()
            .unwrap_or_else(|| Self {
                principal: Principal::anonymous(),
                access: api.access.clone(),
            }))
    }
}

impl Caller {
    /// The refusal of a schema by id that no subject the caller may read holds.
    pub(crate) fn denied_id(&self, id: i32) -> Refusal {
        Refusal::new(
            Code::Denied,
            format!("User is denied operation {} on Schema: {id}", Action::Read),
        )
    }

    fn allowed(&self, ask: impl FnOnce(&Rules, &Principal) -> bool) -> bool {
        self.access
            .0
            .as_ref()
            .is_none_or(|inner| ask(&inner.rules, &self.principal))
    }

    /// Whether a subject may be read.
    pub(crate) fn reads(&self, subject: &Subject) -> bool {
        self.allowed(|rules, principal| {
            rules.allow(principal, Action::Read, &Scope::of(subject.clone()))
        })
    }

    /// Whether everything may be read, so that nothing need be left out of lists.
    pub(crate) fn reads_everything(&self) -> bool {
        self.allowed(|rules, principal| rules.allow_everything(principal, Action::Read))
    }

    /// Whether something of a context may be read.
    pub(crate) fn reads_in(&self, context: &str) -> bool {
        self.allowed(|rules, principal| rules.allow_in(principal, Action::Read, context))
    }

    /// What the full names of a context's subjects begin with that may be read, where not all may.
    pub(crate) fn readable(&self, context: &str) -> Vec<String> {
        self.access.0.as_ref().map_or_else(Vec::new, |inner| {
            inner.rules.within(&self.principal, Action::Read, context)
        })
    }

    /// That a subject may be read.
    ///
    /// # Errors
    /// 40301.
    pub(crate) fn require_read(&self, subject: &Subject) -> Result<(), Refusal> {
        if self.reads(subject) {
            return Ok(());
        }
        Err(denied(Action::Read, subject))
    }

    /// Whether new content may be registered under a subject, as far as reservations go.
    pub(crate) fn may_register(&self, subject: &Subject) -> bool {
        self.allowed(|rules, principal| rules.free_for(principal, subject))
    }

    /// What to send as `Meshwork-Principal` to the writer along with this caller's request: its
    /// name, where its `Authorization` does not say it.
    pub(crate) fn forwarded_as(&self) -> Option<HeaderValue> {
        (self.principal.how() == Authentication::Certificate)
            .then(|| HeaderValue::from_bytes(self.principal.name().as_bytes()).ok())
            .flatten()
    }
}

/// In the words of Confluent's registry.
fn denied(action: Action, what: impl std::fmt::Display) -> Refusal {
    Refusal::new(
        Code::Denied,
        format!("User is denied operation {action} on Subject: {what}"),
    )
}

/// Axum's middleware, around the routes: it needs to know which of them a request matched.
pub(crate) async fn gate(Held(api): Held<Api>, request: Request, next: Next) -> Response {
    let Some(inner) = api.access.0.clone() else {
        return next.run(request).await;
    };
    let (mut parts, body) = request.into_parts();
    let peer = parts.extensions.get::<SharedPeer>().cloned();
    let asked = Asked::of(&mut parts, peer.as_ref().map(|peer| peer.address)).await;
    let principal = match inner
        .identify
        .principal(&parts.headers, peer.as_deref())
        .await
    {
        Ok(principal) => principal,
        Err(unknown) => return inner.unknown(&asked, unknown),
    };
    inner.metrics.let_in(principal.how());
    if let Err(refusal) = inner.judge(&api, &principal, &asked) {
        inner.note(&principal, &asked, &refusal);
        return refusal.into_response();
    }
    parts
        .extensions
        .insert(Actor::known(principal.name(), principal.how()));
    parts.extensions.insert(Caller {
        principal: principal.clone(),
        access: api.access.clone(),
    });
    let response = next.run(Request::from_parts(parts, body)).await;
    if let Some(refusal) = response.extensions().get::<Refusal>() {
        inner.note(&principal, &asked, refusal);
    }
    response
}

/// What a request asks for.
struct Asked {
    /// None: no route, or one that is not known here.
    wanted: Option<Wanted>,
    /// Whether it matched a route.
    routed: bool,
    /// Method and path.
    request: String,
    client: Option<IpAddr>,
}

impl Asked {
    async fn of(parts: &mut Parts, client: Option<IpAddr>) -> Self {
        let route = parts.extensions.get::<MatchedPath>().cloned();
        let path = parts.uri.path();
        let path = path.get(..MAX_PATH).unwrap_or(path);
        let request = format!("{} {path}", parts.method);
        let permanent = parts.uri.query().is_some_and(|query| {
            form_urlencoded::parse(query.as_bytes())
                .any(|(name, value)| name == "permanent" && value.eq_ignore_ascii_case("true"))
        });
        let mut found = None;
        if let Some(route) = &route
            && let Ok(values) = RawPathParams::from_request_parts(parts, &()).await
        {
            let values: Vec<_> = values.iter().collect();
            found = wanted(&parts.method, route.as_str(), &values, permanent);
        }
        Self {
            wanted: found,
            routed: route.is_some(),
            request,
            client,
        }
    }

    fn subject(&self) -> Option<&str> {
        match &self.wanted {
            Some(Wanted::On {
                scope: Scope::Subject(subject),
                ..
            }) => Some(subject.as_str()),
            _ => None,
        }
    }
}

impl Inner {
    /// Whether a principal may have what it asked for.
    fn judge(&self, api: &Api, principal: &Principal, asked: &Asked) -> Result<(), Refusal> {
        let Some(wanted) = &asked.wanted else {
            // A path that is none is answered as ever; a route that is not known here is not
            // served, so that one that is added can't be forgotten here.
            return if asked.routed {
                Err(crate::http::not_found())
            } else {
                Ok(())
            };
        };
        let Wanted::On {
            action,
            scope,
            kept,
            follows,
            ..
        } = wanted
        else {
            return Ok(());
        };
        let mut scopes = vec![scope.clone()];
        if *follows && let Scope::Subject(subject) = scope {
            let meant = api.resolve(subject)?;
            if meant != *subject {
                scopes.push(Scope::Subject(meant));
            }
        }
        for scope in &scopes {
            if !self.rules.allow(principal, *action, scope) {
                return Err(denied(*action, scope));
            }
            if let (true, Scope::Subject(subject)) = (*kept, scope)
                && !self.rules.free_for(principal, subject)
            {
                return Err(Refusal::reserved(subject));
            }
        }
        Ok(())
    }

    fn unknown(&self, asked: &Asked, unknown: Unknown) -> Response {
        let (why, claimed, token) = match unknown {
            Unknown::Unchecked(why) => {
                self.metrics.unchecked();
                return Refusal::new(Code::Unavailable, why).into_response();
            }
            Unknown::Missing => ("nothing shows who asks".to_owned(), None, false),
            Unknown::Wrong {
                why,
                claimed,
                token,
            } => (why, claimed, token),
        };
        self.refused.note(
            &Attempt {
                principal: &Principal::anonymous(),
                claimed: claimed.as_deref(),
                client: asked.client,
                action: action_of(asked),
                subject: asked.subject(),
                outcome: AuditOutcome::Unauthenticated,
                error_code: Code::Unauthenticated.number(),
                why: &why,
                request: asked.request.clone(),
            },
            WallClock.now(),
        );
        let mut response =
            Refusal::new(Code::Unauthenticated, format!("Unauthorized: {why}")).into_response();
        for challenge in self.identify.challenges(token) {
            response
                .headers_mut()
                .append(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }

    /// Notes a refusal, if it is one of access.
    fn note(&self, principal: &Principal, asked: &Asked, refusal: &Refusal) {
        let outcome = match refusal.code {
            Code::Denied => AuditOutcome::Denied,
            Code::Reserved => AuditOutcome::Reserved,
            _ => return,
        };
        self.refused.note(
            &Attempt {
                principal,
                claimed: None,
                client: asked.client,
                action: action_of(asked),
                subject: asked.subject(),
                outcome,
                error_code: refusal.code.number(),
                why: &refusal.message,
                request: asked.request.clone(),
            },
            WallClock.now(),
        );
    }
}

fn action_of(asked: &Asked) -> AuditAction {
    asked.wanted.as_ref().map(Wanted::audit).unwrap_or_default()
}
