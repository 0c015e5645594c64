//! Whether the confinement in force permits what another configuration needs. A process cannot lift
//! its confinement, so what it does not permit needs a restart.

use std::path::Path;

use super::rules::{Access, Confinement, Programs, Rules, Switch};

impl Confinement {
    /// What a reload cannot give the daemon while this confinement is in force, each as a noun with
    /// its reason. Empty if `needed` is permitted.
    pub(crate) fn lacks(&self, needed: &Self) -> Vec<String> {
        let mut lacking = Vec::new();
        if let (Switch::On(Programs::Denied), Switch::On(Programs::Permitted)) =
            (&self.seccomp, &needed.seccomp)
        {
            lacking.push("starting a program, which seccomp denies".to_owned());
        }
        match (&self.landlock, &needed.landlock) {
            (Switch::Off(_), _) => {}
            (Switch::On(_), Switch::Off(reason)) => {
                lacking.push(format!("no confinement by landlock: {reason}"));
            }
            (Switch::On(rules), Switch::On(needed)) => lacking.extend(rules.lacks(needed)),
        }
        lacking
    }
}

impl Rules {
    fn lacks(&self, needed: &Self) -> Vec<String> {
        let paths = needed.paths.iter().filter(|(path, access)| {
            // What does not exist and is not configured was left out at the start, too.
            let counts = needed.configured.contains(*path) || path.exists();
            counts && !self.permits(path, **access)
        });
        let mut lacking: Vec<String> = paths
            .map(|(path, _)| format!("the path {}, which landlock denies", path.display()))
            .collect();
        if let Some(tcp) = &self.tcp {
            let (connect, bind) = match &needed.tcp {
                Some(needed) => (&needed.connect - &tcp.connect, &needed.bind - &tcp.bind),
                None => {
                    lacking.push("all TCP ports, which landlock denies".to_owned());
                    return lacking;
                }
            };
            if let Some(first) = connect.union(&bind).next() {
                let more = connect.len() + bind.len() - 1;
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                lacking.push(format!("the TCP port {first}{more}, which landlock denies"));
            }
        }
        lacking
    }

    /// Whether a rule for the path itself or for a directory above it permits the access.
    fn permits(&self, path: &Path, access: Access) -> bool {
        let above = path.ancestors().filter_map(|path| self.paths.get(path));
        above.fold(Access::empty(), |all, access| all | *access).contains(access)
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::TcpPorts;
    use super::*;

    fn confinement(paths: &[(&str, Access)], ports: &[u16]) -> Confinement {
        let mut rules = Rules::default();
        for (path, access) in paths {
            rules.permit_configured(*path, *access);
        }
        let connect = ports.iter().copied().collect();
        rules.tcp = Some(TcpPorts { connect, ..TcpPorts::default() });
        Confinement {
            no_new_privileges: Switch::On(()),
            landlock: Switch::On(rules),
            seccomp: Switch::On(Programs::Denied),
        }
    }

    #[test]
    fn what_a_rule_covers_is_permitted() {
        let own = confinement(&[("/a", Access::READ), ("/a/b", Access::APPEND)], &[443, 80]);
        for (needed, lacking) in [
            (confinement(&[], &[]), None),
            (confinement(&[("/a/c", Access::READ)], &[443]), None),
            (confinement(&[("/a/b", Access::READ | Access::WRITE)], &[80]), None),
            (confinement(&[("/a/c", Access::WRITE)], &[]), Some("the path /a/c")),
            (confinement(&[("/b", Access::READ)], &[]), Some("the path /b")),
            (confinement(&[], &[443, 8443]), Some("the TCP port 8443")),
        ] {
            let lacks = own.lacks(&needed);
            match lacking {
                None => assert!(lacks.is_empty(), "{lacks:?}"),
                Some(words) => assert!(lacks.len() == 1 && lacks[0].contains(words), "{lacks:?}"),
            }
        }
    }

    #[test]
    fn another_program_and_no_landlock_need_a_restart() {
        let own = confinement(&[], &[]);
        let cli = Confinement {
            landlock: Switch::Off("a reason"),
            seccomp: Switch::On(Programs::Permitted),
            ..own.clone()
        };
        assert_eq!(own.lacks(&cli).len(), 2);
        assert!(cli.lacks(&own).is_empty());
    }
}
