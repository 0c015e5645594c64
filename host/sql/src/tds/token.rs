//! Types of the tokens in a response ([MS-TDS] 2.2.7).
//!
//! [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds

/// Return status of a procedure.
pub(crate) const RETURNSTATUS: u8 = 0x79;
/// Columns of a result set.
pub(crate) const COLMETADATA: u8 = 0x81;
/// Tables of a result set.
pub(crate) const TABNAME: u8 = 0xa4;
/// Origin of a result set's columns.
pub(crate) const COLINFO: u8 = 0xa5;
/// Columns that a result set is ordered by.
pub(crate) const ORDER: u8 = 0xa9;
/// Error message.
pub(crate) const ERROR: u8 = 0xaa;
/// Message that is not an error.
pub(crate) const INFO: u8 = 0xab;
/// Output parameter.
pub(crate) const RETURNVALUE: u8 = 0xac;
/// Acknowledgement of a login.
pub(crate) const LOGINACK: u8 = 0xad;
/// Acknowledgement of features requested in a login.
pub(crate) const FEATUREEXTACK: u8 = 0xae;
/// Row with all of its values.
pub(crate) const ROW: u8 = 0xd1;
/// Row with a bitmap of the columns that are NULL.
pub(crate) const NBCROW: u8 = 0xd2;
/// Change of the connection's environment.
pub(crate) const ENVCHANGE: u8 = 0xe3;
/// State for resuming a session.
pub(crate) const SESSIONSTATE: u8 = 0xe4;
/// Step of a Windows login.
pub(crate) const SSPI: u8 = 0xed;
/// Where to get an access token.
pub(crate) const FEDAUTHINFO: u8 = 0xee;
/// End of a statement.
pub(crate) const DONE: u8 = 0xfd;
/// End of a procedure.
pub(crate) const DONEPROC: u8 = 0xfe;
/// End of a statement in a procedure.
pub(crate) const DONEINPROC: u8 = 0xff;

/// Count of columns in a `COLMETADATA` that has none.
pub(crate) const NO_METADATA: u16 = 0xffff;
/// End of the list in a `FEATUREEXTACK`.
pub(crate) const FEATURE_TERMINATOR: u8 = 0xff;

/// Types of an `ENVCHANGE` (2.2.7.9) that concern transactions.
pub(crate) mod env_change {
    /// A transaction began.
    pub(crate) const BEGIN_TRANSACTION: u8 = 8;
    /// The transaction was committed.
    pub(crate) const COMMIT_TRANSACTION: u8 = 9;
    /// The transaction was rolled back.
    pub(crate) const ROLLBACK_TRANSACTION: u8 = 10;
    /// The session joined a distributed transaction.
    pub(crate) const ENLIST_DTC_TRANSACTION: u8 = 11;
    /// The session left a distributed transaction.
    pub(crate) const DEFECT_TRANSACTION: u8 = 12;
    /// The transaction ended otherwise.
    pub(crate) const TRANSACTION_ENDED: u8 = 17;
}
