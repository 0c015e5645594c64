//! Which statements are known to read, and not to write.
//!
//! Nothing here is taken for granted. A statement goes to the server only if
//!
//! - its tokens can be read in one way only ([`lexer`](crate::lexer)): no character outside ASCII,
//!   no control character and no number that runs into a word, but in strings and in quoted names;
//! - none of its words begins or belongs to a statement that writes ([`words`]);
//! - it begins with `select` or `with`, and a parser for Transact-SQL reads all of it as one query
//!   without `into`; several are separated by semicolons.
//!
//! What the parser does not know is refused. Comments are taken out before the statement is sent:
//! what the server reads is what was checked.
//!
//! It is a fence for callers, not for the mount's user: what that user may do, the database says. A
//! user with the role `db_datareader` alone is the wall behind it.

use std::ops::ControlFlow;

use keyward_plugin::Problem;
use sqlparser::ast::{Query, Select, SetExpr, Statement, Visit, Visitor};
use sqlparser::dialect::MsSqlDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token as ParserToken;

use crate::lexer::{Kind, Token, tokens};
use crate::words;

/// How deep a query may be nested, as the parser counts: one for an expression in parentheses, two
/// or three for a query in another. Each takes up to 14 KiB of the sandbox's stack, which
/// `build.rs` makes large enough.
const DEPTH: usize = 24;

/// How many tokens a statement may have. `1 + 1 + ...` is a tree as deep as it is long.
const LONGEST: usize = 4000;

/// Why a statement is not known to be a read.
type Refused = String;

/// The statements without their comments, if all of them are known to read and not to write.
/// `query` is their name, where they stand in the configuration: then the caller is not told how
/// they begin.
pub(crate) fn check(statements: &str, query: Option<&str>) -> Result<String, Problem> {
    let all: Vec<Token<'_>> = tokens(statements).collect();
    for (number, statement) in all.split(|token| token.is(";")).enumerate() {
        if !statement.iter().all(Token::is_blank) {
            is_read(statement).map_err(|why| refused(number + 1, statement, query, &why))?;
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

/// What stands in a comment's place. The ends of lines are kept, for the line in the server's
/// errors.
fn blank(comment: &str) -> String {
    let lines = comment.matches('\n').count();
    if lines == 0 { " ".to_owned() } else { "\n".repeat(lines) }
}

fn refused(number: usize, statement: &[Token<'_>], query: Option<&str>, why: &str) -> Problem {
    let which = match query {
        Some(query) => format!("of the query {query:?}"),
        None => format!("({:?})", beginning(statement)),
    };
    let detail = format!(
        "statement {number} {which} was not run: {why}. This mount has `read_only = true`, and \
         runs only what it knows to read \
         and not to write"
    );
    Problem::new(403, "read-only", "The mount is read-only", detail)
        .with("statement", number)
        .with("reason", why)
}

/// As much as is needed to find it.
fn beginning(statement: &[Token<'_>]) -> String {
    let text: String = statement.iter().map(|token| token.text).collect();
    let mut beginning: String = text.trim_ascii().chars().take(60).collect();
    if beginning.len() < text.trim_ascii().len() {
        beginning.push_str("...");
    }
    beginning
}

fn is_read(statement: &[Token<'_>]) -> Result<(), Refused> {
    if statement.len() > LONGEST {
        return Err(format!("it has more than {LONGEST} words and signs"));
    }
    let mut checked = statement.iter().map(checked).collect::<Result<Vec<String>, _>>()?;
    let mut before = None;
    for (token, text) in statement.iter().zip(&mut checked).filter(|(token, _)| !token.is_blank()) {
        // `fetch next @n rows`, where the parser knows numbers alone.
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
    if significant.windows(3).any(|three| {
        matches!(three, [next, value, of] if next.is_word("next") && value.is_word("value") && of.is_word("for"))
    }) {
        return Err("`next value for` changes a sequence".to_owned());
    }
    let plain: String = checked.into_iter().take(before_options(statement)).collect();
    is_query(&plain)
}

/// How many tokens there are before `option (recompile, maxdop 1)` at the end, which the parser
/// does not know. What is in its parentheses is words and numbers, and has been checked.
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

/// A token as the parser shall see it. What stands in quotes is left out: the parser might see its
/// end elsewhere than the server does, and it does not matter what is in it.
fn checked(token: &Token<'_>) -> Result<String, Refused> {
    Ok(match token.kind {
        Kind::Text => "'s'".to_owned(),
        Kind::Quoted if token.text.chars().any(char::is_control) => {
            return Err("a quoted name has a control character in it".to_owned());
        }
        Kind::Quoted => {
            let name = token.text.get(1..token.text.len() - 1).unwrap_or_default();
            match words::locks(name) {
                true => return Err(format!("`{name}` takes locks")),
                false => "[q]".to_owned(),
            }
        }
        Kind::Comment => blank(token.text),
        Kind::Open => {
            return Err("a string, a quoted name or a comment in it does not end".to_owned());
        }
        Kind::Strange => {
            return Err(format!(
                "{:?} may be read in more than one way: put names in brackets, and values into \
                 `params`",
                token.text
            ));
        }
        Kind::Word | Kind::Variable | Kind::Global if !token.text.is_ascii() => {
            return Err(format!(
                "{:?} has letters outside ASCII: put the name in brackets",
                token.text
            ));
        }
        Kind::Word => match words::refused(token.text) {
            Some(why) => return Err(why),
            None => token.text.to_owned(),
        },
        Kind::Number | Kind::Variable | Kind::Global | Kind::Space | Kind::Sign => {
            token.text.to_owned()
        }
    })
}

fn is_query(text: &str) -> Result<(), Refused> {
    let parsed = Parser::new(&MsSqlDialect {}).with_recursion_limit(DEPTH).try_with_sql(text);
    let mut parser = parsed.map_err(|error| unknown(&error))?;
    let query = parser.parse_query().map_err(|error| unknown(&error))?;
    let behind = parser.peek_token();
    if behind.token != ParserToken::EOF {
        let what = behind.token.to_string();
        return Err(format!(
            "its query ends before `{what}`, and what follows is not known. Statements are \
             separated by semicolons"
        ));
    }
    match query.visit(&mut Reads) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(why) => Err(why),
    }
}

fn unknown(error: &ParserError) -> Refused {
    match error {
        ParserError::RecursionLimitExceeded => "it is nested too deep to be checked".to_owned(),
        ParserError::TokenizerError(what) | ParserError::ParserError(what) => {
            let what = what.split(" at Line: ").next().unwrap_or_default();
            format!("the parser does not know it ({what})")
        }
    }
}

/// Looks for what writes, in all of a query.
struct Reads;

impl Visitor for Reads {
    type Break = Refused;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Refused> {
        if !query.locks.is_empty() {
            return ControlFlow::Break("it takes locks".to_owned());
        }
        match selects(&query.body) {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break("it has a part that is no `select`".to_owned()),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Refused> {
        match &select.into {
            Some(_) => ControlFlow::Break("`into` makes a table".to_owned()),
            None => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_statement(&mut self, _: &Statement) -> ControlFlow<Refused> {
        ControlFlow::Break("it contains a statement that is not a query".to_owned())
    }

    fn pre_visit_relation(
        &mut self,
        relation: &sqlparser::ast::ObjectName,
    ) -> ControlFlow<Refused> {
        match relation.0.len() {
            ..=3 => ControlFlow::Continue(()),
            _ => ControlFlow::Break("a name of four parts leads to another server".to_owned()),
        }
    }
}

/// Whether what is put together by `union` and the like is all selects. The queries in it are
/// visited by themselves.
fn selects(body: &SetExpr) -> bool {
    let mut left = body;
    loop {
        match left {
            SetExpr::SetOperation { left: next, right, .. } if selects(right) => left = next,
            SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => return true,
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests;
