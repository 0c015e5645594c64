//! The database: SQLite, in a directory of its own that goes with the emulator. In its write-ahead mode readers see the last
//! commit while somebody writes, as they do in Azure.

use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tempfile::TempDir;

use super::batch::{self, StatementKind};
use super::translate::{self, SessionInfo};
use super::{functions, initial_tables};

/// For how long a writer waits for another.
const WAIT: Duration = Duration::from_secs(5);

/// Where the tables are.
#[derive(Debug)]
pub(super) struct Database {
    directory: TempDir,
}

impl Database {
    pub(super) fn new() -> Result<Self, String> {
        let directory = tempfile::Builder::new().prefix("keyward-sql-").tempdir().map_err(|error| error.to_string())?;
        let database = Self { directory };
        let connection = database.connect().map_err(|error| error.to_string())?;
        for sql in initial_tables::STATEMENTS {
            for statement in batch::parse(sql).map_err(|error| error.message)? {
                let StatementKind::Sql(statement) = statement.kind else { continue };
                let translated = translate::statement(&statement, &SessionInfo::default());
                let translated = translated.map_err(|error| error.message)?;
                connection.execute(&translated.sql, []).map_err(|error| error.to_string())?;
            }
        }
        Ok(database)
    }

    pub(super) fn connect(&self) -> rusqlite::Result<Connection> {
        let connection = Connection::open(self.directory.path().join("sql"))?;
        connection.busy_timeout(WAIT)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // Nothing has to outlive the emulator.
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        // A name in quotes that there is none of is an error, and no text.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
        functions::register(&connection)?;
        // For GENERATE_SERIES.
        rusqlite::vtab::series::load_module(&connection)?;
        Ok(connection)
    }
}
