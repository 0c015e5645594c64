//! Wraps lines to fit the terminal.

/// Wraps lines between words, so that none is wider than `width` unless a word is.
///
/// The first line starts with `first`, the others with `further`. Lines of the text that start with
/// spaces, such as commands, are not wrapped, so that they can be copied.
pub(crate) fn wrap(text: &str, first: &str, further: &str, width: usize) -> String {
    let options = textwrap::Options::new(width)
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation)
        .word_separator(textwrap::WordSeparator::AsciiSpace);
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let begin = if lines.is_empty() { first } else { further };
        if line.starts_with(' ') {
            lines.push(format!("{begin}{line}"));
            continue;
        }
        let options = options.clone().initial_indent(begin).subsequent_indent(further);
        lines.extend(textwrap::wrap(line, options).into_iter().map(std::borrow::Cow::into_owned));
    }
    lines.join("\n")
}

/// Wraps only the lines that are wider than `width`. Their continuation lines start at column
/// `hang` if the line starts before it, and otherwise two columns after the line's start.
pub(crate) fn fit(text: &str, hang: usize, width: usize) -> String {
    let lines = text.lines().map(|line| {
        if line.chars().count() <= width {
            return line.to_owned();
        }
        let words = line.trim_start_matches(' ');
        let first = line.len() - words.len();
        let further = if first < hang && hang < width / 2 { hang } else { first + 2 };
        wrap(words, &" ".repeat(first), &" ".repeat(further), width)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A count with its noun: `1 mount`, `2 identities`.
pub(crate) fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrapped_and_commands_are_not() {
        let long = "word ".repeat(30);
        let text = wrap(&format!("{long}\n  nft {long}"), "-> ", "   ", 60);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("-> word") && lines[1].starts_with("   word"), "{text}");
        assert!(lines[..lines.len() - 1].iter().all(|line| line.len() <= 60), "{text}");
        assert!(lines[lines.len() - 1].starts_with("     nft"), "{text}");
    }

    #[test]
    fn a_word_that_is_too_long_is_not_broken() {
        let url = "https://contoso.blob.core.windows.net/a-path-that-is-long";
        assert_eq!(wrap(&format!("at {url}"), "", "", 40), format!("at\n{url}"));
    }

    #[test]
    fn only_lines_that_are_too_wide_are_wrapped() {
        let text = format!("name: short\n    at          {}", "*.vault.azure.net, ".repeat(4));
        let fitted = fit(&text, 16, 60);
        assert!(fitted.starts_with("name: short\n    at          *.vault.azure.net"), "{fitted}");
        assert!(fitted.lines().all(|line| line.len() <= 60), "{fitted}");
        assert!(fitted.lines().skip(2).all(|line| line.starts_with(&" ".repeat(16))), "{fitted}");
    }

    #[test]
    fn one_is_singular_and_other_counts_are_plural() {
        assert_eq!(plural(1, "identity", "identities"), "1 identity");
        assert_eq!(plural(0, "mount", "mounts"), "0 mounts");
    }
}
