//! The instance metadata service, which issues tokens ([its errors]).
//!
//! [its errors]: https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#error-handling

use serde_json::json;

use crate::Azure;
use crate::directory::{Identity, TENANT};
use crate::messages::{Request, Response};

/// The resources that tokens are issued for, with and without a slash at the end.
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

pub(crate) fn handle(azure: &Azure, request: &Request) -> Response {
    let invalid_request = |description: &str| {
        Response::json(
            400,
            &json!({ "error": "invalid_request", "error_description": description }),
        )
    };
    if request.header("metadata").is_none_or(|value| !value.eq_ignore_ascii_case("true")) {
        return invalid_request("Required metadata header not specified");
    }
    if request.headers.contains_key("x-forwarded-for") {
        return invalid_request("Requests with an X-Forwarded-For header are not allowed");
    }
    if request.path != "/metadata/identity/oauth2/token" {
        return Response::json(404, &json!({ "error": "Not found" }));
    }
    if request.method != "GET" {
        return Response::new(405);
    }
    match request.query("api-version") {
        Some("2018-02-01" | "2019-08-01" | "2021-02-01") => {}
        Some(_) => {
            return invalid_request(
                "Bad request. api-version is invalid or was not specified in the request.",
            );
        }
        None => return invalid_request("Required query variable 'api-version' is missing"),
    }
    let Some(resource) = request.query("resource").filter(|resource| !resource.is_empty()) else {
        return invalid_request("Required query variable 'resource' is missing");
    };
    if !RESOURCES.contains(&resource.trim_end_matches('/')) {
        let description = format!(
            "AADSTS500011: The resource principal named {resource} was not found in the tenant \
             named {TENANT}. This can happen if the application has not been installed by the \
             administrator of the tenant or consented to by any user in the tenant. You might \
             have sent your authentication request to the wrong tenant."
        );
        return Response::json(
            400,
            &json!({ "error": "invalid_resource", "error_description": description }),
        );
    }
    let identity = match requested_identity(azure, request) {
        Ok(identity) => identity,
        Err(description) => return invalid_request(description),
    };
    match azure.token_issuer.issue(identity, resource) {
        Ok((token, claims)) => Response::json(
            200,
            &json!({
                "access_token": token,
                "client_id": identity.client_id,
                "expires_in": claims.exp.saturating_sub(crate::token_issuer::now()).to_string(),
                "expires_on": claims.exp.to_string(),
                "ext_expires_in": claims.exp.saturating_sub(crate::token_issuer::now()).to_string(),
                "not_before": crate::token_issuer::now().saturating_sub(300).to_string(),
                "resource": resource,
                "token_type": "Bearer",
            }),
        ),
        Err(error) => {
            Response::json(500, &json!({ "error": "unknown", "error_description": error }))
        }
    }
}

fn requested_identity<'a>(
    azure: &'a Azure,
    request: &Request,
) -> Result<&'a Identity, &'static str> {
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
            .find(|identity| {
                identity.resource_id.as_deref().is_some_and(|resource_id| same(resource_id, id))
            })
            .ok_or(NOT_FOUND);
    }
    match (directory.system_assigned(), directory.len()) {
        (Some(identity), _) => Ok(identity),
        (None, 0) => Err(NOT_FOUND),
        // A single user-assigned identity is the default if there is no system-assigned one.
        (None, 1) => directory.find(|_| true).ok_or(NOT_FOUND),
        (None, _) => Err("Multiple user assigned identities exist, please specify the clientId / \
                          resourceId of the identity in the token request"),
    }
}
