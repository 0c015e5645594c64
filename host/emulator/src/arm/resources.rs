//! Resources of any type. The emulator stores what it is given, and takes a while to create and to delete it.

use std::sync::PoisonError;

use serde_json::{Value, json};

use super::{ResourceManager, page};
use crate::exchange::{Received, Reply};

/// The answer to a request for a resource of a group that exists, or for all of them.
pub(super) fn answer(arm: &ResourceManager, request: &Received, segments: &[String]) -> Reply {
    let mut resources = arm.resources.lock().unwrap_or_else(PoisonError::into_inner);
    // An empty segment, as clients send it for a resource without a parent, is as if it was not there.
    let id = format!("/{}", segments.join("/"));
    let key = id.to_ascii_lowercase();
    let [_, _, _, _, collection, rest @ ..] = segments else { return unknown() };
    match (request.method.as_str(), rest) {
        ("GET", []) if collection.eq_ignore_ascii_case("resources") => {
            let group = key.trim_end_matches("resources");
            let within = resources.iter().filter(|(path, _)| path.starts_with(group));
            page(request, within.map(|(_, resource)| resource.clone()).collect())
        }
        ("GET" | "HEAD", [_, _, name]) => match resources.get(&key) {
            Some(_) if request.method == "HEAD" => Reply::new(204),
            Some(resource) => Reply::json(200, resource),
            None => missing(name),
        },
        ("PUT", [namespace, kind, name]) => {
            let body = request.json();
            let Some(location) = body.get("location").and_then(Value::as_str) else {
                return Reply::error(400, "LocationRequired", "The location property is required for this definition.");
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
            let reply = Reply::json(if existing { 200 } else { 201 }, &resource);
            arm.operations.watched(reply, request, namespace, location)
        }
        ("DELETE", [_, _, _]) => match resources.remove(&key) {
            Some(_) => arm.operations.accepted(request),
            None => Reply::new(204),
        },
        _ => unknown(),
    }
}

fn missing(name: &str) -> Reply {
    Reply::error(404, "ResourceNotFound", &format!("The resource '{name}' was not found."))
}

fn unknown() -> Reply {
    Reply::error(404, "InvalidResourceType", "The emulator's resources are in a group, and of a type of one word.")
}
