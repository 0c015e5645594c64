//! Mock of a database: a closure of the test.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::Mount;
use crate::sql_data::{Credential, Isolation, Item, SqlError, Value};

/// A statement that a plugin sends to a database.
#[derive(Clone, Debug)]
pub(crate) struct DatabaseRequest {
    pub(crate) database: String,
    pub(crate) credential: Credential,
    pub(crate) statement: String,
    pub(crate) parameters: Vec<Value>,
    pub(crate) timeout: Option<Duration>,
}

/// The database's reply.
pub(crate) enum Reply {
    Items(Box<dyn Iterator<Item = Result<Item, SqlError>>>),
    Counts(Vec<u64>),
}

pub(crate) type Database = Rc<dyn Fn(DatabaseRequest) -> Result<Reply, SqlError>>;
pub(crate) type Login = Box<dyn Fn(&str, &Credential) -> Result<(), SqlError>>;

pub(crate) struct Connection {
    name: String,
    credential: Credential,
    database: Database,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("database", &self.name).finish_non_exhaustive()
    }
}

pub(crate) struct Results(RefCell<Box<dyn Iterator<Item = Result<Item, SqlError>>>>);

impl std::fmt::Debug for Results {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Results")
    }
}

impl Mount {
    pub(crate) fn connect(
        &self,
        database: &str,
        credential: &Credential,
    ) -> Result<Connection, SqlError> {
        (self.login)(database, credential)?;
        let (name, credential) = (database.to_owned(), credential.clone());
        Ok(Connection { name, credential, database: Rc::clone(&self.database) })
    }
}

impl Connection {
    fn send(
        &self,
        statement: &str,
        parameters: &[Value],
        timeout: Option<u32>,
    ) -> Result<Reply, SqlError> {
        (self.database)(DatabaseRequest {
            database: self.name.clone(),
            credential: self.credential.clone(),
            statement: statement.to_owned(),
            parameters: parameters.to_vec(),
            timeout: timeout.map(|ms| Duration::from_millis(ms.into())),
        })
    }

    pub(crate) fn query(
        &self,
        statement: &str,
        parameters: &[Value],
        timeout: Option<u32>,
    ) -> Result<Results, SqlError> {
        Ok(Results(RefCell::new(match self.send(statement, parameters, timeout)? {
            Reply::Items(items) => items,
            Reply::Counts(_) => Box::new(std::iter::empty()),
        })))
    }

    pub(crate) fn execute(
        &self,
        statement: &str,
        parameters: &[Value],
        timeout: Option<u32>,
    ) -> Result<Vec<u64>, SqlError> {
        match self.send(statement, parameters, timeout)? {
            Reply::Counts(counts) => Ok(counts),
            Reply::Items(mut items) => {
                items.try_for_each(|item| item.map(drop)).map(|()| Vec::new())
            }
        }
    }

    pub(crate) fn begin(&self, isolation: Option<Isolation>) -> Result<(), SqlError> {
        let statement = match isolation {
            None => "begin transaction".to_owned(),
            Some(isolation) => format!("begin transaction: {isolation:?}"),
        };
        self.send(&statement, &[], None).map(drop)
    }

    pub(crate) fn commit(&self) -> Result<(), SqlError> {
        self.send("commit transaction", &[], None).map(drop)
    }

    pub(crate) fn rollback(&self) -> Result<(), SqlError> {
        self.send("rollback transaction", &[], None).map(drop)
    }
}

impl Results {
    pub(crate) fn next(&self, _most: u32) -> Result<Option<Item>, SqlError> {
        self.0.borrow_mut().next().transpose()
    }
}
