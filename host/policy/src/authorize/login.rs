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
    Ok(Authorized { grant: found.clone(), path: authorize_database(database, grant)?, login })
}

/// Decides whether a grant covers a database. Returns it as a path for comparison with `allow`.
///
/// # Errors
///
/// The rule that denies it.
pub fn authorize_database(database: &str, grant: &Grant) -> Result<NormalPath, Denied> {
    let path = database_path(database).ok_or(Violation::Database)?;
    let head = RequestHead::of_method(&Method::CONNECT);
    let covered = grant.covers(&head, &path);
    covered.map_err(|reason| Denied::not_covered(grant, &head, &path, reason))?;
    Ok(path)
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

    /// A sealed value, spent at a place.
    #[derive(Clone, Debug)]
    struct Sealed(SpendPlace);

    impl SealedCredential for Sealed {
        fn place(&self) -> SpendPlace {
            self.0
        }

        fn expose_secret(&self) -> &[u8] {
            b"hunter2"
        }
    }

    /// Surrogates that are the names of their credentials: `token`, `password`.
    struct Known;

    impl Surrogates for Known {
        type Sealed = Sealed;

        fn resolve(&self, text: &[u8]) -> Option<Credential<Sealed>> {
            let sealed = |place| Credential::Sealed(Some("it".into()), Sealed(place));
            match text {
                b"token" => Some(Credential::Token("it".into())),
                b"other" => Some(Credential::Token("other".into())),
                b"password" => Some(sealed(SpendPlace::LoginPassword)),
                b"query" => Some(sealed(SpendPlace::Query)),
                b"unspendable" => Some(Credential::Sealed(None, Sealed(SpendPlace::LoginPassword))),
                _ => None,
            }
        }
    }

    const SERVER: &str = "sqlserver://contoso.database.windows.net";

    fn log_in(
        endpoint: &str,
        database: &str,
        credentials: &Credentials,
    ) -> Result<Login<Sealed>, Denied> {
        let grants = [Grant::example(endpoint).allowing(&["CONNECT /shop", "GET /other"])];
        authorize_login(database, credentials, &grants, &Known).map(|authorized| {
            assert_eq!(authorized.path.as_str(), format!("/{database}"));
            authorized.login
        })
    }

    fn token(name: &str) -> Credentials {
        Credentials::Token(name.to_owned())
    }

    fn password(user: &str, password: &str) -> Credentials {
        Credentials::Password { user: user.to_owned(), password: password.to_owned() }
    }

    #[test]
    fn a_login_has_a_token_or_a_user_with_a_sealed_password() {
        assert!(matches!(log_in(SERVER, "shop", &token("token")), Ok(Login::Token)));
        match log_in(SERVER, "shop", &password("ada", "password")) {
            Ok(Login::Password { user, password: Sealed(SpendPlace::LoginPassword) }) => {
                assert_eq!(user, "ada");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_login_with_anything_but_a_surrogate_for_a_login_is_denied() {
        for credentials in [
            token("password"),
            token("unknown"),
            token("other"),
            password("ada", "token"),
            password("ada", "query"),
            password("ada", "unspendable"),
            password("ada", "hunter2"),
        ] {
            let denied = log_in(SERVER, "shop", &credentials).unwrap_err();
            assert_eq!(denied, Denied::Violation(Violation::ForeignLogin));
        }
    }

    #[test]
    fn a_login_is_denied_with_a_surrogate_in_its_user_or_database() {
        let surrogate = format!("{}{}", surrogate::PREFIX, "A".repeat(43));
        let denied = log_in(SERVER, "shop", &password(&surrogate, "password")).unwrap_err();
        assert_eq!(denied, Denied::Violation(Violation::MisplacedSurrogate("user's name")));
        let denied = log_in(SERVER, &surrogate, &token("token")).unwrap_err();
        assert_eq!(denied, Denied::Violation(Violation::MisplacedSurrogate("database's name")));
    }

    #[test]
    fn a_login_to_another_database_or_at_a_web_service_is_denied() {
        for database in ["shops", "other", "Shop"] {
            let denied = log_in(SERVER, database, &token("token")).unwrap_err();
            assert!(matches!(denied, Denied::NotCovered(_)), "{database}: {denied:?}");
        }
        let denied = log_in(SERVER, "a/b", &token("token")).unwrap_err();
        assert_eq!(denied, Denied::Violation(Violation::Database));
        let denied = log_in("https://contoso.vault.azure.net", "shop", &token("token"));
        assert_eq!(
            denied.unwrap_err(),
            Denied::Violation(Violation::OtherAudience { audience: "it".to_owned() })
        );
    }

    #[test]
    fn the_longest_name_of_a_database_has_128_characters() {
        assert!(database_path(&"x".repeat(128)).is_some());
        assert!(database_path(&"\u{1f511}".repeat(64)).is_some());
        assert!(database_path(&"\u{1f511}".repeat(65)).is_none());
    }
}
