//! Isolation levels, and the statements of transactions.

/// What a transaction sees of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// `READ UNCOMMITTED`
    ReadUncommitted,
    /// `READ COMMITTED`, the server's default.
    ReadCommitted,
    /// `REPEATABLE READ`
    RepeatableRead,
    /// `SNAPSHOT`
    Snapshot,
    /// `SERIALIZABLE`
    Serializable,
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Commit,
    Rollback,
}

impl Isolation {
    const fn name(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "READ UNCOMMITTED",
            Self::ReadCommitted => "READ COMMITTED",
            Self::RepeatableRead => "REPEATABLE READ",
            Self::Snapshot => "SNAPSHOT",
            Self::Serializable => "SERIALIZABLE",
        }
    }

    /// The level's name, unless it is the default.
    pub(crate) fn deviating(self) -> Option<&'static str> {
        (self != Self::ReadCommitted).then_some(self.name())
    }
}

/// The batch that begins a transaction at a level, or at the default level.
pub(crate) fn begin(level: Option<&str>) -> String {
    match level {
        None => "BEGIN TRANSACTION".to_owned(),
        Some(level) => format!("SET TRANSACTION ISOLATION LEVEL {level}; BEGIN TRANSACTION"),
    }
}

/// The batch that ends a transaction, and resets the level if it was changed.
pub(crate) fn end(end: End, level_changed: bool) -> String {
    let statement = match end {
        End::Commit => "COMMIT TRANSACTION",
        End::Rollback => "ROLLBACK TRANSACTION",
    };
    if level_changed {
        let default = Isolation::ReadCommitted.name();
        format!("{statement}; SET TRANSACTION ISOLATION LEVEL {default}")
    } else {
        statement.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_set_for_one_transaction() {
        let level = Isolation::Snapshot.deviating();
        assert_eq!(begin(level), "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRANSACTION");
        assert_eq!(
            end(End::Rollback, true),
            "ROLLBACK TRANSACTION; SET TRANSACTION ISOLATION LEVEL READ COMMITTED"
        );
        assert_eq!(begin(Isolation::ReadCommitted.deviating()), "BEGIN TRANSACTION");
        assert_eq!(end(End::Commit, false), "COMMIT TRANSACTION");
    }
}
