//! What each caller may do with each mount.

use keyward::callers::{CallerRules, CallerSection};
use keyward_policy::config::caller::OTHERS;
use keyward_policy::grant::Grant;
use keyward_policy::pattern::Pattern;
use keyward_policy::plan::{Plan, PlannedMount};
use serde_json::{Value, json};

use super::permitted_requests;
use crate::output::table;

/// The callers and what each may do, as a table; empty without sections `[caller.NAME]`.
pub(super) fn text(plan: &Plan, width: usize) -> String {
    if plan.callers.is_empty() {
        return String::new();
    }
    let mut rows: Vec<[String; 5]> = Vec::new();
    let sections = plan.callers.sections().iter();
    let names = sections.map(|section| (&*section.name, section.to_string()));
    for (name, proof) in names.chain([(OTHERS, "every other caller".to_owned())]) {
        let mounts = plan.mounts.iter().filter_map(|mount| Some((mount, rules(mount, name)?)));
        let mut first = true;
        for (mount, rules) in mounts {
            let caller = if first { format!("{name}\n  {proof}") } else { String::new() };
            first = false;
            rows.push([
                caller,
                mount.name.clone(),
                requests(rules),
                sends(mount, rules).join("\n"),
                also(mount, rules).join("\n"),
            ]);
        }
        if first && name != OTHERS {
            let nothing = "no mount".to_owned();
            let empty = String::new;
            rows.push([format!("{name}\n  {proof}"), nothing, empty(), empty(), empty()]);
        }
    }
    table(["CALLER", "MOUNT", "MAY REQUEST", "MAY SEND ON ITS BEHALF", "WITH"], &rows, width)
}

/// The rules of a mount for a caller that it names.
fn rules<'a>(mount: &'a PlannedMount, name: &str) -> Option<&'a CallerRules> {
    mount.callers.as_ref()?.iter().find(|rules| *rules.name == *name)
}

fn requests(rules: &CallerRules) -> String {
    match &rules.requests {
        None => "everything".to_owned(),
        Some(patterns) if patterns.is_empty() => "nothing".to_owned(),
        Some(patterns) => strings(patterns).join("\n"),
    }
}

/// The requests to each audience, after its name.
fn sends(mount: &PlannedMount, rules: &CallerRules) -> Vec<String> {
    let of_grant = |grant: &Grant| {
        let lines = match rules.narrowed(grant) {
            Some(_) => rules.allow.as_deref().map(strings).unwrap_or_default(),
            None => permitted_requests(grant),
        };
        let lines = if lines.is_empty() { vec!["nothing".to_owned()] } else { lines };
        lines.into_iter().map(|line| format!("{}: {line}", grant.name)).collect::<Vec<String>>()
    };
    mount.grants.iter().flat_map(of_grant).collect()
}

/// Limits, redirects, sealed and handed out credentials.
fn also(mount: &PlannedMount, rules: &CallerRules) -> Vec<String> {
    let mut lines = vec![format!("at most {} calls at once", rules.concurrency)];
    lines.extend(rules.rate.map(|rate| format!("rate {rate}")));
    for grant in &mount.grants {
        lines.extend(grant.redirects.iter().map(|to| format!("redirects to {}", to.endpoint)));
        lines.extend(grant.seals.iter().map(|seal| format!("seals {}", seal.field)));
        let exports = grant.seals.iter().filter_map(|seal| seal.export.as_ref());
        if !grant.minting.hand_out.is_empty() {
            lines.extend(exports.map(|route| format!("exports by {route}")));
        }
    }
    let handed = mount.hand_out.iter();
    let handed = handed.filter(|operation| rules.may_be_handed(operation, &mount.grants));
    let within = if rules.allow.is_some() { ", within its `allow`" } else { "" };
    lines.extend(handed.map(|operation| format!("hands out {operation}{within}")));
    lines
}

fn strings(patterns: &[Pattern]) -> Vec<String> {
    patterns.iter().map(ToString::to_string).collect()
}

/// The sections, in the order in which they are matched.
pub(super) fn sections_json(plan: &Plan) -> Value {
    let section = |section: &CallerSection| {
        let CallerSection { name, uid, gid, unit, certificate, service_account, embedded, .. } =
            section;
        json!({
            "name": &**name,
            "user": uid,
            "group": gid,
            "unit": unit,
            "certificate": certificate,
            "service_account": service_account.as_ref().map(ToString::to_string),
            "embedded": embedded,
        })
    };
    plan.callers.sections().iter().map(section).collect::<Vec<Value>>().into()
}

/// The callers of a mount; null if it serves all of them.
pub(super) fn mount_json(mount: &PlannedMount) -> Value {
    let Some(callers) = &mount.callers else { return Value::Null };
    let rules = |rules: &CallerRules| {
        json!({
            "name": &*rules.name,
            "requests": rules.requests.as_deref().map(strings),
            "allowed": rules.allow.as_deref().map(strings),
            "rate": rules.rate.map(|rate| rate.to_string()),
            "concurrency": rules.concurrency,
        })
    };
    callers.iter().map(rules).collect::<Vec<Value>>().into()
}
