//! `listServiceSas` of Resource Manager, which signs with the account's key ([reference]).
//!
//! [reference]: https://learn.microsoft.com/rest/api/storagerp/storage-accounts/list-service-sas

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::sas::{PERMISSIONS, RESPONSE_HEADERS, Sas, VERSION};
use super::time_format;
use crate::Azure;
use crate::directory::{Identity, SUBSCRIPTION};
use crate::messages::{Request, Response};

/// The resource group of the account.
const GROUP: &str = "demo";

/// The account in the path of a request for a signature; `None` for another request.
pub(crate) fn requested_account(request: &Request) -> Option<String> {
    let segments = request.segments();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let is = |segment: &str, name: &str| segment.eq_ignore_ascii_case(name);
    match segments.as_slice() {
        [a, subscription, b, group, c, provider, d, account, action]
            if request.method == "POST"
                && is(a, "subscriptions")
                && is(subscription, SUBSCRIPTION)
                && is(b, "resourceGroups")
                && is(group, GROUP)
                && is(c, "providers")
                && is(provider, "Microsoft.Storage")
                && is(d, "storageAccounts")
                && is(action, "listServiceSas") =>
        {
            Some((*account).to_owned())
        }
        _ => None,
    }
}

/// Responds with a shared access signature, if the identity has the role `storage`.
pub(crate) fn list_service_sas(
    azure: &Azure,
    request: &Request,
    identity: &Identity,
    account: &str,
) -> Response {
    let storage = &azure.storage;
    if !identity.is_allowed("storage", &request.path) {
        let message = format!(
            "The client '{}' with object id '{}' does not have authorization to perform action \
             'Microsoft.Storage/storageAccounts/listServiceSas/action' over scope '{}' or the \
             scope is invalid.",
            identity.client_id, identity.object_id, request.path
        );
        return Response::error(403, "AuthorizationFailed", &message);
    }
    if account != storage.account {
        let message = format!(
            "The Resource 'Microsoft.Storage/storageAccounts/{account}' under resource group \
             '{GROUP}' was not found. For more details please go to \
             https://aka.ms/ARMResourceNotFoundFix"
        );
        return Response::error(404, "ResourceNotFound", &message);
    }
    match parameters(&request.json(), account) {
        Ok((resource, parameters)) => {
            let token = Sas::new(parameters).sign(&storage.key, &resource);
            storage.record_sas(token.clone());
            Response::json(200, &json!({ "serviceSasToken": token }))
        }
        Err(message) => Response::error(400, "InvalidValuesForRequestParameters", &message),
    }
}

/// The canonicalized resource and the parameters of the requested signature.
fn parameters(body: &Value, account: &str) -> Result<(String, BTreeMap<String, String>), String> {
    let invalid = |name: &str| format!("Values for request parameters are invalid: {name}.");
    let text = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(invalid(name)),
    };
    let required = |name: &'static str| {
        text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| invalid(name))
    };

    let resource = required("canonicalizedResource")?;
    let kind = required("signedResource")?;
    let path = resource.strip_prefix(&format!("/blob/{account}/")).map(|path| path.split_once('/'));
    let has_blob =
        matches!(path, Some(Some((container, name))) if !container.is_empty() && !name.is_empty());
    let has_container = path == Some(None) && !resource.ends_with('/');
    if path.is_none() || !(has_blob || has_container) {
        return Err(invalid("canonicalizedResource"));
    }
    if !matches!((kind, has_blob), ("b", true) | ("c", false)) {
        return Err(invalid("signedResource"));
    }
    let permission = required("signedPermission")?;
    if !is_ordered(permission) {
        return Err(invalid("signedPermission"));
    }
    let expiry = required("signedExpiry")?;
    let until = time_format::parse_iso(expiry).ok_or_else(|| invalid("signedExpiry"))?;
    let start = text("signedStart")?.unwrap_or_default();
    let from = if start.is_empty() {
        0
    } else {
        time_format::parse_iso(start).ok_or_else(|| invalid("signedStart"))?
    };
    if until <= time_format::now() || until <= from {
        return Err(invalid("signedExpiry"));
    }
    let protocol = text("signedProtocol")?.unwrap_or_default();
    if !matches!(protocol, "" | "https" | "https,http") {
        return Err(invalid("signedProtocol"));
    }
    if !matches!(text("keyToSign")?, None | Some("key1")) {
        return Err(invalid("keyToSign"));
    }
    if text("signedIdentifier")?.is_some_and(|identifier| !identifier.is_empty()) {
        return Err(invalid("signedIdentifier"));
    }
    let mut all = BTreeMap::new();
    let mut add = |name: &str, value: &str| drop(all.insert(name.to_owned(), value.to_owned()));
    for (name, value) in [
        ("sv", VERSION),
        ("sr", kind),
        ("sp", permission),
        ("st", start),
        ("se", expiry),
        ("spr", protocol),
    ] {
        add(name, value);
    }
    add("sip", text("signedIp")?.unwrap_or_default());
    for (name, _) in RESPONSE_HEADERS {
        add(name, text(name)?.unwrap_or_default());
    }
    Ok((resource.to_owned(), all))
}

/// Whether these are letters of permissions, each once and in order.
fn is_ordered(permission: &str) -> bool {
    let positions: Option<Vec<usize>> =
        permission.chars().map(|letter| PERMISSIONS.find(letter)).collect();
    positions.is_some_and(|positions| positions.is_sorted_by(|a, b| a < b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_must_be_ordered() {
        for (permission, expected) in [
            ("r", true),
            ("racwdl", true),
            ("rl", true),
            ("wr", false),
            ("rr", false),
            ("q", false),
        ] {
            assert_eq!(is_ordered(permission), expected, "{permission}");
        }
    }
}
