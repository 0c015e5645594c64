//! The connections of one mount, used and unused.
//!
//! A connection goes to whoever wants the same database with the same login. It comes back only when it is known that no
//! transaction is open on it; its next request begins with the state of a new connection, which the server
//! sees to ([`Watch::reset`](super::wire::Watch)).

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use keyward_identity::AccessToken;
use keyward_identity::clock::Clock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::SqlError;
use super::open::{NotOpened, Opened, Opener, Wanted};
use super::rules::Login;
use crate::config::PoolConfig;
use crate::grant::Grant;
use crate::thread::thread_number;

/// A connection is not used for the last minute of its token, so that no request begins on one that the server is about to
/// end.
const BEFORE_EXPIRY: u64 = 60;

/// A pool. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Shared>);

struct Shared {
    opener: Opener,
    config: PoolConfig,
    clock: Arc<dyn Clock>,
    places: Arc<Semaphore>,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    connections: Vec<Connection>,
    /// Whether a task looks after them.
    swept: bool,
}

/// What makes two connections the same.
#[derive(Clone, PartialEq)]
pub(super) struct Key {
    pub(super) grant: usize,
    pub(super) database: String,
    pub(super) login: Login,
}

/// A connection, of which there is a limited number.
pub(super) struct Connection {
    pub(super) opened: Opened,
    key: Key,
    /// The thread that opened it.
    thread: usize,
    since: Instant,
    unused_since: Instant,
}

/// A place for a connection that is in use.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    pub(crate) fn new(opener: Opener, config: PoolConfig, clock: Arc<dyn Clock>) -> Self {
        let places = Arc::new(Semaphore::new(config.connections as usize));
        Self(Arc::new(Shared { opener, config, clock, places, idle: Mutex::default() }))
    }

    /// A place for a connection, where there is one in time.
    pub(super) async fn enter(&self, mount: &str) -> Result<Place, SqlError> {
        let PoolConfig { wait, connections, .. } = self.0.config;
        match tokio::time::timeout(wait, Arc::clone(&self.0.places).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Place { _permit: permit }),
            _ => Err(SqlError::Busy(format!(
                "all {connections} database connections of mount `{mount}` are in use. More may be with `connections` in \
                 [mount.{}.pool]",
                crate::config::bare(mount)
            ))),
        }
    }

    /// A connection with this key: an unused one that is good, or a new one.
    pub(super) async fn take(
        &self,
        key: Key,
        grant: &Grant,
        token: Option<&AccessToken>,
    ) -> Result<(Connection, bool), NotOpened> {
        if let Some(connection) = self.find(&key, token.map(AccessToken::expires_on)) {
            return Ok((connection, true));
        }
        self.make_room();
        let wanted = Wanted { grant, database: &key.database, login: &key.login, token };
        let opened = self.0.opener.open(&wanted).await?;
        let now = Instant::now();
        Ok((Connection { opened, key, thread: thread_number(), since: now, unused_since: now }, false))
    }

    /// The unused connection that was used last, of those with this key, and of those that this thread opened if there is one.
    /// Those that are good no more go.
    fn find(&self, key: &Key, expires_on: Option<u64>) -> Option<Connection> {
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let thread = thread_number();
        let find = |idle: &Idle| {
            let own = idle.connections.iter().rposition(|it| it.thread == thread && it.key == *key);
            own.or_else(|| idle.connections.iter().rposition(|it| it.key == *key))
        };
        while let Some(place) = find(&idle) {
            let connection = idle.connections.remove(place);
            // A connection that was logged in with another token than the one that is current now has had its time.
            let same_token = connection.opened.expires_on == expires_on;
            if same_token && self.is_young(&connection) && connection.opened.socket.is_quiet() {
                return Some(connection);
            }
        }
        None
    }

    fn is_young(&self, connection: &Connection) -> bool {
        let PoolConfig { idle, age, .. } = self.0.config;
        let now = self.0.clock.wall().as_secs();
        let token_lives = connection.opened.expires_on.is_none_or(|expires_on| expires_on > now + BEFORE_EXPIRY);
        token_lives && connection.since.elapsed() < age && connection.unused_since.elapsed() < idle
    }

    /// Closes unused connections, so that with one more there are not more than there may be.
    fn make_room(&self) {
        let used = self.0.config.connections as usize - self.0.places.available_permits();
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let room = (self.0.config.connections as usize).saturating_sub(used);
        let surplus = idle.connections.len().saturating_sub(room);
        drop(idle.connections.drain(..surplus));
    }

    /// Takes a connection back that is known to be clean.
    fn put(&self, mut connection: Connection) {
        connection.unused_since = Instant::now();
        connection.opened.watch.reset.store(true, std::sync::atomic::Ordering::Relaxed);
        connection.opened.watch.limit_rows(0);
        let mut idle = self.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.connections.push(connection);
        if !idle.swept {
            idle.swept = true;
            tokio::spawn(sweep(Arc::downgrade(&self.0)));
        }
    }

    /// Takes a connection back. With an open transaction it is closed.
    pub(super) fn give_back(&self, connection: Connection) {
        // Without a runtime there is nobody to look after it.
        if connection.opened.watch.tokens.is_idle() && tokio::runtime::Handle::try_current().is_ok() {
            self.put(connection);
        }
    }
}

/// Closes connections that nobody has used for long, or whose token is over, until there is none left.
async fn sweep(pool: Weak<Shared>) {
    loop {
        let Some(shared) = pool.upgrade() else { return };
        let pause = (shared.config.idle / 4).clamp(Duration::from_millis(100), Duration::from_secs(30));
        drop(shared);
        tokio::time::sleep(pause).await;
        let Some(shared) = pool.upgrade() else { return };
        let shared = Pool(shared);
        let mut idle = shared.0.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.connections.retain(|connection| shared.is_young(connection) && connection.opened.socket.is_quiet());
        if idle.connections.is_empty() {
            idle.swept = false;
            return;
        }
    }
}
