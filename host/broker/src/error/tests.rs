use http::Method;
use keyward_policy::authorize::{DeniedRequest, MintingRule};
use keyward_policy::callers::CallerRule;
use keyward_policy::endpoint::Endpoint;
use keyward_policy::path::NormalPath;

use super::*;
use crate::audit::Outcome;
use keyward_policy::grant::NotCovered;

fn request<R>(reason: R) -> DeniedRequest<R> {
    DeniedRequest {
        audience: None,
        method: Method::GET,
        path: NormalPath::parse("/a").unwrap(),
        endpoint: Endpoint::parse("https://own.example").unwrap(),
        line: "GET /a".to_owned(),
        narrowed_for: None,
        reason,
    }
}

/// An error of each kind, of the mount `shop`. A new kind belongs into both lists.
fn all() -> Vec<CallError> {
    let (mount, why) = ("shop".to_owned(), String::new());
    let (violation, field) = (Violation::Scheme, "x-http-method");
    let (caller, name) = (Caller::named("reports"), Arc::<str>::from("web"));
    let endpoint = Endpoint::parse("https://own.example").unwrap();
    let redirect = RedirectDenied {
        mount: mount.clone(),
        audience: None,
        endpoint: endpoint.clone(),
        to: endpoint,
        named: Vec::new(),
    };
    let denied = NotAllowed {
        mount: mount.clone(),
        caller: caller.clone(),
        request: request(NotCovered::NotAllowed),
    };
    let minting = MintingDenied {
        mount: mount.clone(),
        caller: caller.clone(),
        request: request(MintingRule::Batch),
    };
    let operation = Some("listKeys".to_owned());
    vec![
        CallError::UnknownMount { name: mount.clone(), known: Vec::new() },
        CallError::BadRequest { why: "its path is malformed" },
        CallError::IncompleteBody,
        CallError::HeaderFieldsTooLarge { mount: mount.clone(), limit: 1 },
        CallError::Waited { mount: mount.clone(), concurrency: 1, waited: Duration::ZERO },
        CallError::SlowBody { mount: mount.clone(), slow: SlowBody { min_rate: 1 } },
        CallError::Override { mount: mount.clone(), narrowed_for: None, field },
        CallError::Busy { mount: mount.clone(), concurrency: 1, queue: 1 },
        CallError::NotAllowed(Box::new(denied)),
        CallError::Minting(Box::new(minting)),
        CallError::Redirect(Box::new(redirect)),
        CallError::Locked { mount: mount.clone(), caller: caller.clone(), target: LockTarget::All },
        CallError::CallerDenied(Box::new(CallerDenied {
            mount: mount.clone(),
            caller: caller.clone(),
            rule: CallerRule::NotServed(name.clone()),
        })),
        CallError::RateLimited {
            mount: mount.clone(),
            name: name.clone(),
            caller: caller.clone(),
            rate: Rate::parse("2/h").unwrap(),
            retry_after: Duration::from_secs(1),
        },
        CallError::CallerBusy { mount: mount.clone(), name, caller, concurrency: 1, waited: None },
        CallError::Violation {
            mount: mount.clone(),
            narrowed_for: None,
            violation: violation.clone(),
        },
        CallError::Caller { mount: mount.clone(), narrowed_for: None, violation },
        CallError::ForbiddenAddress { mount: mount.clone(), why: why.clone() },
        CallError::limit("shop", Limit::Requests(1)),
        CallError::Trapped { mount: mount.clone(), why: why.clone() },
        CallError::NoResponse { mount: mount.clone() },
        CallError::Unsealable { mount: mount.clone(), why: why.clone() },
        CallError::Unsearchable { mount: mount.clone(), why: why.clone() },
        CallError::TokenEchoed { mount: mount.clone() },
        CallError::ExportOff { mount: mount.clone(), operation, audience: None },
        CallError::Truncated { mount: mount.clone(), why: why.clone() },
        CallError::NotStarted { mount, why },
    ]
}

#[test]
fn the_help_of_every_denial_names_a_section_or_says_that_nothing_allows_it() {
    let denials: Vec<CallError> =
        all().into_iter().filter(|error| error.outcome() == Outcome::Denied).collect();
    assert_eq!(denials.len(), 11, "{denials:?}");
    for denial in denials {
        let help = denial.help().unwrap();
        let sections = ["[mount.shop]", "[mount.shop.caller.web]", "[egress.resolve]"];
        let names_a_section = sections.iter().any(|section| help.contains(section));
        assert!(names_a_section || help.starts_with("No configuration allows it"), "{help}");
    }
}

#[test]
fn the_help_of_every_limit_has_its_key_and_section() {
    for limit in [
        Limit::Memory(1),
        Limit::TableElements(1),
        Limit::CpuTime(Duration::ZERO),
        Limit::IdleTime(Duration::ZERO),
        Limit::WallTime(Duration::ZERO),
        Limit::FinishTime(Duration::ZERO),
        Limit::Requests(1),
        Limit::Connections(1),
        Limit::RowBytes(1),
        Limit::LogBytes(1),
        Limit::HeaderBytes(1),
        Limit::Resources(1),
        Limit::HostcallBytes(1),
    ] {
        let help = CallError::limit("my shop", limit).help().unwrap();
        let words = format!("`{}` in [mount.\"my shop\".limits]", limit.key());
        assert!(help.contains(&words), "{help}");
    }
    let busy = CallError::Busy { mount: "shop".to_owned(), concurrency: 1, queue: 1 };
    assert!(busy.help().unwrap().contains("`concurrency` in [mount.shop.limits]"));
}

#[test]
fn the_help_of_a_credential_that_is_not_handed_out_has_the_line_and_its_section() {
    let help = |operation: Option<&str>, audience: Option<&str>| {
        let [operation, audience] = [operation, audience].map(|name| name.map(str::to_owned));
        CallError::ExportOff { mount: "shop".to_owned(), operation, audience }.help().unwrap()
    };
    let of_mount = help(Some("listKeys"), None);
    assert!(of_mount.ends_with("write hand_out = [\"listKeys\"] in [mount.shop]"), "{of_mount}");
    let of_other = help(Some("listKeys"), Some("arm"));
    assert!(of_other.contains("hand_out = [\"listKeys\"] in [mount.shop]"), "{of_other}");
    assert!(of_other.ends_with("a section [mount.shop.audience.arm]"), "{of_other}");
    assert!(help(None, None).starts_with("No configuration allows it: "));
}

#[test]
fn an_unknown_mount_has_the_known_ones_or_the_section_to_write() {
    let help = |known: &[&str]| {
        let known = known.iter().map(|name| (*name).to_owned()).collect();
        CallError::UnknownMount { name: "x".to_owned(), known }.help().unwrap()
    };
    assert!(help(&[]).contains("[mount.NAME]"));
    assert!(help(&["a", "b"]).ends_with("a or b"));
}

#[test]
fn an_override_at_the_grant_of_a_caller_names_its_section() {
    let narrowed_for = Some(Arc::from("web"));
    let field = "x-http-method";
    let error = CallError::Override { mount: "shop".to_owned(), narrowed_for, field };
    let help = error.help().unwrap();
    assert!(help.contains("[mount.shop.caller.web]"), "{help}");
}

#[test]
fn a_lock_of_a_caller_names_it_as_the_broker_saw_it() {
    let caller: Caller =
        keyward_policy::caller::Proof { uid: Some(33), ..Default::default() }.into();
    let locked = |name: &str| CallError::Locked {
        mount: "shop".to_owned(),
        caller: caller.clone(),
        target: LockTarget::Caller(name.to_owned()),
    };
    assert_eq!(locked("web").to_string(), "the caller `web` (uid=33) is locked");
    assert!(locked(OTHERS).to_string().ends_with("are locked, such as uid=33"));
}

#[test]
fn a_rate_is_said_in_words() {
    let text = all().iter().map(ToString::to_string).find(|text| text.contains("begin")).unwrap();
    assert!(text.contains("may begin at most 2 calls an hour at mount `shop`"), "{text}");
}
