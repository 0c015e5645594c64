//! The Azure CLI, played by a script.
#![cfg(unix)]
#![allow(clippy::panic, clippy::unwrap_used, missing_docs)]

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use keyward_identity::clock::ManualClock;
use keyward_identity::source::AzureCli;
use keyward_identity::{Audience, TokenError, TokenSource};

struct Script {
    directory: tempfile::TempDir,
}

impl Script {
    fn new(text: &str) -> Self {
        let script = Self { directory: tempfile::tempdir().unwrap() };
        let path = script.directory.path().join("az");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        script
    }

    fn source(&self) -> AzureCli {
        let clock = ManualClock::at(Duration::from_secs(1_700_000_000));
        AzureCli::new().program(self.directory.path().join("az")).clock(Arc::new(clock))
    }

    async fn fetch(&self, audience: &str) -> Result<u64, TokenError> {
        let issued = self.source().fetch(&Audience::new(audience).unwrap()).await?;
        assert_eq!(&issued.token.expose_secret()[..], b"eyJsecret");
        Ok(issued.token.expires_on())
    }
}

fn said(error: TokenError) -> String {
    match error {
        TokenError::Command { said, .. } => said,
        other => panic!("{other:?}"),
    }
}

const VAULT: &str = "https://vault.azure.net";

#[tokio::test]
async fn it_is_asked_for_the_exact_resource_and_no_secret_is_in_its_arguments() {
    let script = Script::new(
        r#"echo "$*" > "$(dirname "$0")/arguments"
echo '{"accessToken":"eyJsecret","expiresOn":"2023-11-15 10:00:00.000000","expires_on":1700086400,"tokenType":"Bearer"}'"#,
    );
    assert_eq!(script.fetch("https://management.azure.com/").await, Ok(1_700_086_400));
    let arguments = std::fs::read_to_string(script.directory.path().join("arguments")).unwrap();
    assert_eq!(arguments, "account get-access-token --output json --resource=https://management.azure.com/\n");
    let source = script.source().tenant("contoso.com").unwrap();
    source.fetch(&Audience::new(VAULT).unwrap()).await.unwrap();
    let arguments = std::fs::read_to_string(script.directory.path().join("arguments")).unwrap();
    assert!(arguments.ends_with("--resource=https://vault.azure.net --tenant=contoso.com\n"), "{arguments}");
}

#[tokio::test]
async fn an_older_one_says_the_end_in_local_time_and_local_is_utc_there() {
    let script = Script::new(
        r#"test "$TZ" = UTC0 || exit 1
echo '{"accessToken":"eyJsecret","expiresOn":"2023-11-15 22:13:20.123456"}'"#,
    );
    assert_eq!(script.fetch(VAULT).await, Ok(1_700_086_400));
}

#[tokio::test]
async fn its_complaint_is_quoted() {
    let script = Script::new("echo 'ERROR: Please run az login to setup account. eyJsecret' >&2; exit 1");
    let said = said(script.fetch(VAULT).await.unwrap_err());
    assert!(said.contains("Please run az login") && !said.contains("secret"), "{said}");
}

#[tokio::test]
async fn one_that_is_not_there_hangs_or_says_nonsense_is_an_error() {
    let missing = AzureCli::new().program("/nowhere/az");
    assert!(said(missing.fetch(&Audience::new(VAULT).unwrap()).await.unwrap_err()).contains("/nowhere/az"));

    let clock = ManualClock::at(Duration::from_secs(1_700_000_000));
    let script = Script::new("exec sleep 60");
    let hangs = script.source().clock(Arc::new(clock.clone())).timeout(Duration::from_secs(13));
    let vault = Audience::new(VAULT).unwrap();
    let time_passes = async { clock.advance(Duration::from_secs(13)) };
    let (hung, ()) = tokio::join!(hangs.fetch(&vault), time_passes);
    assert!(matches!(hung, Err(TokenError::Command { .. })));

    let nonsense = Script::new("echo 'WARNING: eyJsecret'").fetch(VAULT).await.unwrap_err();
    assert!(matches!(nonsense, TokenError::Malformed { .. }), "{nonsense:?}");
    assert!(!nonsense.to_string().contains("secret"));

    let no_date = Script::new(r#"echo '{"accessToken":"eyJsecret","expiresOn":"N/A"}'"#).fetch(VAULT).await;
    assert!(matches!(no_date, Err(TokenError::Malformed { .. })), "{no_date:?}");
}

#[tokio::test]
async fn what_could_be_read_as_something_else_is_not_handed_over() {
    let script = Script::new("touch \"$(dirname \"$0\")/ran\"");
    for audience in ["x&calc", "x|y", "%PATH%", "a\"b", "$(x)", "a;b", "a'b"] {
        assert!(matches!(script.fetch(audience).await, Err(TokenError::Command { .. })), "{audience}");
    }
    assert!(!script.directory.path().join("ran").exists());
    for tenant in ["", "a b", "--query", "a&b"] {
        let fits = tenant == "--query";
        assert_eq!(AzureCli::new().tenant(tenant).is_ok(), fits, "{tenant}: it follows a `--tenant=`");
    }
}
