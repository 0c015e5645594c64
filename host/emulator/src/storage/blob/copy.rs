//! Copies within the account: Copy Blob, and Put Blob From URL. Both are done when they are answered.

use super::Call;
use super::read::stamped;
use super::write::{check_replaced, properties_of, replace};
use crate::Azure;
use crate::exchange::{Received, Reply};
use crate::storage::access::{Caller, check_role, identity_of};
use crate::storage::conditions::{self, Doing};
use crate::storage::failure::{Failure, bad_header, not_implemented};
use crate::storage::sas::Sas;
use crate::storage::store::{Blob, Copied, metadata_of};
use crate::storage::target::Target;

/// What is copied, and that the caller may read it.
pub(super) struct Source {
    target: Target,
    /// Its URL without the query, which may hold a signature.
    url: String,
}

/// Finds the source, and asks whether the caller may read it: by the signature in its URL, by the token that is sent for it,
/// or, with Copy Blob, because the caller is an identity that may.
pub(super) fn source(azure: &Azure, request: &Received, caller: &Caller<'_>) -> Result<Source, Failure> {
    let given = request.header("x-ms-copy-source").unwrap_or_default();
    let uri: http::Uri = given.parse().map_err(|_| bad_header("x-ms-copy-source", given))?;
    let host = uri.host().ok_or_else(|| bad_header("x-ms-copy-source", given))?;
    if host != request.host {
        return Err(not_implemented("a copy from another account"));
    }
    let target = Target::of_path(uri.path());
    let from_url = request.headers.contains_key("x-ms-blob-type");
    let storage = &azure.storage;
    let cannot_verify =
        |status| move |failure: Failure| Failure::new(status, "CannotVerifyCopySource", failure.message);
    if let Some(sas) = uri.query().and_then(Sas::in_query) {
        let verified = sas.verify(&storage.account, &storage.key, &target.container, &target.name);
        verified.and_then(|()| sas.permits("r")).map_err(cannot_verify(403))?;
    } else if let Some(token) = request.header("x-ms-copy-source-authorization") {
        let identity = identity_of(azure, token.strip_prefix("Bearer ")).map_err(cannot_verify(401))?;
        check_role(identity, uri.path()).map_err(cannot_verify(403))?;
    } else if let (Caller::Identity(identity), false) = (caller, from_url) {
        check_role(identity, uri.path()).map_err(cannot_verify(403))?;
    } else {
        identity_of(azure, None).map_err(cannot_verify(401))?;
    }
    Ok(Source { target, url: format!("https://{host}{}", uri.path()) })
}

pub(super) fn copy(call: Call<'_>) -> Result<Reply, Failure> {
    let Some(Source { target: source, url }) = call.source else {
        return Err(bad_header("x-ms-copy-source", ""));
    };
    let request = call.request;
    let mut store = call.storage.store();
    let stamp = store.stamp();
    let original = store.container(&source.container)?.blob(&source.name)?.clone();
    let container = store.container_mut(&call.target.container)?;
    check_replaced(container, &call.target.name, request)?;
    check_source(request, &original)?;

    let put_from_url = request.headers.contains_key("x-ms-blob-type");
    let id = call.request_id.to_owned();
    let mut blob = Blob::new(original.kind, original.content, stamp.clone());
    blob.properties = original.properties;
    blob.blocks = original.blocks;
    blob.appended = original.appended;
    let metadata = metadata_of(request);
    blob.metadata = if metadata.is_empty() { original.metadata } else { metadata };
    let mut reply = stamped(if put_from_url { 201 } else { 202 }, &stamp);
    if put_from_url {
        blob.properties.extend(properties_of(request));
        reply = reply.header("x-ms-request-server-encrypted", "true");
    } else {
        blob.copied = Some(Copied { id: id.clone(), source: url, at: stamp.modified });
        reply = reply.header("x-ms-copy-id", &id).header("x-ms-copy-status", "success");
    }
    replace(container, &call.target.name, blob);
    Ok(reply)
}

/// The conditions on the source, whose fields have a longer name.
fn check_source(request: &Received, original: &Blob) -> Result<(), Failure> {
    let mut headers = http::HeaderMap::new();
    for name in ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since"] {
        if let Some(value) = request.headers.get(format!("x-ms-source-{name}")) {
            headers.insert(name, value.clone());
        }
    }
    let source = Received::new(request.method.clone(), String::new(), "", "", headers);
    let not_met = |_| {
        let message = "The source condition specified using HTTP conditional header(s) is not met.";
        Failure::new(412, "SourceConditionNotMet", message)
    };
    conditions::check(&source, original.found(), Doing::Writing).map_err(not_met)
}
