//! The database connections of a mount. They know of no call.

use std::sync::Arc;
use std::time::Duration;

use keyward_identity::clock::Clock;
use keyward_policy::config::PoolConfig;
use keyward_sql::{Connect, Limits, Opener, Pool};
use rustls::ClientConfig;
use tokio::net::TcpStream;

use crate::upstream::{ConnectError, Connector};

/// The database connections of a mount.
pub(crate) type DatabasePool = Pool<Connector>;

/// Creates the pool of a mount.
pub(crate) fn pool(
    connector: Connector,
    tls: Arc<ClientConfig>,
    connect_timeout: Duration,
    config: PoolConfig,
    clock: Arc<dyn Clock>,
) -> DatabasePool {
    let PoolConfig { connections, wait, idle, age } = config;
    let limits = Limits { connections, wait, idle, age };
    Pool::new(Opener::new(connector, tls, connect_timeout), limits, Arc::new(move || clock.wall()))
}

impl Connect for Connector {
    type Error = ConnectError;

    async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, ConnectError> {
        self.tcp(host, port).await
    }
}

impl From<keyward_sql::ConnectError<Self>> for ConnectError {
    fn from(error: keyward_sql::ConnectError<Self>) -> Self {
        match error {
            keyward_sql::ConnectError::Connect(error) => error,
            keyward_sql::ConnectError::Tls { host, source } => Self::Tls { host, source },
            keyward_sql::ConnectError::TimedOut { host, limit: _ } => Self::TimedOut { host },
        }
    }
}
