//! Checks who may call: what the sections `[caller.NAME]` ask for, and callers that have the
//! broker's own user.

use keyward::callers::{CallerSection, Callers};

use super::finding::{Check, Finding};
use super::socket::BrokerUser;
use crate::config::Listen;
use crate::peer::{self, UnitProof};

const SECTIONS: &str = "Write a section [caller.NAME] for each program, and name it in `callers` of \
                        the mounts that it needs";

const OWN_USER: &str = "Run `keyward serve` as a user of its own, write `mode = \"0660\"` in \
                        [listen], and add the callers to that user's group\n  \
                        useradd --system --user-group keyward\n  \
                        usermod --append --groups keyward CALLER";

const GROUP: &str = "Write `mode = \"0660\"` in [listen], and add the callers to the group of the \
                     broker's user";

/// What the programs of the broker's user can do, whatever the mounts permit.
const OF_THE_SAME_USER: &str = "can read the tokens and compiled plugins that the broker keeps on \
                                disk, and passes firewall rules for the broker's user";

/// The processes that can connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Admitted {
    /// Those of every user, over TCP or TLS.
    EveryUser,
    /// Those of the socket's group.
    Group,
    /// Those of the broker's user, and root's.
    OwnUser,
}

impl Admitted {
    fn by(listen: &Listen) -> Self {
        if listen.tcp.is_some() || listen.tls.is_some() {
            return Self::EveryUser;
        }
        // Connecting needs the permission to write.
        if listen.mode & 0o020 == 0 { Self::OwnUser } else { Self::Group }
    }
}

pub(super) fn check(
    listen: Option<&Listen>,
    callers: &Callers,
    broker: &BrokerUser,
) -> Vec<Finding> {
    let Some(listen) = listen else {
        let finding = Finding::about(Check::Caller, "none");
        return vec![finding.skipped("there are no callers without a configuration")];
    };
    let admitted = Admitted::by(listen);
    if callers.is_empty() {
        return vec![without_sections(admitted)];
    }
    let sections = callers.sections().iter();
    let mut findings: Vec<Finding> =
        sections.map(|section| of_section(section, admitted, broker)).collect();
    if callers.sections().iter().any(|section| section.unit.is_some()) {
        findings.push(units());
    }
    findings
}

/// Without sections, who can connect may do what every mount may.
fn without_sections(admitted: Admitted) -> Finding {
    let finding = Finding::about(Check::Caller, "[caller.NAME]");
    match admitted {
        Admitted::EveryUser => {
            let found = "there is no such section: every process that can connect may do what \
                         every mount may";
            finding.warning(found).fix(SECTIONS)
        }
        Admitted::Group => {
            let found = "there is no such section: the socket's permissions are the only policy, \
                         and its whole group may do what every mount may";
            finding.warning(found).fix(SECTIONS)
        }
        Admitted::OwnUser => {
            let found = format!(
                "there is no such section: the socket's permissions are the only policy. They let \
                 in only programs of the broker's own user, and each of them {OF_THE_SAME_USER}"
            );
            finding.warning(found).fix(OWN_USER)
        }
    }
}

fn of_section(section: &CallerSection, admitted: Admitted, broker: &BrokerUser) -> Finding {
    let finding = Finding::about(Check::Caller, section.header());
    let BrokerUser { id, known } = *broker;
    match (section.uid, admitted) {
        (Some(uid), _) if uid == id && known => {
            let found =
                format!("{section}: that is the broker's own user. The caller {OF_THE_SAME_USER}");
            finding.problem(found).fix(OWN_USER)
        }
        (Some(uid), _) if uid == id => {
            let found = format!(
                "{section}: if the broker runs as user {id}, as this command does, the caller \
                 {OF_THE_SAME_USER}"
            );
            finding.warning(found).fix(OWN_USER)
        }
        (Some(uid), Admitted::OwnUser) if uid != 0 && known => {
            let found = format!(
                "{section}: cannot connect, since the socket's mode lets in only the broker's user \
                 ({id})"
            );
            finding.problem(found).fix(GROUP)
        }
        (Some(uid), Admitted::OwnUser) if uid != 0 => {
            let found = format!(
                "{section}: cannot connect unless it is the broker's own user, since the socket's \
                 mode lets in no other"
            );
            finding.warning(found).fix(GROUP)
        }
        (None, Admitted::OwnUser) => {
            let found = format!(
                "{section}: the socket's mode lets in only programs of the broker's own user, and \
                 each of them {OF_THE_SAME_USER}"
            );
            finding.warning(found).fix(OWN_USER)
        }
        (Some(_) | None, _) => finding.ok(section.to_string()),
    }
}

/// Whether this machine can prove the units of callers. The broker does not start if it cannot.
fn units() -> Finding {
    let finding = Finding::about(Check::Caller, "units");
    match peer::check_units() {
        Ok(UnitProof::Handle) => finding.ok("this machine can prove the units of callers"),
        Ok(UnitProof::StartTime) => finding
            .warning(
                "units of callers are proved less well before Linux 6.5: a process that ends right \
                 after it connected can be mistaken for a later one of the same user",
            )
            .fix("give each caller a user of its own, or use a newer kernel"),
        Err(error) => {
            let help = error.help().unwrap_or("remove `unit` from the sections [caller.NAME]");
            finding.problem(format!("cannot prove the units of callers: {error}")).fix(help)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    const BROKER: BrokerUser = BrokerUser { id: 990, known: true };
    const GUESS: BrokerUser = BrokerUser { id: 990, known: false };

    fn of_user(uid: Option<u32>, admitted: Admitted, broker: &BrokerUser) -> Finding {
        let section = CallerSection { uid, ..CallerSection::named("web") };
        of_section(&section, admitted, broker)
    }

    #[test]
    fn a_caller_with_the_brokers_user_is_a_problem() {
        for admitted in [Admitted::EveryUser, Admitted::Group, Admitted::OwnUser] {
            let finding = of_user(Some(990), admitted, &BROKER);
            assert_eq!((finding.status, &*finding.subject), (Status::Problem, "[caller.web]"));
            assert!(finding.found.contains("the broker's own user"), "{}", finding.found);
            assert!(finding.fix.unwrap().contains("useradd --system"));
            let guess = of_user(Some(990), admitted, &GUESS);
            assert_eq!(guess.status, Status::Warning);
            assert!(guess.found.contains("if the broker runs as user 990"), "{}", guess.found);
        }
        assert_eq!(of_user(Some(33), Admitted::Group, &BROKER).status, Status::Ok);
        assert_eq!(of_user(None, Admitted::Group, &BROKER).status, Status::Ok);
        assert_eq!(of_user(None, Admitted::EveryUser, &GUESS).status, Status::Ok);
    }

    #[test]
    fn a_caller_that_the_sockets_mode_keeps_out_is_a_problem() {
        let status = |uid, broker: &BrokerUser| of_user(uid, Admitted::OwnUser, broker).status;
        assert_eq!(status(Some(33), &BROKER), Status::Problem);
        assert_eq!(status(Some(33), &GUESS), Status::Warning);
        assert_eq!(status(Some(0), &BROKER), Status::Ok, "root connects whatever the mode is");
        assert_eq!(status(None, &BROKER), Status::Warning);
    }

    #[test]
    fn without_sections_the_sockets_permissions_are_the_only_policy() {
        for admitted in [Admitted::Group, Admitted::OwnUser] {
            let finding = without_sections(admitted);
            assert_eq!(finding.status, Status::Warning);
            assert!(finding.found.contains("permissions are the only policy"), "{}", finding.found);
        }
        let found = without_sections(Admitted::EveryUser).found;
        assert!(found.contains("every process that can connect"), "{found}");
    }
}
