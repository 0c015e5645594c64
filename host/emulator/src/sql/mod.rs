//! The database server: Azure SQL's TDS for real drivers, with SQLite.
//!
//! A connection starts with the [`handshake`]: PRELOGIN with TLS inside, or TLS first for TDS 8.0,
//! and a login, which [`login_check`] authenticates. The [`message_loop`] then reads messages. A
//! [`session`] on a thread of its own responds: it parses a [`batch`] into statements,
//! [`translate`]s each to SQLite's SQL, and runs the [`query`].

mod batch;
mod cast;
mod codepage;
mod create_table;
mod database;
mod datetime;
mod decimal;
mod decode_value;
mod dialect;
mod encode_value;
mod field_reader;
mod handshake;
mod initial_tables;
mod login7;
mod login_check;
mod message_loop;
mod packet;
mod packet_writer;
mod prelogin;
mod prelogin_stream;
mod projection;
mod query;
mod response_stream;
mod rpc;
mod session;
mod sql_error;
mod sql_fault;
mod sql_functions;
mod sql_options;
mod sql_type;
mod tds_token;
mod transaction_request;
mod translate;

use std::sync::Arc;
use std::sync::atomic::AtomicU16;

use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::Azure;
pub(crate) use sql_options::PASSWORD;
pub use sql_options::SqlOptions;

/// The host names of the server in all clouds.
pub(crate) const HOST_NAMES: [&str; 4] = [
    "contoso.database.windows.net:1433",
    "contoso.database.chinacloudapi.cn:1433",
    "contoso.database.usgovcloudapi.net:1433",
    // A node behind the gateway.
    "db1.tr1.emulator1-a.worker.database.windows.net:11001",
];

/// The state of the server.
#[derive(Debug)]
pub(crate) struct Sql {
    options: SqlOptions,
    database: database::Database,
    /// The id of the last session.
    sessions: AtomicU16,
}

impl Sql {
    pub(crate) fn new(options: SqlOptions) -> Result<Self, String> {
        Ok(Self { options, database: database::Database::new()?, sessions: AtomicU16::new(50) })
    }
}

/// The TLS configurations for TDS 7, where TLS is inside of TDS, and for TDS 8.0.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    pub(crate) in_tds: Arc<ServerConfig>,
    pub(crate) tds8: Arc<ServerConfig>,
}

pub(crate) async fn serve(listener: TcpListener, tls: Tls, azure: Arc<Azure>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        drop(stream.set_nodelay(true));
        let (tls, azure) = (tls.clone(), Arc::clone(&azure));
        connections.spawn(async move {
            if let Err(error) = handshake::serve(stream, &tls, &azure).await {
                tracing::debug!(%error, "connection to the database server failed");
            }
        });
        while connections.try_join_next().is_some() {}
    }
}
