//! `keyward explain --caller` and what `keyward check` shows about callers.

use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::run;

const CONFIG: &str = "\
[identity.default]
source = \"imds\"
[caller.web]
user = 33
unit = \"web.service\"
[caller.batch]
user = 33
[caller.shop]
user = 34
[caller.books]
user = 35
[mount.vault]
plugin = \"keyvault\"
endpoint = \"https://contoso.vault.azure.net\"
allow = [\"read /secrets/**\", \"PUT /secrets/*\"]
callers = [\"batch\"]
[mount.vault.caller.web]
requests = [\"GET /secrets/*\"]
allow = [\"read /secrets/shop-*\"]
rate = \"50/s\"
[mount.orders]
plugin = \"sql\"
endpoint = \"sqlserver://contoso.database.windows.net\"
callers = [\"web\", \"shop\"]
[mount.orders.caller.shop]
allow = [\"CONNECT /shop\"]
[mount.orders.caller.books]
allow = [\"CONNECT /books\"]
[mount.orders.settings]
database = \"shop\"
[listen]
socket = \"k.sock\"
";

fn file() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keyward.toml");
    std::fs::write(&file, CONFIG).unwrap();
    (directory, file)
}

/// The exit code and the output of `explain --caller`, without line breaks.
fn explain(caller: &str, words: &[&str]) -> (i32, String) {
    let (_directory, file) = file();
    let config = file.to_str().unwrap();
    let arguments = [&["explain", "--config", config, "--caller", caller], words].concat();
    let output = run(&arguments);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    (output.status.code().unwrap(), text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn a_request_is_explained_by_the_lines_that_cover_it() {
    let (code, text) = explain("web", &["GET", "/vault/secrets/shop-db"]);
    assert_eq!(code, 0, "{text}");
    for words in [
        "[caller.web] matches user 33, unit web.service",
        "[mount.vault] serves it, as `web`",
        "\"GET /secrets/*\" in `requests` of [mount.vault.caller.web] covers the request",
        "\"read /secrets/shop-*\" in `allow` of the caller's section",
        "\"read /secrets/**\" in `allow` of the mount",
        "with the token for https://vault.azure.net",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let (code, text) = explain("web", &["POST", "/orders/query"]);
    let words = "opens the database `shop` at sqlserver://contoso";
    assert!(code == 0 && text.contains(words), "{text}");
}

#[test]
fn the_database_of_a_mount_is_compared_with_what_the_caller_may_open() {
    let (code, text) = explain("shop", &["POST", "/orders/query"]);
    let words = "allowed by \"CONNECT /shop\" in `allow` of the caller's section";
    assert!(code == 0 && text.contains(words), "{code} {text}");
}

#[test]
fn a_denial_is_explained_with_the_line_to_write() {
    for (caller, words, expected) in [
        ("web", ["GET", "/vault/secrets/other"], "to `allow` in [mount.vault.caller.web]"),
        ("web", ["PUT", "/vault/secrets/shop-db"], "to `requests` in [mount.vault.caller.web]"),
        ("batch", ["DELETE", "/vault/secrets/db"], "to `allow` in [mount.vault]"),
        ("batch", ["POST", "/orders/query"], "add \"batch\" to `callers` in [mount.orders]"),
        ("*", ["GET", "/vault/secrets/db"], "add \"*\" to `callers` in [mount.vault]"),
        (
            "books",
            ["POST", "/orders/query"],
            "add \"connect /shop\" to `allow` in [mount.orders.caller.books]",
        ),
        ("books", ["POST", "/orders/query"], "for the caller `books` (uid=35)"),
    ] {
        let (code, text) = explain(caller, &words);
        assert!(code == 1 && text.contains(expected), "{caller} {words:?}: {code} {text}");
    }
}

#[test]
fn an_unknown_caller_or_mount_is_a_mistake_of_the_command_line() {
    for (caller, words) in [
        ("wbe", &["GET", "/vault/x"][..]),
        ("web", &["GET", "/valut/x"]),
        ("web", &["GET", "vault/x"]),
        ("web", &["GET"]),
    ] {
        let (code, text) = explain(caller, words);
        assert_eq!(code, 2, "{text}");
    }
}

#[test]
fn check_shows_what_each_caller_may_do_and_warns_of_overlapping_sections() {
    let (_directory, file) = file();
    let config = file.to_str().unwrap();
    let output = run(&["check", "--config", config]);
    let text = String::from_utf8(output.stdout).unwrap();
    for words in ["MAY REQUEST", "user 33, unit web.service", "GET /secrets/*", "rate 50/s"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let output = run(&["check", "--config", config, "--format", "json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["callers"][0]["unit"], "web.service");
    let vault = json["mounts"].as_array().unwrap().iter().find(|mount| mount["name"] == "vault");
    let callers = vault.unwrap()["callers"].as_array().unwrap();
    let web = callers.iter().find(|caller| caller["name"] == "web").unwrap();
    assert_eq!(web["allowed"][0], "read /secrets/shop-*");
    assert_eq!((&web["rate"], &web["concurrency"]), (&"50/s".into(), &96.into()));
    let warning = json["warnings"].to_string();
    assert!(warning.contains("may match both [caller.web] and [caller.batch]"), "{warning}");
}

/// A mount that redirects, seals, exports and hands out, for three callers.
const CREDENTIALS: &str = "\
[identity.default]
source = \"imds\"
[caller.all]
user = 33
[caller.some]
user = 34
[mount.blobs]
plugin = \"storage\"
endpoint = \"https://contoso.blob.core.windows.net\"
redirects = [\"https://other.blob.core.windows.net\"]
hand_out = [\"listServiceSas\", \"listKeys\"]
callers = [\"all\"]
[mount.blobs.caller.some]
allow = [\"read /public/**\"]
[mount.blobs.settings]
auth = \"sas\"
account = \"/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/contoso\"
[mount.blobs.audience.arm]
[listen]
socket = \"k.sock\"
";

#[test]
fn check_shows_which_credentials_each_caller_gets() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keyward.toml");
    std::fs::write(&file, CREDENTIALS).unwrap();
    let output = run(&["check", "--config", file.to_str().unwrap()]);
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let of_user = |user: &str| {
        let mut blocks =
            text.split("\n\n").map(str::trim_start).filter(|block| block.starts_with("CALLER"));
        let block = blocks.find(|block| block.contains(user));
        block.unwrap_or_else(|| panic!("{text}"))
    };
    let (all, some) = (of_user("user 33"), of_user("user 34"));
    for words in ["at most", "redirects to", "seals", "exports by", "hands out listKeys"] {
        assert!(all.contains(words), "{words}: {text}");
    }
    for words in ["redirects to", "exports by", "listServiceSas"] {
        assert!(some.contains(words), "{words}: {text}");
    }
    assert!(!some.contains("listKeys"), "its `allow` cannot narrow them: {text}");
}
