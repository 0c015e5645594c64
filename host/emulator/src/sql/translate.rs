//! Translates T-SQL to SQLite's SQL, as far as that is cheap.

use super::failure::Failure;
use super::lexer::{Kind, Token};
use super::schema;
use super::select::{self, Item};
use super::statement::by_commas;

/// What a session knows that statements ask for.
#[derive(Clone, Debug, Default)]
pub(super) struct Surroundings {
    pub(super) database: String,
    pub(super) login: String,
    pub(super) host: String,
    pub(super) application: String,
    pub(super) spid: u16,
    pub(super) transactions: u32,
    pub(super) rows: u64,
}

/// A statement for SQLite.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Translated {
    pub(super) sql: String,
    /// What its result consists of, where it has one.
    pub(super) items: Vec<Item>,
    /// Whether it tells how many rows it changed.
    pub(super) counts: bool,
}

pub(super) fn statement(tokens: &[Token], surroundings: &Surroundings) -> Result<Translated, Failure> {
    let writer = Writer { surroundings };
    let first = tokens.first();
    let is = |word: &str| first.is_some_and(|first| first.is(word));
    let second_is = |words: &[&str]| tokens.get(1).is_some_and(|second| second.is_any(words));
    let counts = ["INSERT", "UPDATE", "DELETE", "WITH", "MERGE"].iter().any(|word| is(word));
    let sql = if is("CREATE") && second_is(&["TABLE"]) {
        schema::create_table(tokens, &|tokens| writer.write(tokens))?
    } else if is("TRUNCATE") {
        format!("DELETE FROM {}", writer.write(tokens.get(2..).unwrap_or_default())?)
    } else if is("INSERT") && !second_is(&["INTO"]) {
        writer.changing("INSERT INTO", tokens.get(1..).unwrap_or_default())?
    } else if is("DELETE") && !second_is(&["FROM", "TOP"]) {
        writer.changing("DELETE FROM", tokens.get(1..).unwrap_or_default())?
    } else if is("INSERT") || is("UPDATE") || is("DELETE") {
        let verb = first.map(|first| first.text.clone()).unwrap_or_default();
        writer.changing(&verb, tokens.get(1..).unwrap_or_default())?
    } else if let Some(into) = select_into(tokens) {
        let (target, rest) = into;
        format!("CREATE TABLE {} AS {}", name(&target.text), writer.write(&rest)?)
    } else {
        writer.write(tokens)?
    };
    Ok(Translated { sql, items: select::items(tokens), counts })
}

/// `SELECT ... INTO name FROM ...`
fn select_into(tokens: &[Token]) -> Option<(Token, Vec<Token>)> {
    if !tokens.first()?.is("SELECT") {
        return None;
    }
    let at = tokens.iter().position(|token| token.is("INTO"))?;
    let target = tokens.get(at + 1)?.clone();
    Some((target, [tokens.get(..at)?, tokens.get(at + 2..)?].concat()))
}

/// A name in quotes.
pub(super) fn name(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

struct Writer<'a> {
    surroundings: &'a Surroundings,
}

impl Writer<'_> {
    /// A statement that changes rows, with its OUTPUT as SQLite's RETURNING.
    fn changing(&self, verb: &str, tokens: &[Token]) -> Result<String, Failure> {
        let Some(at) = tokens.iter().position(|token| token.is("OUTPUT")) else {
            return Ok(format!("{verb} {}", self.write(tokens)?));
        };
        let (head, rest) = tokens.split_at(at);
        let ends = |token: &Token| token.is_any(&["VALUES", "SELECT", "FROM", "WHERE", "DEFAULT"]);
        let end = rest.iter().position(ends).unwrap_or(rest.len());
        let (output, tail) = rest.split_at(end);
        let mut returned = Vec::new();
        for token in output.get(1..).unwrap_or_default() {
            match token.is_any(&["INSERTED", "DELETED"]) {
                true => continue,
                false if token.is_symbol(".") => continue,
                false => returned.push(token.clone()),
            }
        }
        Ok(format!("{verb} {} {} RETURNING {}", self.write(head)?, self.write(tail)?, self.write(&returned)?))
    }

    #[allow(clippy::too_many_lines, reason = "one arm for each word")]
    fn write(&self, tokens: &[Token]) -> Result<String, Failure> {
        let mut out: Vec<String> = Vec::new();
        // The limits of the selects that are open, one for each parenthesis.
        let mut limits: Vec<Option<String>> = vec![None];
        let mut divides = false;
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            let next = tokens.get(at);
            let calls = next.is_some_and(|next| next.is_symbol("("));
            if divides && !token.is_any(&["CAST", "CONVERT"]) {
                let end = operand(tokens, at - 1);
                divides = false;
                let inner = self.write(tokens.get(at - 1..end).unwrap_or_default())?;
                out.push(format!("tds_divisor({inner})"));
                at = end;
                continue;
            }
            divides = false;
            match token.kind {
                Kind::Text => out.push(text(&token.text)),
                Kind::Number => out.push(number(&token.text)),
                Kind::Binary => {
                    out.push(format!("x'{:0>width$}'", token.text, width = token.text.len().next_multiple_of(2)));
                }
                Kind::Variable => out.push(self.variable(&token.text)),
                Kind::Symbol => match token.text.as_str() {
                    "(" => {
                        limits.push(None);
                        out.push("(".to_owned());
                    }
                    ")" => {
                        if let Some(limit) = limits.pop().flatten() {
                            out.push(format!("LIMIT {limit}"));
                        }
                        out.push(")".to_owned());
                    }
                    "+" => {
                        let is_text = |token: Option<&Token>| token.is_some_and(|token| token.kind == Kind::Text);
                        let joins = is_text(next) || is_text(at.checked_sub(2).and_then(|at| tokens.get(at)));
                        out.push(if joins { "||" } else { "+" }.to_owned());
                    }
                    "/" | "%" => {
                        divides = true;
                        out.push(token.text.clone());
                    }
                    symbol => out.push(symbol.to_owned()),
                },
                Kind::Word | Kind::Name if next.is_some_and(|next| next.is_symbol(".")) && is_schema(&token.text) => {
                    at += 1;
                }
                Kind::Name => out.push(name(&token.text)),
                Kind::Word => match token.text.to_ascii_uppercase().as_str() {
                    "CAST" | "TRY_CAST" | "CONVERT" | "TRY_CONVERT" if calls => {
                        let end = operand(tokens, at);
                        let inner = tokens.get(at + 1..end.saturating_sub(1)).unwrap_or_default();
                        let (of, value) =
                            select::conversion(token, inner).ok_or_else(|| Failure::syntax(&token.text))?;
                        out.push(format!("tds_cast({}, {})", self.write(value)?, text(&of)));
                        at = end;
                    }
                    "TOP" => {
                        let end = operand(tokens, at);
                        let limit = self.write(tokens.get(at..end).unwrap_or_default())?;
                        at = end;
                        if let Some(open) = limits.last_mut() {
                            *open = Some(limit);
                        }
                    }
                    "OFFSET" if tokens.get(at + 1).is_some_and(|token| token.is_any(&["ROW", "ROWS"])) => {
                        let offset = self.write(tokens.get(at..=at).unwrap_or_default())?;
                        at += 2;
                        let fetches = tokens.get(at).is_some_and(|token| token.is("FETCH"));
                        let limit = if fetches {
                            let limit = self.write(tokens.get(at + 2..at + 3).unwrap_or_default())?;
                            at += 5;
                            limit
                        } else {
                            "-1".to_owned()
                        };
                        out.push(format!("LIMIT {limit} OFFSET {offset}"));
                    }
                    "WITH" if calls && hints(tokens, at) => at = operand(tokens, at),
                    "GENERATE_SERIES" if calls => {
                        let end = operand(tokens, at);
                        let inner = tokens.get(at + 1..end.saturating_sub(1)).unwrap_or_default();
                        out.push(self.series(inner)?);
                        at = end;
                    }
                    "ISNULL" if calls => out.push("ifnull".to_owned()),
                    "GETDATE" | "GETUTCDATE" | "SYSDATETIME" | "SYSUTCDATETIME" | "SYSDATETIMEOFFSET" | "NEWID"
                    | "LEN" | "DATALENGTH" | "CHARINDEX" | "LEFT" | "RIGHT" | "REPLICATE" | "YEAR" | "MONTH"
                    | "DAY"
                        if calls =>
                    {
                        out.push(format!("tds_{}", token.text.to_ascii_lowercase()));
                    }
                    "CURRENT_TIMESTAMP" => out.push("tds_getdate()".to_owned()),
                    "COUNT_BIG" if calls => out.push("count".to_owned()),
                    "SCOPE_IDENTITY" if calls => out.push("last_insert_rowid".to_owned()),
                    "DB_NAME" | "SUSER_SNAME" | "SUSER_NAME" | "ORIGINAL_LOGIN" | "USER_NAME" | "HOST_NAME"
                    | "APP_NAME" | "XACT_STATE"
                        if calls =>
                    {
                        out.push(self.known(&token.text));
                        at = operand(tokens, at);
                    }
                    "SYSTEM_USER" | "SESSION_USER" | "CURRENT_USER" => out.push(text(&self.surroundings.login)),
                    "OBJECT_ID" if calls => {
                        let end = operand(tokens, at);
                        let object =
                            tokens.get(at + 1).map(|token| token.text.replace(['[', ']'], "")).unwrap_or_default();
                        let object = object.rsplit('.').next().unwrap_or_default().to_owned();
                        let found = text(&object);
                        out.push(format!("(SELECT rowid FROM sqlite_schema WHERE name = {found} COLLATE NOCASE)"));
                        at = end;
                    }
                    _ if token.text.starts_with('#') => out.push(name(&token.text)),
                    _ => out.push(token.text.clone()),
                },
            }
        }
        while let Some(limit) = limits.pop() {
            out.extend(limit.map(|limit| format!("LIMIT {limit}")));
        }
        Ok(out.join(" "))
    }

    /// `GENERATE_SERIES(first, last, step)`, row by row.
    fn series(&self, arguments: &[Token]) -> Result<String, Failure> {
        let arguments: Result<Vec<String>, Failure> =
            by_commas(arguments).into_iter().map(|argument| self.write(argument)).collect();
        let arguments = arguments?;
        let (Some(first), Some(last)) = (arguments.first(), arguments.get(1)) else {
            return Err(Failure::new(
                313,
                "An insufficient number of arguments were supplied for the procedure or function GENERATE_SERIES.",
            ));
        };
        let step = arguments.get(2).map_or("1", String::as_str);
        Ok(format!(
            "(WITH RECURSIVE series(value) AS (SELECT {first} WHERE ({first}) <= ({last}) UNION ALL SELECT value + ({step}) FROM \
             series WHERE value + ({step}) <= ({last})) SELECT value FROM series)"
        ))
    }

    fn variable(&self, variable: &str) -> String {
        let known = self.surroundings;
        match variable.to_ascii_uppercase().as_str() {
            "@@VERSION" => text("Microsoft SQL Azure (RTM) - 12.0.2000.8 (Keyward emulator)"),
            "@@SPID" => known.spid.to_string(),
            "@@TRANCOUNT" => known.transactions.to_string(),
            "@@ROWCOUNT" => known.rows.to_string(),
            "@@IDENTITY" => "last_insert_rowid()".to_owned(),
            "@@SERVERNAME" => text(super::token::SERVER),
            "@@LANGUAGE" => text("us_english"),
            "@@MAX_PRECISION" => "38".to_owned(),
            "@@ERROR" => "0".to_owned(),
            _ => variable.to_ascii_lowercase(),
        }
    }

    fn known(&self, function: &str) -> String {
        let known = self.surroundings;
        match function.to_ascii_uppercase().as_str() {
            "DB_NAME" => text(&known.database),
            "HOST_NAME" => text(&known.host),
            "APP_NAME" => text(&known.application),
            "XACT_STATE" => u8::from(known.transactions > 0).to_string(),
            _ => text(&known.login),
        }
    }
}

/// Names of schemas and databases that stand before the name of a table.
fn is_schema(text: &str) -> bool {
    text.eq_ignore_ascii_case("dbo")
}

/// A number, as a text where SQLite would round it.
fn number(digits: &str) -> String {
    let count = digits.bytes().filter(u8::is_ascii_digit).count();
    let is_float = digits.contains(['e', 'E']);
    let rounds = if digits.contains('.') { count > 15 } else { digits.parse::<i64>().is_err() };
    if rounds && !is_float { text(digits) } else { digits.to_owned() }
}

/// Whether what follows a WITH are hints for a table.
fn hints(tokens: &[Token], at: usize) -> bool {
    const HINTS: [&str; 12] = [
        "NOLOCK",
        "UPDLOCK",
        "HOLDLOCK",
        "ROWLOCK",
        "TABLOCK",
        "TABLOCKX",
        "READPAST",
        "NOWAIT",
        "XLOCK",
        "READCOMMITTED",
        "SERIALIZABLE",
        "READUNCOMMITTED",
    ];
    tokens.get(at + 1).is_some_and(|token| token.is_any(&HINTS))
}

/// Where the operand that begins here ends: a sign, a name with dots, a call, a constant, something in parentheses.
fn operand(tokens: &[Token], start: usize) -> usize {
    let symbol = |at: usize, symbol: &str| tokens.get(at).is_some_and(|token| token.is_symbol(symbol));
    let mut at = start;
    while symbol(at, "-") || symbol(at, "+") {
        at += 1;
    }
    if !symbol(at, "(") {
        at += 1;
        while symbol(at, ".") {
            at += 2;
        }
    }
    if symbol(at, "(")
        && (at == start || tokens.get(at - 1).is_none_or(|token| token.is_name() || token.kind == Kind::Symbol))
    {
        let mut depth = 0_i32;
        while let Some(token) = tokens.get(at) {
            depth += i32::from(token.is_symbol("(")) - i32::from(token.is_symbol(")"));
            at += 1;
            if depth == 0 {
                break;
            }
        }
    }
    at.min(tokens.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lexer::tokens;

    #[test]
    fn t_sql_becomes_sqlites() {
        let surroundings = Surroundings { database: "shop".to_owned(), spid: 51, ..Surroundings::default() };
        for (from, to) in [
            ("SELECT TOP 2 [a b] FROM dbo.orders", "SELECT \"a b\" FROM orders LIMIT 2"),
            ("SELECT * FROM (SELECT TOP (1) x FROM t) y", "SELECT * FROM ( SELECT x FROM t LIMIT ( 1 ) ) y"),
            ("SELECT @@SPID, DB_NAME()", "SELECT 51 , 'shop'"),
            ("SELECT N'a' + @p", "SELECT 'a' || @p"),
            ("SELECT 1 / (2 - 2)", "SELECT 1 / tds_divisor(( 2 - 2 ))"),
            ("SELECT CAST(x AS decimal(9, 2))", "SELECT tds_cast(x, 'decimal(9,2)')"),
            ("SELECT CONVERT(varchar(3), x)", "SELECT tds_cast(x, 'varchar(3)')"),
            ("SELECT x FROM t WITH (NOLOCK)", "SELECT x FROM t"),
            (
                "SELECT x FROM t ORDER BY x OFFSET 5 ROWS FETCH NEXT 3 ROWS ONLY",
                "SELECT x FROM t ORDER BY x LIMIT 3 OFFSET 5",
            ),
            ("INSERT t (a) OUTPUT INSERTED.id VALUES (1)", "INSERT INTO t ( a ) VALUES ( 1 ) RETURNING id"),
            ("SELECT 12345678901234567890.12", "SELECT '12345678901234567890.12'"),
        ] {
            assert_eq!(statement(&tokens(from).unwrap(), &surroundings).unwrap().sql, to);
        }
    }
}
