//! The Azure CLI source, with a script in place of the CLI.

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

fn reason(error: TokenError) -> String {
    match error {
        TokenError::Command { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

const VAULT: &str = "https://vault.azure.net";

#[tokio::test]
async fn the_arguments_are_the_exact_resource_and_the_tenant() {
    let script = Script::new(
        r#"echo "$*" > "$(dirname "$0")/arguments"
echo '{"accessToken":"eyJsecret","expires_on":1700086400,"tokenType":"Bearer",
       "expiresOn":"2023-11-15 10:00:00.000000"}'"#,
    );
    let arguments = || std::fs::read_to_string(script.directory.path().join("arguments")).unwrap();
    assert_eq!(script.fetch("https://management.azure.com/").await, Ok(1_700_086_400));
    let start = "account get-access-token --output json";
    let expected = format!("{start} --resource=https://management.azure.com/\n");
    assert_eq!(arguments(), expected);
    let source = script.source().tenant("contoso.com").unwrap();
    source.fetch(&Audience::new(VAULT).unwrap()).await.unwrap();
    let expected = format!("{start} --resource=https://vault.azure.net --tenant=contoso.com\n");
    assert_eq!(arguments(), expected);
}

#[tokio::test]
async fn an_expiry_in_local_time_is_utc() {
    let script = Script::new(
        r#"test "$TZ" = UTC0 || exit 1
echo '{"accessToken":"eyJsecret","expiresOn":"2023-11-15 22:13:20.123456"}'"#,
    );
    assert_eq!(script.fetch(VAULT).await, Ok(1_700_086_400));
}

#[tokio::test]
async fn an_error_of_the_cli_is_quoted_without_tokens() {
    let script =
        Script::new("echo 'ERROR: Please run az login to setup account. eyJsecret' >&2; exit 1");
    let reason = reason(script.fetch(VAULT).await.unwrap_err());
    assert!(reason.contains("Please run az login") && !reason.contains("secret"), "{reason}");
}

#[tokio::test]
async fn a_cli_that_is_missing_hangs_or_prints_no_token_is_an_error() {
    let vault = Audience::new(VAULT).unwrap();
    let missing = AzureCli::new().program("/nowhere/az");
    let error = missing.fetch(&vault).await.unwrap_err();
    assert!(reason(error).contains("/nowhere/az"));

    let clock = ManualClock::at(Duration::from_secs(1_700_000_000));
    let limit = Duration::from_secs(13);
    let script = Script::new("exec sleep 60");
    let source = script.source().clock(Arc::new(clock.clone())).timeout(limit);
    let (result, ()) = tokio::join!(source.fetch(&vault), async { clock.advance(limit) });
    assert!(matches!(result, Err(TokenError::Command { .. })));

    let script = Script::new("echo 'WARNING: eyJsecret'");
    let error = script.fetch(VAULT).await.unwrap_err();
    assert!(matches!(error, TokenError::Malformed { .. }), "{error:?}");
    assert!(!error.to_string().contains("secret"));

    let script = Script::new(r#"echo '{"accessToken":"eyJsecret","expiresOn":"N/A"}'"#);
    let error = script.fetch(VAULT).await.unwrap_err();
    assert!(matches!(error, TokenError::Malformed { .. }), "{error:?}");
}

#[tokio::test]
async fn warnings_do_not_matter_and_endless_output_is_an_error() {
    let token = r#"echo '{"accessToken":"eyJsecret","expires_on":1700086400}'"#;
    let script = Script::new(&format!("head -c 60000 /dev/zero >&2; {token}"));
    assert_eq!(script.fetch(VAULT).await, Ok(1_700_086_400));
    for stream in [1, 2] {
        let script = Script::new(&format!("cat /dev/zero >&{stream}"));
        let reason = reason(script.fetch(VAULT).await.unwrap_err());
        assert!(reason.contains("it prints more than 65536 bytes"), "{reason}");
    }
}

#[tokio::test]
async fn arguments_that_a_shell_could_interpret_are_rejected() {
    let script = Script::new("touch \"$(dirname \"$0\")/ran\"");
    for audience in ["x&calc", "x|y", "%PATH%", "a\"b", "$(x)", "a;b", "a'b"] {
        let result = script.fetch(audience).await;
        assert!(matches!(result, Err(TokenError::Command { .. })), "{audience}");
    }
    assert!(!script.directory.path().join("ran").exists());
    for tenant in ["", "a b", "a&b"] {
        assert!(AzureCli::new().tenant(tenant).is_err(), "{tenant}");
    }
    assert!(AzureCli::new().tenant("--query").is_ok(), "it becomes --tenant=--query");
}
