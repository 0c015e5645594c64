//! Guests that try to bypass the rules for databases, or to obtain a credential through one.

use std::net::SocketAddr;
use std::time::Duration;

use keyward::audit::Outcome;
use keyward::{CallError, Limit, Resolve, Resolving, SURROGATE_PREFIX, Violation};
use keyward_tests::{CallResponse, Rig, get};

async fn act(rig: &Rig, steps: &str) -> CallResponse {
    let response = rig.call(get("/", &[("x-do", steps)])).await;
    rig.assert_no_token_in(&response);
    assert!(!response.text().contains("correct-horse"), "{}", response.text());
    response
}

#[tokio::test]
async fn a_login_accepts_only_a_database_surrogate_of_this_call() {
    let rig = Rig::database("").start().await;
    let earlier = act(&rig, "surrogate sql").await.text().replace("surrogate: ", "");
    assert!(earlier.starts_with(SURROGATE_PREFIX), "{earlier}");
    for (steps, expected) in [
        ("text eyJ0.a.token | open shop".to_owned(), Violation::ForeignLogin),
        (format!("text {} | open shop", earlier.trim()), Violation::ForeignLogin),
        (format!("text {SURROGATE_PREFIX}{} | open shop", "A".repeat(43)), Violation::ForeignLogin),
        (
            "token vault | open shop".to_owned(),
            Violation::OtherAudience { audience: "vault".to_owned() },
        ),
        ("login-with-token app | open shop".to_owned(), Violation::ForeignLogin),
        ("token-from-password sql-password | open shop".to_owned(), Violation::ForeignLogin),
        ("spend-in-query sql-password".to_owned(), Violation::MisplacedSurrogate("query")),
        ("open-with-surrogate".to_owned(), Violation::MisplacedSurrogate("database's name")),
        ("open shop | query-with-surrogate".to_owned(), Violation::MisplacedSurrogate("statement")),
        ("open a/b".to_owned(), Violation::Database),
        ("open ..".to_owned(), Violation::Database),
    ] {
        let response = act(&rig, &steps).await;
        assert_eq!(response.violation(), &expected, "{steps}");
    }
    let statements = rig
        .emulator
        .log()
        .for_service("sql")
        .into_iter()
        .filter(|seen| seen.method != "LOGIN")
        .count();
    assert_eq!(statements, 0, "nothing was run");
    let record = rig.audit.wait(12).await;
    assert_eq!((record.outcome, record.rule), (Outcome::Denied, Some("database")));
}

#[tokio::test]
async fn the_error_about_a_denied_database_names_the_line_that_permits_it() {
    let rig = Rig::database("allow = [\"CONNECT /shop\"]").start().await;
    let response = act(&rig, "open master").await;
    assert_eq!(response.status, 403);
    let error = response.error.as_ref().unwrap().to_string();
    assert!(error.contains("CONNECT /master") && error.contains("[mount.database]"), "{error}");
    assert_eq!(act(&rig, "open shop").await.status, 200);
    assert_eq!(rig.emulator.log().for_service("sql").len(), 1);
}

#[tokio::test]
async fn statements_and_connections_are_limited() {
    let rig = Rig::database("").limits("requests = 5").start().await;
    let response = act(&rig, &format!("open shop {}", "| execute select 1 ".repeat(5))).await;
    assert!(
        matches!(response.error, Some(CallError::Limit { limit: Limit::Requests(5), .. })),
        "{:?}",
        response.error
    );
    let rig = Rig::database("").limits("connections = 3").start().await;
    let response = act(&rig, "open shop | open shop | open shop | open shop").await;
    assert!(
        matches!(response.error, Some(CallError::Limit { limit: Limit::Connections(3), .. })),
        "{:?}",
        response.error
    );
    let response =
        act(&rig, "open shop | close | open shop | close | open shop | close | open shop").await;
    assert_eq!(response.status, 200, "those that it gave back do not count");
}

#[tokio::test]
async fn a_row_larger_than_a_guests_memory_is_not_buffered() {
    let rig = Rig::database("").limits("memory = \"2MiB\"").start().await;
    let steps = "open shop | query select replicate(cast('x' as varchar(max)), 4000000) as x | all";
    let response = act(&rig, steps).await;
    assert!(
        matches!(response.error, Some(CallError::Limit { limit: Limit::RowBytes(_), .. })),
        "{:?}",
        response.error
    );
    assert_eq!(act(&rig, "open shop | query select 1 as one | all").await.status, 200);
}

#[tokio::test]
async fn a_row_may_take_half_of_the_memory_that_a_call_has_left() {
    let rig = Rig::database("").limits("memory = \"16MiB\"").start().await;
    let row = |bytes: u32| {
        format!("open shop | query select replicate(cast('x' as varchar(max)), {bytes}) as x | all")
    };
    let response = act(&rig, &row(1_000_000)).await;
    assert_eq!(response.status, 200, "{:?}", response.error);
    let response = act(&rig, &row(9_000_000)).await;
    assert!(
        matches!(response.error, Some(CallError::Limit { limit: Limit::RowBytes(_), .. })),
        "{:?}",
        response.error
    );
}

#[tokio::test]
async fn rows_are_sent_only_as_fast_as_they_are_read() {
    let rig = Rig::database("").limits("memory = \"3MiB\"").start().await;
    let many = "with n as (select 1 as i union all select i + 1 from n where i < 50000) select i, \
                'some text' as t from n";
    let response = act(&rig, &format!("open shop | query {many} | count")).await;
    assert!(response.text().contains("count: 50000 end"), "{}", response.text());
}

#[tokio::test]
async fn a_guest_that_never_reads_its_rows_affects_only_itself() {
    let rig = Rig::database("").limits("idle_time = \"2s\"").start().await;
    let many = "with n as (select 1 as i union all select i + 1 from n where i < 10000000) select \
                i from n";
    let steps = format!("open shop | query {many} | next 1 | sleep 3600");
    let (response, other) =
        tokio::join!(act(&rig, &steps), act(&rig, "open shop | query select 1 as one | all"));
    assert!(
        matches!(response.error, Some(CallError::Limit { limit: Limit::IdleTime(_), .. })),
        "{:?}",
        response.error
    );
    assert!(other.text().contains("Int(1)"), "{}", other.text());
}

#[tokio::test]
async fn a_caller_that_disconnects_cancels_the_query() {
    let rig = Rig::database("").start().await;
    let many = "with n as (select 1 as i union all select i + 1 from n where i < 100000000) \
                select i from n";
    let steps = format!("open shop | query {many} | count");
    let calling = rig.call(get("/", &[("x-do", &steps)]));
    assert!(tokio::time::timeout(Duration::from_millis(300), calling).await.is_err());
    let record = rig.audit.wait(1).await;
    assert_eq!(record.outcome, Outcome::Abandoned);
    assert!(act(&rig, "open shop | query select 1 as one | all").await.text().contains("Int(1)"));
    let logins = rig
        .emulator
        .log()
        .for_service("sql")
        .into_iter()
        .filter(|seen| seen.method == "LOGIN")
        .count();
    assert_eq!(logins, 2, "its connection was closed");
}

#[tokio::test]
async fn a_server_with_an_untrusted_certificate_receives_no_token() {
    let rig = Rig::database("").untrusting().start().await;
    let response = act(&rig, "open shop").await;
    assert!(
        response.text().contains("Unreachable(\"no TLS with contoso.database.windows.net"),
        "{}",
        response.text()
    );
    assert!(rig.emulator.log().for_service("sql").is_empty());

    // A custom host for the service of the manifest's audience.
    let cloud = "[cloud]\nbase = \"public\"\n[cloud.service.own]\naudience = \
                 \"https://database.windows.net/\"\n\
                 hosts = [\"sql.contoso.example\"]\nprotocol = \"sqlserver\"";
    let own = "[mount.database.audience.own]\nendpoint = \"sqlserver://sql.contoso.example\"\n\
               resource = \"https://database.windows.net/\"";
    let rig = Rig::database(own)
        .in_own_cloud(cloud, "sqlserver://contoso.database.windows.net")
        .start()
        .await;
    let response = act(&rig, "token own | open shop").await;
    assert!(
        response.text().contains("Unreachable(\"no TLS with sql.contoso.example"),
        "{}",
        response.text()
    );
    assert!(rig.emulator.log().for_service("sql").is_empty());
    assert_eq!(act(&rig, "token sql | open shop").await.text(), "token: ok\nopen: ok\n");
}

struct To(SocketAddr);

impl Resolve for To {
    fn resolve(&self, _: &str, _: u16) -> Resolving {
        let address = self.0;
        Box::pin(async move { Ok(vec![address]) })
    }
}

#[tokio::test]
async fn a_server_at_a_forbidden_address_is_not_connected_to() {
    for address in ["169.254.169.254:1433", "127.0.0.1:1433", "[::ffff:168.63.129.16]:1433"] {
        let resolver = To(address.parse().unwrap());
        let rig = Rig::database("").sections("").resolver(resolver).start().await;
        let response = act(&rig, "open shop").await;
        let forbidden = matches!(response.error, Some(CallError::ForbiddenAddress { .. }));
        assert!(forbidden, "{address}: {:?}", response.error);
    }
}
