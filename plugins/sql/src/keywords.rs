//! Keywords that a read-only query cannot contain.
//!
//! Each statement of Transact-SQL that changes something begins with a [reserved word], and a
//! reserved word cannot be a name unless it is quoted. Therefore all reserved words except those of
//! queries are denied. No legitimate query is affected, and a second statement hidden in one
//! (`select 1 shutdown`: no semicolon is required) is found by its keyword.
//!
//! [reserved word]: https://learn.microsoft.com/sql/t-sql/language-elements/reserved-keywords-transact-sql

/// The reserved words except those of queries, and three words that begin statements without being
/// reserved. Sorted.
const DENIED: [&str; 105] = [
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

/// Table hints that take locks.
const LOCK_HINTS: [&str; 9] = [
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

/// The reason why a word is denied, if it is.
pub(crate) fn denied(word: &str) -> Option<String> {
    let lower = word.to_ascii_lowercase();
    if is_lock_hint(word) {
        return Some(format!("`{word}` takes locks"));
    }
    match lower.as_str() {
        "into" => Some("`into` creates a table".to_owned()),
        "openrowset" | "openquery" | "opendatasource" => {
            Some(format!("`{word}` accesses other servers and files"))
        }
        lower if DENIED.binary_search(&lower).is_ok() => Some(format!(
            "`{word}` is not allowed in a read-only query (if it is a name, put it in brackets: \
             `[{word}]`)"
        )),
        _ => None,
    }
}

/// Whether a word is a hint that takes locks.
pub(crate) fn is_lock_hint(word: &str) -> bool {
    LOCK_HINTS.iter().any(|lock| word.eq_ignore_ascii_case(lock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_sorted_and_in_lower_case() {
        assert!(DENIED.is_sorted() && DENIED.iter().all(|word| *word == word.to_ascii_lowercase()));
    }

    #[test]
    fn words_are_denied_in_any_case() {
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
            assert!(denied(word).is_some(), "{word}");
        }
        for word in ["select", "FROM", "id", "executed", "fetch", "nolock", "readpast"] {
            assert!(denied(word).is_none(), "{word}");
        }
    }
}
