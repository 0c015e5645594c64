//! `keyward check`: checks a configuration, and shows what each mount may do.

mod callers;
mod details;

use keyward_policy::grant::Grant;
use keyward_policy::pattern::Pattern;
use keyward_policy::plan::PlannedMount;
use serde_json::{Value, json};

use crate::cli::{Check, Format};
use crate::config::{DaemonConfig, machine};
use crate::exit::{Exit, Failure};
use crate::output::{fit, print, print_line, table, width};

pub(crate) fn check(check: &Check) -> Result<Exit, Failure> {
    let config = DaemonConfig::load(&check.config)?;
    let lock = config.lock.clone();
    let (plan, listen, audit) = config.plan()?;
    let problems = machine::problems(&plan, &listen, &audit, &lock).into_iter();
    let problems =
        problems.map(|problem| format!("`keyward serve` fails on this machine: {problem}"));
    let general: Vec<String> =
        plan.warnings().iter().map(ToString::to_string).chain(problems).collect();
    match check.format {
        Format::Table => {
            let warnings = plan.mounts.iter().flat_map(|mount| {
                let line = |warning| format!("warning: [mount.{}]: {warning}\n", mount.name);
                warnings(mount).into_iter().map(line).collect::<Vec<String>>()
            });
            let details: String = plan.mounts.iter().map(details::text).collect();
            let mut text = grants_table(&plan.mounts, width());
            let callers = callers::text(&plan, width());
            if !callers.is_empty() {
                text.push_str(&format!("\n{callers}"));
            }
            if !details.is_empty() {
                text.truncate(text.trim_end().len());
                text.push_str(&format!("\n{}\n", fit(&details, details::COLUMN, width())));
            }
            let general = general
                .iter()
                .map(|warning| format!("{}\n", fit(&format!("warning: {warning}"), 0, width())));
            let warnings: String = warnings.chain(general).collect();
            if !warnings.is_empty() {
                text.push_str(&format!("\n{warnings}"));
            }
            print(&text)?;
        }
        Format::Json => {
            let mounts: Vec<Value> = plan.mounts.iter().map(mount_json).collect();
            print_line(&format!(
                "{:#}",
                json!({
                    "callers": callers::sections_json(&plan),
                    "mounts": mounts,
                    "warnings": general,
                })
            ))?;
        }
    }
    Ok(Exit::Success)
}

/// The effective grants as a table: what is both declared and configured.
pub(super) fn grants_table(mounts: &[PlannedMount], width: usize) -> String {
    let rows: Vec<[String; 5]> = mounts
        .iter()
        .flat_map(|mount| {
            mount.grants.iter().enumerate().map(|(number, grant)| {
                let first = number == 0;
                let own = |text: String| if first { text } else { String::new() };
                [
                    own(mount.name.clone()),
                    own(mount.manifest.name.clone()),
                    own(mount.identity.clone()),
                    format!("{}\n  at {}", grant.audience, grant.endpoint),
                    permitted_requests(grant).join("\n"),
                ]
            })
        })
        .collect();
    table(["MOUNT", "PLUGIN", "IDENTITY", "TOKENS FOR", "MAY SEND"], &rows, width)
}

/// Warnings about a mount.
fn warnings(mount: &PlannedMount) -> Vec<String> {
    let restated = mount.grants.iter().filter(|grant| grant.restated);
    let warning = |grant: &Grant| {
        format!(
            "tokens for {} go to {}: the plugin's author chose this pair, and this mount restates \
             it",
            grant.audience, grant.endpoint
        )
    };
    let mut warnings: Vec<String> = restated.map(warning).collect();
    for grant in &mount.grants {
        let lines = grant.allowed.iter().flatten();
        warnings.extend(lines.filter_map(|line| unexpected_operations(grant, line)));
    }
    warnings
}

/// A warning about a line of `allow` with a method that covers operations that its author may not
/// have meant.
fn unexpected_operations(grant: &Grant, line: &Pattern) -> Option<String> {
    let (unexpected, expected): (Vec<_>, Vec<_>) =
        grant.operations_of(line).into_iter().partition(|operation| operation.warn);
    let unexpected: Vec<String> = unexpected
        .into_iter()
        .map(|operation| format!("{} ({})", operation.name, operation.summary))
        .collect();
    if unexpected.is_empty() {
        return None;
    }
    let path = line.path();
    let write: Vec<String> =
        expected.into_iter().map(|operation| format!("\"{} {path}\"", operation.name)).collect();
    let write = match write.as_slice() {
        [] => "name the operation that it is for".to_owned(),
        write => format!("write those of {} that it is for", write.join(", ")),
    };
    Some(format!(
        "`{line}` in `allow` covers {} too; to permit less, {write}",
        unexpected.join(", ")
    ))
}

/// The requests that a grant permits.
fn permitted_requests(grant: &Grant) -> Vec<String> {
    let strings =
        |patterns: &Vec<_>| patterns.iter().map(ToString::to_string).collect::<Vec<String>>();
    match (&grant.declared, &grant.allowed) {
        (None, None) => vec!["everything".to_owned()],
        (_, Some(allowed)) if allowed.is_empty() => vec!["nothing".to_owned()],
        (None, Some(patterns)) | (Some(patterns), None) => strings(patterns),
        (Some(declared), Some(allowed)) => {
            let within = strings(declared).into_iter().map(|pattern| format!("  within {pattern}"));
            strings(allowed).into_iter().chain(within).collect()
        }
    }
}

fn mount_json(mount: &PlannedMount) -> Value {
    let patterns = |patterns: &Option<Vec<_>>| -> Value {
        patterns
            .as_ref()
            .map(|patterns| patterns.iter().map(ToString::to_string).collect::<Vec<String>>())
            .into()
    };
    let grants: Vec<Value> = mount
        .grants
        .iter()
        .map(|grant| {
            let own = json!({
                "name": &*grant.name,
                "audience": grant.audience.as_str(),
                "restated": grant.restated,
                "endpoint": grant.endpoint.to_string(),
                "declared": patterns(&grant.declared),
                "allowed": patterns(&grant.allowed),
                "covers": grant.allowed.as_ref().map(|lines| {
                    let covers = |line: &Pattern| {
                        json!({ "line": line.to_string(), "requests": grant.describe(line) })
                    };
                    lines.iter().map(covers).collect::<Vec<Value>>()
                }),
            });
            merged(own, details::grant_json(grant))
        })
        .collect();
    let (hand_out, settings) = details::mount_json(mount);
    json!({
        "name": mount.name,
        "plugin": mount.manifest.name,
        "component": mount.plugin.label,
        "sha256": mount.plugin.sha256,
        "identity": mount.identity,
        "grants": grants,
        "hand_out": hand_out,
        "callers": callers::mount_json(mount),
        "settings": settings,
        "warnings": warnings(mount),
    })
}

/// Adds the members of an object to another.
fn merged(mut one: Value, other: Value) -> Value {
    if let (Value::Object(one), Value::Object(other)) = (&mut one, other) {
        one.extend(other);
    }
    one
}
