use http::header::HeaderName;

use super::*;
use crate::cloud::Cloud;
use crate::grant::Minting;

fn grant(endpoint: &str, allowed: Option<&[&str]>, hand_out: &[&str]) -> Grant {
    let grant = Grant::example(endpoint);
    let grant = allowed.map_or(grant.clone(), |allowed| grant.allowing(allowed));
    let semantics = Cloud::named("public").unwrap().semantics(&grant.endpoint.host, "");
    let mut minting = Minting::of(&semantics);
    minting.hand_out = hand_out.iter().map(|name| (*name).to_owned()).collect();
    Grant {
        minting,
        paths: semantics.paths,
        paths_ignore_case: semantics.paths_ignore_case,
        ..grant
    }
}

const ARM: &str = "https://management.azure.com";
const BLOB: &str = "https://contoso.blob.core.windows.net";
const VAULT: &str = "https://contoso.vault.azure.net";
const GROUP: &str = "/subscriptions/s/resourceGroups/g";

fn check_request(
    grants: &[Grant],
    method: Method,
    uri: &str,
    fields: &[(&'static str, &str)],
) -> Result<Option<Minted>, Denied> {
    let (path, query) =
        uri.split_once('?').map_or((uri, None), |(path, query)| (path, Some(query)));
    let path = grants[0].read(path).unwrap().unwrap();
    let fields =
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
    let headers = fields.collect();
    let head = RequestHead { method: &method, query, headers: Some(&headers) };
    let request = CoveredRequest { head, path: &path, sealed: None, headers: &headers };
    check(grants, &grants[0], &request)
}

fn reason(result: Result<Option<Minted>, Denied>) -> MintingRule {
    match result {
        Err(Denied::Minting(denied)) => denied.reason,
        other => panic!("{other:?}"),
    }
}

fn arm(allowed: Option<&[&str]>, method: Method, path: &str) -> Result<Option<Minted>, Denied> {
    check_request(&[grant(ARM, allowed, &[])], method, &format!("{GROUP}/providers/{path}"), &[])
}

#[test]
fn a_minting_operation_is_denied_regardless_of_allow_unless_it_is_handed_out() {
    for (endpoint, uri, name) in [
        (ARM, "/subscriptions/s/x/providers/M.S/storageAccounts/a/listKeys", "listKeys"),
        (BLOB, "/?restype=service&comp=userdelegationkey", "userdelegationkey"),
        (
            "https://contoso.dfs.core.windows.net",
            "/?restype=service&comp=userdelegationkey",
            "userdelegationkey",
        ),
        (VAULT, "/keys/k/backup", "backup"),
        (VAULT, "/keys/k/v/release", "release"),
    ] {
        for allowed in [None, Some(["POST /**", "POST /"].as_slice())] {
            let denied = check_request(&[grant(endpoint, allowed, &[])], Method::POST, uri, &[]);
            assert_eq!(reason(denied), MintingRule::NotHandedOut(name), "{uri}");
            let minted =
                check_request(&[grant(endpoint, allowed, &[name])], Method::POST, uri, &[])
                    .unwrap()
                    .unwrap();
            assert!(minted.handed_out && minted.operation == name && minted.is_plain(&[]));
            let other =
                check_request(&[grant(endpoint, allowed, &["batch"])], Method::POST, uri, &[]);
            assert_eq!(reason(other), MintingRule::NotHandedOut(name), "{uri}");
        }
    }
}

#[test]
fn a_parameter_that_two_servers_may_read_differently_is_denied() {
    let blobs = [grant(BLOB, None, &[])];
    for query in [
        "comp=list&comp=userdelegationkey",
        "comp=userdelegationkey&comp=list",
        "%63omp=userdelegationkey",
        "%2563omp=userdelegationkey",
        "comp=%75serdelegationkey",
        "comp=list,userdelegationkey",
        "comp+=userdelegationkey",
        "a=b;comp=list",
        "comp=list;comp=userdelegationkey",
        "com%00p=userdelegationkey",
    ] {
        let result =
            check_request(&blobs, Method::POST, &format!("/?restype=service&{query}"), &[]);
        let is_denied = match &result {
            Err(Denied::Violation(Violation::Ambiguous("comp"))) => true,
            other => query == "a=b;comp=list" && other == &Ok(None),
        };
        assert!(is_denied, "{query}: {result:?}");
    }
    for query in ["COMP=userdelegationkey", "comp=UserDelegationKey", "x=y&comp=userdelegationkey#"]
    {
        let result =
            check_request(&blobs, Method::POST, &format!("/?{}", query.trim_end_matches('#')), &[]);
        assert_eq!(reason(result), MintingRule::NotHandedOut("userdelegationkey"), "{query}");
    }
    assert_eq!(
        check_request(&blobs, Method::GET, "/c?restype=container&comp=list&prefix=%2563omp", &[]),
        Ok(None)
    );
}

#[test]
fn an_action_is_allowed_if_it_is_harmless_or_named() {
    let start = "Microsoft.Compute/virtualMachines/v/start";
    assert_eq!(arm(None, Method::POST, start), Ok(None));
    assert_eq!(arm(None, Method::POST, "Microsoft.Compute/virtualMachines/v/START"), Ok(None));
    let run = "Microsoft.Compute/virtualMachines/v/runCommand";
    let unknown = MintingRule::UnknownAction("runCommand".to_owned());
    let wide = ["* /**", "POST /subscriptions/*/resourceGroups/*/providers/*/*/*/*"];
    assert_eq!(reason(arm(None, Method::POST, run)), unknown);
    assert_eq!(reason(arm(Some(&wide), Method::POST, run)), unknown);
    let named = ["POST /subscriptions/*/resourceGroups/*/providers/*/*/*/RUNcommand"];
    assert_eq!(arm(Some(&named), Method::POST, run), Ok(None));
    let keys = "Microsoft.Storage/storageAccounts/a/listKeys";
    let named = ["POST /subscriptions/*/resourceGroups/*/providers/*/*/*/listKeys"];
    assert_eq!(
        reason(arm(Some(&named), Method::POST, keys)),
        MintingRule::NotHandedOut("listKeys")
    );
    let disguised = "Microsoft.X/providers/providers/mint/start";
    assert_eq!(
        reason(arm(None, Method::POST, disguised)),
        MintingRule::UnknownAction("start".to_owned())
    );
}

#[test]
fn a_write_that_gives_rights_away_must_be_named() {
    let wide = ["* /**"];
    for (path, segment) in [
        ("Microsoft.Resources/deployments/d", "deployments"),
        ("Microsoft.Authorization/roleAssignments/r", "roleAssignments"),
        (
            "Microsoft.ManagedIdentity/userAssignedIdentities/i/FEDERATEDidentitycredentials/f",
            "FEDERATEDidentitycredentials",
        ),
        ("Microsoft.Compute/virtualMachines/v/runCommands/r", "runCommands"),
        ("Microsoft.Compute/virtualMachines/v/extensions/e", "extensions"),
    ] {
        for method in [Method::PUT, Method::PATCH] {
            for allowed in [None, Some(wide.as_slice())] {
                assert_eq!(
                    reason(arm(allowed, method.clone(), path)),
                    MintingRule::Privileged(segment.to_owned()),
                    "{path}"
                );
            }
        }
        assert_eq!(arm(None, Method::GET, path), Ok(None));
    }
    let named = ["PUT /subscriptions/*/resourceGroups/*/providers/*/deployments/*"];
    assert_eq!(arm(Some(&named), Method::PUT, "Microsoft.Resources/deployments/d"), Ok(None));
    assert_eq!(arm(None, Method::PUT, "Microsoft.Compute/virtualMachines/v"), Ok(None));
}

#[test]
fn a_batch_is_denied_by_a_narrowed_grant() {
    for (endpoint, uri) in [
        (ARM, "/batch?api-version=1"),
        (BLOB, "/c?comp=batch"),
        ("https://own.example", "/v1/$batch"),
    ] {
        for hand_out in [&[][..], &["batch"]] {
            let narrowed = [grant(endpoint, Some(&["* /**"]), hand_out)];
            assert_eq!(
                reason(check_request(&narrowed, Method::POST, uri, &[])),
                MintingRule::Batch,
                "{uri}"
            );
        }
        let free = check_request(&[grant(endpoint, None, &[])], Method::POST, uri, &[]);
        assert_eq!(reason(free), MintingRule::NotHandedOut("batch"), "{uri}");
        assert!(
            check_request(&[grant(endpoint, None, &["batch"])], Method::POST, uri, &[])
                .unwrap()
                .is_some(),
            "{uri}"
        );
    }
}

#[test]
fn a_header_field_that_overrides_method_or_path_is_checked() {
    let path = format!("{GROUP}/providers/Microsoft.Compute/virtualMachines/v/runCommand");
    // CGI and WSGI read the last one as the first.
    for field in override_fields::METHODS.iter().copied().chain(["x_http_method_override"]) {
        let result =
            check_request(&[grant(ARM, None, &[])], Method::GET, &path, &[(field, "POST")]);
        assert_eq!(reason(result), MintingRule::UnknownAction("runCommand".to_owned()), "{field}");
    }
    for &field in override_fields::PATHS {
        let result = check_request(
            &[grant(ARM, None, &[])],
            Method::GET,
            "/subscriptions",
            &[(field, "/x/listKeys")],
        );
        assert_eq!(result, Err(Denied::Violation(Violation::Ambiguous(field))));
    }
}

#[test]
fn a_minting_operation_or_a_batch_is_found_within_a_name() {
    let own = |uri: &str| {
        let mut grant = grant(VAULT, None, &[]);
        grant.paths = crate::path::PathReading::Names { after: 1 };
        check_request(&[grant], Method::POST, uri, &[])
    };
    for uri in [
        "/keys/k/backup",
        "/keys/k%2Fbackup",
        "/keys/k%252Fbackup",
        "/keys/x/../k/%62ackup",
        "/keys/k\\backup",
    ] {
        assert_eq!(reason(own(uri)), MintingRule::NotHandedOut("backup"), "{uri}");
    }
    for uri in ["/c/$batch", "/c/a%2F%24batch", "/c//$batch/.", "/c/a%252F%2524batch"] {
        let result = check_request(&[grant(BLOB, None, &[])], Method::POST, uri, &[]);
        assert_eq!(reason(result), MintingRule::NotHandedOut("batch"), "{uri}");
    }
}

#[test]
fn a_method_in_lower_case_is_checked_as_any_method() {
    let (run, deployment) =
        ("Microsoft.Compute/virtualMachines/v/runCommand", "Microsoft.Resources/deployments/d");
    let method = |name: &str| Method::from_bytes(name.as_bytes()).unwrap();
    assert_eq!(
        reason(arm(None, method("post"), run)),
        MintingRule::UnknownAction("runCommand".to_owned())
    );
    let named = ["* /**", "POST /subscriptions/*/resourceGroups/*/providers/*/*/*/runCommand"];
    assert_eq!(arm(Some(&named), method("post"), run), Ok(None));
    assert_eq!(
        reason(arm(Some(&["* /**"]), method("Put"), deployment)),
        MintingRule::UnknownAction("d".to_owned())
    );
    assert_eq!(arm(None, Method::GET, run), Ok(None));
}

#[test]
fn a_sealed_value_must_not_select_an_operation() {
    let path = NormalPath::parse("/c/b").unwrap();
    let (method, headers) = (Method::POST, HeaderMap::new());
    let with = |sealed: &'static [u8]| {
        let sealed = Some(sealed);
        let head = RequestHead::of_method(&method);
        let request = CoveredRequest { head, path: &path, sealed, headers: &headers };
        let grants = [grant(BLOB, None, &[])];
        check(&grants, &grants[0], &request)
    };
    assert_eq!(with(b"sv=2022-11-02&sr=b&sp=r&sig=abc"), Ok(None));
    assert_eq!(
        reason(with(b"sig=abc&comp=userdelegationkey")),
        MintingRule::NotHandedOut("userdelegationkey")
    );
}

#[test]
fn a_minting_operation_whose_credential_is_sealed_is_allowed() {
    let sas = "/subscriptions/s/x/providers/M.S/storageAccounts/contoso/listServiceSas";
    let alone = check_request(&[grant(ARM, None, &[])], Method::POST, sas, &[]);
    assert_eq!(reason(alone), MintingRule::NotHandedOut("listServiceSas"));
    let blob = Grant { name: "blob".into(), ..grant(BLOB, None, &[]) };
    let both = [grant(ARM, None, &[]), blob];
    let minted = check_request(&both, Method::POST, sas, &[]).unwrap().unwrap();
    assert!(!minted.handed_out);
    let seals = seals(&both, &both[0], Some(&minted));
    assert_eq!(
        (seals[0].field.as_str(), seals[0].spend.as_deref()),
        ("/serviceSasToken", Some("blob"))
    );
    assert!(!minted.is_plain(&seals));
}

#[test]
fn an_operation_is_found_with_and_without_the_prefix_of_the_endpoint() {
    for (endpoint, uri, rule) in [
        ("https://management.azure.com/proxy", "/proxy/batch", MintingRule::Batch),
        (
            "https://contoso.vault.azure.net/keys/k",
            "/keys/k/backup",
            MintingRule::NotHandedOut("backup"),
        ),
    ] {
        let grants = [grant(endpoint, Some(&["* /**"]), &[])];
        assert_eq!(reason(check_request(&grants, Method::POST, uri, &[])), rule, "{uri}");
    }
}

#[test]
fn a_credential_that_is_sealed_is_not_plain_although_it_may_be_handed_out() {
    let sas = "/subscriptions/s/x/providers/M.S/storageAccounts/contoso/listServiceSas";
    let grants = [grant(ARM, None, &["listServiceSas"])];
    let minted = check_request(&grants, Method::POST, sas, &[]).unwrap().unwrap();
    let seal = |field: &str| Seal {
        field: field.to_owned(),
        spend: None,
        place: SpendPlace::Query,
        keep: None,
        export: None,
        imposed: false,
    };
    assert!(minted.is_plain(&[seal("/other")]));
    assert!(!minted.is_plain(&[seal("/serviceSasToken")]));
    assert!(!Minted { handed_out: false, ..minted }.is_plain(&[]));
}

#[test]
fn a_field_that_the_manifest_seals_is_sealed_once() {
    let blob = Grant { name: "blob".into(), ..grant(BLOB, None, &[]) };
    let own = Seal {
        field: "/serviceSasToken".to_owned(),
        spend: Some("blob".into()),
        place: SpendPlace::Query,
        keep: None,
        export: None,
        imposed: false,
    };
    let both = [Grant { seals: vec![own.clone()], ..grant(ARM, None, &[]) }, blob];
    let sas = "/subscriptions/s/x/providers/M.S/storageAccounts/contoso/listServiceSas";
    let minted = check_request(&both, Method::POST, sas, &[]).unwrap().unwrap();
    assert_eq!(seals(&both, &both[0], Some(&minted)), [own]);
}

#[test]
fn a_query_is_ambiguous_if_a_parameter_that_selects_an_operation_is() {
    let blobs = grant(BLOB, None, &[]);
    assert!(is_ambiguous(&blobs, "comp=list&COMP=acl"));
    assert!(!is_ambiguous(&blobs, "comp=list&prefix=comp"));
    assert!(!is_ambiguous(&grant(VAULT, None, &[]), "comp=list&COMP=acl"));
}

#[test]
fn a_narrowed_caller_gets_no_credential_that_cannot_be_narrowed() {
    use crate::pattern::Pattern;

    let storage = "/subscriptions/s/x/providers/M.S/storageAccounts/contoso";
    let blob = Grant { name: "blob".into(), ..grant(BLOB, None, &[]) };
    let arm = Grant { is_first: false, ..grant(ARM, None, &["listKeys", "listServiceSas"]) };
    let allow = || CallerAllow {
        caller: "web".into(),
        allowed: vec![Pattern::parse("GET /hello/**").unwrap()],
    };
    let for_caller = [arm.clone(), blob.narrowed_for(allow())];
    let post = |grants: &[Grant], operation: &str| {
        check_request(grants, Method::POST, &format!("{storage}/{operation}"), &[])
    };
    let denied = MintingRule::BeyondCaller { operation: "listKeys", caller: "web".into() };
    assert_eq!(reason(post(&for_caller, "listKeys")), denied);
    // The body of this one is compared with what the caller may do.
    assert!(post(&for_caller, "listServiceSas").unwrap().unwrap().handed_out);
    assert!(post(&[arm.clone(), blob], "listKeys").unwrap().unwrap().handed_out);
    // The caller's own line allows it.
    let own = [arm.narrowed_for(allow())];
    assert!(post(&own, "listKeys").unwrap().unwrap().handed_out);
}

#[test]
fn a_batch_is_denied_for_a_narrowed_caller() {
    let arm = grant(ARM, None, &["batch"]);
    let allow = CallerAllow { caller: "web".into(), allowed: Vec::new() };
    let batch = |grant: Grant| check_request(&[grant], Method::POST, "/batch", &[]);
    assert!(batch(arm.clone()).is_ok());
    assert_eq!(reason(batch(arm.narrowed_for(allow))), MintingRule::Batch);
}
