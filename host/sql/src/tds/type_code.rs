//! Types of columns and values ([MS-TDS] 2.2.5.4).
//!
//! [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds

pub(crate) const NULLTYPE: u8 = 0x1f;
pub(crate) const IMAGETYPE: u8 = 0x22;
pub(crate) const TEXTTYPE: u8 = 0x23;
pub(crate) const GUIDTYPE: u8 = 0x24;
pub(crate) const INTNTYPE: u8 = 0x26;
pub(crate) const DATENTYPE: u8 = 0x28;
pub(crate) const TIMENTYPE: u8 = 0x29;
pub(crate) const DATETIME2NTYPE: u8 = 0x2a;
pub(crate) const DATETIMEOFFSETNTYPE: u8 = 0x2b;
pub(crate) const INT1TYPE: u8 = 0x30;
pub(crate) const BITTYPE: u8 = 0x32;
pub(crate) const INT2TYPE: u8 = 0x34;
pub(crate) const DECIMALTYPE: u8 = 0x37;
pub(crate) const INT4TYPE: u8 = 0x38;
pub(crate) const DATETIM4TYPE: u8 = 0x3a;
pub(crate) const FLT4TYPE: u8 = 0x3b;
pub(crate) const MONEYTYPE: u8 = 0x3c;
pub(crate) const DATETIMETYPE: u8 = 0x3d;
pub(crate) const FLT8TYPE: u8 = 0x3e;
pub(crate) const NUMERICTYPE: u8 = 0x3f;
pub(crate) const SSVARIANTTYPE: u8 = 0x62;
pub(crate) const NTEXTTYPE: u8 = 0x63;
pub(crate) const BITNTYPE: u8 = 0x68;
pub(crate) const DECIMALNTYPE: u8 = 0x6a;
pub(crate) const NUMERICNTYPE: u8 = 0x6c;
pub(crate) const FLTNTYPE: u8 = 0x6d;
pub(crate) const MONEYNTYPE: u8 = 0x6e;
pub(crate) const DATETIMENTYPE: u8 = 0x6f;
pub(crate) const MONEY4TYPE: u8 = 0x7a;
pub(crate) const INT8TYPE: u8 = 0x7f;
pub(crate) const BIGVARBINARYTYPE: u8 = 0xa5;
pub(crate) const BIGVARCHARTYPE: u8 = 0xa7;
pub(crate) const BIGBINARYTYPE: u8 = 0xad;
pub(crate) const BIGCHARTYPE: u8 = 0xaf;
pub(crate) const NVARCHARTYPE: u8 = 0xe7;
pub(crate) const NCHARTYPE: u8 = 0xef;
pub(crate) const UDTTYPE: u8 = 0xf0;
pub(crate) const XMLTYPE: u8 = 0xf1;

/// Longest value of a `varchar(max)` and its like, which are sent in chunks.
pub(crate) const UNLIMITED: u16 = 0xffff;
/// Length of a NULL whose length takes two bytes.
pub(crate) const CHARBIN_NULL: u16 = 0xffff;
/// Length of a NULL that would be sent in chunks.
pub(crate) const PLP_NULL: u64 = u64::MAX;
/// Length of the chunk behind the last one.
pub(crate) const PLP_TERMINATOR: u32 = 0;
