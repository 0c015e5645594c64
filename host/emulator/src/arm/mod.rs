//! Resource Manager: subscriptions, resource groups and the resources in them
//! ([REST API](https://learn.microsoft.com/rest/api/resources/)).

mod operations;
mod resources;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use crate::authority::Rejected;
use crate::directory::{SUBSCRIPTION, TENANT};
use crate::exchange::{Received, Reply};
use crate::{Azure, storage};

/// The resource groups and the resources in them, by their names in lower case, and the operations that run.
#[derive(Debug)]
pub(crate) struct ResourceManager {
    groups: Mutex<BTreeMap<String, Value>>,
    resources: Mutex<BTreeMap<String, Value>>,
    operations: operations::Operations,
}

impl ResourceManager {
    /// The subscription of the demo.
    pub(crate) fn contoso() -> Self {
        let names = ["demo", "reports", "network"];
        let groups = names.map(|name| (name.to_owned(), group(name, "westeurope", &json!({ "env": "demo" }))));
        Self {
            groups: Mutex::new(groups.into()),
            resources: Mutex::default(),
            operations: operations::Operations::default(),
        }
    }
}

fn group(name: &str, location: &str, tags: &Value) -> Value {
    json!({
        "id": format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{name}"),
        "name": name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": location,
        "tags": tags,
        "properties": { "provisioningState": "Succeeded" },
    })
}

/// The audience of a cloud's resource manager. The slash counts.
fn audience(host: &str) -> String {
    format!("https://{host}/")
}

pub(crate) fn answer(azure: &Azure, request: &Received) -> (Reply, Option<String>) {
    let audience = audience(&request.host);
    let claims = match azure.authority.verify(request.bearer(), &audience) {
        Ok(claims) => claims,
        Err(rejected) => return (challenge(&rejected), None),
    };
    let Some(identity) = azure.directory.find(|identity| identity.object_id == claims.oid) else {
        return (challenge(&Rejected::Malformed), None);
    };
    let name = Some(identity.name.clone());
    if request.query("api-version").is_none() {
        let message = "The api-version query parameter (?api-version=) is required for all requests.";
        return (Reply::error(400, "MissingApiVersionParameter", message), name);
    }
    if !identity.may("arm", &request.path) {
        let message = format!(
            "The client '{}' with object id '{}' does not have authorization to perform action \
             'Microsoft.Resources/subscriptions/resourceGroups/read' over scope '{}' or the scope is invalid. If access was \
             recently granted, please refresh your credentials.",
            identity.client_id, identity.object_id, request.path
        );
        return (Reply::error(403, "AuthorizationFailed", &message), name);
    }
    if let Some(account) = storage::issue::account_of(request) {
        return (storage::issue::list_service_sas(azure, request, identity, &account), name);
    }
    (act(&azure.arm, request), name)
}

fn challenge(rejected: &Rejected) -> Reply {
    let (code, message) = match rejected {
        Rejected::Missing => ("AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."),
        Rejected::Expired => {
            ("ExpiredAuthenticationToken", "The access token expiry UTC time is earlier than current UTC time.")
        }
        Rejected::Audience { .. } => {
            ("InvalidAuthenticationTokenAudience", "The access token has been obtained for wrong audience or resource.")
        }
        Rejected::Malformed | Rejected::Signature | Rejected::NotYet => {
            ("InvalidAuthenticationToken", "The access token is invalid.")
        }
    };
    let error = if *rejected == Rejected::Missing { "invalid_token" } else { code };
    let field = format!(
        "Bearer authorization_uri=\"https://login.windows.net/{TENANT}\", error=\"{error}\", error_description=\"{message}\""
    );
    Reply::error(401, code, message).header("www-authenticate", &field)
}

fn act(arm: &ResourceManager, request: &Received) -> Reply {
    let segments = request.segments();
    let lower: Vec<String> = segments.iter().map(|segment| segment.to_ascii_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    let mut groups = arm.groups.lock().unwrap_or_else(PoisonError::into_inner);
    match (request.method.as_str(), lower.as_slice()) {
        ("GET", ["subscriptions"]) => Reply::json(200, &json!({ "value": [subscription()] })),
        (_, ["subscriptions", id, ..]) if *id != SUBSCRIPTION => {
            Reply::error(404, "SubscriptionNotFound", &format!("The subscription '{id}' could not be found."))
        }
        ("GET", ["subscriptions", _]) => Reply::json(200, &subscription()),
        ("GET", ["subscriptions", _, "resourcegroups"]) => page(request, groups.values().cloned().collect()),
        ("GET", ["subscriptions", _, "operationresults", number]) => arm.operations.result(request, number),
        ("GET", ["subscriptions", _, "providers", _, "locations", _, "operationstatuses", number]) => {
            arm.operations.status(number)
        }
        (_, ["subscriptions", _, "resourcegroups", name, "resources" | "providers", ..]) => match groups.get(*name) {
            Some(_) => resources::answer(arm, request, &segments),
            None => missing(name),
        },
        ("GET" | "HEAD", ["subscriptions", _, "resourcegroups", name]) => match groups.get(*name) {
            Some(_) if request.method == "HEAD" => Reply::new(204),
            Some(group) => Reply::json(200, group),
            None => missing(name),
        },
        ("PUT", ["subscriptions", _, "resourcegroups", name]) => {
            let body = request.json();
            let Some(location) = body.get("location").and_then(Value::as_str) else {
                return Reply::error(400, "LocationRequired", "The location property is required for this definition.");
            };
            let written = segments.last().map_or("", String::as_str);
            let made = group(written, location, body.get("tags").unwrap_or(&json!({})));
            let status = if groups.insert((*name).to_owned(), made.clone()).is_some() { 200 } else { 201 };
            Reply::json(status, &made)
        }
        ("DELETE", ["subscriptions", _, "resourcegroups", name]) => match groups.remove(*name) {
            Some(_) => arm.operations.accepted(request),
            None => missing(name),
        },
        _ => Reply::error(
            404,
            "NotFound",
            "The emulator's Resource Manager has subscriptions, resource groups and resources.",
        ),
    }
}

fn subscription() -> Value {
    json!({ "id": format!("/subscriptions/{SUBSCRIPTION}"), "subscriptionId": SUBSCRIPTION, "displayName": "Contoso", "state": "Enabled" })
}

/// A page of a list, with a link to the next, which has the port in it as Resource Manager's have.
fn page(request: &Received, items: Vec<Value>) -> Reply {
    let size = request.query("$top").and_then(|size| size.parse().ok()).unwrap_or(items.len()).max(1);
    let skip: usize = request.query("$skiptoken").and_then(|skip| skip.parse().ok()).unwrap_or_default();
    let more = items.len() > skip + size;
    let value: Vec<Value> = items.into_iter().skip(skip).take(size).collect();
    let mut page = json!({ "value": value });
    if more && let Some(page) = page.as_object_mut() {
        let version = request.query("api-version").unwrap_or_default();
        let host = &request.host;
        let link =
            format!("https://{host}:443{}?$top={size}&$skiptoken={}&api-version={version}", request.path, skip + size);
        page.insert("nextLink".to_owned(), link.into());
    }
    Reply::json(200, &page)
}

fn missing(name: &str) -> Reply {
    Reply::error(404, "ResourceGroupNotFound", &format!("Resource group '{name}' could not be found."))
}
