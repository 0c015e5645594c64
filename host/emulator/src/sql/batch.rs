//! Parses a batch: the flow of control here, and each statement of it by sqlparser.

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{
    self, DeclareAssignment, Delete, Expr, FromTable, ObjectName, Query, Select, SelectItem, Set,
    SetExpr, ThrowStatement, Use, WaitForType,
};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, TokenizerError};

use super::dialect::{TransactSql, begins_statement};
use super::sql_error::SqlError;
use super::sql_type::SqlType;

/// Limit of nested blocks; that of the parser for nested queries and parentheses.
const MAX_DEPTH: usize = 50;

/// Limit of the operators of one expression, which is a tree as deep as it has operators. SQLite
/// has the same limit.
const MAX_OPERATORS: usize = 1000;

/// Stack size of a thread that parses and translates. An unoptimized build needs up to 40 KiB for
/// each level of a tree.
pub(super) const STACK_SIZE: usize = 64 << 20;

/// A statement, and the line of the batch that it begins at.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statement {
    pub(super) line: u32,
    pub(super) kind: StatementKind,
}

/// What a statement does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum StatementKind {
    /// A statement that SQLite runs once it is translated.
    Sql(Box<ast::Statement>),
    BeginTransaction,
    Commit,
    /// Rolls back to a savepoint, or else the whole transaction.
    Rollback(Option<String>),
    SaveTransaction(String),
    If {
        condition: Expr,
        then: Box<Statement>,
        otherwise: Option<Box<Statement>>,
    },
    While {
        condition: Expr,
        body: Box<Statement>,
    },
    Block(Vec<Statement>),
    Declare(Vec<Declaration>),
    /// `SET @variable = value`
    SetVariable {
        variable: String,
        value: Expr,
    },
    /// `SELECT @variable = value, ... FROM ...`
    AssignFromQuery {
        variables: Vec<String>,
        query: Box<Query>,
    },
    Use(String),
    WaitForDelay(Expr),
    RaiseError(Vec<Expr>),
    /// The number, the message and the state.
    Throw(Box<[Expr; 3]>),
    Print(Expr),
    /// A call of a stored procedure. There are none.
    Execute(String),
    Return,
    /// An option of the session, which has no effect.
    SetOption,
}

/// A variable that a DECLARE or the parameters of a call declare.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Declaration {
    /// Its name in lower case, with the `@`.
    pub(super) name: String,
    /// Its type; `None` if it is unknown.
    pub(super) sql_type: Option<SqlType>,
    /// The type as it is written.
    pub(super) type_name: String,
    pub(super) value: Option<Expr>,
}

/// Parses a batch.
pub(super) fn parse(batch: &str) -> Result<Vec<Statement>, SqlError> {
    let mut parser = BatchParser::new(batch)?;
    let mut statements = Vec::new();
    while parser.skip_semicolons() {
        let statement = parser.statement().map_err(|error| parser.syntax_error(&error))?;
        statements.push(statement);
    }
    Ok(statements)
}

/// Parses the declaration of parameters that a call has: `@a int, @b nvarchar(10) OUTPUT`.
pub(super) fn parse_parameters(declaration: &str) -> Result<Vec<Declaration>, SqlError> {
    let mut batch = BatchParser::new(declaration)?;
    if !batch.skip_semicolons() {
        return Ok(Vec::new());
    }
    let declarations = batch.parser.parse_comma_separated(|parser| {
        let name = parser.parse_identifier()?;
        // Both are optional.
        let _ = parser.parse_keyword(Keyword::AS);
        let data_type = parser.parse_data_type()?.to_string();
        let _ = parser.parse_one_of_keywords(&[Keyword::OUTPUT, Keyword::OUT]);
        Ok(declaration_of(&name.value, data_type, None))
    });
    declarations.map_err(|error| batch.syntax_error(&error))
}

fn declaration_of(name: &str, type_name: String, value: Option<Expr>) -> Declaration {
    let sql_type = SqlType::parse(&type_name);
    Declaration { name: name.to_ascii_lowercase(), sql_type, type_name, value }
}

struct BatchParser {
    parser: Parser<'static>,
    /// The last token, which a syntax error at the end names.
    last: String,
    depth: usize,
}

impl BatchParser {
    fn new(batch: &str) -> Result<Self, SqlError> {
        let batch = batch.trim_start_matches('\u{feff}');
        let tokens = Tokenizer::new(&TransactSql, batch).tokenize_with_location();
        let tokens = accepted(tokens.map_err(|error| tokenizer_error(&error, batch))?);
        if longest_expression(&tokens) > MAX_OPERATORS {
            return Err(SqlError::too_deep());
        }
        let last = tokens.last().map_or_else(String::new, |token| token.to_string());
        let parser = Parser::new(&TransactSql)
            .with_recursion_limit(MAX_DEPTH)
            .with_tokens_with_locations(tokens);
        Ok(Self { parser, last, depth: 0 })
    }

    fn syntax_error(&self, error: &ParserError) -> SqlError {
        let message = match error {
            ParserError::RecursionLimitExceeded => return SqlError::too_deep(),
            ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
        };
        // "Expected: an expression, found: FROM at Line: 1, Column: 8"
        let token = message.split_once("found: ").map_or(message.as_str(), |(_, token)| token);
        match token.split(" at Line: ").next() {
            None | Some("EOF") => SqlError::syntax(&self.last),
            Some(token) => SqlError::syntax(token),
        }
    }

    /// Whether there is another statement after the semicolons.
    fn skip_semicolons(&mut self) -> bool {
        while self.parser.consume_token(&Token::SemiColon) {}
        self.parser.peek_token_ref().token != Token::EOF
    }

    fn statement(&mut self) -> Result<Statement, ParserError> {
        if self.depth == MAX_DEPTH {
            return Err(ParserError::RecursionLimitExceeded);
        }
        self.depth += 1;
        let line = u32::try_from(self.parser.peek_token_ref().span.start.line).unwrap_or(u32::MAX);
        let kind = self.kind()?;
        self.depth -= 1;
        Ok(Statement { line, kind })
    }

    fn kind(&mut self) -> Result<StatementKind, ParserError> {
        const TRANSACTION: [Keyword; 2] = [Keyword::TRAN, Keyword::TRANSACTION];
        let parser = &mut self.parser;
        if parser.parse_keyword(Keyword::IF) {
            return self.if_statement();
        }
        if parser.parse_keyword(Keyword::WHILE) {
            let condition = parser.parse_expr()?;
            return Ok(StatementKind::While { condition, body: Box::new(self.statement()?) });
        }
        if parser.parse_keyword(Keyword::BEGIN) {
            if parser.parse_one_of_keywords(&TRANSACTION).is_none() {
                return self.block();
            }
            self.transaction_name()?;
            return Ok(StatementKind::BeginTransaction);
        }
        if let Some(keyword) = parser.parse_one_of_keywords(&[Keyword::COMMIT, Keyword::ROLLBACK]) {
            let name = match parser.parse_one_of_keywords(&TRANSACTION) {
                Some(_) => self.transaction_name()?,
                None => {
                    let _ = parser.parse_keyword(Keyword::WORK);
                    None
                }
            };
            let is_commit = keyword == Keyword::COMMIT;
            return Ok(if is_commit {
                StatementKind::Commit
            } else {
                StatementKind::Rollback(name)
            });
        }
        if next_is_word(parser, "SAVE") {
            parser.advance_token();
            parser.expect_one_of_keywords(&TRANSACTION)?;
            return Ok(StatementKind::SaveTransaction(parser.parse_identifier()?.value));
        }
        if parser.parse_one_of_keywords(&[Keyword::EXEC, Keyword::EXECUTE]).is_some() {
            return self.execute();
        }
        if parser.peek_keyword(Keyword::DELETE) {
            return Ok(StatementKind::Sql(Box::new(delete(parser)?)));
        }
        from_ast(parser.parse_statement()?)
    }

    fn if_statement(&mut self) -> Result<StatementKind, ParserError> {
        let condition = self.parser.parse_expr()?;
        let then = Box::new(self.statement()?);
        let before = self.parser.index();
        self.skip_semicolons();
        let otherwise = if self.parser.parse_keyword(Keyword::ELSE) {
            Some(Box::new(self.statement()?))
        } else {
            None
        };
        if otherwise.is_none() {
            while self.parser.index() > before {
                self.parser.prev_token();
            }
        }
        Ok(StatementKind::If { condition, then, otherwise })
    }

    fn block(&mut self) -> Result<StatementKind, ParserError> {
        let mut statements = Vec::new();
        while self.skip_semicolons() {
            if self.parser.parse_keyword(Keyword::END) {
                return Ok(StatementKind::Block(statements));
            }
            statements.push(self.statement()?);
        }
        self.parser.expected_ref("END", self.parser.peek_token_ref())
    }

    /// The optional name of a transaction.
    fn transaction_name(&mut self) -> Result<Option<String>, ParserError> {
        let is_name = match &self.parser.peek_token_ref().token {
            Token::Word(word) if word.quote_style.is_some() => true,
            Token::Word(word) => {
                !begins_statement(word.keyword)
                    && !matches!(word.keyword, Keyword::END | Keyword::ELSE)
            }
            _ => false,
        };
        if is_name { self.parser.parse_identifier().map(|name| Some(name.value)) } else { Ok(None) }
    }

    /// The name of a procedure. Its arguments do not matter: there is no procedure that takes them.
    fn execute(&mut self) -> Result<StatementKind, ParserError> {
        let name = self.parser.maybe_parse(|parser| parser.parse_object_name(false))?;
        let name = name.map_or_else(String::new, |name| last_part(&name));
        loop {
            match &self.parser.peek_token_ref().token {
                Token::EOF | Token::SemiColon => break,
                Token::Word(word) if matches!(word.keyword, Keyword::END | Keyword::ELSE) => break,
                _ => self.parser.advance_token(),
            }
        }
        Ok(StatementKind::Execute(name))
    }
}

/// Whether the next token is this word, which sqlparser does not know as a keyword.
fn next_is_word(parser: &Parser<'_>, word: &str) -> bool {
    match &parser.peek_token_ref().token {
        Token::Word(next) => next.quote_style.is_none() && next.value.eq_ignore_ascii_case(word),
        _ => false,
    }
}

/// Changes what Transact-SQL allows and sqlparser does not: a variable as the number of rows of
/// FETCH, and CLUSTERED or NONCLUSTERED, which mean nothing to SQLite.
fn accepted(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut follows_fetch = false;
    let mut accepted = Vec::with_capacity(tokens.len());
    for mut token in tokens {
        if let Token::Word(word) = &token.token {
            if word.quote_style.is_none()
                && ["CLUSTERED", "NONCLUSTERED"]
                    .iter()
                    .any(|noise| word.value.eq_ignore_ascii_case(noise))
            {
                continue;
            }
            let variable = (follows_fetch && word.value.starts_with('@'))
                .then(|| word.value.to_ascii_lowercase());
            follows_fetch = matches!(word.keyword, Keyword::FIRST | Keyword::NEXT);
            if let Some(variable) = variable {
                token.token = Token::Placeholder(variable);
            }
        } else if !matches!(token.token, Token::Whitespace(_)) {
            follows_fetch = false;
        }
        accepted.push(token);
    }
    while matches!(
        accepted.last(),
        Some(TokenWithSpan { token: Token::Whitespace(_) | Token::EOF, .. })
    ) {
        accepted.pop();
    }
    accepted
}

/// The number of operators in the longest expression.
fn longest_expression(tokens: &[TokenWithSpan]) -> usize {
    let (mut count, mut longest) = (0, 0);
    for token in tokens {
        match &token.token {
            Token::Comma | Token::SemiColon => count = 0,
            Token::Word(word) => match word.keyword {
                Keyword::AND | Keyword::OR | Keyword::NOT => count += 1,
                Keyword::ON | Keyword::WHEN | Keyword::THEN | Keyword::ELSE => count = 0,
                keyword if begins_statement(keyword) => count = 0,
                _ => {}
            },
            Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::Mod
            | Token::Ampersand
            | Token::Pipe
            | Token::Caret
            | Token::Tilde => count += 1,
            _ => {}
        }
        longest = longest.max(count);
    }
    longest
}

fn tokenizer_error(error: &TokenizerError, batch: &str) -> SqlError {
    if error.message.contains("comment") {
        return SqlError::new(113, "Missing end comment mark '*/'.");
    }
    SqlError::new(
        105,
        format!(
            "Unclosed quotation mark after the character string '{}'.",
            text_at(batch, error.location)
        ),
    )
}

/// The first 100 characters after a quotation mark.
fn text_at(batch: &str, mark: Location) -> String {
    let index = |number: u64| usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
    let from_line: String = batch.split_inclusive('\n').skip(index(mark.line)).collect();
    let mut text = from_line.chars().skip(index(mark.column));
    // The position is that of the mark, or of the N before it.
    if text.next() == Some('N') {
        text.next();
    }
    text.take(100).collect()
}

/// `DELETE orders WHERE ...` as well: sqlparser requires FROM.
fn delete(parser: &mut Parser<'_>) -> Result<ast::Statement, ParserError> {
    let delete_token = parser.next_token();
    if parser.peek_keyword(Keyword::FROM) {
        return parser.parse_delete(delete_token);
    }
    if let Some(statement) =
        parser.maybe_parse(|parser| parser.parse_delete(delete_token.clone()))?
    {
        return Ok(statement);
    }
    let table = parser.parse_table_and_joins()?;
    let output = match parser.parse_keyword(Keyword::OUTPUT) {
        true => Some(ast::OutputClause::Output {
            output_token: AttachedToken::empty(),
            select_items: parser.parse_comma_separated(Parser::parse_select_item)?,
            into_table: None,
        }),
        false => None,
    };
    let selection =
        if parser.parse_keyword(Keyword::WHERE) { Some(parser.parse_expr()?) } else { None };
    Ok(ast::Statement::Delete(Delete {
        delete_token: delete_token.into(),
        optimizer_hints: Vec::new(),
        tables: Vec::new(),
        from: FromTable::WithFromKeyword(vec![table]),
        using: None,
        selection,
        returning: None,
        output,
        order_by: Vec::new(),
        limit: None,
    }))
}

fn last_part(name: &ObjectName) -> String {
    name.0
        .last()
        .and_then(|part| part.as_ident())
        .map_or_else(String::new, |part| part.value.clone())
}

/// A statement without others inside.
fn from_ast(statement: ast::Statement) -> Result<StatementKind, ParserError> {
    let unsupported = |token: &str| Err(ParserError::ParserError(format!("found: {token}")));
    Ok(match statement {
        ast::Statement::Query(query) => match assigned_variables(&query) {
            Some(variables) => StatementKind::AssignFromQuery { variables, query },
            None => StatementKind::Sql(Box::new(ast::Statement::Query(query))),
        },
        ast::Statement::Declare { stmts } => {
            StatementKind::Declare(stmts.into_iter().map(declared).collect())
        }
        ast::Statement::Set(Set::SingleAssignment { variable, mut values, .. }) => {
            let variable = last_part(&variable).to_ascii_lowercase();
            match values.pop() {
                Some(value) if variable.starts_with('@') && values.is_empty() => {
                    StatementKind::SetVariable { variable, value }
                }
                _ => return unsupported("="),
            }
        }
        ast::Statement::Set(_) => StatementKind::SetOption,
        ast::Statement::Use(Use::Object(name)) => StatementKind::Use(last_part(&name)),
        ast::Statement::WaitFor(wait) => match wait.wait_type {
            WaitForType::Delay => StatementKind::WaitForDelay(wait.expr),
            WaitForType::Time => return unsupported("TIME"),
        },
        ast::Statement::RaisError { message, severity, state, arguments, .. } => {
            let mut all = vec![*message, *severity, *state];
            all.extend(arguments);
            StatementKind::RaiseError(all)
        }
        ast::Statement::Throw(ThrowStatement { error_number, message, state }) => {
            let (Some(number), Some(message), Some(state)) = (error_number, message, state) else {
                return unsupported("THROW");
            };
            StatementKind::Throw(Box::new([*number, *message, *state]))
        }
        ast::Statement::Print(print) => StatementKind::Print(*print.message),
        ast::Statement::Return(_) => StatementKind::Return,
        other => StatementKind::Sql(Box::new(other)),
    })
}

fn declared(declare: ast::Declare) -> Declaration {
    let name = declare.names.first().map_or("", |name| &name.value);
    let type_name = declare.data_type.map_or_else(String::new, |data_type| data_type.to_string());
    let value = match declare.assignment {
        Some(
            DeclareAssignment::MsSqlAssignment(value)
            | DeclareAssignment::Expr(value)
            | DeclareAssignment::Default(value)
            | DeclareAssignment::DuckAssignment(value)
            | DeclareAssignment::For(value),
        ) => Some(*value),
        None => None,
    };
    declaration_of(name, type_name, value)
}

/// The variables that a query assigns, if it is `SELECT @a = x, @b = y FROM t`.
fn assigned_variables(query: &Query) -> Option<Vec<String>> {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    let Select { projection, .. } = select.as_ref();
    let variable = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { alias, .. } if alias.value.starts_with('@') => {
            Some(alias.value.to_ascii_lowercase())
        }
        _ => None,
    };
    projection.iter().map(variable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(batch: &str) -> Vec<String> {
        let statements = parse(batch).unwrap();
        let summary = |statement: Statement| match statement.kind {
            StatementKind::Sql(statement) => statement.to_string(),
            other => format!("{other:?}").split(['(', ' ']).next().unwrap().to_owned(),
        };
        statements.into_iter().map(summary).collect()
    }

    #[test]
    fn a_statement_ends_where_the_next_one_begins() {
        for (batch, expected) in [
            ("SELECT 1 SELECT 2; SELECT 3", vec!["SELECT 1", "SELECT 2", "SELECT 3"]),
            ("INSERT INTO a SELECT 1 SELECT 2", vec!["INSERT INTO a SELECT 1", "SELECT 2"]),
            ("INSERT INTO a VALUES (1) SELECT 2", vec!["INSERT INTO a VALUES (1)", "SELECT 2"]),
            ("UPDATE a SET b = 1 SET NOCOUNT ON", vec!["UPDATE a SET b = 1", "SetOption"]),
            ("SELECT 1 UNION ALL SELECT 2", vec!["SELECT 1 UNION ALL SELECT 2"]),
            (
                "WITH c AS (SELECT 1 x) SELECT x FROM c SELECT 2",
                vec!["WITH c AS (SELECT 1 AS x) SELECT x FROM c", "SELECT 2"],
            ),
            (
                "SELECT CASE WHEN 1=1 THEN 2 ELSE 3 END SELECT 4",
                vec!["SELECT CASE WHEN 1 = 1 THEN 2 ELSE 3 END", "SELECT 4"],
            ),
            ("IF @@TRANCOUNT > 0 COMMIT BEGIN TRANSACTION", vec!["If", "BeginTransaction"]),
            ("IF 1 = 1 SELECT 1; ELSE SELECT 2; SELECT 3", vec!["If", "SELECT 3"]),
            ("IF 1 = 1 SELECT 1; SELECT 3", vec!["If", "SELECT 3"]),
            ("BEGIN TRAN; BEGIN SELECT 1 END COMMIT", vec!["BeginTransaction", "Block", "Commit"]),
            (
                "BEGIN TRAN t SAVE TRAN s ROLLBACK TRAN s",
                vec!["BeginTransaction", "SaveTransaction", "Rollback"],
            ),
            ("SELECT a FROM t COMMIT", vec!["SELECT a FROM t", "Commit"]),
            ("DELETE t WHERE a = 1 SELECT 2", vec!["DELETE FROM t WHERE a = 1", "SELECT 2"]),
            ("DROP TABLE IF EXISTS t SELECT 1", vec!["DROP TABLE IF EXISTS t", "SELECT 1"]),
            ("WHILE @i < 3 SET @i = @i + 1 SELECT 1", vec!["While", "SELECT 1"]),
            ("SELECT @a = 1, @b = c FROM t", vec!["AssignFromQuery"]),
            (
                "set ansi_nulls on\nset transaction isolation level read committed",
                vec!["SetOption"; 2],
            ),
            ("EXEC p @a = 1; SELECT 1", vec!["Execute", "SELECT 1"]),
        ] {
            assert_eq!(summary(batch), expected, "{batch}");
        }
    }

    #[test]
    fn a_syntax_error_names_the_token() {
        for (batch, number, message) in [
            ("SELEC 1", 102, "Incorrect syntax near 'SELEC'."),
            ("SELECT 1 +", 102, "Incorrect syntax near '+'."),
            ("SELECT 1 FROM 2", 102, "Incorrect syntax near '2'."),
            ("BEGIN SELECT 1", 102, "Incorrect syntax near '1'."),
            ("SELECT N'it''s", 105, "Unclosed quotation mark after the character string 'it''s'."),
            ("SELECT [a", 105, "Unclosed quotation mark after the character string 'a'."),
            ("SELECT 1 /* x", 113, "Missing end comment mark '*/'."),
        ] {
            let error = parse(batch).unwrap_err();
            assert_eq!((error.number, error.message.as_str()), (number, message), "{batch}");
        }
    }

    #[test]
    fn an_expression_that_is_too_deep_is_an_error() {
        let deepest = format!("SELECT 1{}", " + 1".repeat(MAX_OPERATORS));
        on_large_stack(move || {
            let statement = parse(&deepest).unwrap().remove(0);
            let StatementKind::Sql(statement) = statement.kind else { panic!("{statement:?}") };
            let session = crate::sql::translate::SessionInfo::default();
            let translated = crate::sql::translate::statement(&statement, &session).unwrap();
            assert_eq!(translated.sql, deepest);
            for too_deep in [format!("{deepest} + 1"), "(".repeat(1000), "BEGIN ".repeat(1000)] {
                assert_eq!(parse(&too_deep).unwrap_err().number, 191);
            }
        });
        assert_eq!(parse(&"SET @i = @i + 1 ".repeat(1000)).unwrap().len(), 1000);
        assert_eq!(
            parse(&format!("INSERT INTO t VALUES (1){}", ", (-1)".repeat(2000))).unwrap().len(),
            1
        );
    }

    fn on_large_stack(test: impl FnOnce() + Send + 'static) {
        std::thread::Builder::new().stack_size(STACK_SIZE).spawn(test).unwrap().join().unwrap();
    }

    #[test]
    fn a_statement_has_its_line() {
        let lines: Vec<u32> =
            parse("SELECT 1\n\nSELECT '\n'; COMMIT").unwrap().iter().map(|it| it.line).collect();
        assert_eq!(lines, [1, 3, 4]);
    }

    #[test]
    fn every_type_is_read_back_from_the_syntax_tree() {
        for name in [
            "tinyint",
            "smallint",
            "int",
            "bigint",
            "bit",
            "decimal(38,10)",
            "numeric(9, 3)",
            "dec",
            "money",
            "smallmoney",
            "real",
            "float",
            "float(24)",
            "char(10)",
            "char",
            "varchar(100)",
            "varchar(max)",
            "text",
            "nchar(10)",
            "nvarchar(100)",
            "nvarchar(max)",
            "sysname",
            "ntext",
            "binary(8)",
            "varbinary(100)",
            "varbinary(max)",
            "image",
            "date",
            "time",
            "time(7)",
            "datetime",
            "smalldatetime",
            "datetime2",
            "datetime2(3)",
            "datetimeoffset",
            "datetimeoffset(7)",
            "uniqueidentifier",
            "xml",
            "integer",
            "double precision",
        ] {
            let declared = parse_parameters(&format!("@a {name}")).unwrap().remove(0);
            assert_eq!(declared.sql_type, SqlType::parse(name), "{name}: {}", declared.type_name);
            assert!(declared.sql_type.is_some(), "{name}");
        }
    }

    #[test]
    fn parameters_are_declared_with_types() {
        let declared =
            parse_parameters("@a int, @B nvarchar(max) OUTPUT, @c decimal(9, 2), @d no_such_type")
                .unwrap();
        let declared: Vec<_> = declared.iter().map(|it| (it.name.as_str(), it.sql_type)).collect();
        let expected = [
            ("@a", Some(SqlType::Int)),
            ("@b", Some(SqlType::NVarChar(None))),
            ("@c", Some(SqlType::Decimal(9, 2))),
            ("@d", None),
        ];
        assert_eq!(declared, expected);
        assert_eq!(parse_parameters("").unwrap(), []);
    }
}
