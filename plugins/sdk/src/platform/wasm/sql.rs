//! Databases, over connections of the host.

use super::mount::Mount;
use crate::host::bindings::keyward::broker::sql as host;
use crate::sql_data::{Column, Credential, Isolation, Item, ServerError, SqlError, Value};

#[derive(Debug)]
pub(crate) struct Connection(host::Connection);

#[derive(Debug)]
pub(crate) struct Results(host::Results);

impl Mount {
    pub(crate) fn connect(
        &self,
        database: &str,
        credential: &Credential,
    ) -> Result<Connection, SqlError> {
        let credential = match credential.clone() {
            Credential::Token(surrogate) => host::Credential::Token(surrogate),
            Credential::Password { user, password } => {
                host::Credential::Password(host::Login { user, password })
            }
        };
        host::Connection::open(database, &credential).map(Connection).map_err(error)
    }
}

impl Connection {
    pub(crate) fn query(
        &self,
        statement: &str,
        parameters: &[Value],
        timeout: Option<u32>,
    ) -> Result<Results, SqlError> {
        self.0.query(statement, &values(parameters), timeout).map(Results).map_err(error)
    }

    pub(crate) fn execute(
        &self,
        statement: &str,
        parameters: &[Value],
        timeout: Option<u32>,
    ) -> Result<Vec<u64>, SqlError> {
        self.0.execute(statement, &values(parameters), timeout).map_err(error)
    }

    pub(crate) fn begin(&self, isolation: Option<Isolation>) -> Result<(), SqlError> {
        let isolation = isolation.map(|isolation| match isolation {
            Isolation::ReadUncommitted => host::Isolation::ReadUncommitted,
            Isolation::ReadCommitted => host::Isolation::ReadCommitted,
            Isolation::RepeatableRead => host::Isolation::RepeatableRead,
            Isolation::Snapshot => host::Isolation::Snapshot,
            Isolation::Serializable => host::Isolation::Serializable,
        });
        self.0.begin(isolation).map_err(error)
    }

    pub(crate) fn commit(&self) -> Result<(), SqlError> {
        self.0.commit().map_err(error)
    }

    pub(crate) fn rollback(&self) -> Result<(), SqlError> {
        self.0.rollback().map_err(error)
    }
}

impl Results {
    pub(crate) fn next(&self, max_rows: u32) -> Result<Option<Item>, SqlError> {
        let next = self.0.next(max_rows).map_err(error)?;
        Ok(next.map(|item| match item {
            host::Item::Columns(columns) => {
                Item::Columns(columns.into_iter().map(column).collect())
            }
            host::Item::Rows(rows) => Item::Rows(
                rows.into_iter().map(|row| row.into_iter().map(value).collect()).collect(),
            ),
        }))
    }
}

fn column(column: host::Column) -> Column {
    Column { name: column.name, data_type: column.data_type.into() }
}

fn value(value: host::Value) -> Value {
    match value {
        host::Value::Null(data_type) => Value::Null(data_type.into()),
        host::Value::Bit(value) => Value::Bit(value),
        host::Value::Tinyint(value) => Value::Tinyint(value),
        host::Value::Smallint(value) => Value::Smallint(value),
        host::Value::Int(value) => Value::Int(value),
        host::Value::Bigint(value) => Value::Bigint(value),
        host::Value::Real(value) => Value::Real(value),
        host::Value::Float(value) => Value::Float(value),
        host::Value::Decimal(value) => Value::Decimal(value),
        host::Value::Text(value) => Value::Text(value),
        host::Value::Binary(value) => Value::Binary(value),
        host::Value::Date(value) => Value::Date(value),
        host::Value::Time(value) => Value::Time(value),
        host::Value::Datetime(value) => Value::Datetime(value),
        host::Value::Datetimeoffset(value) => Value::Datetimeoffset(value),
        host::Value::Uniqueidentifier(value) => Value::Uniqueidentifier(value),
        host::Value::Xml(value) => Value::Xml(value),
    }
}

fn values(values: &[Value]) -> Vec<host::Value> {
    let value = |value: &Value| match value.clone() {
        Value::Null(data_type) => host::Value::Null(data_type.into()),
        Value::Bit(value) => host::Value::Bit(value),
        Value::Tinyint(value) => host::Value::Tinyint(value),
        Value::Smallint(value) => host::Value::Smallint(value),
        Value::Int(value) => host::Value::Int(value),
        Value::Bigint(value) => host::Value::Bigint(value),
        Value::Real(value) => host::Value::Real(value),
        Value::Float(value) => host::Value::Float(value),
        Value::Decimal(value) => host::Value::Decimal(value),
        Value::Text(value) => host::Value::Text(value),
        Value::Binary(value) => host::Value::Binary(value),
        Value::Date(value) => host::Value::Date(value),
        Value::Time(value) => host::Value::Time(value),
        Value::Datetime(value) => host::Value::Datetime(value),
        Value::Datetimeoffset(value) => host::Value::Datetimeoffset(value),
        Value::Uniqueidentifier(value) => host::Value::Uniqueidentifier(value),
        Value::Xml(value) => host::Value::Xml(value),
    };
    values.iter().map(value).collect()
}

fn error(error: host::Error) -> SqlError {
    match error {
        host::Error::Server(error) => SqlError::Server(ServerError {
            number: error.number,
            state: error.state,
            class: error.class,
            line: error.line,
            message: error.message,
            procedure: error.procedure,
        }),
        host::Error::Unavailable(why) => SqlError::Unavailable(why),
        host::Error::Throttled(seconds) => SqlError::Throttled(seconds),
        host::Error::Unreachable(why) => SqlError::Unreachable(why),
        host::Error::Busy(why) => SqlError::Busy(why),
        host::Error::Broken(why) => SqlError::Broken(why),
        host::Error::TimedOut => SqlError::TimedOut,
        host::Error::Invalid(why) => SqlError::Invalid(why),
    }
}
