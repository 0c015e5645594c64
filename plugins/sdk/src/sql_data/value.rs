//! Values of a database, their types, and rows.

use std::fmt;

macro_rules! data_types {
    ($($(#[$doc:meta])* $name:ident $text:literal,)*) => {
        /// A SQL Server data type.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum DataType {
            $($(#[$doc])* $name,)*
        }

        impl DataType {
            /// All data types.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// SQL Server's name of the type, such as `datetimeoffset`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }

        #[cfg(target_family = "wasm")]
        impl From<crate::host::bindings::keyward::broker::sql::DataType> for DataType {
            fn from(
                data_type: crate::host::bindings::keyward::broker::sql::DataType,
            ) -> Self {
                match data_type {
                    $(crate::host::bindings::keyward::broker::sql::DataType::$name => Self::$name,)*
                }
            }
        }

        #[cfg(target_family = "wasm")]
        impl From<DataType> for crate::host::bindings::keyward::broker::sql::DataType {
            fn from(data_type: DataType) -> Self {
                match data_type {
                    $(DataType::$name => Self::$name,)*
                }
            }
        }
    };
}

data_types! {
    Bit "bit",
    Tinyint "tinyint",
    Smallint "smallint",
    Int "int",
    Bigint "bigint",
    /// Also called `numeric`.
    Decimal "decimal",
    Money "money",
    Smallmoney "smallmoney",
    Real "real",
    Float "float",
    Char "char",
    Varchar "varchar",
    Text "text",
    Nchar "nchar",
    Nvarchar "nvarchar",
    Ntext "ntext",
    Binary "binary",
    Varbinary "varbinary",
    Image "image",
    Date "date",
    Time "time",
    Smalldatetime "smalldatetime",
    Datetime "datetime",
    Datetime2 "datetime2",
    Datetimeoffset "datetimeoffset",
    Uniqueidentifier "uniqueidentifier",
    Xml "xml",
    /// A type of the common language runtime, such as `geography`.
    Udt "udt",
    SqlVariant "sql_variant",
}

impl DataType {
    /// The type of this name, ignoring case. `numeric` is `decimal`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("numeric") {
            return Some(Self::Decimal);
        }
        Self::ALL.iter().copied().find(|data_type| data_type.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A value, without loss. Where several data types share a variant, the server converts a parameter
/// to the type that it needs.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// NULL of the given type.
    Null(DataType),
    /// `bit`.
    Bit(bool),
    /// `tinyint`.
    Tinyint(u8),
    /// `smallint`.
    Smallint(i16),
    /// `int`.
    Int(i32),
    /// `bigint`.
    Bigint(i64),
    /// `real`.
    Real(f32),
    /// `float`.
    Float(f64),
    /// `decimal`, `money` and `smallmoney`: digits with an optional sign and decimal point, such as
    /// `-12.30`.
    Decimal(String),
    /// All character types.
    Text(String),
    /// All binary types.
    Binary(Vec<u8>),
    /// `2026-11-21`.
    Date(String),
    /// `09:30:00.1234567`, with as many fractional digits as the type has.
    Time(String),
    /// `smalldatetime`, `datetime` and `datetime2`: `2026-11-21T09:30:00.1234567`.
    Datetime(String),
    /// `2026-11-21T09:30:00.1234567+01:00`: local time, then the offset from UTC.
    Datetimeoffset(String),
    /// `00112233-4455-6677-8899-AABBCCDDEEFF`.
    Uniqueidentifier(String),
    /// `xml`.
    Xml(String),
}

/// A column of a result set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The column's name, which may be empty.
    pub name: String,
    /// The column's type. A nullable `smalldatetime` is reported as `datetime`.
    pub data_type: DataType,
}

impl Column {
    /// Creates a column.
    #[must_use]
    pub fn new(name: impl Into<String>, data_type: DataType) -> Self {
        Self { name: name.into(), data_type }
    }
}

/// A part of a query's results, in the server's order.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// Start of a result set: its columns.
    Columns(Vec<Column>),
    /// Rows of the current result set. Each row has a value for every column.
    Rows(Vec<Vec<Value>>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_is_found_by_its_name() {
        for data_type in DataType::ALL {
            assert_eq!(DataType::from_name(data_type.name()), Some(*data_type));
        }
        assert_eq!(DataType::from_name("NUMERIC"), Some(DataType::Decimal));
        assert_eq!(DataType::from_name("integer"), None);
    }
}
