//! Checks what of the daemon's confinement this kernel has.

use super::finding::{Check, Finding};
use crate::confine::{self, Confinement};

const SUBJECT: &str = "[confine]";
const FAILED: &str = "Report this. A line in [confine] turns the part off";

/// Confines a thread as the daemon confines itself, and reports what is in force there.
pub(super) fn check(confinement: Option<&Confinement>) -> Vec<Finding> {
    let finding = || Finding::about(Check::Confinement, SUBJECT);
    let Some(confinement) = confinement else {
        return vec![finding().skipped("there is no daemon without a configuration")];
    };
    let enforced = match confine::check(confinement) {
        Ok(enforced) => enforced,
        Err(failure) => return vec![finding().problem(failure.message()).fix(FAILED)],
    };
    let lacking = enforced.lacking.iter();
    let lacking = lacking.map(|part| finding().warning(part.to_string()).fix(part.fix));
    let off = enforced.off.iter().map(|part| format!("not by {part}"));
    let parts: Vec<String> = enforced.on.iter().cloned().chain(off).collect();
    let summary = match parts.as_slice() {
        [] => None,
        parts if enforced.on.is_empty() => Some(finding().skipped(parts.join("; "))),
        parts => Some(finding().ok(format!("the daemon is confined by {}", parts.join("; ")))),
    };
    let missing = enforced.missing.iter().map(|missing| {
        let found = format!("the daemon could not reach a path of its configuration: {missing}");
        finding().warning(found).fix(confine::MISSING)
    });
    summary.into_iter().chain(lacking).chain(missing).collect()
}
