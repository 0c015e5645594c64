//! The database: SQLite in a temporary directory. In its write-ahead mode readers see the last
//! commit during a write, as in Azure.

use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tempfile::TempDir;

use super::batch::{self, StatementKind};
use super::translate::{self, SessionInfo};
use super::{initial_tables, sql_functions};

/// How long a writer waits for another.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The directory with the database.
#[derive(Debug)]
pub(super) struct Database {
    directory: TempDir,
}

impl Database {
    pub(super) fn new() -> Result<Self, String> {
        let directory = tempfile::Builder::new()
            .prefix("keyward-sql-")
            .tempdir()
            .map_err(|error| error.to_string())?;
        let database = Self { directory };
        let connection = database.connect().map_err(|error| error.to_string())?;
        for sql in initial_tables::STATEMENTS {
            for statement in batch::parse(sql).map_err(|error| error.message)? {
                let StatementKind::Sql(statement) = statement.kind else {
                    continue;
                };
                let translated = translate::statement(&statement, &SessionInfo::default());
                let translated = translated.map_err(|error| error.message)?;
                connection.execute(&translated.sql, []).map_err(|error| error.to_string())?;
            }
        }
        Ok(database)
    }

    pub(super) fn connect(&self) -> rusqlite::Result<Connection> {
        let connection = Connection::open(self.directory.path().join("sql"))?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // No data has to survive a crash.
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        // An unknown name in double quotes is an error, not a string.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
        sql_functions::register(&connection)?;
        // For GENERATE_SERIES.
        rusqlite::vtab::series::load_module(&connection)?;
        Ok(connection)
    }
}
