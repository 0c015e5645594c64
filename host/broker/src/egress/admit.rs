//! First stage: whether a request may leave.

use std::sync::Arc;

use http::Request;
use keyward_policy::authorize::{self, Denied};
use wasmtime_wasi_http::Error;

use super::{Authorized, fault, redirect};
use crate::call::Call;
use crate::error::{CallError, Limit};

/// Decides whether a request may leave. A denial fails the whole call: the caller gets the reason,
/// whatever the plugin responds.
pub(super) fn admit<B>(call: &Arc<Call>, request: &Request<B>) -> Result<Authorized, Error> {
    let mount = call.mount();
    if call.count_request() > mount.limits.requests {
        call.fail(CallError::limit(&mount.name, Limit::Requests(mount.limits.requests)));
        return Err(Error::HttpRequestDenied);
    }
    match authorize::authorize(request, call.grants(), call.surrogates()) {
        Ok(authorized) => Ok(authorized),
        Err(denied) => {
            let error = match (redirect::denied(call, request.uri(), &denied), denied) {
                (Some(redirect), _) => CallError::Redirect(Box::new(redirect)),
                (None, Denied::Violation(violation))
                    if fault::is_callers(call, request, &violation) =>
                {
                    call.violation_of_caller(violation)
                }
                (None, denied) => call.denied(denied),
            };
            call.note_denied(request, error.rule());
            call.fail(error);
            Err(Error::HttpRequestDenied)
        }
    }
}
