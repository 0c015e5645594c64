//! Tokens of Transact-SQL: where strings, names and comments begin and end.
//!
//! Two modules depend on it. [`bind`](crate::bind) replaces named parameters, but not within
//! strings, names and comments. [`read_only`](crate::read_only) needs the same tokens that the
//! server will see: what the server might read differently is an [`Ambiguous`](Kind::Ambiguous)
//! token here, and is denied.

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword or an unquoted name.
    Word,
    /// `[a name]` or `"a name"`.
    Quoted,
    /// `'text'`. The `N` of `N'text'` is a separate word.
    Text,
    Number,
    /// `@name`.
    Variable,
    /// `@@name`.
    Global,
    /// `-- to the end of the line`, without the line break, or `/* possibly /* nested */ */`.
    Comment,
    /// Spaces, tabs and line breaks.
    Space,
    /// A punctuation character or operator.
    Sign,
    /// A string, name or comment without its end.
    Unterminated,
    /// A character, or a number directly followed by a word, that another parser may read
    /// differently.
    Ambiguous,
}

/// A token of a statement. All tokens concatenated are the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'s> {
    pub(crate) kind: Kind,
    pub(crate) text: &'s str,
}

impl Token<'_> {
    /// Whether this is the given sign.
    pub(crate) fn is(&self, sign: &str) -> bool {
        self.kind == Kind::Sign && self.text == sign
    }

    /// Whether this is the given word, ignoring case.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether the server ignores this token.
    pub(crate) fn is_blank(&self) -> bool {
        matches!(self.kind, Kind::Space | Kind::Comment)
    }
}

/// Splits a statement into tokens.
pub(crate) fn tokens(statement: &str) -> impl Iterator<Item = Token<'_>> {
    let mut rest = statement;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let (kind, length) = token(first, rest);
        let (text, later) = rest.split_at_checked(length).unwrap_or((rest, ""));
        rest = later;
        Some(Token { kind, text })
    })
}

/// The kind and the length of the first token of `rest`, which is not empty.
fn token(first: char, rest: &str) -> (Kind, usize) {
    match first {
        ' ' | '\t' | '\r' | '\n' => {
            (Kind::Space, run(rest, |c| matches!(c, ' ' | '\t' | '\r' | '\n')))
        }
        '\'' => quoted(rest, '\'', Kind::Text),
        '"' => quoted(rest, '"', Kind::Quoted),
        '[' => quoted(rest, ']', Kind::Quoted),
        '-' if rest.starts_with("--") => (Kind::Comment, run(rest, |c| !matches!(c, '\r' | '\n'))),
        '/' if rest.starts_with("/*") => block(rest),
        '@' if rest.starts_with("@@") => (Kind::Global, run(rest, is_part)),
        '@' => match run(rest, is_part) {
            1 => (Kind::Ambiguous, 1),
            length => (Kind::Variable, length),
        },
        '0'..='9' => number(rest),
        '.' if rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit()) => number(rest),
        _ if first.is_alphabetic() || matches!(first, '_' | '#') => {
            (Kind::Word, run(rest, is_part))
        }
        '(' | ')' | ',' | '.' | ';' | '+' | '-' | '*' | '/' | '%' | '=' | '<' | '>' | '!' | '&'
        | '|' | '^' | '~' | ':' => (Kind::Sign, 1),
        _ => (Kind::Ambiguous, first.len_utf8()),
    }
}

/// Whether a character may follow the first one of a name.
pub(crate) fn is_part(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '@' | '#' | '$')
}

/// Length of the longest prefix whose characters fit.
fn run(rest: &str, fits: impl Fn(char) -> bool) -> usize {
    rest.find(|c| !fits(c)).unwrap_or(rest.len())
}

/// A quoted token. A doubled end quote is part of the text.
fn quoted(rest: &str, end: char, kind: Kind) -> (Kind, usize) {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == end && chars.next_if(|(_, next)| *next == end).is_none() {
            return (kind, at + 1);
        }
    }
    (Kind::Unterminated, rest.len())
}

/// A block comment, possibly nested.
fn block(rest: &str) -> (Kind, usize) {
    let mut depth = 0;
    let mut chars = rest.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c == '/' && chars.next_if(|(_, next)| *next == '*').is_some() {
            depth += 1;
        } else if c == '*' && chars.next_if(|(_, next)| *next == '/').is_some() {
            depth -= 1;
            if depth == 0 {
                return (Kind::Comment, at + 2);
            }
        }
    }
    (Kind::Unterminated, rest.len())
}

/// `1`, `.5`, `1.5e-3`, `0xff`. The server ends a number where a word follows directly: to it
/// `1from` is two tokens, and so is `1efrom`.
fn number(rest: &str) -> (Kind, usize) {
    let after = |at: usize| rest.get(at..).unwrap_or_default();
    let digits = |at: usize| at + run(after(at), |c| c.is_ascii_digit());
    let end = if rest.starts_with("0x") || rest.starts_with("0X") {
        2 + run(after(2), |c| c.is_ascii_hexdigit())
    } else {
        let whole = digits(0);
        let end = if after(whole).starts_with('.') { digits(whole + 1) } else { whole };
        match after(end)
            .strip_prefix(['e', 'E'])
            .map(|power| power.strip_prefix(['+', '-']).unwrap_or(power))
        {
            Some(power) if power.starts_with(|c: char| c.is_ascii_digit()) => {
                digits(rest.len() - power.len())
            }
            _ => end,
        }
    };
    let runs_on = after(end).chars().next().is_some_and(|c| is_part(c) || !c.is_ascii());
    (if runs_on { Kind::Ambiguous } else { Kind::Number }, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(statement: &str) -> String {
        let shown = tokens(statement).filter(|token| token.kind != Kind::Space);
        shown.map(|token| format!("{:?}<{}>", token.kind, token.text)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_token_ends_where_the_server_ends_it() {
        for (statement, expected) in [
            ("a.b", "Word<a> Sign<.> Word<b>"),
            ("N'it''s @x' @x", "Word<N> Text<'it''s @x'> Variable<@x>"),
            ("[a]]b @x] @x", "Quoted<[a]]b @x]> Variable<@x>"),
            (r#""a""b @x" @x"#, r#"Quoted<"a""b @x"> Variable<@x>"#),
            ("1 -- '\n@x", "Number<1> Comment<-- '> Variable<@x>"),
            ("1 -- '\r@x", "Number<1> Comment<-- '> Variable<@x>"),
            ("/* a /* ' */ @y */ @x", "Comment</* a /* ' */ @y */> Variable<@x>"),
            ("/*/ @y */ @x", "Comment</*/ @y */> Variable<@x>"),
            ("@@rowcount a@b #t ##t", "Global<@@rowcount> Word<a@b> Word<#t> Word<##t>"),
            ("1.5e-3+.5-0xAb", "Number<1.5e-3> Sign<+> Number<.5> Sign<-> Number<0xAb>"),
            ("1from", "Ambiguous<1> Word<from>"),
            ("1.efrom", "Ambiguous<1.> Word<efrom>"),
            ("0xfrom", "Ambiguous<0xf> Word<rom>"),
            ("1e+from", "Ambiguous<1> Word<e> Sign<+> Word<from>"),
            ("$1 @", "Ambiguous<$> Number<1> Ambiguous<@>"),
            ("'a", "Unterminated<'a>"),
            ("'a''", "Unterminated<'a''>"),
            ("[a]]", "Unterminated<[a]]>"),
            ("/* /* */", "Unterminated</* /* */>"),
            ("größe 名前", "Word<größe> Word<名前>"),
            ("\u{a0}", "Ambiguous<\u{a0}>"),
            ("", ""),
        ] {
            assert_eq!(shown(statement), expected, "{statement}");
        }
    }

    #[test]
    fn the_tokens_together_are_the_statement() {
        for statement in
            ["select 'ü' as [ü];\r\n--ü", "1e5.5..6 /*ü", "0x 'é''", "@@ @ @é $é \u{2028}\0"]
        {
            assert_eq!(tokens(statement).map(|token| token.text).collect::<String>(), statement);
        }
    }
}
