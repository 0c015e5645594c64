//! Uploads to Data Lake in two steps, the second of which goes to another host.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use keyward::audit::Outcome;
use keyward::{CallError, Caller, Violation};
use keyward_emulator::{Fault, FaultKind, Options};
use keyward_tests::{CallResponse, Rig, RigBuilder};

const GEN1: &str = "contoso.azuredatalakestore.net";

/// The node with the data of [`with_node`].
const NODE: &str = "contoso-node.azuredatalakestore.net";

/// A lake whose node accepts the content of uploads only in a second step.
fn with_node(lines: &str) -> RigBuilder {
    let mut options = Options::default();
    options.storage.data_node = true;
    Rig::lake(GEN1).emulator(options).mount_lines(lines).resolving(NODE)
}

const REDIRECTS: &str = "redirects = [\"https://contoso-node.azuredatalakestore.net\"]";

async fn send(rig: &Rig, method: &str, path: &str, body: &'static str) -> CallResponse {
    rig.call(Request::builder().method(method).uri(path).body(body.into()).unwrap()).await
}

/// The path behind the mount of the link in a response, which shows nothing of the node.
fn link(rig: &Rig, response: &CallResponse) -> String {
    assert_eq!(response.status, 307, "{}", response.text());
    rig.assert_no_token_in(response);
    behind_mount(response.headers["location"].to_str().unwrap())
}

fn behind_mount(link: &str) -> String {
    assert!(!link.contains("node") && !link.contains("ticket"), "{link}");
    link.strip_prefix("http://localhost/lake").unwrap_or_else(|| panic!("{link}")).to_owned()
}

async fn create(rig: &Rig) -> CallResponse {
    let request =
        Request::put("/webhdfs/v1/reports/new.txt?op=CREATE").body("the text".into()).unwrap();
    rig.call(request).await
}

fn redirect(to: &str) -> Fault {
    Fault::once("datalake", FaultKind::Redirect(to.to_owned()))
}

#[tokio::test]
async fn an_upload_follows_the_services_redirect_within_its_grant() {
    let rig = Rig::lake(GEN1).start().await;
    let response = create(&rig).await;
    assert_eq!(response.status, 201, "{}", response.text());
    let seen = rig.emulator.log().for_service("datalake");
    let bodies: Vec<_> = seen.iter().map(|seen| (seen.status, seen.body_bytes)).collect();
    assert_eq!(bodies, [(307, 0), (201, 8)], "the body was sent once, to the second");
    rig.assert_no_token_in(&response);
}

#[tokio::test]
async fn an_upload_follows_no_redirect_outside_its_grant() {
    for elsewhere in [
        "https://collect.example/webhdfs/v1/reports/new.txt?op=CREATE&write=true",
        "https://other.azuredatalakestore.net/webhdfs/v1/reports/new.txt?op=CREATE&write=true",
        "http://contoso.azuredatalakestore.net/webhdfs/v1/reports/new.txt?op=CREATE&write=true",
        "https://contoso.azuredatalakestore.net:8443/webhdfs/v1/reports/new.txt?op=CREATE\
         &write=true",
        "https://169.254.169.254/webhdfs/v1/reports/new.txt?op=CREATE&write=true",
    ] {
        let rig = Rig::lake(GEN1).start().await;
        rig.emulator.faults().add(redirect(elsewhere));
        let response = create(&rig).await;
        // The message names the host if `redirects` could permit it.
        let status = match &response.error {
            Some(CallError::Redirect(_)) => 403,
            Some(CallError::Violation { violation: Violation::OtherHost { .. }, .. }) | None => 502,
            Some(other) => panic!("{elsewhere}: {other}"),
        };
        assert_eq!(response.status, status, "{elsewhere}: {}", response.text());
        let nameable = !elsewhere.starts_with("http:") && !elsewhere.contains("169.254");
        assert_eq!(status == 403, nameable, "{elsewhere}: {}", response.text());
        assert!(
            rig.emulator.log().all().iter().all(|seen| seen.body_bytes == 0),
            "{elsewhere}: nothing was sent"
        );
        rig.assert_no_token_in(&response);
    }
}

#[tokio::test]
async fn a_target_of_redirects_can_be_allowed() {
    let other = "other.azuredatalakestore.net";
    let rig = Rig::lake(GEN1)
        .mount_lines(&format!("redirects = [\"https://{other}\"]"))
        .resolving(other)
        .start()
        .await;
    rig.emulator
        .faults()
        .add(redirect(&format!("https://{other}/webhdfs/v1/reports/new.txt?op=CREATE&write=true")));
    create(&rig).await;
    let seen = rig.emulator.log().all().into_iter().find(|seen| seen.host == other);
    assert!(seen.is_some(), "the second step went there");
    assert!(rig.audit.wait(1).await.upstream[1].token, "with the token");
}

#[tokio::test]
async fn a_second_redirect_is_not_followed() {
    let rig = Rig::lake(GEN1).start().await;
    let again = format!("https://{GEN1}/webhdfs/v1/reports/new.txt?op=CREATE&write=true");
    rig.emulator.faults().add(Fault::always("datalake", FaultKind::Redirect(again)));
    let response = create(&rig).await;
    assert_eq!(response.status, 502, "{}", response.text());
    assert_eq!(rig.emulator.log().for_service("datalake").len(), 2);
}

#[tokio::test]
async fn the_error_about_a_denied_redirect_names_the_line_that_permits_it() {
    let lines = "redirects = [\"https://other.azuredatalakestore.net\"]";
    let rig = Rig::lake(GEN1).mount_lines(lines).start().await;
    rig.emulator
        .faults()
        .add(redirect("https://Node.example:8443/webhdfs/v1/reports/new.txt?op=CREATE&write=true"));
    let response = create(&rig).await;
    assert_eq!(response.status, 403, "{}", response.text());
    let error = response.error.unwrap();
    let line = "redirects = [\"https://other.azuredatalakestore.net\", \
                \"https://node.example:8443\"] in [mount.lake]";
    assert!(error.detail().contains(line), "{error}");
    assert!(
        error.to_string().contains("https://contoso.azuredatalakestore.net redirects to"),
        "{error}"
    );
    let record = rig.audit.wait(1).await;
    assert_eq!((record.rule, record.outcome), (Some("redirects"), Outcome::Denied));
}

#[tokio::test]
async fn redirects_are_checked_with_the_configuration() {
    let plan = |redirects: &str| {
        let text = format!(
            "[identity.default]\nsource = \"imds\"\n[mount.lake]\nplugin = \"adls\"\nendpoint = \
             \"https://{GEN1}\"\n\
             redirects = [{redirects}]\n"
        );
        let plugins =
            keyward::Plugins::new().with("adls", keyward_bundle::plugin("adls").unwrap().component);
        let config =
            keyward_policy::config::Config::from_toml(std::path::Path::new("k.toml"), &text);
        config.and_then(|config| keyward::plan(config, &plugins)).map_err(|error| error.to_string())
    };
    for wrong in [
        "http://x.example",
        "https://u@x.example",
        "https://x.example/?a",
        "sqlserver://x.example",
        "https://*.x",
    ] {
        let error = plan(&format!("{wrong:?}")).unwrap_err();
        assert!(error.contains("k.toml:6:14") && error.contains(wrong), "{error}");
    }
    let plan =
        plan("\"https://collect.example\", \"https://node.azuredatalakestore.net\"").unwrap();
    let redirects = plan.mounts[0].grants[0].redirects.iter();
    assert_eq!(redirects.map(|redirect| redirect.takes_token).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test]
async fn a_first_step_without_content_leads_to_the_node_through_the_mount() {
    let rig = with_node(REDIRECTS).start().await;
    let first = send(&rig, "PUT", "/webhdfs/v1/reports/new.txt?op=CREATE&overwrite=true", "").await;
    let second = send(&rig, "PUT", &link(&rig, &first), "one\n").await;
    assert_eq!(second.status, 201, "{}", second.text());
    let location = second.headers["location"].to_str().unwrap();
    assert_eq!(location, "http://localhost/lake/webhdfs/v1/reports/new.txt");
    let first = send(&rig, "POST", "/webhdfs/v1/reports/new.txt?op=APPEND", "").await;
    assert_eq!(send(&rig, "POST", &link(&rig, &first), "two\n").await.status, 200);
    let read = send(&rig, "GET", "/webhdfs/v1/reports/new.txt?op=OPEN", "").await;
    assert_eq!((read.status.as_u16(), read.text().as_str()), (200, "one\ntwo\n"));
    let sum = send(&rig, "GET", "/webhdfs/v1/reports/new.txt?op=GETFILECHECKSUM", "").await;
    assert!(sum.status == 200 && sum.text().contains("FileChecksum"), "{}", sum.text());

    let seen = rig.emulator.log().for_service("datalake");
    let steps: Vec<_> =
        seen.iter().map(|seen| (seen.host == NODE, seen.status, seen.body_bytes)).collect();
    assert_eq!(steps[..4], [(false, 307, 0), (true, 201, 4), (false, 307, 0), (true, 200, 4)]);
    assert!(steps[4..].iter().all(|(_, status, _)| matches!(status, 200 | 307)), "{steps:?}");
}

#[tokio::test]
async fn with_content_there_is_one_request_and_one_answer() {
    let rig = with_node(REDIRECTS).start().await;
    assert_eq!(create(&rig).await.status, 201);
    let appended =
        send(&rig, "POST", "/webhdfs/v1/reports/new.txt?op=APPEND&noredirect=true", "!").await;
    assert_eq!(appended.status, 200, "{}", appended.text());
    assert_eq!(
        send(&rig, "GET", "/webhdfs/v1/reports/new.txt?op=OPEN", "").await.text(),
        "the text!"
    );
}

#[tokio::test]
async fn without_a_redirect_the_link_is_in_an_object() {
    let rig = with_node(REDIRECTS).start().await;
    for (method, operation, content) in
        [("PUT", "CREATE", "one"), ("POST", "APPEND", "two"), ("GET", "OPEN", "")]
    {
        let path = format!("/webhdfs/v1/reports/new.txt?op={operation}&noredirect=true");
        let first = send(&rig, method, &path, "").await;
        assert_eq!(
            (first.status.as_u16(), first.headers.get("location")),
            (200, None),
            "{}",
            first.text()
        );
        let object: serde_json::Value = serde_json::from_slice(&first.body).unwrap();
        let second =
            send(&rig, method, &behind_mount(object["Location"].as_str().unwrap()), content).await;
        assert!(second.status.is_success(), "{operation}: {}", second.text());
        if operation == "OPEN" {
            assert_eq!(second.text(), "onetwo");
        }
    }
}

#[tokio::test]
async fn a_link_works_only_for_its_caller() {
    let rig = with_node(REDIRECTS).start().await;
    let link = link(&rig, &send(&rig, "PUT", "/webhdfs/v1/reports/new.txt?op=CREATE", "").await);
    let request = Request::put(&link).body(Full::from(Bytes::from_static(b"x"))).unwrap();
    let stolen = rig.broker.call("lake", &Caller::named("another"), request).await.unwrap();
    assert_eq!(stolen.status(), 403);
    let text = stolen.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&text).contains("RemoteException"), "{text:?}");
    assert!(rig.emulator.log().for_service("datalake").iter().all(|seen| seen.host != NODE));
    assert_eq!(send(&rig, "PUT", &link, "x").await.status, 201);
}

#[tokio::test]
async fn a_link_does_not_lead_beyond_redirects() {
    let rig = with_node("").start().await;
    let link = link(&rig, &send(&rig, "PUT", "/webhdfs/v1/reports/new.txt?op=CREATE", "").await);
    let second = send(&rig, "PUT", &link, "x").await;
    // The redirect came to an earlier call.
    let Some(CallError::Redirect(denied)) = second.error else { panic!("{}", second.text()) };
    assert!(denied.help().contains(&format!("{REDIRECTS} in [mount.lake]")), "{denied}");
    assert!(rig.emulator.log().for_service("datalake").iter().all(|seen| seen.host != NODE));
}

#[tokio::test]
async fn a_link_does_not_lead_beyond_allow() {
    let lines = format!("{REDIRECTS}\nallow = [\"PUT /webhdfs/v1/reports/*\"]");
    let rig = with_node(&lines).start().await;
    rig.emulator
        .faults()
        .add(redirect(&format!("https://{NODE}/webhdfs/v1/other/new.txt?op=CREATE")));
    let link = link(&rig, &send(&rig, "PUT", "/webhdfs/v1/reports/new.txt?op=CREATE", "").await);
    let second = send(&rig, "PUT", &link, "x").await;
    assert!(second.status == 403 && second.error.is_some(), "{}", second.text());
    assert!(rig.emulator.log().for_service("datalake").iter().all(|seen| seen.host != NODE));
}

#[tokio::test]
async fn an_unknown_operation_returns_the_error_of_the_service() {
    let rig = Rig::lake(GEN1).start().await;
    for (method, operation) in [("GET", "GETXATTRS"), ("PUT", "CREATESNAPSHOT"), ("POST", "NOSUCH")]
    {
        let response = send(&rig, method, &format!("/webhdfs/v1/reports?op={operation}"), "").await;
        let error: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(
            (response.status.as_u16(), error["RemoteException"]["exception"].as_str()),
            (400, Some("IllegalArgumentException"))
        );
    }
    let truncated =
        send(&rig, "POST", "/webhdfs/v1/reports/2026.csv?op=TRUNCATE&newlength=5", "").await;
    assert_eq!(truncated.text(), r#"{"boolean":true}"#);
    assert_eq!(send(&rig, "GET", "/webhdfs/v1/reports/2026.csv?op=OPEN", "").await.text(), "month");
    let home = send(&rig, "GET", "/webhdfs/v1/?op=GETHOMEDIRECTORY", "").await;
    assert!(home.text().contains("Path"), "{}", home.text());
}
