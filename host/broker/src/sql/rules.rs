//! The rules of the boundary, for databases: what a plugin may open, and with what.

use std::sync::Arc;

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::cloud::Protocol;
use crate::egress::{Misuse, Refusal};
use crate::grant::{Grant, NormalPath};
use crate::manifest::SpendPlace;
use crate::seal::SealedValue;
use crate::surrogate::{self, StandsFor, Surrogates};

/// The longest name of a database or a user, in UTF-16 code units ([MS-TDS] 2.2.6.4).
const LONGEST_NAME: usize = 128;

/// What stands in a path as it is.
const PLAIN: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What a plugin wants to log in with.
pub(crate) enum Credential {
    /// The surrogate of a token.
    Token(String),
    /// A user, and the surrogate of a password.
    Password { user: String, password: String },
}

/// A login that the rules have passed.
pub(super) struct Passed {
    /// The grant to whose endpoint it goes.
    pub(super) grant: usize,
    /// The database, as a path.
    pub(super) path: NormalPath,
    pub(super) login: Login,
}

/// What the host logs in with.
#[derive(Clone)]
pub(super) enum Login {
    /// The token of the grant.
    Token,
    /// A user of the server's own.
    Password { user: String, password: Arc<SealedValue> },
}

impl PartialEq for Login {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Token, Self::Token) => true,
            (Self::Password { user, password }, Self::Password { user: other, password: others }) => {
                user == other && password.expose_secret() == others.expose_secret()
            }
            _ => false,
        }
    }
}

/// Judges what a plugin wants to open.
pub(super) fn judge(
    database: &str,
    credential: &Credential,
    grants: &[Grant],
    surrogates: &Surrogates,
) -> Result<Passed, Refusal> {
    let (grant, login) = match credential {
        Credential::Token(surrogate) => match surrogates.stands_for(surrogate.as_bytes()) {
            Some(StandsFor::Token(grant)) => (grant, Login::Token),
            _ => return Err(Misuse::ForeignLogin.into()),
        },
        Credential::Password { user, password } => {
            if surrogate::is_in(user.as_bytes()) {
                return Err(Misuse::SurrogateElsewhere("user's name").into());
            }
            match surrogates.stands_for(password.as_bytes()) {
                Some(StandsFor::Sealed(grant, value)) if value.place() == SpendPlace::LoginPassword => {
                    (grant, Login::Password { user: user.clone(), password: value })
                }
                _ => return Err(Misuse::ForeignLogin.into()),
            }
        }
    };
    if surrogate::is_in(database.as_bytes()) {
        return Err(Misuse::SurrogateElsewhere("database's name").into());
    }
    let granted = grants.get(grant).ok_or(Misuse::ForeignLogin)?;
    if granted.endpoint.protocol != Protocol::SqlServer {
        return Err(Misuse::OtherAudience { audience: granted.name.to_string() }.into());
    }
    let path = path_of(database).ok_or(Misuse::Database)?;
    match granted.covers(&Method::CONNECT, &path) {
        Ok(()) => Ok(Passed { grant, path, login }),
        Err(why) => Err(Refusal::NotCovered { grant, method: Method::CONNECT, path, why }),
    }
}

/// A database as `allow` names it: `/shop`.
fn path_of(database: &str) -> Option<NormalPath> {
    let fits = !database.is_empty() && database.encode_utf16().count() <= LONGEST_NAME;
    if !fits || database.chars().any(char::is_control) {
        return None;
    }
    NormalPath::parse(&format!("/{}", utf8_percent_encode(database, &PLAIN))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_one_segment_of_a_path() {
        assert_eq!(path_of("shop").unwrap().as_str(), "/shop");
        assert_eq!(path_of("my shop").unwrap().as_str(), "/my%20shop");
        for name in ["", "a/b", "a\\b", "..", "a\0b", "a\nb", &"x".repeat(129)] {
            assert!(path_of(name).is_none(), "{name:?}");
        }
    }
}
