//! What a database holds: values, their types, and rows of them.

use std::fmt;

macro_rules! data_types {
    ($($(#[$doc:meta])* $name:ident $text:literal,)*) => {
        /// A type of SQL Server's.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum DataType {
            $($(#[$doc])* $name,)*
        }

        impl DataType {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// SQL Server's name of it: `datetimeoffset`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }

        #[cfg(target_family = "wasm")]
        impl From<crate::host::bindings::keyward::broker::sql::DataType> for DataType {
            fn from(of: crate::host::bindings::keyward::broker::sql::DataType) -> Self {
                match of {
                    $(crate::host::bindings::keyward::broker::sql::DataType::$name => Self::$name,)*
                }
            }
        }

        #[cfg(target_family = "wasm")]
        impl From<DataType> for crate::host::bindings::keyward::broker::sql::DataType {
            fn from(of: DataType) -> Self {
                match of {
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
    /// `numeric` is another name for it.
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
    /// A type of the common language runtime's, such as `geography`.
    Udt "udt",
    SqlVariant "sql_variant",
}

impl DataType {
    /// The type of this name, in whatever case; `numeric` is `decimal`.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        if name.eq_ignore_ascii_case("numeric") {
            return Some(Self::Decimal);
        }
        Self::ALL.iter().copied().find(|of| of.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A value, without loss. As a parameter, one that a type has several cases for is converted by the
/// server.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// NULL, of a type.
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
    /// `decimal`, `money` and `smallmoney`: digits with a sign and a point where there is one, such
    /// as `-12.30`.
    Decimal(String),
    /// All types of characters.
    Text(String),
    /// All types of bytes.
    Binary(Vec<u8>),
    /// `2026-11-21`.
    Date(String),
    /// `09:30:00.1234567`, with as many digits as the type has.
    Time(String),
    /// `smalldatetime`, `datetime` and `datetime2`: `2026-11-21T09:30:00.1234567`.
    Datetime(String),
    /// `2026-11-21T09:30:00.1234567+01:00`: the time at that place.
    Datetimeoffset(String),
    /// `00112233-4455-6677-8899-AABBCCDDEEFF`.
    Uniqueidentifier(String),
    /// `xml`.
    Xml(String),
}

/// A column of a result set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, which may be empty.
    pub name: String,
    /// Its type. A nullable `smalldatetime` is told as `datetime`.
    pub data_type: DataType,
}

impl Column {
    /// A column.
    #[must_use]
    pub fn new(name: impl Into<String>, data_type: DataType) -> Self {
        Self { name: name.into(), data_type }
    }
}

/// What comes of a query, in the server's order.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A result set begins.
    Columns(Vec<Column>),
    /// Rows of the result set that began last. Each has a value for every column.
    Rows(Vec<Vec<Value>>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_is_found_by_its_name() {
        for of in DataType::ALL {
            assert_eq!(DataType::of_name(of.name()), Some(*of));
        }
        assert_eq!(DataType::of_name("NUMERIC"), Some(DataType::Decimal));
        assert_eq!(DataType::of_name("integer"), None);
    }
}
