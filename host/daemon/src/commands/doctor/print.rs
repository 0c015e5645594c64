//! Findings, for people and for programs.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::finding::{Finding, Status};

/// How wide the words of a finding may be, in characters.
const WIDTH: usize = 88;

/// The same, of what it is about.
const SUBJECT: usize = 40;

/// A table, with the mend below what was found.
pub(super) fn table(findings: &[Finding]) -> String {
    let mut mends: BTreeSet<&str> = BTreeSet::new();
    let rows: Vec<[String; 4]> = findings
        .iter()
        .map(|finding| {
            let mut words = wrapped(&finding.found, "", "", WIDTH);
            if let Some(mend) = &finding.mend {
                let mend = if mends.insert(mend) { mend } else { "as above" };
                words.push('\n');
                words.push_str(&wrapped(mend, "-> ", "   ", WIDTH));
            }
            let subject = wrapped(&finding.subject, "", "  ", SUBJECT);
            [finding.status.to_string(), finding.check.to_string(), subject, words]
        })
        .collect();
    let mut text = crate::table::table(["STATUS", "CHECK", "OF", "FOUND -> MEND"], &rows);
    let (problems, warnings) = (count(findings, Status::Problem), count(findings, Status::Warning));
    let several = |count: usize| if count == 1 { "" } else { "s" };
    text.push_str(&format!("\n{problems} problem{}, {warnings} warning{}\n", several(problems), several(warnings)));
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
                "mend": finding.mend,
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

/// Breaks lines between words. A line that begins with blanks is to be copied, and stays whole.
fn wrapped(text: &str, first: &str, further: &str, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let begin = |lines: &[String]| if lines.is_empty() { first } else { further }.to_owned();
        let mut current = begin(&lines);
        let mut is_empty = true;
        if line.starts_with(' ') {
            lines.push(current + line);
            continue;
        }
        for word in line.split_whitespace() {
            if !is_empty && current.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut current));
                current = begin(&lines);
                is_empty = true;
            }
            if !is_empty {
                current.push(' ');
            }
            current.push_str(word);
            is_empty = false;
        }
        lines.push(current);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrapped_and_commands_are_not() {
        let long = "word ".repeat(30);
        let text = wrapped(&format!("{long}\n  nft {long}"), "-> ", "   ", WIDTH);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("-> word") && lines[1].starts_with("   word"), "{text}");
        assert!(lines[..2].iter().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert_eq!(lines.len(), 3);
        assert!(lines[2].starts_with("     nft"));
    }
}
