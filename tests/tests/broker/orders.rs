//! The bundled plugin for databases.

use http::StatusCode;
use keyward_emulator::{Fault, FaultKind};
use keyward_tests::{CallResponse, Rig, get, post};
use serde_json::{Value, json};

async fn query(rig: &Rig, body: Value) -> CallResponse {
    let response = rig.call(post("/query", &[], &body)).await;
    rig.assert_no_token_in(&response);
    response
}

fn json_of(response: &CallResponse) -> Value {
    assert!(response.broken.is_none(), "{:?}", response.broken);
    serde_json::from_slice(&response.body)
        .unwrap_or_else(|error| panic!("{error}: {}", response.text()))
}

#[tokio::test]
async fn the_tutorials_query_returns_columns_types_and_rows() {
    let rig = Rig::orders("").start().await;
    let response = query(&rig, json!({ "sql": "SELECT * FROM orders ORDER BY id" })).await;
    assert_eq!(response.status, 200, "{}", response.text());
    let body = json_of(&response);
    let names: Vec<_> = body["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| (&column["name"], &column["type"]))
        .collect();
    assert_eq!(
        names,
        [
            (&json!("id"), &json!("int")),
            (&json!("customer"), &json!("nvarchar")),
            (&json!("total"), &json!("decimal")),
            (&json!("placed"), &json!("datetime2")),
            (&json!("note"), &json!("nvarchar")),
        ]
    );
    assert_eq!(
        body["rows"][0],
        json!([1, "Fabrikam", "1200.50", "2024-01-15T09:30:00.0000000", null])
    );
    assert_eq!(body["rows"].as_array().unwrap().len(), 3);
    let seen = rig.emulator.log().for_service("sql");
    assert_eq!(
        seen[0].identity.as_deref(),
        Some(keyward_emulator::Identity::system_assigned().name.as_str())
    );
}

#[tokio::test]
async fn every_type_survives_json_both_ways() {
    let rig = Rig::orders("").start().await;
    let out = json_of(
        &query(&rig, json!({ "sql": "select * from types where id = @id", "params": { "id": 1 } }))
            .await,
    );
    let row = out["rows"][0].as_array().unwrap().clone();
    for expected in [
        json!(255),
        json!(2_147_483_647),
        json!("9223372036854775807"),
        json!(true),
        json!("1234567890123456789012345678.0123456789"),
        json!("922337203685477.5807"),
        json!("214748.3647"),
        json!(0.5),
        json!("für 5 €"),
        json!("漢字 🎉"),
        json!("3q2+7w=="),
        json!("2024-02-29"),
        json!("23:59:59.9999999"),
        json!("0001-01-01T00:00:00.0000001"),
        json!("2024-02-29T23:59:59.9999999-03:30"),
        json!("01234567-89AB-CDEF-0123-456789ABCDEF"),
        json!("<a>1</a>"),
    ] {
        assert!(row.contains(&expected), "{expected} in {row:?}");
    }
    // Results that are sent back as parameters of their type are unchanged.
    for (column, value) in out["columns"].as_array().unwrap().iter().zip(&row) {
        let kind = column["type"].as_str().unwrap();
        let of = match kind {
            "decimal" => "decimal(38,10)".to_owned(),
            "char" | "nchar" => format!("{kind}(10)"),
            "varchar" | "nvarchar" | "varbinary" => format!("{kind}(max)"),
            "binary" => "binary(8)".to_owned(),
            other => other.to_owned(),
        };
        let sql = format!("select cast(@v as {of}) as v");
        let again = json_of(
            &query(
                &rig,
                json!({ "sql": sql, "params": { "v": { "type": kind, "value": value } } }),
            )
            .await,
        );
        let number = |value: &Value| value.as_str().and_then(|text| text.parse::<f64>().ok());
        let back = &again["rows"][0][0];
        // A nullable smalldatetime is reported as a datetime, which has thousandths.
        let thousandths =
            |value: &Value| json!(format!("{}.000", value.as_str().unwrap_or_default()));
        let same = match kind {
            "decimal" => number(back) == number(value),
            "datetime" => back == value || *back == thousandths(value),
            _ => back == value,
        };
        assert!(same, "{kind}: {value} became {again}");
    }
}

#[tokio::test]
async fn rows_are_streamed_as_lines() {
    let rig = Rig::orders("max_rows = 2000000").start().await;
    let sql =
        "with n as (select 1 as i union all select i + 1 from n where i < 20000) select i from n";
    let response = rig
        .call(post("/query", &[("accept", "application/x-ndjson")], &json!({ "sql": sql })))
        .await;
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.headers["content-type"], "application/x-ndjson");
    let text = response.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], lines[1]), ("{\"columns\":[{\"name\":\"i\",\"type\":\"int\"}]}", "[1]"));
    assert_eq!((lines[20_000], lines[20_001]), ("[20000]", "{\"end\":{\"rows\":20000}}"));
}

#[tokio::test]
async fn an_aborted_stream_of_rows_never_looks_complete() {
    let rig = Rig::orders("").start().await;
    let sql = "with n as (select 1 as i union all select i + 1 from n where i < 50000) select i, \
               'some text' as t from n";
    for accept in ["application/json", "application/x-ndjson"] {
        rig.emulator.faults().add(Fault::once("sql", FaultKind::Truncate(600_000)).at("RPC"));
        let response =
            rig.call(post("/query", &[("accept", accept)], &json!({ "sql": sql }))).await;
        assert_eq!(response.status, 200, "{}", response.text());
        assert!(
            response.broken.is_some(),
            "{accept}: it ended well, after {} bytes",
            response.body.len()
        );
        assert!(serde_json::from_slice::<Value>(&response.body).is_err());
        assert!(!response.text().contains("\"end\""));
    }
}

#[tokio::test]
async fn affected_rows_are_counted() {
    let rig = Rig::orders("").start().await;
    let sql = "insert into orders values (@id, @who, @total, @at, null); update orders set note = \
               'x' where id < @id";
    let params = json!({
        "id": 70,
        "who": "Zoë",
        "total": 0.10,
        "at": { "type": "datetime2", "value": "2024-01-01T00:00:00" },
    });
    let response = rig.call(post("/execute", &[], &json!({ "sql": sql, "params": params }))).await;
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(json_of(&response), json!({ "rows_affected": 4, "statements": [1, 3] }));
    let body =
        json_of(&query(&rig, json!({ "sql": "select total from orders where id = 70" })).await);
    assert_eq!(body["rows"], json!([["0.10"]]));
}

#[tokio::test]
async fn named_queries_are_from_the_configuration() {
    let rig = Rig::orders(
        "[mount.orders.settings.queries]\nof = \"select id from orders where customer = @who\"",
    )
    .start()
    .await;
    let response =
        rig.call(post("/queries/of", &[], &json!({ "params": { "who": "Northwind" } }))).await;
    assert_eq!(json_of(&response)["rows"], json!([[2]]));
    let response = rig.call(post("/queries/other", &[], &json!({}))).await;
    assert_eq!(response.status, 404);
    assert!(!response.text().contains("customer"), "{}", response.text());
    assert_eq!(rig.call(get("/queries/of", &[])).await.status, 405);
}

#[tokio::test]
async fn a_statement_is_sent_as_json() {
    let rig = Rig::orders("").start().await;
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let mut request = post("/execute", &[], &json!({ "sql": "delete from orders" }));
        let value = http::HeaderValue::from_static(content_type);
        request.headers_mut().insert("content-type", value);
        let response = rig.call(request).await;
        assert_eq!(response.status, 415, "{content_type}: {}", response.text());
        assert!(response.text().contains("urn:keyward:problem:media-type"), "{}", response.text());
    }
    let body = json_of(&query(&rig, json!({ "sql": "select count(*) from orders" })).await);
    assert_eq!(body["rows"], json!([[3]]));
}

#[tokio::test]
async fn a_read_only_mount_writes_nothing() {
    let rig = Rig::orders("read_only = true").start().await;
    for sql in [
        "delete from orders",
        "select 1; drop table orders",
        "select * into copy from orders",
        "exec sp_who",
        "select 1 shutdown",
    ] {
        let response = query(&rig, json!({ "sql": sql })).await;
        assert_eq!(response.status, 403, "{sql}: {}", response.text());
        let response = rig.call(post("/execute", &[], &json!({ "sql": sql }))).await;
        assert_eq!(response.status, 403, "{sql}: {}", response.text());
    }
    assert!(rig.emulator.log().for_service("sql").is_empty(), "nothing of it was sent");
    assert_eq!(
        query(&rig, json!({ "sql": "select count(*) as n from orders where total > 1" }))
            .await
            .status,
        200
    );
    let deep = format!("select {}1{}", "(".repeat(5000), ")".repeat(5000));
    let response = query(&rig, json!({ "sql": deep })).await;
    assert_eq!(response.status, 403, "{}", response.text());
}

#[tokio::test]
async fn server_errors_are_problems_with_the_error_number() {
    let rig = Rig::orders("").start().await;
    let response = query(&rig, json!({ "sql": "select * from nowhere" })).await;
    assert_eq!(
        (response.status, &response.headers["content-type"]),
        (StatusCode::BAD_REQUEST, &"application/problem+json".parse().unwrap())
    );
    let problem = json_of(&response);
    assert_eq!(
        (&problem["number"], &problem["class"], &problem["line"]),
        (&json!(208), &json!(16), &json!(1))
    );
    assert!(problem["detail"].as_str().unwrap().contains("nowhere"), "{problem}");
    let response =
        query(&rig, json!({ "sql": "insert into orders values (1, 'x', 1, '2024-01-01', null)" }))
            .await;
    assert_eq!(
        (response.status, json_of(&response)["number"].clone()),
        (StatusCode::CONFLICT, json!(2627))
    );
}

#[tokio::test]
async fn the_error_about_a_failed_login_says_what_to_check() {
    for (number, words) in [(18456, "CREATE USER"), (40615, "firewall"), (4060, "database")] {
        let rig = Rig::orders("").start().await;
        rig.emulator.faults().add(Fault::always("sql", FaultKind::SqlError(number)).at("LOGIN"));
        let response = query(&rig, json!({ "sql": "select 1" })).await;
        assert_eq!(response.status, 403, "{number}: {}", response.text());
        assert!(response.text().contains(words), "{number}: {}", response.text());
    }
}

const VAULT: &str = "auth = \"password\"\nuser = \"app\"\npassword_secret = \"sql-password\"\n\
                     [mount.orders.audience.vault]\nendpoint = \
                     \"https://contoso.vault.azure.net\"\n\
                     allow = [\"GET /secrets/sql-password\"]";

#[tokio::test]
async fn a_password_from_key_vault_logs_in_and_stays_hidden() {
    let rig = Rig::orders(VAULT).start().await;
    let response = query(&rig, json!({ "sql": "select suser_sname() as who" })).await;
    assert_eq!(json_of(&response)["rows"], json!([["app"]]), "{}", response.text());
    let body = format!("{}{:?}{:?}", response.text(), response.headers, rig.audit.wait(1).await);
    assert!(!body.contains("correct-horse"), "{body}");
    assert!(!keyward_tests::Logs::collect().text().contains("correct-horse"));
}

#[tokio::test]
async fn responses_are_limited() {
    let rig = Rig::orders("max_rows = 10").start().await;
    let sql =
        "with n as (select 1 as i union all select i + 1 from n where i < 100) select i from n";
    let response = query(&rig, json!({ "sql": sql })).await;
    assert_eq!(response.status, 422, "{}", response.text());
    assert!(response.text().contains("max_rows"), "{}", response.text());
    rig.emulator.faults().add(Fault::once("sql", FaultKind::Hang).at("RPC"));
    let response = query(&rig, json!({ "sql": "select 1", "timeout": "100ms" })).await;
    assert_eq!(response.status, 504, "{}", response.text());
}

#[tokio::test]
async fn the_sovereign_clouds_have_servers_and_audiences_of_their_own() {
    for (cloud, host) in [
        ("china", "contoso.database.chinacloudapi.cn"),
        ("usgov", "contoso.database.usgovcloudapi.net"),
    ] {
        let rig = Rig::orders("").in_cloud(cloud, &format!("sqlserver://{host}")).start().await;
        let response = query(&rig, json!({ "sql": "select 1 as one" })).await;
        assert_eq!(response.status, 200, "{}", response.text());
        assert_eq!(rig.emulator.log().for_service("sql")[0].host, host);
    }
}
