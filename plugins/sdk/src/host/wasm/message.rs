//! Incoming messages, which the host has.

use std::mem::ManuallyDrop;
use std::rc::Rc;

use super::bindings::wasi::http::types::{Fields, IncomingBody, IncomingRequest, IncomingResponse};

/// The caller's request, or the response of a service.
#[derive(Clone, Debug)]
pub(crate) enum Message {
    Request(Rc<IncomingRequest>),
    Response(Rc<ResponseHandle>),
}

/// A handle to a response.
#[derive(Debug)]
pub(crate) enum ResponseHandle {
    /// It stays until the end of the call: see [`leave`](super::leave).
    Left(ManuallyDrop<IncomingResponse>),
    Dropped(IncomingResponse),
}

impl std::ops::Deref for ResponseHandle {
    type Target = IncomingResponse;

    fn deref(&self) -> &IncomingResponse {
        match self {
            Self::Left(response) => response,
            Self::Dropped(response) => response,
        }
    }
}

impl Message {
    /// A handle to its header fields.
    pub(super) fn fields(&self) -> Fields {
        match self {
            Self::Request(request) => request.headers(),
            Self::Response(response) => response.headers(),
        }
    }

    /// Its body; `None` if it was taken before.
    pub(super) fn consume(&self) -> Option<IncomingBody> {
        match self {
            Self::Request(request) => request.consume().ok(),
            Self::Response(response) => response.consume().ok(),
        }
    }

    /// The request, if it is one.
    pub(crate) fn as_request(&self) -> Option<&IncomingRequest> {
        match self {
            Self::Request(request) => Some(request),
            Self::Response(_) => None,
        }
    }

    /// The response, if it is one.
    pub(crate) fn as_response(&self) -> Option<&IncomingResponse> {
        match self {
            Self::Request(_) => None,
            Self::Response(response) => Some(response),
        }
    }

    /// Whether both are the same message.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Request(one), Self::Request(other)) => Rc::ptr_eq(one, other),
            (Self::Response(one), Self::Response(other)) => Rc::ptr_eq(one, other),
            (Self::Request(_), Self::Response(_)) | (Self::Response(_), Self::Request(_)) => false,
        }
    }
}
