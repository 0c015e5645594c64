//! The interface `sql` of plugins. It translates values and errors of `keyward_sql`.

use std::sync::Arc;
use std::time::Duration;

use keyward_sql::{Column, DataType, Isolation, Item, ServerError, Value};
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};

use super::bindings::{Connection, Results, sql};
use super::state::State;
use crate::call::Call;
use crate::database::{DatabaseError, DatabaseSession};
use keyward_policy::authorize::LoginCredentials;

struct Sql;

impl HasData for Sql {
    type Data<'a> = View<'a>;
}

struct View<'a> {
    call: Arc<Call>,
    table: &'a mut ResourceTable,
}

/// A result for the guest, or a trap.
type Response<T> = wasmtime::Result<Result<T, sql::Error>>;

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    sql::add_to_linker::<State, Sql>(linker, |state| View {
        call: Arc::clone(&state.call),
        table: &mut state.table,
    })
}

impl sql::Host for View<'_> {}

impl sql::HostConnection for View<'_> {
    async fn open(
        &mut self,
        database: String,
        credential: sql::Credential,
    ) -> Response<Resource<Connection>> {
        let credential = match credential {
            sql::Credential::Token(surrogate) => LoginCredentials::Token(surrogate),
            sql::Credential::Password(sql::Login { user, password }) => {
                LoginCredentials::Password { user, password }
            }
        };
        match DatabaseSession::open(&self.call, database, credential).await {
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
    ) -> Response<Resource<Results>> {
        let session = Arc::clone(&self.table.get(&connection)?.0);
        let results = session.query(statement, values(parameters), timeout(timeout_ms)).await;
        match results {
            Ok(results) => Ok(Ok(self.table.push(Results(results))?)),
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        statement: String,
        parameters: Vec<sql::Value>,
        timeout_ms: Option<u32>,
    ) -> Response<Vec<u64>> {
        let session = Arc::clone(&self.table.get(&connection)?.0);
        Ok(session
            .execute(statement, values(parameters), timeout(timeout_ms))
            .await
            .map_err(Into::into))
    }

    async fn begin(
        &mut self,
        connection: Resource<Connection>,
        isolation: Option<sql::Isolation>,
    ) -> Response<()> {
        let session = Arc::clone(&self.table.get(&connection)?.0);
        Ok(session.begin(isolation.map(Into::into)).await.map_err(Into::into))
    }

    async fn commit(&mut self, connection: Resource<Connection>) -> Response<()> {
        let session = Arc::clone(&self.table.get(&connection)?.0);
        Ok(session.commit().await.map_err(Into::into))
    }

    async fn rollback(&mut self, connection: Resource<Connection>) -> Response<()> {
        let session = Arc::clone(&self.table.get(&connection)?.0);
        Ok(session.rollback().await.map_err(Into::into))
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table.delete(connection)?;
        Ok(())
    }
}

impl sql::HostResults for View<'_> {
    async fn next(&mut self, results: Resource<Results>, most: u32) -> Response<Option<sql::Item>> {
        let Results(results) = self.table.get_mut(&results)?;
        Ok(results.next(most).await.map(|item| item.map(Into::into)).map_err(Into::into))
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

impl From<DatabaseError> for sql::Error {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Server(ServerError {
                number,
                state,
                class,
                line,
                message,
                procedure,
            }) => Self::Server(sql::ServerError { number, state, class, line, message, procedure }),
            DatabaseError::Unavailable(why) => Self::Unavailable(why),
            DatabaseError::Throttled(seconds) => Self::Throttled(seconds),
            DatabaseError::Unreachable(why) => Self::Unreachable(why),
            DatabaseError::Busy(why) => Self::Busy(why),
            DatabaseError::Broken(why) => Self::Broken(why),
            DatabaseError::TimedOut => Self::TimedOut,
            DatabaseError::Invalid(why) => Self::Invalid(why),
            // The call has ended, so that the plugin's response does not matter.
            DatabaseError::Denied => Self::Invalid("the broker denied this request".to_owned()),
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
                let columns = columns.map(|Column { name, data_type }| sql::Column {
                    name,
                    data_type: data_type.into(),
                });
                Self::Columns(columns.collect())
            }
            Item::Rows(rows) => Self::Rows(
                rows.into_iter().map(|row| row.into_iter().map(Into::into).collect()).collect(),
            ),
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
    Bit, Tinyint, Smallint, Int, Bigint, Decimal, Money, Smallmoney, Real, Float, Char, Varchar,
    Text, Nchar, Nvarchar, Ntext, Binary, Varbinary, Image, Date, Time, Smalldatetime, Datetime,
    Datetime2, Datetimeoffset, Uniqueidentifier, Xml, Udt, SqlVariant;
    Bit, Tinyint, Smallint, Int, Bigint, Real, Float, Decimal, Text, Binary, Date, Time, Datetime,
    Datetimeoffset, Uniqueidentifier, Xml
}
