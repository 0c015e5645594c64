//! Details of a mount beyond its grants: redirects, sealed and minted credentials, second paths,
//! settings.

use keyward_policy::cloud::ReferencedPath;
use keyward_policy::grant::{Grant, Redirect, Seal};
use keyward_policy::manifest::SpendPlace;
use keyward_policy::path::PathReading;
use keyward_policy::plan::PlannedMount;
use keyward_policy::secret_keys::names_secret;
use serde_json::{Value, json};

/// The column where details start.
pub(super) const COLUMN: usize = 16;

/// The details of a mount as text, one per line. Empty if there are none.
pub(super) fn text(mount: &PlannedMount) -> String {
    let mut lines: Vec<(&str, String)> = Vec::new();
    for grant in &mount.grants {
        lines.extend(grant_details(mount, grant));
    }
    if !mount.hand_out.is_empty() {
        lines.push((
            "hands out",
            format!("the credentials of {}, to callers", mount.hand_out.join(", ")),
        ));
    }
    lines.extend(settings(mount).map(|(name, value)| {
        let line = match value {
            Some(value) => format!("{name} = {value:?}"),
            None => format!("{name} is not shown: its name suggests a secret"),
        };
        ("setting", line)
    }));
    if lines.is_empty() {
        return String::new();
    }
    let lines: String = lines
        .iter()
        .map(|(title, line)| format!("  {title:width$}{line}\n", width = COLUMN - 2))
        .collect();
    format!("\n[mount.{}]\n{lines}", mount.name)
}

fn grant_details(mount: &PlannedMount, grant: &Grant) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    // A line with a method says all that it covers.
    let named = grant.allowed.iter().flatten().filter(|line| line.operation().is_some());
    for line in named {
        lines.push(("allows", format!("{line}: {}", grant.describe(line))));
    }
    for Redirect { endpoint, takes_token, .. } in &grant.redirects {
        let line = if *takes_token {
            format!("{endpoint} receives the tokens of `{}` too", grant.name)
        } else {
            format!(
                "{endpoint} receives requests without a token: it is not a host of {}",
                grant.audience
            )
        };
        lines.push(("redirects", line));
    }
    if let Some(nodes) = &grant.redirect_nodes {
        let [first, last] = nodes.ports;
        lines.push((
            "gateways",
            format!(
                "of `{}` redirect to nodes in {}, ports {first} to {last}",
                grant.name, nodes.domain
            ),
        ));
    }
    if let Some(after) = grant.paths.names_after() {
        lines.push((
            "paths",
            format!("of `{}` are read as {}", grant.name, paths(grant.paths, after)),
        ));
    }
    for path in &grant.referenced_paths {
        lines.push(("second path", format!("of `{}`, in {}", grant.name, referenced_path(path))));
    }
    for seal in &grant.seals {
        let by = if seal.imposed { ", regardless of the manifest" } else { "" };
        lines.push((
            "seals",
            format!("{} of `{}`, {}{by}", seal.field, grant.name, destination(mount, seal)),
        ));
        if let Some(export) = &seal.export {
            let line = if grant.minting.hand_out.is_empty() {
                format!("{export} is denied: the mount has no `hand_out`")
            } else {
                format!(
                    "{export} hands out {} of `{}` to callers, by `hand_out`",
                    seal.field, grant.name
                )
            };
            lines.push(("exports", line));
        }
    }
    if grant.unsealed {
        lines.push(("unsealed", format!("the plugin sees the secrets of `{}`", grant.name)));
    }
    lines
}

fn paths(reading: PathReading, after: u8) -> String {
    let segments =
        if after == 1 { "the first segment".to_owned() } else { format!("{after} segments") };
    let slashes = match reading {
        PathReading::Segments => "",
        PathReading::Names { .. } => "; `%2F` and `\\` in them are `/`",
        PathReading::Files { .. } => "; `%2F` in them is `/`, and several slashes are one",
        PathReading::Keys { .. } => "; `%2F` in them is data",
    };
    format!("{} after {segments}{slashes}", reading.as_str())
}

fn referenced_path(path: &ReferencedPath) -> String {
    let field = match (&path.header, &path.query) {
        (Some(header), _) => format!("the header field {header}"),
        (None, Some(query)) => format!("the parameter {query}"),
        (None, None) => "an unnamed place".to_owned(),
    };
    let method = path
        .method
        .as_ref()
        .map(|method| format!(", which must be allowed to {method}"))
        .unwrap_or_default();
    let opaque = path
        .opaque_when
        .as_ref()
        .map(|value| format!(": {value} is denied under `allow`"))
        .unwrap_or_default();
    format!("{field}{method}{opaque}")
}

fn destination(mount: &PlannedMount, seal: &Seal) -> String {
    let spend = mount.grants.iter().find(|grant| Some(&grant.name) == seal.spend.as_ref());
    match (spend, seal.place) {
        (None, SpendPlace::Query | SpendPlace::LoginPassword) => "spent nowhere".to_owned(),
        (Some(grant), SpendPlace::Query) => format!("spent in a query to `{}`", grant.name),
        (Some(grant), SpendPlace::LoginPassword) => {
            format!("spent as a password at `{}`", grant.name)
        }
    }
}

/// The settings of the plugin, with the manifest's defaults. `None` replaces a value that may be a
/// secret.
fn settings(mount: &PlannedMount) -> impl Iterator<Item = (&str, Option<&str>)> {
    mount.variables.iter().filter_map(|(name, value)| {
        let name = name.strip_prefix("setting.")?;
        Some((name, (!names_secret(name)).then_some(value.as_str())))
    })
}

/// `hand_out` and the settings of a mount, as JSON.
pub(super) fn mount_json(mount: &PlannedMount) -> (Value, Value) {
    let settings: serde_json::Map<String, Value> =
        settings(mount).map(|(name, value)| (name.to_owned(), value.into())).collect();
    (json!(mount.hand_out), settings.into())
}

/// The details of a grant, as members of its JSON object.
pub(super) fn grant_json(grant: &Grant) -> Value {
    let seals: Vec<Value> = grant.seals.iter().map(seal_json).collect();
    let referenced_paths: Vec<Value> =
        grant.referenced_paths.iter().map(referenced_path_json).collect();
    let redirects = grant.redirects.iter().map(|redirect| {
        let origin = redirect.endpoint.to_string();
        json!({ "origin": origin, "token": redirect.takes_token })
    });
    let redirects: Vec<Value> = redirects.collect();
    let gateways = grant
        .redirect_nodes
        .as_ref()
        .map(|nodes| json!({ "domain": nodes.domain, "ports": nodes.ports }));
    json!({
        "redirects": redirects,
        "gateways": gateways,
        "paths": grant.paths.as_str(),
        "names_after": grant.paths.names_after(),
        "paths_ignore_case": grant.paths_ignore_case,
        "referenced_paths": referenced_paths,
        "seals": seals,
        "unsealed": grant.unsealed,
        "hand_out": grant.minting.hand_out,
    })
}

fn seal_json(seal: &Seal) -> Value {
    json!({
        "field": seal.field,
        "spend": seal.spend.as_deref(),
        "as": seal.place.as_str(),
        "keep_seconds": seal.keep.map(|keep| keep.as_secs()),
        "export": seal.export.as_ref().map(ToString::to_string),
        "imposed": seal.imposed,
    })
}

fn referenced_path_json(path: &ReferencedPath) -> Value {
    json!({
        "header": path.header,
        "query": path.query,
        "prefix": path.prefix,
        "list": path.list,
        "method": path.method,
        "opaque_when": path.opaque_when,
    })
}
