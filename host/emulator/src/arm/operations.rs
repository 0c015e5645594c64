//! Operations that take a while, in both forms that Resource Manager has for them ([asynchronous operations]): a `Location`
//! that answers 202 until there is a result, and an `Azure-AsyncOperation` that has a status.
//!
//! [asynchronous operations]: https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations

use std::sync::{Mutex, PoisonError};

use serde_json::json;

use crate::directory::SUBSCRIPTION;
use crate::exchange::{Received, Reply};

/// How often each operation must still be polled before it is done.
#[derive(Debug, Default)]
pub(super) struct Operations(Mutex<Vec<u32>>);

impl Operations {
    fn start(&self) -> usize {
        let mut operations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        operations.push(1);
        operations.len() - 1
    }

    /// Whether an operation is done; `None` for one that was never started.
    fn poll(&self, number: usize) -> Option<bool> {
        let mut operations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = operations.get_mut(number)?;
        let done = *left == 0;
        *left = left.saturating_sub(1);
        Some(done)
    }

    /// The answer to a request whose result will be at a `Location`.
    pub(super) fn accepted(&self, request: &Received) -> Reply {
        located(request, self.start())
    }

    /// An answer, with where the status of the operation that it starts is.
    pub(super) fn watched(&self, reply: Reply, request: &Received, namespace: &str, location: &str) -> Reply {
        let (number, version) = (self.start(), request.query("api-version").unwrap_or_default());
        let path = format!("/subscriptions/{SUBSCRIPTION}/providers/{namespace}/locations/{location}");
        let link = format!("https://{}{path}/operationStatuses/{number}?api-version={version}", request.host);
        reply.header("azure-asyncoperation", &link).header("retry-after", "1")
    }

    /// What is at a `Location`.
    pub(super) fn result(&self, request: &Received, number: &str) -> Reply {
        let number = number.parse().unwrap_or(usize::MAX);
        match self.poll(number) {
            Some(true) => Reply::new(200),
            Some(false) => located(request, number),
            None => unknown(),
        }
    }

    /// What is at an `Azure-AsyncOperation`.
    pub(super) fn status(&self, number: &str) -> Reply {
        match self.poll(number.parse().unwrap_or(usize::MAX)) {
            Some(true) => Reply::json(200, &json!({ "name": number, "status": "Succeeded" })),
            Some(false) => {
                Reply::json(200, &json!({ "name": number, "status": "InProgress" })).header("retry-after", "1")
            }
            None => unknown(),
        }
    }
}

fn located(request: &Received, number: usize) -> Reply {
    let version = request.query("api-version").unwrap_or_default();
    let path = format!("/subscriptions/{SUBSCRIPTION}/operationresults/{number}?api-version={version}");
    Reply::new(202).header("location", &format!("https://{}{path}", request.host)).header("retry-after", "1")
}

fn unknown() -> Reply {
    Reply::error(404, "OperationNotFound", "There is no such operation.")
}
