//! What a reload did and what the daemon is doing, as JSON.

use keyward::{Changes, MountStatus, Reloaded};
use serde_json::{Value, json};

/// What a reload did. `later` are the parts that apply only after a restart.
pub(super) fn reloaded(
    reloaded: &Reloaded,
    digest: &str,
    read_again: &[&str],
    later: &[&str],
) -> Value {
    json!({
        "digest": digest,
        "unchanged": reloaded.is_unchanged(),
        "mounts": changes(&reloaded.mounts),
        "identities": changes(&reloaded.identities),
        "callers_changed": reloaded.callers_changed,
        "trust_anchors_changed": reloaded.trust_anchors_changed,
        "read_again": read_again,
        "needs_restart": later,
    })
}

fn changes(changes: &Changes) -> Value {
    let Changes { added, changed, removed, unchanged, .. } = changes;
    json!({ "added": added, "changed": changed, "removed": removed, "unchanged": unchanged })
}

/// One line about a reload.
pub(super) fn summary(report: &Value) -> String {
    let mut parts = Vec::new();
    for kind in ["mounts", "identities"] {
        for change in ["added", "changed", "removed"] {
            let names =
                report.get(kind).and_then(|kind| kind.get(change)).and_then(Value::as_array);
            let names: Vec<&str> = names.into_iter().flatten().filter_map(Value::as_str).collect();
            if !names.is_empty() {
                parts.push(format!("{kind} {change}: {}", names.join(", ")));
            }
        }
    }
    let later = report.get("needs_restart").and_then(Value::as_array);
    let later: Vec<&str> = later.into_iter().flatten().filter_map(Value::as_str).collect();
    if !later.is_empty() {
        parts.push(format!("needs a restart: {}", later.join(", ")));
    }
    if parts.is_empty() { "nothing has changed".to_owned() } else { parts.join("; ") }
}

/// A mount.
pub(super) fn mount(mount: &MountStatus) -> Value {
    json!({
        "name": mount.name,
        "plugin": mount.plugin,
        "identity": mount.identity,
        "calls": mount.calls,
        "waiting": mount.waiting,
        "concurrency": mount.concurrency,
    })
}
