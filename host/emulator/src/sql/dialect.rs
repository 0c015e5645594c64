//! The SQL dialect that batches are parsed in.

use std::any::TypeId;

use sqlparser::dialect::{Dialect, MsSqlDialect};
use sqlparser::keywords::Keyword;
use sqlparser::parser::Parser;

const BASE: MsSqlDialect = MsSqlDialect {};

/// [`MsSqlDialect`] with all keywords that begin a statement reserved.
///
/// Transact-SQL needs no semicolon between statements: in `SELECT 1 COMMIT` the second word is a
/// statement, but `MsSqlDialect` parses it as the alias of a column.
#[derive(Debug)]
pub(super) struct TransactSql;

/// Whether a statement of Transact-SQL begins with this keyword.
pub(super) fn begins_statement(keyword: Keyword) -> bool {
    matches!(
        keyword,
        Keyword::ALTER
            | Keyword::BEGIN
            | Keyword::COMMIT
            | Keyword::CREATE
            | Keyword::DECLARE
            | Keyword::DELETE
            | Keyword::DROP
            | Keyword::EXEC
            | Keyword::EXECUTE
            | Keyword::IF
            | Keyword::INSERT
            | Keyword::MERGE
            | Keyword::PRINT
            | Keyword::RAISERROR
            | Keyword::RETURN
            | Keyword::ROLLBACK
            | Keyword::SELECT
            | Keyword::SET
            | Keyword::THROW
            | Keyword::TRUNCATE
            | Keyword::UPDATE
            | Keyword::USE
            | Keyword::WAITFOR
            | Keyword::WHILE
            | Keyword::WITH
    )
}

macro_rules! same_as_base {
    ($($method:ident),* $(,)?) => {
        $(
            fn $method(&self) -> bool {
                BASE.$method()
            }
        )*
    };
}

impl Dialect for TransactSql {
    // The parser compares this to find out what to accept.
    fn dialect(&self) -> TypeId {
        BASE.dialect()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        BASE.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        BASE.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        BASE.is_identifier_part(ch)
    }

    fn is_select_item_alias(
        &self,
        explicit: bool,
        keyword: &Keyword,
        parser: &mut Parser<'_>,
    ) -> bool {
        !begins_statement(*keyword)
            && *keyword != Keyword::ELSE
            && BASE.is_select_item_alias(explicit, keyword, parser)
    }

    fn is_table_factor_alias(
        &self,
        explicit: bool,
        keyword: &Keyword,
        parser: &mut Parser<'_>,
    ) -> bool {
        !begins_statement(*keyword)
            && *keyword != Keyword::ELSE
            && BASE.is_table_factor_alias(explicit, keyword, parser)
    }

    fn get_next_precedence(
        &self,
        parser: &Parser<'_>,
    ) -> Option<Result<u8, sqlparser::parser::ParserError>> {
        BASE.get_next_precedence(parser)
    }

    same_as_base!(
        convert_type_before_value,
        supports_boolean_literals,
        supports_connect_by,
        supports_dollar_as_money_prefix,
        supports_end_transaction_modifier,
        supports_eq_alias_assignment,
        supports_named_fn_args_with_colon_operator,
        supports_named_fn_args_with_expr_name,
        supports_named_fn_args_with_rarrow_operator,
        supports_nested_comments,
        supports_object_name_double_dot_notation,
        supports_outer_join_operator,
        supports_set_stmt_without_operator,
        supports_start_transaction_modifier,
        supports_table_versioning,
        supports_try_convert,
    );
}
