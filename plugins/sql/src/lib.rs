//! Azure SQL Database and SQL Server: statements in, rows out, as JSON. The caller needs no driver
//! and no credential.
//!
//! | request | |
//! |---|---|
//! | `POST /query` | runs `{"sql": "select * from items where id = @id", "params": {"id": 7}}` and answers with its rows |
//! | `POST /execute` | runs the same and counts: `{"rows_affected": 3, "statements": [1, 2]}` |
//! | `POST /queries/NAME` | runs the statement that the mount's settings have under this name, with `{"params": {"id": 7}}` |
//!
//! Rows are `{"columns": [{"name": "id", "type": "int"}], "rows": [[7]]}`; to a caller that accepts
//! `application/x-ndjson` they come line by line (see `answer`). What of JSON stands for what of
//! SQL Server's is in `parameter` and `cell`. A request may ask for less than the mount allows,
//! with `max_rows`, `max_bytes` and `timeout` beside `sql` and `params`.
//!
//! With `read_only = true` only statements are run that are known to read and not to write (see
//! `read_only`); that goes for named queries as well.

mod answer;
mod asked;
mod cell;
mod lexer;
mod limits;
mod login;
mod names;
mod parameter;
mod read_only;
mod refusal;
mod shape;
mod words;

use keyward_plugin::{Context, Method, Plugin, Problem, Request, Response};
use serde_json::json;

use answer::Form;
use asked::Asked;
use limits::Limits;

keyward_plugin::manifest!("../manifest.toml");
keyward_plugin::export!(Sql);

/// The plugin.
#[derive(Debug)]
pub struct Sql;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Route {
    Query,
    Execute,
    Named(String),
}

impl Plugin for Sql {
    fn handle(request: Request, cx: &Context) -> Result<Response, Problem> {
        let route = route(&request)?;
        let form = Form::accepted(request.headers.get("accept").as_deref());
        let mut asked = Asked::read(request.body, matches!(route, Route::Named(_)))?;
        let mut statement = match &route {
            Route::Named(name) => named(name, cx)?,
            Route::Query | Route::Execute => asked.statement.take().unwrap_or_default(),
        };
        if cx.setting("read_only").as_deref() == Some("true") {
            let query = if let Route::Named(name) = &route { Some(name.as_str()) } else { None };
            statement = read_only::check(&statement, query)?;
        }
        let bound = names::bind(&statement, asked.parameters)?;
        let limits = Limits::of(cx)?.at_most(asked.limits);

        let (login, credential) = login::credential(cx)?;
        let failed = |error| refusal::problem(error, &login);
        let connection = cx.sql(&login.database, &credential).map_err(failed)?;
        let time = Some(limits.time);
        if route == Route::Execute {
            let counts =
                connection.execute(&bound.statement, &bound.parameters, time).map_err(failed)?;
            return Ok(counted(&counts));
        }
        let results =
            connection.query(&bound.statement, &bound.parameters, time).map_err(failed)?;
        answer::respond(results, form, limits, login)
    }
}

fn route(request: &Request) -> Result<Route, Problem> {
    let segments: Vec<&str> = request.segments().collect();
    let route = match segments.as_slice() {
        ["query"] => Route::Query,
        ["execute"] => Route::Execute,
        ["queries", name] => Route::Named((*name).to_owned()),
        _ => {
            let detail = "there are POST /query, POST /execute and POST /queries/NAME";
            return Err(Problem::new(404, "no-such-path", "Unknown path", detail));
        }
    };
    if request.method != Method::Post {
        let detail = format!("statements are sent by POST, not by {}", request.method);
        return Err(Problem::new(405, "method", "Use POST", detail));
    }
    Ok(route)
}

/// The statement of a name.
fn named(name: &str, cx: &Context) -> Result<String, Problem> {
    let is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let statement = if is_plain { cx.setting(&format!("queries.{name}")) } else { None };
    statement.ok_or_else(|| {
        let detail = format!(
            "this mount has no query {name:?}: queries stand in the section `queries` of its \
             settings, as `NAME = \"select ...\"`"
        );
        Problem::new(404, "no-such-query", "Unknown query", detail)
    })
}

fn counted(counts: &[u64]) -> Response {
    let sum = counts.iter().fold(0, |sum: u64, count| sum.saturating_add(*count));
    let answer = json!({"rows_affected": sum, "statements": counts});
    Response::new(200).with_header("content-type", "application/json").with_body(answer.to_string())
}

#[cfg(test)]
mod tests;
