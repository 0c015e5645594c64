//! Storage: Blob, Data Lake Gen2 and Data Lake Gen1, of one account.
//!
//! [`handle`] passes a request to one of the three [`SERVICES`]: [`blob`], [`gen2`] or [`gen1`].
//! Blob and Gen2 share one [`blob_store`], Gen1 has its own tree. A service reads the body after it
//! has authenticated the caller.

mod authentication;
mod blob;
mod blob_path;
mod blob_store;
mod conditional_headers;
mod gen1;
mod gen2;
mod lease;
pub(crate) mod list_service_sas;
mod range_header;
mod sas;
mod storage_error;
mod storage_options;
mod time_format;
mod xml;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::Method;

use self::storage_error::StorageError;
use crate::Azure;
use crate::messages::{Request, Response};
use crate::request_body::RequestBody;

pub use sas::InvalidSas;
pub use storage_options::StorageOptions;

/// The names of the storage services in [`LoggedRequest`](crate::LoggedRequest) and
/// [`Fault`](crate::Fault).
pub(crate) const SERVICES: [&str; 3] = ["blob", "dfs", "datalake"];

/// The storage account.
pub(crate) struct Storage {
    account: String,
    key: Vec<u8>,
    store: Mutex<blob_store::BlobStore>,
    tree: Mutex<gen1::FileTree>,
    data_node: Option<gen1::DataNode>,
    issued: Mutex<Vec<String>>,
    requests: AtomicU64,
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage").field("account", &self.account).finish_non_exhaustive()
    }
}

impl Storage {
    /// The account of the demo: a greeting as a blob, and a report in each Data Lake.
    pub(crate) fn new(options: StorageOptions) -> Result<Self, String> {
        let StorageOptions { account, key, data_node } = options;
        if key.is_empty() {
            return Err("the storage account's key is empty".to_owned());
        }
        Ok(Self {
            account,
            key,
            store: Mutex::new(blob_store::BlobStore::contoso()),
            tree: Mutex::new(gen1::FileTree::contoso()),
            data_node: data_node.then(gen1::DataNode::default),
            issued: Mutex::default(),
            requests: AtomicU64::new(0),
        })
    }

    fn store(&self) -> MutexGuard<'_, blob_store::BlobStore> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tree(&self) -> MutexGuard<'_, gen1::FileTree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All shared access signatures that were issued.
    pub(crate) fn issued(&self) -> Vec<String> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn record_sas(&self, sas: String) {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner).push(sas);
    }

    pub(crate) fn verify_sas(
        &self,
        sas: &str,
        path: &str,
        permission: char,
    ) -> Result<(), InvalidSas> {
        let (container, name) = blob_path::split(path);
        let sas =
            sas::Sas::from_query(sas).ok_or_else(|| InvalidSas("`sig` is missing".to_owned()))?;
        let verified = sas.verify(&self.account, &self.key, container, name);
        let allowed = verified.and_then(|()| sas.check_permission(&permission.to_string()));
        allowed.map_err(|error| InvalidSas(format!("{}: {}", error.code, error.message)))
    }

    /// A unique id for a request, in the form of a GUID.
    fn request_id(&self) -> String {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        format!("6b657977-801e-0072-6172-{number:012x}")
    }
}

/// Responds to a request. Also returns the name of the identity that sent it.
pub(crate) async fn handle(
    azure: &Azure,
    service: &'static str,
    request: &Request,
    body: &mut RequestBody,
) -> io::Result<(Response, Option<String>)> {
    let name = request.host.split('.').next().unwrap_or_default();
    // The secondary endpoint has the same data, read-only.
    let reads = matches!(request.method, Method::GET | Method::HEAD);
    let name =
        name.strip_suffix("-secondary").filter(|_| reads && service != "datalake").unwrap_or(name);
    let is_node = azure.storage.data_node.is_some()
        && name.strip_suffix("-node") == Some(azure.storage.account.as_str());
    if name != azure.storage.account && !(is_node && service == "datalake") {
        // Azure has no such name in DNS.
        let message = format!("There is no storage account at {}.", request.host);
        return Ok((Response::error(404, "NoSuchHost", &message), None));
    }
    let id = azure.storage.request_id();
    match service {
        "blob" => blob::handle(azure, request, body, &id).await,
        "dfs" => gen2::handle(azure, request, body, &id).await,
        _ => gen1::handle(azure, request, body, &id).await,
    }
}

/// Adds the header fields that all responses of Blob and Gen2 have.
fn with_common_headers(
    mut response: Response,
    request: &Request,
    version: Option<&str>,
    id: &str,
) -> Response {
    response = response.header("x-ms-request-id", id);
    if let Some(version) = version {
        response = response.header("x-ms-version", version);
    }
    if let Some(id) = request.header("x-ms-client-request-id") {
        response = response.header("x-ms-client-request-id", id);
    }
    response
}

/// A write needs a content length: neither Blob nor Gen2 accepts chunked bodies.
fn check_length(request: &Request) -> Result<(), StorageError> {
    if matches!(request.method.as_str(), "PUT" | "PATCH")
        && !request.headers.contains_key("content-length")
    {
        let message = "The content length HTTP header was not specified.";
        return Err(StorageError::new(411, "MissingContentLengthHeader", message));
    }
    Ok(())
}
