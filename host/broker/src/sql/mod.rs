//! Databases: what the boundary adds to the sessions of `keyward_sql`.
//!
//! [`rules`] decides what a plugin may open. A [`DatabaseSession`] pairs a session with its call:
//! it counts requests, writes audit notes, and ends the call if a rule or a limit is violated. The
//! connections of a mount are in its [`DatabasePool`].

mod database_error;
mod database_session;
mod rules;
mod session_hooks;

use std::sync::Arc;
use std::time::Duration;

use keyward_identity::clock::Clock;
use keyward_sql::{Limits, Opener, Pool};
use rustls::ClientConfig;

use crate::config::PoolConfig;
use crate::egress::Connector;

pub(crate) use database_error::DatabaseError;
pub(crate) use database_session::{DatabaseResults, DatabaseSession};
pub(crate) use rules::Credential;

/// The database connections of a mount.
pub(crate) type DatabasePool = Pool<Connector>;

/// Creates the pool of a mount. A row may have `row_bytes` bytes.
pub(crate) fn pool(
    connector: Connector,
    tls: Arc<ClientConfig>,
    connect_timeout: Duration,
    config: PoolConfig,
    row_bytes: u64,
    clock: Arc<dyn Clock>,
) -> DatabasePool {
    let PoolConfig { connections, wait, idle, age } = config;
    let limits = Limits { connections, wait, idle, age, row_bytes };
    Pool::new(Opener::new(connector, tls, connect_timeout), limits, Arc::new(move || clock.wall()))
}
