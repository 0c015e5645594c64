//! Requests of the transaction manager, by which drivers begin and end transactions ([MS-TDS]
//! 2.2.6.9).
//!
//! [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds/

use super::field_reader::FieldReader;
use super::response_stream::ResponseStream;
use super::session::Session;
use super::sql_error::{SqlError, StatementError};

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TransactionRequest {
    Begin,
    /// Whether the next transaction begins.
    Commit(bool),
    Rollback(Option<String>, bool),
    Save(String),
    /// Distributed transactions and other requests.
    Other(u16),
}

impl TransactionRequest {
    pub(super) fn parse(message: &[u8]) -> Option<Self> {
        let mut reader = FieldReader::new(message);
        reader.skip_headers()?;
        Some(match reader.u16()? {
            5 => Self::Begin,
            7 => {
                reader.b_varchar()?;
                Self::Commit(reader.u8()? & 1 != 0)
            }
            8 => {
                let name = reader.b_varchar().filter(|name| !name.is_empty());
                Self::Rollback(name, reader.u8()? & 1 != 0)
            }
            9 => Self::Save(reader.b_varchar()?),
            other => Self::Other(other),
        })
    }

    /// The statement for the log.
    pub(super) fn for_log(&self) -> &'static str {
        match self {
            Self::Begin => "BEGIN TRANSACTION",
            Self::Commit(_) => "COMMIT TRANSACTION",
            Self::Rollback(..) => "ROLLBACK TRANSACTION",
            Self::Save(_) => "SAVE TRANSACTION",
            Self::Other(_) => "",
        }
    }
}

impl Session {
    pub(super) fn run_transaction_request(
        &mut self,
        request: &TransactionRequest,
        response: &mut ResponseStream,
    ) -> Result<(), StatementError> {
        let (done, begins) = match request {
            TransactionRequest::Begin => (self.begin(response), false),
            TransactionRequest::Commit(begins) => (self.commit(response), *begins),
            TransactionRequest::Rollback(name, begins) => {
                (self.rollback(name.as_deref(), response), *begins)
            }
            TransactionRequest::Save(name) => (self.save_transaction(name, response), false),
            TransactionRequest::Other(_) => (
                Err(SqlError::new(8501, "MSDTC on server 'contoso' is unavailable.").into()),
                false,
            ),
        };
        match done {
            Ok(()) if begins => self.begin(response),
            Err(StatementError::Sql(error)) => response.write_error(&error, 1),
            done => done,
        }
    }
}
