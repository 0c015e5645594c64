//! Conversion of database errors to problems for the caller.
//!
//! The detail is the server's message, followed by advice for the operator of the mount. `number`,
//! `state`, `class`, `line` and `procedure` of the server's error are members of the problem. The
//! numbers are those of Microsoft's [list of connection
//! errors](https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues).

use keyward_plugin::Problem;
use keyward_plugin::sql::{ServerError, SqlError};

/// What the mount logs in with, for the advice in a problem.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    /// The database's name.
    pub(crate) database: String,
    /// The user's name if the mount logs in with a password.
    pub(crate) user: Option<String>,
}

/// Converts an error to a problem.
pub(crate) fn problem(error: SqlError, login: &Login) -> Problem {
    let detail = error.to_string();
    match error {
        SqlError::Server(error) => server(error, login),
        SqlError::Unavailable(why) => {
            Problem::new(503, "token-unavailable", "No token is available", why)
        }
        SqlError::Throttled(seconds) => {
            Problem::new(503, "token-throttled", "The identity endpoint is busy", detail)
                .with_retry_after(seconds)
        }
        SqlError::Unreachable(_) => {
            Problem::new(502, "sql-unreachable", "The server cannot be reached", detail)
                .with("retryable", true)
        }
        SqlError::Busy(_) => Problem::new(503, "sql-busy", "All connections are in use", detail)
            .with("retryable", true)
            .with_retry_after(1),
        SqlError::Broken(_) => {
            let detail = format!("{detail}. The statement may or may not have been run");
            Problem::new(502, "sql-broken", "The connection broke", detail)
        }
        SqlError::TimedOut => {
            let detail = "the statement exceeded `timeout` of this mount's settings or of the \
                          request, and was cancelled";
            Problem::new(504, "sql-timeout", "The statement took too long", detail)
        }
        SqlError::Invalid(_) => {
            Problem::new(400, "sql-invalid", "The database request is invalid", detail)
        }
    }
}

fn server(error: ServerError, login: &Login) -> Problem {
    let (status, kind, title) = class(error.number, error.class);
    let retry_after = retry_after(error.number);
    let detail = match advice(error.number, login) {
        Some(advice) => format!("{} {advice}", error.message.trim_end()),
        None => error.message,
    };
    let mut problem = Problem::new(status, kind, title, detail)
        .with("number", error.number)
        .with("state", error.state)
        .with("class", error.class)
        .with("line", error.line);
    if let Some(procedure) = error.procedure {
        problem = problem.with("procedure", procedure);
    }
    if is_retryable(error.number) {
        problem = problem.with("retryable", true);
    }
    match retry_after {
        Some(seconds) => problem.with_retry_after(seconds),
        None => problem,
    }
}

/// The status, kind and title for an error of the server.
fn class(number: u32, class: u8) -> (u16, &'static str, &'static str) {
    match number {
        4060
        | 18452
        | 18456
        | 18461
        | 18463..=18468
        | 18470
        | 18471
        | 18486..=18488
        | 33134
        | 40532 => (403, "sql-login", "The server rejected the login of this mount"),
        40615 | 40914 | 47073 => {
            (403, "sql-network", "The server does not allow connections from this network")
        }
        229 | 230 | 262 | 297 | 300 | 916 | 15247 => {
            (403, "sql-permission", "The mount's user lacks a permission")
        }
        547 | 2601 | 2627 => (409, "sql-constraint", "A constraint of the database was violated"),
        1205 | 1222 | 3960 => (409, "sql-conflict", "The transaction conflicts with another"),
        _ if retry_after(number).is_some() => (503, "sql-throttled", "The server is busy"),
        _ if class >= 17 => (502, "sql-failed", "The server failed"),
        _ => (400, "sql-statement", "The server rejected the statement"),
    }
}

/// How many seconds to wait while the server is busy, starting or failing over. Microsoft
/// recommends 10 seconds for 40501, and documents that most failovers end within 60.
fn retry_after(number: u32) -> Option<u32> {
    match number {
        926
        | 4221
        | 10928
        | 10929
        | 40197
        | 40501
        | 40540
        | 40613
        | 42108
        | 42109
        | 49918..=49920 => Some(10),
        _ => None,
    }
}

/// Whether the same statement may succeed when retried.
fn is_retryable(number: u32) -> bool {
    matches!(number, 1205 | 1222 | 3960) || retry_after(number).is_some()
}

/// Advice on what to check.
fn advice(number: u32, login: &Login) -> Option<String> {
    let database = &login.database;
    Some(match (number, &login.user) {
        (18456, Some(user)) => format!(
            "(The mount logs in as the user {user:?} with the password in `password_secret`. \
             Check that the user exists in the server or in the database {database:?}, that the \
             Key Vault has its current password, and that the server accepts passwords: with \
             \"Microsoft Entra-only authentication\" it does not.)"
        ),
        (18456, None) => format!(
            "(The server does not know the mount's identity. Check that the server has a \
             Microsoft Entra admin, that CREATE USER [name of the identity] FROM EXTERNAL \
             PROVIDER was run in the database {database:?}, and that the name is that of this \
             identity.)"
        ),
        (18470, _) => "(The login is disabled: ALTER LOGIN ... ENABLE.)".to_owned(),
        (18452, _) | (18461, _) => "(The server does not accept this login now. Check how it \
                                    authenticates logins, and whether it is in single-user mode.)"
            .to_owned(),
        (18486..=18488, _) => {
            "(Set a new password for the user, in the server and in the Key Vault.)".to_owned()
        }
        (33134, _) => "(The server cannot read Microsoft Entra ID. Check the permissions of the \
                       server's own identity there.)"
            .to_owned(),
        (4060, _) => format!(
            "(Check `database = {database:?}` in the settings of this mount, and that its user \
             exists in that database: CREATE USER.)"
        ),
        (40532, _) => "(Check the name of the server in the `endpoint` of this mount and in the \
                       login.)"
            .to_owned(),
        (40615, _) => "(The server's firewall has no rule for the address of this machine. Add \
                       one, a virtual network rule, or a private endpoint.)"
            .to_owned(),
        (40914, _) => "(The server does not accept connections from this virtual network. Add a \
                       virtual network rule for the subnet, or a private endpoint.)"
            .to_owned(),
        (47073, _) => "(The server has \"Deny public network access\": it can be reached only \
                       through a private endpoint.)"
            .to_owned(),
        (229 | 230 | 262 | 297 | 300 | 15247, _) => {
            "(Grant the permission to the mount's user in the database; for reading, with ALTER \
             ROLE db_datareader ADD MEMBER [name].)"
                .to_owned()
        }
        (137, _) => "(The statement uses a variable that is neither declared in it nor among \
                     `params`.)"
            .to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use keyward_plugin::testing::text;
    use serde_json::{Value, json};

    use super::*;

    fn shown(error: SqlError, user: Option<&str>) -> (u16, Option<String>, Value) {
        let login = Login { database: "orders".into(), user: user.map(str::to_owned) };
        let response = problem(error, &login).into_response();
        let retry_after = response.headers.get("retry-after");
        (response.status, retry_after, serde_json::from_str(&text(response)).unwrap())
    }

    fn server(number: u32, class: u8) -> SqlError {
        let message = "The server's message.".to_owned();
        SqlError::Server(ServerError { number, state: 1, class, line: 3, message, procedure: None })
    }

    #[test]
    fn the_status_of_a_server_error_depends_on_who_can_fix_it() {
        for (number, class, status, kind) in [
            (102, 15, 400, "sql-statement"),
            (208, 16, 400, "sql-statement"),
            (8134, 16, 400, "sql-statement"),
            (50000, 16, 400, "sql-statement"),
            (229, 14, 403, "sql-permission"),
            (547, 16, 409, "sql-constraint"),
            (2627, 14, 409, "sql-constraint"),
            (1205, 13, 409, "sql-conflict"),
            (4060, 11, 403, "sql-login"),
            (18456, 14, 403, "sql-login"),
            (40615, 14, 403, "sql-network"),
            (40501, 20, 503, "sql-throttled"),
            (40613, 17, 503, "sql-throttled"),
            (823, 24, 502, "sql-failed"),
        ] {
            let (found, _, problem) = shown(server(number, class), None);
            assert_eq!(
                (found, &problem["type"]),
                (status, &json!(format!("urn:keyward:problem:{kind}"))),
                "{number}"
            );
            assert_eq!(
                (&problem["number"], &problem["class"], &problem["line"]),
                (&json!(number), &json!(class), &json!(3))
            );
            assert!(problem["detail"].as_str().unwrap().starts_with("The server's message."));
        }
    }

    #[test]
    fn a_failed_login_comes_with_advice() {
        for (number, user, expected) in [
            (18456, None, "FROM EXTERNAL PROVIDER"),
            (18456, Some("app"), "`password_secret`"),
            (4060, None, "`database = \"orders\"`"),
            (40615, None, "private endpoint"),
            (40914, None, "virtual network rule"),
        ] {
            let (_, _, problem) = shown(server(number, 14), user);
            assert!(problem["detail"].as_str().unwrap().contains(expected), "{number}: {problem}");
        }
    }

    #[test]
    fn errors_that_may_succeed_on_retry_are_marked_retryable() {
        let (_, retry_after, problem) = shown(server(1205, 13), None);
        assert_eq!((retry_after, &problem["retryable"]), (None, &json!(true)));
        let (_, retry_after, problem) = shown(server(40501, 20), None);
        assert_eq!((retry_after.as_deref(), &problem["retryable"]), (Some("10"), &json!(true)));
        assert_eq!(shown(server(102, 15), None).2.get("retryable"), None);
    }

    #[test]
    fn errors_of_the_connection_have_their_own_statuses() {
        for (error, status, retry_after) in [
            (SqlError::Unavailable("no".into()), 503, None),
            (SqlError::Throttled(17), 503, Some("17")),
            (SqlError::Unreachable("no".into()), 502, None),
            (SqlError::Busy("no".into()), 503, Some("1")),
            (SqlError::Broken("no".into()), 502, None),
            (SqlError::TimedOut, 504, None),
            (SqlError::Invalid("no".into()), 400, None),
        ] {
            let (found, after, problem) = shown(error, None);
            assert_eq!((found, after.as_deref()), (status, retry_after), "{problem}");
        }
    }
}
