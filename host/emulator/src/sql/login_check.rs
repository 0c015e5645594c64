//! Authenticates logins.

use super::login7::{Credentials, Login};
use super::sql_error::SqlError;
use crate::Azure;

/// The suffixes of server names, and the audience of tokens, with a slash at the end.
const CLOUDS: [(&str, &str); 6] = [
    (".database.windows.net", "https://database.windows.net/"),
    (".database.chinacloudapi.cn", "https://database.chinacloudapi.cn/"),
    (".database.usgovcloudapi.net", "https://database.usgovcloudapi.net/"),
    (".sql.azuresynapse.net", "https://database.windows.net/"),
    (".sql.azuresynapse.azure.cn", "https://database.chinacloudapi.cn/"),
    (".sql.azuresynapse.usgovcloudapi.net", "https://database.usgovcloudapi.net/"),
];

/// An authenticated user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Principal {
    /// The name of the login.
    pub(super) login: String,
    /// The name of the identity, for a login by token.
    pub(super) identity: Option<String>,
}

/// The audience of tokens for a server, by its name in the login or in the TLS handshake. An
/// unknown name is in the public cloud.
pub(super) fn audience(login: &str, connection: Option<&str>) -> &'static str {
    let [(_, public), ..] = CLOUDS;
    let names = [Some(login), connection].into_iter().flatten().map(str::to_ascii_lowercase);
    let audience_of = |name: String| {
        let host = name
            .trim_start_matches("tcp:")
            .split([',', ':', '\\'])
            .next()
            .unwrap_or_default()
            .to_owned();
        CLOUDS.iter().find(|(end, _)| host.ends_with(end)).map(|(_, audience)| *audience)
    };
    names.into_iter().find_map(audience_of).unwrap_or(public)
}

/// Authenticates a login. `token` is the one that followed a login without a token.
pub(super) fn authenticate(
    azure: &Azure,
    login: &Login,
    token: Option<&str>,
    audience: &str,
) -> Result<Principal, SqlError> {
    let options = &azure.sql.options;
    let principal = match &login.credentials {
        Credentials::Password(user, password) => {
            if user.is_empty() || options.users.get(user) != Some(password) {
                return Err(SqlError::new(18456, format!("Login failed for user '{user}'.")));
            }
            Principal { login: user.clone(), identity: None }
        }
        Credentials::Token { token, .. } => {
            identity(azure, Some(token), &login.database, audience)?
        }
        Credentials::TokenRequested { .. } => identity(azure, token, &login.database, audience)?,
    };
    let is_known = |name: &String| name.eq_ignore_ascii_case(&login.database);
    if !login.database.is_empty() && !options.databases.iter().any(is_known) {
        return Err(SqlError::numbered(4060, &login.database));
    }
    Ok(principal)
}

fn identity(
    azure: &Azure,
    token: Option<&str>,
    database: &str,
    audience: &str,
) -> Result<Principal, SqlError> {
    let login_failed = || SqlError::numbered(18456, "");
    let claims = azure.token_issuer.verify(token, audience).map_err(|error| {
        tracing::debug!(?error, "invalid token");
        login_failed()
    })?;
    let identity = azure
        .directory
        .find(|identity| identity.object_id == claims.oid)
        .ok_or_else(login_failed)?;
    if !identity.is_allowed("sql", &format!("/{database}")) {
        return Err(login_failed());
    }
    let login = format!("{}@{}", claims.appid, crate::TENANT);
    Ok(Principal { login, identity: Some(identity.name.clone()) })
}

#[cfg(test)]
mod tests {
    use super::audience;

    #[test]
    fn the_audience_is_that_of_the_cloud() {
        for (login, connection, expected) in [
            ("contoso.database.windows.net", None, "https://database.windows.net/"),
            (
                "tcp:contoso.database.chinacloudapi.cn,1433",
                None,
                "https://database.chinacloudapi.cn/",
            ),
            (
                "localhost",
                Some("Contoso.Database.UsGovCloudApi.net"),
                "https://database.usgovcloudapi.net/",
            ),
            (
                "contoso-ondemand.sql.azuresynapse.azure.cn",
                None,
                "https://database.chinacloudapi.cn/",
            ),
            ("127.0.0.1", None, "https://database.windows.net/"),
        ] {
            assert_eq!(audience(login, connection), expected);
        }
    }
}
