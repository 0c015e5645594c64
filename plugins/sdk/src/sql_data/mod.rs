//! Values, errors and credentials of databases, exported by [`crate::sql`].

mod credential;
mod error;
mod value;

pub use credential::{Credential, Isolation};
pub use error::{ServerError, SqlError};
pub use value::{Column, DataType, Item, Value};
