//! Copies within the account: Copy Blob and Put Blob From URL. Both complete before the response.

use super::Call;
use super::blob_read::with_revision;
use super::blob_write::{check_replaceable, properties_of, replace};
use crate::Azure;
use crate::messages::{Request, Response};
use crate::storage::authentication::{Caller, authorize, verify_bearer};
use crate::storage::blob_path::BlobPath;
use crate::storage::blob_store::{Blob, CopyInfo, metadata_of};
use crate::storage::conditional_headers::{self, AccessKind};
use crate::storage::sas::Sas;
use crate::storage::storage_error::{StorageError, invalid_header, not_implemented};

/// A source that the caller can read.
pub(super) struct Source {
    target: BlobPath,
    /// The URL without the query, which may contain a signature.
    url: String,
}

/// Finds the source and authorizes reading it: by the signature in its URL, by the token for it in
/// the request, or, for Copy Blob, by the role of the caller.
pub(super) fn source(
    azure: &Azure,
    request: &Request,
    caller: &Caller<'_>,
) -> Result<Source, StorageError> {
    let url = request.header("x-ms-copy-source").unwrap_or_default();
    let uri: http::Uri = url.parse().map_err(|_| invalid_header("x-ms-copy-source", url))?;
    let host = uri.host().ok_or_else(|| invalid_header("x-ms-copy-source", url))?;
    if host != request.host {
        return Err(not_implemented("a copy from another account"));
    }
    let target = BlobPath::parse(uri.path());
    let from_url = request.headers.contains_key("x-ms-blob-type");
    let storage = &azure.storage;
    let cannot_verify = |status| {
        move |error: StorageError| {
            StorageError::new(status, "CannotVerifyCopySource", error.message)
        }
    };
    if let Some(sas) = uri.query().and_then(Sas::from_query) {
        let verified = sas.verify(&storage.account, &storage.key, &target.container, &target.name);
        verified.and_then(|()| sas.check_permission("r")).map_err(cannot_verify(403))?;
    } else if let Some(token) = request.header("x-ms-copy-source-authorization") {
        let identity =
            verify_bearer(azure, token.strip_prefix("Bearer ")).map_err(cannot_verify(401))?;
        authorize(identity, uri.path()).map_err(cannot_verify(403))?;
    } else if let (Caller::Identity(identity), false) = (caller, from_url) {
        authorize(identity, uri.path()).map_err(cannot_verify(403))?;
    } else {
        verify_bearer(azure, None).map_err(cannot_verify(401))?;
    }
    Ok(Source { target, url: format!("https://{host}{}", uri.path()) })
}

pub(super) fn copy(call: Call<'_>) -> Result<Response, StorageError> {
    let Some(Source { target: source, url }) = call.source else {
        return Err(invalid_header("x-ms-copy-source", ""));
    };
    let request = call.request;
    let mut store = call.storage.store();
    let revision = store.next_revision();
    let original = store.container(&source.container)?.blob(&source.name)?.clone();
    let container = store.container_mut(&call.target.container)?;
    check_replaceable(container, &call.target.name, request)?;
    check_source(request, &original)?;

    let put_from_url = request.headers.contains_key("x-ms-blob-type");
    let id = call.request_id.to_owned();
    let mut blob = Blob::new(original.blob_type, original.content, revision.clone());
    blob.properties = original.properties;
    blob.blocks = original.blocks;
    blob.append_count = original.append_count;
    let metadata = metadata_of(request);
    blob.metadata = if metadata.is_empty() { original.metadata } else { metadata };
    let mut response = with_revision(if put_from_url { 201 } else { 202 }, &revision);
    if put_from_url {
        blob.properties.extend(properties_of(request));
        response = response.header("x-ms-request-server-encrypted", "true");
    } else {
        blob.copy = Some(CopyInfo { id: id.clone(), source: url, completed: revision.modified });
        response = response.header("x-ms-copy-id", &id).header("x-ms-copy-status", "success");
    }
    replace(container, &call.target.name, blob);
    Ok(response)
}

/// Checks the conditions on the source: `x-ms-source-if-match` and the like.
fn check_source(request: &Request, original: &Blob) -> Result<(), StorageError> {
    let mut headers = http::HeaderMap::new();
    for name in ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"] {
        if let Some(value) = request.headers.get(format!("x-ms-source-{name}")) {
            headers.insert(name, value.clone());
        }
    }
    let source = Request::new(request.method.clone(), String::new(), "", "", headers);
    let not_met = |_| {
        let message = "The source condition specified using HTTP conditional header(s) is not met.";
        StorageError::new(412, "SourceConditionNotMet", message)
    };
    conditional_headers::check(&source, original.etag_and_time(), AccessKind::Write)
        .map_err(not_met)
}
