//! Azure's Guest Proxy Agent, through which requests to the metadata service go on machines with the
//! Metadata Security Protocol.
//!
//! Its eBPF program connects whoever connects to 169.254.169.254 to the agent instead, which reads
//! the caller's user and executable, decides by an access control profile, and signs what it sends
//! on as root. So a firewall sees other packets, and one that stops root stops the agent.

use std::path::Path;

use serde_json::{Value, json};

/// How requests to the metadata service are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// They do not go through the agent.
    Disabled,
    /// Denials are logged only.
    Audit,
    Enforce,
}

/// A Guest Proxy Agent that runs on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProxyAgent {
    /// `None` if this user may not read it.
    pub(super) mode: Option<Mode>,
}

/// Its executable, below the root of the file system.
const EXECUTABLE: &str = "usr/sbin/azure-proxy-agent";

/// Its name in `/proc`: the first 15 bytes.
const PROCESS: &str = "azure-proxy-age";

/// Its status, which root can read.
const STATUS: &str = "var/log/azure-proxy-agent/status.json";

impl ProxyAgent {
    /// The agent that is installed and runs on this machine.
    pub(super) fn detect() -> Option<Self> {
        if !cfg!(target_os = "linux") {
            return None;
        }
        Self::below(Path::new("/"))
    }

    fn below(root: &Path) -> Option<Self> {
        if !root.join(EXECUTABLE).exists() || !is_running(&root.join("proc")) {
            return None;
        }
        let status = std::fs::read(root.join(STATUS)).ok();
        let mode = status.and_then(|status| mode(&serde_json::from_slice(&status).ok()?));
        Some(Self { mode })
    }

    /// Whether requests to the metadata service may go through it.
    pub(super) fn intercepts(self) -> bool {
        self.mode != Some(Mode::Disabled)
    }
}

fn is_running(proc: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(proc) else { return false };
    let processes = entries.flatten().filter(|entry| {
        entry.file_name().to_str().is_some_and(|name| name.bytes().all(|b| b.is_ascii_digit()))
    });
    let mut names = processes.flat_map(|entry| std::fs::read_to_string(entry.path().join("comm")));
    names.any(|name| name.trim_end() == PROCESS)
}

/// The mode in a status, such as `WireServer Enforce -  IMDS Audit - HostGA Enforce`; of older
/// agents, such as `wireserverandimds`.
fn mode(status: &Value) -> Option<Mode> {
    let state = status.pointer("/proxyAgentStatus/keyLatchStatus/states/secureChannelState")?;
    let state = state.as_str()?.to_ascii_lowercase();
    match &*state {
        "disabled" => return Some(Mode::Disabled),
        "wireserverandimds" => return Some(Mode::Enforce),
        "wireserver" | "audit" => return Some(Mode::Audit),
        _ => {}
    }
    let imds = state.split(" - ").find_map(|part| part.trim().strip_prefix("imds "))?;
    match imds {
        "disabled" => Some(Mode::Disabled),
        "audit" => Some(Mode::Audit),
        "enforce" => Some(Mode::Enforce),
        _ => None,
    }
}

/// The properties of an access control profile with which only this user, running this executable,
/// gets tokens. The agent compares a path with the beginning of the request's.
pub(super) fn profile(user: &str, executable: &Path) -> Value {
    let executable = executable.display().to_string();
    json!({
        "mode": "Enforce",
        "defaultAccess": "Deny",
        "rules": {
            "privileges": [{ "name": "tokens", "path": "/metadata/identity" }],
            "roles": [{ "name": "broker", "privileges": ["tokens"] }],
            "identities": [{ "name": "keyward", "userName": user, "exePath": executable }],
            "roleAssignments": [{ "role": "broker", "identities": ["keyward"] }],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn an_agent_counts_if_it_is_installed_and_runs() {
        let root = tempfile::tempdir().unwrap();
        let found = || ProxyAgent::below(root.path());
        assert_eq!(found(), None);
        write(root.path(), EXECUTABLE, "");
        write(root.path(), "proc/1/comm", "systemd\n");
        write(root.path(), "proc/self/comm", "azure-proxy-age\n");
        assert_eq!(found(), None);
        write(root.path(), "proc/812/comm", "azure-proxy-age\n");
        assert_eq!(found(), Some(ProxyAgent { mode: None }));
        assert!(found().unwrap().intercepts(), "what is not known may be");
        let status = r#"{"proxyAgentStatus":{"keyLatchStatus":{"status":"RUNNING","states":
            {"secureChannelState":"WireServer Enforce -  IMDS Audit - HostGA Enforce"}}}}"#;
        write(root.path(), STATUS, status);
        assert_eq!(found(), Some(ProxyAgent { mode: Some(Mode::Audit) }));
    }

    #[test]
    fn the_mode_is_that_of_requests_to_imds() {
        let mode = |state: &str| {
            let states = json!({ "secureChannelState": state });
            mode(&json!({ "proxyAgentStatus": { "keyLatchStatus": { "states": states } } }))
        };
        let enforced = "WireServer Audit -  IMDS Enforce - HostGA Audit";
        assert_eq!(mode(enforced), Some(Mode::Enforce));
        assert_eq!(mode("Wireserver Enforce - IMDS Enforce"), Some(Mode::Enforce));
        assert_eq!(mode("WireServer Enforce -  IMDS Disabled - HostGA Enforce"), {
            Some(Mode::Disabled)
        });
        assert_eq!(mode("disabled"), Some(Mode::Disabled));
        assert_eq!(mode("wireserverandimds"), Some(Mode::Enforce));
        assert_eq!(mode("Unknown"), None);
    }

    /// What the agent does with a profile: the privileges that match a path, and who has them.
    fn is_allowed(profile: &Value, path: &str, user: &str, executable: &str) -> bool {
        let rules = &profile["rules"];
        let list = |list: &Value| list.as_array().unwrap().clone();
        let named = |list: Vec<Value>, name: &Value| {
            list.into_iter().find(|entry| entry["name"] == *name).unwrap()
        };
        let mut matched = list(&rules["privileges"])
            .into_iter()
            .filter(|privilege| path.starts_with(privilege["path"].as_str().unwrap()))
            .peekable();
        if matched.peek().is_none() {
            return profile["defaultAccess"] == "Allow";
        }
        matched.any(|privilege| {
            list(&rules["roleAssignments"]).into_iter().any(|assignment| {
                let role = named(list(&rules["roles"]), &assignment["role"]);
                list(&role["privileges"]).contains(&privilege["name"])
                    && list(&assignment["identities"]).iter().any(|identity| {
                        let identity = named(list(&rules["identities"]), identity);
                        identity["userName"] == user && identity["exePath"] == executable
                    })
            })
        })
    }

    #[test]
    fn a_profile_lets_only_the_brokers_user_and_executable_in() {
        let mut profile = profile("keyward", Path::new("/usr/local/bin/keyward"));
        let token = "/metadata/identity/oauth2/token";
        for default in ["Deny", "Allow"] {
            profile["defaultAccess"] = default.into();
            assert!(is_allowed(&profile, token, "keyward", "/usr/local/bin/keyward"));
            assert!(!is_allowed(&profile, token, "keyward", "/usr/bin/curl"));
            assert!(!is_allowed(&profile, token, "www-data", "/usr/local/bin/keyward"));
            assert!(!is_allowed(&profile, token, "root", "/usr/bin/curl"));
            let instance = is_allowed(&profile, "/metadata/instance", "root", "/usr/bin/curl");
            assert_eq!(instance, default == "Allow");
        }
    }
}
