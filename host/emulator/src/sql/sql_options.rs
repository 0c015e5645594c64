//! The options of the database server.

use std::collections::BTreeMap;
use std::fmt;

/// The password of the user `app`.
pub(crate) const PASSWORD: &str = "correct-horse-battery";

/// The users and databases of the database server.
#[derive(Clone)]
#[non_exhaustive]
pub struct SqlOptions {
    /// Users and their passwords. By default `app` with `correct-horse-battery`, which is also the
    /// secret `sql-password` of the vault.
    pub users: BTreeMap<String, String>,
    /// Names of the database: all are the same one. By default `shop` and `master`; a login
    /// without a name uses `master`.
    pub databases: Vec<String>,
}

impl Default for SqlOptions {
    fn default() -> Self {
        Self {
            users: BTreeMap::from([("app".to_owned(), PASSWORD.to_owned())]),
            databases: vec!["shop".to_owned(), "master".to_owned()],
        }
    }
}

impl fmt::Debug for SqlOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let users: Vec<&String> = self.users.keys().collect();
        f.debug_struct("SqlOptions")
            .field("users", &users)
            .field("databases", &self.databases)
            .finish()
    }
}
