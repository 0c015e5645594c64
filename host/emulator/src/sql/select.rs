//! What the columns of a result are, as far as the words of a statement tell.

use super::lexer::{Kind, Token};
use super::statement::by_commas;
use super::types::SqlType;

/// An item of the list behind SELECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// All columns of one or more tables.
    Star,
    /// An expression.
    Expression {
        /// Its type, where the words tell it.
        of: Option<SqlType>,
        /// The variable that it is, whose type is its.
        variable: Option<String>,
        /// The column that it is the sum, the least, ... of, whose type is its.
        column: Option<String>,
        /// Whether its column has a name.
        is_named: bool,
    },
}

/// The items of a statement's first list.
pub(super) fn items(tokens: &[Token]) -> Vec<Item> {
    let mut depth = 0_i32;
    let mut at_top = tokens.iter().map(|token| {
        depth += i32::from(token.is_symbol("(")) - i32::from(token.is_symbol(")"));
        (token, depth)
    });
    let Some(start) = at_top.position(|(token, depth)| depth == 0 && token.is("SELECT")) else { return Vec::new() };
    let mut list = tokens.get(start + 1..).unwrap_or_default();
    if let [word, rest @ ..] = list
        && word.is_any(&["DISTINCT", "ALL"])
    {
        list = rest;
    }
    if let [word, rest @ ..] = list
        && word.is("TOP")
    {
        let open = rest.first().is_some_and(|token| token.is_symbol("("));
        let end = if open { rest.iter().position(|token| token.is_symbol(")")).unwrap_or(0) } else { 0 };
        list = rest.get(end + 1..).unwrap_or_default();
    }
    let mut depth = 0_i32;
    let ends = |token: &Token| {
        depth += i32::from(token.is_symbol("(")) - i32::from(token.is_symbol(")"));
        depth == 0 && token.is_any(&["FROM", "WHERE", "ORDER", "UNION", "INTO", "GROUP", "EXCEPT", "INTERSECT", "FOR"])
    };
    let end = list.iter().position(ends).unwrap_or(list.len());
    by_commas(list.get(..end).unwrap_or_default()).into_iter().map(item).collect()
}

fn item(tokens: &[Token]) -> Item {
    if tokens.last().is_some_and(|token| token.is_symbol("*")) {
        return Item::Star;
    }
    let (expression, has_alias) = match tokens {
        [expression @ .., word, _] if word.is("AS") => (expression, true),
        [expression @ .., before, alias]
            if alias.is_name() && !alias.is("END") && (before.kind != Kind::Symbol || before.is_symbol(")")) =>
        {
            (tokens.get(..=expression.len()).unwrap_or_default(), true)
        }
        tokens => (tokens, false),
    };
    let is_column = expression.iter().all(|token| token.is_name() || token.is_symbol("."));
    let variable = match expression {
        [variable] if variable.kind == Kind::Variable => Some(variable.text.to_ascii_lowercase()),
        _ => None,
    };
    let column = match expression {
        [function, open, column, rest @ ..]
            if open.is_symbol("(") && function.is_any(&["SUM", "AVG", "MIN", "MAX", "ISNULL", "COALESCE"]) =>
        {
            // The name behind a table's, where there is one.
            match rest {
                [point, column, next, ..] if point.is_symbol(".") && !next.is_symbol(".") => Some(column),
                [next, ..] if next.is_symbol(")") || next.is_symbol(",") => Some(column),
                _ => None,
            }
        }
        _ => None,
    };
    let column = column.filter(|column| column.is_name()).map(|column| column.text.clone());
    let is_known_word = matches!(expression, [word] if word.kind == Kind::Word && type_of(expression).is_some());
    Item::Expression { of: type_of(expression), variable, column, is_named: has_alias || (is_column && !is_known_word) }
}

fn type_of(expression: &[Token]) -> Option<SqlType> {
    let name = |length: u16| Some(SqlType::NVarChar(Some(length)));
    match expression {
        [sign, rest @ ..] if sign.is_symbol("-") => type_of(rest),
        [open, inner @ .., close] if open.is_symbol("(") && close.is_symbol(")") => type_of(inner),
        [text] if text.kind == Kind::Text => {
            let length = u16::try_from(text.text.encode_utf16().count()).ok().filter(|length| *length <= 4000);
            Some(SqlType::NVarChar(length.map(|length| length.max(1))))
        }
        [binary] if binary.kind == Kind::Binary => Some(SqlType::VarBinary(
            u16::try_from(binary.text.len().div_ceil(2)).ok().map(|length| length.clamp(1, 8000)),
        )),
        [number] if number.kind == Kind::Number => Some(type_of_number(&number.text)),
        [variable] if variable.kind == Kind::Variable => match variable.text.to_ascii_uppercase().as_str() {
            "@@SPID" => Some(SqlType::SmallInt),
            "@@TRANCOUNT" | "@@ROWCOUNT" | "@@ERROR" => Some(SqlType::Int),
            "@@IDENTITY" => Some(SqlType::Decimal(38, 0)),
            "@@VERSION" => name(300),
            "@@SERVERNAME" | "@@LANGUAGE" => name(128),
            _ => None,
        },
        [word] if word.is("CURRENT_TIMESTAMP") => Some(SqlType::DateTime),
        [word] if word.is_any(&["SYSTEM_USER", "SESSION_USER", "CURRENT_USER"]) => name(128),
        [function, open, inner @ .., close] if open.is_symbol("(") && close.is_symbol(")") && is_one(inner) => {
            match function.text.to_ascii_uppercase().as_str() {
                "CAST" | "TRY_CAST" | "CONVERT" | "TRY_CONVERT" => SqlType::parse(&conversion(function, inner)?.0),
                "COUNT" | "LEN" | "CHARINDEX" | "YEAR" | "MONTH" | "DAY" | "OBJECT_ID" | "DATALENGTH" => {
                    Some(SqlType::Int)
                }
                "COUNT_BIG" => Some(SqlType::BigInt),
                "XACT_STATE" => Some(SqlType::SmallInt),
                "SCOPE_IDENTITY" => Some(SqlType::Decimal(38, 0)),
                "GETDATE" | "GETUTCDATE" => Some(SqlType::DateTime),
                "SYSDATETIME" | "SYSUTCDATETIME" => Some(SqlType::DateTime2(7)),
                "SYSDATETIMEOFFSET" => Some(SqlType::DateTimeOffset(7)),
                "NEWID" => Some(SqlType::UniqueIdentifier),
                "REPLICATE" => Some(SqlType::NVarChar(None)),
                "DB_NAME" | "SUSER_SNAME" | "SUSER_NAME" | "ORIGINAL_LOGIN" | "USER_NAME" | "HOST_NAME"
                | "APP_NAME" => name(128),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether the parentheses around this belong together.
fn is_one(inner: &[Token]) -> bool {
    let mut depth = 0_i32;
    inner.iter().all(|token| {
        depth += i32::from(token.is_symbol("(")) - i32::from(token.is_symbol(")"));
        depth >= 0
    })
}

fn type_of_number(text: &str) -> SqlType {
    if text.contains(['e', 'E']) {
        return SqlType::Float;
    }
    let digits = u8::try_from(text.bytes().filter(u8::is_ascii_digit).count()).unwrap_or(38).clamp(1, 38);
    match text.split_once('.') {
        Some((_, fraction)) => SqlType::Decimal(digits, u8::try_from(fraction.len()).unwrap_or(0).min(digits)),
        None if text.parse::<i32>().is_ok() => SqlType::Int,
        None if text.parse::<i64>().is_ok() => SqlType::BigInt,
        None => SqlType::Decimal(digits, 0),
    }
}

/// The type and the value in the parentheses of CAST or CONVERT.
pub(super) fn conversion<'a>(function: &Token, inner: &'a [Token]) -> Option<(String, &'a [Token])> {
    let text = |tokens: &[Token]| tokens.iter().map(|token| token.text.as_str()).collect::<String>();
    if function.is_any(&["CONVERT", "TRY_CONVERT"]) {
        let mut arguments = by_commas(inner).into_iter();
        return Some((text(arguments.next()?), arguments.next()?));
    }
    let mut depth = 0_i32;
    let at = inner.iter().rposition(|token| {
        depth += i32::from(token.is_symbol(")")) - i32::from(token.is_symbol("("));
        depth == 0 && token.is("AS")
    })?;
    Some((text(inner.get(at + 1..)?), inner.get(..at)?))
}
