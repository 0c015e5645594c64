//! What comes from a database.

use std::borrow::Cow;

use tiberius::numeric::Numeric;
use tiberius::{ColumnData, ColumnType};

use super::civil;
use crate::egress::Scanner;

/// A type of SQL Server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DataType {
    Bit,
    Tinyint,
    Smallint,
    Int,
    Bigint,
    Decimal,
    Money,
    Smallmoney,
    Real,
    Float,
    Char,
    Varchar,
    Text,
    Nchar,
    Nvarchar,
    Ntext,
    Binary,
    Varbinary,
    Image,
    Date,
    Time,
    Smalldatetime,
    Datetime,
    Datetime2,
    Datetimeoffset,
    Uniqueidentifier,
    Xml,
    Udt,
    SqlVariant,
}

/// A value, as plugins have it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null(DataType),
    Bit(bool),
    Tinyint(u8),
    Smallint(i16),
    Int(i32),
    Bigint(i64),
    Real(f32),
    Float(f64),
    Decimal(String),
    Text(String),
    Binary(Vec<u8>),
    Date(String),
    Time(String),
    Datetime(String),
    Datetimeoffset(String),
    Uniqueidentifier(String),
    Xml(String),
}

/// A column of a result set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) data_type: DataType,
}

/// What comes of a query.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    Columns(Vec<Column>),
    Rows(Vec<Vec<Value>>),
}

/// A date or a time that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server sent an invalid date or time")]
pub(super) struct NoTime;

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

impl Value {
    /// The value of a cell. What `secrets` has in it is blanked out; `echo` is told so.
    pub(super) fn of(
        cell: ColumnData<'static>,
        column: DataType,
        secrets: &Scanner,
        echo: &mut bool,
    ) -> Result<Self, NoTime> {
        let mut told = |text: Cow<'static, str>| blanked(text, secrets, echo);
        let value = match cell {
            ColumnData::Bit(value) => value.map(Self::Bit),
            ColumnData::U8(value) => value.map(Self::Tinyint),
            ColumnData::I16(value) => value.map(Self::Smallint),
            // Its bytes were read as an integer's, though the halves of a money value come the other way round.
            ColumnData::I64(Some(value)) if column == DataType::Money => {
                Some(Self::Decimal(money(value.rotate_left(32))))
            }
            ColumnData::I32(Some(value)) if matches!(column, DataType::Money | DataType::Smallmoney) => {
                Some(Self::Decimal(money(value.into())))
            }
            ColumnData::I32(value) => value.map(Self::Int),
            ColumnData::I64(value) => value.map(Self::Bigint),
            ColumnData::F32(value) => value.map(Self::Real),
            ColumnData::F64(value) => value.map(Self::Float),
            ColumnData::Numeric(value) => value.map(|number| Self::Decimal(decimal(number))),
            ColumnData::String(value) => value.map(|text| Self::Text(told(text))),
            ColumnData::Xml(value) => value.map(|xml| Self::Xml(told(Cow::Owned(xml.into_owned().into_string())))),
            ColumnData::Binary(value) => value.map(|bytes| {
                let bytes = bytes.into_owned();
                Self::Binary(secrets.blanked(&bytes).inspect(|_| *echo = true).unwrap_or(bytes))
            }),
            ColumnData::Guid(value) => {
                value.map(|guid| Self::Uniqueidentifier(guid.as_hyphenated().to_string().to_uppercase()))
            }
            ColumnData::Date(value) => time(value, civil::date_to_text)?.map(Self::Date),
            ColumnData::Time(value) => time(value, civil::time_to_text)?.map(Self::Time),
            ColumnData::DateTime2(value) => time(value, civil::datetime2_to_text)?.map(Self::Datetime),
            ColumnData::DateTime(value) => time(value, civil::datetime_to_text)?.map(Self::Datetime),
            ColumnData::SmallDateTime(value) => time(value, civil::smalldatetime_to_text)?.map(Self::Datetime),
            ColumnData::DateTimeOffset(value) => time(value, civil::datetimeoffset_to_text)?.map(Self::Datetimeoffset),
        };
        Ok(value.unwrap_or(Self::Null(column)))
    }

    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        let text = match self {
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
        text + std::mem::size_of::<Self>()
    }
}

fn time<T>(value: Option<T>, tell: impl Fn(T) -> Option<String>) -> Result<Option<String>, NoTime> {
    value.map(|value| tell(value).ok_or(NoTime)).transpose()
}

/// A text without secrets in it.
pub(super) fn blanked(text: Cow<'_, str>, secrets: &Scanner, echo: &mut bool) -> String {
    match secrets.blanked(text.as_bytes()) {
        None => text.into_owned(),
        Some(clean) => {
            *echo = true;
            String::from_utf8_lossy(&clean).into_owned()
        }
    }
}

/// The digits of a number.
fn decimal(number: Numeric) -> String {
    let scale = usize::from(number.scale());
    let sign = if number.value() < 0 { "-" } else { "" };
    let digits = format!("{:0width$}", number.value().unsigned_abs(), width = scale + 1);
    match digits.split_at_checked(digits.len() - scale) {
        Some((whole, fraction)) if scale > 0 => format!("{sign}{whole}.{fraction}"),
        _ => format!("{sign}{digits}"),
    }
}

/// A money value counts ten-thousandths.
fn money(ten_thousandths: i64) -> String {
    decimal(Numeric::new_with_scale(ten_thousandths.into(), 4))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn of(cell: ColumnData<'static>, column: DataType) -> Value {
        Value::of(cell, column, &Scanner::new([]), &mut false).unwrap()
    }

    #[test]
    fn numbers_keep_their_digits() {
        for (value, scale, text) in [
            (0, 0, "0"),
            (-5, 1, "-0.5"),
            (1230, 2, "12.30"),
            (7, 38, "0.00000000000000000000000000000000000007"),
            (99_999_999_999_999_999_999_999_999_999_999_999_999, 0, "99999999999999999999999999999999999999"),
        ] {
            let cell = ColumnData::Numeric(Some(Numeric::new_with_scale(value, scale)));
            assert_eq!(of(cell, DataType::Decimal), Value::Decimal(text.to_owned()));
        }
    }

    #[test]
    fn money_is_exact() {
        for (units, text) in
            [(0, "0.0000"), (-1, "-0.0001"), (i64::MAX, "922337203685477.5807"), (i64::MIN, "-922337203685477.5808")]
        {
            let cell = ColumnData::I64(Some(units.rotate_left(32)));
            assert_eq!(of(cell, DataType::Money), Value::Decimal(text.to_owned()));
        }
        let cell = ColumnData::I32(Some(i32::MIN));
        assert_eq!(of(cell, DataType::Smallmoney), Value::Decimal("-214748.3648".to_owned()));
    }

    #[test]
    fn a_secret_in_a_row_is_blanked_out() {
        let secrets = Scanner::new([Bytes::from_static(b"eyJ.a-secret-token")]);
        let mut echo = false;
        let cell = ColumnData::String(Some("x eyJ.a-secret-token y".into()));
        let value = Value::of(cell, DataType::Nvarchar, &secrets, &mut echo).unwrap();
        assert!(echo && matches!(&value, Value::Text(text) if !text.contains("secret")), "{value:?}");
        let mut echo = false;
        let cell = ColumnData::Binary(Some(b"eyJ.a-secret-token"[..].into()));
        let value = Value::of(cell, DataType::Varbinary, &secrets, &mut echo).unwrap();
        assert!(echo && value == Value::Binary(vec![b'*'; 18]), "{value:?}");
    }
}
