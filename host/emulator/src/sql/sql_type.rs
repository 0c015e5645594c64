//! The types of SQL Server: their names, and their descriptions in TDS.

/// A type. The length `None` is `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SqlType {
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Bit,
    Decimal(u8, u8),
    Money,
    SmallMoney,
    Real,
    Float,
    Char(u16),
    VarChar(Option<u16>),
    NChar(u16),
    NVarChar(Option<u16>),
    Binary(u16),
    VarBinary(Option<u16>),
    Date,
    Time(u8),
    DateTime,
    SmallDateTime,
    DateTime2(u8),
    DateTimeOffset(u8),
    UniqueIdentifier,
    Xml,
}

/// `SQL_Latin1_General_CP1_CI_AS`.
pub(super) const COLLATION: [u8; 5] = [0x09, 0x04, 0xd0, 0x00, 0x34];

impl SqlType {
    /// Parses a type in Transact-SQL or in a schema of SQLite: `decimal(18, 2)`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let (name, arguments) = text.split_once('(').unwrap_or((&text, ""));
        let mut arguments = arguments.trim_end().trim_end_matches(')').split(',').map(str::trim);
        let (first, second) =
            (arguments.next().unwrap_or_default(), arguments.next().unwrap_or_default());
        let name = name.trim().trim_end_matches("_blob");
        let (name, is_max) = match name.strip_suffix("_max") {
            Some(name) => (name, true),
            None => (name, first == "max"),
        };
        let number = |default: u16| {
            if first.is_empty() { Some(default) } else { first.parse::<u16>().ok() }
        };
        let length =
            |default: u16, most: u16| number(default).filter(|length| (1..=most).contains(length));
        let varying = |most: u16| {
            if is_max { Some(None) } else { length(1, most).map(Some) }
        };
        let scale =
            || number(7).and_then(|scale| u8::try_from(scale).ok()).filter(|scale| *scale <= 7);
        Some(match name {
            "tinyint" => Self::TinyInt,
            "smallint" => Self::SmallInt,
            "int" | "integer" => Self::Int,
            "bigint" => Self::BigInt,
            "bit" => Self::Bit,
            "decimal" | "numeric" | "dec" => {
                let precision = u8::try_from(length(18, 38)?).ok()?;
                let scale = if second.is_empty() { 0 } else { second.parse().ok()? };
                (scale <= precision).then_some(Self::Decimal(precision, scale))?
            }
            "money" => Self::Money,
            "smallmoney" => Self::SmallMoney,
            "real" => Self::Real,
            "float" | "double precision" if number(53)? <= 24 => Self::Real,
            "float" | "double precision" => Self::Float,
            "char" | "character" => Self::Char(length(1, 8000)?),
            "varchar" => Self::VarChar(varying(8000)?),
            "text" => Self::VarChar(None),
            "nchar" => Self::NChar(length(1, 4000)?),
            "nvarchar" => Self::NVarChar(varying(4000)?),
            "sysname" => Self::NVarChar(Some(128)),
            "ntext" => Self::NVarChar(None),
            "binary" => Self::Binary(length(1, 8000)?),
            "varbinary" => Self::VarBinary(varying(8000)?),
            "image" => Self::VarBinary(None),
            "date" => Self::Date,
            "time" => Self::Time(scale()?),
            "datetime" => Self::DateTime,
            "smalldatetime" => Self::SmallDateTime,
            "datetime2" => Self::DateTime2(scale()?),
            "datetimeoffset" => Self::DateTimeOffset(scale()?),
            "uniqueidentifier" => Self::UniqueIdentifier,
            "xml" => Self::Xml,
            _ => return None,
        })
    }

    /// The name without arguments.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::TinyInt => "tinyint",
            Self::SmallInt => "smallint",
            Self::Int => "int",
            Self::BigInt => "bigint",
            Self::Bit => "bit",
            Self::Decimal(..) => "decimal",
            Self::Money => "money",
            Self::SmallMoney => "smallmoney",
            Self::Real => "real",
            Self::Float => "float",
            Self::Char(_) => "char",
            Self::VarChar(_) => "varchar",
            Self::NChar(_) => "nchar",
            Self::NVarChar(_) => "nvarchar",
            Self::Binary(_) => "binary",
            Self::VarBinary(_) => "varbinary",
            Self::Date => "date",
            Self::Time(_) => "time",
            Self::DateTime => "datetime",
            Self::SmallDateTime => "smalldatetime",
            Self::DateTime2(_) => "datetime2",
            Self::DateTimeOffset(_) => "datetimeoffset",
            Self::UniqueIdentifier => "uniqueidentifier",
            Self::Xml => "xml",
        }
    }

    /// The declaration of a column in SQLite. `blob` in the type prevents SQLite from converting,
    /// and so rounding, values; [`parse`](Self::parse) ignores it.
    pub(super) fn declaration(self, column: &str) -> String {
        let name = self.name();
        match self {
            Self::TinyInt
            | Self::SmallInt
            | Self::Int
            | Self::BigInt
            | Self::Bit
            | Self::Real
            | Self::Float => {
                format!("{column} {name}")
            }
            Self::Decimal(precision, scale) => format!("{column} {name}_blob({precision},{scale})"),
            Self::Char(length)
            | Self::NChar(length)
            | Self::VarChar(Some(length))
            | Self::NVarChar(Some(length)) => {
                format!(
                    "{column} {name}({length}) COLLATE NOCASE CONSTRAINT tds_2628 \
                     CHECK(length({column}) <= {length})"
                )
            }
            Self::VarChar(None) | Self::NVarChar(None) => {
                format!("{column} {name}_max COLLATE NOCASE")
            }
            Self::Binary(length) | Self::VarBinary(Some(length)) => {
                format!("{column} {name}_blob({length})")
            }
            Self::VarBinary(None) => format!("{column} {name}_max_blob"),
            Self::Time(scale) | Self::DateTime2(scale) | Self::DateTimeOffset(scale) => {
                format!("{column} {name}_blob({scale})")
            }
            Self::Money
            | Self::SmallMoney
            | Self::Date
            | Self::DateTime
            | Self::SmallDateTime
            | Self::UniqueIdentifier
            | Self::Xml => format!("{column} {name}_blob"),
        }
    }

    /// The description in the metadata of a column (TYPE_INFO).
    pub(super) fn info(self) -> Vec<u8> {
        let sized = |kind: u8, length: Option<u16>, width: u16, has_collation: bool| {
            let length = length.map_or(u16::MAX, |length| length.saturating_mul(width));
            let mut info = vec![kind];
            info.extend_from_slice(&length.to_le_bytes());
            if has_collation {
                info.extend_from_slice(&COLLATION);
            }
            info
        };
        match self {
            Self::TinyInt => vec![0x26, 1],
            Self::SmallInt => vec![0x26, 2],
            Self::Int => vec![0x26, 4],
            Self::BigInt => vec![0x26, 8],
            Self::Bit => vec![0x68, 1],
            Self::Decimal(precision, scale) => {
                vec![0x6a, decimal_length(precision) + 1, precision, scale]
            }
            Self::Money => vec![0x6e, 8],
            Self::SmallMoney => vec![0x6e, 4],
            Self::Real => vec![0x6d, 4],
            Self::Float => vec![0x6d, 8],
            Self::Char(length) => sized(0xaf, Some(length), 1, true),
            Self::VarChar(length) => sized(0xa7, length, 1, true),
            Self::NChar(length) => sized(0xef, Some(length), 2, true),
            Self::NVarChar(length) => sized(0xe7, length, 2, true),
            Self::Binary(length) => sized(0xad, Some(length), 1, false),
            Self::VarBinary(length) => sized(0xa5, length, 1, false),
            Self::Date => vec![0x28],
            Self::Time(scale) => vec![0x29, scale],
            Self::DateTime2(scale) => vec![0x2a, scale],
            Self::DateTimeOffset(scale) => vec![0x2b, scale],
            Self::DateTime => vec![0x6f, 8],
            Self::SmallDateTime => vec![0x6f, 4],
            Self::UniqueIdentifier => vec![0x24, 16],
            Self::Xml => vec![0xf1, 0],
        }
    }
}

/// The length of the digits of a decimal, in bytes.
pub(super) fn decimal_length(precision: u8) -> u8 {
    match precision {
        0..=9 => 4,
        10..=19 => 8,
        20..=28 => 12,
        _ => 16,
    }
}

/// The length of a time of day, in bytes.
pub(super) fn time_length(scale: u8) -> usize {
    match scale {
        0..=2 => 3,
        3..=4 => 4,
        _ => 5,
    }
}
