//! `keyward explain`: cause and fix of a problem type or an exit code, or what a caller's request
//! would lead to.
//!
//! The text about a problem is a section of `docs/troubleshooting.md`, which is compiled in.

mod request;

use crate::cli::Explain;
use crate::exit::{Exit, Failure};
use crate::output::{print_line, width, wrap};

const PAGE: &str = include_str!("../../../../../docs/troubleshooting.md");

/// What the `type` of a problem begins with.
const URN: &str = "urn:keyward:problem:";

pub(crate) fn explain(explain: &Explain) -> Result<Exit, Failure> {
    if let (Some(caller), Some(config)) = (&explain.caller, &explain.config) {
        return request::explain(caller, &explain.topic, config);
    }
    let topic = topic(&explain.topic);
    let Some((_, text)) = sections().find(|(known, _)| *known == topic) else {
        return Err(Failure::usage(unknown(&topic)));
    };
    print_line(&rendered(&topic, text, width()))?;
    Ok(Exit::Success)
}

/// The heading that the arguments name: a kind, its URN, or `exit` and a code.
fn topic(words: &[String]) -> String {
    let topic = words.join(" ").trim().to_lowercase();
    topic.strip_prefix(URN).map(str::to_owned).unwrap_or(topic)
}

/// The sections of the page: heading and Markdown text.
fn sections() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAGE.split("\n### ").skip(1).map(|section| {
        let section = section.split("\n## ").next().unwrap_or(section);
        let (heading, text) = section.split_once('\n').unwrap_or((section, ""));
        (heading.trim(), text.trim())
    })
}

/// A section as text for a terminal. Its paragraphs are wrapped at `width` columns.
fn rendered(heading: &str, markdown: &str, width: usize) -> String {
    let paragraphs = markdown.split("\n\n").map(|paragraph| {
        let line = without_links(&paragraph.replace('\n', " ").replace("**", ""));
        wrap(&line, "", "", width)
    });
    let paragraphs: Vec<String> = std::iter::once(heading.to_owned()).chain(paragraphs).collect();
    paragraphs.join("\n\n")
}

/// Replaces `[text](target)` by `text`.
fn without_links(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some((before, link)) = rest.split_once('[') {
        text.push_str(before);
        let parts = link
            .split_once("](")
            .and_then(|(label, target)| Some((label, target.split_once(')')?.1)));
        match parts {
            Some((label, after)) if !label.contains(']') => {
                text.push_str(label);
                rest = after;
            }
            Some(_) | None => {
                text.push('[');
                rest = link;
            }
        }
    }
    text.push_str(rest);
    text
}

fn unknown(topic: &str) -> String {
    let mut known: Vec<&str> = sections().map(|(heading, _)| heading).collect();
    known.sort_by(|one, other| {
        let [one, other] = [one, other].map(|known| strsim::jaro_winkler(topic, known));
        other.total_cmp(&one)
    });
    // `exit 78` stays on one line.
    let known = format!("{}.", known.join(", ")).replace("exit ", "exit\u{a0}");
    let known = wrap(&known, "    ", "    ", width()).replace('\u{a0}', " ");
    format!("nothing to explain about `{topic}`. Known topics, the most similar first:\n{known}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic_of(words: &[&str]) -> String {
        topic(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>())
    }

    #[test]
    fn a_topic_is_a_kind_a_urn_or_an_exit_code() {
        assert_eq!(topic_of(&["busy"]), "busy");
        assert_eq!(topic_of(&["urn:keyward:problem:Busy"]), "busy");
        assert_eq!(topic_of(&["exit", "78"]), "exit 78");
        assert_eq!(topic_of(&["exit 78"]), "exit 78");
    }

    #[test]
    fn a_section_ends_before_the_next_heading() {
        for (heading, text) in sections() {
            assert!(!text.contains("\n#") && !text.is_empty(), "{heading}: {text}");
        }
    }

    #[test]
    fn a_section_consists_of_paragraphs_with_cause_and_fix() {
        for (heading, text) in sections() {
            let is_paragraph = |paragraph: &str| !paragraph.starts_with(['-', '|', '`', ' ', '<']);
            assert!(text.split("\n\n").all(is_paragraph), "{heading}: {text}");
            let complete = text.contains("**Cause.** ") && text.contains("**Fix.** ");
            assert!(complete || heading == "exit 0", "{heading}: {text}");
        }
    }

    #[test]
    fn the_most_similar_topics_come_first() {
        let listed = |topic| unknown(topic).split_once(":\n").unwrap().1.trim_start().to_owned();
        assert!(listed("bussy").starts_with("busy,"), "{}", listed("bussy"));
        assert!(listed("exit 7").starts_with("exit 7"), "{}", listed("exit 7"));
    }

    #[test]
    fn links_become_their_text() {
        let text = without_links("see [a.md](a.md#x), [b](c) and [mount.x]");
        assert_eq!(text, "see a.md, b and [mount.x]");
        assert_eq!(without_links("`[mount.x]` ([a](b))"), "`[mount.x]` (a)");
        assert_eq!(without_links("plain"), "plain");
    }
}
