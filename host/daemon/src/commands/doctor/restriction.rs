//! How to keep other programs of this machine from the metadata service.

use std::path::{Path, PathBuf};

use super::proxy_agent::{self, ProxyAgent};
use crate::accounts::name_of_user;
use crate::environment;

/// What can keep them from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub(super) enum Restriction {
    /// nftables.
    Firewall,
    /// Azure's Guest Proxy Agent, which requests to the metadata service go through.
    ProxyAgent,
    /// The cluster: this is a pod of Kubernetes.
    Cluster,
}

#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
impl Restriction {
    /// What can do it here.
    pub(super) fn of_this_machine() -> Self {
        // Kubernetes sets it in every container. The agent of the node is not visible there.
        if environment::var("KUBERNETES_SERVICE_HOST").is_some() {
            return Self::Cluster;
        }
        match ProxyAgent::detect() {
            Some(agent) if agent.intercepts() => Self::ProxyAgent,
            Some(_) | None => Self::Firewall,
        }
    }

    /// The end of the sentence "others can reach it unless".
    pub(super) fn stops(self) -> &'static str {
        match self {
            Self::Firewall => "a firewall blocks them",
            Self::ProxyAgent => "an access control profile of the Guest Proxy Agent denies them",
            Self::Cluster => "the cluster restricts its pods",
        }
    }

    /// What to do so that only the broker's user can reach it.
    pub(super) fn fix(self, user: u32) -> String {
        match self {
            Self::Firewall => firewall_rules(user),
            Self::ProxyAgent => {
                let executable = std::env::current_exe().unwrap_or_else(|_| {
                    // A placeholder, which the text says to correct.
                    PathBuf::from("/path/of/keyward")
                });
                access_control(user, name_of_user(user).as_deref(), &executable)
            }
            Self::Cluster => CLUSTER.to_owned(),
        }
    }
}

const CLUSTER: &str = "In AKS, keep pods without `hostNetwork: true` from it: with this option, \
                       which sets `networkProfile.podLinkLocalAccess` to `None`, and new images of \
                       the nodes. The broker's own pod then needs `hostNetwork: true`, or source = \
                       \"workload-identity\"\n  \
                       az aks update --resource-group GROUP --name CLUSTER \
                       --enable-imds-restriction\n  \
                       az aks upgrade --resource-group GROUP --name CLUSTER --node-image-only";

/// Firewall rules that permit only the broker's user. Packets of containers with networks of their
/// own pass the hook `forward`.
fn firewall_rules(user: u32) -> String {
    format!(
        "Block it for containers and for all users but the broker's ({user}; correct that if it is \
         another). Then run this check as another user\n  \
         nft add table inet keyward\n  \
         nft add chain inet keyward output '{{ type filter hook output priority 0; policy accept; \
         }}'\n  \
         nft add rule inet keyward output ip daddr 169.254.169.254 meta skuid != {user} reject\n  \
         nft add chain inet keyward forward '{{ type filter hook forward priority 0; policy \
         accept; }}'\n  \
         nft add rule inet keyward forward ip daddr 169.254.169.254 reject"
    )
}

/// A profile for the Guest Proxy Agent, which identifies users by their names.
fn access_control(user: u32, name: Option<&str>, executable: &Path) -> String {
    let Some(name) = name else {
        return format!(
            "Run the broker as a user with a name, by which the Guest Proxy Agent identifies it: \
             user {user} has none. Then run this check again"
        );
    };
    let profile = format!("{:#}", proxy_agent::profile(name, executable));
    let profile: Vec<String> = profile.lines().map(|line| format!("  {line}")).collect();
    format!(
        "Firewall rules would stop the Guest Proxy Agent itself. Create an \
         inVMAccessControlProfile for IMDS with a version that has the properties below, and set \
         `securityProfile.proxyAgentSettings.imds.inVMAccessControlProfileReferenceId` of the \
         virtual machine to its id. Correct user and path if the broker has others. Programs that \
         read other metadata, such as cloud-init, need rules of their own, or \
         `\"defaultAccess\": \"Allow\"`: tokens stay the broker's. Then run this check as another \
         user\n{}",
        profile.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_profile_can_be_copied_from_the_fix() {
        let fix = access_control(990, Some("keyward"), Path::new("/opt/keyward"));
        let profile: String = fix.lines().filter(|line| line.starts_with("  ")).collect();
        let profile: Value = serde_json::from_str(&profile).unwrap();
        assert_eq!(profile, proxy_agent::profile("keyward", Path::new("/opt/keyward")));
        assert!(!fix.contains("nft"), "the agent is root, which the rules block");
        let unnamed = access_control(990, None, Path::new("/opt/keyward"));
        assert!(unnamed.contains("user 990 has none"), "{unnamed}");
    }

    #[test]
    #[cfg(unix)]
    fn users_are_named_as_on_this_machine() {
        assert_eq!(name_of_user(0).as_deref(), Some("root"));
        assert_eq!(name_of_user(4_294_967_294), None);
    }
}
