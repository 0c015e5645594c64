//! Values of rows, as they come from `tiberius`.

use std::borrow::Cow;

use tiberius::ColumnData;

use crate::datetime::{self, InvalidDateTime};
use crate::decimal;
use crate::hooks::{Redact, redact_text};
use crate::value::{DataType, Value};

/// Reads the cell of a column of this type. Secrets in it are removed, and `redacted` is set if
/// there were any.
pub(crate) fn read(
    cell: ColumnData<'static>,
    column: DataType,
    redactor: &dyn Redact,
    redacted: &mut bool,
) -> Result<Value, InvalidDateTime> {
    let mut text = |text: Cow<'static, str>| redact_text(text, redactor, redacted);
    let value = match cell {
        ColumnData::Bit(value) => value.map(Value::Bit),
        ColumnData::U8(value) => value.map(Value::Tinyint),
        ColumnData::I16(value) => value.map(Value::Smallint),
        // A money value was read as an integer of the same bytes (tds/token_stream.rs), though its
        // more significant half comes first.
        ColumnData::I64(Some(value)) if column == DataType::Money => {
            Some(Value::Decimal(decimal::format_money(value.rotate_left(32))))
        }
        ColumnData::I32(Some(value))
            if matches!(column, DataType::Money | DataType::Smallmoney) =>
        {
            Some(Value::Decimal(decimal::format_money(value.into())))
        }
        ColumnData::I32(value) => value.map(Value::Int),
        ColumnData::I64(value) => value.map(Value::Bigint),
        ColumnData::F32(value) => value.map(Value::Real),
        ColumnData::F64(value) => value.map(Value::Float),
        ColumnData::Numeric(value) => value.map(|number| Value::Decimal(decimal::format(number))),
        ColumnData::String(value) => value.map(|value| Value::Text(text(value))),
        ColumnData::Xml(value) => {
            value.map(|xml| Value::Xml(text(Cow::Owned(xml.into_owned().into_string()))))
        }
        ColumnData::Binary(value) => value.map(|bytes| {
            let bytes = bytes.into_owned();
            Value::Binary(redactor.redact(&bytes).inspect(|_| *redacted = true).unwrap_or(bytes))
        }),
        ColumnData::Guid(value) => value
            .map(|guid| Value::Uniqueidentifier(guid.as_hyphenated().to_string().to_uppercase())),
        ColumnData::Date(value) => value.map(datetime::format_date).transpose()?.map(Value::Date),
        ColumnData::Time(value) => value.map(datetime::format_time).transpose()?.map(Value::Time),
        ColumnData::DateTime2(value) => {
            value.map(datetime::format_datetime2).transpose()?.map(Value::Datetime)
        }
        ColumnData::DateTime(value) => {
            value.map(datetime::format_datetime).transpose()?.map(Value::Datetime)
        }
        ColumnData::SmallDateTime(value) => {
            value.map(datetime::format_smalldatetime).transpose()?.map(Value::Datetime)
        }
        ColumnData::DateTimeOffset(value) => {
            value.map(datetime::format_datetimeoffset).transpose()?.map(Value::Datetimeoffset)
        }
    };
    Ok(value.unwrap_or(Value::Null(column)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Removes the text `secret`.
    struct Secret;

    impl Redact for Secret {
        fn redact(&self, bytes: &[u8]) -> Option<Vec<u8>> {
            let text = String::from_utf8_lossy(bytes);
            text.contains("secret").then(|| text.replace("secret", "******").into_bytes())
        }
    }

    fn read_cell(cell: ColumnData<'static>, column: DataType) -> (Value, bool) {
        let mut redacted = false;
        let value = read(cell, column, &Secret, &mut redacted).unwrap();
        (value, redacted)
    }

    #[test]
    fn money_is_exact() {
        for (units, text) in [
            (0, "0.0000"),
            (-1, "-0.0001"),
            (i64::MAX, "922337203685477.5807"),
            (i64::MIN, "-922337203685477.5808"),
        ] {
            let cell = ColumnData::I64(Some(units.rotate_left(32)));
            let value = Value::Decimal(text.to_owned());
            assert_eq!(read_cell(cell, DataType::Money), (value, false));
        }
        let cell = ColumnData::I32(Some(i32::MIN));
        let value = Value::Decimal("-214748.3648".to_owned());
        assert_eq!(read_cell(cell, DataType::Smallmoney), (value, false));
    }

    #[test]
    fn a_null_has_the_type_of_its_column() {
        let value = Value::Null(DataType::Money);
        assert_eq!(read_cell(ColumnData::I64(None), DataType::Money), (value, false));
    }

    #[test]
    fn a_secret_in_a_row_is_removed() {
        let text = ColumnData::String(Some("a secret here".into()));
        let redacted = Value::Text("a ****** here".to_owned());
        assert_eq!(read_cell(text, DataType::Nvarchar), (redacted, true));
        let binary = ColumnData::Binary(Some(b"secret"[..].into()));
        let redacted = Value::Binary(b"******".to_vec());
        assert_eq!(read_cell(binary, DataType::Varbinary), (redacted, true));
        let text = ColumnData::String(Some("nothing here".into()));
        let unchanged = Value::Text("nothing here".to_owned());
        assert_eq!(read_cell(text, DataType::Nvarchar), (unchanged, false));
    }
}
