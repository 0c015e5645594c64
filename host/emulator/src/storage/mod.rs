//! Storage: Blob, Data Lake Gen2 and Data Lake Gen1, of one account.
//!
//! [`answer`] takes a request of one of the three [`SERVICES`] and brings it to its module: [`blob`], [`gen2`] or [`gen1`].
//! Blob and Gen2 are two views of one [`store`], Gen1 has a tree of its own. Bodies are read by the service itself, piece by
//! piece, and only after it knows who is asking.

mod access;
mod blob;
mod clock;
mod conditions;
mod failure;
mod gen1;
mod gen2;
pub(crate) mod issue;
mod lease;
mod options;
mod range;
mod sas;
mod store;
mod target;
mod xml;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::Method;

use self::failure::Failure;
use crate::Azure;
use crate::body::RequestBody;
use crate::exchange::{Received, Reply};

pub use options::StorageOptions;
pub use sas::SasRefused;

/// The services of storage, as [`Seen`](crate::Seen) and [`Fault`](crate::Fault) name them.
pub(crate) const SERVICES: [&str; 3] = ["blob", "dfs", "datalake"];

/// The account.
pub(crate) struct Storage {
    account: String,
    key: Vec<u8>,
    store: Mutex<store::Store>,
    lake: Mutex<gen1::Tree>,
    node: Option<gen1::Node>,
    issued: Mutex<Vec<String>>,
    requests: AtomicU64,
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage").field("account", &self.account).finish_non_exhaustive()
    }
}

impl Storage {
    /// The account of the demo: a greeting as a blob, and a report in each lake.
    pub(crate) fn new(options: StorageOptions) -> Result<Self, String> {
        let StorageOptions { account, key, data_node } = options;
        if key.is_empty() {
            return Err("the storage account's key is empty".to_owned());
        }
        Ok(Self {
            account,
            key,
            store: Mutex::new(store::Store::contoso()),
            lake: Mutex::new(gen1::Tree::contoso()),
            node: data_node.then(gen1::Node::default),
            issued: Mutex::default(),
            requests: AtomicU64::new(0),
        })
    }

    fn store(&self) -> MutexGuard<'_, store::Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lake(&self) -> MutexGuard<'_, gen1::Tree> {
        self.lake.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All shared access signatures that were issued.
    pub(crate) fn issued(&self) -> Vec<String> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, sas: String) {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner).push(sas);
    }

    pub(crate) fn verify_sas(&self, sas: &str, path: &str, permission: char) -> Result<(), SasRefused> {
        let (container, name) = target::split(path);
        let sas = sas::Sas::in_query(sas).ok_or_else(|| SasRefused("it has no `sig`".to_owned()))?;
        let verified = sas.verify(&self.account, &self.key, container, name);
        let allowed = verified.and_then(|()| sas.permits(&permission.to_string()));
        allowed.map_err(|failure| SasRefused(format!("{}: {}", failure.code, failure.message)))
    }

    /// An id for a request, unlike all others, in the form of a GUID.
    fn request_id(&self) -> String {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        format!("6b657977-801e-0072-6172-{number:012x}")
    }
}

/// The reply, and the name of the identity that asked.
pub(crate) async fn answer(
    azure: &Azure,
    service: &'static str,
    request: &Received,
    body: &mut RequestBody,
) -> io::Result<(Reply, Option<String>)> {
    let name = request.host.split('.').next().unwrap_or_default();
    // What is read at the secondary endpoint is a copy of the same.
    let reads = matches!(request.method, Method::GET | Method::HEAD);
    let name = name.strip_suffix("-secondary").filter(|_| reads && service != "datalake").unwrap_or(name);
    let is_node = azure.storage.node.is_some() && name.strip_suffix("-node") == Some(azure.storage.account.as_str());
    if name != azure.storage.account && !(is_node && service == "datalake") {
        // Azure has no such name in its DNS: nobody would answer.
        let message = format!("There is no storage account at {}.", request.host);
        return Ok((Reply::error(404, "NoSuchHost", &message), None));
    }
    let id = azure.storage.request_id();
    match service {
        "blob" => blob::answer(azure, request, body, &id).await,
        "dfs" => gen2::answer(azure, request, body, &id).await,
        _ => gen1::answer(azure, request, body, &id).await,
    }
}

/// What Blob and Gen2 put on each answer.
fn dress(mut reply: Reply, request: &Received, version: Option<&str>, id: &str) -> Reply {
    reply = reply.header("x-ms-request-id", id);
    if let Some(version) = version {
        reply = reply.header("x-ms-version", version);
    }
    if let Some(id) = request.header("x-ms-client-request-id") {
        reply = reply.header("x-ms-client-request-id", id);
    }
    reply
}

/// A request that writes says how long it is: neither Blob nor Gen2 takes chunked bodies.
fn check_length(request: &Received) -> Result<(), Failure> {
    if matches!(request.method.as_str(), "PUT" | "PATCH") && !request.headers.contains_key("content-length") {
        let message = "The content length HTTP header was not specified.";
        return Err(Failure::new(411, "MissingContentLengthHeader", message));
    }
    Ok(())
}
