//! The database server, with the client `tiberius`.
use std::time::Duration;

use crate::tds::{SERVER, Tiberius, config, connect, connect_strictly};
use futures_util::TryStreamExt;
use keyward_emulator::{Emulator, Fault, FaultKind, Options};
use tiberius::time::{Date, DateTime, DateTime2, DateTimeOffset, SmallDateTime, Time};
use tiberius::{AuthMethod, ColumnData, Query, Row};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const RESOURCE: &str = "https%3A%2F%2Fdatabase.windows.net%2F";

async fn emulator() -> Emulator {
    Emulator::start(Options::default()).await.unwrap()
}

fn password() -> AuthMethod {
    AuthMethod::sql_server("app", "correct-horse-battery")
}

async fn connect_with_password(emulator: &Emulator) -> Tiberius {
    connect(emulator, config(SERVER, password())).await.unwrap()
}

async fn rows(client: &mut Tiberius, sql: &str) -> Vec<Row> {
    client.simple_query(sql).await.unwrap().into_first_result().await.unwrap()
}

/// The number of the error that a query fails with.
async fn error(client: &mut Tiberius, sql: &str) -> u32 {
    let failed = match client.simple_query(sql).await {
        Ok(stream) => stream.into_results().await.err(),
        Err(error) => Some(error),
    };
    failed.unwrap_or_else(|| panic!("{sql} does not fail")).code().unwrap()
}

#[tokio::test]
async fn a_login_with_a_token_can_span_packets() {
    let emulator = emulator().await;
    let token = crate::client::token(&emulator, RESOURCE, "").await;
    let mut client =
        connect(&emulator, config(SERVER, AuthMethod::aad_token(&token))).await.unwrap();
    let row =
        rows(&mut client, "SELECT DB_NAME() AS db, SUSER_SNAME(), @@SPID AS spid").await.remove(0);
    assert_eq!(row.get::<&str, _>("db"), Some("shop"));
    assert!(row.get::<&str, _>(1).unwrap().contains('@'));
    assert!(row.get::<i16, _>("spid").unwrap() > 0);

    let logged = emulator.log().for_service("sql");
    assert_eq!(
        (logged[0].method.as_str(), logged[0].path.as_str(), logged[0].status),
        ("LOGIN", "shop", 200)
    );
    assert_eq!(
        logged[0].identity.as_deref(),
        Some(keyward_emulator::Identity::system_assigned().name.as_str())
    );
    assert!(logged[0].body_bytes > 4096, "the token is longer than a packet");
    assert_eq!((logged[1].method.as_str(), logged[1].status), ("BATCH", 200));
    assert!(!format!("{logged:?}").contains(&token));
}

#[tokio::test]
async fn a_token_is_checked_for_cloud_audience_time_and_role() {
    let emulator = emulator().await;
    let reports = emulator_identity("reports");
    for (resource, server, identity, good) in [
        (RESOURCE, SERVER, "", true),
        (
            "https%3A%2F%2Fdatabase.chinacloudapi.cn%2F",
            "contoso.database.chinacloudapi.cn",
            "",
            true,
        ),
        (
            "https%3A%2F%2Fdatabase.usgovcloudapi.net%2F",
            "contoso.database.usgovcloudapi.net",
            "",
            true,
        ),
        ("https%3A%2F%2Fdatabase.chinacloudapi.cn%2F", SERVER, "", false),
        ("https%3A%2F%2Fdatabase.windows.net", SERVER, "", false),
        ("https%3A%2F%2Fvault.azure.net", SERVER, "", false),
        (RESOURCE, SERVER, reports.as_str(), false),
    ] {
        let token = crate::client::token(&emulator, resource, identity).await;
        let code = connect(&emulator, config(server, AuthMethod::aad_token(token)))
            .await
            .err()
            .map(|error| error.code());
        assert_eq!(
            code,
            if good { None } else { Some(Some(18456)) },
            "{resource} {server} {identity}"
        );
    }
    emulator.set_token_lifetime(Duration::ZERO);
    let token = crate::client::token(&emulator, RESOURCE, "").await;
    let error =
        connect(&emulator, config(SERVER, AuthMethod::aad_token(token))).await.err().unwrap();
    assert!(
        error.to_string().contains("Login failed for user '<token-identified principal>'."),
        "{error}"
    );
}

fn emulator_identity(name: &str) -> String {
    let directory = keyward_emulator::Directory::contoso();
    format!("&client_id={}", directory.identity(name).unwrap().client_id)
}

#[tokio::test]
async fn a_login_needs_a_valid_password_and_an_existing_database() {
    let emulator = emulator().await;
    let mut client = connect_with_password(&emulator).await;
    assert_eq!(rows(&mut client, "SELECT SUSER_SNAME()").await[0].get::<&str, _>(0), Some("app"));

    let wrong = config(SERVER, AuthMethod::sql_server("app", "wrong"));
    assert_eq!(connect(&emulator, wrong).await.err().unwrap().code(), Some(18456));
    let mut nowhere = config(SERVER, password());
    nowhere.database("nowhere");
    assert_eq!(connect(&emulator, nowhere).await.err().unwrap().code(), Some(4060));
    assert!(!format!("{:?}", emulator.log().all()).contains("correct-horse"));
}

#[tokio::test]
async fn a_client_can_start_with_tls() {
    let emulator = emulator().await;
    let token = crate::client::token(&emulator, RESOURCE, "").await;
    let mut client =
        connect_strictly(&emulator, config(SERVER, AuthMethod::aad_token(token))).await.unwrap();
    assert_eq!(rows(&mut client, "SELECT 1").await[0].get::<i32, _>(0), Some(1));
}

#[tokio::test]
async fn a_login_without_encryption_fails() {
    let emulator = emulator().await;
    let mut stream = tokio::net::TcpStream::connect(emulator.sql_address()).await.unwrap();
    let prelogin = [0x12, 1, 0, 15, 0, 0, 0, 0, 1, 0, 6, 0, 1, 0xff, 2];
    stream.write_all(&prelogin).await.unwrap();
    let (_, response) = crate::tds::packet(&mut stream).await.unwrap();
    assert_eq!(response[crate::tds::encryption(&response)], 3, "encryption is required");
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn columns_have_their_declared_types() {
    let emulator = emulator().await;
    let mut client = connect_with_password(&emulator).await;
    let all = rows(&mut client, "SELECT * FROM dbo.[types] ORDER BY id").await;
    let columns: Vec<String> =
        all[0].columns().iter().map(|column| format!("{:?}", column.column_type())).collect();
    let shown: Vec<String> = all[0].cells().map(|(_, data)| format!("{data:?}")).collect();
    assert_eq!(shown.len(), 29);
    for (at, expected) in [
        (1, "U8(Some(255))"),
        (2, "I16(Some(-32768))"),
        (4, "I64(Some(9223372036854775807))"),
        (5, "Bit(Some(true))"),
        (6, "Numeric(Some(1234567890123456789012345678.0123456789))"),
        (7, "Numeric(Some(123456.789))"),
        (10, "F32(Some(0.5))"),
        (11, "F64(Some(1.7976931348623157e308))"),
        (12, "String(Some(\"char      \"))"),
        (13, "String(Some(\"für 5 €\"))"),
        (16, "String(Some(\"漢字 🎉\"))"),
        (18, "Binary(Some([1, 2, 3, 4, 5, 6, 7, 8]))"),
        (20, "Binary(Some([222, 173, 190, 239]))"),
    ] {
        assert_eq!(shown[at], expected, "{}", columns[at]);
    }
    let row = &all[0];
    // 2024-02-29 23:59:59.9999999 -03:30, or what each type keeps of it. Days count from
    // 0001-01-01, those of the older types from 1900-01-01.
    let tenths_of_microseconds = |seconds: u64| Time::new(seconds * 10_000_000 + 9_999_999, 7);
    let in_utc = DateTime2::new(Date::new(738_945), tenths_of_microseconds(3 * 3600 + 30 * 60 - 1));
    for (name, expected) in [
        ("c_date", ColumnData::Date(Some(Date::new(738_944)))),
        ("c_time", ColumnData::Time(Some(tenths_of_microseconds(86_399)))),
        ("c_datetime", ColumnData::DateTime(Some(DateTime::new(45_349, 86_399 * 300 + 299)))),
        ("c_smalldatetime", ColumnData::SmallDateTime(Some(SmallDateTime::new(45_349, 1439)))),
        ("c_datetimeoffset", ColumnData::DateTimeOffset(Some(DateTimeOffset::new(in_utc, -210)))),
    ] {
        let (_, data) = row.cells().find(|(column, _)| column.name() == name).unwrap();
        assert_eq!(*data, expected, "{name}");
    }
    let guid: tiberius::Uuid = row.get("c_uniqueidentifier").unwrap();
    assert_eq!(guid.to_string(), "01234567-89ab-cdef-0123-456789abcdef");
    assert_eq!(row.get::<&tiberius::xml::XmlData, _>("c_xml").unwrap().as_ref(), "<a>1</a>");

    for (_, data) in all[1].cells().skip(1) {
        assert!(format!("{data:?}").ends_with("(None)"), "{data:?}");
    }
}

#[tokio::test]
async fn parameters_of_all_types_round_trip() {
    let emulator = emulator().await;
    let mut client = connect_with_password(&emulator).await;
    let long = "ä".repeat(100_000);
    let decimal =
        tiberius::numeric::Numeric::new_with_scale(12_345_678_901_234_567_890_123_456_789, 9);
    let mut query = Query::new("SELECT @P1, @P2 AS two, @P3, @P4, @P5, @P6, @P7, @P8");
    query.bind(i64::MAX);
    query.bind("it's");
    query.bind(long.as_str());
    query.bind(decimal);
    query.bind(vec![0_u8, 255]);
    query.bind(Option::<i32>::None);
    query.bind(tiberius::Uuid::from_u128(7));
    query.bind(0.1_f64);
    let row = query.query(&mut client).await.unwrap().into_row().await.unwrap().unwrap();
    assert_eq!(row.get::<i64, _>(0), Some(i64::MAX));
    assert_eq!(row.get::<&str, _>("two"), Some("it's"));
    assert_eq!(row.get::<&str, _>(2), Some(long.as_str()));
    assert_eq!(row.get::<tiberius::numeric::Numeric, _>(3), Some(decimal));
    assert_eq!(row.get::<&[u8], _>(4), Some(&[0, 255][..]));
    assert_eq!(row.get::<i32, _>(5), None);
    assert_eq!(row.get::<tiberius::Uuid, _>(6), Some(tiberius::Uuid::from_u128(7)));
    assert_eq!(row.get::<f64, _>(7), Some(0.1));

    let changed = client
        .execute("UPDATE orders SET note = @P1 WHERE id >= @P2", &[&"seen", &2])
        .await
        .unwrap();
    assert_eq!(changed.rows_affected(), [2]);
    let logged = emulator.log().for_service("sql");
    assert!(
        logged
            .iter()
            .any(|logged| logged.method == "RPC" && logged.query.starts_with("UPDATE orders")),
        "{logged:?}"
    );
    assert!(!format!("{logged:?}").contains("it's"));
}

#[tokio::test]
async fn a_batch_has_a_result_for_each_query() {
    let emulator = emulator().await;
    let mut client = connect_with_password(&emulator).await;
    let batch = "SET NOCOUNT OFF
        DECLARE @least decimal(9, 2) = 50
        SELECT TOP (1) id, CAST(total AS int) AS total FROM orders
        WHERE total > @least ORDER BY id DESC
        SELECT COUNT(*) AS n, N'x' + customer AS who FROM [orders] WHERE id = 1;
        SELECT 1 WHERE 1 = 0";
    let results = client.simple_query(batch).await.unwrap().into_results().await.unwrap();
    assert_eq!(results.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 0]);
    assert_eq!(results[0][0].get::<i32, _>("total"), Some(89));
    assert_eq!(
        (results[1][0].get::<i32, _>("n"), results[1][0].get::<&str, _>("who")),
        (Some(1), Some("xFabrikam"))
    );
    let sum = rows(&mut client, "SELECT SUM(o.total) AS s, MAX(placed) FROM orders o").await;
    assert_eq!(format!("{:?}", sum[0].cells().next().unwrap().1), "Numeric(Some(1290.54))");
    let total = rows(&mut client, "SELECT total FROM orders WHERE id = 3").await;
    let (_, total) = total[0].cells().next().unwrap();
    assert!(matches!(total, ColumnData::Numeric(Some(n)) if n.to_string() == "0.05"));
}

#[tokio::test]
async fn a_temporary_table_belongs_to_its_session() {
    let emulator = emulator().await;
    let mut client = connect_with_password(&emulator).await;
    let create = "CREATE TABLE #t (id int IDENTITY(1,1) PRIMARY KEY, name nvarchar(10), \
                  at datetime2(3) DEFAULT SYSUTCDATETIME() NOT NULL)";
    client.simple_query(create).await.unwrap().into_results().await.unwrap();
    let made = rows(
        &mut client,
        "INSERT INTO #t (name) OUTPUT INSERTED.id, INSERTED.name VALUES (N'a'), (N'b')",
    )
    .await;
    assert_eq!(
        (made.len(), made[1].get::<i32, _>("id"), made[1].get::<&str, _>("name")),
        (2, Some(2), Some("b"))
    );
    let at = rows(&mut client, "SELECT at FROM #t").await.remove(0);
    assert!(matches!(at.into_iter().next(), Some(ColumnData::DateTime2(Some(_)))));
    assert_eq!(error(&mut connect_with_password(&emulator).await, "SELECT * FROM #t").await, 208);
}

#[tokio::test]
async fn errors_have_the_numbers_of_sql_server() {
    let emulator = emulator().await;
    let mut client = connect_with_password(&emulator).await;
    for (sql, number) in [
        ("SELECT * FROM missing", 208),
        ("SELECT missing FROM orders", 207),
        ("SELECT [missing] FROM orders", 207),
        ("SELEC 1", 102),
        ("SELECT 1 +", 102),
        ("SELECT 'x", 105),
        ("INSERT INTO orders VALUES (1, 'x', 1, '2024-01-01', NULL)", 2627),
        ("INSERT INTO orders (id) VALUES (9)", 515),
        ("INSERT INTO orders VALUES (9, REPLICATE('x', 101), 1, '2024-01-01', NULL)", 2628),
        ("SELECT 1 / (id - 1) FROM orders", 8134),
        ("SELECT CAST('x' AS int)", 245),
        ("SELECT @missing", 137),
        ("RAISERROR('no %s', 16, 1, 'tea')", 50000),
        ("THROW 51000, 'no', 1", 51000),
        ("EXEC missing_procedure", 2812),
        ("COMMIT", 3902),
    ] {
        assert_eq!(error(&mut client, sql).await, number, "{sql}");
    }
    assert_eq!(rows(&mut client, "SELECT 1").await.len(), 1, "the session continues");
}

#[tokio::test]
async fn a_million_rows_are_streamed() {
    let emulator = emulator().await;
    let mut client = connect_with_password(&emulator).await;
    let sql = "SELECT value FROM GENERATE_SERIES(1, 1000000)";
    let mut stream = client.simple_query(sql).await.unwrap().into_row_stream();
    let (mut count, mut sum) = (0_u64, 0_i64);
    while let Some(row) = stream.try_next().await.unwrap() {
        count += 1;
        sum += i64::from(row.get::<i32, _>(0).unwrap());
    }
    assert_eq!((count, sum), (1_000_000, 500_000_500_000));
}

#[tokio::test]
async fn uncommitted_changes_are_invisible_to_other_sessions() {
    let emulator = emulator().await;
    let (mut one, mut two) =
        (connect_with_password(&emulator).await, connect_with_password(&emulator).await);
    let count = "SELECT COUNT(*) FROM orders";
    one.begin_transaction().await.unwrap();
    one.execute("DELETE FROM orders WHERE id = @P1", &[&1]).await.unwrap();
    assert_eq!(rows(&mut one, count).await[0].get::<i32, _>(0), Some(2));
    assert_eq!(rows(&mut two, count).await[0].get::<i32, _>(0), Some(3));
    one.rollback_transaction().await.unwrap();
    assert_eq!(rows(&mut one, count).await[0].get::<i32, _>(0), Some(3));

    let batch = "BEGIN TRAN; DELETE orders WHERE id = 1; IF @@TRANCOUNT > 0 COMMIT ELSE SELECT 1";
    one.simple_query(batch).await.unwrap().into_results().await.unwrap();
    assert_eq!(rows(&mut two, count).await[0].get::<i32, _>(0), Some(2));
}

#[tokio::test]
async fn an_attention_cancels_the_statement() {
    let emulator = emulator().await;
    let mut client = connect_with_password(&emulator).await;
    let waits = async {
        client
            .simple_query("WAITFOR DELAY '23:00:00'")
            .await
            .unwrap()
            .into_results()
            .await
            .map(drop)
    };
    assert!(tokio::time::timeout(Duration::from_millis(100), waits).await.is_err());
    client.cancel_query().await.unwrap();
    assert_eq!(rows(&mut client, "SELECT 2").await[0].get::<i32, _>(0), Some(2));
}

/// The acknowledgement of a cancellation during rows is a message of its own, which `cancel_query`
/// of tiberius 0.13 does not read: such a connection is dropped.
#[tokio::test]
async fn a_statement_ends_when_its_client_disconnects() {
    let emulator = emulator().await;
    let mut client = connect_with_password(&emulator).await;
    let sql = "SELECT value FROM GENERATE_SERIES(1, 1000000000000)";
    let mut stream = client.simple_query(sql).await.unwrap().into_row_stream();
    assert!(stream.try_next().await.unwrap().is_some());
    drop(stream);
    drop(client);
    let ended = emulator.log().wait_for(|logged| logged.method == "BATCH");
    assert_eq!(
        tokio::time::timeout(Duration::from_secs(10), ended).await.unwrap().unwrap().status,
        0
    );
}

#[tokio::test]
async fn faults_change_responses_and_connections() {
    let emulator = emulator().await;
    let mut unavailable = Fault::once("sql", FaultKind::SqlError(40613)).at("LOGIN");
    unavailable.times = Some(2);
    emulator.faults().add(unavailable);
    for _ in 0..2 {
        let error = connect(&emulator, config(SERVER, password())).await.err().unwrap();
        assert_eq!(error.code(), Some(40613));
    }
    let mut client = connect_with_password(&emulator).await;
    emulator.faults().add(Fault::once("sql", FaultKind::SqlError(1205)).at("BATCH"));
    assert_eq!(error(&mut client, "SELECT 1").await, 1205);
    assert_eq!(rows(&mut client, "SELECT 1").await.len(), 1);

    for kind in [FaultKind::Close, FaultKind::Truncate(40), FaultKind::Html] {
        let mut client = connect_with_password(&emulator).await;
        emulator.faults().add(Fault::once("sql", kind.clone()).at("BATCH"));
        let failed = match client.simple_query("SELECT * FROM orders").await {
            Ok(stream) => stream.into_results().await.is_err(),
            Err(_) => true,
        };
        assert!(failed, "{kind:?}");
    }

    emulator.faults().add(Fault::once("sql", FaultKind::Hang).at("LOGIN"));
    let hangs = connect(&emulator, config(SERVER, password()));
    assert!(tokio::time::timeout(Duration::from_millis(200), hangs).await.is_err());

    emulator.faults().add(Fault::once("sql", FaultKind::Stall(100)).at("BATCH"));
    let stalls = async {
        let stream = client.simple_query("SELECT * FROM orders").await.unwrap();
        stream.into_results().await.unwrap()
    };
    tokio::pin!(stalls);
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut stalls).await.is_err());
    emulator.faults().clear();
    assert_eq!(stalls.await[0].len(), 3);
}
