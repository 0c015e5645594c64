//! The demo's steps at the database: a query with a token, one with a password that nobody sees, and what may not be run.

use super::Stage;
use super::steps::reason;
use super::story::Story;

pub(super) async fn query(stage: &Stage, story: &mut Story) {
    story.heading("A program queries Azure SQL, with the machine's identity");
    let body = r#"{"sql": "select * from orders where id = @id", "params": {"id": 1}}"#;
    let answer = stage.send("POST", "orders", "/query", &[], body).await;
    let good = answer.status == 200 && answer.text.contains("Fabrikam");
    let shown = answer.text.find("\"rows\"").map_or("", |at| answer.text.get(at..).unwrap_or_default());
    story.step(&format!("POST /orders/query {body}"), &format!("{}: {{... {shown}", answer.status), good);
    let body = r#"{"params": {"customer": "Northwind"}}"#;
    let answer = stage.send("POST", "orders", "/queries/of-customer", &[], body).await;
    let good = answer.status == 200 && answer.text.contains("\"89.99\"");
    story.step(
        &format!("POST /orders/queries/of-customer {body}, which is in the configuration"),
        &format!("{}: {}", answer.status, answer.text),
        good,
    );
}

pub(super) async fn log_in_with_a_password(stage: &Stage, story: &mut Story) {
    let body = r#"{"sql": "select suser_sname() as who"}"#;
    let answer = stage.send("POST", "old-orders", "/query", &[], body).await;
    let seen = format!("{}{:?}", answer.text, stage.records());
    let good = answer.status == 200 && answer.text.contains("[[\"app\"]]") && !seen.contains("correct-horse");
    let came =
        format!("{}: user `app`. Its password is in Key Vault, and neither program nor plugin saw it", answer.status);
    story.step("POST /old-orders/query, at a server that takes no token", &came, good);
}

pub(super) async fn only_read(stage: &Stage, story: &mut Story) {
    let body = r#"{"sql": "select 1; delete from orders"}"#;
    let answer = stage.send("POST", "orders", "/query", &[], body).await;
    story.step(
        "POST /orders/query {\"sql\": \"select 1; delete from orders\"}",
        &reason(&answer),
        answer.status == 403,
    );
}
