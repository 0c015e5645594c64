//! Statements: what a batch consists of. T-SQL wants no semicolons between them.

use std::time::Duration;

use super::failure::Failure;
use super::lexer::{Kind, Token};
use super::types::SqlType;

/// A statement, and the line that it begins in.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statement {
    pub(super) line: u32,
    pub(super) does: Does,
}

/// What a statement does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Does {
    /// What SQLite can do, once it is translated.
    Sql(Vec<Token>),
    Begin,
    Commit,
    /// To the beginning, or to a savepoint.
    Rollback(Option<String>),
    Save(String),
    If(Vec<Token>, Box<Statement>, Option<Box<Statement>>),
    While(Vec<Token>, Box<Statement>),
    Block(Vec<Statement>),
    Declare(Vec<(String, SqlType, Vec<Token>)>),
    /// `SET @variable = ...`
    Set(String, Vec<Token>),
    /// `SELECT @variable = ..., ...`
    Assign(Vec<String>, Vec<Token>),
    Use(String),
    Wait(Duration),
    RaiseError(Vec<Vec<Token>>),
    Throw(Vec<Vec<Token>>),
    Print(Vec<Token>),
    /// A procedure, which there is none of.
    Execute(String),
    Return,
    Nothing,
}

/// The words that a statement begins with.
const STARTS: [&str; 26] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "MERGE",
    "CREATE",
    "DROP",
    "ALTER",
    "TRUNCATE",
    "SET",
    "DECLARE",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVE",
    "IF",
    "WHILE",
    "USE",
    "WAITFOR",
    "RAISERROR",
    "THROW",
    "PRINT",
    "EXEC",
    "EXECUTE",
    "RETURN",
    "GO",
];

pub(super) fn parse(tokens: &[Token]) -> Result<Vec<Statement>, Failure> {
    let mut parser = Parser { tokens, at: 0 };
    let mut statements = Vec::new();
    while parser.skip_semicolons() {
        statements.push(parser.statement()?);
    }
    Ok(statements)
}

/// Splits at the commas that are in no parentheses.
pub(super) fn by_commas(tokens: &[Token]) -> Vec<&[Token]> {
    let mut depth = 0_i32;
    tokens
        .split(|token| {
            depth += i32::from(token.is_symbol("(")) - i32::from(token.is_symbol(")"));
            depth == 0 && token.is_symbol(",")
        })
        .collect()
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    fn next_is(&self, words: &[&str]) -> bool {
        self.peek().is_some_and(|token| token.is_any(words))
    }

    fn take(&mut self) -> Option<&'a Token> {
        let token = self.peek();
        self.at += usize::from(token.is_some());
        token
    }

    fn take_word(&mut self, words: &[&str]) -> bool {
        let found = self.next_is(words);
        self.at += usize::from(found);
        found
    }

    /// Whether there is anything behind the semicolons.
    fn skip_semicolons(&mut self) -> bool {
        while self.peek().is_some_and(|token| token.is_symbol(";")) {
            self.at += 1;
        }
        self.peek().is_some()
    }

    fn near(&self) -> Failure {
        let last = self.peek().or(self.tokens.last());
        Failure::syntax(last.map_or("", |token| token.text.as_str()))
    }

    fn statement(&mut self) -> Result<Statement, Failure> {
        let Some(first) = self.peek() else { return Err(self.near()) };
        let does = self.does(first)?;
        Ok(Statement { line: first.line, does })
    }

    fn does(&mut self, first: &Token) -> Result<Does, Failure> {
        let word = if first.kind == Kind::Word { first.text.to_ascii_uppercase() } else { String::new() };
        self.at += 1;
        Ok(match word.as_str() {
            "BEGIN" if self.take_word(&["TRAN", "TRANSACTION"]) => {
                self.name();
                Does::Begin
            }
            "BEGIN" => self.block()?,
            "COMMIT" | "ROLLBACK" => {
                let has_name = self.take_word(&["TRAN", "TRANSACTION"]);
                self.take_word(&["WORK"]);
                let name = if has_name { self.name() } else { None };
                if word == "COMMIT" { Does::Commit } else { Does::Rollback(name) }
            }
            "SAVE" if self.take_word(&["TRAN", "TRANSACTION"]) => Does::Save(self.name().ok_or_else(|| self.near())?),
            "IF" => {
                let condition = self.condition();
                let then = Box::new(self.statement()?);
                let before = self.at;
                self.skip_semicolons();
                let otherwise = if self.take_word(&["ELSE"]) { Some(Box::new(self.statement()?)) } else { None };
                if otherwise.is_none() {
                    self.at = before;
                }
                Does::If(condition, then, otherwise)
            }
            "WHILE" => {
                let condition = self.condition();
                Does::While(condition, Box::new(self.statement()?))
            }
            "DECLARE" => self.declare()?,
            "SET" => match self.peek() {
                Some(variable) if variable.kind == Kind::Variable => {
                    self.at += 1;
                    if self.take().is_none_or(|token| !token.is_symbol("=")) {
                        return Err(self.near());
                    }
                    Does::Set(variable.text.to_ascii_lowercase(), self.rest("SET"))
                }
                _ => {
                    self.rest("SET");
                    Does::Nothing
                }
            },
            "USE" => Does::Use(self.name().ok_or_else(|| self.near())?),
            "WAITFOR" => self.wait()?,
            "RAISERROR" => Does::RaiseError(self.arguments("RAISERROR")),
            "THROW" => Does::Throw(self.arguments("THROW")),
            "PRINT" => Does::Print(self.rest("PRINT")),
            "EXEC" | "EXECUTE" => {
                let rest = self.rest("EXEC");
                Does::Execute(rest.first().map(|token| token.text.clone()).unwrap_or_default())
            }
            "RETURN" => {
                self.rest("RETURN");
                Does::Return
            }
            "GO" => Does::Nothing,
            "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "CREATE" | "DROP" | "ALTER" | "TRUNCATE" | "WITH" => {
                let mut tokens = vec![first.clone()];
                tokens.extend(self.rest(&word));
                assignment(tokens)
            }
            _ => return Err(Failure::syntax(&first.text)),
        })
    }

    /// The name of a transaction, where there is one.
    fn name(&mut self) -> Option<String> {
        let is_name =
            |token: &&Token| token.is_name() && !token.is_any(&STARTS) && !token.is_any(&["END", "ELSE", "WITH"]);
        let name = self.peek().filter(is_name)?;
        self.at += 1;
        Some(name.text.clone())
    }

    fn block(&mut self) -> Result<Does, Failure> {
        let mut statements = Vec::new();
        while self.skip_semicolons() {
            if self.take_word(&["END"]) {
                return Ok(Does::Block(statements));
            }
            statements.push(self.statement()?);
        }
        Err(self.near())
    }

    /// What is up to the next statement.
    fn condition(&mut self) -> Vec<Token> {
        self.rest("IF")
    }

    fn declare(&mut self) -> Result<Does, Failure> {
        let rest = self.rest("DECLARE");
        let mut variables = Vec::new();
        for item in by_commas(&rest) {
            let [name, tokens @ ..] = item else { return Err(self.near()) };
            let tokens = match tokens {
                [first, rest @ ..] if first.is("AS") => rest,
                tokens => tokens,
            };
            let end = tokens.iter().position(|token| token.is_symbol("=")).unwrap_or(tokens.len());
            let (of, value) = tokens.split_at(end);
            let of: String = of.iter().map(|token| token.text.as_str()).collect();
            let of = SqlType::parse(&of).ok_or_else(|| Failure::new(2715, format!("Cannot find data type {of}.")))?;
            variables.push((name.text.to_ascii_lowercase(), of, value.get(1..).unwrap_or_default().to_vec()));
        }
        Ok(Does::Declare(variables))
    }

    fn wait(&mut self) -> Result<Does, Failure> {
        if !self.take_word(&["DELAY"]) {
            return Err(self.near());
        }
        let text = self.take().map(|token| token.text.clone()).unwrap_or_default();
        let bad = || Failure::new(148, format!("Incorrect time syntax in time string '{text}' used with WAITFOR."));
        let moment = super::civil::Moment::parse(&text).ok_or_else(bad)?;
        Ok(Does::Wait(Duration::from_nanos(moment.units.saturating_mul(100))))
    }

    fn arguments(&mut self, word: &str) -> Vec<Vec<Token>> {
        let rest = self.rest(word);
        let inner = match rest.as_slice() {
            [open, inner @ ..] if open.is_symbol("(") => {
                let end = inner.iter().rposition(|token| token.is_symbol(")")).unwrap_or(inner.len());
                inner.get(..end).unwrap_or_default()
            }
            all => all,
        };
        if inner.is_empty() { Vec::new() } else { by_commas(inner).into_iter().map(<[Token]>::to_vec).collect() }
    }

    /// The words up to the end of a statement that begins with this one.
    fn rest(&mut self, first: &str) -> Vec<Token> {
        let start = self.at;
        let (mut depth, mut cases) = (0_i32, 0_i32);
        // The verb behind a WITH, the SET of an UPDATE, the VALUES or SELECT of an INSERT: each comes once.
        let mut verb = (first != "WITH").then(|| first.to_owned());
        let (mut has_set, mut has_source) = (false, false);
        while let Some(token) = self.peek() {
            let previous = self.tokens.get(self.at.wrapping_sub(1));
            let follows = |words: &[&str]| previous.is_some_and(|previous| previous.is_any(words));
            depth += i32::from(token.is_symbol("(")) - i32::from(token.is_symbol(")"));
            cases += i32::from(token.is("CASE"));
            if depth <= 0 && cases == 0 {
                if token.is_symbol(";") || token.is_any(&["END", "ELSE"]) {
                    break;
                }
                let verb_is = |word: &str| verb.as_deref() == Some(word);
                let goes_on = match token.text.to_ascii_uppercase().as_str() {
                    "SELECT" if verb.is_none() => true,
                    "SELECT" if verb_is("INSERT") && !has_source => true,
                    "SELECT" => follows(&["UNION", "ALL", "EXCEPT", "INTERSECT", "AS"]),
                    "INSERT" | "UPDATE" | "DELETE" | "MERGE" => verb.is_none() || follows(&["ON", "THEN", "FOR"]),
                    "SET" => (verb_is("UPDATE") && !has_set) || follows(&["DELETE", "UPDATE"]),
                    "IF" => follows(&["TABLE", "VIEW", "INDEX"]),
                    "EXEC" | "EXECUTE" => verb_is("INSERT"),
                    _ => false,
                };
                if token.is_any(&STARTS) && !goes_on {
                    break;
                }
                if verb.is_none() && token.is_any(&["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"]) {
                    verb = Some(token.text.to_ascii_uppercase());
                } else {
                    has_source |= token.is_any(&["SELECT", "VALUES"]);
                }
                has_set |= token.is("SET");
            }
            cases -= i32::from(cases > 0 && token.is("END"));
            self.at += 1;
        }
        self.tokens.get(start..self.at).unwrap_or_default().to_vec()
    }
}

/// `SELECT @a = x, @b = y FROM t` as what it assigns, and a query.
fn assignment(tokens: Vec<Token>) -> Does {
    let is_assignment = matches!(
        tokens.as_slice(),
        [select, variable, equals, ..] if select.is("SELECT") && variable.kind == Kind::Variable && equals.is_symbol("=")
    );
    if !is_assignment {
        return Does::Sql(tokens);
    }
    let (mut names, mut query, mut depth) = (Vec::new(), Vec::new(), 0_i32);
    let (mut in_list, mut skip, mut may_name) = (true, 0, false);
    for (at, token) in tokens.iter().enumerate() {
        depth += i32::from(token.is_symbol("(")) - i32::from(token.is_symbol(")"));
        in_list &= !(depth == 0 && token.is("FROM"));
        let equals = tokens.get(at + 1).is_some_and(|next| next.is_symbol("="));
        if in_list && may_name && token.kind == Kind::Variable && equals {
            names.push(token.text.to_ascii_lowercase());
            skip = 2;
        }
        may_name = in_list && depth == 0 && (at == 0 || token.is_symbol(","));
        if skip > 0 {
            skip -= 1;
        } else {
            query.push(token.clone());
        }
    }
    Does::Assign(names, query)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lexer::tokens;

    fn shown(batch: &str) -> Vec<String> {
        let statements = parse(&tokens(batch).unwrap()).unwrap();
        statements
            .into_iter()
            .map(|statement| match statement.does {
                Does::Sql(tokens) => tokens.iter().map(|token| token.text.as_str()).collect::<Vec<_>>().join(" "),
                other => format!("{other:?}").split(['(', ' ']).next().unwrap().to_owned(),
            })
            .collect()
    }

    #[test]
    fn statements_end_where_the_next_begins() {
        for (batch, expected) in [
            ("SELECT 1 SELECT 2; SELECT 3", vec!["SELECT 1", "SELECT 2", "SELECT 3"]),
            ("INSERT INTO a SELECT 1 SELECT 2", vec!["INSERT INTO a SELECT 1", "SELECT 2"]),
            ("INSERT INTO a VALUES (1) SELECT 2", vec!["INSERT INTO a VALUES ( 1 )", "SELECT 2"]),
            ("UPDATE a SET b = 1 SET NOCOUNT ON", vec!["UPDATE a SET b = 1", "Nothing"]),
            ("SELECT 1 UNION ALL SELECT 2", vec!["SELECT 1 UNION ALL SELECT 2"]),
            (
                "WITH c AS (SELECT 1 x) SELECT x FROM c SELECT 2",
                vec!["WITH c AS ( SELECT 1 x ) SELECT x FROM c", "SELECT 2"],
            ),
            (
                "SELECT CASE WHEN 1=1 THEN 2 ELSE 3 END SELECT 4",
                vec!["SELECT CASE WHEN 1 = 1 THEN 2 ELSE 3 END", "SELECT 4"],
            ),
            ("IF @@TRANCOUNT > 0 COMMIT BEGIN TRANSACTION", vec!["If", "Begin"]),
            ("BEGIN TRAN; BEGIN SELECT 1 END COMMIT", vec!["Begin", "Block", "Commit"]),
            ("DROP TABLE IF EXISTS t SELECT 1", vec!["DROP TABLE IF EXISTS t", "SELECT 1"]),
            ("SELECT @a = 1, @b = c FROM t", vec!["Assign"]),
        ] {
            assert_eq!(shown(batch), expected, "{batch}");
        }
        assert_eq!(parse(&tokens("SELEC 1").unwrap()).unwrap_err().number, 102);
    }
}
