//! Errors in Key Vault's form.

use serde_json::json;

use super::collection::Collection;
use crate::messages::Response;

/// An error response.
#[derive(Debug)]
pub(super) struct VaultError {
    status: u16,
    code: String,
    inner: Option<&'static str>,
    message: String,
}

impl VaultError {
    fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), inner: None, message: message.into() }
    }

    pub(super) fn bad_parameter(message: impl Into<String>) -> Self {
        Self::new(400, "BadParameter", message)
    }

    pub(super) fn not_found() -> Self {
        Self::new(404, "NotFound", "The emulator's vault has secrets, keys and certificates.")
    }

    pub(super) fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "The method is not allowed.")
    }

    pub(super) fn object_not_found(collection: Collection, name: &str) -> Self {
        let (kind, lower) = (collection.singular(), collection.singular().to_ascii_lowercase());
        let message = format!(
            "A {lower} with (name/id) {name} was not found in this key vault. If you recently \
             deleted this {lower} you may be able to recover it using the correct recovery \
             command. For help resolving this issue, please see \
             https://go.microsoft.com/fwlink/?linkid=2125182"
        );
        Self::new(404, &format!("{kind}NotFound"), message)
    }

    pub(super) fn deleted_not_found(collection: Collection, name: &str) -> Self {
        let message = format!("Deleted {} not found: {name}", collection.singular());
        Self::new(404, &format!("{}NotFound", collection.singular()), message)
    }

    pub(super) fn pending_not_found(name: &str) -> Self {
        Self::new(
            404,
            "PendingCertificateNotFound",
            format!("Pending certificate not found: {name}"),
        )
    }

    /// The name is that of a deleted object that can be recovered.
    pub(super) fn recoverable(collection: Collection, name: &str) -> Self {
        let kind = collection.singular();
        let message = format!(
            "{kind} {name} is currently in a deleted but recoverable state, and its name cannot be \
             reused; in this state, the {} can only be recovered or purged.",
            kind.to_ascii_lowercase()
        );
        Self { inner: Some("ObjectIsDeletedButRecoverable"), ..Self::new(409, "Conflict", message) }
    }

    pub(super) fn already_exists(collection: Collection, name: &str) -> Self {
        Self::new(
            409,
            "Conflict",
            format!("There is already a {} {name}", collection.singular().to_ascii_lowercase()),
        )
    }

    pub(super) fn disabled() -> Self {
        let message = "Operation get is not allowed on a disabled secret.";
        Self { inner: Some("SecretDisabled"), ..Self::new(403, "Forbidden", message) }
    }

    pub(super) fn into_response(self) -> Response {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let (Some(inner), Some(error)) = (self.inner, error.as_object_mut()) {
            error.insert("innererror".to_owned(), json!({ "code": inner }));
        }
        Response::json(self.status, &json!({ "error": error }))
    }
}
