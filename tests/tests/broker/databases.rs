//! Databases: logins with tokens and with sealed passwords, every type, results, transactions, and
//! the pool.

use std::time::Duration;

use keyward::audit::Outcome;
use keyward::identity::clock::ManualClock;
use keyward::{CallError, Limit};
use keyward_emulator::{Fault, FaultKind};
use keyward_tests::{CallResponse, Rig, RigBuilder, get};

/// Calls the guest with these steps. The response is its report.
async fn act(rig: &Rig, steps: &str) -> CallResponse {
    rig.call(get("/", &[("x-do", steps)])).await
}

/// The report of a successful call.
async fn acted(rig: &Rig, steps: &str) -> String {
    let response = act(rig, steps).await;
    assert_eq!(response.status, 200, "{steps}: {}", response.text());
    rig.assert_no_token_in(&response);
    response.text()
}

fn database() -> RigBuilder {
    Rig::database("")
}

fn logins(rig: &Rig) -> Vec<(String, u16)> {
    let seen = rig.emulator.log().for_service("sql").into_iter();
    seen.filter(|seen| seen.method == "LOGIN").map(|seen| (seen.path, seen.status)).collect()
}

#[tokio::test]
async fn a_token_logs_in_and_the_plugin_sees_only_its_surrogate() {
    let rig = database().start().await;
    let report = acted(&rig, "open shop | query select db_name() as db, 1 as one | all").await;
    assert!(
        report.contains("Columns([Column { name: \"db\", data-type: DataType::Nvarchar }"),
        "{report}"
    );
    assert!(report.contains("Value::Text(\"shop\"), Value::Int(1)"), "{report}");
    assert_eq!(logins(&rig), [("shop".to_owned(), 200)]);
    let record = rig.audit.wait(1).await;
    assert_eq!(record.outcome, Outcome::Answered);
    let upstream: Vec<_> =
        record.upstream.iter().map(|upstream| (upstream.method.as_str(), upstream.token)).collect();
    assert_eq!(upstream, [("CONNECT", true), ("QUERY", false)]);
    assert_eq!(record.upstream[0].url, "sqlserver://contoso.database.windows.net/shop");
    assert_eq!(record.upstream[0].audience.as_deref(), Some("https://database.windows.net/"));
    assert!(
        !keyward_tests::Logs::collect().text().contains("tiberius"),
        "messages of tiberius are not logged"
    );
}

#[tokio::test]
async fn every_type_can_be_read() {
    let rig = database().start().await;
    let report = acted(&rig, "open shop | query select * from types order by id | all").await;
    for value in [
        "Tinyint(255)",
        "Smallint(-32768)",
        "Int(2147483647)",
        "Bigint(9223372036854775807)",
        "Bit(true)",
        "Decimal(\"1234567890123456789012345678.0123456789\")",
        "Decimal(\"123456.789\")",
        "Decimal(\"922337203685477.5807\")",
        "Decimal(\"214748.3647\")",
        "Real(0.5)",
        "Float(1.7976931348623157e308)",
        "Text(\"char      \")",
        "Text(\"für 5 €\")",
        "Text(\"漢字 🎉\")",
        "Text(\"länger\")",
        "Binary([1, 2, 3, 4, 5, 6, 7, 8])",
        "Binary([255, 0])",
        "Binary([222, 173, 190, 239])",
        "Date(\"2024-02-29\")",
        "Time(\"23:59:59.9999999\")",
        "Datetime(\"2024-02-29T23:59:59.997\")",
        "Datetime(\"2024-02-29T23:59:00\")",
        "Datetime(\"0001-01-01T00:00:00.0000001\")",
        "Datetimeoffset(\"2024-02-29T23:59:59.9999999-03:30\")",
        "Uniqueidentifier(\"01234567-89AB-CDEF-0123-456789ABCDEF\")",
        "Xml(\"<a>1</a>\")",
    ] {
        assert!(report.contains(value), "{value} in {report}");
    }
    for kind in ["Smallmoney", "Money", "Decimal", "Xml", "Datetimeoffset", "Varbinary", "Nvarchar"]
    {
        assert!(
            report.contains(&format!("data-type: DataType::{kind}")),
            "no column of {kind} in {report}"
        );
        assert!(
            report.contains(&format!("Null(DataType::{kind})")),
            "no NULL of {kind} in {report}"
        );
    }
}

#[tokio::test]
async fn every_type_can_be_a_parameter() {
    let rig = database().start().await;
    for (kind, text, of, back) in [
        ("bit", "true", "bit", "Bit(true)"),
        ("tinyint", "255", "tinyint", "Tinyint(255)"),
        ("smallint", "-32768", "smallint", "Smallint(-32768)"),
        ("int", "-2147483648", "int", "Int(-2147483648)"),
        ("bigint", "-9223372036854775808", "bigint", "Bigint(-9223372036854775808)"),
        ("real", "0.5", "real", "Real(0.5)"),
        ("float", "0.1", "float", "Float(0.1)"),
        (
            "decimal",
            "-12345678901234567890.0123456789",
            "decimal(38,10)",
            "Decimal(\"-12345678901234567890.0123456789\")",
        ),
        ("decimal", "-922337203685477.5808", "money", "Decimal(\"-922337203685477.5808\")"),
        ("text", "für 5 € 🎉", "nvarchar(max)", "Text(\"für 5 € 🎉\")"),
        ("binary", "abc", "varbinary(max)", "Binary([97, 98, 99])"),
        ("date", "0001-01-01", "date", "Date(\"0001-01-01\")"),
        ("time", "23:59:59.9999999", "time(7)", "Time(\"23:59:59.9999999\")"),
        (
            "datetime",
            "9999-12-31T23:59:59.9999999",
            "datetime2(7)",
            "Datetime(\"9999-12-31T23:59:59.9999999\")",
        ),
        (
            "datetimeoffset",
            "2024-02-29T00:00:00.0000001+14:00",
            "datetimeoffset(7)",
            "Datetimeoffset(\"2024-02-29T00:00:00.0000001+14:00\")",
        ),
        (
            "uniqueidentifier",
            "01234567-89ab-cdef-0123-456789abcdef",
            "uniqueidentifier",
            "Uniqueidentifier(\"01234567-89AB-CDEF-0123-456789ABCDEF\")",
        ),
        ("xml", "<a>1</a>", "xml", "Xml(\"<a>1</a>\")"),
        ("null", "varbinary", "varbinary(10)", "Null(DataType::Varbinary)"),
        ("null", "int", "int", "Null(DataType::Int)"),
        ("null", "date", "date", "Null(DataType::Date)"),
        ("null", "uniqueidentifier", "uniqueidentifier", "Null(DataType::Uniqueidentifier)"),
    ] {
        let steps = format!(
            "open shop | parameter {kind} {text} | query select cast(@P1 as {of}) as v | all"
        );
        let report = acted(&rig, &steps).await;
        assert!(report.contains(back), "{kind} {text}: {back} in {report}");
    }
}

#[tokio::test]
async fn an_invalid_value_is_rejected_before_anything_is_sent() {
    let rig = database().start().await;
    let report =
        acted(&rig, "open shop | parameter date yesterday | query select @P1 | execute select 1")
            .await;
    assert!(report.contains("Invalid(\"parameter @P1 is not a valid date\")"), "{report}");
    assert!(report.contains("execute: ["), "the connection is good: {report}");
}

#[tokio::test]
async fn several_result_sets_come_one_after_another() {
    let rig = database().start().await;
    let report = acted(
        &rig,
        "open shop | query select 1 as a; select 'x' as b, 2 as c; select 3 as d where 1 = 0 | all",
    )
    .await;
    assert_eq!(report.matches("Columns(").count(), 3, "{report}");
    assert_eq!(report.matches("Rows(").count(), 2, "{report}");
}

#[tokio::test]
async fn execute_returns_the_count_of_affected_rows() {
    let rig = database().start().await;
    let report = acted(
        &rig,
        "open shop | execute create table #t (a int) | execute insert into #t values (1), (2), \
         (3) | parameter int 2 | execute delete from #t where a >= @P1 | query select count(*) as \
         n from #t | all",
    )
    .await;
    assert!(report.contains("execute: [3]") && report.contains("execute: [2]"), "{report}");
    assert!(report.contains("Int(1)"), "{report}");
}

#[tokio::test]
async fn the_servers_errors_come_with_number_state_class_and_message() {
    let rig = database().start().await;
    let report =
        acted(&rig, "open shop | query select * from nowhere | all | query select 1 as one | all")
            .await;
    assert!(
        report.contains("error 208 state 1 class 16: Invalid object name 'nowhere'."),
        "{report}"
    );
    assert!(report.contains("Int(1)"), "the connection goes on: {report}");
    let record = rig.audit.wait(1).await;
    assert_eq!(record.upstream[0].error.as_deref(), Some("server error 208"));
    assert!(!format!("{record:?}").contains("nowhere"), "statements are not audited");
}

#[tokio::test]
async fn transactions_are_committed_or_rolled_back() {
    let rig = database().start().await;
    let count = "query select count(*) as n from orders | all";
    let insert = "execute insert into orders values (50, 'x', 1, '2024-01-01', null)";
    let report =
        acted(&rig, &format!("open shop | begin | {insert} | {count} | rollback | {count}")).await;
    assert!(report.contains("Int(4)") && report.contains("Int(3)"), "{report}");
    let report =
        acted(&rig, &format!("open shop | begin serializable | {insert} | commit | {count}")).await;
    assert!(report.contains("commit: ok") && report.contains("Int(4)"), "{report}");
    let report = acted(&rig, "open shop | commit | rollback | begin | begin").await;
    assert_eq!(report.matches("Invalid(\"no transaction is open\")").count(), 2, "{report}");
    assert!(report.contains("Invalid(\"a transaction is open already\")"), "{report}");
}

#[tokio::test]
async fn a_pooled_connection_is_reset_before_reuse() {
    let rig = database().start().await;
    let report = acted(
        &rig,
        "open shop | execute create table #mine (secret int) | query select @@spid as spid | all",
    )
    .await;
    let spid = report.split("Smallint(").nth(1).unwrap().split(')').next().unwrap().to_owned();
    let report =
        acted(&rig, "open shop | query select @@spid as spid | all | query select * from #mine")
            .await;
    assert!(report.contains(&format!("Smallint({spid})")), "the same connection: {report}");
    assert!(report.contains("error 208"), "without what the one before left there: {report}");
    assert_eq!(logins(&rig).len(), 1);
    let record = rig.audit.wait(2).await;
    assert!(record.upstream[0].cached, "it was kept: {record:?}");
}

#[tokio::test]
async fn the_isolation_level_is_reset_before_reuse() {
    let rig = database().start().await;
    let report =
        acted(&rig, "open shop | begin serializable | commit | begin | rollback | open shop").await;
    assert!(!report.contains("Error"), "{report}");
    acted(&rig, "open shop | query select 1 | all").await;
    assert_eq!(logins(&rig).len(), 2, "it was set back, and used again");
    // Left as it is, it is not used again.
    acted(&rig, "open shop | begin snapshot | execute select 1").await;
}

#[tokio::test]
async fn the_time_limit_applies_to_a_reader_that_never_waits() {
    let rig = database().start().await;
    let many = "with n as (select 1 as i union all select i + 1 from n where i < 100000000) \
                select i from n";
    let report = acted(&rig, &format!("open shop | timeout 300 | query {many} | count")).await;
    assert!(report.contains("Error::TimedOut"), "{report}");
}

#[tokio::test]
async fn many_empty_result_sets_fit_in_a_guests_memory() {
    let rig = database().limits("memory = \"2MiB\"").start().await;
    let sets = "select 1 as a where 1 = 0; ".repeat(2000);
    let report = acted(
        &rig,
        &format!("open shop | query {sets} | next 4294967295 | next 4294967295 | count"),
    )
    .await;
    assert!(report.contains("count: 0 end"), "{}", report.get(..300).unwrap_or(&report));
}

#[tokio::test]
async fn execute_skips_rows() {
    let rig = database().limits("memory = \"2MiB\"").start().await;
    let sql =
        "select replicate(cast('x' as varchar(max)), 100000) as x from generate_series(1, 100)";
    let report = acted(&rig, &format!("open shop | execute {sql}")).await;
    assert!(report.contains("execute: [100]"), "{report}");
}

#[tokio::test]
async fn a_connection_with_an_open_transaction_is_closed() {
    let rig = database().start().await;
    let insert = "execute insert into orders values (60, 'x', 1, '2024-01-01', null)";
    acted(&rig, &format!("open shop | begin | {insert}")).await;
    // Begun by a statement instead of the interface.
    acted(&rig, &format!("open shop | execute begin transaction | {insert}")).await;
    let report = acted(&rig, "open shop | query select count(*) as n from orders | all").await;
    assert!(report.contains("Int(3)"), "both are undone: {report}");
    assert_eq!(logins(&rig).len(), 3, "no connection was used twice");
}

#[tokio::test]
async fn unread_results_are_cancelled() {
    let rig = database().start().await;
    let many =
        "with n as (select 1 as i union all select i + 1 from n where i < 1000000) select i from n";
    let report =
        acted(&rig, &format!("open shop | query {many} | next 1 | next 1 | query select 1")).await;
    assert!(
        report.contains(
            "Invalid(\"the results of a query were neither read to their end nor dropped\")"
        ),
        "{report}"
    );
    let report =
        acted(&rig, &format!("open shop | query {many} | next 1 | drop | query select 1")).await;
    assert!(report.contains("Broken("), "its connection is gone: {report}");
    let report = acted(&rig, "open shop | query select 1 as one | all").await;
    assert!(report.contains("Int(1)"), "{report}");
    assert_eq!(logins(&rig).len(), 3, "neither came back");
}

#[tokio::test]
async fn a_plugin_can_set_the_time_limit_of_a_query() {
    let rig = database().start().await;
    rig.emulator.faults().add(Fault::once("sql", FaultKind::Hang).at("RPC"));
    let report = acted(&rig, "open shop | timeout 50 | query select 1 | query select 1").await;
    assert!(report.contains("query: Error::TimedOut"), "{report}");
    assert!(report.contains("Broken("), "{report}");
    rig.emulator.faults().clear();
    rig.emulator.faults().add(Fault::once("sql", FaultKind::Hang).at("RPC"));
    let report = acted(&rig, "open shop | timeout 50 | execute select 1").await;
    assert!(report.contains("execute: Error::TimedOut"), "{report}");
}

#[tokio::test]
async fn a_broken_connection_is_not_reused() {
    let rig = database().start().await;
    acted(&rig, "open shop | query select 1 | all").await;
    rig.emulator.faults().add(Fault::once("sql", FaultKind::Close).at("RPC"));
    let report = acted(&rig, "open shop | query select 1").await;
    assert!(report.contains("query: Error::Broken("), "{report}");
    let report = acted(&rig, "open shop | query select 1 as one | all").await;
    assert!(report.contains("Int(1)"), "{report}");
    assert_eq!(logins(&rig).len(), 2);
}

#[tokio::test]
async fn transient_errors_are_retried_only_while_connecting() {
    for number in [40613, 40197, 40501, 49918, 49919, 49920, 10928, 10929, 4060] {
        let rig = database().start().await;
        rig.emulator.faults().add(Fault::once("sql", FaultKind::SqlError(number)).at("LOGIN"));
        let report = acted(&rig, "open shop | query select 1 as one | all").await;
        assert!(report.contains("Int(1)"), "{number}: {report}");
        assert_eq!(logins(&rig).len(), 2, "{number}");
        rig.emulator.faults().add(Fault::once("sql", FaultKind::SqlError(number)).at("RPC"));
        let report = acted(&rig, "open shop | execute select 1").await;
        assert!(report.contains(&format!("execute: error {number}")), "{report}");
    }
    let rig = database().start().await;
    rig.emulator.faults().add(Fault::always("sql", FaultKind::SqlError(18456)).at("LOGIN"));
    let report = acted(&rig, "open shop").await;
    assert!(report.contains("open: error 18456"), "{report}");
    assert_eq!(logins(&rig).len(), 1, "what will not change is not tried again");
}

#[tokio::test]
async fn a_gateway_may_redirect_only_to_a_node_of_its_service() {
    let node = "db1.tr1.emulator1-a.worker.database.windows.net".to_owned();
    let rig = database().start().await;
    let route = |host: &str, port| FaultKind::SqlRoute { host: host.to_owned(), port };
    rig.emulator.faults().add(Fault::once("sql", route(&node, 11001)).at("LOGIN"));
    let report = acted(&rig, "open shop | query select 1 as one | all").await;
    assert!(report.contains("Int(1)"), "{report}");
    for (host, port) in
        [("evil.database.windows.net", 11001), ("evil.example", 11001), (node.as_str(), 1433)]
    {
        let rig = database().start().await;
        rig.emulator.faults().add(Fault::once("sql", route(host, port)).at("LOGIN"));
        let report = acted(&rig, "open shop").await;
        assert!(
            report.contains("redirects to a server that is not a node of its service"),
            "{report}"
        );
    }
    let rig = database().start().await;
    rig.emulator.faults().add(Fault::always("sql", route(&node, 11001)).at("LOGIN"));
    assert!(acted(&rig, "open shop").await.contains("after too many redirects"));
}

#[tokio::test]
async fn a_sealed_password_logs_in() {
    let rig = database().start().await;
    let report =
        acted(&rig, "login app sql-password | open shop | query select suser_sname() as who | all")
            .await;
    assert!(report.contains("Text(\"app\")"), "{report}");
    assert!(!report.contains("correct-horse"), "{report}");
    let record = rig.audit.wait(1).await;
    let connect = record.upstream.iter().find(|upstream| upstream.method == "CONNECT").unwrap();
    assert!(connect.sealed && !connect.token, "{connect:?}");
    // Another user, another connection.
    acted(&rig, "open shop").await;
    assert_eq!(logins(&rig).len(), 2);
    acted(&rig, "login app sql-password | open shop").await;
    assert_eq!(logins(&rig).len(), 2, "each has one of its own, and it is kept");
    assert!(!keyward_tests::Logs::collect().text().contains("correct-horse"));
}

#[tokio::test]
async fn a_rejected_password_is_read_again() {
    let rig = database().start().await;
    let seen = |rig: &Rig| rig.emulator.log().for_service("vault").len();
    let report = acted(&rig, "login app db | open shop").await;
    assert!(report.contains("error 18456") && !report.contains("swordfish"), "{report}");
    assert_eq!(seen(&rig), 1);
    acted(&rig, "login app db | open shop").await;
    assert_eq!(seen(&rig), 2, "perhaps it was changed");
    acted(&rig, "login app sql-password | open shop").await;
    acted(&rig, "login app sql-password | open shop").await;
    assert_eq!(seen(&rig), 3, "one that is good is kept");
}

#[tokio::test]
async fn a_connection_is_retired_with_its_token() {
    let wall = std::time::UNIX_EPOCH.elapsed().unwrap();
    let clock = ManualClock::at(wall);
    let rig = database().clock(clock.clone()).start().await;
    rig.emulator.set_token_lifetime(Duration::from_secs(3600));
    acted(&rig, "open shop | query select 1 | all").await;
    acted(&rig, "open shop | query select 1 | all").await;
    assert_eq!(logins(&rig).len(), 1);
    // The token is renewed five minutes before it expires, and from then on no call uses what was
    // logged in with the old one.
    rig.emulator.set_token_lifetime(Duration::from_secs(7200));
    clock.advance(Duration::from_secs(3600 - 290));
    acted(&rig, "open shop | query select 1 | all").await;
    assert_eq!((logins(&rig).len(), rig.tokens().count()), (2, 2));
    // A minute before its end it is not used either, whether there is another one or not.
    rig.emulator.faults().add(Fault::always("imds", FaultKind::Close));
    clock.advance(Duration::from_secs(7200 - 3600 + 290 - 30));
    acted(&rig, "open shop").await;
    assert_eq!(logins(&rig).len(), 3);
}

#[tokio::test]
async fn the_pool_is_bounded_and_its_error_names_the_setting() {
    let rig =
        Rig::database("[mount.database.pool]\nconnections = 1\nwait = \"50ms\"").start().await;
    let report = acted(&rig, "open shop | open shop | close | open shop").await;
    assert!(
        report.contains("Busy(") && report.contains("`connections` in [mount.database.pool]"),
        "{report}"
    );
    assert_eq!(report.matches("open: ok").count(), 2, "{report}");
    let rig = Rig::database("[mount.database.pool]\nconnections = 1").start().await;
    let calls = (0..8).map(|_| acted(&rig, "open shop | query select 1 as one | all"));
    let reports = futures_util::future::join_all(calls).await;
    assert!(reports.iter().all(|report| report.contains("Int(1)")));
    assert_eq!(logins(&rig).len(), 1, "all eight had the one connection, one after another");
}

#[tokio::test]
async fn one_caller_cannot_take_all_connections_of_a_mount() {
    let lines = "callers = [\"test\", \"web\"]\n[mount.database.limits]\nconcurrency = 4\n\
                 [mount.database.pool]\nconnections = 4\nwait = \"50ms\"";
    let callers = "[caller.test]\nembedded = \"test\"\n[caller.web]\nuser = 33\n";
    let rig = Rig::database(lines).sections(callers).start().await;
    let report = acted(&rig, "open shop | open shop | open shop | open shop").await;
    assert_eq!(report.matches("open: ok").count(), 3, "{report}");
    for words in [
        "the caller `test` (name=test) has 3 database connections of mount `database` in use",
        "raise `concurrency` in [mount.database.caller.test]",
    ] {
        assert!(report.contains(words), "{words}: {report}");
    }
    let report = acted(&rig, "open shop | open shop | open shop | close | open shop").await;
    assert_eq!(report.matches("open: ok").count(), 4, "{report}");
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let rig = Rig::database("[mount.database.pool]\nidle = \"100ms\"").start().await;
    acted(&rig, "open shop | query select 1 | all").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    acted(&rig, "open shop | query select 1 | all").await;
    assert_eq!(logins(&rig).len(), 2);
    let rig = Rig::database("[mount.database.pool]\nage = \"100ms\"").start().await;
    acted(&rig, "open shop | query select 1 | all").await;
    tokio::time::sleep(Duration::from_millis(150)).await;
    acted(&rig, "open shop | query select 1 | all").await;
    assert_eq!(logins(&rig).len(), 2);
}

#[tokio::test]
async fn a_server_that_misbehaves_is_a_clear_error() {
    for (place, misbehaviour, part) in [
        ("LOGIN", FaultKind::Close, "open: Error::Unreachable("),
        ("LOGIN", FaultKind::Html, "open: Error::Unreachable("),
        ("LOGIN", FaultKind::Bytes(100_000), "open: Error::Unreachable("),
        ("LOGIN", FaultKind::Truncate(10), "open: Error::Unreachable("),
        ("RPC", FaultKind::Html, "Broken("),
        ("RPC", FaultKind::Bytes(100_000), "Broken("),
        ("RPC", FaultKind::Truncate(20), "Broken("),
        ("RPC", FaultKind::Truncate(60), "Broken("),
    ] {
        let rig = database().start().await;
        rig.emulator.faults().add(Fault::once("sql", misbehaviour.clone()).at(place));
        let report =
            acted(&rig, "open shop | query select 'a text of some length' as a | all").await;
        assert!(report.contains(part), "{place} {misbehaviour:?}: {report}");
        let report = acted(&rig, "open shop | query select 1 as one | all").await;
        assert!(report.contains("Int(1)"), "{place} {misbehaviour:?}: {report}");
    }
}

#[tokio::test]
async fn a_server_that_stalls_times_out() {
    let rig = database().sections("[egress]\nconnect_timeout = \"200ms\"").start().await;
    rig.emulator.faults().add(Fault::once("sql", FaultKind::Hang).at("LOGIN"));
    let report = acted(&rig, "open shop").await;
    assert!(report.contains("did not accept a connection and a login within 200ms"), "{report}");
    let rig = database().limits("idle_time = \"200ms\"").start().await;
    rig.emulator.faults().add(Fault::once("sql", FaultKind::Stall(70)).at("RPC"));
    let response = act(&rig, "open shop | query select 'a text of some length' as a | all").await;
    assert!(
        matches!(response.error, Some(CallError::Limit { limit: Limit::IdleTime(_), .. })),
        "{:?}",
        response.error
    );
}
