//! Formats findings as text and as JSON.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::finding::{Finding, Status};
use crate::output::{plural, width, wrap};

/// The indentation below a check.
const INDENT: &str = "    ";

/// The findings as text: a line with status, check and subject, and below it the finding and the
/// fix.
pub(super) fn text(findings: &[Finding]) -> String {
    let width = width();
    let mut fixes: BTreeSet<&str> = BTreeSet::new();
    let mut text = String::new();
    for finding in findings {
        let (status, check) = (finding.status.to_string(), finding.check.to_string());
        text.push_str(&format!("{status:14}  {check:14}  {}\n", finding.subject));
        text.push_str(&wrap(&finding.found, INDENT, INDENT, width));
        text.push('\n');
        if let Some(fix) = &finding.fix {
            let fix = if fixes.insert(fix) { fix } else { "as above" };
            text.push_str(&wrap(fix, &format!("{INDENT}-> "), &format!("{INDENT}   "), width));
            text.push('\n');
        }
    }
    let problems = plural(count(findings, Status::Problem), "problem", "problems");
    let warnings = plural(count(findings, Status::Warning), "warning", "warnings");
    text.push_str(&format!("\n{problems}, {warnings}\n"));
    text
}

pub(super) fn json(findings: &[Finding]) -> Value {
    let checks: Vec<Value> = findings
        .iter()
        .map(|finding| {
            json!({
                "check": finding.check.as_str(),
                "status": finding.status.as_str(),
                "subject": finding.subject,
                "found": finding.found,
                "fix": finding.fix,
            })
        })
        .collect();
    json!({
        "problems": count(findings, Status::Problem),
        "warnings": count(findings, Status::Warning),
        "checks": checks,
    })
}

fn count(findings: &[Finding], status: Status) -> usize {
    findings.iter().filter(|finding| finding.status == status).count()
}
