//! Whether endpoints can be reached.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::Request;
use http::header::{DATE, HOST, HeaderValue};
use http_body_util::Empty;
use hyper::client::conn::http1;
use keyward_sql::Opener;

use crate::start_error::StartError;
use crate::upstream::{ConnectError, Connector, SystemResolver, Trust};
use keyward_policy::endpoint::Endpoint;
use keyward_policy::endpoint::Protocol;
use keyward_policy::plan::Plan;

/// What reaches endpoints, by the rules and with the trust of a plan. Clones are the same one.
#[derive(Clone)]
pub struct Endpoints {
    connector: Connector,
    opener: Arc<Opener<Connector>>,
    within: Duration,
}

/// Why an endpoint was not reached. Each text says which host it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReached {
    /// The name has no address.
    #[error("{0}")]
    Unresolved(String),
    /// The name has an address that no request may go to.
    #[error("{0}")]
    Forbidden(String),
    /// Nothing takes a connection.
    #[error("{0}")]
    Unconnected(String),
    /// Its certificate is not to be trusted.
    #[error("{0}")]
    Untrusted(String),
    /// What answers speaks no TLS, or in another way than the broker.
    #[error("{0}")]
    NoTls(String),
    /// It took too long.
    #[error("{0}")]
    TimedOut(String),
}

impl Endpoints {
    /// What reaches the endpoints of a plan, each step within this time.
    ///
    /// # Errors
    ///
    /// Certificates that are to be trusted cannot be read.
    pub fn of(plan: &Plan, within: Duration) -> Result<Self, StartError> {
        let trust = Trust::load(&plan.config.tls)?;
        let tls = |error: rustls::Error| StartError::Tls(error.to_string());
        let pinned = Arc::new(plan.config.egress.resolve.clone());
        let connector =
            Connector::new(trust.client().map_err(tls)?, Arc::new(SystemResolver), pinned, within);
        let databases = trust.database_client().map_err(tls)?;
        let opener = Arc::new(Opener::new(connector.clone(), databases, within));
        Ok(Self { connector, opener, within })
    }

    /// The addresses of an endpoint's host. Requests may go to all of them.
    ///
    /// # Errors
    ///
    /// It has none, or one that no request may go to.
    pub async fn addresses(&self, endpoint: &Endpoint) -> Result<Vec<SocketAddr>, NotReached> {
        let Endpoint { host, port, .. } = endpoint;
        match tokio::time::timeout(self.within, self.connector.addresses(host, *port)).await {
            Ok(addresses) => Ok(addresses?),
            Err(_) => Err(NotReached::TimedOut(format!("no address of {host} in time"))),
        }
    }

    /// Connects to an endpoint, up to the end of the TLS handshake: to a database too, where that
    /// comes behind a greeting. Nothing else is sent.
    ///
    /// # Errors
    ///
    /// It cannot be reached, or not be trusted.
    pub async fn connect(&self, endpoint: &Endpoint) -> Result<(), NotReached> {
        let Endpoint { host, port, .. } = endpoint;
        match endpoint.protocol {
            Protocol::Https => drop(self.connector.tls(host, *port).await?),
            Protocol::SqlServer => {
                self.opener.reach(host, *port).await.map_err(ConnectError::from)?;
            }
        }
        Ok(())
    }

    /// What the clock of an endpoint says, since 1970-01-01T00:00:00Z, by the response to a request
    /// without credentials. `None` where it does not say, or speaks no HTTP.
    pub async fn clock(&self, endpoint: &Endpoint) -> Option<Duration> {
        if endpoint.protocol != Protocol::Https {
            return None;
        }
        tokio::time::timeout(self.within, self.date(endpoint)).await.ok()?
    }

    async fn date(&self, endpoint: &Endpoint) -> Option<Duration> {
        let connection = self.connector.tls(&endpoint.host, endpoint.port).await.ok()?;
        let (mut sender, connection) = http1::handshake(connection).await.ok()?;
        let host = HeaderValue::try_from(endpoint.authority()).ok()?;
        let request = Request::head("/").header(HOST, host).body(Empty::<Bytes>::new()).ok()?;
        let asking = sender.send_request(request);
        let response = tokio::select! {
            // A server that closes the connection behind its response has answered.
            biased;
            response = asking => response.ok()?,
            _ = connection => return None,
        };
        let date = httpdate::parse_http_date(response.headers().get(DATE)?.to_str().ok()?).ok()?;
        date.duration_since(SystemTime::UNIX_EPOCH).ok()
    }
}

impl From<ConnectError> for NotReached {
    fn from(error: ConnectError) -> Self {
        let text = error.to_string();
        match error {
            ConnectError::Resolve { .. } => Self::Unresolved(text),
            ConnectError::Forbidden { .. } => Self::Forbidden(text),
            ConnectError::Connect { .. } => Self::Unconnected(text),
            ConnectError::TimedOut { .. } => Self::TimedOut(text),
            ConnectError::Tls { source, .. } => {
                let error =
                    source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
                match error {
                    Some(rustls::Error::InvalidCertificate(_)) => Self::Untrusted(text),
                    _ => Self::NoTls(text),
                }
            }
        }
    }
}

impl fmt::Debug for Endpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoints").field("within", &self.within).finish_non_exhaustive()
    }
}
