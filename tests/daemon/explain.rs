//! `keyward explain` covers every problem type and exit code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::process::run;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The Rust sources below these directories, without their unit tests.
fn sources(directories: &[&str]) -> Vec<String> {
    let mut pending: Vec<PathBuf> =
        directories.iter().map(|directory| root().join(directory)).collect();
    let mut texts = Vec::new();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
            pending.extend(
                entries.filter(|entry| !entry.ends_with("target") && !entry.ends_with("tests")),
            );
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !path.to_string_lossy().ends_with("tests.rs")
        {
            let text = std::fs::read_to_string(&path).unwrap();
            texts.push(text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned());
        }
    }
    texts
}

/// The string literal that a text begins with.
fn literal(text: &str) -> Option<&str> {
    text.trim_start().strip_prefix('"')?.split('"').next()
}

/// The kinds of problems in a source: the second argument of a constructor whose first is a status,
/// the second member of a tuple of status, kind and title, and what a function `kind` or
/// `kind_and_title` returns.
fn kinds(source: &str) -> BTreeSet<String> {
    let mut kinds = BTreeSet::new();
    for (open, _) in source.match_indices('(') {
        let Some((status, rest)) = source[open + 1..].split_once(',') else { continue };
        let status = status.trim();
        let is_status = status
            .strip_prefix("StatusCode::")
            .is_some_and(|name| !name.contains(char::is_whitespace))
            || (status.len() == 3
                && status.starts_with(['4', '5'])
                && status.bytes().all(|b| b.is_ascii_digit()));
        if is_status {
            kinds.extend(literal(rest).map(str::to_owned));
        }
    }
    let returned = [
        "fn kind(&self) -> &'static str {",
        "fn kind_and_title(&self) -> (&'static str, &'static str) {",
    ];
    for function in returned.iter().flat_map(|start| source.split(start).skip(1)) {
        let body = function.split("\n    }\n").next().unwrap();
        let values =
            body.split("=>").skip(1).map(|value| value.trim_start_matches([' ', '\n', '{', '(']));
        kinds.extend(values.filter_map(literal).map(str::to_owned));
    }
    kinds
}

/// Every kind that the broker, the daemon and the bundled plugins can return.
fn all_kinds() -> BTreeSet<String> {
    let plugins = ["sdk", "keyvault", "arm", "storage", "adls", "sql"]
        .map(|plugin| format!("plugins/{plugin}/src"));
    let mut directories: Vec<&str> = plugins.iter().map(String::as_str).collect();
    directories.extend(["host/broker/src", "host/daemon/src"]);
    sources(&directories).iter().flat_map(|source| kinds(source)).collect()
}

/// The exit codes, from the list in the help.
fn exit_codes() -> BTreeSet<String> {
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    let list = help.split_once("Exit codes:\n").unwrap().1;
    let codes = list.lines().take_while(|line| line.starts_with("  "));
    codes
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .map(|code: u8| format!("exit {code}"))
        .collect()
}

fn headings() -> Vec<String> {
    let page = std::fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    page.lines().filter_map(|line| line.strip_prefix("### ").map(str::to_owned)).collect()
}

#[test]
fn every_problem_type_and_exit_code_has_one_heading() {
    let (kinds, codes) = (all_kinds(), exit_codes());
    assert!(kinds.len() > 40 && codes.len() == 9, "too few: {kinds:?} {codes:?}");
    let headings = headings();
    let known: BTreeSet<String> = kinds.into_iter().chain(codes).collect();
    let explained: BTreeSet<String> = headings.iter().cloned().collect();
    assert_eq!(explained.len(), headings.len(), "a heading is there twice");
    let missing: Vec<&String> = known.difference(&explained).collect();
    assert!(missing.is_empty(), "docs/troubleshooting.md lacks headings for {missing:?}");
    let unknown: Vec<&String> = explained.difference(&known).collect();
    assert!(unknown.is_empty(), "docs/troubleshooting.md explains unknown topics: {unknown:?}");
}

#[test]
fn kinds_are_found_in_every_form() {
    let source = "Problem::new(403, \"a\", \"A\", d);\n\
                  problem(\n  StatusCode::NOT_FOUND,\n  \"b\", \"B\")\n\
                  19 => (503, \"c\", \"C\"),\n\
                  fn kind(&self) -> &'static str {\n match self {\n X => \"d\",\n \
                  Y if (1, 2) => \"e\",\n }\n    }\n Z => \"no\", (200, \"no\") (42, \"no\")\n\
                  fn kind_and_title(&self) -> (&'static str, &'static str) {\n match self {\n \
                  X => (\"f\", \"F\"),\n Y => {\n (\"g\", \"G\")\n }\n }\n    }\n";
    assert_eq!(kinds(source).into_iter().collect::<Vec<_>>(), ["a", "b", "c", "d", "e", "f", "g"]);
}

#[test]
fn explain_prints_cause_and_fix() {
    for topic in headings() {
        let output = run(&["explain", &topic]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(0), "{topic}");
        assert!(text.starts_with(&format!("{topic}\n\n")), "{text}");
        assert!(text.contains("Fix. ") || topic == "exit 0", "{text}");
        assert!(!text.contains("**") && !text.contains("](") && !text.contains("\n#"), "{text}");
    }
    let busy = run(&["explain", "busy"]).stdout;
    assert_eq!(run(&["explain", "urn:keyward:problem:busy"]).stdout, busy);
    assert_eq!(run(&["explain", "exit", "78"]).stdout, run(&["explain", "exit 78"]).stdout);
}

#[test]
fn explain_lists_the_known_topics_for_an_unknown_one() {
    let output = run(&["explain", "not-alowed"]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    let (message, list) = message.split_once('\n').unwrap();
    assert!(message.contains("`not-alowed`"), "{message}");
    let listed: Vec<&str> =
        list.split([',', '\n', '.']).map(str::trim).filter(|topic| !topic.is_empty()).collect();
    assert_eq!(listed.first(), Some(&"not-allowed"));
    assert_eq!(
        listed.iter().map(ToString::to_string).collect::<BTreeSet<_>>(),
        headings().into_iter().collect()
    );
}
