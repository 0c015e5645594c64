//! The types of a result's columns, as far as the statement determines them. In SQLite values have
//! types and expressions have none.

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, OutputClause, Query,
    SelectItem, SetExpr, Statement, UnaryOperator, Value,
};

use super::sql_type::SqlType;

/// An item of a select list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// All columns of one or more tables.
    Wildcard,
    /// An expression.
    Expression {
        /// Its type, if the expression has one by itself.
        sql_type: Option<SqlType>,
        /// The variable whose type it has.
        variable: Option<String>,
        /// The column whose type it has: `SUM(column)` and the like.
        column: Option<String>,
        /// Whether the column of the result has a name.
        is_named: bool,
    },
}

/// The items of a statement's select list or OUTPUT clause.
pub(super) fn items(statement: &Statement) -> Vec<Item> {
    let output = match statement {
        Statement::Query(query) => return query_items(query),
        Statement::Insert(insert) => &insert.output,
        Statement::Update(update) => &update.output,
        Statement::Delete(delete) => &delete.output,
        _ => &None,
    };
    match output {
        Some(OutputClause::Output { select_items, .. }) => select_items.iter().map(item).collect(),
        Some(OutputClause::Returning { .. }) | None => Vec::new(),
    }
}

fn query_items(query: &Query) -> Vec<Item> {
    let mut body = query.body.as_ref();
    loop {
        match body {
            SetExpr::Select(select) => return select.projection.iter().map(item).collect(),
            SetExpr::SetOperation { left, .. } => body = left,
            SetExpr::Query(query) => body = &query.body,
            SetExpr::Insert(statement)
            | SetExpr::Update(statement)
            | SetExpr::Delete(statement) => {
                return items(statement);
            }
            SetExpr::Merge(_) | SetExpr::Values(_) | SetExpr::Table(_) => return Vec::new(),
        }
    }
}

fn item(item: &SelectItem) -> Item {
    let (expression, has_alias) = match item {
        SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => return Item::Wildcard,
        SelectItem::ExprWithAlias { expr, .. } | SelectItem::ExprWithAliases { expr, .. } => {
            (expr, true)
        }
        SelectItem::UnnamedExpr(expr) => (expr, false),
    };
    let variable = match expression {
        Expr::Identifier(name) if is_variable(name) => Some(name.value.to_ascii_lowercase()),
        _ => None,
    };
    let sql_type = type_of(expression);
    let is_column = match expression {
        Expr::Identifier(_) => variable.is_none() && sql_type.is_none(),
        Expr::CompoundIdentifier(_) => true,
        _ => false,
    };
    Item::Expression {
        sql_type,
        variable,
        column: aggregated_column(expression),
        is_named: has_alias || is_column,
    }
}

fn is_variable(name: &Ident) -> bool {
    name.quote_style.is_none() && name.value.starts_with('@')
}

/// The column of `SUM(column)` and other functions whose result has the type of their argument.
fn aggregated_column(expression: &Expr) -> Option<String> {
    let Expr::Function(function) = expression else {
        return None;
    };
    let name = function.name.to_string().to_ascii_uppercase();
    if !matches!(name.as_str(), "SUM" | "AVG" | "MIN" | "MAX" | "ISNULL" | "COALESCE") {
        return None;
    }
    let column = match argument(function, 0)? {
        Expr::Identifier(column) => column,
        Expr::CompoundIdentifier(names) => names.last()?,
        _ => return None,
    };
    (!is_variable(column)).then(|| column.value.clone())
}

/// An argument of a function.
pub(super) fn argument(function: &Function, index: usize) -> Option<&Expr> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    match list.args.get(index)? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) => Some(argument),
        _ => None,
    }
}

fn type_of(expression: &Expr) -> Option<SqlType> {
    let name_type = |length: u16| Some(SqlType::NVarChar(Some(length)));
    match expression {
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => type_of(expr),
        Expr::Nested(inner) => type_of(inner),
        Expr::Value(value) => type_of_literal(&value.value),
        Expr::Cast { data_type, .. } | Expr::Convert { data_type: Some(data_type), .. } => {
            SqlType::parse(&data_type.to_string())
        }
        Expr::Identifier(name) if name.quote_style.is_none() => {
            match name.value.to_ascii_uppercase().as_str() {
                "@@SPID" => Some(SqlType::SmallInt),
                "@@TRANCOUNT" | "@@ROWCOUNT" | "@@ERROR" => Some(SqlType::Int),
                "@@IDENTITY" => Some(SqlType::Decimal(38, 0)),
                "@@VERSION" => name_type(300),
                "@@SERVERNAME" | "@@LANGUAGE" | "SYSTEM_USER" | "SESSION_USER" | "CURRENT_USER" => {
                    name_type(128)
                }
                "CURRENT_TIMESTAMP" => Some(SqlType::DateTime),
                _ => None,
            }
        }
        Expr::Function(function) => match function.name.to_string().to_ascii_uppercase().as_str() {
            "COUNT" | "LEN" | "CHARINDEX" | "YEAR" | "MONTH" | "DAY" | "OBJECT_ID"
            | "DATALENGTH" => Some(SqlType::Int),
            "COUNT_BIG" => Some(SqlType::BigInt),
            "XACT_STATE" => Some(SqlType::SmallInt),
            "SCOPE_IDENTITY" => Some(SqlType::Decimal(38, 0)),
            "GETDATE" | "GETUTCDATE" | "CURRENT_TIMESTAMP" => Some(SqlType::DateTime),
            "SYSDATETIME" | "SYSUTCDATETIME" => Some(SqlType::DateTime2(7)),
            "SYSDATETIMEOFFSET" => Some(SqlType::DateTimeOffset(7)),
            "NEWID" => Some(SqlType::UniqueIdentifier),
            "REPLICATE" => Some(SqlType::NVarChar(None)),
            "DB_NAME" | "SUSER_SNAME" | "SUSER_NAME" | "ORIGINAL_LOGIN" | "USER_NAME"
            | "HOST_NAME" | "APP_NAME" | "SYSTEM_USER" | "SESSION_USER" | "CURRENT_USER" => {
                name_type(128)
            }
            _ => None,
        },
        _ => None,
    }
}

fn type_of_literal(literal: &Value) -> Option<SqlType> {
    match literal {
        Value::SingleQuotedString(text) | Value::NationalStringLiteral(text) => {
            let length =
                u16::try_from(text.encode_utf16().count()).ok().filter(|length| *length <= 4000);
            Some(SqlType::NVarChar(length.map(|length| length.max(1))))
        }
        Value::HexStringLiteral(digits) => {
            let length = u16::try_from(digits.len().div_ceil(2)).ok();
            Some(SqlType::VarBinary(length.map(|length| length.clamp(1, 8000))))
        }
        Value::Number(number, _) => Some(type_of_number(number)),
        _ => None,
    }
}

fn type_of_number(text: &str) -> SqlType {
    if text.contains(['e', 'E']) {
        return SqlType::Float;
    }
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let digits = u8::try_from(digits).unwrap_or(38).clamp(1, 38);
    match text.split_once('.') {
        Some((_, fraction)) => {
            SqlType::Decimal(digits, u8::try_from(fraction.len()).unwrap_or(0).min(digits))
        }
        None if text.parse::<i32>().is_ok() => SqlType::Int,
        None if text.parse::<i64>().is_ok() => SqlType::BigInt,
        None => SqlType::Decimal(digits, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlparser::parser::Parser;

    fn only_item(sql: &str) -> Item {
        let statement =
            Parser::parse_sql(&super::super::dialect::TransactSql, sql).unwrap().remove(0);
        items(&statement).remove(0)
    }

    #[test]
    fn an_expression_has_the_type_that_it_has_in_sql_server() {
        for (expression, expected) in [
            ("1", Some(SqlType::Int)),
            ("-3000000000", Some(SqlType::BigInt)),
            ("(1.50)", Some(SqlType::Decimal(3, 2))),
            ("1e3", Some(SqlType::Float)),
            ("N'ab'", Some(SqlType::NVarChar(Some(2)))),
            ("0xabc", Some(SqlType::VarBinary(Some(2)))),
            ("CAST(x AS datetime2(3))", Some(SqlType::DateTime2(3))),
            ("TRY_CONVERT(varchar(max), x)", Some(SqlType::VarChar(None))),
            ("COUNT(*)", Some(SqlType::Int)),
            ("CURRENT_TIMESTAMP", Some(SqlType::DateTime)),
            ("x + 1", None),
        ] {
            let Item::Expression { sql_type, is_named, .. } =
                only_item(&format!("SELECT {expression}"))
            else {
                panic!("{expression}");
            };
            assert_eq!((sql_type, is_named), (expected, false), "{expression}");
        }
    }

    #[test]
    fn an_item_names_the_column_or_variable_whose_type_it_has() {
        let item = |variable: Option<&str>, column: Option<&str>, is_named| Item::Expression {
            sql_type: None,
            variable: variable.map(str::to_owned),
            column: column.map(str::to_owned),
            is_named,
        };
        assert_eq!(only_item("SELECT * FROM t"), Item::Wildcard);
        assert_eq!(only_item("SELECT t.* FROM t"), Item::Wildcard);
        assert_eq!(only_item("SELECT @P1"), item(Some("@p1"), None, false));
        assert_eq!(only_item("SELECT SUM(t.total) AS s FROM t"), item(None, Some("total"), true));
        assert_eq!(only_item("SELECT t.total FROM t"), item(None, None, true));
        assert_eq!(
            only_item("DELETE FROM t OUTPUT DELETED.id WHERE a = 1"),
            item(None, None, true)
        );
    }
}
