//! `keyward lock` and `keyward unlock`: deny at once, whatever the configuration allows.

use std::io;
use std::path::{Path, PathBuf};

use http::Method;
use keyward::caller::Proof;
use keyward::identity::Audience;
use keyward::{Caller, Lock, LockAction, LockEvent, LockTarget, Plan, forget_persisted_tokens};
use serde_json::{Value, json};

use super::daemon_client::{Controlled, control};
use crate::accounts;
use crate::cli::{self, LockSelection};
use crate::config::DaemonConfig;
#[cfg(unix)]
use crate::environment;
use crate::exit::{Exit, Failure};
use crate::listen::{LOCK_PATH, LOCKS_PATH, UNLOCK_PATH};
use crate::lock_file::{self, Exclusive, StoredLocks};
use crate::output::{plural, print_line, width, wrap};

/// What a lock does not end.
const STAYS_VALID: &str = "Tokens that were issued before stay valid at Azure until they expire, \
                           up to 24 hours, wherever they got to, and so do shared access \
                           signatures that were handed out. To end what they may do, remove the \
                           identity's role assignments.";

pub(crate) async fn lock(lock: cli::Lock) -> Result<Exit, Failure> {
    let place = Place { config: lock.config, socket: lock.socket };
    if lock.list {
        return list(&place).await;
    }
    let target = target(lock.selection);
    let request = json!({ "target": target, "reason": lock.reason });
    match place.send(Method::POST, LOCK_PATH, Some(request)).await? {
        Sent::Answer(answer) => report(&target, &answer),
        Sent::NoDaemon(config) => lock_on_disk(*config, target, lock.reason),
    }
}

pub(crate) async fn unlock(unlock: cli::Unlock) -> Result<Exit, Failure> {
    let place = Place { config: unlock.config, socket: unlock.socket };
    let target = target(unlock.selection);
    let request = json!({ "target": target, "reason": unlock.reason });
    match place.send(Method::POST, UNLOCK_PATH, Some(request)).await? {
        Sent::Answer(answer) => {
            report_unlocked(&target, answer.get("unlocked").is_some_and(Value::is_object))?;
            if let Sent::Answer(answer) = place.send(Method::GET, LOCKS_PATH, None).await? {
                report_others(&locks_of(&answer)?)?;
            }
        }
        Sent::NoDaemon(config) => unlock_on_disk(*config, target, unlock.reason)?,
    }
    Ok(Exit::Success)
}

fn target(selection: LockSelection) -> LockTarget {
    let LockSelection { mount, caller, identity } = selection;
    let mount = mount.map(LockTarget::Mount);
    let caller = caller.map(LockTarget::Caller);
    mount.or(caller).or(identity.map(LockTarget::Identity)).unwrap_or(LockTarget::All)
}

/// Where the daemon is.
struct Place {
    config: Option<PathBuf>,
    socket: Option<PathBuf>,
}

/// The outcome of a request to the daemon.
enum Sent {
    Answer(Value),
    /// No daemon is listening, or it did not respond. The configuration has the file of locks.
    NoDaemon(Box<DaemonConfig>),
}

impl Place {
    /// Sends a request to the daemon. A configuration that cannot be read is no obstacle if the
    /// socket is given.
    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Result<Sent, Failure> {
        let load = || match &self.config {
            Some(config) => DaemonConfig::load(config).map(Box::new),
            None => Err(Failure::usage("--config is missing")),
        };
        let (socket, config) = match &self.socket {
            Some(socket) => (Some(socket.clone()), None),
            None => {
                let config = load()?;
                (config.listen.socket.clone(), Some(config))
            }
        };
        let Some(socket) = socket else {
            eprintln!(
                "keyward: this configuration has no Unix socket; a daemon that runs with it reads \
                 the file of locks within a second"
            );
            return Ok(Sent::NoDaemon(config.map_or_else(load, Ok)?));
        };
        let shown = socket.display();
        let without_config = match control(&socket, method, path, body).await? {
            Controlled::Answer(answer) => return Ok(Sent::Answer(answer)),
            Controlled::NoDaemon => {
                eprintln!("keyward: no daemon is listening at {shown}");
                Failure::unavailable("nothing is changed").help(
                    "start the daemon, or name its configuration with --config, for one that \
                     starts later",
                )
            }
            Controlled::Silent(reason) => {
                eprintln!("keyward: no response from the daemon at {shown}: {reason}");
                Failure::unavailable("it is not known whether the daemon acted").help(
                    "name its configuration with --config, whose file of locks it reads within a \
                     second",
                )
            }
        };
        let config = config.map_or_else(load, Ok).map_err(|failure| match self.config {
            Some(_) => failure,
            None => without_config,
        });
        Ok(Sent::NoDaemon(config?))
    }
}

/// Reports what the daemon did.
fn report(target: &LockTarget, answer: &Value) -> Result<Exit, Failure> {
    let number = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or_default();
    let text = |name: &str| answer.get(name).and_then(Value::as_str);
    let was_locked = answer.get("was_locked").and_then(Value::as_bool).unwrap_or_default();
    let again = if was_locked { ", as it was before" } else { "" };
    print_line(&format!("{target} is locked{again}"))?;
    let ended = usize::try_from(number("calls_ended")).unwrap_or(usize::MAX);
    print_line(&format!("ended {}", plural(ended, "running call", "running calls")))?;
    match number("calls_stopping") {
        0 => {}
        count => print_line(&format!("{count} of them send nothing more, but have not stopped"))?,
    }
    let tokens = answer.get("tokens").and_then(Value::as_object);
    for (identity, audiences) in tokens.into_iter().flatten() {
        let audiences = audiences.as_array().into_iter().flatten().filter_map(Value::as_str);
        let audiences: Vec<&str> = audiences.collect();
        print_line(&format!("forgot tokens of `{identity}` for {}", audiences.join(", ")))?;
    }
    let failure = match (text("file"), text("file_error")) {
        (Some(file), Some(error)) => Some(format!("{file} cannot be written: {error}")),
        (None, _) => Some("there is no place for its file".to_owned()),
        (Some(file), None) => {
            print_line(&format!("{file} has it, so it stays locked after a restart"))?;
            None
        }
    };
    end_of_lock(target)?;
    if let Some(reason) = failure {
        let failure = Failure::system(format!("the lock does not survive a restart: {reason}"));
        return Err(failure.help("write `file` in [lock], and restart the daemon"));
    }
    if let Some(error) = text("token_file_error") {
        let error = format!("the tokens were removed from memory, but not from disk: {error}");
        return Err(Failure::system(error));
    }
    Ok(Exit::Success)
}

fn end_of_lock(target: &LockTarget) -> Result<(), Failure> {
    print_line(&wrap(STAYS_VALID, "", "", width()))?;
    print_line(&format!("To lift the lock: keyward unlock{}", target.arguments()))
}

fn report_unlocked(target: &LockTarget, was_locked: bool) -> Result<(), Failure> {
    print_line(&if was_locked {
        format!("{target} is no longer locked")
    } else {
        format!("there was no lock of {target}")
    })
}

/// Locks without a daemon.
fn lock_on_disk(
    config: DaemonConfig,
    target: LockTarget,
    reason: Option<String>,
) -> Result<Exit, Failure> {
    let file = file(&config)?;
    let (plan, _, _) = config.plan()?;
    target.check(&plan).map_err(Failure::config)?;
    let lock = Lock::new(target.clone(), &this_process(), reason);
    change(&file, |locks| {
        let event = LockEvent::from(&lock);
        if locks.iter().all(|lock| lock.target != target) {
            locks.push(lock);
        }
        Some(event)
    })?;
    print_line(&format!("{target} is locked in {}", file.display()))?;
    print_line(&wrap(&read_by(&file), "", "", width()))?;
    let forgotten = forget(&plan, &target);
    end_of_lock(&target)?;
    forgotten.map(|()| Exit::Success)
}

/// Unlocks without a daemon.
fn unlock_on_disk(
    config: DaemonConfig,
    target: LockTarget,
    reason: Option<String>,
) -> Result<(), Failure> {
    let file = file(&config)?;
    let event = LockEvent::now(LockAction::Unlock, target.clone(), &this_process(), reason);
    let mut was_locked = false;
    let stored = change(&file, |locks| {
        was_locked = locks.iter().any(|lock| lock.target == target);
        locks.retain(|lock| lock.target != target);
        was_locked.then_some(event)
    })?;
    report_unlocked(&target, was_locked)?;
    report_others(&stored.locks)
}

/// Changes the file of locks, with an event for the audit of the next daemon. Without an event,
/// the file stays as it is.
fn change(
    file: &Path,
    change: impl FnOnce(&mut Vec<Lock>) -> Option<LockEvent>,
) -> Result<StoredLocks, Failure> {
    let failed = |error: io::Error| {
        Failure::system(format!("the file of locks {} cannot be written: {error}", file.display()))
    };
    let _exclusive = Exclusive::take(file).map_err(failed)?;
    let mut stored = lock_file::read(file)?.unwrap_or_default().stored;
    if let Some(event) = change(&mut stored.locks) {
        stored.unrecorded.push(event);
        lock_file::write(file, &stored).map_err(failed)?;
    }
    Ok(stored)
}

/// Who reads a file of locks, and when.
fn read_by(file: &Path) -> String {
    let user = owner(file).map_or_else(String::new, |id| {
        let name = accounts::name_of_user(id).unwrap_or_else(|| id.to_string());
        format!(" of user {name}")
    });
    format!(
        "A daemon{user} with this configuration reads that file when it starts, or within a second \
         if it runs. Until then its calls go on, also while it stops."
    )
}

/// The file of locks that a daemon with this configuration reads.
fn file(config: &DaemonConfig) -> Result<PathBuf, Failure> {
    let help = "write file = \"/var/lib/keyward/locks.json\" in [lock], or start the daemon first";
    let Some(file) = &config.lock.file else {
        let failure = Failure::config("there is no place for the file of locks");
        return Err(failure.help(help));
    };
    if config.lock.is_configured || is_the_daemons(file, config.listen.socket.as_deref()) {
        return Ok(file.clone());
    }
    let message = "without a daemon, it is not known where its file of locks is: by default, it is \
                   in the state directory of the daemon's user";
    Err(Failure::config(message).help(help))
}

/// Whether the default file of this process is that of a daemon at this socket.
#[cfg(unix)]
fn is_the_daemons(file: &Path, socket: Option<&Path>) -> bool {
    use std::os::unix::fs::MetadataExt;

    /// The mode bit of directories that all users share.
    const STICKY: u32 = 0o1000;

    let me = rustix::process::geteuid().as_raw();
    let of_socket = socket.and_then(owner);
    if of_socket.is_some_and(|user| user != me) {
        return false;
    }
    if file.exists() {
        return true;
    }
    let directory = socket.and_then(Path::parent).and_then(|path| path.metadata().ok());
    let directory = directory.filter(|metadata| metadata.mode() & STICKY == 0);
    let is_mine = of_socket.or(directory.map(|metadata| metadata.uid())) == Some(me);
    // A service of root has a state directory of its own, which this process would not find.
    let variables = ["STATE_DIRECTORY", "XDG_STATE_HOME"];
    is_mine && (me != 0 || variables.into_iter().any(|name| environment::path(name).is_some()))
}

#[cfg(not(unix))]
fn is_the_daemons(_: &Path, _: Option<&Path>) -> bool {
    true
}

#[cfg(unix)]
fn owner(path: &Path) -> Option<u32> {
    path.symlink_metadata().ok().map(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata))
}

#[cfg(not(unix))]
fn owner(_: &Path) -> Option<u32> {
    None
}

/// Who runs this command, for the audit.
fn this_process() -> Caller {
    #[cfg(unix)]
    let uid = Some(rustix::process::geteuid().as_raw());
    #[cfg(not(unix))]
    let uid = None;
    Proof { uid, pid: i32::try_from(std::process::id()).ok(), ..Proof::default() }.into()
}

/// Removes the tokens that a lock covers from the disk.
fn forget(plan: &Plan, target: &LockTarget) -> Result<(), Failure> {
    let mounts = |name: &str| plan.mounts.iter().find(|mount| mount.name == name);
    let tokens: Vec<(&str, Option<&Audience>)> = match target {
        LockTarget::All => {
            plan.config.identities.keys().map(|identity| (identity.as_str(), None)).collect()
        }
        LockTarget::Identity(identity) => vec![(identity, None)],
        LockTarget::Mount(name) => mounts(name)
            .into_iter()
            .flat_map(|mount| {
                let grants = mount.grants.iter();
                grants.map(|grant| (mount.identity.as_str(), Some(&grant.audience)))
            })
            .collect(),
        LockTarget::Caller(_) => Vec::new(),
    };
    for (identity, audience) in tokens {
        let forgotten = forget_persisted_tokens(plan, identity, audience).map_err(|error| {
            let failure = Failure::system(&error);
            error.help().into_iter().fold(failure, Failure::help)
        })?;
        for audience in forgotten.into_iter().flatten() {
            print_line(&format!("forgot the token of `{identity}` on disk for {audience}"))?;
        }
    }
    Ok(())
}

/// Lists what is locked.
async fn list(place: &Place) -> Result<Exit, Failure> {
    let locks = match place.send(Method::GET, LOCKS_PATH, None).await? {
        Sent::Answer(answer) => locks_of(&answer)?,
        Sent::NoDaemon(config) => {
            let file = file(&config)?;
            lock_file::read(&file)?.unwrap_or_default().stored.locks
        }
    };
    if locks.is_empty() {
        print_line("nothing is locked")?;
    }
    for lock in &locks {
        print_line(&describe(lock))?;
    }
    Ok(Exit::Success)
}

fn locks_of(answer: &Value) -> Result<Vec<Lock>, Failure> {
    let locks = answer.get("locks").cloned().unwrap_or_default();
    serde_json::from_value(locks).map_err(Failure::software)
}

fn describe(lock: &Lock) -> String {
    let Lock { target, by, since, reason } = lock;
    let since = humantime::format_rfc3339_seconds(*since);
    // As text that cannot control the terminal.
    let reason = reason.as_ref().map(|reason| format!(": {reason:?}")).unwrap_or_default();
    format!("{target} is locked since {since} by {by}{reason}")
}

fn report_others(locks: &[Lock]) -> Result<(), Failure> {
    locks.iter().try_for_each(|lock| print_line(&format!("still: {}", describe(lock))))
}
