//! Sessions to SQL Server and Azure SQL.
//!
//! The crate does what a host does for code that it does not trust with connections or logins: it
//! encrypts every connection with TLS that the caller configures, logs in with access tokens or
//! passwords, removes those secrets from all that a server sends, returns values exactly, and pools
//! connections such that nothing of one session is seen by another. The protocol itself is spoken
//! by `tiberius`.
//!
//! It opens no TCP connections: a [`Connect`] does, which decides where they may go. What a session
//! may do, and who pays for it, is decided by the caller too; [`SessionHooks`] tells it what
//! happens.
//!
//! ```no_run
//! use std::sync::Arc;
//! use std::time::{Duration, SystemTime};
//!
//! use keyward_sql::{
//!     Connect, Item, Limits, Login, Opener, Pool, Redact, Secret, SessionHooks, Target, Value,
//! };
//! use tokio::net::TcpStream;
//!
//! struct Anywhere;
//!
//! impl Connect for Anywhere {
//!     type Error = std::io::Error;
//!
//!     async fn connect(&self, host: &str, port: u16) -> std::io::Result<TcpStream> {
//!         TcpStream::connect((host, port)).await
//!     }
//! }
//!
//! struct Nothing;
//!
//! impl Redact for Nothing {
//!     fn redact(&self, _: &[u8]) -> Option<Vec<u8>> {
//!         None
//!     }
//! }
//!
//! struct Hooks;
//!
//! impl SessionHooks for Hooks {
//!     fn redactor(&self) -> Box<dyn Redact> {
//!         Box::new(Nothing)
//!     }
//!
//!     fn may_redirect(&self, host: &str, _: u16) -> bool {
//!         host.ends_with(".database.windows.net")
//!     }
//!
//!     fn progress(&self) {}
//!
//!     fn redacted(&self) {}
//!
//!     fn max_row_bytes(&self) -> Option<u64> {
//!         Some(64 << 20)
//!     }
//!
//!     fn hold_rows(&self, _: u64) {}
//!
//!     fn release_rows(&self, _: u64) {}
//! }
//!
//! # async fn example(tls: Arc<rustls::ClientConfig>) -> Result<(), Box<dyn std::error::Error>> {
//! let limits = Limits {
//!     connections: 100,
//!     wait: Duration::from_secs(15),
//!     idle: Duration::from_secs(240),
//!     age: Duration::from_secs(3600),
//! };
//! let clock = || SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
//! let opener = Opener::new(Anywhere, tls, Duration::from_secs(10));
//! let pool = Pool::new(opener, limits, Arc::new(clock));
//!
//! let target = Target {
//!     host: "contoso.database.windows.net".to_owned(),
//!     port: 1433,
//!     database: "shop".to_owned(),
//!     login: Login::Token {
//!         audience: "https://database.windows.net/".into(),
//!         token: Secret::copied(b"eyJ0..."),
//!         expires_on: 1_800_000_000,
//!     },
//! };
//! let session = pool.open(target, Arc::new(Hooks)).await?;
//! let statement = "select id, total from orders where id > @P1".to_owned();
//! let mut results = session.query(statement, vec![Value::Int(7)], None).await?;
//! while let Some(item) = results.next(100).await? {
//!     match item {
//!         Item::Columns(columns) => println!("{} columns", columns.len()),
//!         Item::Rows(rows) => println!("{} rows", rows.len()),
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # The path of a session
//!
//! 1. [`Pool::open`] waits for a permit (`pool.rs`) and looks for an unused connection to the
//!    [`Target`] (`idle.rs`): one that is young and silent, and whose token is the current one.
//! 2. If there is none, [`Opener`] opens one (`opener.rs`). The [`Connect`] connects,
//!    `handshake.rs` sends the PRELOGIN and does TLS, whose records are in packets of TDS until the
//!    handshake is over (`framed.rs`), and `tiberius` logs in. Redirects of gateways are followed
//!    if [`SessionHooks`] allows them, and transient errors are retried.
//! 3. The [`Session`] has the connection on loan (`lease.rs`). Its statements go through `tiberius`
//!    (`parameter.rs`, `transaction.rs`).
//! 4. Responses pass through `wire.rs`, which limits the length of rows. `tds/` reads the tokens in
//!    them, to know whether a transaction is open and to return money exactly.
//! 5. Rows are read ahead into a small buffer (`row_buffer.rs`) while the reader of [`Results`]
//!    polls (`results.rs`). `cell.rs` translates each value, and removes secrets from it.
//! 6. When the session and its results are dropped, the connection returns to the pool, or is
//!    closed if it is not clean. The server resets it before its next request.

mod cell;
mod connection;
mod connector;
mod datetime;
mod decimal;
mod error;
mod framed;
mod handshake;
mod hooks;
mod idle;
mod lease;
mod limits;
mod login;
mod opener;
mod parameter;
mod pool;
mod quiet;
mod results;
mod row_buffer;
mod secret;
mod session;
mod socket;
mod target;
mod tds;
mod transaction;
mod value;
mod wire;

pub use connector::Connect;
pub use error::{ConnectError, OpenError, ProtocolError, ServerError, SessionError};
pub use hooks::{Redact, SessionHooks};
pub use idle::WallClock;
pub use limits::Limits;
pub use login::Login;
pub use opener::Opener;
pub use parameter::InvalidParameter;
pub use pool::Pool;
pub use results::Results;
pub use secret::Secret;
pub use session::Session;
pub use target::Target;
pub use transaction::Isolation;
pub use value::{Column, DataType, Item, Value};
