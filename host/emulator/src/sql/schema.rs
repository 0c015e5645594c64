//! The tables: those that the server starts with, and how others are declared.

use super::failure::Failure;
use super::lexer::{Token, tokens};
use super::statement::by_commas;
use super::translate::name;
use super::types::SqlType;

/// What the database starts with. The types of `types` are in the names of its columns.
pub(super) const START: [&str; 4] = [
    "CREATE TABLE orders (id int NOT NULL PRIMARY KEY, customer nvarchar(100) NOT NULL, total decimal(18,2) NOT NULL, \
     placed datetime2 NOT NULL, note nvarchar(max) NULL)",
    "INSERT INTO orders VALUES (1, 'Fabrikam', 1200.50, '2024-01-15 09:30:00.0000000', NULL), (2, 'Northwind', 89.99, \
     '2024-02-29 23:59:59.9999999', 'leave at the door'), (3, 'Zoë & Söhne', 0.05, '2024-12-31 12:00:00.0000000', '')",
    "CREATE TABLE types (id int NOT NULL PRIMARY KEY, c_tinyint tinyint, c_smallint smallint, c_int int, c_bigint bigint, c_bit \
     bit, c_decimal decimal(38,10), c_numeric numeric(9,3), c_money money, c_smallmoney smallmoney, c_real real, c_float float, \
     c_char char(10), c_varchar varchar(100), c_varchar_max varchar(max), c_nchar nchar(10), c_nvarchar nvarchar(100), \
     c_nvarchar_max nvarchar(max), c_binary binary(8), c_varbinary varbinary(100), c_varbinary_max varbinary(max), c_date date, \
     c_time time(7), c_datetime datetime, c_smalldatetime smalldatetime, c_datetime2 datetime2(7), c_datetimeoffset \
     datetimeoffset(7), c_uniqueidentifier uniqueidentifier, c_xml xml)",
    "INSERT INTO types VALUES (1, 255, -32768, 2147483647, 9223372036854775807, 1, \
     '1234567890123456789012345678.0123456789', 123456.789, '922337203685477.5807', 214748.3647, 0.5, 1.7976931348623157e308, \
     'char', 'für 5 €', 'long', 'nchar', '漢字 🎉', 'länger', 0x0102030405060708, 0xff00, 0xdeadbeef, '2024-02-29', \
     '23:59:59.9999999', '2024-02-29 23:59:59.997', '2024-02-29 23:59:00', '0001-01-01 00:00:00.0000001', \
     '2024-02-29 23:59:59.9999999 -03:30', '01234567-89AB-CDEF-0123-456789ABCDEF', '<a>1</a>')",
];

/// A row of `types` with nothing in it.
pub(super) const NULLS: &str = "INSERT INTO types (id) VALUES (2)";

/// Declares a table as SQLite keeps it.
pub(super) fn create_table(
    statement: &[Token],
    write: &dyn Fn(&[Token]) -> Result<String, Failure>,
) -> Result<String, Failure> {
    let near = || Failure::syntax(statement.last().map_or("", |token| token.text.as_str()));
    let open = statement.iter().position(|token| token.is_symbol("(")).ok_or_else(near)?;
    let close = statement.iter().rposition(|token| token.is_symbol(")")).ok_or_else(near)?;
    let table = statement.get(open.wrapping_sub(1)).filter(|token| token.is_name()).ok_or_else(near)?;
    let items = by_commas(statement.get(open + 1..close).unwrap_or_default());
    let items: Result<Vec<String>, Failure> = items.into_iter().map(|item| column(item, write)).collect();
    let temporary = if table.text.starts_with('#') { "TEMP " } else { "" };
    Ok(format!("CREATE {temporary}TABLE {} ({})", name(&table.text), items?.join(", ")))
}

fn column(item: &[Token], write: &dyn Fn(&[Token]) -> Result<String, Failure>) -> Result<String, Failure> {
    let is_noise = |token: &Token| token.is_any(&["CLUSTERED", "NONCLUSTERED"]);
    let item: Vec<Token> = item.iter().filter(|token| !is_noise(token)).cloned().collect();
    let [own, of, rest @ ..] = item.as_slice() else { return Err(Failure::syntax(")")) };
    if own.is_any(&["CONSTRAINT", "PRIMARY", "FOREIGN", "UNIQUE", "CHECK"]) {
        return write(&item);
    }
    let end = match rest.first() {
        Some(open) if open.is_symbol("(") => rest.iter().position(|token| token.is_symbol(")")).map_or(0, |at| at + 1),
        _ => 0,
    };
    let (arguments, rest) = rest.split_at(end);
    let declared: String = std::iter::once(of).chain(arguments).map(|token| token.text.as_str()).collect();
    let of =
        SqlType::parse(&declared).ok_or_else(|| Failure::new(2715, format!("Cannot find data type {declared}.")))?;
    let own = name(&own.text);
    if rest.iter().any(|token| token.is("IDENTITY")) {
        return Ok(format!("{own} INTEGER PRIMARY KEY AUTOINCREMENT"));
    }
    let Some(default) = rest.iter().position(|token| token.is("DEFAULT")) else {
        return Ok(format!("{} {}", of.declaration(&own), write(rest)?));
    };
    // SQLite wants a call in parentheses.
    let (before, rest) = rest.split_at(default);
    let ends = |token: &Token| token.is_any(&["NOT", "NULL", "PRIMARY", "UNIQUE", "CHECK", "REFERENCES", "CONSTRAINT"]);
    let end = rest.iter().skip(2).position(ends).map_or(rest.len(), |at| at + 2);
    let (default, rest) = rest.split_at(end);
    let default = write(default.get(1..).unwrap_or_default())?;
    Ok(format!("{} {} DEFAULT ({default}) {}", of.declaration(&own), write(before)?, write(rest)?))
}

/// The statements that make the first tables.
pub(super) fn start() -> Result<Vec<Vec<Token>>, Failure> {
    START.iter().chain([&NULLS]).map(|statement| tokens(statement)).collect()
}
