//! What sessions get from the broker: connections, redaction, and their call.

use std::sync::Arc;

use bytes::Bytes;
use keyward_sql::{Connect, Redact, SessionHooks};
use tokio::net::TcpStream;

use crate::call::Call;
use crate::egress::{ConnectError, Connector, Scanner};

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

impl Redact for Scanner {
    fn redact(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.blanked(bytes)
    }
}

/// Hooks of one session.
pub(super) struct CallHooks {
    pub(super) call: Arc<Call>,
    /// The grant to whose endpoint the session goes.
    pub(super) grant: usize,
    /// The secrets of the login, in all forms in which a server may send them.
    pub(super) secrets: Vec<Bytes>,
}

impl SessionHooks for CallHooks {
    fn redactor(&self) -> Box<dyn Redact> {
        Box::new(Scanner::new(self.secrets.iter().cloned()))
    }

    fn may_redirect(&self, host: &str, port: u16) -> bool {
        let routes = self.call.mount().grants.get(self.grant).and_then(|grant| grant.routes.as_ref());
        routes.is_some_and(|routes| routes.cover(host, port))
    }

    fn progress(&self) {
        self.call.progress();
    }

    fn redacted(&self) {
        self.call.note_echo();
    }
}
