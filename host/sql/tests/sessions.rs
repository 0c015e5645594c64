//! Sessions with the emulator's server, without a broker.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "this test opens the connections")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use keyward_emulator::{Emulator, Fault, FaultKind, Options};
use keyward_sql::{
    Connect, ConnectError, DataType, Item, Limits, Login, OpenError, Opener, Pool, Redact, Results,
    Secret, Session, SessionError, SessionHooks, Target, Value,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;

const HOST: &str = "contoso.database.windows.net";
const NODE: &str = "db1.tr1.emulator1-a.worker.database.windows.net";
const PASSWORD: &str = "correct-horse-battery";

/// Leads every name to one address.
struct To(SocketAddr);

impl Connect for To {
    type Error = std::io::Error;

    async fn connect(&self, _: &str, _: u16) -> std::io::Result<TcpStream> {
        TcpStream::connect(self.0).await
    }
}

struct Password;

impl Redact for Password {
    fn redact(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let text = String::from_utf8_lossy(bytes);
        text.contains(PASSWORD).then(|| text.replace(PASSWORD, "***").into_bytes())
    }
}

#[derive(Default)]
struct Hooks {
    redirects_allowed: bool,
    /// How much memory rows may take; each may have half of what is left.
    memory: Option<u64>,
    waiting_bytes: AtomicU64,
    redactors: AtomicU32,
    redacted: AtomicU32,
    progress: AtomicU32,
}

impl SessionHooks for Hooks {
    fn redactor(&self) -> Box<dyn Redact> {
        self.redactors.fetch_add(1, Ordering::Relaxed);
        Box::new(Password)
    }

    fn may_redirect(&self, host: &str, port: u16) -> bool {
        self.redirects_allowed && (host, port) == (NODE, 11001)
    }

    fn max_row_bytes(&self) -> Option<u64> {
        self.memory.map(|memory| (memory - self.waiting_bytes.load(Ordering::Relaxed)) / 2)
    }

    fn hold_rows(&self, bytes: u64) {
        self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn release_rows(&self, bytes: u64) {
        self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn progress(&self) {
        self.progress.fetch_add(1, Ordering::Relaxed);
    }

    fn redacted(&self) {
        self.redacted.fetch_add(1, Ordering::Relaxed);
    }
}

fn limits() -> Limits {
    Limits {
        connections: 4,
        wait: Duration::from_secs(60),
        idle: Duration::from_secs(60),
        age: Duration::from_secs(60),
    }
}

fn trust(ca_pem: &str) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_protocol_versions(&[&rustls::version::TLS12]).unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

fn opener(emulator: &Emulator) -> Opener<To> {
    let to = To(emulator.sql_address());
    Opener::new(to, trust(emulator.ca_pem()), Duration::from_secs(60))
}

async fn pool(limits: Limits) -> (Emulator, Pool<To>) {
    let emulator = Emulator::start(Options::default()).await.unwrap();
    let clock = || SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let pool = Pool::new(opener(&emulator), limits, Arc::new(clock));
    (emulator, pool)
}

fn target(user: &str, password: &str) -> Target {
    let password = Secret::copied(password.as_bytes());
    let login = Login::Password { user: user.to_owned(), password };
    Target { host: HOST.to_owned(), port: 1433, database: "shop".to_owned(), login }
}

async fn open(pool: &Pool<To>) -> Session {
    pool.open(target("app", PASSWORD), Arc::new(Hooks::default())).await.unwrap()
}

async fn query(session: &Session, statement: &str) -> Result<Results, SessionError> {
    session.query(statement.to_owned(), Vec::new(), None).await
}

async fn all(mut results: Results) -> Result<Vec<Vec<Value>>, SessionError> {
    let mut all = Vec::new();
    while let Some(item) = results.next(10).await? {
        if let Item::Rows(rows) = item {
            all.extend(rows);
        }
    }
    Ok(all)
}

fn logins(emulator: &Emulator) -> usize {
    emulator.log().for_service("sql").iter().filter(|seen| seen.method == "LOGIN").count()
}

#[tokio::test]
async fn a_query_returns_columns_and_then_rows_with_exact_values() {
    let (_emulator, pool) = pool(limits()).await;
    let hooks = Arc::new(Hooks::default());
    let session = pool.open(target("app", PASSWORD), Arc::clone(&hooks) as _).await.unwrap();
    let statement = "select cast(@P1 as money) as amount, @P2 as name".to_owned();
    let amount = Value::Decimal("922337203685477.5807".to_owned());
    let parameters = vec![amount.clone(), Value::Text("für".to_owned())];
    let mut results = session.query(statement, parameters, None).await.unwrap();
    let Some(Item::Columns(columns)) = results.next(10).await.unwrap() else { panic!() };
    assert_eq!((columns[0].name.as_str(), columns[0].data_type), ("amount", DataType::Money));
    let rows = Some(Item::Rows(vec![vec![amount, Value::Text("für".to_owned())]]));
    assert_eq!(results.next(10).await.unwrap(), rows);
    assert_eq!(results.next(10).await.unwrap(), None);
    assert_eq!(hooks.progress.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_connection_is_reused_for_its_target_with_the_state_of_a_new_one() {
    let (emulator, pool) = pool(limits()).await;
    let session = open(&pool).await;
    assert!(!session.is_reused());
    session.execute("create table #mine (id int)".to_owned(), Vec::new(), None).await.unwrap();
    drop(session);

    let hooks = Arc::new(Hooks::default());
    let session = pool.open(target("app", PASSWORD), Arc::clone(&hooks) as _).await.unwrap();
    assert!(session.is_reused());
    assert_eq!(hooks.redactors.load(Ordering::Relaxed), 0, "its connection has one");
    let error = query(&session, "select * from #mine").await.err().unwrap();
    assert!(matches!(error, SessionError::Server(error) if error.number == 208));
    drop(session);

    let master = Target { database: "master".to_owned(), ..target("app", PASSWORD) };
    let session = pool.open(master, Arc::new(Hooks::default())).await.unwrap();
    assert!(!session.is_reused());
    assert_eq!(logins(&emulator), 2);
}

#[tokio::test]
async fn closing_all_connections_closes_those_in_use_when_they_come_back() {
    let (emulator, pool) = pool(limits()).await;
    let (unused, used) = (open(&pool).await, open(&pool).await);
    drop(unused);
    assert_eq!(pool.close_all(), 1);
    used.execute("select 1".to_owned(), Vec::new(), None).await.unwrap();
    drop(used);
    let session = open(&pool).await;
    assert!(!session.is_reused());
    assert_eq!(logins(&emulator), 3);
    drop(session);
    assert!(open(&pool).await.is_reused());
}

#[tokio::test]
async fn a_connection_with_an_open_transaction_is_closed() {
    let (_emulator, pool) = pool(limits()).await;
    let session = open(&pool).await;
    session.begin(None).await.unwrap();
    assert!(session.is_transaction_open());
    assert_eq!(session.begin(None).await, Err(SessionError::TransactionOpen));
    drop(session);
    let session = open(&pool).await;
    assert!(!session.is_reused());
    assert_eq!(session.commit().await, Err(SessionError::NoTransaction));
}

#[tokio::test]
async fn a_secret_in_a_response_is_removed_and_reported() {
    let (_emulator, pool) = pool(limits()).await;
    let hooks = Arc::new(Hooks::default());
    let session = pool.open(target("app", PASSWORD), Arc::clone(&hooks) as _).await.unwrap();
    let results = query(&session, &format!("select 'a {PASSWORD} here' as a")).await.unwrap();
    assert_eq!(all(results).await.unwrap(), [[Value::Text("a *** here".to_owned())]]);
    assert_eq!(hooks.redacted.load(Ordering::Relaxed), 1);
    let error = query(&session, &format!("select * from [{PASSWORD}]")).await.err().unwrap();
    let SessionError::Server(error) = error else { panic!("{error:?}") };
    assert!(error.message.contains("***") && !error.message.contains(PASSWORD), "{error:?}");
    assert_eq!(hooks.redacted.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn what_has_arrived_of_a_row_does_not_lower_its_limit() {
    let (_emulator, pool) = pool(limits()).await;
    let hooks = Arc::new(Hooks { memory: Some(2 << 20), ..Hooks::default() });
    let session = pool.open(target("app", PASSWORD), Arc::clone(&hooks) as _).await.unwrap();
    let long = "select replicate(cast('x' as varchar(max)), 450000) as x";
    let rows = all(query(&session, long).await.unwrap()).await.unwrap();
    assert_eq!(rows, [[Value::Text("x".repeat(450_000))]]);
    assert_eq!(hooks.waiting_bytes.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_row_over_the_limit_ends_the_session_and_no_other() {
    let (_emulator, pool) = pool(limits()).await;
    let hooks = Arc::new(Hooks { memory: Some(2 << 20), ..Hooks::default() });
    let session = pool.open(target("app", PASSWORD), Arc::clone(&hooks) as _).await.unwrap();
    let long = "select replicate(cast('x' as varchar(max)), 4000000) as x";
    let error = match query(&session, long).await {
        Ok(results) => all(results).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(error, SessionError::RowTooLong { limit: 1 << 20 });
    assert_eq!(hooks.waiting_bytes.load(Ordering::Relaxed), 0);
    assert_eq!(query(&session, "select 1").await.err(), Some(SessionError::Closed));
    let other = open(&pool).await;
    assert!(!other.is_reused());
    assert_eq!(all(query(&other, "select 1").await.unwrap()).await.unwrap(), [[Value::Int(1)]]);
}

#[tokio::test]
async fn results_are_read_before_the_next_request() {
    let (_emulator, pool) = pool(limits()).await;
    let session = open(&pool).await;
    let many = "with n as (select 1 as i union all select i + 1 from n where i < 1000000) \
                select i from n";
    let results = query(&session, many).await.unwrap();
    assert_eq!(query(&session, "select 1").await.err(), Some(SessionError::UnreadResults));
    drop(results);
    assert_eq!(query(&session, "select 1").await.err(), Some(SessionError::Closed));
}

#[tokio::test]
async fn a_redirect_is_followed_only_where_the_hooks_allow_it() {
    let (emulator, pool) = pool(limits()).await;
    let route = FaultKind::SqlRoute { host: NODE.to_owned(), port: 11001 };
    emulator.faults().add(Fault::once("sql", route.clone()).at("LOGIN"));
    let allowing = Hooks { redirects_allowed: true, ..Hooks::default() };
    let session = pool.open(target("app", PASSWORD), Arc::new(allowing)).await.unwrap();
    assert!(query(&session, "select 1").await.is_ok());
    emulator.faults().add(Fault::once("sql", route).at("LOGIN"));
    let hooks = Arc::new(Hooks::default());
    let denied = pool.open(target("app", PASSWORD), hooks).await.err().unwrap();
    assert!(matches!(denied, OpenError::ForbiddenRedirect { host } if host == HOST));
}

#[tokio::test]
async fn a_pool_is_exhausted_when_no_connection_becomes_free_in_time() {
    let few = Limits { connections: 1, wait: Duration::from_millis(50), ..limits() };
    let (_emulator, pool) = pool(few).await;
    let session = open(&pool).await;
    let other = pool.open(target("app", PASSWORD), Arc::new(Hooks::default())).await;
    assert!(matches!(other, Err(OpenError::Exhausted { connections: 1 })));
    drop(session);
    assert!(open(&pool).await.is_reused());
}

#[tokio::test]
async fn a_rejected_login_is_distinguished_from_other_errors() {
    let (_emulator, pool) = pool(limits()).await;
    let rejected = pool.open(target("app", "wrong-horse"), Arc::new(Hooks::default())).await;
    assert!(matches!(rejected, Err(OpenError::Server(error)) if error.is_rejected_login()));
}

#[tokio::test]
async fn a_server_is_reached_without_a_login_and_only_with_a_trusted_certificate() {
    let (emulator, _pool) = pool(limits()).await;
    opener(&emulator).reach(HOST, 1433).await.unwrap();
    let other = Emulator::start(Options::default()).await.unwrap();
    let to = To(emulator.sql_address());
    let untrusting = Opener::new(to, trust(other.ca_pem()), Duration::from_secs(60));
    let reached = untrusting.reach(HOST, 1433).await;
    assert!(matches!(reached, Err(ConnectError::Tls { host, .. }) if host == HOST));
    assert_eq!(logins(&emulator), 0);
}
