//! Translates a statement of Transact-SQL to SQLite's SQL: rewrites what the two have in different
//! forms, and writes the statement out again.

use std::ops::ControlFlow;

use sqlparser::ast::{
    self, BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, LimitClause, ObjectName, ObjectNamePart, Offset, OffsetRows,
    OutputClause, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableFactor,
    TopQuantity, Value, VisitMut, VisitorMut,
};

use super::create_table::{create_table, temporary};
use super::projection::{self, Item, argument};
use super::sql_error::SqlError;
use super::sql_type::SqlType;

/// The server's name.
pub(super) const SERVER: &str = "contoso";

/// State of the session that statements can query.
#[derive(Clone, Debug, Default)]
pub(super) struct SessionInfo {
    pub(super) database: String,
    pub(super) login: String,
    pub(super) host: String,
    pub(super) application: String,
    pub(super) session_id: u16,
    /// How many transactions are open, one in another.
    pub(super) transaction_count: u32,
    /// The number of rows of the last statement.
    pub(super) row_count: u64,
}

/// A statement for SQLite.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Translated {
    pub(super) sql: String,
    /// The select list, if the statement has a result.
    pub(super) items: Vec<Item>,
    /// Whether the response has the number of rows that the statement changed.
    pub(super) counts_rows: bool,
}

/// Translates a statement.
pub(super) fn statement(
    original: &ast::Statement,
    session: &SessionInfo,
) -> Result<Translated, SqlError> {
    let items = projection::items(original);
    let mut statement = original.clone();
    rewrite(&mut statement, session)?;
    let mut counts_rows = false;
    let sql = match &mut statement {
        ast::Statement::Query(query) => {
            counts_rows =
                matches!(*query.body, SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_));
            match into_table(query) {
                Some(table) => format!("CREATE {}TABLE {table} AS {query}", temporary(&table)),
                None => query.to_string(),
            }
        }
        ast::Statement::Insert(_) | ast::Statement::Update(_) | ast::Statement::Delete(_) => {
            counts_rows = true;
            statement.to_string()
        }
        ast::Statement::Truncate(truncate) => {
            let names: Vec<String> =
                truncate.table_names.iter().map(|target| target.name.to_string()).collect();
            format!("DELETE FROM {}", names.join(", "))
        }
        ast::Statement::CreateTable(table) => create_table(table)?,
        ast::Statement::CreateView(_)
        | ast::Statement::CreateIndex(_)
        | ast::Statement::AlterTable(_)
        | ast::Statement::Drop { .. } => statement.to_string(),
        _ => {
            let text = original.to_string();
            let words: Vec<&str> = text.split_whitespace().take(2).collect();
            return Err(SqlError::unsupported(&words.join(" ")));
        }
    };
    Ok(Translated { sql, items, counts_rows })
}

/// Translates a query whose types do not matter.
pub(super) fn query(query: &Query, session: &SessionInfo) -> Result<String, SqlError> {
    let mut query = query.clone();
    rewrite(&mut query, session)?;
    Ok(query.to_string())
}

/// Translates an expression.
pub(super) fn expression(expression: &Expr, session: &SessionInfo) -> Result<String, SqlError> {
    let mut expression = expression.clone();
    rewrite(&mut expression, session)?;
    Ok(expression.to_string())
}

/// A quoted name.
pub(super) fn quoted_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn string_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// An expression of this text. sqlparser writes other literals with quotes that it may take for
/// escaped ones.
fn verbatim(text: String) -> Expr {
    Expr::Value(Value::Placeholder(text).with_empty_span())
}

fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let argument = |argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.into_iter().map(argument).collect(),
            clauses: Vec::new(),
        }),
        within_group: Vec::new(),
        filter: None,
        null_treatment: None,
        over: None,
    })
}

/// Takes the table out of `SELECT ... INTO table`.
fn into_table(query: &mut Query) -> Option<String> {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return None;
    };
    select.into.take()?.targets.first().map(Expr::to_string)
}

fn rewrite(node: &mut impl VisitMut, session: &SessionInfo) -> Result<(), SqlError> {
    match node.visit(&mut Rewriter { session }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

/// Rewrites each node before the nodes in it.
struct Rewriter<'a> {
    session: &'a SessionInfo,
}

impl VisitorMut for Rewriter<'_> {
    type Break = SqlError;

    fn pre_visit_statement(&mut self, statement: &mut ast::Statement) -> ControlFlow<SqlError> {
        let (output, returning) = match statement {
            ast::Statement::Insert(insert) => {
                insert.into = true;
                (insert.output.take(), &mut insert.returning)
            }
            ast::Statement::Update(update) => (update.output.take(), &mut update.returning),
            ast::Statement::Delete(delete) => (delete.output.take(), &mut delete.returning),
            _ => return ControlFlow::Continue(()),
        };
        match output {
            Some(OutputClause::Output { into_table: Some(_), .. }) => {
                return ControlFlow::Break(SqlError::unsupported("OUTPUT INTO"));
            }
            Some(OutputClause::Output { mut select_items, .. }) => {
                select_items.iter_mut().for_each(without_row_prefix);
                *returning = Some(select_items);
            }
            Some(OutputClause::Returning { .. }) | None => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        if query.for_clause.is_some() {
            return ControlFlow::Break(SqlError::unsupported("FOR XML or FOR JSON"));
        }
        match limit(query) {
            Ok(limit) => {
                query.limit_clause = limit;
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<SqlError> {
        // That of a whole query has become its LIMIT.
        match select.top {
            Some(_) => ControlFlow::Break(SqlError::unsupported("TOP in a part of a UNION")),
            None => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<SqlError> {
        if let TableFactor::Table { name, args, with_hints, .. } = table {
            with_hints.clear();
            // SQLite's function of this name would have defaults.
            if let Some(arguments) = args
                && arguments.args.len() < 2
                && name.to_string().eq_ignore_ascii_case("GENERATE_SERIES")
            {
                let message = "An insufficient number of arguments were supplied for the procedure \
                               or function GENERATE_SERIES.";
                return ControlFlow::Break(SqlError::new(313, message));
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &mut ObjectName) -> ControlFlow<SqlError> {
        if name.0.len() > 1
            && name.0.first().and_then(ObjectNamePart::as_ident).is_some_and(is_schema)
        {
            name.0.remove(0);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_ident(&mut self, name: &mut Ident) -> ControlFlow<SqlError> {
        if name.quote_style.take().is_some() || name.value.starts_with('#') {
            name.value = quoted_name(&name.value);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_value(&mut self, value: &mut ast::ValueWithSpan) -> ControlFlow<SqlError> {
        let text = match &value.value {
            Value::SingleQuotedString(text) | Value::NationalStringLiteral(text) => {
                string_literal(text)
            }
            Value::Number(digits, _) => number_literal(digits),
            Value::HexStringLiteral(digits) => {
                format!("x'{digits:0>width$}'", width = digits.len().next_multiple_of(2))
            }
            _ => return ControlFlow::Continue(()),
        };
        value.value = Value::Placeholder(text);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<SqlError> {
        match expression {
            Expr::Identifier(name) if name.quote_style.is_none() => {
                if let Some(text) = self.special_value(&name.value) {
                    *expression = verbatim(text);
                }
            }
            Expr::CompoundIdentifier(names)
                if names.len() > 1 && names.first().is_some_and(is_schema) =>
            {
                names.remove(0);
            }
            Expr::BinaryOp { left, op, right } => match op {
                BinaryOperator::Plus if is_text(left) || is_text(right) => {
                    *op = BinaryOperator::StringConcat;
                    // `||` binds closer than other operators.
                    for operand in [left, right] {
                        if matches!(**operand, Expr::BinaryOp { .. }) && !is_text(operand) {
                            let inner =
                                std::mem::replace(operand.as_mut(), verbatim(String::new()));
                            **operand = Expr::Nested(Box::new(inner));
                        }
                    }
                }
                BinaryOperator::Divide | BinaryOperator::Modulo => {
                    let divisor = std::mem::replace(right.as_mut(), verbatim(String::new()));
                    **right = call("tds_divisor", vec![divisor]);
                }
                _ => {}
            },
            Expr::Cast { expr, data_type, .. }
            | Expr::Convert { expr, data_type: Some(data_type), .. } => {
                let value = std::mem::replace(expr.as_mut(), verbatim(String::new()));
                let type_name =
                    verbatim(string_literal(&data_type.to_string().to_ascii_lowercase()));
                *expression = call("tds_cast", vec![value, type_name]);
            }
            Expr::Function(function) => {
                if let Some(replacement) = self.function(function) {
                    *expression = replacement;
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Rewriter<'_> {
    /// The value of a variable or of a function without parentheses.
    fn special_value(&self, name: &str) -> Option<String> {
        let session = self.session;
        Some(match name.to_ascii_uppercase().as_str() {
            "@@VERSION" => {
                string_literal("Microsoft SQL Azure (RTM) - 12.0.2000.8 (Keyward emulator)")
            }
            "@@SPID" => session.session_id.to_string(),
            "@@TRANCOUNT" => session.transaction_count.to_string(),
            "@@ROWCOUNT" => session.row_count.to_string(),
            "@@IDENTITY" => "last_insert_rowid()".to_owned(),
            "@@SERVERNAME" => string_literal(SERVER),
            "@@LANGUAGE" => string_literal("us_english"),
            "@@MAX_PRECISION" => "38".to_owned(),
            "@@ERROR" => "0".to_owned(),
            "CURRENT_TIMESTAMP" => "tds_getdate()".to_owned(),
            "SYSTEM_USER" | "SESSION_USER" | "CURRENT_USER" => string_literal(&session.login),
            _ if name.starts_with('@') => name.to_ascii_lowercase(),
            _ => return None,
        })
    }

    /// Renames a function to that of SQLite or of the emulator, or returns what replaces it.
    fn function(&self, function: &mut Function) -> Option<Expr> {
        let session = self.session;
        let name = function.name.to_string().to_ascii_uppercase();
        let renamed = match name.as_str() {
            "DB_NAME" => return Some(verbatim(string_literal(&session.database))),
            "HOST_NAME" => return Some(verbatim(string_literal(&session.host))),
            "APP_NAME" => return Some(verbatim(string_literal(&session.application))),
            "SUSER_SNAME" | "SUSER_NAME" | "ORIGINAL_LOGIN" | "USER_NAME" => {
                return Some(verbatim(string_literal(&session.login)));
            }
            "XACT_STATE" => {
                return Some(verbatim(u8::from(session.transaction_count > 0).to_string()));
            }
            "OBJECT_ID" => {
                let object = string_literal(&object_name(argument(function, 0)));
                let query = format!(
                    "(SELECT rowid FROM sqlite_schema WHERE name = {object} COLLATE NOCASE)"
                );
                return Some(verbatim(query));
            }
            "SYSTEM_USER" | "SESSION_USER" | "CURRENT_USER" | "CURRENT_TIMESTAMP" => {
                return self.special_value(&name).map(verbatim);
            }
            "ISNULL" => "ifnull".to_owned(),
            "COUNT_BIG" => "count".to_owned(),
            "SCOPE_IDENTITY" => "last_insert_rowid".to_owned(),
            "GETDATE" | "GETUTCDATE" | "SYSDATETIME" | "SYSUTCDATETIME" | "SYSDATETIMEOFFSET"
            | "NEWID" | "LEN" | "DATALENGTH" | "CHARINDEX" | "LEFT" | "RIGHT" | "REPLICATE"
            | "YEAR" | "MONTH" | "DAY" => {
                format!("tds_{}", name.to_ascii_lowercase())
            }
            _ => return None,
        };
        function.name = ObjectName::from(vec![Ident::new(renamed)]);
        None
    }
}

/// Takes `TOP n`, or `OFFSET n ROWS FETCH NEXT m ROWS ONLY`, out of a query.
fn limit(query: &mut Query) -> Result<Option<LimitClause>, SqlError> {
    let top = match query.body.as_mut() {
        SetExpr::Select(select) => select.top.take(),
        _ => None,
    };
    let offset = match query.limit_clause.take() {
        Some(LimitClause::LimitOffset { offset, .. }) => offset,
        Some(LimitClause::OffsetCommaLimit { .. }) => return Err(SqlError::syntax("LIMIT")),
        None => None,
    };
    let limit = match (top, query.fetch.take()) {
        (Some(top), _) if top.percent || top.with_ties => {
            return Err(SqlError::unsupported("TOP with PERCENT or WITH TIES"));
        }
        (_, Some(fetch)) if fetch.percent || fetch.with_ties => {
            return Err(SqlError::unsupported("FETCH with PERCENT or WITH TIES"));
        }
        (Some(top), _) => top.quantity.map(|quantity| match quantity {
            TopQuantity::Expr(quantity) => quantity,
            TopQuantity::Constant(quantity) => verbatim(quantity.to_string()),
        }),
        (None, Some(fetch)) => Some(fetch.quantity.unwrap_or_else(|| verbatim("1".to_owned()))),
        (None, None) => None,
    };
    if limit.is_none() && offset.is_none() {
        return Ok(None);
    }
    // SQLite has no OFFSET without a LIMIT.
    let limit = limit.unwrap_or_else(|| verbatim("-1".to_owned()));
    let offset = offset.map(|Offset { value, .. }| Offset { value, rows: OffsetRows::None });
    Ok(Some(LimitClause::LimitOffset { limit: Some(limit), offset, limit_by: Vec::new() }))
}

/// Changes `INSERTED.column` and `DELETED.column` to `column`, and both with a star to the star.
fn without_row_prefix(item: &mut SelectItem) {
    let is_prefix =
        |name: &str| name.eq_ignore_ascii_case("inserted") || name.eq_ignore_ascii_case("deleted");
    match item {
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names))
        | SelectItem::ExprWithAlias { expr: Expr::CompoundIdentifier(names), .. }
            if names.len() > 1 && names.first().is_some_and(|first| is_prefix(&first.value)) =>
        {
            names.remove(0);
        }
        SelectItem::QualifiedWildcard(
            SelectItemQualifiedWildcardKind::ObjectName(name),
            options,
        ) if is_prefix(&name.to_string()) => {
            *item = SelectItem::Wildcard(options.clone());
        }
        _ => {}
    }
}

/// Whether it is the name of a schema that all tables are in.
fn is_schema(name: &Ident) -> bool {
    name.value.eq_ignore_ascii_case("dbo")
}

/// The last part of a name in a string literal.
fn object_name(argument: Option<&Expr>) -> String {
    let text = match argument {
        Some(Expr::Value(value)) => match &value.value {
            Value::SingleQuotedString(text) | Value::NationalStringLiteral(text) => text.as_str(),
            _ => "",
        },
        _ => "",
    };
    text.replace(['[', ']'], "").rsplit('.').next().unwrap_or_default().to_owned()
}

/// Whether a `+` with this operand joins strings.
fn is_text(expression: &Expr) -> bool {
    match expression {
        Expr::Value(value) => {
            matches!(value.value, Value::SingleQuotedString(_) | Value::NationalStringLiteral(_))
        }
        Expr::Nested(inner) => is_text(inner),
        Expr::BinaryOp { left, op: BinaryOperator::Plus | BinaryOperator::StringConcat, right } => {
            is_text(left) || is_text(right)
        }
        Expr::Cast { data_type, .. } | Expr::Convert { data_type: Some(data_type), .. } => {
            matches!(
                SqlType::parse(&data_type.to_string()),
                Some(
                    SqlType::Char(_)
                        | SqlType::VarChar(_)
                        | SqlType::NChar(_)
                        | SqlType::NVarChar(_)
                )
            )
        }
        _ => false,
    }
}

/// A number, or text if SQLite would round the number.
fn number_literal(digits: &str) -> String {
    let count = digits.bytes().filter(u8::is_ascii_digit).count();
    let is_float = digits.contains(['e', 'E']);
    let is_rounded = if digits.contains('.') { count > 15 } else { digits.parse::<i64>().is_err() };
    if is_rounded && !is_float { string_literal(digits) } else { digits.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::batch::{self, StatementKind};

    fn translated(sql: &str) -> Result<String, SqlError> {
        let session =
            SessionInfo { database: "shop".to_owned(), session_id: 51, ..SessionInfo::default() };
        match batch::parse(sql).unwrap().remove(0).kind {
            StatementKind::Sql(parsed) => {
                statement(&parsed, &session).map(|translated| translated.sql)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_statement_is_written_in_the_sql_of_sqlite() {
        for (from, to) in [
            ("SELECT TOP 2 [a b] FROM dbo.orders", "SELECT \"a b\" FROM orders LIMIT 2"),
            ("SELECT dbo.t.[a]]b] FROM t", "SELECT t.\"a]b\" FROM t"),
            (
                "SELECT * FROM (SELECT TOP (1) x FROM t) y",
                "SELECT * FROM (SELECT x FROM t LIMIT 1) y",
            ),
            ("SELECT @@SPID, DB_NAME()", "SELECT 51, 'shop'"),
            ("SELECT N'a' + @P", "SELECT 'a' || @p"),
            ("SELECT 1 + 2 + 'a' + b", "SELECT (1 + 2) || 'a' || b"),
            ("SELECT 'it''s', N'\\''''', [a\"\"b]", "SELECT 'it''s', '\\''''', \"a\"\"\"\"b\""),
            ("SELECT 1 / (2 - 2)", "SELECT 1 / tds_divisor((2 - 2))"),
            ("SELECT CAST(x AS decimal(9, 2))", "SELECT tds_cast(x, 'decimal(9,2)')"),
            ("SELECT CONVERT(varchar(3), x)", "SELECT tds_cast(x, 'varchar(3)')"),
            ("SELECT CAST('x' AS nvarchar(max))", "SELECT tds_cast('x', 'nvarchar(max)')"),
            (
                "SELECT LEFT(a, 2), ISNULL(b, 0), COUNT_BIG(*)",
                "SELECT tds_left(a, 2), ifnull(b, 0), count(*)",
            ),
            ("SELECT CURRENT_TIMESTAMP, GETDATE()", "SELECT tds_getdate(), tds_getdate()"),
            ("SELECT x FROM t WITH (NOLOCK)", "SELECT x FROM t"),
            ("SELECT x FROM #t", "SELECT x FROM \"#t\""),
            ("SELECT x INTO #t FROM u", "CREATE TEMP TABLE \"#t\" AS SELECT x FROM u"),
            (
                "SELECT x FROM t ORDER BY x OFFSET 5 ROWS FETCH NEXT 3 ROWS ONLY",
                "SELECT x FROM t ORDER BY x LIMIT 3 OFFSET 5",
            ),
            (
                "SELECT x FROM t ORDER BY x OFFSET @a ROWS FETCH NEXT @N ROWS ONLY",
                "SELECT x FROM t ORDER BY x LIMIT @n OFFSET @a",
            ),
            (
                "SELECT x FROM t ORDER BY x OFFSET 5 ROWS",
                "SELECT x FROM t ORDER BY x LIMIT -1 OFFSET 5",
            ),
            (
                "INSERT t (a) OUTPUT INSERTED.id VALUES (1)",
                "INSERT INTO t (a) VALUES (1) RETURNING id",
            ),
            (
                "DELETE t OUTPUT DELETED.* WHERE a = 0xabc",
                "DELETE FROM t WHERE a = x'0abc' RETURNING *",
            ),
            (
                "UPDATE dbo.t SET a = 1 OUTPUT INSERTED.a WHERE b = 2",
                "UPDATE t SET a = 1 WHERE b = 2 RETURNING a",
            ),
            ("TRUNCATE TABLE dbo.t", "DELETE FROM t"),
            ("SELECT 12345678901234567890.12", "SELECT '12345678901234567890.12'"),
            ("SELECT value FROM GENERATE_SERIES(1, 3)", "SELECT value FROM GENERATE_SERIES(1, 3)"),
        ] {
            assert_eq!(translated(from).unwrap(), to, "{from}");
        }
    }

    #[test]
    fn generate_series_needs_both_ends() {
        assert_eq!(translated("SELECT value FROM GENERATE_SERIES(1)").unwrap_err().number, 313);
    }

    #[test]
    fn unsupported_features_of_sqlite_are_errors_that_name_them() {
        for (sql, name) in [
            ("SELECT TOP 5 PERCENT a FROM t", "TOP with PERCENT or WITH TIES"),
            ("SELECT TOP 5 a FROM t UNION SELECT b FROM u", "TOP in a part of a UNION"),
            ("SELECT a FROM t FOR JSON PATH", "FOR XML or FOR JSON"),
            ("INSERT INTO t OUTPUT INSERTED.a INTO u VALUES (1)", "OUTPUT INTO"),
            ("GRANT SELECT ON t TO u", "GRANT SELECT"),
        ] {
            let error = translated(sql).unwrap_err();
            assert_eq!(error.number, 40510, "{sql}");
            assert!(error.message.contains(&format!("'{name}'")), "{sql}: {}", error.message);
        }
    }
}
