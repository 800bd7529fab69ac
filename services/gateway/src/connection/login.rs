//! Who a client is. A name counts once the broker has said its final yes.

use std::sync::Arc;

use meshwork_model::mesh::observation::Trust;
use meshwork_pipeline::ProducerTag;

/// What is known of who is at the other end. Strongest first: the broker's yes to a login, the
/// subject of a client certificate, the configured name, the client id.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    /// What the client last asked to log in with: how its next token is read.
    asked: Option<Mechanism>,
    /// What a login in progress claims.
    claimed: Option<Claimed>,
    principal: Option<Principal>,
    certificate: Option<Box<str>>,
    configured: Option<Box<str>>,
    client_id: Box<str>,
    tag: Option<Arc<ProducerTag>>,
}

/// The outcome of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    /// By this name.
    Named(Box<str>),
    /// The broker knows who it is and the wire does not show it: a delegation token, an opaque
    /// OAuth token.
    Unnamed,
}

impl Principal {
    /// By a name, unless it is empty.
    pub(crate) fn named(name: &str) -> Self {
        if name.is_empty() {
            Self::Unnamed
        } else {
            Self::Named(name.into())
        }
    }
}

/// What a request of a login asks for. It counts when its own answer has come: what a client sends
/// ahead must not take the place of what the broker is saying yes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A login begins.
    Begin(Mechanism),
    /// A token; whom it names, if anyone.
    Token(Option<Principal>),
}

#[derive(Debug)]
struct Claimed {
    mechanism: Mechanism,
    principal: Option<Principal>,
}

/// How a client logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Plain,
    Scram,
    OAuthBearer,
    /// Passed on; whom it names is not known here.
    Other,
}

impl Mechanism {
    pub(crate) fn of(name: &str) -> Self {
        match name {
            "PLAIN" => Self::Plain,
            "OAUTHBEARER" => Self::OAuthBearer,
            name if name.starts_with("SCRAM-") => Self::Scram,
            _ => Self::Other,
        }
    }
}

impl Identity {
    pub(crate) fn new(certificate: Option<String>, configured: Option<&str>) -> Self {
        Self {
            certificate: certificate.map(Into::into),
            configured: configured.map(Into::into),
            ..Self::default()
        }
    }

    /// The client asks to log in, or to log in again mid-connection (KIP-368).
    pub(crate) fn ask(&mut self, mechanism: Mechanism) {
        self.asked = Some(mechanism);
    }

    /// How the client's next token is to be read.
    pub(crate) fn asked(&self) -> Option<Mechanism> {
        self.asked
    }

    /// The broker lets a login begin.
    pub(crate) fn begin(&mut self, mechanism: Mechanism) {
        self.claimed = Some(Claimed {
            mechanism,
            principal: None,
        });
    }

    /// How the login that the broker answers goes.
    pub(crate) fn mechanism(&self) -> Option<Mechanism> {
        self.claimed.as_ref().map(|c| c.mechanism)
    }

    /// The message that the broker answers names someone.
    pub(crate) fn claim(&mut self, principal: Principal) {
        if let Some(claimed) = &mut self.claimed
            && claimed.principal.is_none()
        {
            claimed.principal = Some(principal);
        }
    }

    /// The broker's final yes.
    pub(crate) fn confirm(&mut self) {
        if let Some(claimed) = self.claimed.take() {
            self.principal = Some(claimed.principal.unwrap_or(Principal::Unnamed));
            self.tag = None;
        }
    }

    /// Whether the broker has said yes to a login on this connection.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.principal.is_some()
    }

    /// The broker's no.
    pub(crate) fn refuse(&mut self) {
        self.claimed = None;
    }

    /// What the client calls itself, as each request says.
    pub(crate) fn client_id(&mut self, client_id: Option<&str>) {
        let client_id = client_id.unwrap_or_default();
        if *self.client_id != *client_id {
            self.client_id = client_id.into();
            self.tag = None;
        }
    }

    /// The name for headers and observations, and what it rests on.
    pub(crate) fn tag(&mut self) -> Arc<ProducerTag> {
        if let Some(tag) = &self.tag {
            return Arc::clone(tag);
        }
        let (name, trust) = match (&self.principal, &self.certificate, &self.configured) {
            (Some(Principal::Named(name)), ..) => (&**name, Trust::Principal),
            (_, Some(subject), _) => (&**subject, Trust::Mtls),
            (_, _, Some(name)) => (&**name, Trust::Configured),
            _ => (&*self.client_id, Trust::ClientId),
        };
        let tag = Arc::new(ProducerTag::new(name, trust));
        self.tag = Some(Arc::clone(&tag));
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_name_counts_and_only_after_the_brokers_yes() {
        let mut who = Identity::new(None, None);
        who.client_id(Some("app"));
        assert_eq!(
            (who.tag().name(), who.tag().trust()),
            ("app", Trust::ClientId)
        );
        let mut who = Identity::new(Some("CN=ops".into()), Some("sidecar"));
        assert_eq!(who.tag().trust(), Trust::Mtls);
        who.begin(Mechanism::Scram);
        who.claim(Principal::Named("ann".into()));
        assert_eq!(who.tag().trust(), Trust::Mtls);
        who.refuse();
        who.confirm();
        assert_eq!(
            who.tag().trust(),
            Trust::Mtls,
            "a refused login leaves nothing"
        );
        who.begin(Mechanism::Plain);
        who.claim(Principal::Named("bob".into()));
        who.claim(Principal::Named("eve".into()));
        who.confirm();
        assert_eq!(
            (who.tag().name(), who.tag().trust()),
            ("bob", Trust::Principal)
        );
        who.begin(Mechanism::OAuthBearer);
        who.claim(Principal::Unnamed);
        who.confirm();
        assert_eq!(who.tag().trust(), Trust::Mtls);
    }
}
