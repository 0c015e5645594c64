//! The two steps of an upload to Data Lake, where the second leads elsewhere.

use http::Request;
use keyward::{CallError, Misuse};
use keyward_emulator::{Fault, Misbehaviour};
use keyward_tests::{Answer, Rig};

const GEN1: &str = "contoso.azuredatalakestore.net";

async fn create(rig: &Rig) -> Answer {
    let request = Request::put("/webhdfs/v1/reports/new.txt?op=CREATE").body("the text".into()).unwrap();
    rig.call(request).await
}

fn redirect(to: &str) -> Fault {
    Fault::once("datalake", Misbehaviour::Redirect(to.to_owned()))
}

#[tokio::test]
async fn an_upload_goes_where_the_service_says_within_its_grant() {
    let rig = Rig::lake(GEN1).start().await;
    let answer = create(&rig).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let seen = rig.emulator.log().of("datalake");
    let bodies: Vec<_> = seen.iter().map(|seen| (seen.status, seen.body_bytes)).collect();
    assert_eq!(bodies, [(307, 0), (201, 8)], "the body was sent once, to the second");
    rig.assert_no_token_in(&answer);
}

#[tokio::test]
async fn an_upload_does_not_go_elsewhere() {
    for elsewhere in [
        "https://collect.example/webhdfs/v1/reports/new.txt?op=CREATE&write=true",
        "https://other.azuredatalakestore.net/webhdfs/v1/reports/new.txt?op=CREATE&write=true",
        "http://contoso.azuredatalakestore.net/webhdfs/v1/reports/new.txt?op=CREATE&write=true",
        "https://contoso.azuredatalakestore.net:8443/webhdfs/v1/reports/new.txt?op=CREATE&write=true",
        "https://169.254.169.254/webhdfs/v1/reports/new.txt?op=CREATE&write=true",
    ] {
        let rig = Rig::lake(GEN1).start().await;
        rig.emulator.faults().add(redirect(elsewhere));
        let answer = create(&rig).await;
        assert_eq!(answer.status, 502, "{elsewhere}: {}", answer.text());
        if let Some(error) = &answer.error {
            assert!(
                matches!(error, CallError::Misuse { misuse: Misuse::Elsewhere { .. }, .. }),
                "{elsewhere}: {error}"
            );
        }
        assert!(rig.emulator.log().all().iter().all(|seen| seen.body_bytes == 0), "{elsewhere}: nothing was sent");
        rig.assert_no_token_in(&answer);
    }
}

#[tokio::test]
async fn a_target_of_redirects_can_be_allowed() {
    let other = "other.azuredatalakestore.net";
    let rig = Rig::lake(GEN1).mount_lines(&format!("redirects = [\"https://{other}\"]")).resolving(other).start().await;
    rig.emulator.faults().add(redirect(&format!("https://{other}/webhdfs/v1/reports/new.txt?op=CREATE&write=true")));
    create(&rig).await;
    let seen = rig.emulator.log().all().into_iter().find(|seen| seen.host == other);
    assert!(seen.is_some(), "the second step went there");
    assert!(rig.audit.wait(1).await.upstream[1].token, "with the token");
}

#[tokio::test]
async fn a_second_redirect_is_not_followed() {
    let rig = Rig::lake(GEN1).start().await;
    let again = format!("https://{GEN1}/webhdfs/v1/reports/new.txt?op=CREATE&write=true");
    rig.emulator.faults().add(Fault::always("datalake", Misbehaviour::Redirect(again)));
    let answer = create(&rig).await;
    assert_eq!(answer.status, 502, "{}", answer.text());
    assert_eq!(rig.emulator.log().of("datalake").len(), 2);
}

#[tokio::test]
async fn what_may_be_redirected_to_is_checked_with_the_configuration() {
    let text = format!(
        "[identity.default]\nsource = \"imds\"\n[mount.lake]\nplugin = \"adls\"\nendpoint = \"https://{GEN1}\"\n\
         redirects = [\"https://collect.example\", \"http://x\"]\n"
    );
    let plugins = keyward::Plugins::new().with("adls", keyward_bundle::plugin("adls").unwrap().component);
    let config = keyward::config::Config::from_toml(std::path::Path::new("k.toml"), &text);
    let error = config.and_then(|config| keyward::Plan::new(config, &plugins)).unwrap_err().to_string();
    assert!(error.contains("http://x") || error.contains("collect.example"), "{error}");
    let text = text.replace(", \"http://x\"", "");
    let config = keyward::config::Config::from_toml(std::path::Path::new("k.toml"), &text);
    let error = config.and_then(|config| keyward::Plan::new(config, &plugins)).unwrap_err().to_string();
    assert!(error.contains("k.toml:6:14") && error.contains("*.azuredatalakestore.net"), "{error}");
}
