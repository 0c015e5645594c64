//! What sources use of their machine, for a program that confines itself.

use std::collections::BTreeSet;
use std::path::PathBuf;

/// What a source uses beside memory and the resolver for host names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The TCP ports that it connects to, before `[egress.resolve]` replaces them.
    pub ports: BTreeSet<u16>,
    /// Files that it reads for a token, and directories in which it reads files. Others may replace
    /// the files.
    pub reads: BTreeSet<PathBuf>,
    /// Whether it runs another program, which needs more than this says.
    pub runs_programs: bool,
}

impl Needs {
    /// A connection to a port.
    pub(super) fn port(port: Option<u16>) -> Self {
        Self { ports: port.into_iter().collect(), ..Self::default() }
    }

    /// Adds a file or a directory.
    pub(super) fn read(mut self, path: impl Into<PathBuf>) -> Self {
        self.reads.insert(path.into());
        self
    }

    /// Adds what another source needs.
    pub fn add(&mut self, other: Self) {
        self.ports.extend(other.ports);
        self.reads.extend(other.reads);
        self.runs_programs |= other.runs_programs;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::source::{Settings, SourceKind, create};

    fn needs(kind: SourceKind, variables: &[(&str, &str)]) -> Needs {
        let env = |name: &str| {
            let variable = variables.iter().find(|(key, _)| *key == name);
            variable.map(|(_, value)| (*value).to_owned())
        };
        create(kind, &env, None, None, Settings::default()).unwrap().needs()
    }

    fn ports(needs: &Needs) -> Vec<u16> {
        needs.ports.iter().copied().collect()
    }

    #[test]
    fn a_source_connects_to_the_port_of_its_endpoint() {
        let header = ("IDENTITY_HEADER", "secret");
        let thumbprint = ("IDENTITY_SERVER_THUMBPRINT", "0123456789012345678901234567890123456789");
        let endpoint = |url| ("IDENTITY_ENDPOINT", url);
        for (kind, variables, port) in [
            (SourceKind::Imds, vec![], 80),
            (SourceKind::Arc, vec![], 40342),
            (SourceKind::Arc, vec![endpoint("http://127.0.0.1:5000/token")], 5000),
            (SourceKind::AppService, vec![endpoint("http://127.0.0.1:41234/msi"), header], 41234),
            (SourceKind::AppService, vec![endpoint("http://[::1]/msi"), header], 80),
            (
                SourceKind::ServiceFabric,
                vec![endpoint("https://localhost:2377/token"), header, thumbprint],
                2377,
            ),
            (SourceKind::CloudShell, vec![("MSI_ENDPOINT", "http://localhost:50342")], 50342),
        ] {
            let needs = needs(kind, &variables);
            assert_eq!(ports(&needs), [port], "{kind}");
            assert!(!needs.runs_programs);
        }
    }

    #[test]
    fn workload_identity_reads_its_token_and_arc_the_agents_files() {
        let workload = needs(
            SourceKind::WorkloadIdentity,
            &[
                ("AZURE_TENANT_ID", "contoso.example"),
                ("AZURE_CLIENT_ID", "00001111-aaaa-2222-bbbb-3333cccc4444"),
                ("AZURE_FEDERATED_TOKEN_FILE", "/var/run/secrets/azure/tokens/token"),
            ],
        );
        assert_eq!(ports(&workload), [443]);
        assert!(workload.reads.contains(Path::new("/var/run/secrets/azure/tokens/token")));
        let arc = needs(SourceKind::Arc, &[]);
        if cfg!(unix) {
            assert!(arc.reads.contains(Path::new("/var/opt/azcmagent/tokens")));
        }
    }

    #[test]
    fn only_the_azure_cli_is_another_program() {
        assert!(needs(SourceKind::AzureCli, &[]).runs_programs);
    }
}
