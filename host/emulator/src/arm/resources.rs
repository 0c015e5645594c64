//! Resources of any type. Creating and deleting them are long-running operations.

use std::sync::PoisonError;

use serde_json::{Value, json};

use super::{ResourceManager, page};
use crate::messages::{Request, Response};

/// Responds to a request for a resource of an existing resource group, or for all of them.
pub(super) fn handle(arm: &ResourceManager, request: &Request, segments: &[String]) -> Response {
    let mut resources = arm.resources.lock().unwrap_or_else(PoisonError::into_inner);
    // `segments` has no empty ones, which clients send for a resource without a parent.
    let id = format!("/{}", segments.join("/"));
    let key = id.to_ascii_lowercase();
    let [_, _, _, _, collection, rest @ ..] = segments else {
        return invalid_type();
    };
    match (request.method.as_str(), rest) {
        ("GET", []) if collection.eq_ignore_ascii_case("resources") => {
            let group = key.trim_end_matches("resources");
            let in_group = resources.iter().filter(|(path, _)| path.starts_with(group));
            page(request, in_group.map(|(_, resource)| resource.clone()).collect())
        }
        ("GET" | "HEAD", [_, _, name]) => match resources.get(&key) {
            Some(_) if request.method == "HEAD" => Response::new(204),
            Some(resource) => Response::json(200, resource),
            None => not_found(name),
        },
        ("PUT", [namespace, kind, name]) => {
            let body = request.json();
            let Some(location) = body.get("location").and_then(Value::as_str) else {
                return Response::error(
                    400,
                    "LocationRequired",
                    "The location property is required for this definition.",
                );
            };
            let mut resource = json!({
                "id": id,
                "name": name,
                "type": format!("{namespace}/{kind}"),
                "location": location,
                "tags": body.get("tags").unwrap_or(&json!({})),
                "properties": { "provisioningState": "Succeeded" },
            });
            let existing = resources.insert(key, resource.clone()).is_some();
            if let Some(state) = resource.pointer_mut("/properties/provisioningState") {
                *state = "Creating".into();
            }
            let response = Response::json(if existing { 200 } else { 201 }, &resource);
            arm.operations.with_status(response, request, namespace, location)
        }
        ("DELETE", [_, _, _]) => match resources.remove(&key) {
            Some(_) => arm.operations.start_with_location(request),
            None => Response::new(204),
        },
        _ => invalid_type(),
    }
}

fn not_found(name: &str) -> Response {
    Response::error(404, "ResourceNotFound", &format!("The resource '{name}' was not found."))
}

fn invalid_type() -> Response {
    Response::error(
        404,
        "InvalidResourceType",
        "The emulator has only resources in a resource group, without a parent.",
    )
}
