//! The database server: TDS, as Azure SQL speaks it to real drivers, over SQLite.
//!
//! A connection begins in [`connection`]: PRELOGIN and TLS within it, or TLS first for TDS 8.0; then [`login`], which
//! [`gate`] admits or refuses. From there on [`exchange`] takes messages in, and a [`session`] on a thread of its own makes
//! the [`answer`]s: it parses a [`batch`] into statements, [`translate`]s each to SQLite's SQL, and sends [`rows`].

mod answer;
mod batch;
mod cast;
mod codepage;
mod connection;
mod create_table;
mod database;
mod datetime;
mod decimal;
mod decode;
mod dialect;
mod encode;
mod exchange;
mod functions;
mod gate;
mod initial_tables;
mod login;
mod options;
mod packet;
mod prelogin;
mod projection;
mod reader;
mod rows;
mod rpc;
mod session;
mod sql_error;
mod sql_type;
mod token;
mod transaction;
mod translate;
mod wrapped;
mod writer;

use std::sync::Arc;
use std::sync::atomic::AtomicU16;

use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::Azure;
pub(crate) use options::PASSWORD;
pub use options::SqlOptions;

/// The names of the server, one in each cloud.
pub(crate) const NAMES: [&str; 4] = [
    "contoso.database.windows.net:1433",
    "contoso.database.chinacloudapi.cn:1433",
    "contoso.database.usgovcloudapi.net:1433",
    // A node behind a gateway.
    "db1.tr1.emulator1-a.worker.database.windows.net:11001",
];

/// The server.
#[derive(Debug)]
pub(crate) struct Sql {
    options: SqlOptions,
    database: database::Database,
    /// The number of the last session.
    sessions: AtomicU16,
}

impl Sql {
    pub(crate) fn new(options: SqlOptions) -> Result<Self, String> {
        Ok(Self { options, database: database::Database::new()?, sessions: AtomicU16::new(50) })
    }
}

/// How TLS is spoken: within TDS, and before it.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    pub(crate) within: Arc<ServerConfig>,
    pub(crate) strict: Arc<ServerConfig>,
}

pub(crate) async fn serve(listener: TcpListener, tls: Tls, azure: Arc<Azure>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        drop(stream.set_nodelay(true));
        let (tls, azure) = (tls.clone(), Arc::clone(&azure));
        connections.spawn(async move {
            if let Err(error) = connection::serve(stream, &tls, &azure).await {
                tracing::debug!(%error, "a connection to the database ended");
            }
        });
        while connections.try_join_next().is_some() {}
    }
}
