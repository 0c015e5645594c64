//! Logins to database servers: which database a plugin may open, and with which credential.

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::credential::{Credential, SealedCredential, Surrogates};
use super::denied::Denied;
use super::violation::Violation;
use crate::endpoint::Protocol;
use crate::grant::Grant;
use crate::manifest::SpendPlace;
use crate::path::NormalPath;
use crate::request_head::RequestHead;
use crate::surrogate;

/// The longest name of a database or a user, in UTF-16 code units ([MS-TDS] 2.2.6.4).
const LONGEST_NAME: usize = 128;

/// The characters that are not encoded in a path.
const PLAIN: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The surrogates that a plugin logs in with.
pub enum Credentials {
    /// The surrogate of a token.
    Token(String),
    /// A user, and the surrogate of a password.
    Password {
        /// The user's name.
        user: String,
        /// The surrogate.
        password: String,
    },
}

/// A login that is allowed.
#[derive(Debug)]
pub struct Authorized<G, S> {
    /// The grant whose endpoint it connects to.
    pub grant: G,
    /// The database, as a path for comparison with `allow`.
    pub path: NormalPath,
    /// The credential to log in with.
    pub login: Login<S>,
}

/// The credential that the host logs in with.
#[derive(Clone, Debug)]
pub enum Login<S> {
    /// The token of the grant.
    Token,
    /// A user of the server, and a sealed password.
    Password {
        /// The user's name.
        user: String,
        /// The password.
        password: S,
    },
}

/// Decides whether a plugin may open a database.
///
/// The rules are evaluated in this order: the surrogates, the protocol of the grant's endpoint, the
/// database's name, then the patterns, declared and allowed.
///
/// # Errors
///
/// The rule that denies it.
pub fn authorize_login<G: AsRef<Grant> + Clone, S: Surrogates>(
    database: &str,
    credentials: &Credentials,
    grants: &[G],
    surrogates: &S,
) -> Result<Authorized<G, S::Sealed>, Denied> {
    let (audience, login) = match credentials {
        Credentials::Token(surrogate) => match surrogates.resolve(surrogate.as_bytes()) {
            Some(Credential::Token(audience)) => (audience, Login::Token),
            Some(Credential::Sealed(..)) | None => return Err(Violation::ForeignLogin.into()),
        },
        Credentials::Password { user, password } => {
            if surrogate::is_in(user.as_bytes()) {
                return Err(Violation::MisplacedSurrogate("user's name").into());
            }
            match surrogates.resolve(password.as_bytes()) {
                Some(Credential::Sealed(Some(audience), value))
                    if value.place() == SpendPlace::LoginPassword =>
                {
                    (audience, Login::Password { user: user.clone(), password: value })
                }
                Some(Credential::Sealed(..) | Credential::Token(_)) | None => {
                    return Err(Violation::ForeignLogin.into());
                }
            }
        }
    };
    if surrogate::is_in(database.as_bytes()) {
        return Err(Violation::MisplacedSurrogate("database's name").into());
    }
    let found = grants.iter().find(|grant| grant.as_ref().name == audience);
    let found = found.ok_or(Violation::ForeignLogin)?;
    let grant = found.as_ref();
    if grant.endpoint.protocol != Protocol::SqlServer {
        return Err(Violation::OtherAudience { audience: grant.name.to_string() }.into());
    }
    let path = database_path(database).ok_or(Violation::Database)?;
    let head = RequestHead::of_method(&Method::CONNECT);
    match grant.covers(&head, &path) {
        Ok(()) => Ok(Authorized { grant: found.clone(), path, login }),
        Err(reason) => Err(Denied::not_covered(grant, &head, &path, reason)),
    }
}

/// The path of a database for comparison with `allow`: `/shop`.
fn database_path(database: &str) -> Option<NormalPath> {
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
        assert_eq!(database_path("shop").unwrap().as_str(), "/shop");
        assert_eq!(database_path("my shop").unwrap().as_str(), "/my%20shop");
        for name in ["", "a/b", "a\\b", "..", "a\0b", "a\nb", &"x".repeat(129)] {
            assert!(database_path(name).is_none(), "{name:?}");
        }
    }
}
