//! How a guest responds.

use std::sync::{Arc, Mutex, PoisonError};

use http::Response;
use tokio::sync::oneshot;
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;

/// A guest's response.
pub(super) struct GuestResponse {
    /// The response, or the error that the guest chose to give in place of one.
    pub(super) result: Result<Response<WasiBody>, ErrorCode>,
    /// Whether the body comes without the guest.
    pub(super) is_passed_on: bool,
}

/// Sends a guest's response to the task that waits for it.
#[derive(Clone)]
pub(super) struct Responder(Arc<Mutex<Option<oneshot::Sender<GuestResponse>>>>);

impl Responder {
    pub(super) fn new(sender: oneshot::Sender<GuestResponse>) -> Self {
        Self(Arc::new(Mutex::new(Some(sender))))
    }

    /// Sends the response. The first one counts.
    pub(super) fn respond(&self, response: GuestResponse) {
        if let Some(sender) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It fails if the caller has gone away.
            drop(sender.send(response));
        }
    }

    /// Whether there was a response.
    pub(super) fn has_responded(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}
