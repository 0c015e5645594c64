//! Requests of the transaction manager: how drivers begin and end transactions without a batch ([MS-TDS] 2.2.6.9).
//!
//! [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds/

use super::answer::Answer;
use super::reader::Reader;
use super::session::Session;
use super::sql_error::{SqlError, Stop};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Begin,
    /// And then, for some, begin the next one.
    Commit(bool),
    Rollback(Option<String>, bool),
    Save(String),
    /// Transactions across servers, and what else there is.
    Other(u16),
}

impl Request {
    pub(super) fn parse(message: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(message);
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

    /// Its words, for the log.
    pub(super) fn shown(&self) -> &'static str {
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
    pub(super) fn manage(&mut self, request: &Request, answer: &mut Answer) -> Result<(), Stop> {
        let (done, begins) = match request {
            Request::Begin => (self.begin(answer), false),
            Request::Commit(begins) => (self.commit(answer), *begins),
            Request::Rollback(name, begins) => (self.rollback(name.as_deref(), answer), *begins),
            Request::Save(name) => (self.savepoint(name, answer), false),
            Request::Other(_) => (Err(SqlError::new(8501, "MSDTC on server 'contoso' is unavailable.").into()), false),
        };
        match done {
            Ok(()) if begins => self.begin(answer),
            Err(Stop::Failed(failure)) => answer.failed(&failure, 1),
            done => done,
        }
    }
}
