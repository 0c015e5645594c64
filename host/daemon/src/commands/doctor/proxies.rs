//! Warns about proxies in the environment, which Keyward ignores.

use keyward::identity::source::Env;

use super::finding::{Check, Finding};

/// The variables that configure proxies.
const VARIABLES: [&str; 6] =
    ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// Checks the proxy variables. Their values are not shown: a proxy's URL may contain a password.
pub(super) fn check(env: Env<'_>) -> Finding {
    let set = |name: &str| env(name).filter(|value| !value.trim().is_empty());
    let variables: Vec<&str> = VARIABLES.into_iter().filter(|name| set(name).is_some()).collect();
    let finding = Finding::about(Check::Proxy, "environment");
    if variables.is_empty() {
        return finding.ok("no proxy is set");
    }
    let found = format!(
        "{}; Keyward ignores {}, and connects to identity endpoints and services directly",
        are_set(&variables),
        if variables.len() == 1 { "it" } else { "them" }
    );
    let no_proxy = set("NO_PROXY").or_else(|| set("no_proxy")).unwrap_or_default();
    let is_excluded =
        |host: &str| no_proxy.split(',').any(|entry| entry.trim() == host || entry.trim() == "*");
    let missing: Vec<&str> = ["169.254.169.254", "localhost", "127.0.0.1"]
        .into_iter()
        .filter(|host| !is_excluded(host))
        .collect();
    let mut fix = "The checks below show whether the endpoints are reachable without the proxy; \
                   if they are not, permit direct connections"
        .to_owned();
    if !missing.is_empty() {
        fix.push_str(
            ". Exclude IMDS and the broker from the proxy, for other programs on this machine\n",
        );
        fix.push_str(&format!("  export NO_PROXY={}", missing.join(",")));
        if !no_proxy.is_empty() {
            fix.push_str(",$NO_PROXY");
        }
    }
    finding.warning(found).fix(fix)
}

fn are_set(names: &[&str]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb} set", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    #[test]
    fn a_proxy_is_named_and_its_password_is_not() {
        let with = |set: &[(&str, &str)]| {
            let find = |name: &str| {
                let variable = set.iter().find(|(key, _)| *key == name);
                variable.map(|(_, value)| (*value).to_owned())
            };
            check(&find)
        };
        assert_eq!(with(&[("HTTPS_PROXY", " "), ("NO_PROXY", "x")]).status, Status::Ok);
        let finding = with(&[
            ("HTTPS_PROXY", "http://user:hunter2@proxy:3128"),
            ("NO_PROXY", "localhost, x"),
        ]);
        assert_eq!(finding.status, Status::Warning);
        assert!(finding.found.contains("HTTPS_PROXY is set"));
        assert!(!format!("{finding:?}").contains("hunter2"));
        assert!(finding.fix.unwrap().contains("NO_PROXY=169.254.169.254,127.0.0.1,$NO_PROXY"));
        let finding = with(&[
            ("http_proxy", "http://proxy"),
            ("no_proxy", "169.254.169.254,localhost,127.0.0.1"),
        ]);
        assert!(!finding.fix.unwrap().contains("export"));
    }
}
