//! Types of columns, and the length of their values ([MS-TDS] 2.2.5.4 to 2.2.5.6).
//!
//! [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds

use super::token_source::TokenSource;
use super::type_code::{
    BIGBINARYTYPE, BIGCHARTYPE, BIGVARBINARYTYPE, BIGVARCHARTYPE, BITNTYPE, BITTYPE, CHARBIN_NULL,
    DATENTYPE, DATETIM4TYPE, DATETIME2NTYPE, DATETIMENTYPE, DATETIMEOFFSETNTYPE, DATETIMETYPE,
    DECIMALNTYPE, DECIMALTYPE, FLT4TYPE, FLT8TYPE, FLTNTYPE, GUIDTYPE, IMAGETYPE, INT1TYPE,
    INT2TYPE, INT4TYPE, INT8TYPE, INTNTYPE, MONEY4TYPE, MONEYNTYPE, MONEYTYPE, NCHARTYPE,
    NTEXTTYPE, NULLTYPE, NUMERICNTYPE, NUMERICTYPE, NVARCHARTYPE, PLP_NULL, PLP_TERMINATOR,
    SSVARIANTTYPE, TEXTTYPE, TIMENTYPE, UDTTYPE, UNLIMITED, XMLTYPE,
};
use crate::value::DataType;

/// Length of a collation.
const COLLATION: u64 = 5;

/// How the end of a value is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueLength {
    Fixed(u8),
    /// One byte with the length, 0 for NULL.
    Byte,
    /// Two bytes with the length or [`CHARBIN_NULL`].
    Short,
    /// Four bytes with the length.
    Long,
    /// A text pointer and a timestamp unless it is NULL, then four bytes with the length.
    TextPointer,
    /// Chunks ("partially length-prefixed").
    Chunks,
}

/// The type of a column or a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TypeInfo {
    pub(crate) length: ValueLength,
    /// Set if it is a money type that was replaced by an integer type.
    pub(crate) money: Option<DataType>,
}

/// A type that is not known here, so that the end of its values cannot be found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnknownType;

impl TypeInfo {
    /// Reads the type of a value that is not in a row.
    pub(crate) async fn read(source: &TokenSource) -> Result<Self, UnknownType> {
        let code = source.u8().await;
        Ok(Self { length: ValueLength::read(source, code).await?, money: None })
    }

    /// Reads a column's type. A money type is replaced by the integer type whose values have the
    /// same bytes.
    pub(crate) async fn read_column(source: &TokenSource) -> Result<Self, UnknownType> {
        let code = source.u8().await;
        let money = match code {
            MONEYTYPE => {
                source.replace_last(INT8TYPE);
                Some(DataType::Money)
            }
            MONEY4TYPE => {
                source.replace_last(INT4TYPE);
                Some(DataType::Smallmoney)
            }
            MONEYNTYPE => {
                source.replace_last(INTNTYPE);
                let size = source.u8().await;
                let money = if size == 4 { DataType::Smallmoney } else { DataType::Money };
                return Ok(Self { length: ValueLength::Byte, money: Some(money) });
            }
            _ => None,
        };
        Ok(Self { length: ValueLength::read(source, code).await?, money })
    }
}

impl ValueLength {
    /// Reads the rest of a type behind its code.
    async fn read(source: &TokenSource, code: u8) -> Result<Self, UnknownType> {
        let length = match code {
            NULLTYPE => Self::Fixed(0),
            INT1TYPE | BITTYPE => Self::Fixed(1),
            INT2TYPE => Self::Fixed(2),
            INT4TYPE | DATETIM4TYPE | FLT4TYPE | MONEY4TYPE => Self::Fixed(4),
            DATETIMETYPE | FLT8TYPE | MONEYTYPE | INT8TYPE => Self::Fixed(8),
            DATENTYPE => Self::Byte,
            GUIDTYPE | INTNTYPE | BITNTYPE | FLTNTYPE | MONEYNTYPE | DATETIMENTYPE | TIMENTYPE
            | DATETIME2NTYPE | DATETIMEOFFSETNTYPE => {
                // The size, or the scale.
                source.skip(1_u64).await;
                Self::Byte
            }
            DECIMALNTYPE | NUMERICNTYPE | DECIMALTYPE | NUMERICTYPE => {
                // The size, the precision and the scale.
                source.skip(3_u64).await;
                Self::Byte
            }
            BIGVARBINARYTYPE | BIGBINARYTYPE => Self::read_limited(source, 0).await,
            BIGVARCHARTYPE | BIGCHARTYPE | NVARCHARTYPE | NCHARTYPE => {
                Self::read_limited(source, COLLATION).await
            }
            XMLTYPE => {
                let has_schema = source.u8().await == 1;
                if has_schema {
                    // The database, the owner and the collection.
                    source.skip_b_varchar().await;
                    source.skip_b_varchar().await;
                    source.skip_us_varchar().await;
                }
                Self::Chunks
            }
            UDTTYPE => {
                // The size; the database, the schema and the type; the assembly.
                source.skip(2_u64).await;
                for _ in 0..3 {
                    source.skip_b_varchar().await;
                }
                source.skip_us_varchar().await;
                Self::Chunks
            }
            TEXTTYPE | NTEXTTYPE => {
                source.skip(4 + COLLATION).await;
                Self::TextPointer
            }
            IMAGETYPE => {
                source.skip(4_u64).await;
                Self::TextPointer
            }
            SSVARIANTTYPE => {
                source.skip(4_u64).await;
                Self::Long
            }
            _ => return Err(UnknownType),
        };
        Ok(length)
    }

    /// Reads the rest of a type that has a longest value.
    async fn read_limited(source: &TokenSource, collation: u64) -> Self {
        let longest = source.u16().await;
        source.skip(collation).await;
        if longest == UNLIMITED { Self::Chunks } else { Self::Short }
    }

    /// Skips a value.
    pub(crate) async fn skip_value(self, source: &TokenSource) {
        match self {
            Self::Fixed(length) => source.skip(length).await,
            Self::Byte => {
                let length = source.u8().await;
                source.skip(length).await;
            }
            Self::Short => match source.u16().await {
                CHARBIN_NULL => {}
                length => source.skip(length).await,
            },
            Self::Long => {
                let length = source.u32().await;
                source.skip(length).await;
            }
            Self::TextPointer => {
                let pointer = source.u8().await;
                if pointer > 0 {
                    // The pointer and the timestamp.
                    source.skip(u64::from(pointer) + 8).await;
                    let length = source.u32().await;
                    source.skip(length).await;
                }
            }
            Self::Chunks => {
                if source.u64().await == PLP_NULL {
                    return;
                }
                loop {
                    match source.u32().await {
                        PLP_TERMINATOR => return,
                        length => source.skip(length).await,
                    }
                }
            }
        }
    }
}
