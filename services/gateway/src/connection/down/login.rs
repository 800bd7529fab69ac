//! Answers to the steps of a login.

use meshwork_wire::protocol::{WireError, sasl, sasl_name};

use super::{Down, Wanted, unreadable};
use crate::connection::login::{Mechanism, Step};
use crate::error::Ended;

/// Mechanisms that can't go through a gateway.
const NOT_HERE: &str = "GSSAPI";

impl Down {
    /// A step of a login: the name counts after the broker's final yes.
    pub(super) fn login(
        &self,
        wanted: &Wanted,
        frame: &[u8],
        step: Step,
    ) -> Result<Option<Vec<u8>>, Ended> {
        let wrong = |source: WireError| unreadable(wanted, source);
        let mut who = self.conn.who.lock();
        let claimed = match step {
            Step::Begin(mechanism) => {
                let answer = sasl::HandshakeAnswer::read(frame, wanted.version).map_err(wrong)?;
                if answer.error_code == 0 {
                    who.begin(mechanism);
                } else {
                    who.refuse();
                }
                let keep = |name: &str| name != NOT_HERE;
                let rewritten = sasl::rewrite_handshake(frame, wanted.version, keep);
                return rewritten.map(Some).map_err(wrong);
            }
            Step::Token(claimed) => claimed,
        };
        let answer = sasl::AuthenticateAnswer::read(frame, wanted.version).map_err(wrong)?;
        if answer.error_code != 0 {
            who.refuse();
            return Ok(None);
        }
        if let Some(claimed) = claimed {
            who.claim(claimed);
        }
        let last = match who.mechanism() {
            Some(Mechanism::Scram) => sasl_name::scram_is_final(answer.auth_bytes.reveal()),
            // A token that was refused is answered without an error code first, and says why.
            Some(Mechanism::OAuthBearer) => answer.auth_bytes.reveal().is_empty(),
            Some(Mechanism::Plain | Mechanism::Other) | None => true,
        };
        if last {
            who.confirm();
        }
        Ok(None)
    }
}
