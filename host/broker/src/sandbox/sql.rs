//! The interface `sql`, as plugins see it: connections without a credential in sight.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{HasData, Linker, Resource, ResourceTable};

use super::bindings::{Connection, Results, sql};
use super::state::State;
use crate::call::Call;
use crate::sql::{Column, Credential, DataType, Isolation, Item, ServerError, Session, SqlError, Value};

struct Sql;

impl HasData for Sql {
    type Data<'a> = View<'a>;
}

struct View<'a> {
    call: Arc<Call>,
    table: &'a mut ResourceTable,
}

/// What the guest gets: its own errors, or a trap.
type Told<T> = wasmtime::Result<Result<T, sql::Error>>;

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    sql::add_to_linker::<State, Sql>(linker, |state| View { call: Arc::clone(&state.call), table: &mut state.table })
}

impl sql::Host for View<'_> {}

impl sql::HostConnection for View<'_> {
    async fn open(&mut self, database: String, credential: sql::Credential) -> Told<Resource<Connection>> {
        let credential = match credential {
            sql::Credential::Token(surrogate) => Credential::Token(surrogate),
            sql::Credential::Password(sql::Login { user, password }) => Credential::Password { user, password },
        };
        match Session::open(&self.call, database, credential).await {
            Ok(session) => Ok(Ok(self.table.push(Connection(Arc::new(session)))?)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn query(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<sql::Value>,
        timeout_ms: Option<u32>,
    ) -> Told<Resource<Results>> {
        let session = Arc::clone(&self.table.get(&connection)?.0);
        let running = session.query(statement, values(parameters), timeout(timeout_ms)).await;
        match running {
            Ok(running) => Ok(Ok(self.table.push(Results(running))?)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<sql::Value>,
        timeout_ms: Option<u32>,
    ) -> Told<Vec<u64>> {
        let session = Arc::clone(&self.table.get(&connection)?.0);
        Ok(session.execute(statement, values(parameters), timeout(timeout_ms)).await.map_err(Into::into))
    }

    async fn begin(&mut self, connection: Resource<Connection>, isolation: Option<sql::Isolation>) -> Told<()> {
        let session = Arc::clone(&self.table.get(&connection)?.0);
        Ok(session.begin(isolation.map(Into::into)).await.map_err(Into::into))
    }

    async fn commit(&mut self, connection: Resource<Connection>) -> Told<()> {
        let session = Arc::clone(&self.table.get(&connection)?.0);
        Ok(session.end(true).await.map_err(Into::into))
    }

    async fn rollback(&mut self, connection: Resource<Connection>) -> Told<()> {
        let session = Arc::clone(&self.table.get(&connection)?.0);
        Ok(session.end(false).await.map_err(Into::into))
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

impl sql::HostResults for View<'_> {
    async fn next(&mut self, results: Resource<Results>, most: u32) -> Told<Option<sql::Item>> {
        let Results(running) = self.table.get_mut(&results)?;
        Ok(running.next(most).await.map(|item| item.map(Into::into)).map_err(Into::into))
    }

    async fn drop(&mut self, results: Resource<Results>) -> wasmtime::Result<()> {
        self.table.delete(results)?;
        Ok(())
    }
}

fn timeout(ms: Option<u32>) -> Option<Duration> {
    ms.map(|ms| Duration::from_millis(ms.into()))
}

fn values(values: Vec<sql::Value>) -> Vec<Value> {
    values.into_iter().map(Into::into).collect()
}

impl From<SqlError> for sql::Error {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::Server(ServerError { number, state, class, line, message, procedure }) => {
                Self::Server(sql::ServerError { number, state, class, line, message, procedure })
            }
            SqlError::Unavailable(why) => Self::Unavailable(why),
            SqlError::Throttled(seconds) => Self::Throttled(seconds),
            SqlError::Unreachable(why) => Self::Unreachable(why),
            SqlError::Busy(why) => Self::Busy(why),
            SqlError::Broken(why) => Self::Broken(why),
            SqlError::TimedOut => Self::TimedOut,
            SqlError::Invalid(why) => Self::Invalid(why),
            // The call is over, whatever the plugin does.
            SqlError::Refused => Self::Invalid("the broker does not let this out".to_owned()),
        }
    }
}

impl From<sql::Isolation> for Isolation {
    fn from(isolation: sql::Isolation) -> Self {
        match isolation {
            sql::Isolation::ReadUncommitted => Self::ReadUncommitted,
            sql::Isolation::ReadCommitted => Self::ReadCommitted,
            sql::Isolation::RepeatableRead => Self::RepeatableRead,
            sql::Isolation::Snapshot => Self::Snapshot,
            sql::Isolation::Serializable => Self::Serializable,
        }
    }
}

impl From<Item> for sql::Item {
    fn from(item: Item) -> Self {
        match item {
            Item::Columns(columns) => {
                let columns = columns.into_iter();
                let columns =
                    columns.map(|Column { name, data_type }| sql::Column { name, data_type: data_type.into() });
                Self::Columns(columns.collect())
            }
            Item::Rows(rows) => {
                Self::Rows(rows.into_iter().map(|row| row.into_iter().map(Into::into).collect()).collect())
            }
        }
    }
}

/// The same cases on both sides.
macro_rules! same {
    ($($case:ident),*; $($carries:ident),*) => {
        impl From<DataType> for sql::DataType {
            fn from(kind: DataType) -> Self {
                match kind { $(DataType::$case => Self::$case),* }
            }
        }

        impl From<sql::DataType> for DataType {
            fn from(kind: sql::DataType) -> Self {
                match kind { $(sql::DataType::$case => Self::$case),* }
            }
        }

        impl From<Value> for sql::Value {
            fn from(value: Value) -> Self {
                match value {
                    Value::Null(kind) => Self::Null(kind.into()),
                    $(Value::$carries(value) => Self::$carries(value)),*
                }
            }
        }

        impl From<sql::Value> for Value {
            fn from(value: sql::Value) -> Self {
                match value {
                    sql::Value::Null(kind) => Self::Null(kind.into()),
                    $(sql::Value::$carries(value) => Self::$carries(value)),*
                }
            }
        }
    };
}

same! {
    Bit, Tinyint, Smallint, Int, Bigint, Decimal, Money, Smallmoney, Real, Float, Char, Varchar, Text, Nchar, Nvarchar,
    Ntext, Binary, Varbinary, Image, Date, Time, Smalldatetime, Datetime, Datetime2, Datetimeoffset, Uniqueidentifier, Xml,
    Udt, SqlVariant;
    Bit, Tinyint, Smallint, Int, Bigint, Real, Float, Decimal, Text, Binary, Date, Time, Datetime, Datetimeoffset,
    Uniqueidentifier, Xml
}
