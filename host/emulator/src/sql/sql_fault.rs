//! What the faults of a test do at the database server.

use std::io;

use tokio::io::AsyncWrite;
use tokio::sync::watch;

use super::packet_writer::{PacketWriter, WriteFault};
use super::sql_error::SqlError;
use crate::Azure;
use crate::faults::{FaultKind, delay};

/// A fault, prepared for the next response.
#[derive(Debug)]
pub(super) enum SqlFault {
    /// Responds with this error.
    Error(i32),
    /// Sends a client that logs in to another node.
    Route(String, u16),
    /// Sends bytes that are not a packet, and closes the connection.
    Garbage(Vec<u8>),
    Stall(usize, watch::Receiver<u64>),
    Truncate(usize),
}

impl SqlFault {
    /// Takes the fault at a point: `LOGIN`, `READY` (right after the login), `BATCH`, `RPC` or
    /// `TRANSACTION`. Waits if the fault is a delay; an error closes the connection.
    pub(super) async fn take(azure: &Azure, point: &str) -> io::Result<Option<Self>> {
        let mut changes = azure.faults.changes();
        Ok(match azure.faults.take("sql", point) {
            Some(FaultKind::SqlError(number)) => Some(Self::Error(number)),
            Some(FaultKind::SqlRoute { host, port }) if point == "LOGIN" => {
                Some(Self::Route(host, port))
            }
            Some(FaultKind::Delay(milliseconds)) => {
                tokio::time::sleep(delay(milliseconds)).await;
                None
            }
            Some(FaultKind::Hang) => {
                drop(changes.changed().await);
                None
            }
            Some(FaultKind::Close) => return Err(io::Error::other("closed on purpose")),
            Some(FaultKind::Truncate(bytes)) => Some(Self::Truncate(bytes)),
            Some(FaultKind::Stall(bytes)) => Some(Self::Stall(bytes, changes)),
            Some(FaultKind::Html) => {
                Some(Self::Garbage(b"<!doctype html><title>A page</title>".to_vec()))
            }
            Some(FaultKind::Bytes(count)) => {
                Some(Self::Garbage(vec![0; usize::try_from(count).unwrap_or_default()]))
            }
            _ => None,
        })
    }

    pub(super) fn error(&self, database: &str) -> Option<SqlError> {
        match self {
            Self::Error(number) => Some(SqlError::numbered(*number, database)),
            Self::Route(..) | Self::Garbage(_) | Self::Stall(..) | Self::Truncate(_) => None,
        }
    }

    /// Applies it to the next response.
    pub(super) async fn apply<W: AsyncWrite + Unpin>(
        self,
        writer: &mut PacketWriter<W>,
    ) -> io::Result<()> {
        match self {
            Self::Error(_) | Self::Route(..) => {}
            Self::Garbage(bytes) => {
                writer.write_raw(&bytes).await?;
                writer.close().await?;
                return Err(io::Error::other("garbage on purpose"));
            }
            Self::Stall(bytes, changes) => writer.fault = WriteFault::Stall(bytes, changes),
            Self::Truncate(bytes) => writer.fault = WriteFault::Truncate(bytes),
        }
        Ok(())
    }
}
