//! How a guest answers.

use std::sync::{Arc, Mutex, PoisonError};

use http::Response;
use tokio::sync::oneshot;
use wasmtime_wasi_http::WasiBody;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;

/// A guest's answer.
pub(super) struct Answer {
    /// The response, or the error that the guest chose to give in place of one.
    pub(super) result: Result<Response<WasiBody>, ErrorCode>,
    /// Whether the body comes without the guest.
    pub(super) passed_on: bool,
}

/// Takes a guest's answer to whoever waits for it.
#[derive(Clone)]
pub(super) struct Answerer(Arc<Mutex<Option<oneshot::Sender<Answer>>>>);

impl Answerer {
    pub(super) fn new(sender: oneshot::Sender<Answer>) -> Self {
        Self(Arc::new(Mutex::new(Some(sender))))
    }

    /// Takes the answer. The first one counts.
    pub(super) fn answer(&self, answer: Answer) {
        if let Some(sender) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Nobody waits any more where the caller has gone away.
            drop(sender.send(answer));
        }
    }

    /// Whether there was an answer.
    pub(super) fn has_answered(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}
