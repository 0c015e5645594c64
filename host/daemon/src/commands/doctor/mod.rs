//! `keyward doctor`: diagnoses this machine, with a fix for each problem.
//!
//! One module for each kind of check. Checks that wait run concurrently, with short timeouts: see
//! the constants below.

mod callers;
mod clock;
mod confinement;
mod endpoints;
mod finding;
mod listeners;
mod memory;
mod metadata;
mod print;
mod proxies;
mod proxy_agent;
mod restriction;
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
use crate::config::{Audit, DaemonConfig, Listen, LockConfig, bundled, machine};
use crate::confine::{self, Confinement};
use crate::environment;
use crate::exit::{Exit, Failure};
use crate::output::{self, plural};
use finding::{Check, Finding, Status};

/// The timeout for a token. One that is not in the endpoint's own cache takes a second or two.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(4);

/// The timeout for each of these: resolving an endpoint's name, connecting with TLS, and reading
/// its clock.
const ENDPOINT_TIMEOUT: Duration = Duration::from_secs(2);

/// What is diagnosed.
struct Machine {
    plan: Plan,
    /// The listeners, if there is a configuration.
    listen: Option<Listen>,
    /// The source that `auto` selects.
    auto: Option<SourceKind>,
}

pub(crate) fn doctor(doctor: &Doctor) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::system)?;
    let findings = runtime.block_on(diagnose(doctor.config.as_deref(), doctor.metadata));
    // The system's resolver cannot be cancelled, and its results are not needed any more.
    runtime.shutdown_background();
    let findings = findings?;
    match doctor.format {
        Format::Table => output::print(&print::text(&findings))?,
        Format::Json => output::print_line(&format!("{:#}", print::json(&findings)))?,
    }
    let mut problems =
        findings.iter().filter(|finding| finding.status == Status::Problem).peekable();
    if problems.peek().is_none() {
        return Ok(Exit::Success);
    }
    // The same exit code as `check` and `serve`, which fail with these problems.
    let prevents_start =
        |finding: &Finding| matches!(finding.check, Check::Configuration | Check::TokensOnDisk);
    Ok(if problems.any(prevents_start) { Exit::Config } else { Exit::Negative })
}

async fn diagnose(file: Option<&Path>, metadata: SocketAddr) -> Result<Vec<Finding>, Failure> {
    let imds = metadata::probe(metadata).await;
    let detected = detect(&environment::var, &|path| path.exists());
    let auto = detected.as_ref().ok().map(|detected| detected.kind);
    let (configuration, loaded) = check_configuration(file);
    let mut findings = vec![configuration];
    if let (Some(file), Some(loaded)) = (file, &loaded) {
        findings.extend(check_files(file, loaded));
    }
    let configured = loaded.is_some();
    let confinement = confinement::check(loaded.as_ref().map(|loaded| &loaded.confinement));
    let (plan, listen) = match loaded {
        Some(Loaded { plan, listen, .. }) => (plan, Some(listen)),
        None => (plan_without_configuration(&sources::available(auto))?, None),
    };
    let machine = Machine { plan, listen, auto };

    findings.extend(sources::check(&detected, &imds));
    let (tokens, endpoints) = tokio::join!(
        tokens::check(&machine, configured),
        endpoints::check(&machine.plan, configured)
    );
    findings.extend(tokens.findings);
    findings.push(clock::check(tokens.clocks, endpoints.reachable).await);
    findings.push(memory::check());
    findings.push(proxies::check(&environment::var));
    findings.extend(endpoints.findings);
    let socket = socket::check(machine.listen.as_ref());
    findings.push(socket.finding);
    let callers = &machine.plan.callers;
    findings.extend(listeners::check(machine.listen.as_ref(), callers));
    findings.extend(callers::check(machine.listen.as_ref(), callers, &socket.user));
    findings.extend(confinement);
    findings.push(metadata::check(&imds, &socket.user));
    findings.extend(metadata::other_endpoints(&machine.plan));
    Ok(findings)
}

/// A valid configuration.
struct Loaded {
    plan: Plan,
    listen: Listen,
    audit: Audit,
    lock: LockConfig,
    confinement: Confinement,
}

fn load(file: &Path) -> Result<Loaded, Failure> {
    let config = DaemonConfig::load(file)?;
    let (confine, lock) = (config.confine.clone(), config.lock.clone());
    let admin = config.admin.clone();
    let (plan, listen, audit) = config.plan()?;
    let listeners = (&listen, admin.as_deref());
    let confinement = confine::confinement(&confine, &plan, listeners, &audit, &lock);
    Ok(Loaded { plan, listen, audit, lock, confinement })
}

/// Checks the configuration, and returns it if it is valid.
fn check_configuration(file: Option<&Path>) -> (Finding, Option<Loaded>) {
    let subject = file.map_or_else(|| "none".to_owned(), |file| file.display().to_string());
    let finding = Finding::about(Check::Configuration, subject);
    let Some(file) = file else {
        let found = "none is specified: the identity sources of this machine are checked";
        let fix = "keyward doctor --config FILE, to check its identities and mounts";
        return (finding.skipped(found).fix(fix), None);
    };
    match load(file) {
        Ok(loaded) => {
            let mounts = plural(loaded.plan.mounts.len(), "mount", "mounts");
            let identities = plural(loaded.plan.identities().len(), "identity", "identities");
            let found = format!("{mounts}, {identities}");
            (finding.ok(found), Some(loaded))
        }
        Err(failure) => {
            let fix =
                "Correct it; `keyward check` prints the same. The other checks ignore the file";
            (finding.problem(failure.message()).fix(fix), None)
        }
    }
}

/// Checks what is valid in the configuration, but fails on this machine or is probably a mistake.
/// Identities have findings of their own.
fn check_files(file: &Path, loaded: &Loaded) -> Vec<Finding> {
    let Loaded { plan, listen, audit, lock, .. } = loaded;
    let finding = || Finding::about(Check::Configuration, file.display().to_string());
    let problems = machine::file_problems(plan, listen, audit, lock).into_iter();
    let problems = problems.map(|problem| with_fix(finding().problem(located(&problem)), &problem));
    let warnings = plan.warnings().into_iter();
    let warnings = warnings.map(|warning| with_fix(finding().warning(located(&warning)), &warning));
    problems.chain(warnings).collect()
}

fn located(diagnostic: &Diagnostic) -> String {
    let location = diagnostic.location.as_ref().map(|location| format!("{location}: "));
    format!("{}{}", location.unwrap_or_default(), diagnostic.message)
}

fn with_fix(finding: Finding, diagnostic: &Diagnostic) -> Finding {
    let write = diagnostic.write.as_ref().map(|line| format!("Write {line}"));
    let expected = diagnostic.expected.as_ref().map(|expected| format!("Expected: {expected}"));
    finding.help(diagnostic.help.clone().or(write).or(expected))
}

/// A plan with an identity for each of these sources, named after the source.
fn plan_without_configuration(kinds: &[SourceKind]) -> Result<Plan, Failure> {
    let section = |kind: &SourceKind| format!("[identity.{kind}]\nsource = \"{kind}\"\n");
    let text: String = kinds.iter().map(section).collect();
    let config = keyward_policy::config::Config::from_toml(Path::new("this machine"), &text)?;
    Ok(keyward::plan(config, &bundled())?)
}

/// Runs futures concurrently, and returns their outputs in order.
async fn join_all<T: Send + 'static>(
    futures: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = futures.into_iter().map(tokio::spawn).collect();
    let mut outputs = Vec::new();
    for task in tasks {
        // A task is never cancelled, and does not panic.
        outputs.extend(task.await.ok());
    }
    outputs
}
