//! A mount as a `tower::Service`.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};

use crate::body::Body;
use crate::broker::Broker;
use crate::error::CallError;
use keyward_policy::caller::Caller;

/// One mount, for one caller, as a `tower::Service`. Errors become responses: see
/// [`CallError::into_response`](crate::CallError::into_response).
///
/// A service may answer before it has read the whole body of a request, for example with 404 or
/// 403. Then the response is there while the rest of the body is unread, and the server that runs
///      this service decides what becomes of it: one that closes the connection at once makes the
///      kernel reset it, and the caller may lose the response. Close the write side, then read and
///      discard for a bounded time before closing, as the daemon does and as nginx's
///      `lingering_close`.
///
/// A caller's `Expect: 100-continue` is passed on to the service where the request has the field:
/// the body is not polled before the service wants it, or for a second.
#[derive(Clone)]
pub struct MountService {
    broker: Broker,
    mount: String,
    caller: Caller,
}

impl MountService {
    pub(crate) fn new(broker: Broker, mount: String, caller: Caller) -> Self {
        Self { broker, mount, caller }
    }
}

impl<B> tower_service::Service<Request<B>> for MountService
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Self { broker, mount, caller } = self.clone();
        Box::pin(async move { Ok(broker.respond(&mount, &caller, request).await) })
    }
}

impl Broker {
    /// One mount, for one caller, as a `tower::Service`.
    ///
    /// # Errors
    ///
    /// There is no such mount.
    pub fn service(&self, mount: &str, caller: Caller) -> Result<MountService, CallError> {
        if self.has_mount(mount) {
            return Ok(MountService::new(self.clone(), mount.to_owned(), caller));
        }
        Err(CallError::UnknownMount { name: mount.to_owned(), known: self.mounts() })
    }
}
