//! `keyward doctor`: what stands in the way on this machine, and the fix.
//!
//! One file a check. All that waits is waited for at once, and each wait is short: see the constants below.

mod clock;
mod endpoints;
mod finding;
mod listeners;
mod metadata;
mod print;
mod proxies;
mod socket;
mod sources;
mod tokens;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use keyward::Plan;
use keyward::identity::source::{SourceKind, detect};
use keyward_policy::diagnostic::Diagnostic;

use crate::cli::{Doctor, Format};
use crate::config::{Audit, DaemonConfig, Listen, bundled, machine};
use crate::exit::{Exit, Failure};
use crate::output::{self, plural};
use finding::{Check, Finding, Status};

/// How long an identity may take for a token. One that is not in the endpoint's own cache takes it a second or two.
const TOKEN: Duration = Duration::from_secs(4);

/// How long an endpoint may take for each of: its name, its connection with TLS, an answer that says what time it is there.
const ENDPOINT: Duration = Duration::from_secs(2);

/// What is looked at.
struct Patient {
    plan: Plan,
    /// Where callers reach the daemon, by a configuration.
    listen: Option<Listen>,
    /// The source that `auto` takes, where there is one.
    auto: Option<SourceKind>,
}

pub(crate) fn doctor(doctor: &Doctor) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::system)?;
    let findings = runtime.block_on(examine(doctor.config.as_deref(), doctor.metadata));
    // The system's resolver cannot be told to stop, and has nothing more to say.
    runtime.shutdown_background();
    let findings = findings?;
    match doctor.format {
        Format::Table => output::print(&print::text(&findings))?,
        Format::Json => output::print_line(&format!("{:#}", print::json(&findings)))?,
    }
    let mut problems = findings.iter().filter(|finding| finding.status == Status::Problem).peekable();
    if problems.peek().is_none() {
        return Ok(Exit::Success);
    }
    // As `check` and `serve` end with it.
    let serve_refuses = |finding: &Finding| matches!(finding.check, Check::Configuration | Check::TokensOnDisk);
    Ok(if problems.any(serve_refuses) { Exit::Config } else { Exit::Negative })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

async fn examine(file: Option<&Path>, metadata: SocketAddr) -> Result<Vec<Finding>, Failure> {
    let reached = metadata::reach(metadata).await;
    let detected = detect(&variable, &|path| path.exists());
    let auto = detected.as_ref().ok().map(|detected| detected.kind);
    let (configuration, read) = configuration(file);
    let mut findings = vec![configuration];
    if let (Some(file), Some((plan, listen, audit))) = (file, &read) {
        findings.extend(on_this_machine(file, plan, listen, audit));
    }
    let configured = read.is_some();
    let (plan, listen) = match read {
        Some((plan, listen, _)) => (plan, Some(listen)),
        None => (without_configuration(&sources::here(auto))?, None),
    };
    let patient = Patient { plan, listen, auto };

    findings.extend(sources::check(&detected, &reached));
    let (tokens, endpoints) =
        tokio::join!(tokens::check(&patient, configured), endpoints::check(&patient.plan, configured));
    findings.extend(tokens.findings);
    findings.push(clock::check(tokens.clocks, endpoints.reached).await);
    findings.push(proxies::check(&variable));
    findings.extend(endpoints.findings);
    let socket = socket::check(patient.listen.as_ref());
    findings.push(socket.finding);
    findings.extend(listeners::check(patient.listen.as_ref()));
    findings.push(metadata::check(&reached, &socket.user));
    findings.extend(metadata::elsewhere(&patient.plan));
    Ok(findings)
}

/// The configuration, where there is one that is right.
fn configuration(file: Option<&Path>) -> (Finding, Option<(Plan, Listen, Audit)>) {
    let subject = file.map_or_else(|| "none".to_owned(), |file| file.display().to_string());
    let finding = Finding::about(Check::Configuration, subject);
    let Some(file) = file else {
        let found = "none was named: this machine's own sources are looked at";
        return (
            finding.skipped(found).fix("keyward doctor --config FILE, to look at its identities and mounts"),
            None,
        );
    };
    match DaemonConfig::load(file).and_then(DaemonConfig::plan) {
        Ok((plan, listen, audit)) => {
            let mounts = plural(plan.mounts.len(), "mount", "mounts");
            let found = format!("{mounts}, {}", plural(plan.identities().len(), "identity", "identities"));
            (finding.ok(found), Some((plan, listen, audit)))
        }
        Err(failure) => {
            let fix = "Fix what it names; `keyward check` prints the same. The other checks ignore the file";
            (finding.problem(failure.message()).fix(fix), None)
        }
    }
}

/// What is valid in the configuration, but fails on this machine or is probably a mistake. Identities
/// have findings of their own.
fn on_this_machine(file: &Path, plan: &Plan, listen: &Listen, audit: &Audit) -> Vec<Finding> {
    let finding = || Finding::about(Check::Configuration, file.display().to_string());
    let problems = machine::file_problems(plan, listen, audit).into_iter();
    let problems = problems.map(|problem| with_fix(finding().problem(located(&problem)), &problem));
    let warnings = plan.warnings().into_iter();
    let warnings = warnings.map(|warning| with_fix(finding().warning(located(&warning)), &warning));
    problems.chain(warnings).collect()
}

fn located(diagnostic: &Diagnostic) -> String {
    let place = diagnostic.place.as_ref().map(|place| format!("{place}: "));
    format!("{}{}", place.unwrap_or_default(), diagnostic.message)
}

fn with_fix(finding: Finding, diagnostic: &Diagnostic) -> Finding {
    let write = diagnostic.write.as_ref().map(|line| format!("Write {line}"));
    let expected = diagnostic.expected.as_ref().map(|expected| format!("Expected: {expected}"));
    finding.help(diagnostic.help.clone().or(write).or(expected))
}

/// Identities for the sources that are here, each named after its source.
fn without_configuration(kinds: &[SourceKind]) -> Result<Plan, Failure> {
    let text: String = kinds.iter().map(|kind| format!("[identity.{kind}]\nsource = \"{kind}\"\n")).collect();
    let config = keyward_policy::config::Config::from_toml(Path::new("this machine"), &text)?;
    Ok(keyward::plan(config, &bundled())?)
}

/// Runs all of these at once, and gives what came of them in their order.
async fn all<T: Send + 'static>(each: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>) -> Vec<T> {
    let running: Vec<_> = each.into_iter().map(tokio::spawn).collect();
    let mut done = Vec::new();
    for task in running {
        // None is cancelled, and none panics.
        done.extend(task.await.ok());
    }
    done
}
