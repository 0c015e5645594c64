//! Words that a statement which only reads does not have.
//!
//! Each statement of Transact-SQL that changes something begins with a [reserved word], and a
//! reserved word cannot be a name unless it is quoted. So all reserved words are refused but those
//! that queries are made of: no query loses anything, and a statement that hides in one (`select 1
//! shutdown`: no semicolon is needed) has a word that gives it away.
//!
//! [reserved word]: https://learn.microsoft.com/sql/t-sql/language-elements/reserved-keywords-transact-sql

/// The reserved words without those of queries, and three that are not reserved and begin
/// statements. In order.
const REFUSED: [&str; 105] = [
    "add",
    "alter",
    "authorization",
    "backup",
    "begin",
    "break",
    "browse",
    "bulk",
    "cascade",
    "check",
    "checkpoint",
    "close",
    "clustered",
    "column",
    "commit",
    "compute",
    "constraint",
    "continue",
    "conversation",
    "create",
    "cursor",
    "database",
    "dbcc",
    "deallocate",
    "declare",
    "delete",
    "deny",
    "disk",
    "distributed",
    "drop",
    "dump",
    "errlvl",
    "exec",
    "execute",
    "exit",
    "external",
    "file",
    "fillfactor",
    "foreign",
    "function",
    "goto",
    "grant",
    "holdlock",
    "identity",
    "identity_insert",
    "if",
    "insert",
    "into",
    "key",
    "kill",
    "lineno",
    "load",
    "merge",
    "nocheck",
    "nonclustered",
    "offsets",
    "open",
    "opendatasource",
    "openquery",
    "openrowset",
    "openxml",
    "plan",
    "primary",
    "print",
    "proc",
    "procedure",
    "public",
    "raiserror",
    "read",
    "readtext",
    "receive",
    "reconfigure",
    "references",
    "replication",
    "restore",
    "restrict",
    "return",
    "revert",
    "revoke",
    "rollback",
    "rowcount",
    "rule",
    "save",
    "schema",
    "securityaudit",
    "set",
    "setuser",
    "shutdown",
    "statistics",
    "table",
    "textsize",
    "throw",
    "tran",
    "transaction",
    "trigger",
    "truncate",
    "tsequal",
    "unique",
    "update",
    "updatetext",
    "use",
    "view",
    "waitfor",
    "while",
    "writetext",
];

/// Table hints that hold locks against others.
const LOCKS: [&str; 9] = [
    "holdlock",
    "paglock",
    "repeatableread",
    "rowlock",
    "serializable",
    "tablock",
    "tablockx",
    "updlock",
    "xlock",
];

/// Why a word is refused.
pub(crate) fn refused(word: &str) -> Option<String> {
    let lower = word.to_ascii_lowercase();
    if locks(word) {
        return Some(format!("`{word}` takes locks"));
    }
    match lower.as_str() {
        "into" => Some("`into` makes a table".to_owned()),
        "openrowset" | "openquery" | "opendatasource" => {
            Some(format!("`{word}` reaches other servers and files"))
        }
        lower if REFUSED.binary_search(&lower).is_ok() => Some(format!(
            "`{word}` is not allowed in a read-only query (a name is put in brackets: `[{word}]`)"
        )),
        _ => None,
    }
}

/// Whether it is a hint that takes locks.
pub(crate) fn locks(word: &str) -> bool {
    LOCKS.iter().any(|lock| word.eq_ignore_ascii_case(lock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_in_order() {
        assert!(
            REFUSED.is_sorted() && REFUSED.iter().all(|word| *word == word.to_ascii_lowercase())
        );
    }

    #[test]
    fn words_are_refused_in_whatever_case() {
        for word in [
            "exec",
            "EXECUTE",
            "Insert",
            "into",
            "merge",
            "SHUTDOWN",
            "use",
            "openRowset",
            "UpdLock",
            "xlock",
        ] {
            assert!(refused(word).is_some(), "{word}");
        }
        for word in ["select", "FROM", "id", "executed", "fetch", "nolock", "readpast"] {
            assert!(refused(word).is_none(), "{word}");
        }
    }
}
