//! `keyward explain --caller`: what a caller's request would lead to, and by which lines of the
//! configuration. Nothing is sent.
//!
//! The plugin is not run. Most plugins send a request with the method and the path of the caller's,
//! so that is what is checked.

use std::path::Path;
use std::sync::Arc;

use http::{Method, Request, Uri};
use keyward::callers::{CallerDenied, CallerRules, CallerSection};
use keyward::{CallError, Caller, Plan};
use keyward_policy::authorize::{
    Credential, Denied, SealedCredential, Surrogates, authorize, authorize_database,
};
use keyward_policy::caller::Proof;
use keyward_policy::config::caller::{OTHERS, mount_caller_header};
use keyward_policy::endpoint::Protocol;
use keyward_policy::grant::Grant;
use keyward_policy::manifest::SpendPlace;
use keyward_policy::path::NormalPath;
use keyward_policy::pattern::Pattern;
use keyward_policy::plan::PlannedMount;
use keyward_policy::request_head::RequestHead;
use keyward_policy::text::{one_of, toml_key};

use crate::config::DaemonConfig;
use crate::exit::{Exit, Failure};
use crate::output::{print, width, wrap};

pub(super) fn explain(name: &str, words: &[String], config: &Path) -> Result<Exit, Failure> {
    let request = Requested::parse(words)?;
    let (plan, ..) = DaemonConfig::load(config)?.plan()?;
    let steps = steps(&plan, name, &request)?;
    let mut text = format!("{} by the caller `{name}`:\n", words.join(" "));
    for step in &steps.lines {
        text.push_str(&format!("{}\n", wrap(step, "  ", "    ", width())));
    }
    print(&text)?;
    Ok(if steps.is_denied { Exit::Negative } else { Exit::Success })
}

/// A request, as its caller sends it.
struct Requested {
    method: Method,
    mount: String,
    /// The path after the mount's name, with the query.
    target: Uri,
}

impl Requested {
    fn parse(words: &[String]) -> Result<Self, Failure> {
        let usage = || {
            Failure::usage(
                "--caller needs a method and a path with the mount's name, such as \
                 `GET /vault/secrets/db`",
            )
        };
        let [method, path] = words else { return Err(usage()) };
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| usage())?;
        let rest = path.strip_prefix('/').ok_or_else(usage)?;
        let (mount, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
        Ok(Self { method, mount: mount.to_owned(), target: rest.parse().map_err(|_| usage())? })
    }

    fn head(&self) -> RequestHead<'_> {
        RequestHead { query: self.target.query(), ..RequestHead::of_method(&self.method) }
    }
}

/// What would happen, step by step.
struct Steps {
    lines: Vec<String>,
    is_denied: bool,
}

impl Steps {
    fn denied(mut self, error: &CallError) -> Self {
        self.lines.push(format!("denied: {}", error.detail()));
        self.is_denied = true;
        self
    }
}

fn steps(plan: &Plan, name: &str, request: &Requested) -> Result<Steps, Failure> {
    let mut steps = Steps { lines: Vec::new(), is_denied: false };
    let Some(mount) = plan.mounts.iter().find(|mount| mount.name == request.mount) else {
        let known = one_of(plan.mounts.iter().map(|mount| mount.name.as_str()));
        return Err(Failure::usage(format!(
            "there is no mount `{}`; expected {known}",
            request.mount
        )));
    };
    let section = plan.callers.sections().iter().find(|section| *section.name == *name);
    match section {
        Some(section) => steps.lines.push(format!("{} matches {section}", section.header())),
        None if name == OTHERS => {}
        None => {
            let known = plan.callers.sections().iter().map(|section| &*section.name);
            let known = one_of(known.chain([OTHERS]));
            return Err(Failure::usage(format!(
                "there is no section [caller.{}]; expected {known}",
                toml_key(name)
            )));
        }
    }
    let header = format!("[mount.{}]", toml_key(&mount.name));
    let Some(callers) = &mount.callers else {
        steps.lines.push(format!("{header} serves every caller"));
        let anybody = Proof::default().into();
        return Ok(upstream(steps, mount, (&anybody, None), request));
    };
    let anybody = || Proof::default().into();
    let caller: Caller = section.map_or_else(anybody, CallerSection::example);
    let denied = |rule| {
        let (mount, caller) = (mount.name.clone(), caller.clone());
        CallError::CallerDenied(Box::new(CallerDenied { mount, caller, rule }))
    };
    let named = section.map(|section| Arc::clone(&section.name));
    let rules = match callers.rules(named.as_ref()) {
        Ok(rules) => rules,
        Err(rule) => return Ok(steps.denied(&denied(rule))),
    };
    steps.lines.push(format!("{header} serves it, as `{}`", rules.name));
    let covering = match rules.check(&request.head(), request.target.path(), &mount.grants) {
        Ok(covering) => covering,
        Err(rule) => return Ok(steps.denied(&denied(rule))),
    };
    let own = mount_caller_header(&mount.name, &rules.name);
    steps.lines.push(match covering {
        Some(pattern) => format!("\"{pattern}\" in `requests` of {own} covers the request"),
        None => format!("{own} has no `requests`: every request is served"),
    });
    if let Err(rule) = rules.check_fields(&request.head(), &mount.grants, None) {
        return Ok(steps.denied(&denied(rule)));
    }
    Ok(upstream(steps, mount, (&caller, Some(rules)), request))
}

/// What may be sent to the mount's first audience.
fn upstream(
    mut steps: Steps,
    mount: &PlannedMount,
    (caller, rules): (&Caller, Option<&CallerRules>),
    request: &Requested,
) -> Steps {
    let grants = match rules {
        Some(rules) => rules.grants(&mount.grants),
        None => mount.grants.clone(),
    };
    let Some(first) = grants.iter().find(|grant| grant.is_first) else { return steps };
    let narrowed_for = rules.filter(|rules| rules.allow.is_some()).map(|rules| &rules.name);
    let of_plugin = |denied| CallError::denied(&mount.name, caller, narrowed_for.cloned(), denied);
    if first.endpoint.protocol != Protocol::Https {
        return match mount.variables.get("setting.database") {
            // A plugin of its own may take the database from elsewhere.
            None => {
                let (endpoint, lines) = (&first.endpoint, lines(first));
                steps
                    .lines
                    .push(format!("the plugin then opens a database at {endpoint}, by {lines}"));
                steps
            }
            Some(database) => match authorize_database(database, first) {
                Ok(path) => {
                    let (endpoint, head) =
                        (&first.endpoint, RequestHead::of_method(&Method::CONNECT));
                    let covering = covering(first, &head, &path);
                    steps.lines.push(format!(
                        "the plugin then opens the database `{database}` at {endpoint}, which is \
                         allowed by {covering}"
                    ));
                    steps
                }
                Err(denied) => steps.denied(&of_plugin(denied)),
            },
        };
    }
    let target = request.target.path_and_query().map_or("/", |target| target.as_str());
    let uri = format!("{}{target}", first.endpoint);
    let Ok(sent) = Request::builder().method(&request.method).uri(&uri).body(()) else {
        steps.lines.push(format!("{uri} is not a valid URL"));
        return steps;
    };
    match authorize(&sent, &grants, &NoSurrogates) {
        Ok(authorized) => {
            let grant = &authorized.grant;
            let (method, audience) = (&request.method, &grant.audience);
            let credential =
                if authorized.minted.is_some() { ", whose response is a credential," } else { "" };
            steps.lines.push(format!(
                "if the plugin sends {method} {}{credential} with the token for {audience}, that is \
                 allowed by {}",
                authorized.uri,
                covering_request(grant, request)
            ));
            steps
        }
        Err(denied) => {
            let error = match denied {
                Denied::Violation(violation) => CallError::Caller {
                    mount: mount.name.clone(),
                    narrowed_for: narrowed_for.cloned(),
                    violation,
                },
                denied => of_plugin(denied),
            };
            steps.denied(&error)
        }
    }
}

/// The lines of `allow` that cover a request.
fn covering_request(grant: &Grant, request: &Requested) -> String {
    match grant.read(&format!("{}{}", grant.endpoint.prefix, request.target.path())) {
        Ok(Some(path)) => covering(grant, &request.head(), &path),
        Ok(None) | Err(_) => lines(grant),
    }
}

/// The same, for a path without the endpoint's prefix.
fn covering(grant: &Grant, head: &RequestHead<'_>, path: &NormalPath) -> String {
    let covers = |pattern: &&Pattern| grant.is_covered_by(pattern, head, path);
    let found = |patterns: &Option<Vec<Pattern>>| {
        patterns.iter().flatten().find(covers).map(|pattern| format!("\"{pattern}\""))
    };
    let for_caller = grant.for_caller.as_ref().and_then(|caller| {
        let line = caller.allowed.iter().find(covers)?;
        Some(format!("\"{line}\" in `allow` of the caller's section"))
    });
    let of_mount = found(&grant.allowed).map(|line| format!("{line} in `allow` of the mount"));
    let declared = found(&grant.declared).map(|line| format!("{line} in the plugin's manifest"));
    let all: Vec<String> = [for_caller, of_mount, declared].into_iter().flatten().collect();
    if all.is_empty() { "the mount, which has no `allow`".to_owned() } else { all.join(", and ") }
}

fn lines(grant: &Grant) -> String {
    let patterns = grant.for_caller.as_ref().map(|caller| &caller.allowed);
    match patterns.or(grant.allowed.as_ref()) {
        None => "the mount, which has no `allow`".to_owned(),
        Some(patterns) => {
            let patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
            one_of(patterns.iter().map(String::as_str))
        }
    }
}

/// A request that is only explained spends no credential.
struct NoSurrogates;

#[derive(Clone)]
enum NoCredential {}

impl SealedCredential for NoCredential {
    fn place(&self) -> SpendPlace {
        match *self {}
    }

    fn expose_secret(&self) -> &[u8] {
        match *self {}
    }
}

impl Surrogates for NoSurrogates {
    type Sealed = NoCredential;

    fn resolve(&self, _text: &[u8]) -> Option<Credential<NoCredential>> {
        None
    }
}
