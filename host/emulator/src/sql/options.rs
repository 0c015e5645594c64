//! What the database server is started with.

use std::collections::BTreeMap;
use std::fmt;

/// The password of the user `app`.
pub(crate) const PASSWORD: &str = "correct-horse-battery";

/// The database server: who may log in with a password, and its databases.
#[derive(Clone)]
#[non_exhaustive]
pub struct SqlOptions {
    /// Users and their passwords. `app` with `correct-horse-battery` by default, which is the secret `sql-password` too.
    pub users: BTreeMap<String, String>,
    /// The names of its databases, which are one and the same. `shop` and `master` by default; a login that names none is in
    /// `master`.
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
        f.debug_struct("SqlOptions").field("users", &users).field("databases", &self.databases).finish()
    }
}
