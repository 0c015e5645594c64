//! The words of Transact-SQL: where strings, names and comments begin and end.
//!
//! Two things depend on it. Named parameters are replaced in a statement, but not in its strings,
//! names and comments ([`names`](crate::names)). And what is checked to be a read must be cut into
//! the same words here and in the server ([`read_only`](crate::read_only)): what the server could
//! read in another way has a kind of its own here, and is refused.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A keyword, or a name that stands there as it is.
    Word,
    /// `[a name]` or `"a name"`.
    Quoted,
    /// `'text'`. The `N` of `N'text'` is a word before it.
    Text,
    Number,
    /// `@name`.
    Variable,
    /// `@@name`.
    Global,
    /// `-- to the end of the line`, without that end, or `/* in /* each */ other */`.
    Comment,
    /// Blanks, tabs and ends of lines.
    Space,
    /// One character that stands for itself.
    Sign,
    /// A string, a name or a comment that does not end.
    Open,
    /// A character, or a number that runs into a word, that another reader may see in another way.
    Strange,
}

/// A piece of a statement. All of them together are the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'s> {
    pub(crate) kind: Kind,
    pub(crate) text: &'s str,
}

impl Token<'_> {
    /// Whether it is this sign.
    pub(crate) fn is(&self, sign: &str) -> bool {
        self.kind == Kind::Sign && self.text == sign
    }

    /// Whether it is this word, in whatever case.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether it is nothing to the server.
    pub(crate) fn is_blank(&self) -> bool {
        matches!(self.kind, Kind::Space | Kind::Comment)
    }
}

/// Cuts a statement into its tokens.
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

/// The kind and the length of the token at the beginning, which is not empty.
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
            1 => (Kind::Strange, 1),
            length => (Kind::Variable, length),
        },
        '0'..='9' => number(rest),
        '.' if rest.chars().nth(1).is_some_and(|c| c.is_ascii_digit()) => number(rest),
        _ if first.is_alphabetic() || matches!(first, '_' | '#') => {
            (Kind::Word, run(rest, is_part))
        }
        '(' | ')' | ',' | '.' | ';' | '+' | '-' | '*' | '/' | '%' | '=' | '<' | '>' | '!' | '&'
        | '|' | '^' | '~' | ':' => (Kind::Sign, 1),
        _ => (Kind::Strange, first.len_utf8()),
    }
}

/// What a name consists of behind its first character.
pub(crate) fn is_part(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '@' | '#' | '$')
}

/// How long what fits is, from the beginning.
fn run(rest: &str, fits: impl Fn(char) -> bool) -> usize {
    rest.find(|c| !fits(c)).unwrap_or(rest.len())
}

/// From a quote to its end. An end that stands there twice is one in the text.
fn quoted(rest: &str, end: char, kind: Kind) -> (Kind, usize) {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == end && chars.next_if(|(_, next)| *next == end).is_none() {
            return (kind, at + 1);
        }
    }
    (Kind::Open, rest.len())
}

/// A comment that may have others in it.
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
    (Kind::Open, rest.len())
}

/// `1`, `.5`, `1.5e-3`, `0xff`. The server ends a number where the word begins that runs into it:
/// `1from` is two tokens to it, and `1efrom` too.
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
    (if runs_on { Kind::Strange } else { Kind::Number }, end)
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
            ("1from", "Strange<1> Word<from>"),
            ("1.efrom", "Strange<1.> Word<efrom>"),
            ("0xfrom", "Strange<0xf> Word<rom>"),
            ("1e+from", "Strange<1> Word<e> Sign<+> Word<from>"),
            ("$1 @", "Strange<$> Number<1> Strange<@>"),
            ("'a", "Open<'a>"),
            ("'a''", "Open<'a''>"),
            ("[a]]", "Open<[a]]>"),
            ("/* /* */", "Open</* /* */>"),
            ("größe 名前", "Word<größe> Word<名前>"),
            ("\u{a0}", "Strange<\u{a0}>"),
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
