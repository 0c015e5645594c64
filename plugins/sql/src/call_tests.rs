//! Whole calls against a mocked host.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use keyward_plugin::sql::{Column, Credential, DataType, Item, ServerError, SqlError, Value};
use keyward_plugin::testing::{DatabaseRequest, Mount, Reply, text};
use serde_json::{Value as Json, json};

use super::*;

const LINES: &str = "application/x-ndjson";

fn mount() -> Mount {
    Mount::new()
        .endpoint("sql", "https://contoso.database.windows.net")
        .setting("database", "orders")
}

fn post(path: &str, body: impl Into<String>) -> Request {
    let mut request = Request::new(Method::Post, path);
    request.headers.set("content-type", "application/json").unwrap();
    request.body = body.into().into();
    request
}

fn lines(path: &str, body: &str) -> Request {
    let mut request = post(path, body);
    request.headers.set("accept", LINES).unwrap();
    request
}

fn parsed(response: Response) -> (u16, Json) {
    let status = response.status;
    let text = text(response);
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}")))
}

fn id() -> Vec<Column> {
    vec![Column::new("id", DataType::Int)]
}

fn ids(range: std::ops::Range<i32>) -> Item {
    Item::Rows(range.map(|id| vec![Value::Int(id)]).collect())
}

fn divide_by_zero() -> SqlError {
    let message = "Divide by zero error encountered.".to_owned();
    SqlError::Server(ServerError {
        number: 8134,
        state: 1,
        class: 16,
        line: 1,
        message,
        procedure: None,
    })
}

fn mount_with(items: Vec<Result<Item, SqlError>>) -> Mount {
    let items = RefCell::new(items);
    mount().database(move |_| Ok(Reply::items(items.take())))
}

const SELECT: &str = r#"{"sql":"select id from items"}"#;

#[test]
fn a_query_is_sent_with_its_parameters_and_a_token() {
    let requests = Rc::new(RefCell::new(Vec::<DatabaseRequest>::new()));
    let log = Rc::clone(&requests);
    let response = mount()
        .setting("timeout", "7s")
        .database(move |request| {
            log.borrow_mut().push(request);
            let columns =
                vec![Column::new("id", DataType::Bigint), Column::new("name", DataType::Nvarchar)];
            Ok(Reply::rows(columns, vec![vec![Value::Bigint(7), Value::Text("screw".into())]]))
        })
        .call::<Sql>(post(
            "/query",
            r#"{"sql":"select * from items where id = @id","params":{"id":7}}"#,
        ));
    assert_eq!(response.headers.get("content-type").as_deref(), Some("application/json"));
    let columns = json!([{"name": "id", "type": "bigint"}, {"name": "name", "type": "nvarchar"}]);
    assert_eq!(parsed(response), (200, json!({"columns": columns, "rows": [["7", "screw"]]})));
    assert_eq!(
        *requests.borrow(),
        [DatabaseRequest {
            database: "orders".into(),
            credential: Credential::Token("surrogate-for-sql".into()),
            statement: "select * from items where id = @P1".into(),
            parameters: vec![Value::Int(7)],
            timeout: Some(Duration::from_secs(7)),
        }]
    );
}

#[test]
fn further_result_sets_follow_the_first() {
    let set = |from: i32, to: i32| [Ok(Item::Columns(id())), Ok(ids(from..to))];
    let columns = json!([{"name": "id", "type": "int"}]);
    for (items, expected) in [
        (vec![], json!({"columns": [], "rows": []})),
        (vec![Ok(Item::Columns(id()))], json!({"columns": columns, "rows": []})),
        (
            [set(0, 2), set(2, 3), set(3, 5)].concat(),
            json!({"columns": columns, "rows": [[0], [1]], "more": [
                {"columns": columns, "rows": [[2]]}, {"columns": columns, "rows": [[3], [4]]}]}),
        ),
        (
            vec![Ok(Item::Columns(id())), Ok(ids(0..1)), Ok(ids(1..1)), Ok(ids(1..3))],
            json!({"columns": columns, "rows": [[0], [1], [2]]}),
        ),
    ] {
        assert_eq!(parsed(mount_with(items).call::<Sql>(post("/query", SELECT))), (200, expected));
    }
}

#[test]
fn lines_have_one_line_per_row_and_an_end_line() {
    let items =
        vec![Ok(Item::Columns(id())), Ok(ids(0..2)), Ok(Item::Columns(id())), Ok(ids(2..3))];
    let response = mount_with(items).call::<Sql>(lines("/query", SELECT));
    assert_eq!(response.headers.get("content-type").as_deref(), Some(LINES));
    let columns = r#"{"columns":[{"name":"id","type":"int"}]}"#;
    let expected = format!("{columns}\n[0]\n[1]\n{columns}\n[2]\n{{\"end\":{{\"rows\":3}}}}\n");
    assert_eq!(text(response), expected);
    for (accept, expected) in [
        ("text/html, application/x-ndjson;q=0.9", LINES),
        ("application/jsonl", LINES),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
    ] {
        let mut request = post("/query", SELECT);
        request.headers.set("accept", accept).unwrap();
        assert_eq!(
            mount_with(vec![]).call::<Sql>(request).headers.get("content-type").as_deref(),
            Some(expected)
        );
    }
}

#[test]
fn rows_are_read_from_the_database_as_the_caller_reads_them() {
    let batches = Rc::new(Cell::new(0));
    let count = Rc::clone(&batches);
    let response = mount()
        .database(move |_| {
            let count = Rc::clone(&count);
            let rows = (0..1000).map(move |n| {
                count.set(n + 1);
                Ok(ids(n * 1000..(n + 1) * 1000))
            });
            Ok(Reply::items(std::iter::once(Ok(Item::Columns(id()))).chain(rows)))
        })
        .call::<Sql>(post("/query", SELECT));
    assert_eq!(response.status, 200);
    assert!(
        (1..50).contains(&batches.get()),
        "{} batches were read before the caller reads",
        batches.get()
    );
    let (_, body) = parsed(response);
    assert_eq!((batches.get(), body["rows"].as_array().unwrap().len()), (1000, 1_000_000));
}

#[test]
fn an_error_before_the_first_rows_is_a_problem() {
    for items in [vec![Err(divide_by_zero())], vec![Ok(Item::Columns(id())), Err(divide_by_zero())]]
    {
        for request in [post("/query", SELECT), lines("/query", SELECT)] {
            let response = mount_with(items.clone()).call::<Sql>(request);
            assert_eq!(
                response.headers.get("content-type").as_deref(),
                Some("application/problem+json")
            );
            let (status, problem) = parsed(response);
            assert_eq!((status, &problem["number"]), (400, &json!(8134)));
        }
    }
    // In JSON, so is an error while the response fits the buffer.
    let items = vec![Ok(Item::Columns(id())), Ok(ids(0..100)), Err(divide_by_zero())];
    assert_eq!(mount_with(items).call::<Sql>(post("/query", SELECT)).status, 400);
}

#[test]
fn a_later_error_aborts_the_response() {
    let items =
        || vec![Ok(Item::Columns(id())), Ok(ids(0..50_000)), Err(divide_by_zero()), Ok(ids(0..1))];
    let response = mount_with(items()).call::<Sql>(post("/query", SELECT));
    assert_eq!(response.status, 200);
    assert_eq!(text(response), "<the body broke off: the remaining rows are missing>");
    let response = mount_with(items()).call::<Sql>(lines("/query", SELECT));
    assert_eq!(response.status, 200);
    assert!(response.body.into_bytes(usize::MAX).is_err());
}

#[test]
fn aborted_lines_end_with_the_problem() {
    let failed = || Err(divide_by_zero());
    let items = RefCell::new(vec![Ok(Item::Columns(id())), Ok(ids(0..2)), failed()]);
    let mount = mount().database(move |_| Ok(Reply::items(items.take())));
    let response = mount.call::<Sql>(lines("/query", SELECT));
    let seen = Rc::new(RefCell::new(Vec::new()));
    struct Recorder(Rc<RefCell<Vec<u8>>>);
    impl keyward_plugin::Filter for Recorder {
        fn push(&mut self, bytes: &[u8], _: &mut Vec<u8>) {
            self.0.borrow_mut().extend_from_slice(bytes);
        }
        fn finish(&mut self, _: &mut Vec<u8>) {
            panic!("the body looks complete");
        }
    }
    assert!(response.body.filtered(Recorder(Rc::clone(&seen))).into_bytes(0).is_err());
    let seen = String::from_utf8(seen.take()).unwrap();
    let last: Json = serde_json::from_str(seen.lines().last().unwrap()).unwrap();
    assert_eq!((&last["error"]["number"], &last["error"]["status"]), (&json!(8134), &json!(400)));
    assert!(seen.contains("[1]\n{\"error\""), "{seen}");
}

#[test]
fn a_response_that_exceeds_a_limit_is_an_error() {
    let rows = |count: i32| vec![Ok(Item::Columns(id())), Ok(ids(0..count))];
    let body = |more: &str| format!(r#"{{"sql":"select id from items"{more}}}"#);
    for (setting, value, more, expected) in [
        ("max_rows", "10", "", 200),
        ("max_rows", "9", "", 422),
        ("max_rows", "10", r#","max_rows":9"#, 422),
        ("max_rows", "9", r#","max_rows":10"#, 422),
        ("max_bytes", "1KiB", "", 200),
        ("max_bytes", "40", "", 422),
        ("max_bytes", "1KiB", r#","max_bytes":"40B""#, 422),
        ("max_rows", "many", "", 500),
    ] {
        let response =
            mount_with(rows(10)).setting(setting, value).call::<Sql>(post("/query", body(more)));
        let (status, body) = parsed(response);
        assert_eq!(status, expected, "{setting} = {value} {more}: {body}");
        if status != 200 {
            assert!(body["detail"].as_str().unwrap().contains(&format!("`{setting}")), "{body}");
        }
    }
    let response =
        mount_with(rows(50_000)).setting("max_rows", "49999").call::<Sql>(post("/query", SELECT));
    assert_eq!(response.status, 422, "all rows came at once, before the status was sent");
    let late = vec![Ok(Item::Columns(id())), Ok(ids(0..50_000)), Ok(ids(0..1))];
    let response =
        mount_with(late).setting("max_rows", "50000").call::<Sql>(post("/query", SELECT));
    assert_eq!(response.status, 200);
    assert!(response.body.into_bytes(usize::MAX).is_err());
}

#[test]
fn a_request_can_only_lower_the_timeout() {
    for (more, expected) in [("", 30), (r#","timeout":"5s""#, 5), (r#","timeout":"5m""#, 30)] {
        let response = mount()
            .setting("timeout", "30s")
            .database(move |request| {
                assert_eq!(request.timeout, Some(Duration::from_secs(expected)));
                Err(SqlError::TimedOut)
            })
            .call::<Sql>(post("/query", format!(r#"{{"sql":"select 1"{more}}}"#)));
        assert_eq!(response.status, 504);
    }
}

#[test]
fn execute_returns_counts_of_rows() {
    let response = mount()
        .database(|request| {
            assert_eq!(
                (request.statement.as_str(), request.parameters.len()),
                ("update items set a = @P1; delete from b", 1)
            );
            Ok(Reply::counts(&[1, 2]))
        })
        .call::<Sql>(post(
            "/execute",
            r#"{"sql":"update items set a = @a; delete from b","params":{"a":1.50}}"#,
        ));
    assert_eq!(parsed(response), (200, json!({"rows_affected": 3, "statements": [1, 2]})));
}

#[test]
fn a_named_query_runs_the_statement_in_the_configuration() {
    let named = || {
        mount().setting("queries.by_id", "select id from items where id = @id").database(
            |request| {
                assert_eq!(request.statement, "select id from items where id = @P1");
                Ok(Reply::rows(
                    id(),
                    request.parameters.into_iter().map(|value| vec![value]).collect(),
                ))
            },
        )
    };
    let (status, body) =
        parsed(named().call::<Sql>(post("/queries/by_id", r#"{"params":{"id":7}}"#)));
    assert_eq!((status, &body["rows"]), (200, &json!([[7]])));
    let body = text(named().call::<Sql>(lines("/queries/by_id", r#"{"params":{"id":7}}"#)));
    assert!(body.ends_with("[7]\n{\"end\":{\"rows\":1}}\n"), "{body}");
    for path in ["/queries/other", "/queries/by_id%20", "/queries/BY_ID"] {
        let (status, problem) = parsed(named().call::<Sql>(post(path, "")));
        assert_eq!(status, 404);
        assert!(!problem.to_string().contains("select id"), "{problem}");
    }
    assert_eq!(named().call::<Sql>(post("/queries/by_id", SELECT)).status, 400);
}

#[test]
fn unknown_paths_and_methods_are_rejected() {
    for (method, path, expected) in [
        (Method::Get, "/query", 405),
        (Method::Put, "/execute", 405),
        (Method::Get, "/queries/a", 405),
        (Method::Post, "/", 404),
        (Method::Post, "/queries", 404),
        (Method::Post, "/query/x", 404),
        (Method::Get, "/other", 404),
        (Method::Post, "/query", 400),
    ] {
        let response = mount().call::<Sql>(Request::new(method.clone(), path));
        assert_eq!(response.status, expected, "{method} {path}");
    }
}

#[test]
fn a_read_only_mount_runs_only_reads_on_every_path() {
    let read_only = || {
        mount()
            .setting("read_only", "true")
            .setting("queries.reads", "select 1 as a -- one")
            .setting("queries.writes", "delete from items")
            .database(|request| {
                assert_eq!(request.statement.trim_end(), "select 1 as a");
                Ok(Reply::rows(id(), vec![]))
            })
    };
    let body = |sql: &str| json!({"sql": sql}).to_string();
    for (path, body, expected) in [
        ("/query", body("select 1 as a"), 200),
        ("/query", body("delete from items"), 403),
        ("/query", body("select 1 as a; delete from items"), 403),
        ("/execute", body("select 1 as a"), 200),
        ("/execute", body("delete from items"), 403),
        ("/queries/reads", String::new(), 200),
        ("/queries/writes", String::new(), 403),
    ] {
        let response = read_only().call::<Sql>(post(path, body.clone()));
        assert_eq!(response.status, expected, "{path} {body}");
        let text = text(response);
        assert!(!path.starts_with("/queries/") || !text.contains("items"), "{text}");
    }
}

#[test]
fn a_rejected_login_is_reported_with_advice() {
    let message = "Login failed for user '<token-identified principal>'.".to_owned();
    let error = SqlError::Server(ServerError {
        number: 18456,
        state: 1,
        class: 14,
        line: 1,
        message,
        procedure: None,
    });
    let response = mount()
        .database(|_| panic!("unexpected statement"))
        .login(move |database, _| {
            assert_eq!(database, "orders");
            Err(error.clone())
        })
        .call::<Sql>(post("/query", SELECT));
    let (status, problem) = parsed(response);
    assert_eq!((status, &problem["number"]), (403, &json!(18456)));
    assert!(problem["detail"].as_str().unwrap().contains("CREATE USER"), "{problem}");
}

mod with_a_password {
    use super::*;

    fn mount() -> Mount {
        super::mount()
            .endpoint("vault", "https://contoso.vault.azure.net")
            .setting("auth", "password")
            .setting("user", "app")
            .setting("password_secret", "sql-password")
            .database(|_| Ok(Reply::rows(id(), vec![])))
    }

    #[test]
    fn the_surrogate_from_key_vault_is_the_password() {
        let response = mount()
            .respond_with(|sent| {
                assert_eq!(
                    sent.url,
                    "https://contoso.vault.azure.net/secrets/sql-password?api-version=7.4"
                );
                assert_eq!(sent.header("authorization"), Some("Bearer surrogate-for-vault"));
                Response::new(200).with_body(r#"{"value":"surrogate-for-password","id":"x"}"#)
            })
            .login(|_, credential| {
                let (user, password) = ("app".to_owned(), "surrogate-for-password".to_owned());
                assert_eq!(*credential, Credential::Password { user, password });
                Ok(())
            })
            .call::<Sql>(post("/query", SELECT));
        assert_eq!(response.status, 200);
    }

    #[test]
    fn a_secret_is_a_name_with_an_optional_version() {
        let response = mount()
            .setting("password_secret", "sql-password/0f1e")
            .respond_with(|sent| {
                assert_eq!(
                    sent.url,
                    "https://contoso.vault.azure.net/secrets/sql-password/0f1e?api-version=7.4"
                );
                Response::new(200).with_body(r#"{"value":"surrogate"}"#)
            })
            .call::<Sql>(post("/query", SELECT));
        assert_eq!(response.status, 200);
        for invalid in ["a/b/c", "a/", "/b", "a?b", "../keys", "a b"] {
            let response =
                mount().setting("password_secret", invalid).call::<Sql>(post("/query", SELECT));
            assert_eq!(response.status, 500, "{invalid}");
        }
    }

    #[test]
    fn an_error_of_the_vault_is_reported_with_advice() {
        for (status, expected, detail) in [
            (403, 403, "Key Vault Secrets User"),
            (404, 502, "`password_secret`"),
            (429, 503, "no reason"),
            (200, 502, "returned no password"),
        ] {
            let response = mount()
                .respond_with(move |_| Response::new(status).with_header("retry-after", "17"))
                .call::<Sql>(post("/query", SELECT));
            let (found, problem) = parsed(response);
            assert_eq!(found, expected);
            assert!(problem["detail"].as_str().unwrap().contains(detail), "{problem}");
        }
    }

    #[test]
    fn a_missing_setting_is_named() {
        for missing in ["database", "user", "password_secret"] {
            let (status, problem) =
                parsed(mount().setting(missing, "").call::<Sql>(post("/query", SELECT)));
            assert_eq!(status, 500);
            assert!(
                problem["detail"].as_str().unwrap().contains(&format!("add `{missing} = ")),
                "{problem}"
            );
        }
    }
}
