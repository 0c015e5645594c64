//! Values of statements and of result sets.

use tiberius::ColumnType;

/// A type of SQL Server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataType {
    /// `bit`
    Bit,
    /// `tinyint`
    Tinyint,
    /// `smallint`
    Smallint,
    /// `int`
    Int,
    /// `bigint`
    Bigint,
    /// `decimal` and `numeric`
    Decimal,
    /// `money`
    Money,
    /// `smallmoney`
    Smallmoney,
    /// `real`
    Real,
    /// `float`
    Float,
    /// `char`
    Char,
    /// `varchar`
    Varchar,
    /// `text`
    Text,
    /// `nchar`
    Nchar,
    /// `nvarchar`
    Nvarchar,
    /// `ntext`
    Ntext,
    /// `binary`
    Binary,
    /// `varbinary`
    Varbinary,
    /// `image`
    Image,
    /// `date`
    Date,
    /// `time`
    Time,
    /// `smalldatetime`
    Smalldatetime,
    /// `datetime`
    Datetime,
    /// `datetime2`
    Datetime2,
    /// `datetimeoffset`
    Datetimeoffset,
    /// `uniqueidentifier`
    Uniqueidentifier,
    /// `xml`
    Xml,
    /// A type of the common language runtime.
    Udt,
    /// `sql_variant`
    SqlVariant,
}

/// A value. Numbers that a float cannot hold exactly, dates and times are text.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// NULL of a type.
    Null(DataType),
    /// A `bit`.
    Bit(bool),
    /// A `tinyint`.
    Tinyint(u8),
    /// A `smallint`.
    Smallint(i16),
    /// An `int`.
    Int(i32),
    /// A `bigint`.
    Bigint(i64),
    /// A `real`.
    Real(f32),
    /// A `float`.
    Float(f64),
    /// A `decimal`, `money` or `smallmoney`, with all of its digits: `-0.50`.
    Decimal(String),
    /// A value of a character type.
    Text(String),
    /// A value of a binary type.
    Binary(Vec<u8>),
    /// A `date`: `2024-02-29`.
    Date(String),
    /// A `time`: `23:59:59.9999999`.
    Time(String),
    /// A `datetime2`, `datetime` or `smalldatetime`: `2024-02-29T23:59:59.997`.
    Datetime(String),
    /// A `datetimeoffset`: `2024-02-29T23:59:59.9999999-03:30`.
    Datetimeoffset(String),
    /// A `uniqueidentifier`: `01234567-89AB-CDEF-0123-456789ABCDEF`.
    Uniqueidentifier(String),
    /// An `xml` document.
    Xml(String),
}

/// A column of a result set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The column's name, which can be empty.
    pub name: String,
    /// The type of its values.
    pub data_type: DataType,
}

/// A part of a query's results.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A result set begins.
    Columns(Vec<Column>),
    /// Rows of the current result set, each with a value for every column.
    Rows(Vec<Vec<Value>>),
}

impl Value {
    /// The bytes of a value that can hold any text: of a character type, a binary type, or `xml`.
    /// `None` for other types.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) | Self::Xml(text) => Some(text.as_bytes()),
            Self::Binary(bytes) => Some(bytes),
            Self::Null(_)
            | Self::Bit(_)
            | Self::Tinyint(_)
            | Self::Smallint(_)
            | Self::Int(_)
            | Self::Bigint(_)
            | Self::Real(_)
            | Self::Float(_)
            | Self::Decimal(_)
            | Self::Date(_)
            | Self::Time(_)
            | Self::Datetime(_)
            | Self::Datetimeoffset(_)
            | Self::Uniqueidentifier(_) => None,
        }
    }

    /// How many bytes the value takes in memory, approximately.
    pub(crate) fn size(&self) -> usize {
        let heap = match self {
            Self::Decimal(text)
            | Self::Text(text)
            | Self::Date(text)
            | Self::Time(text)
            | Self::Datetime(text)
            | Self::Datetimeoffset(text)
            | Self::Uniqueidentifier(text)
            | Self::Xml(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
            Self::Null(_)
            | Self::Bit(_)
            | Self::Tinyint(_)
            | Self::Smallint(_)
            | Self::Int(_)
            | Self::Bigint(_)
            | Self::Real(_)
            | Self::Float(_) => 0,
        };
        heap + size_of::<Self>()
    }
}

impl From<ColumnType> for DataType {
    fn from(column: ColumnType) -> Self {
        match column {
            ColumnType::Bit | ColumnType::Bitn => Self::Bit,
            ColumnType::Int1 => Self::Tinyint,
            ColumnType::Int2 => Self::Smallint,
            ColumnType::Null | ColumnType::Int4 | ColumnType::Intn => Self::Int,
            ColumnType::Int8 => Self::Bigint,
            ColumnType::Float4 => Self::Real,
            ColumnType::Float8 | ColumnType::Floatn => Self::Float,
            ColumnType::Money => Self::Money,
            ColumnType::Money4 => Self::Smallmoney,
            ColumnType::Decimaln | ColumnType::Numericn => Self::Decimal,
            ColumnType::Datetime4 => Self::Smalldatetime,
            ColumnType::Datetime | ColumnType::Datetimen => Self::Datetime,
            ColumnType::Daten => Self::Date,
            ColumnType::Timen => Self::Time,
            ColumnType::Datetime2 => Self::Datetime2,
            ColumnType::DatetimeOffsetn => Self::Datetimeoffset,
            ColumnType::Guid => Self::Uniqueidentifier,
            ColumnType::BigVarBin => Self::Varbinary,
            ColumnType::BigBinary => Self::Binary,
            ColumnType::Image => Self::Image,
            ColumnType::BigVarChar => Self::Varchar,
            ColumnType::BigChar => Self::Char,
            ColumnType::Text => Self::Text,
            ColumnType::NVarchar => Self::Nvarchar,
            ColumnType::NChar => Self::Nchar,
            ColumnType::NText => Self::Ntext,
            ColumnType::Xml => Self::Xml,
            ColumnType::Udt => Self::Udt,
            ColumnType::SSVariant => Self::SqlVariant,
        }
    }
}
