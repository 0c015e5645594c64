//! The instance metadata service: tokens for whoever asks on this machine ([its errors]).
//!
//! [its errors]: https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#error-handling

use serde_json::json;

use crate::Azure;
use crate::directory::{Identity, TENANT};
use crate::exchange::{Received, Reply};

/// The resources that the directory knows. The slash at the end of some does not matter to it: tokens come for either.
const RESOURCES: [&str; 15] = [
    "https://management.azure.com",
    "https://management.core.windows.net",
    "https://management.chinacloudapi.cn",
    "https://management.usgovcloudapi.net",
    "https://vault.azure.net",
    "https://vault.azure.cn",
    "https://vault.usgovcloudapi.net",
    "https://managedhsm.azure.net",
    "https://managedhsm.azure.cn",
    "https://managedhsm.usgovcloudapi.net",
    "https://storage.azure.com",
    "https://datalake.azure.net",
    "https://database.windows.net",
    "https://database.chinacloudapi.cn",
    "https://database.usgovcloudapi.net",
];

pub(crate) fn answer(azure: &Azure, request: &Received) -> Reply {
    let refuse =
        |description: &str| Reply::json(400, &json!({ "error": "invalid_request", "error_description": description }));
    if request.header("metadata").is_none_or(|value| !value.eq_ignore_ascii_case("true")) {
        return refuse("Required metadata header not specified");
    }
    if request.headers.contains_key("x-forwarded-for") {
        return refuse("Requests with an X-Forwarded-For header are not allowed");
    }
    if request.path != "/metadata/identity/oauth2/token" {
        return Reply::json(404, &json!({ "error": "Not found" }));
    }
    if request.method != "GET" {
        return Reply::new(405);
    }
    match request.query("api-version") {
        Some("2018-02-01" | "2019-08-01" | "2021-02-01") => {}
        Some(_) => return refuse("Bad request. api-version is invalid or was not specified in the request."),
        None => return refuse("Required query variable 'api-version' is missing"),
    }
    let Some(resource) = request.query("resource").filter(|resource| !resource.is_empty()) else {
        return refuse("Required query variable 'resource' is missing");
    };
    if !RESOURCES.contains(&resource.trim_end_matches('/')) {
        let description = format!(
            "AADSTS500011: The resource principal named {resource} was not found in the tenant named {TENANT}. This can \
             happen if the application has not been installed by the administrator of the tenant or consented to by any \
             user in the tenant. You might have sent your authentication request to the wrong tenant."
        );
        return Reply::json(400, &json!({ "error": "invalid_resource", "error_description": description }));
    }
    let identity = match wanted(azure, request) {
        Ok(identity) => identity,
        Err(description) => return refuse(description),
    };
    match azure.authority.issue(identity, resource) {
        Ok((token, claims)) => Reply::json(
            200,
            &json!({
                "access_token": token,
                "client_id": identity.client_id,
                "expires_in": claims.exp.saturating_sub(crate::authority::now()).to_string(),
                "expires_on": claims.exp.to_string(),
                "ext_expires_in": claims.exp.saturating_sub(crate::authority::now()).to_string(),
                "not_before": crate::authority::now().saturating_sub(300).to_string(),
                "resource": resource,
                "token_type": "Bearer",
            }),
        ),
        Err(error) => Reply::json(500, &json!({ "error": "unknown", "error_description": error })),
    }
}

fn wanted<'a>(azure: &'a Azure, request: &Received) -> Result<&'a Identity, &'static str> {
    const NOT_FOUND: &str = "Identity not found";
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    let directory = &azure.directory;
    if let Some(id) = request.query("client_id") {
        return directory.find(|identity| same(&identity.client_id, id)).ok_or(NOT_FOUND);
    }
    if let Some(id) = request.query("object_id") {
        return directory.find(|identity| same(&identity.object_id, id)).ok_or(NOT_FOUND);
    }
    if let Some(id) = request.query("msi_res_id").or_else(|| request.query("mi_res_id")) {
        return directory
            .find(|identity| identity.resource_id.as_deref().is_some_and(|own| same(own, id)))
            .ok_or(NOT_FOUND);
    }
    match (directory.system_assigned(), directory.len()) {
        (Some(identity), _) => Ok(identity),
        (None, 0) => Err(NOT_FOUND),
        // With one user-assigned identity and none of the system's, that one is meant.
        (None, 1) => directory.find(|_| true).ok_or(NOT_FOUND),
        (None, _) => Err("Multiple user assigned identities exist, please specify the clientId / resourceId of the \
                          identity in the token request"),
    }
}
