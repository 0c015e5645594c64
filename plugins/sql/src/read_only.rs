//! Check that statements only read.
//!
//! A statement is sent to the server only if
//!
//! - its tokens are unambiguous ([`lexer`](crate::lexer)): outside of strings and quoted names it
//!   has only ASCII characters, no control characters, and no number directly followed by a word;
//! - none of its words begins or belongs to a statement that writes ([`keywords`]);
//! - it begins with `select` or `with`, and a parser for Transact-SQL accepts all of it as one
//!   query without `into`. Several statements are separated by semicolons.
//!
//! What the parser does not know is denied. Comments are removed before the statement is sent, so
//! that the server sees exactly what was checked.
//!
//! The check restricts callers, not the mount's user in the database. Give that user the role
//! `db_datareader` only, as a second line of defence.

use std::ops::ControlFlow;

use keyward_plugin::Problem;
use sqlparser::ast::{Query, Select, SetExpr, Statement, Visit, Visitor};
use sqlparser::dialect::MsSqlDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token as ParserToken;

use crate::keywords;
use crate::lexer::{Kind, Token, tokens};

/// Maximum nesting depth, as the parser counts: one level for an expression in parentheses, two or
/// three for a subquery. A level takes up to 14 KiB of the sandbox's stack, which `build.rs` makes
/// large enough.
const MAX_DEPTH: usize = 24;

/// Maximum number of tokens of a statement. `1 + 1 + ...` is a tree as deep as it is long.
const MAX_TOKENS: usize = 4000;

/// Why a statement is not known to only read.
type Denied = String;

/// Returns the statements without their comments if all of them only read. `query` is the name of
/// a query in the configuration, whose text the error does not show to the caller.
pub(crate) fn check(statements: &str, query: Option<&str>) -> Result<String, Problem> {
    let all: Vec<Token<'_>> = tokens(statements).collect();
    for (number, statement) in all.split(|token| token.is(";")).enumerate() {
        if !statement.iter().all(Token::is_blank) {
            is_read(statement).map_err(|why| denied(number + 1, statement, query, &why))?;
        }
    }
    Ok(all
        .iter()
        .map(
            |token| {
                if token.kind == Kind::Comment { blank(token.text) } else { token.text.to_owned() }
            },
        )
        .collect())
}

/// The replacement of a comment. Line breaks stay, for the line numbers in the server's errors.
fn blank(comment: &str) -> String {
    let lines = comment.matches('\n').count();
    if lines == 0 { " ".to_owned() } else { "\n".repeat(lines) }
}

fn denied(number: usize, statement: &[Token<'_>], query: Option<&str>, why: &str) -> Problem {
    let which = match query {
        Some(query) => format!("of the query {query:?}"),
        None => format!("({:?})", beginning(statement)),
    };
    let detail = format!(
        "statement {number} {which} was not run: {why}. This mount has `read_only = true`, and \
         runs only statements that are known to read and not to write"
    );
    Problem::new(403, "read-only", "The mount is read-only", detail)
        .with("statement", number)
        .with("reason", why)
}

/// The first characters of a statement, to identify it.
fn beginning(statement: &[Token<'_>]) -> String {
    let text: String = statement.iter().map(|token| token.text).collect();
    let mut beginning: String = text.trim_ascii().chars().take(60).collect();
    if beginning.len() < text.trim_ascii().len() {
        beginning.push_str("...");
    }
    beginning
}

fn is_read(statement: &[Token<'_>]) -> Result<(), Denied> {
    if statement.len() > MAX_TOKENS {
        return Err(format!("it has more than {MAX_TOKENS} words and signs"));
    }
    let mut checked = statement.iter().map(checked).collect::<Result<Vec<String>, _>>()?;
    let mut before = None;
    for (token, text) in statement.iter().zip(&mut checked).filter(|(token, _)| !token.is_blank()) {
        // In `fetch next @n rows` the parser accepts only a number.
        if token.kind == Kind::Variable
            && before.is_some_and(|before: &Token<'_>| before.is_word("next"))
        {
            "1".clone_into(text);
        }
        before = Some(token);
    }
    let significant: Vec<&Token<'_>> = statement.iter().filter(|token| !token.is_blank()).collect();
    let begins =
        |first: &&Token<'_>| first.is_word("select") || first.is_word("with") || first.is("(");
    if !significant.first().is_some_and(begins) {
        return Err("it begins with neither `select` nor `with`".to_owned());
    }
    let changes_sequence = |words: &[&Token<'_>]| {
        words.iter().zip(["next", "value", "for"]).all(|(token, word)| token.is_word(word))
    };
    if significant.windows(3).any(changes_sequence) {
        return Err("`next value for` changes a sequence".to_owned());
    }
    let plain: String = checked.into_iter().take(before_options(statement)).collect();
    is_query(&plain)
}

/// The number of tokens before a final `option (recompile, maxdop 1)`, which the parser does not
/// know. Its parentheses may contain only words and numbers, which are already checked.
fn before_options(statement: &[Token<'_>]) -> usize {
    let all = statement.len();
    let Some(at) = statement.iter().rposition(|token| token.is_word("option")) else { return all };
    let mut options = statement.iter().skip(at + 1).filter(|token| !token.is_blank());
    let is_plain =
        |token: &Token<'_>| matches!(token.kind, Kind::Word | Kind::Number) || token.is(",");
    let parentheses = (options.next(), options.next_back());
    match parentheses {
        (Some(open), Some(close)) if open.is("(") && close.is(")") && options.all(is_plain) => at,
        _ => all,
    }
}

/// A token as it is passed to the parser. Quoted text is replaced: its content does not matter, and
/// the parser might find its end elsewhere than the server does.
fn checked(token: &Token<'_>) -> Result<String, Denied> {
    Ok(match token.kind {
        Kind::Text => "'s'".to_owned(),
        Kind::Quoted if token.text.chars().any(char::is_control) => {
            return Err("a quoted name contains a control character".to_owned());
        }
        Kind::Quoted => {
            let name = token.text.get(1..token.text.len() - 1).unwrap_or_default();
            match keywords::is_lock_hint(name) {
                true => return Err(format!("`{name}` takes locks")),
                false => "[q]".to_owned(),
            }
        }
        Kind::Comment => blank(token.text),
        Kind::Unterminated => {
            return Err("it has an unterminated string, quoted name or comment".to_owned());
        }
        Kind::Ambiguous => {
            return Err(format!(
                "{:?} is ambiguous: put names in brackets, and values into `params`",
                token.text
            ));
        }
        Kind::Word | Kind::Variable | Kind::Global if !token.text.is_ascii() => {
            return Err(format!(
                "{:?} has letters outside ASCII: put the name in brackets",
                token.text
            ));
        }
        Kind::Word => match keywords::denied(token.text) {
            Some(why) => return Err(why),
            None => token.text.to_owned(),
        },
        Kind::Number | Kind::Variable | Kind::Global | Kind::Space | Kind::Sign => {
            token.text.to_owned()
        }
    })
}

fn is_query(text: &str) -> Result<(), Denied> {
    let parsed = Parser::new(&MsSqlDialect {}).with_recursion_limit(MAX_DEPTH).try_with_sql(text);
    let mut parser = parsed.map_err(|error| unknown(&error))?;
    let query = parser.parse_query().map_err(|error| unknown(&error))?;
    let following = parser.peek_token();
    if following.token != ParserToken::EOF {
        let what = following.token.to_string();
        return Err(format!("its query ends before `{what}`; separate statements with semicolons"));
    }
    match query.visit(&mut ReadOnlyVisitor) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(why) => Err(why),
    }
}

fn unknown(error: &ParserError) -> Denied {
    match error {
        ParserError::RecursionLimitExceeded => "it is nested too deeply to be checked".to_owned(),
        ParserError::TokenizerError(what) | ParserError::ParserError(what) => {
            let what = what.split(" at Line: ").next().unwrap_or_default();
            format!("it could not be parsed ({what})")
        }
    }
}

/// Searches a parsed query for parts that write.
struct ReadOnlyVisitor;

impl Visitor for ReadOnlyVisitor {
    type Break = Denied;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Denied> {
        if !query.locks.is_empty() {
            return ControlFlow::Break("it takes locks".to_owned());
        }
        match is_all_selects(&query.body) {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break("it has a part that is not a `select`".to_owned()),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Denied> {
        match &select.into {
            Some(_) => ControlFlow::Break("`into` creates a table".to_owned()),
            None => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_statement(&mut self, _: &Statement) -> ControlFlow<Denied> {
        ControlFlow::Break("it contains a statement that is not a query".to_owned())
    }

    fn pre_visit_relation(&mut self, relation: &sqlparser::ast::ObjectName) -> ControlFlow<Denied> {
        match relation.0.len() {
            ..=3 => ControlFlow::Continue(()),
            _ => ControlFlow::Break("a name of four parts refers to another server".to_owned()),
        }
    }
}

/// Whether all operands of `union` and the like are selects. Subqueries are visited separately.
fn is_all_selects(body: &SetExpr) -> bool {
    let mut left = body;
    loop {
        match left {
            SetExpr::SetOperation { left: next, right, .. } if is_all_selects(right) => left = next,
            SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => return true,
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests;
