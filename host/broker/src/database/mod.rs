//! Databases: what the boundary adds to the sessions of `keyward_sql`.
//!
//! The policy decides what a plugin may open. A [`DatabaseSession`] pairs a session with its call:
//! it counts requests, writes audit notes, and ends the call if a rule or a limit is violated. The
//! connections of a mount are in its [`DatabasePool`](crate::database_pool::DatabasePool).

mod database_error;
mod database_session;
mod session_hooks;

pub(crate) use database_error::DatabaseError;
pub(crate) use database_session::{DatabaseResults, DatabaseSession};
