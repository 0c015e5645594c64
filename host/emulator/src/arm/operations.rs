//! Long-running operations, in both forms of Resource Manager ([asynchronous operations]): a
//! `Location` that responds with 202 until there is a result, and an `Azure-AsyncOperation` that
//! has a status.
//!
//! [asynchronous operations]: https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations

use std::sync::{Mutex, PoisonError};

use serde_json::json;

use crate::directory::SUBSCRIPTION;
use crate::messages::{Request, Response};

/// The number of polls until each operation is done.
#[derive(Debug, Default)]
pub(super) struct Operations(Mutex<Vec<u32>>);

impl Operations {
    fn start(&self) -> usize {
        let mut operations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        operations.push(1);
        operations.len() - 1
    }

    /// Whether an operation is done; `None` if it does not exist.
    fn poll(&self, number: usize) -> Option<bool> {
        let mut operations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let polls = operations.get_mut(number)?;
        let done = *polls == 0;
        *polls = polls.saturating_sub(1);
        Some(done)
    }

    /// Starts an operation whose result will be at a `Location`.
    pub(super) fn start_with_location(&self, request: &Request) -> Response {
        accepted(request, self.start())
    }

    /// Starts an operation, and adds the URL of its status to the response.
    pub(super) fn with_status(
        &self,
        response: Response,
        request: &Request,
        namespace: &str,
        location: &str,
    ) -> Response {
        let (number, version) = (self.start(), request.query("api-version").unwrap_or_default());
        let path =
            format!("/subscriptions/{SUBSCRIPTION}/providers/{namespace}/locations/{location}");
        let link = format!(
            "https://{}{path}/operationStatuses/{number}?api-version={version}",
            request.host
        );
        response.header("azure-asyncoperation", &link).header("retry-after", "1")
    }

    /// The response at a `Location`.
    pub(super) fn result(&self, request: &Request, number: &str) -> Response {
        let number = number.parse().unwrap_or(usize::MAX);
        match self.poll(number) {
            Some(true) => Response::new(200),
            Some(false) => accepted(request, number),
            None => not_found(),
        }
    }

    /// The response at an `Azure-AsyncOperation`.
    pub(super) fn status(&self, number: &str) -> Response {
        match self.poll(number.parse().unwrap_or(usize::MAX)) {
            Some(true) => Response::json(200, &json!({ "name": number, "status": "Succeeded" })),
            Some(false) => Response::json(200, &json!({ "name": number, "status": "InProgress" }))
                .header("retry-after", "1"),
            None => not_found(),
        }
    }
}

fn accepted(request: &Request, number: usize) -> Response {
    let version = request.query("api-version").unwrap_or_default();
    let path =
        format!("/subscriptions/{SUBSCRIPTION}/operationresults/{number}?api-version={version}");
    Response::new(202)
        .header("location", &format!("https://{}{path}", request.host))
        .header("retry-after", "1")
}

fn not_found() -> Response {
    Response::error(404, "OperationNotFound", "There is no such operation.")
}
