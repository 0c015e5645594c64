//! The log of `source = "auto"`.

use std::io;
use std::sync::{Arc, Mutex};

use keyward_identity::source::{Settings, UserAssigned, auto};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The log lines of `auto` with these variables, without the time.
fn logged(set: &[(&str, &str)], identity: Option<UserAssigned>) -> Vec<String> {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone())
        .finish();
    let env = |name: &str| {
        let variable = set.iter().find(|(known, _)| *known == name);
        variable.map(|(_, value)| (*value).to_owned())
    };
    tracing::subscriber::with_default(subscriber, || {
        drop(auto(&env, identity, None, Settings::default()));
    });
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    text.lines().map(|line| line.trim().to_owned()).collect()
}

#[test]
fn auto_logs_the_chosen_source_and_why_in_one_line() {
    let app = [
        ("IDENTITY_ENDPOINT", "http://localhost:1/"),
        ("IDENTITY_HEADER", "secret-of-the-platform"),
    ];
    let shell = [("MSI_ENDPOINT", "http://localhost:1/")];
    let pod =
        [("AZURE_CLIENT_ID", "c"), ("AZURE_TENANT_ID", "t"), ("AZURE_FEDERATED_TOKEN_FILE", "/f")];
    let reports = UserAssigned::ClientId("00001111-aaaa-2222-bbbb-3333cccc4444".to_owned());
    for (set, identity, parts) in [
        (
            &app[..],
            Some(reports),
            [
                "source=app-service",
                "IDENTITY_ENDPOINT and IDENTITY_HEADER are set",
                "App Service, user-assigned by client id 00001111-aaaa-2222-bbbb-3333cccc4444",
            ],
        ),
        (
            &shell,
            None,
            ["source=cloud-shell", "MSI_ENDPOINT is set", "Cloud Shell, signed-in user"],
        ),
        (
            &pod,
            None,
            [
                "source=workload-identity",
                "AZURE_TENANT_ID and AZURE_FEDERATED_TOKEN_FILE are set",
                "workload identity, client id c",
            ],
        ),
        (
            &[],
            None,
            ["source=imds", "no other source's variables are all set", "IMDS, system-assigned"],
        ),
        (
            &[("IDENTITY_ENDPOINT", "http://127.0.0.1:1/t")],
            None,
            ["source=imds", "no other source's variables are all set", "IMDS, system-assigned"],
        ),
    ] {
        let lines = logged(set, identity);
        assert_eq!(lines.len(), 1, "{lines:?}");
        let start = "INFO keyward_identity::source::auto: chose an identity source";
        assert!(lines[0].starts_with(start), "{lines:?}");
        for part in parts {
            assert!(lines[0].contains(part), "{part} is not in {lines:?}");
        }
        assert!(!lines[0].contains("secret"), "{lines:?}");
    }
}

#[test]
fn auto_logs_nothing_if_the_source_cannot_be_created() {
    let machine_learning = [("MSI_ENDPOINT", "http://localhost:1/"), ("MSI_SECRET", "secret")];
    assert!(logged(&machine_learning, None).is_empty());
    let shell = [("MSI_ENDPOINT", "http://localhost:1/")];
    assert!(logged(&shell, Some(UserAssigned::ClientId("c".to_owned()))).is_empty());
}
