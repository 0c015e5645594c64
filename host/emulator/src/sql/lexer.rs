//! The words of T-SQL.

use super::failure::Failure;

/// What kind of word it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword, or a name without quotes.
    Word,
    /// `@name` or `@@name`.
    Variable,
    /// A name in brackets or double quotes, without them.
    Name,
    /// A text, without its quotes.
    Text,
    Number,
    /// A binary constant: the digits.
    Binary,
    Symbol,
}

/// A word, and the line that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) text: String,
    pub(super) line: u32,
}

impl Token {
    /// Whether it is this keyword.
    pub(super) fn is(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    pub(super) fn is_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    pub(super) fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol
    }

    /// Whether it can be a name.
    pub(super) fn is_name(&self) -> bool {
        matches!(self.kind, Kind::Word | Kind::Name)
    }
}

/// Splits a batch into its words.
pub(super) fn tokens(batch: &str) -> Result<Vec<Token>, Failure> {
    let mut chars = batch.chars().peekable();
    let (mut tokens, mut line) = (Vec::new(), 1);
    while let Some(c) = chars.next() {
        let started = line;
        let next = chars.peek().copied();
        let (kind, text) = match (c, next) {
            ('\n', _) => {
                line += 1;
                continue;
            }
            _ if c.is_whitespace() || c == '\u{feff}' => continue,
            ('-', Some('-')) => {
                while chars.next_if(|c| *c != '\n').is_some() {}
                continue;
            }
            ('/', Some('*')) => {
                let mut depth = 0;
                let mut previous = '/';
                for c in chars.by_ref() {
                    line += u32::from(c == '\n');
                    match (previous, c) {
                        ('/', '*') => depth += 1,
                        ('*', '/') => depth -= 1,
                        _ => {}
                    }
                    if depth == 0 {
                        break;
                    }
                    previous = if matches!((previous, c), ('/', '*') | ('*', '/')) { ' ' } else { c };
                }
                if depth != 0 {
                    return Err(Failure::new(113, "Missing end comment mark '*/'."));
                }
                continue;
            }
            ('N' | 'n', Some('\'')) => {
                chars.next();
                (Kind::Text, quoted(&mut chars, '\'', &mut line)?)
            }
            ('\'', _) => (Kind::Text, quoted(&mut chars, '\'', &mut line)?),
            ('"', _) => (Kind::Name, quoted(&mut chars, '"', &mut line)?),
            ('[', _) => (Kind::Name, quoted(&mut chars, ']', &mut line)?),
            ('0', Some('x' | 'X')) => {
                chars.next();
                (Kind::Binary, take(&mut chars, String::new(), |c| c.is_ascii_hexdigit()))
            }
            ('0'..='9', _) | ('.', Some('0'..='9')) => {
                let mut text = take(&mut chars, c.to_string(), |c| c.is_ascii_digit() || c == '.');
                if let Some(e) = chars.next_if(|c| matches!(c, 'e' | 'E')) {
                    text.push(e);
                    text.extend(chars.next_if(|c| matches!(c, '+' | '-')));
                    text = take(&mut chars, text, |c| c.is_ascii_digit());
                }
                (Kind::Number, text)
            }
            ('@', _) => (Kind::Variable, take(&mut chars, "@".to_owned(), is_in_word)),
            _ if is_in_word(c) => (Kind::Word, take(&mut chars, c.to_string(), is_in_word)),
            ('<', Some('>' | '=')) | ('>' | '!' | '+' | '-' | '*' | '/' | '%', Some('=')) | ('!', Some('<' | '>')) => {
                (Kind::Symbol, chars.next().map_or(c.to_string(), |second| format!("{c}{second}")))
            }
            _ => (Kind::Symbol, c.to_string()),
        };
        tokens.push(Token { kind, text, line: started });
    }
    Ok(tokens)
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn is_in_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '@' | '#' | '$')
}

fn take(chars: &mut Chars<'_>, mut text: String, is_in: impl Fn(char) -> bool) -> String {
    while let Some(c) = chars.next_if(|c| is_in(*c)) {
        text.push(c);
    }
    text
}

/// What is up to the closing quote, which is doubled where it is meant itself.
fn quoted(chars: &mut Chars<'_>, quote: char, line: &mut u32) -> Result<String, Failure> {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        *line += u32::from(c == '\n');
        if c == quote && chars.next_if_eq(&quote).is_none() {
            return Ok(text);
        }
        text.push(c);
    }
    let shown: String = text.chars().take(100).collect();
    Err(Failure::new(105, format!("Unclosed quotation mark after the character string '{shown}'.")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart() {
        let tokens = tokens("SELECT [a]]b], N'it''s' -- x\n/* /* y */ */ , 1.5e3, 0xAb, @@spid <> @p;").unwrap();
        let shown: Vec<_> = tokens.iter().map(|token| (token.kind, token.text.as_str())).collect();
        let symbol = |text| (Kind::Symbol, text);
        assert_eq!(
            shown,
            [
                (Kind::Word, "SELECT"),
                (Kind::Name, "a]b"),
                symbol(","),
                (Kind::Text, "it's"),
                symbol(","),
                (Kind::Number, "1.5e3"),
                symbol(","),
                (Kind::Binary, "Ab"),
                symbol(","),
                (Kind::Variable, "@@spid"),
                symbol("<>"),
                (Kind::Variable, "@p"),
                symbol(";"),
            ]
        );
        assert_eq!(tokens.last().unwrap().line, 2);
        assert_eq!(super::tokens("SELECT 'x").unwrap_err().number, 105);
    }
}
