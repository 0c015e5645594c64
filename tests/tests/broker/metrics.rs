//! Counters for Prometheus.

use keyward_tests::{Rig, Secrets, get};

fn metrics(rig: &Rig) -> String {
    let text = keyward::metrics::encode(&rig.broker);
    Secrets::tokens(rig.emulator.issued_tokens()).assert_absent("the metrics", text.as_bytes());
    text
}

fn value(text: &str, name: &str, identity: &str) -> Option<u64> {
    let begin = format!("{name}{{identity=\"{identity}\",audience=\"https://vault.azure.net\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&begin)?.parse().ok())
}

#[tokio::test]
async fn tokens_are_counted_by_identity_and_audience() {
    let rig = Rig::keyvault().start().await;
    let before = metrics(&rig);
    assert_eq!(value(&before, "keyward_token_requests_total", "default"), Some(0));
    assert_eq!(
        value(&before, "keyward_token_expires_at_seconds", "default"),
        None,
        "there is no token yet"
    );
    for _ in 0..3 {
        assert_eq!(rig.call(get("/secrets/db", &[])).await.status, 200);
    }
    let text = metrics(&rig);
    let of = |name: &str| value(&text, &format!("keyward_token_{name}"), "default");
    assert_eq!(
        (of("requests_total"), of("fetches_total"), of("failures_total")),
        (Some(3), Some(1), Some(0))
    );
    assert_eq!(
        (of("refused_total"), of("stale_total"), of("restored_total")),
        (Some(0), Some(0), Some(0))
    );
    let day = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() + 24 * 3600;
    assert!(of("expires_at_seconds").unwrap().abs_diff(day) < 300, "{text}");
}

#[tokio::test]
async fn failures_are_counted_too() {
    let rig = Rig::keyvault().start().await;
    rig.emulator.faults().status("imds", 403, &[], "");
    assert_ne!(rig.call(get("/secrets/db", &[])).await.status, 200);
    let text = metrics(&rig);
    let of = |name: &str| value(&text, &format!("keyward_token_{name}"), "default");
    assert_eq!(
        (of("requests_total"), of("refused_total"), of("failures_total")),
        (Some(1), Some(1), Some(1))
    );
    assert_eq!(of("fetches_total"), Some(0));
}

#[tokio::test]
async fn each_metric_has_one_help_and_type_before_its_values() {
    let identity = "[identity.\"quo\\\"ted\"]\nsource = \"imds\"";
    let rig = Rig::keyvault().mount_lines("identity = 'quo\"ted'").sections(identity).start().await;
    let text = metrics(&rig);
    assert_eq!(value(&text, "keyward_token_requests_total", "quo\\\"ted"), Some(0), "{text}");
    let families = text.strip_suffix("# EOF\n").expect("a complete exposition");
    assert_eq!(keyward::metrics::encode_families(&rig.broker), families);
    let mut family = None;
    for line in families.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let name = help.split(' ').next().unwrap();
            assert_eq!(text.matches(&format!("# HELP {name} ")).count(), 1);
            assert_eq!(text.matches(&format!("# TYPE {name} ")).count(), 1);
            family = Some(name);
        } else if !line.starts_with("# TYPE ") && !line.starts_with("# UNIT ") {
            let family = family.unwrap();
            let begins = |suffix| line.starts_with(&format!("{family}{suffix}{{identity=\""));
            assert!(begins("_total") || begins(""), "{line}");
        }
    }
}
