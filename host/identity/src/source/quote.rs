//! Quotations of other programs' text in messages.

/// The longest quotation, in characters.
const MAX_LENGTH: usize = 300;

/// Makes another program's text fit for a message: without control characters, without words that
/// may be tokens, and not too long.
pub(super) fn quotable(text: &str) -> String {
    let may_be_secret = |word: &str| word.len() > 120 || word.contains("eyJ");
    // Control characters first: one in the middle of a token must not hide the token.
    let words = text
        .split_whitespace()
        .map(|word| word.chars().filter(|c| !c.is_control()).collect::<String>())
        .filter(|word| !word.is_empty())
        .map(|word| if may_be_secret(&word) { "[...]".to_owned() } else { word });
    words.collect::<Vec<_>>().join(" ").chars().take(MAX_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_unless_they_may_be_tokens() {
        let token = format!("eyJ{}", "x".repeat(500));
        assert_eq!(quotable(&format!("echo\r\n {token} end\u{7}")), "echo [...] end");
        assert_eq!(quotable("token=eyJ0 end"), "[...] end");
        assert_eq!(quotable("e\u{1}yJ0 \u{2} end"), "[...] end");
        assert_eq!(quotable(&"x ".repeat(1000)).len(), MAX_LENGTH);
    }
}
