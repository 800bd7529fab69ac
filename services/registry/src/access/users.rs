//! The file of users: names and hashes of their passwords.

use std::collections::HashMap;
use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params, PasswordVerifier as _};
use tokio::sync::Semaphore;

use super::principal::is_name;

/// Longest password that is looked at, bytes. Longer ones are wrong.
pub(crate) const MAX_PASSWORD: usize = 1_024;

/// Dearest bcrypt hash: 2^14 rounds, about a second.
const MAX_BCRYPT_COST: u32 = 14;

/// Dearest Argon2 hash: 256 MiB …
const MAX_ARGON2_KIB: u32 = 256 << 10;

/// … gone over so many times …
const MAX_ARGON2_PASSES: u32 = 16;

/// … in so many lanes.
const MAX_ARGON2_LANES: u32 = 16;

/// A hash as the file has it, checked to be one that can be verified at a bearable cost.
#[derive(Clone, Debug)]
enum Hash {
    Bcrypt(String),
    Argon2(String),
}

impl Hash {
    fn parse(text: &str) -> Result<Self, String> {
        if text.starts_with("$2") {
            let parts: bcrypt::HashParts = text
                .parse()
                .map_err(|error| format!("it is no bcrypt hash: {error}"))?;
            if parts.get_cost() > MAX_BCRYPT_COST {
                return Err(format!(
                    "its bcrypt cost is {}, and {MAX_BCRYPT_COST} is the most",
                    parts.get_cost()
                ));
            }
            return Ok(Self::Bcrypt(text.to_owned()));
        }
        if text.starts_with("$argon2") {
            let hash = PasswordHash::new(text)
                .map_err(|error| format!("it is no Argon2 hash: {error}"))?;
            if hash.hash.is_none() || hash.salt.is_none() {
                return Err("it is an Argon2 hash without salt or result".to_owned());
            }
            let params = Params::try_from(&hash)
                .map_err(|error| format!("it is no Argon2 hash: {error}"))?;
            if params.m_cost() > MAX_ARGON2_KIB
                || params.t_cost() > MAX_ARGON2_PASSES
                || params.p_cost() > MAX_ARGON2_LANES
            {
                return Err(format!(
                    "its Argon2 hash asks for m={},t={},p={}, and m={MAX_ARGON2_KIB},t={MAX_ARGON2_PASSES},p={MAX_ARGON2_LANES} is the most",
                    params.m_cost(),
                    params.t_cost(),
                    params.p_cost()
                ));
            }
            return Ok(Self::Argon2(text.to_owned()));
        }
        Err(
            "it is neither a bcrypt ($2y$…) nor an Argon2 ($argon2id$…) hash; passwords in clear, MD5 and SHA-1 are not taken"
                .to_owned(),
        )
    }

    fn verify(&self, password: &[u8]) -> bool {
        match self {
            // bcrypt looks at 72 bytes, its own end included; a longer password would be as good as its beginning.
            Self::Bcrypt(text) => bcrypt::non_truncating_verify(password, text).unwrap_or(false),
            Self::Argon2(text) => Argon2::default()
                .verify_password(password, text.as_str())
                .is_ok(),
        }
    }
}

/// One user.
#[derive(Debug)]
pub(crate) struct User {
    hash: Hash,
    /// One password of a user is checked at a time, so that guessing one user's does not keep the
    /// others waiting.
    pub(crate) turn: Arc<Semaphore>,
}

impl User {
    /// Takes as long as the hash is dear: not for threads that must not wait.
    pub(crate) fn verify(&self, password: &[u8]) -> bool {
        password.len() <= MAX_PASSWORD && self.hash.verify(password)
    }
}

/// All users.
#[derive(Debug)]
pub(crate) struct Users {
    by_name: HashMap<String, Arc<User>>,
    /// Checked in the stead of a user that there is not, so that who guesses names can't tell
    /// them from passwords by the time it takes. Always wrong.
    nobody: Arc<User>,
}

impl Users {
    /// From the text of the file.
    ///
    /// # Errors
    /// The first line that is wrong, and what of it; never the hash.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut by_name = HashMap::new();
        let mut last = None;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let at = |why: &str| format!("line {}: {why}", number + 1);
            let (name, hash) = line
                .split_once(':')
                .ok_or_else(|| at("it is not `user:hash`"))?;
            if !is_name(name) {
                return Err(at("a user can't be called so"));
            }
            let hash = Hash::parse(hash).map_err(|why| at(&format!("user {name}: {why}")))?;
            last = Some(hash.clone());
            let user = Arc::new(User {
                hash,
                turn: Arc::new(Semaphore::new(1)),
            });
            if by_name.insert(name.to_owned(), user).is_some() {
                return Err(at(&format!("user {name} is there already")));
            }
        }
        let hash = last.ok_or("there is no user in it")?;
        Ok(Self {
            by_name,
            nobody: Arc::new(User {
                hash,
                turn: Arc::new(Semaphore::new(1)),
            }),
        })
    }

    /// The user of this name; or one to spend the time on, and false.
    pub(crate) fn find(&self, name: &str) -> (Arc<User>, bool) {
        match self.by_name.get(name) {
            Some(user) => (Arc::clone(user), true),
            None => (Arc::clone(&self.nobody), false),
        }
    }
}

#[cfg(test)]
mod tests {
    use argon2::PasswordHasher as _;

    use super::*;

    fn argon2(password: &str) -> String {
        let params = Params::new(64, 1, 1, None).unwrap();
        Argon2::from(params)
            .hash_password_with_salt(password.as_bytes(), b"0123456789abcdef")
            .unwrap()
            .to_string()
    }

    #[test]
    fn right_and_wrong_passwords() {
        let text = format!(
            "# users\n\nann:{}\nbob:{}\n",
            bcrypt::hash("one", 4).unwrap(),
            argon2("two")
        );
        let users = Users::parse(&text).unwrap();
        for (name, password, right) in [
            ("ann", "one", true),
            ("ann", "two", false),
            ("ann", "", false),
            ("ann", "one\0", false),
            ("bob", "two", true),
            ("bob", "one", false),
        ] {
            let (user, known) = users.find(name);
            assert!(known);
            assert_eq!(user.verify(password.as_bytes()), right, "{name} {password}");
        }
        let (user, known) = users.find("carl");
        assert!(!known && !user.verify(b""));
        assert!(!users.find("bob").0.verify(&vec![b'x'; MAX_PASSWORD + 1]));
    }

    /// Of crypt_blowfish's own tests, and made with argon2-cffi 25.1.
    #[test]
    fn hashes_of_other_programs_are_understood() {
        let users = Users::parse(
            "a:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW\n\
             b:$argon2id$v=19$m=1024,t=2,p=1$c29tZXNhbHQwMTIz$IXAYDk4rjIayX8OzPBDWrf6grFNXMdAz\n\
             c:$argon2i$v=19$m=1024,t=2,p=4$c29tZXNhbHQwMTIz$wh2vi+5iyt9deKY6VxapdtLs3cyn+NskoaZsrEdPTwg\n",
        )
        .unwrap();
        for (name, password) in [("a", "U*U"), ("b", "password"), ("c", "password")] {
            let (user, _) = users.find(name);
            assert!(user.verify(password.as_bytes()), "{name}");
            assert!(!user.verify(b"another"), "{name}");
        }
    }

    #[test]
    fn a_password_longer_than_bcrypt_looks_at_is_wrong() {
        let long = "x".repeat(73);
        let users = Users::parse(&format!("a:{}", bcrypt::hash(&long, 4).unwrap())).unwrap();
        let (user, _) = users.find("a");
        assert!(!user.verify(long.as_bytes()));
    }

    #[test]
    fn a_wrong_line_is_named_and_its_hash_is_not_shown() {
        let good = argon2("x");
        for (text, said) in [
            (String::new(), "there is no user"),
            ("ann".to_owned(), "line 1: it is not `user:hash`"),
            (format!("ann:{good}\nann:{good}"), "line 2: user ann is there already"),
            (format!(":{good}"), "can't be called so"),
            (format!("anonymous:{good}"), "can't be called so"),
            ("ann:secret".to_owned(), "neither a bcrypt"),
            ("ann:{SHA}secret".to_owned(), "neither a bcrypt"),
            ("ann:$2y$31$secretsecretsecretsecretsecretsecretsecretsecretsecre".to_owned(), "bcrypt"),
            (
                "ann:$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHQ$secretsecretsecretsecretsecretse".to_owned(),
                "is the most",
            ),
            (
                "ann:$argon2id$v=19$m=65536,t=4000000000,p=1$c2FsdHNhbHQ$secretsecretsecretsecretsecretse".to_owned(),
                "is the most",
            ),
            ("ann:$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ".to_owned(), "without salt or result"),
        ] {
            let why = Users::parse(&text).unwrap_err();
            assert!(why.contains(said) && !why.contains("secretsecret"), "{text}: {why}");
        }
    }
}
