//! Errors with the numbers and messages of SQL Server.

use std::fmt;

/// An error that is sent to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SqlError {
    pub(super) number: i32,
    pub(super) state: u8,
    /// The severity.
    pub(super) class: u8,
    pub(super) message: String,
    /// Whether it ends the batch.
    pub(super) ends_batch: bool,
}

/// Marks an error of one of the SQL functions; its number follows.
const MARK: &str = "tds error ";

impl SqlError {
    pub(super) fn new(number: i32, message: impl Into<String>) -> Self {
        let class = match number {
            102 | 105 | 113 | 137 | 191 | 319 => 15,
            18456 | 547 | 2627 => 14,
            4060 => 11,
            1205 => 13,
            40613 | 40197 | 40501 | 49918 | 49919 | 49920 | 10928 | 10929 => 17,
            _ => 16,
        };
        let ends_batch =
            !matches!(number, 547 | 2627 | 515 | 2628 | 8134 | 50000 | 3902 | 3903 | 2812);
        Self { number, state: 1, class, message: message.into(), ends_batch }
    }

    pub(super) fn syntax(near: &str) -> Self {
        Self::new(102, format!("Incorrect syntax near '{near}'."))
    }

    /// A statement is nested deeper than the server can parse.
    pub(super) fn too_deep() -> Self {
        let message = "Some part of your SQL statement is nested too deeply. Rewrite the query or \
                       break it up into smaller queries.";
        Self::new(191, message)
    }

    /// The emulator does not support a statement or a clause.
    pub(super) fn unsupported(name: &str) -> Self {
        Self::new(
            40510,
            format!(
                "Statement '{name}' is not supported in this version of SQL Server (emulator)."
            ),
        )
    }

    pub(super) fn unknown_type(name: &str) -> Self {
        Self::new(2715, format!("Cannot find data type {name}."))
    }

    pub(super) fn conversion(from: &str, to: &str) -> Self {
        Self::new(
            245,
            format!("Conversion failed when converting the value '{from}' to data type {to}."),
        )
    }

    pub(super) fn overflow(to: &str) -> Self {
        Self::new(
            8115,
            format!("Arithmetic overflow error converting expression to data type {to}."),
        )
    }

    /// An error of Azure by its number.
    pub(super) fn numbered(number: i32, database: &str) -> Self {
        let message = match number {
            40613 => format!(
                "Database '{database}' on server 'contoso' is not currently available.  Please \
                 retry the connection later. If the problem persists, contact customer support."
            ),
            40197 => "The service has encountered an error processing your request. Please try \
                      again."
                .to_owned(),
            40501 => {
                "The service is currently busy. Retry the request after 10 seconds.".to_owned()
            }
            1205 => {
                "Transaction was deadlocked on lock resources with another process and has been \
                 chosen as the deadlock victim. Rerun the transaction."
                    .to_owned()
            }
            4060 => format!(
                "Cannot open database \"{database}\" requested by the login. The login failed."
            ),
            18456 => "Login failed for user '<token-identified principal>'.".to_owned(),
            _ => format!("Error {number} on purpose."),
        };
        Self::new(number, message)
    }

    /// Translates an error of SQLite.
    pub(super) fn from_sqlite(error: &rusqlite::Error) -> Self {
        let (code, text) = match error {
            rusqlite::Error::SqliteFailure(error, Some(text)) => {
                (error.extended_code, text.as_str())
            }
            rusqlite::Error::SqliteFailure(error, None) => (error.extended_code, ""),
            rusqlite::Error::SqlInputError { error, msg, .. } => {
                (error.extended_code, msg.as_str())
            }
            rusqlite::Error::UserFunctionError(error) => {
                return Self::from_function(&error.to_string());
            }
            _ => return Self::new(50001, error.to_string()),
        };
        if text.contains(MARK) {
            return Self::from_function(text);
        }
        let after = |prefix: &str| text.split_once(prefix).map(|(_, rest)| rest.trim());
        let near = || text.split('"').nth(1).unwrap_or_default();
        match code {
            5 | 6 | 261 | 262 | 773 => return Self::numbered(1205, ""),
            517 => {
                return Self::new(
                    3960,
                    "Snapshot isolation transaction aborted due to update conflict.",
                );
            }
            275 if text.contains("tds_2628") => {
                return Self::new(2628, "String or binary data would be truncated.");
            }
            275 | 787 | 1811 => {
                return Self::new(
                    547,
                    format!("The statement conflicted with a constraint. {text}."),
                );
            }
            1299 => {
                let column =
                    after("failed: ").and_then(|name| name.split('.').nth(1)).unwrap_or_default();
                return Self::new(
                    515,
                    format!(
                        "Cannot insert the value NULL into column '{column}'; it does not allow \
                         nulls."
                    ),
                );
            }
            1555 | 2067 | 2579 => {
                let table =
                    after("failed: ").and_then(|name| name.split('.').next()).unwrap_or_default();
                return Self::new(
                    2627,
                    format!(
                        "Violation of PRIMARY KEY constraint. Cannot insert duplicate key in \
                         object 'dbo.{table}'."
                    ),
                );
            }
            _ => {}
        }
        if let Some(name) = after("no such table: ") {
            Self::new(208, format!("Invalid object name '{}'.", name.trim_start_matches("main.")))
        } else if let Some(name) =
            after("no such column: ").or_else(|| after("has no column named "))
        {
            Self::new(207, format!("Invalid column name '{name}'."))
        } else if let Some(name) = after("no such function: ") {
            Self::new(195, format!("'{name}' is not a recognized built-in function name."))
        } else if text.contains("syntax error") {
            Self::syntax(near())
        } else if text.contains("incomplete input") {
            Self::syntax(";")
        } else if text.contains("already exists") {
            Self::new(2714, format!("There is already an object in the database. ({text})"))
        } else {
            Self::new(50001, text)
        }
    }

    fn from_function(text: &str) -> Self {
        let rest = text.split_once(MARK).map_or(text, |(_, rest)| rest);
        match rest
            .split_once(": ")
            .and_then(|(number, message)| Some((number.parse().ok()?, message)))
        {
            Some((number, message)) => Self::new(number, message),
            None => Self::new(50001, text),
        }
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{MARK}{}: {}", self.number, self.message)
    }
}

impl std::error::Error for SqlError {}

/// Why a statement failed.
#[derive(Debug)]
pub(super) enum StatementError {
    /// An error for the client.
    Sql(SqlError),
    /// The client has cancelled it.
    Cancelled,
    /// The client has disconnected.
    Disconnected,
}

impl From<SqlError> for StatementError {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}
