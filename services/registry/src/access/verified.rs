//! What has been checked a moment ago, so that it need not be checked again for each request:
//! passwords are dear to check, and tokens not cheap.

use std::time::{Duration, Instant};

use aws_lc_rs::digest::{Context, SHA256};
use aws_lc_rs::rand;
use quick_cache::sync::Cache;

use super::principal::Principal;

/// Wrong passwords kept: a client that goes on with one it was told is wrong costs nothing.
const WRONG_KEPT: usize = 1_000;

/// How long a wrong password is known to be wrong.
const WRONG_FOR: Duration = Duration::from_secs(10);

type Digest = [u8; 32];

/// What is known of a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Right(Principal),
    Wrong,
}

/// Credentials checked before, kept as salted hashes: who reads the process's memory finds no
/// passwords here, and who finds one of two hashes can't reach it from outside.
pub(crate) struct Verified {
    salt: [u8; 32],
    right: Cache<Digest, (Principal, Instant)>,
    wrong: Cache<Digest, Instant>,
}

/// A credential's salted hash, under the files as they are: once they change it is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Credential(Digest);

impl Verified {
    pub(crate) fn new(entries: usize) -> Result<Self, aws_lc_rs::error::Unspecified> {
        let mut salt = [0; 32];
        rand::fill(&mut salt)?;
        Ok(Self {
            salt,
            right: Cache::new(entries.max(1)),
            wrong: Cache::new(WRONG_KEPT),
        })
    }

    /// `of` is the whole `Authorization` value, `generation` counts changes of what it is checked
    /// against.
    pub(crate) fn credential(&self, of: &[u8], generation: u64) -> Credential {
        let mut context = Context::new(&SHA256);
        context.update(&self.salt);
        context.update(&generation.to_be_bytes());
        context.update(of);
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        Credential(digest)
    }

    pub(crate) fn known(&self, credential: Credential, now: Instant) -> Option<Known> {
        if let Some((principal, until)) = self.right.get(&credential.0) {
            if now < until {
                return Some(Known::Right(principal));
            }
            self.right.remove(&credential.0);
        }
        let until = self.wrong.get(&credential.0)?;
        if now < until {
            return Some(Known::Wrong);
        }
        self.wrong.remove(&credential.0);
        None
    }

    pub(crate) fn right(&self, credential: Credential, principal: Principal, until: Instant) {
        self.right.insert(credential.0, (principal, until));
    }

    pub(crate) fn wrong(&self, credential: Credential, now: Instant) {
        self.wrong.insert(credential.0, now + WRONG_FOR);
    }
}

#[cfg(test)]
mod tests {
    use meshwork_model::mesh::audit::Authentication;

    use super::*;

    #[test]
    fn what_was_right_is_so_for_a_while_and_not_after_the_files_change() {
        let verified = Verified::new(10).unwrap();
        let ann = Principal::named("ann", Authentication::Basic).unwrap();
        let now = Instant::now();
        let one = verified.credential(b"Basic x", 1);
        assert_eq!(one, verified.credential(b"Basic x", 1));
        assert_ne!(one, verified.credential(b"Basic y", 1));
        assert_ne!(one, Verified::new(10).unwrap().credential(b"Basic x", 1));
        assert_eq!(verified.known(one, now), None);
        let until = now + Duration::from_secs(5);
        verified.right(one, ann.clone(), until);
        assert_eq!(verified.known(one, now), Some(Known::Right(ann)));
        assert_eq!(
            verified.known(verified.credential(b"Basic x", 2), now),
            None
        );
        assert_eq!(verified.known(one, until), None);
        verified.wrong(one, now);
        assert_eq!(verified.known(one, now), Some(Known::Wrong));
        assert_eq!(verified.known(one, now + WRONG_FOR), None);
    }

    #[test]
    fn it_is_bounded() {
        let verified = Verified::new(10).unwrap();
        let ann = Principal::named("ann", Authentication::Basic).unwrap();
        let now = Instant::now();
        for number in 0..5_000u64 {
            let credential = verified.credential(&number.to_be_bytes(), 0);
            verified.right(credential, ann.clone(), now + WRONG_FOR);
            verified.wrong(credential, now);
        }
        assert!(verified.right.len() <= 10 && verified.wrong.len() <= WRONG_KEPT);
    }
}
