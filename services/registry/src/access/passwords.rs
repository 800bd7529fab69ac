//! Checking passwords without letting those who guess them starve the server: so many at once,
//! one per user, and nobody waits longer than a client would.

use std::sync::Arc;
use std::time::{Duration, Instant};

use meshwork_model::mesh::audit::Authentication;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::AccessError;
use super::principal::Principal;
use super::users::{User, Users};
use super::verified::{Credential, Known, Verified};
use meshwork_tls::{Named, Reloaded};

/// Longest wait for the turn to be checked. A client asks again then; who was right a moment ago
/// need not wait at all.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// So many passwords wait to be checked that this one can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy;

/// The users, and the slots for checking their passwords.
pub(crate) struct Passwords {
    users: Arc<Reloaded<Users>>,
    slots: Arc<Semaphore>,
}

const CURE: &str =
    "write lines `user:hash`, with hashes as `htpasswd -nB user` or an Argon2 program makes them";

impl Passwords {
    /// Reads the users.
    ///
    /// # Errors
    /// A file that can't be read, or a line in it that is wrong.
    pub(crate) fn open(config: &super::config::BasicConfig) -> Result<Self, AccessError> {
        let named = Named {
            file: config.users_file.clone(),
            key: "registry.service.authentication.basic.users_file",
        };
        let users = Reloaded::open(vec![named.clone()], move |files| {
            let bytes = files.first().map(Vec::as_slice).unwrap_or_default();
            let text =
                std::str::from_utf8(bytes).map_err(|_| named.wrong("it is not UTF-8", CURE))?;
            Users::parse(text).map_err(|why| named.wrong(why, CURE))
        })?;
        Ok(Self {
            users: Arc::new(users),
            slots: Arc::new(Semaphore::new(config.checks_at_once.max(1))),
        })
    }

    pub(crate) fn users(&self) -> &Arc<Reloaded<Users>> {
        &self.users
    }

    /// The user, if the password is theirs; known in `verified` from then on, for `remember`.
    /// Requests with one credential are checked once: the others find it there when their turn
    /// comes.
    ///
    /// # Errors
    /// Too many wait.
    pub(crate) async fn check(
        &self,
        name: &str,
        password: &str,
        verified: &Verified,
        credential: Credential,
        remember: Duration,
    ) -> Result<Option<Principal>, Busy> {
        let (user, known) = self.users.current().find(name);
        let wait = async {
            let turn = Arc::clone(&user.turn)
                .acquire_owned()
                .await
                .map_err(|_| Busy)?;
            match verified.known(credential, Instant::now()) {
                Some(Known::Right(principal)) => return Ok(Turn::Known(Some(principal))),
                Some(Known::Wrong) => return Ok(Turn::Known(None)),
                None => {}
            }
            let slot = Arc::clone(&self.slots)
                .acquire_owned()
                .await
                .map_err(|_| Busy)?;
            Ok(Turn::Mine(turn, slot))
        };
        let turn = tokio::time::timeout(LONGEST_WAIT, wait)
            .await
            .map_err(|_| Busy)??;
        let (turn, slot) = match turn {
            Turn::Known(principal) => return Ok(principal),
            Turn::Mine(turn, slot) => (turn, slot),
        };
        let password = password.as_bytes().to_vec();
        let right = tokio::task::spawn_blocking(move || verify(&user, &password, slot))
            .await
            .map_err(|_| Busy)?;
        let principal = (right && known)
            .then(|| Principal::named(name, Authentication::Basic))
            .flatten();
        let now = Instant::now();
        match &principal {
            Some(principal) => verified.right(credential, principal.clone(), now + remember),
            None => verified.wrong(credential, now),
        }
        drop(turn);
        Ok(principal)
    }
}

enum Turn {
    Known(Option<Principal>),
    Mine(OwnedSemaphorePermit, OwnedSemaphorePermit),
}

/// The slot is given back when the work is done, also if whoever asked has gone.
fn verify(user: &User, password: &[u8], slot: OwnedSemaphorePermit) -> bool {
    let right = user.verify(password);
    drop(slot);
    right
}
