//! The demo's steps with databases: a query with a token, one with a password, and a denied write.

use super::Demo;
use super::steps::reason;
use super::transcript::Transcript;

/// The media type of what callers send.
const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

pub(super) async fn query(demo: &Demo, transcript: &mut Transcript) {
    transcript.heading("A program queries Azure SQL with the machine's identity");
    let body = r#"{"sql": "select * from orders where id = @id", "params": {"id": 1}}"#;
    let response = demo.send("POST", "orders", "/query", JSON, body).await;
    let rows = response.text.find("\"rows\"").and_then(|at| response.text.get(at..));
    transcript.step(
        &format!("POST /orders/query {body}"),
        &format!("{}: {{... {}", response.status, rows.unwrap_or_default()),
        response.status == 200 && response.text.contains("Fabrikam"),
    );
    let body = r#"{"params": {"customer": "Northwind"}}"#;
    let response = demo.send("POST", "orders", "/queries/of-customer", JSON, body).await;
    transcript.step(
        &format!("POST /orders/queries/of-customer {body}, a query of the configuration"),
        &format!("{}: {}", response.status, response.text),
        response.status == 200 && response.text.contains("\"89.99\""),
    );
}

pub(super) async fn log_in_with_password(demo: &Demo, transcript: &mut Transcript) {
    let body = r#"{"sql": "select suser_sname() as who"}"#;
    let response = demo.send("POST", "old-orders", "/query", JSON, body).await;
    let visible = format!("{}{:?}", response.text, demo.records());
    let logged_in = response.status == 200 && response.text.contains("[[\"app\"]]");
    transcript.step(
        "POST /old-orders/query, at a server that accepts no tokens",
        &format!(
            "{}: user `app`. Its password is in Key Vault, and neither the program nor the plugin \
             saw it",
            response.status
        ),
        logged_in && !visible.contains("correct-horse"),
    );
}

pub(super) async fn deny_writes(demo: &Demo, transcript: &mut Transcript) {
    let body = r#"{"sql": "select 1; delete from orders"}"#;
    let response = demo.send("POST", "orders", "/query", JSON, body).await;
    let denied = response.status == 403;
    transcript.step(&format!("POST /orders/query {body}"), &reason(&response), denied);
}
