//! What a session needs from its user.

use std::borrow::Cow;

/// Decisions and notifications of one session.
pub trait SessionHooks: Send + Sync + 'static {
    /// Returns what removes the login's secrets from responses. A new connection calls it, and
    /// keeps it for all of its sessions.
    fn redactor(&self) -> Box<dyn Redact>;

    /// Whether a gateway may redirect the login to this server.
    fn may_redirect(&self, host: &str, port: u16) -> bool;

    /// A response arrived, or a part of one.
    fn progress(&self);

    /// A secret was removed from a response.
    fn redacted(&self);

    /// How many bytes a row may have; `None` for any number. Asked whenever rows are about to be
    /// read.
    fn max_row_bytes(&self) -> Option<u64>;

    /// Rows of so many bytes, approximately, have arrived and wait for their reader.
    fn hold_rows(&self, bytes: u64);

    /// Rows of so many bytes wait no longer.
    fn release_rows(&self, bytes: u64);
}

/// Removes secrets from responses.
pub trait Redact: Send + Sync + 'static {
    /// Returns the bytes without the secrets in them. `None` if there are none.
    fn redact(&self, bytes: &[u8]) -> Option<Vec<u8>>;
}

/// Returns a text without the secrets in it. Sets `redacted` if there were any.
pub(crate) fn redact_text(
    text: Cow<'_, str>,
    redactor: &dyn Redact,
    redacted: &mut bool,
) -> String {
    match redactor.redact(text.as_bytes()) {
        None => text.into_owned(),
        Some(clean) => {
            *redacted = true;
            String::from_utf8_lossy(&clean).into_owned()
        }
    }
}
