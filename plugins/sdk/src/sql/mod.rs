//! Azure SQL and SQL Server, over connections that the host opens, encrypts, pools and logs in.
//!
//! A plugin passes a surrogate, and the host logs in with the real token or password. The
//! connection goes to the endpoint of the surrogate's audience. In a test,
//! [`Mount::database`](crate::testing::Mount::database) mocks the server.
//!
//! ```
//! use keyward_plugin::sql::{Credential, Item, SqlError, Value};
//! use keyward_plugin::{Context, Problem};
//!
//! fn total(cx: &Context, customer: i32) -> Result<Vec<Value>, Problem> {
//!     let failed = |error: SqlError| Problem::internal(error.to_string());
//!     let connection = cx.sql("orders", &Credential::from(cx.token("sql")?)).map_err(failed)?;
//!     let statement = "select sum(price) from items where customer = @P1";
//!     let mut totals = Vec::new();
//!     for item in connection.query(statement, &[Value::Int(customer)], None).map_err(failed)? {
//!         if let Item::Rows(rows) = item.map_err(failed)? {
//!             totals.extend(rows.into_iter().flatten());
//!         }
//!     }
//!     Ok(totals)
//! }
//! ```

mod connection;

pub use connection::{Connection, Results};

pub use crate::sql_data::{
    Column, Credential, DataType, Isolation, Item, ServerError, SqlError, Value,
};
