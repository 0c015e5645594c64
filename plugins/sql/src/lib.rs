//! Azure SQL Database and SQL Server: statements in, rows out, as JSON. The caller needs no driver
//! and no credential.
//!
//! | request | |
//! |---|---|
//! | `POST /query` | runs a statement and returns its rows |
//! | `POST /execute` | runs a statement and returns counts of rows |
//! | `POST /queries/NAME` | runs the statement of this name in the mount's settings |
//!
//! A request is `{"sql": "select * from items where id = @id", "params": {"id": 7}}`, without `sql`
//! for a named query. Its media type is `application/json`. It may set lower limits than the mount,
//! with `max_rows`, `max_bytes` and `timeout`.
//!
//! Rows are `{"columns": [{"name": "id", "type": "int"}], "rows": [[7]]}`, or one line per row for
//! a caller that accepts `application/x-ndjson` (see `response`). Counts are `{"rows_affected": 3,
//! "statements": [1, 2]}`. The types of JSON and SQL Server that correspond are in `parameter` and
//! `cell`.
//!
//! With `read_only = true` only statements that are known to read and not to write are run (see
//! `read_only`), named queries included.

mod bind;
mod cell;
mod keywords;
mod lexer;
mod limits;
mod literal;
mod login;
mod parameter;
mod problem;
mod read_only;
mod request_body;
mod response;

use keyward_plugin::{Context, Method, Plugin, Problem, Request, Response};
use serde_json::json;

use limits::Limits;
use request_body::RequestBody;
use response::Format;

keyward_plugin::manifest!("../manifest.toml");
keyward_plugin::export!(Sql);

/// The plugin.
#[derive(Debug)]
pub struct Sql;

/// What a request does, by its path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Route {
    Query,
    Execute,
    Named(String),
}

impl Plugin for Sql {
    fn handle(request: Request, cx: &Context) -> Result<Response, Problem> {
        let route = route(&request)?;
        let format = Format::from_accept(request.headers.get("accept").as_deref());
        let content_type = request.headers.get("content-type");
        let is_named = matches!(route, Route::Named(_));
        let mut body = RequestBody::read(request.body, content_type.as_deref(), is_named)?;
        let mut statement = match &route {
            Route::Named(name) => named(name, cx)?,
            Route::Query | Route::Execute => body.statement.take().unwrap_or_default(),
        };
        if cx.setting("read_only").as_deref() == Some("true") {
            let query = if let Route::Named(name) = &route { Some(name.as_str()) } else { None };
            statement = read_only::check(&statement, query)?;
        }
        let bound = bind::bind(&statement, body.parameters)?;
        let limits = Limits::of(cx)?.at_most(body.limits);

        let (login, credential) = login::credential(cx)?;
        let failed = |error| problem::problem(error, &login);
        let connection = cx.sql(&login.database, &credential).map_err(failed)?;
        let time = Some(limits.time);
        if route == Route::Execute {
            let counts =
                connection.execute(&bound.statement, &bound.parameters, time).map_err(failed)?;
            return Ok(counts_response(&counts));
        }
        let results =
            connection.query(&bound.statement, &bound.parameters, time).map_err(failed)?;
        response::respond(results, format, limits, login)
    }
}

fn route(request: &Request) -> Result<Route, Problem> {
    let segments: Vec<&str> = request.segments().collect();
    let route = match segments.as_slice() {
        ["query"] => Route::Query,
        ["execute"] => Route::Execute,
        ["queries", name] => Route::Named((*name).to_owned()),
        _ => {
            let detail = "the paths are POST /query, POST /execute and POST /queries/NAME";
            return Err(Problem::new(404, "no-such-path", "Unknown path", detail));
        }
    };
    if request.method != Method::Post {
        let detail = format!("statements are sent with POST, not with {}", request.method);
        return Err(Problem::new(405, "method", "Use POST", detail));
    }
    Ok(route)
}

/// The statement of a named query.
fn named(name: &str, cx: &Context) -> Result<String, Problem> {
    let is_plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let statement = if is_plain { cx.setting(&format!("queries.{name}")) } else { None };
    statement.ok_or_else(|| {
        let detail = format!(
            "this mount has no query {name:?}; queries are configured in the section `queries` of \
             its settings, as `NAME = \"select ...\"`"
        );
        Problem::new(404, "no-such-query", "Unknown query", detail)
    })
}

fn counts_response(counts: &[u64]) -> Response {
    let sum = counts.iter().fold(0, |sum: u64, count| sum.saturating_add(*count));
    let body = json!({"rows_affected": sum, "statements": counts});
    Response::new(200).with_header("content-type", "application/json").with_body(body.to_string())
}

#[cfg(test)]
mod call_tests;
