//! What a database's error means to the caller.
//!
//! A server's error keeps what the server says: its message is the detail, and `number`, `state`,
//! `class`, `line` and `procedure` are members of the problem. What the operator of the mount can
//! do about it follows the message. The numbers are those of Microsoft's [list of connection
//! errors](https://learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues).

use keyward_plugin::Problem;
use keyward_plugin::sql::{ServerError, SqlError};

/// What the advice is made of.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    /// The database's name.
    pub(crate) database: String,
    /// The user's name, where the mount logs in with a password.
    pub(crate) user: Option<String>,
}

/// The problem that an error is.
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
            let detail = format!("{detail}. Whether the statement was run is not known");
            Problem::new(502, "sql-broken", "The connection broke", detail)
        }
        SqlError::TimedOut => {
            let detail = "the statement took longer than `timeout` in the settings of this mount, or in the request, allows. It \
                          was cancelled";
            Problem::new(504, "sql-timeout", "The statement took too long", detail)
        }
        SqlError::Invalid(_) => {
            Problem::new(400, "sql-invalid", "The database cannot be asked for this", detail)
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

/// The status, kind and title.
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
        | 40532 => (403, "sql-login", "The server refuses the login of this mount"),
        40615 | 40914 | 47073 => (403, "sql-network", "The server refuses connections from here"),
        229 | 230 | 262 | 297 | 300 | 916 | 15247 => {
            (403, "sql-permission", "The mount's user may not do this")
        }
        547 | 2601 | 2627 => (409, "sql-constraint", "A constraint of the database forbids it"),
        1205 | 1222 | 3960 => (409, "sql-conflict", "Another transaction is in the way"),
        _ if retry_after(number).is_some() => (503, "sql-throttled", "The server is busy"),
        _ if class >= 17 => (502, "sql-failed", "The server failed"),
        _ => (400, "sql-statement", "The server refuses the statement"),
    }
}

/// How long to wait, where the server is busy, moved or started. Microsoft asks for 10 seconds at
/// 40501, and says that most moves end within 60.
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

/// Whether the same statement may go well the next time.
fn is_retryable(number: u32) -> bool {
    matches!(number, 1205 | 1222 | 3960) || retry_after(number).is_some()
}

/// What to check.
fn advice(number: u32, login: &Login) -> Option<String> {
    let database = &login.database;
    Some(match (number, &login.user) {
        (18456, Some(user)) => format!(
            "(The mount logs in as the user {user:?} with the password in `password_secret`. \
             Check that the user is there, in \
             the server or in the database {database:?}, that the password in the Key Vault is \
             the user's, and that the server takes \
             passwords: with \"Microsoft Entra-only authentication\" it takes none.)"
        ),
        (18456, None) => format!(
            "(The server does not know the mount's identity. Check that the server has a \
             Microsoft Entra admin, that in the \
             database {database:?} this was run: CREATE USER [name of the identity] FROM EXTERNAL \
             PROVIDER, and that the name is of \
             this identity.)"
        ),
        (18470, _) => "(The login is disabled: ALTER LOGIN ... ENABLE.)".to_owned(),
        (18452, _) | (18461, _) => {
            "(The server does not take this login now. Check how its logins are authenticated, \
             and in which mode it is.)".to_owned()
        }
        (18486..=18488, _) => "(Set a new password for the user, in the server and in the Key Vault.)".to_owned(),
        (33134, _) => "(The server cannot read Microsoft Entra ID. Check its own identity's permissions there.)".to_owned(),
        (4060, _) => format!(
            "(Check `database = {database:?}` in the settings of this mount, and that its user is \
             in that database: CREATE USER.)"
        ),
        (40532, _) => "(Check the name of the server in the `endpoint` of this mount, and the login's.)".to_owned(),
        (40615, _) => "(The firewall of the server has no rule for the address of this machine. Add one, a virtual network rule, \
                       or a private endpoint.)"
            .to_owned(),
        (40914, _) => "(The server takes no connections from this virtual network. Add a virtual network rule for the subnet, or a \
                       private endpoint.)"
            .to_owned(),
        (47073, _) => "(The server has \"Deny public network access\": it is reached through a private endpoint alone.)".to_owned(),
        (229 | 230 | 262 | 297 | 300 | 15247, _) => {
            "(Grant it to the mount's user in the database, for reading with ALTER ROLE \
             db_datareader ADD MEMBER [name].)".to_owned()
        }
        (137, _) => "(A variable that the statement uses is neither declared in it nor among `params`.)".to_owned(),
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
        let message = "The server's words.".to_owned();
        SqlError::Server(ServerError { number, state: 1, class, line: 3, message, procedure: None })
    }

    #[test]
    fn each_error_of_the_server_has_the_status_that_tells_who_can_mend_it() {
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
            assert!(problem["detail"].as_str().unwrap().starts_with("The server's words."));
        }
    }

    #[test]
    fn a_login_that_fails_says_what_to_check() {
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
    fn what_may_go_well_the_next_time_says_so() {
        let (_, retry_after, problem) = shown(server(1205, 13), None);
        assert_eq!((retry_after, &problem["retryable"]), (None, &json!(true)));
        let (_, retry_after, problem) = shown(server(40501, 20), None);
        assert_eq!((retry_after.as_deref(), &problem["retryable"]), (Some("10"), &json!(true)));
        assert_eq!(shown(server(102, 15), None).2.get("retryable"), None);
    }

    #[test]
    fn what_is_not_the_servers_error_has_its_status_too() {
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
