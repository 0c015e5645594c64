//! Names of users and groups, from all databases of the machine, such as LDAP.

use std::fmt;

use keyward_policy::config::{AccountLookup, UnknownAccount};

use crate::peer::known;

/// The id of a user.
///
/// # Errors
///
/// There is no such user, or `nobody` is meant.
pub(crate) fn uid_of(name: &str) -> Result<u32, UnusableAccount> {
    Account::User.usable(name, user_id(name))
}

/// The id of a group.
///
/// # Errors
///
/// There is no such group, or `nogroup` is meant.
pub(crate) fn gid_of(name: &str) -> Result<u32, UnusableAccount> {
    Account::Group.usable(name, group_id(name))
}

#[cfg(unix)]
fn user_id(name: &str) -> Option<u32> {
    Some(uzers::get_user_by_name(name)?.uid())
}

#[cfg(unix)]
fn group_id(name: &str) -> Option<u32> {
    Some(uzers::get_group_by_name(name)?.gid())
}

#[cfg(not(unix))]
fn user_id(_name: &str) -> Option<u32> {
    None
}

#[cfg(not(unix))]
fn group_id(_name: &str) -> Option<u32> {
    None
}

/// The name of a user.
#[cfg(unix)]
pub(crate) fn name_of_user(id: u32) -> Option<String> {
    uzers::get_user_by_uid(id)?.name().to_str().map(str::to_owned)
}

#[cfg(not(unix))]
pub(crate) fn name_of_user(_: u32) -> Option<String> {
    None
}

/// The accounts of this machine.
pub(crate) struct Accounts;

impl AccountLookup for Accounts {
    fn user(&self, name: &str) -> Result<u32, UnknownAccount> {
        uid_of(name).map_err(|error| unknown(&error))
    }

    fn group(&self, name: &str) -> Result<u32, UnknownAccount> {
        gid_of(name).map_err(|error| unknown(&error))
    }
}

fn unknown(error: &UnusableAccount) -> UnknownAccount {
    UnknownAccount { message: error.to_string(), help: error.help() }
}

/// A kind of account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    User,
    Group,
}

impl Account {
    fn usable(self, name: &str, id: Option<u32>) -> Result<u32, UnusableAccount> {
        let reason = match id {
            _ if !cfg!(unix) => Reason::NoIds,
            None => Reason::Unknown,
            Some(id) if known(id).is_none() => Reason::Overflow,
            Some(id) => return Ok(id),
        };
        Err(UnusableAccount { account: self, name: name.to_owned(), reason })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
        }
    }

    /// The name of its database for `getent`.
    const fn database(self) -> &'static str {
        match self {
            Self::User => "passwd",
            Self::Group => "group",
        }
    }
}

/// A name that cannot identify a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnusableAccount {
    account: Account,
    name: String,
    reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Unknown,
    Overflow,
    NoIds,
}

impl UnusableAccount {
    /// What to do about it.
    pub(crate) fn help(&self) -> String {
        let (kind, database, name) = (self.account.name(), self.account.database(), &self.name);
        match self.reason {
            Reason::Unknown => format!(
                "create the {kind}, or check that `getent {database} {name:?}` finds it: a directory \
                 such as LDAP must be reachable when the configuration is read"
            ),
            Reason::Overflow => {
                format!(
                    "run the program as a {kind} of its own: {kind}s of containers have this id"
                )
            }
            Reason::NoIds => "identify the caller by its client certificate".to_owned(),
        }
    }
}

impl fmt::Display for UnusableAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = (self.account.name(), &self.name);
        match self.reason {
            Reason::Unknown => write!(f, "this machine has no {kind} {name:?}"),
            Reason::Overflow => write!(f, "the {kind} {name:?} does not identify a program"),
            Reason::NoIds => write!(f, "{kind}s are supported only on Unix"),
        }
    }
}

impl std::error::Error for UnusableAccount {}

#[cfg(all(test, unix))]
mod tests {
    use keyward_policy::config::caller::{NO_ID, OVERFLOW_ID};

    use super::*;

    #[test]
    fn names_become_ids() {
        assert_eq!(uid_of("root"), Ok(0));
        let group = if cfg!(target_os = "linux") { "root" } else { "wheel" };
        assert_eq!(gid_of(group), Ok(0));
    }

    #[test]
    fn an_unknown_name_is_an_error_that_says_how_to_check_it() {
        for name in ["no-such-account", "", "a\0b", "0"] {
            for error in [uid_of(name).unwrap_err(), gid_of(name).unwrap_err()] {
                assert!(error.to_string().contains("this machine has no"), "{error}");
                assert!(error.help().contains("getent"), "{error:?}");
            }
        }
    }

    #[test]
    fn an_account_with_the_overflow_id_is_an_error() {
        for id in [OVERFLOW_ID, NO_ID] {
            let error = Account::User.usable("nobody", Some(id)).unwrap_err();
            assert!(error.to_string().contains("does not identify"), "{error}");
            assert!(error.help().contains("user of its own"), "{error:?}");
        }
    }
}
