//! Who may log in.

use super::login::{Login, Proof};
use super::sql_error::SqlError;
use crate::Azure;

/// The ends of the servers' names in each cloud, and the audience of a token there. The slash counts.
const CLOUDS: [(&str, &str); 6] = [
    (".database.windows.net", "https://database.windows.net/"),
    (".database.chinacloudapi.cn", "https://database.chinacloudapi.cn/"),
    (".database.usgovcloudapi.net", "https://database.usgovcloudapi.net/"),
    (".sql.azuresynapse.net", "https://database.windows.net/"),
    (".sql.azuresynapse.azure.cn", "https://database.chinacloudapi.cn/"),
    (".sql.azuresynapse.usgovcloudapi.net", "https://database.usgovcloudapi.net/"),
];

/// Somebody who has logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Principal {
    /// What the database calls him.
    pub(super) login: String,
    /// The name of the identity, where he came with a token.
    pub(super) identity: Option<String>,
}

/// The audience of tokens for a server, by the name that the login has for it or that the connection was made to. A server
/// without one of those is in the public cloud.
pub(super) fn audience(login: &str, connection: Option<&str>) -> &'static str {
    let [(_, public), ..] = CLOUDS;
    let names = [Some(login), connection].into_iter().flatten().map(str::to_ascii_lowercase);
    let of = |name: String| {
        let host = name.trim_start_matches("tcp:").split([',', ':', '\\']).next().unwrap_or_default().to_owned();
        CLOUDS.iter().find(|(end, _)| host.ends_with(end)).map(|(_, audience)| *audience)
    };
    names.into_iter().find_map(of).unwrap_or(public)
}

/// Verifies what somebody logs in with. `token` is the one that came by itself, where the login had none.
pub(super) fn admit(azure: &Azure, login: &Login, token: Option<&str>, audience: &str) -> Result<Principal, SqlError> {
    let options = &azure.sql.options;
    let principal = match &login.proof {
        Proof::Password(user, password) => {
            if user.is_empty() || options.users.get(user) != Some(password) {
                return Err(SqlError::new(18456, format!("Login failed for user '{user}'.")));
            }
            Principal { login: user.clone(), identity: None }
        }
        Proof::Token { token, .. } => identity(azure, Some(token), &login.database, audience)?,
        Proof::TokenToCome { .. } => identity(azure, token, &login.database, audience)?,
    };
    let is_known = |name: &String| name.eq_ignore_ascii_case(&login.database);
    if !login.database.is_empty() && !options.databases.iter().any(is_known) {
        return Err(SqlError::numbered(4060, &login.database));
    }
    Ok(principal)
}

fn identity(azure: &Azure, token: Option<&str>, database: &str, audience: &str) -> Result<Principal, SqlError> {
    let refused = || SqlError::numbered(18456, "");
    let claims = azure.authority.verify(token, audience).map_err(|rejected| {
        tracing::debug!(?rejected, "a token was refused");
        refused()
    })?;
    let identity = azure.directory.find(|identity| identity.object_id == claims.oid).ok_or_else(refused)?;
    if !identity.may("sql", &format!("/{database}")) {
        return Err(refused());
    }
    let login = format!("{}@{}", claims.appid, crate::TENANT);
    Ok(Principal { login, identity: Some(identity.name.clone()) })
}

#[cfg(test)]
mod tests {
    use super::audience;

    #[test]
    fn each_cloud_has_its_audience() {
        for (login, connection, expected) in [
            ("contoso.database.windows.net", None, "https://database.windows.net/"),
            ("tcp:contoso.database.chinacloudapi.cn,1433", None, "https://database.chinacloudapi.cn/"),
            ("localhost", Some("Contoso.Database.UsGovCloudApi.net"), "https://database.usgovcloudapi.net/"),
            ("contoso-ondemand.sql.azuresynapse.azure.cn", None, "https://database.chinacloudapi.cn/"),
            ("127.0.0.1", None, "https://database.windows.net/"),
        ] {
            assert_eq!(audience(login, connection), expected);
        }
    }
}
