//! Parser for the tokens of responses ([MS-TDS] 2.2.7).
//!
//! [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds

use super::token::{self, env_change};
use super::token_source::TokenSource;
use super::type_info::{TypeInfo, UnknownType, ValueLength};

/// Reads tokens until one is not recognized, or has a type in it that is not.
pub(super) async fn parse(source: TokenSource) {
    let mut columns: Vec<ValueLength> = Vec::new();
    loop {
        let token = source.u8().await;
        source.set_token_began();
        match token {
            token::COLMETADATA => match column_metadata(&source).await {
                Ok(Some(new)) => columns = new,
                Ok(None) => {}
                Err(UnknownType) => return,
            },
            token::ROW => {
                for length in &columns {
                    length.skip_value(&source).await;
                }
            }
            token::NBCROW => row_with_bitmap(&source, &columns).await,
            token::RETURNVALUE => {
                if let Err(UnknownType) = return_value(&source).await {
                    return;
                }
            }
            token::ENVCHANGE => environment_change(&source).await,
            token::FEATUREEXTACK => {
                while source.u8().await != token::FEATURE_TERMINATOR {
                    let length = source.u32().await;
                    source.skip(length).await;
                }
            }
            token::DONE | token::DONEPROC | token::DONEINPROC => {
                // The status, the current command and the row count.
                source.skip(2_u64 + 2 + 8).await;
            }
            token::RETURNSTATUS => source.skip(4_u64).await,
            token::ERROR
            | token::INFO
            | token::LOGINACK
            | token::ORDER
            | token::TABNAME
            | token::COLINFO
            | token::SSPI => {
                let length = source.u16().await;
                source.skip(length).await;
            }
            token::SESSIONSTATE | token::FEDAUTHINFO => {
                let length = source.u32().await;
                source.skip(length).await;
            }
            _ => return,
        }
    }
}

/// Reads the columns of a result set. `None` if the token says that there is no metadata.
async fn column_metadata(source: &TokenSource) -> Result<Option<Vec<ValueLength>>, UnknownType> {
    let count = source.u16().await;
    if count == token::NO_METADATA {
        return Ok(None);
    }
    let (mut lengths, mut money) = (Vec::new(), Vec::new());
    for _ in 0..count {
        // The user type and the flags.
        source.skip(4_u64 + 2).await;
        let column = TypeInfo::read_column(source).await?;
        if column.length == ValueLength::TextPointer {
            let table_name_parts = source.u8().await;
            for _ in 0..table_name_parts {
                source.skip_us_varchar().await;
            }
        }
        // The name.
        source.skip_b_varchar().await;
        lengths.push(column.length);
        money.push(column.money);
    }
    source.push_money_columns(money);
    Ok(Some(lengths))
}

async fn row_with_bitmap(source: &TokenSource, columns: &[ValueLength]) {
    let length = columns.len().div_ceil(8);
    let mut bitmap = Vec::with_capacity(length);
    for _ in 0..length {
        bitmap.push(source.u8().await);
    }
    for (index, length) in columns.iter().enumerate() {
        let is_null = bitmap.get(index / 8).is_some_and(|bits| bits >> (index % 8) & 1 == 1);
        if !is_null {
            length.skip_value(source).await;
        }
    }
}

async fn return_value(source: &TokenSource) -> Result<(), UnknownType> {
    // The ordinal, the name, the status, the user type and the flags.
    source.skip(2_u64).await;
    source.skip_b_varchar().await;
    source.skip(1_u64 + 4 + 2).await;
    let value = TypeInfo::read(source).await?;
    value.length.skip_value(source).await;
    Ok(())
}

async fn environment_change(source: &TokenSource) {
    let length = source.u16().await;
    if length == 0 {
        return;
    }
    let change = source.u8().await;
    source.skip(u64::from(length) - 1).await;
    match change {
        env_change::BEGIN_TRANSACTION | env_change::ENLIST_DTC_TRANSACTION => {
            source.set_transaction_open(true);
        }
        env_change::COMMIT_TRANSACTION
        | env_change::ROLLBACK_TRANSACTION
        | env_change::DEFECT_TRANSACTION
        | env_change::TRANSACTION_ENDED => source.set_transaction_open(false),
        _ => {}
    }
}
