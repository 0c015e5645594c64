//! Locks: what is denied at once, whatever the configuration allows.
//!
//! [`Broker::lock`](crate::Broker::lock) locks everything, or one mount, caller or identity. A
//! broker holds its locks in memory; whoever runs it stores them, and starts the next one with them
//! ([`Options::locks`](crate::Options::locks)).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::SystemTime;

use keyward_identity::Audience;
use keyward_policy::config::caller::OTHERS;
use keyward_policy::plan::Plan;
use keyward_policy::text::one_of;
use serde::{Deserialize, Serialize};

/// What a lock covers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LockTarget {
    /// All mounts.
    All,
    /// A mount.
    Mount(String),
    /// A caller: the `NAME` of a section `[caller.NAME]`, or `*` for callers that no section
    /// matches.
    Caller(String),
    /// An identity, with all its mounts.
    Identity(String),
}

/// A lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// What it covers.
    pub target: LockTarget,
    /// Who locked, as far as it was proved.
    pub by: String,
    /// When.
    #[serde(with = "rfc3339")]
    pub since: SystemTime,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Lock {
    /// A lock from now on.
    #[must_use]
    pub fn new(target: LockTarget, by: &impl fmt::Display, reason: Option<String>) -> Self {
        Self { target, by: by.to_string(), since: SystemTime::now(), reason }
    }
}

/// A lock that began or ended, for the audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockEvent {
    /// Whether it began or ended.
    pub action: LockAction,
    /// What it covers.
    pub target: LockTarget,
    /// Who did it, as far as it was proved.
    pub by: String,
    /// When.
    #[serde(with = "rfc3339")]
    pub time: SystemTime,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whether a lock began or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LockAction {
    /// It began.
    Lock,
    /// It ended.
    Unlock,
}

impl LockEvent {
    /// Something that happened now.
    #[must_use]
    pub fn now(
        action: LockAction,
        target: LockTarget,
        by: &impl fmt::Display,
        reason: Option<String>,
    ) -> Self {
        Self { action, target, by: by.to_string(), time: SystemTime::now(), reason }
    }
}

impl From<&Lock> for LockEvent {
    fn from(lock: &Lock) -> Self {
        let Lock { target, by, since, reason } = lock.clone();
        Self { action: LockAction::Lock, target, by, time: since, reason }
    }
}

/// What [`Broker::lock`](crate::Broker::lock) did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Locked {
    /// Whether there was a lock of the same target before, which stays as it was.
    pub was_locked: bool,
    /// How many running calls it ended.
    pub calls_ended: usize,
    /// How many of them had not stopped when it returned. They send nothing any more, and their
    /// callers get no more of a response.
    pub calls_stopping: usize,
    /// The audiences whose tokens were removed, by identity.
    pub tokens: BTreeMap<String, BTreeSet<Audience>>,
    /// Why tokens could not be removed from the disk. They are gone from memory all the same.
    pub disk_error: Option<String>,
}

/// There is no mount, caller or identity of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no {target}; {}", match one_of(known.iter().map(String::as_str)) {
    known if known.is_empty() => "the configuration has none".to_owned(),
    known => format!("expected {known}"),
})]
pub struct UnknownLockTarget {
    /// What was to be locked.
    pub target: LockTarget,
    /// The names that there are.
    pub known: Vec<String>,
}

/// The names that can be locked.
pub(crate) struct Names {
    pub(crate) mounts: Vec<String>,
    pub(crate) callers: Vec<String>,
    pub(crate) identities: Vec<String>,
}

/// A call, by what locks look at.
pub(crate) struct Subject<'a> {
    pub(crate) mount: &'a str,
    pub(crate) identity: &'a str,
    /// The name of the section that matches the caller.
    pub(crate) caller: Option<&'a str>,
}

impl LockTarget {
    /// Checks that a configuration has a mount, caller or identity of this name.
    ///
    /// # Errors
    ///
    /// It has none.
    pub fn check(&self, plan: &Plan) -> Result<(), UnknownLockTarget> {
        self.check_names(Names {
            mounts: plan.mounts.iter().map(|mount| mount.name.clone()).collect(),
            callers: caller_names(&plan.callers),
            identities: plan.config.identities.keys().cloned().collect(),
        })
    }

    pub(crate) fn check_names(&self, names: Names) -> Result<(), UnknownLockTarget> {
        let Names { mounts, callers, identities } = names;
        let (name, known) = match self {
            Self::All => return Ok(()),
            Self::Mount(name) => (name, mounts),
            Self::Caller(name) => (name, callers),
            Self::Identity(name) => (name, identities),
        };
        if known.contains(name) {
            return Ok(());
        }
        Err(UnknownLockTarget { target: self.clone(), known })
    }

    pub(crate) fn covers(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Mount(name) => name == subject.mount,
            Self::Caller(name) => name == subject.caller.unwrap_or(OTHERS),
            Self::Identity(name) => name == subject.identity,
        }
    }

    /// Its arguments on the command line, with a space before each.
    #[must_use]
    pub fn arguments(&self) -> String {
        match self {
            Self::All => String::new(),
            Self::Mount(name) => format!(" --mount {}", quoted(name)),
            Self::Caller(name) => format!(" --caller {}", quoted(name)),
            Self::Identity(name) => format!(" --identity {}", quoted(name)),
        }
    }
}

/// A name as a shell reads it.
fn quoted(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !name.is_empty() && name.bytes().all(is_plain) {
        return name.to_owned();
    }
    format!("'{}'", name.replace('\'', "'\\''"))
}

/// The names of all callers that can be locked.
pub(crate) fn caller_names(callers: &keyward_policy::callers::Callers) -> Vec<String> {
    let names = callers.sections().iter().map(|section| section.name.to_string());
    names.chain([OTHERS.to_owned()]).collect()
}

impl fmt::Display for LockTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("everything"),
            Self::Mount(name) => write!(f, "mount `{name}`"),
            Self::Caller(name) => write!(f, "caller `{name}`"),
            Self::Identity(name) => write!(f, "identity `{name}`"),
        }
    }
}

/// The locks of a broker.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    /// Whether there are any. Most calls read no more than this.
    is_any: AtomicBool,
    locks: RwLock<BTreeMap<LockTarget, Lock>>,
}

impl Locks {
    /// The first lock that covers a call.
    pub(crate) fn find(&self, subject: &Subject<'_>) -> Option<LockTarget> {
        if !self.is_any.load(Ordering::SeqCst) {
            return None;
        }
        let locks = self.locks.read().unwrap_or_else(PoisonError::into_inner);
        locks.keys().find(|target| target.covers(subject)).cloned()
    }

    /// Adds a lock, unless there is one of the same target. Returns whether there is.
    pub(crate) fn insert(&self, lock: Lock) -> bool {
        let mut locks = self.locks.write().unwrap_or_else(PoisonError::into_inner);
        let was_locked = locks.contains_key(&lock.target);
        locks.entry(lock.target.clone()).or_insert(lock);
        self.is_any.store(true, Ordering::SeqCst);
        was_locked
    }

    /// Adds a lock, in place of one of the same target. Returns whether there was one.
    pub(crate) fn replace(&self, lock: Lock) -> bool {
        let mut locks = self.locks.write().unwrap_or_else(PoisonError::into_inner);
        let was_locked = locks.insert(lock.target.clone(), lock).is_some();
        self.is_any.store(true, Ordering::SeqCst);
        was_locked
    }

    pub(crate) fn remove(&self, target: &LockTarget) -> Option<Lock> {
        let mut locks = self.locks.write().unwrap_or_else(PoisonError::into_inner);
        let removed = locks.remove(target);
        self.is_any.store(!locks.is_empty(), Ordering::SeqCst);
        removed
    }

    pub(crate) fn get(&self, target: &LockTarget) -> Option<Lock> {
        self.locks.read().unwrap_or_else(PoisonError::into_inner).get(target).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Lock> {
        self.locks.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// Times as text.
mod rfc3339 {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(
        time: &SystemTime,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_rfc3339_millis(*time))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SystemTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(target: LockTarget) -> Lock {
        Lock::new(target, &"uid=0", None)
    }

    fn subject<'a>(caller: Option<&'a str>) -> Subject<'a> {
        Subject { mount: "vault", identity: "default", caller }
    }

    #[test]
    fn a_lock_covers_everything_or_what_has_its_name() {
        for (target, covered) in [
            (LockTarget::All, true),
            (LockTarget::Mount("vault".to_owned()), true),
            (LockTarget::Mount("default".to_owned()), false),
            (LockTarget::Identity("default".to_owned()), true),
            (LockTarget::Identity("vault".to_owned()), false),
            (LockTarget::Caller("web".to_owned()), true),
            (LockTarget::Caller("*".to_owned()), false),
        ] {
            assert_eq!(target.covers(&subject(Some("web"))), covered, "{target}");
        }
        assert!(LockTarget::Caller("*".to_owned()).covers(&subject(None)));
        assert!(!LockTarget::Caller("web".to_owned()).covers(&subject(None)));
    }

    #[test]
    fn locks_are_lifted_one_by_one() {
        let locks = Locks::default();
        let vault = LockTarget::Mount("vault".to_owned());
        assert_eq!(locks.find(&subject(None)), None);
        assert!(!locks.insert(lock(vault.clone())));
        assert!(locks.insert(Lock { reason: Some("again".to_owned()), ..lock(vault.clone()) }));
        assert_eq!(locks.get(&vault).unwrap().reason, None, "the first one stays");
        assert!(!locks.insert(lock(LockTarget::All)));
        assert_eq!(locks.find(&subject(None)), Some(LockTarget::All));
        assert!(locks.remove(&LockTarget::All).is_some());
        assert_eq!(locks.find(&subject(None)), Some(vault.clone()));
        assert!(locks.remove(&vault).is_some() && locks.remove(&vault).is_none());
        assert_eq!(locks.find(&subject(None)), None);
    }

    #[test]
    fn a_lock_is_the_same_after_it_was_stored() {
        let since = SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(1_700_000_000_123);
        for target in [LockTarget::All, LockTarget::Caller("*".to_owned())] {
            let lock = Lock { since, reason: Some("a leak".to_owned()), ..lock(target) };
            let text = serde_json::to_string(&lock).unwrap();
            assert_eq!(serde_json::from_str::<Lock>(&text).unwrap(), lock, "{text}");
        }
        assert!(serde_json::from_str::<LockTarget>("{\"mout\":\"vault\"}").is_err());
    }

    #[test]
    fn a_shell_reads_the_arguments_as_one_name() {
        let identity = |name: &str| LockTarget::Identity(name.to_owned()).arguments();
        assert_eq!(identity("default"), " --identity default");
        assert_eq!(identity("it's $HOME"), " --identity 'it'\\''s $HOME'");
        assert_eq!(LockTarget::Caller("*".to_owned()).arguments(), " --caller '*'");
        assert_eq!(LockTarget::All.arguments(), "");
    }

    #[test]
    fn an_unknown_name_is_an_error_with_the_known_ones() {
        let check = |target: LockTarget| {
            let [mounts, callers, identities] = [["a", "b"], ["web", "*"], ["default", "other"]]
                .map(|names| names.map(str::to_owned).to_vec());
            target
                .check_names(Names { mounts, callers, identities })
                .map_err(|error| error.to_string())
        };
        assert_eq!(check(LockTarget::All), Ok(()));
        assert_eq!(check(LockTarget::Caller("*".to_owned())), Ok(()));
        let error = check(LockTarget::Mount("c".to_owned())).unwrap_err();
        assert_eq!(error, "there is no mount `c`; expected a or b");
    }
}
