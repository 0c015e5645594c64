//! Resource Manager: subscriptions, resource groups and the resources in them
//! ([REST API](https://learn.microsoft.com/rest/api/resources/)).

mod operations;
mod resources;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use crate::directory::{SUBSCRIPTION, TENANT};
use crate::messages::{Request, Response};
use crate::token_issuer::TokenError;
use crate::{Azure, storage};

/// The resource groups and resources, by their paths in lower case, and the running operations.
#[derive(Debug)]
pub(crate) struct ResourceManager {
    groups: Mutex<BTreeMap<String, Value>>,
    resources: Mutex<BTreeMap<String, Value>>,
    operations: operations::Operations,
}

impl ResourceManager {
    /// The resource groups of the demo.
    pub(crate) fn contoso() -> Self {
        let names = ["demo", "reports", "network"];
        let groups = names.map(|name| {
            (name.to_owned(), resource_group(name, "westeurope", &json!({ "env": "demo" })))
        });
        Self {
            groups: Mutex::new(groups.into()),
            resources: Mutex::default(),
            operations: operations::Operations::default(),
        }
    }
}

fn resource_group(name: &str, location: &str, tags: &Value) -> Value {
    json!({
        "id": format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{name}"),
        "name": name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": location,
        "tags": tags,
        "properties": { "provisioningState": "Succeeded" },
    })
}

/// The audience of tokens for a cloud's Resource Manager, with a slash at the end.
fn audience(host: &str) -> String {
    format!("https://{host}/")
}

/// Responds to a request. Also returns the name of the identity that sent it.
pub(crate) fn handle(azure: &Azure, request: &Request) -> (Response, Option<String>) {
    let audience = audience(&request.host);
    let claims = match azure.token_issuer.verify(request.bearer(), &audience) {
        Ok(claims) => claims,
        Err(error) => return (unauthorized(&error), None),
    };
    let Some(identity) = azure.directory.find(|identity| identity.object_id == claims.oid) else {
        return (unauthorized(&TokenError::Malformed), None);
    };
    let name = Some(identity.name.clone());
    if request.query("api-version").is_none() {
        let message =
            "The api-version query parameter (?api-version=) is required for all requests.";
        return (Response::error(400, "MissingApiVersionParameter", message), name);
    }
    if !identity.is_allowed("arm", &request.path) {
        let message = format!(
            "The client '{}' with object id '{}' does not have authorization to perform action \
             'Microsoft.Resources/subscriptions/resourceGroups/read' over scope '{}' or the scope \
             is invalid. If access was recently granted, please refresh your credentials.",
            identity.client_id, identity.object_id, request.path
        );
        return (Response::error(403, "AuthorizationFailed", &message), name);
    }
    if let Some(account) = storage::list_service_sas::requested_account(request) {
        return (
            storage::list_service_sas::list_service_sas(azure, request, identity, &account),
            name,
        );
    }
    (dispatch(&azure.arm, request), name)
}

fn unauthorized(error: &TokenError) -> Response {
    let (code, message) = match error {
        TokenError::Missing => (
            "AuthenticationFailed",
            "Authentication failed. The 'Authorization' header is missing.",
        ),
        TokenError::Expired => (
            "ExpiredAuthenticationToken",
            "The access token expiry UTC time is earlier than current UTC time.",
        ),
        TokenError::Audience { .. } => (
            "InvalidAuthenticationTokenAudience",
            "The access token has been obtained for wrong audience or resource.",
        ),
        TokenError::Malformed | TokenError::Signature | TokenError::NotYetValid => {
            ("InvalidAuthenticationToken", "The access token is invalid.")
        }
    };
    let error = if *error == TokenError::Missing { "invalid_token" } else { code };
    let field = format!(
        "Bearer authorization_uri=\"https://login.windows.net/{TENANT}\", error=\"{error}\", \
         error_description=\"{message}\""
    );
    Response::error(401, code, message).header("www-authenticate", &field)
}

fn dispatch(arm: &ResourceManager, request: &Request) -> Response {
    let segments = request.segments();
    let lower: Vec<String> = segments.iter().map(|segment| segment.to_ascii_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    let mut groups = arm.groups.lock().unwrap_or_else(PoisonError::into_inner);
    match (request.method.as_str(), lower.as_slice()) {
        ("GET", ["subscriptions"]) => Response::json(200, &json!({ "value": [subscription()] })),
        (_, ["subscriptions", id, ..]) if *id != SUBSCRIPTION => Response::error(
            404,
            "SubscriptionNotFound",
            &format!("The subscription '{id}' could not be found."),
        ),
        ("GET", ["subscriptions", _]) => Response::json(200, &subscription()),
        ("GET", ["subscriptions", _, "resourcegroups"]) => {
            page(request, groups.values().cloned().collect())
        }
        ("GET", ["subscriptions", _, "operationresults", number]) => {
            arm.operations.result(request, number)
        }
        (
            "GET",
            ["subscriptions", _, "providers", _, "locations", _, "operationstatuses", number],
        ) => arm.operations.status(number),
        (_, ["subscriptions", _, "resourcegroups", name, "resources" | "providers", ..]) => {
            match groups.get(*name) {
                Some(_) => resources::handle(arm, request, &segments),
                None => not_found(name),
            }
        }
        ("GET" | "HEAD", ["subscriptions", _, "resourcegroups", name]) => match groups.get(*name) {
            Some(_) if request.method == "HEAD" => Response::new(204),
            Some(group) => Response::json(200, group),
            None => not_found(name),
        },
        ("PUT", ["subscriptions", _, "resourcegroups", name]) => {
            let body = request.json();
            let Some(location) = body.get("location").and_then(Value::as_str) else {
                return Response::error(
                    400,
                    "LocationRequired",
                    "The location property is required for this definition.",
                );
            };
            let written = segments.last().map_or("", String::as_str);
            let created = resource_group(written, location, body.get("tags").unwrap_or(&json!({})));
            let status = if groups.insert((*name).to_owned(), created.clone()).is_some() {
                200
            } else {
                201
            };
            Response::json(status, &created)
        }
        ("DELETE", ["subscriptions", _, "resourcegroups", name]) => match groups.remove(*name) {
            Some(_) => arm.operations.start_with_location(request),
            None => not_found(name),
        },
        _ => Response::error(
            404,
            "NotFound",
            "The emulator's Resource Manager has subscriptions, resource groups and resources.",
        ),
    }
}

fn subscription() -> Value {
    json!({
        "id": format!("/subscriptions/{SUBSCRIPTION}"),
        "subscriptionId": SUBSCRIPTION,
        "displayName": "Contoso",
        "state": "Enabled",
    })
}

/// A page of a list, with a link to the next page, which has a port as Resource Manager's links.
fn page(request: &Request, items: Vec<Value>) -> Response {
    let size =
        request.query("$top").and_then(|size| size.parse().ok()).unwrap_or(items.len()).max(1);
    let skip: usize =
        request.query("$skiptoken").and_then(|skip| skip.parse().ok()).unwrap_or_default();
    let has_more = items.len() > skip + size;
    let value: Vec<Value> = items.into_iter().skip(skip).take(size).collect();
    let mut page = json!({ "value": value });
    if has_more && let Some(page) = page.as_object_mut() {
        let version = request.query("api-version").unwrap_or_default();
        let host = &request.host;
        let link = format!(
            "https://{host}:443{}?$top={size}&$skiptoken={}&api-version={version}",
            request.path,
            skip + size
        );
        page.insert("nextLink".to_owned(), link.into());
    }
    Response::json(200, &page)
}

fn not_found(name: &str) -> Response {
    Response::error(
        404,
        "ResourceGroupNotFound",
        &format!("Resource group '{name}' could not be found."),
    )
}
