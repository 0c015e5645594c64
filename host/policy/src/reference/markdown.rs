//! Reference as a page of Markdown.

use super::{constraints, deprecation};
use crate::document::{Key, Kind, SectionKeys, is_placeholder};

/// The width at which lines are wrapped.
const WIDTH: usize = 100;

/// Returns a page on these sections, with an introduction before them.
#[must_use]
pub fn markdown(introduction: &str, sections: &[&'static SectionKeys]) -> String {
    let mut page = introduction.trim_end().to_owned();
    for section in sections {
        page.push_str("\n\n");
        page.push_str(&heading(section));
        page.push_str("\n\n");
        wrap(&mut page, section.doc, "");
        if let Some(deprecated) = &section.deprecated {
            page.push('\n');
            wrap(&mut page, &deprecation(deprecated), "");
        }
        if !section.keys.is_empty() || section.entries.is_some() {
            page.push('\n');
        }
        for key in section.keys.iter().copied().chain(section.entries) {
            entry(&mut page, key, "");
        }
        page.truncate(page.trim_end().len());
    }
    page.push('\n');
    page
}

fn heading(section: &SectionKeys) -> String {
    let header = section.header();
    let is_outermost = match section.path {
        [] | [_] => true,
        [_, name] => is_placeholder(name),
        _ => false,
    };
    let level = if is_outermost { "##" } else { "###" };
    if header.is_empty() { "## Top level".to_owned() } else { format!("{level} `{header}`") }
}

fn entry(page: &mut String, key: &Key, indent: &str) {
    let text = format!("{indent}- `{}`: {}. {}", key.name, key.doc, constraints(key));
    wrap(page, text.trim_end(), &format!("{indent}  "));
    // The replacement of a deprecated key has the same keys.
    if let (Kind::Tables(keys), None) = (key.kind, key.deprecated) {
        for key in keys.keys {
            entry(page, key, "  ");
        }
    }
}

/// Appends lines of at most [`WIDTH`] columns. All but the first are indented. Code is not broken.
fn wrap(page: &mut String, text: &str, indent: &str) {
    let leading = text.len() - text.trim_start().len();
    let mut line = " ".repeat(leading);
    let mut is_empty = true;
    for word in words(text) {
        let space = usize::from(!is_empty);
        if !is_empty && line.chars().count() + space + word.chars().count() > WIDTH {
            page.push_str(&line);
            page.push('\n');
            line = indent.to_owned();
        } else if !is_empty {
            line.push(' ');
        }
        line.push_str(&word);
        is_empty = false;
    }
    page.push_str(&line);
    page.push('\n');
}

/// Splits text into words. Code between backticks is one word.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut in_code = false;
    for word in text.split_whitespace() {
        match words.last_mut() {
            Some(last) if in_code => {
                last.push(' ');
                last.push_str(word);
            }
            _ => words.push(word.to_owned()),
        }
        if word.matches('`').count() % 2 == 1 {
            in_code = !in_code;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_but_not_within_code() {
        let mut page = String::new();
        let text = format!("- {} `a b` c", "x".repeat(93));
        wrap(&mut page, &text, "  ");
        assert_eq!(page, format!("- {}\n  `a b` c\n", "x".repeat(93)));
    }
}
