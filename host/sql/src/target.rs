//! Targets of sessions, by which connections are pooled.

use crate::login::Login;

/// The database that a session is for, and the login.
#[derive(Clone, Debug)]
pub struct Target {
    /// The server's host name.
    pub host: String,
    /// The server's port.
    pub port: u16,
    /// The database's name.
    pub database: String,
    /// The login.
    pub login: Login,
}

impl Target {
    /// Whether a connection to the other target may be used for this one, while its token is
    /// current.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.port == other.port
            && self.database == other.database
            && self.host == other.host
            && self.login.is_same_account(&other.login)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn with_token(audience: &str, token: &str) -> Target {
        let token = Secret::copied(token.as_bytes());
        let login = Login::Token { audience: audience.into(), token, expires_on: 1 };
        Target {
            host: "contoso.example".to_owned(),
            port: 1433,
            database: "shop".to_owned(),
            login,
        }
    }

    fn with_password(user: &str, password: &str) -> Target {
        let password = Secret::copied(password.as_bytes());
        Target { login: Login::Password { user: user.to_owned(), password }, ..with_token("", "") }
    }

    #[test]
    fn connections_are_shared_by_server_database_and_login() {
        let target = with_token("https://database.example", "one");
        assert!(target.is_same(&with_token("https://database.example", "a newer one")));
        for other in [
            Target { host: "other.example".to_owned(), ..target.clone() },
            Target { port: 3342, ..target.clone() },
            Target { database: "master".to_owned(), ..target.clone() },
            with_token("https://another.example", "one"),
            with_password("app", "one"),
        ] {
            assert!(!target.is_same(&other) && !other.is_same(&target), "{other:?}");
        }
        let target = with_password("app", "secret");
        assert!(target.is_same(&with_password("app", "secret")));
        assert!(!target.is_same(&with_password("app", "another")));
        assert!(!target.is_same(&with_password("sa", "secret")));
    }
}
