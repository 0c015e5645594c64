//! What sessions get from the broker: redaction, and their call.

use std::sync::Arc;

use keyward_sql::{Redact, SessionHooks};

use crate::call::Call;
use crate::redact::{Scanner, SecretIndex};
use crate::running_grant::RunningGrant;

impl Redact for Scanner {
    fn redact(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.inspect(bytes).redacted
    }
}

/// Hooks of one session.
pub(super) struct CallHooks {
    pub(super) call: Arc<Call>,
    /// The grant to whose endpoint the session goes.
    pub(super) grant: RunningGrant,
    /// The secrets of the login.
    pub(super) secrets: Arc<SecretIndex>,
}

impl SessionHooks for CallHooks {
    fn redactor(&self) -> Box<dyn Redact> {
        Box::new(Scanner::new([Arc::clone(&self.secrets)]))
    }

    fn may_redirect(&self, host: &str, port: u16) -> bool {
        self.grant.redirect_nodes.as_ref().is_some_and(|nodes| nodes.contains(host, port))
    }

    fn progress(&self) {
        self.call.progress();
    }

    fn redacted(&self) {
        self.call.note_redacted();
    }

    /// Half of what is left: a row that is read is copied into the sandbox.
    fn max_row_bytes(&self) -> Option<u64> {
        Some(self.call.memory().left() / 2)
    }

    fn hold_rows(&self, bytes: u64) {
        self.call.memory().add(bytes);
    }

    fn release_rows(&self, bytes: u64) {
        self.call.memory().give_back(bytes);
    }
}
