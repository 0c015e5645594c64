//! The mount, with the host's component interfaces.

mod mount;
mod pump;
mod sql;

pub(crate) use mount::{Mount, host_body};
pub(crate) use pump::pump;
pub(crate) use sql::{Connection, Results};
