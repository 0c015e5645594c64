//! Gen1: WebHDFS, whose redirects never reach the caller with a node's address.
//!
//! `CREATE` and `APPEND` are answered with [307] and where the content goes. Most HTTP clients send
//! the content with the first request, or lose it on the way to the second; for a request that has
//! content, the plugin sends the first step without it, and the second with it, as a stream.
//! WebHDFS's own clients send the first step without content themselves: they get a redirect, or
//! with `noredirect=true` an object with its `Location`, that leads back through the mount. A
//! caller that says `write=true` or `append=true` asks for one step, and goes one.
//!
//! Redirects of requests that read (`OPEN`, `GETFILECHECKSUM`) are followed.
//!
//! [307]: https://hadoop.apache.org/docs/stable/hadoop-project-dist/hadoop-hdfs/WebHDFS.html#Create_and_Write_to_a_File

use keyward_plugin::links::lead_back;
use keyward_plugin::{
    Context, Endpoint, Headers, Method, Outgoing, Problem, Request, Response, Token,
};
use serde_json::json;

use crate::generation::refuse_gen2s;
use crate::operation::Operation;
use crate::query;
use crate::redirect::{self, Target, is_redirect};

/// Answers one request to an account of Gen1.
pub(crate) fn handle(
    request: Request,
    endpoint: &Endpoint,
    cx: &Context,
) -> Result<Response, Problem> {
    // WebHDFS's clients look for a Java exception in an error.
    answer(request, endpoint, cx).map_err(|problem| {
        let message = problem.detail().to_owned();
        let exception =
            json!({ "exception": "IOException", "javaClassName": "java.io.IOException", "message": message });
        problem.with("RemoteException", exception)
    })
}

fn answer(request: Request, endpoint: &Endpoint, cx: &Context) -> Result<Response, Problem> {
    refuse_gen2s(&request, endpoint)?;
    let operation = Operation::requested(&request)?;
    let token = cx.token("lake")?;
    if let Some(target) = Target::sealed_in(&request, cx)? {
        return second_step(target, request, endpoint, &token, cx);
    }
    match operation {
        Operation::Upload { directly } if !query::says_true(request.query(), directly) => {
            if request.body.is_empty() {
                let first = cx.send(without_content(&request, endpoint, &token)?)?;
                hand_on(first, &request, endpoint, cx)
            } else {
                in_two_steps(request, directly, endpoint, &token, cx)
            }
        }
        Operation::Upload { .. } | Operation::Other => in_one_step(request, endpoint, &token, cx),
    }
}

/// The caller's request as it is. A redirect of one that reads is followed; another is the caller's
/// to follow.
fn in_one_step(
    request: Request,
    endpoint: &Endpoint,
    token: &Token,
    cx: &Context,
) -> Result<Response, Problem> {
    let asked = bare(&request, request.headers.clone());
    let mut outgoing = Outgoing::forward(request, endpoint);
    outgoing.path_and_query = with_redirect(&outgoing.path_and_query);
    outgoing.authorize(token)?;
    let response = cx.send(outgoing)?;
    let reads = matches!(asked.method, Method::Get | Method::Head);
    if is_redirect(response.status) && reads && !is_without_redirect(&asked) {
        return second_step(Target::of(&response, endpoint)?, asked, endpoint, token, cx);
    }
    hand_on(response, &asked, endpoint, cx)
}

fn in_two_steps(
    request: Request,
    directly: &str,
    endpoint: &Endpoint,
    token: &Token,
    cx: &Context,
) -> Result<Response, Problem> {
    let first = cx.send(without_content(&request, endpoint, token)?)?;
    if first.status != 307 {
        let first = no_second_step(first, directly)?;
        return Ok(lead_back(first, endpoint, cx, &["location"], &[]));
    }
    second_step(Target::of(&first, endpoint)?, request, endpoint, token, cx)
}

/// Sends a request to where the first step's answer led.
fn second_step(
    target: Target,
    request: Request,
    endpoint: &Endpoint,
    token: &Token,
    cx: &Context,
) -> Result<Response, Problem> {
    let mut outgoing = target.outgoing(request);
    outgoing.authorize(token)?;
    let answer = cx.send(outgoing)?;
    if is_redirect(answer.status) {
        // The content is on its way already and cannot be sent again.
        return Err(redirect::bad(
            "The service redirected the request twice; one redirect is followed",
        ));
    }
    Ok(named_by_mount(answer, endpoint, cx))
}

/// An answer for the caller. A redirect in it leads back through the mount.
fn hand_on(
    response: Response,
    request: &Request,
    endpoint: &Endpoint,
    cx: &Context,
) -> Result<Response, Problem> {
    if !is_redirect(response.status) {
        return Ok(named_by_mount(response, endpoint, cx));
    }
    let link = Target::of(&response, endpoint)?.link(request, cx)?;
    if is_without_redirect(request) {
        let body = json!({ "Location": link }).to_string();
        return Ok(Response::new(200)
            .with_header("content-type", "application/json")
            .with_body(body));
    }
    let handed_on = Response::new(response.status).with_header("location", link);
    // No other field: it could name the node.
    Ok(match response.headers.get("x-ms-request-id") {
        Some(id) => handed_on.with_header("x-ms-request-id", id),
        None => handed_on,
    })
}

/// A `Location` says where what was made is: at the mount, wherever the service has it.
fn named_by_mount(mut response: Response, endpoint: &Endpoint, cx: &Context) -> Response {
    if response.headers.contains("location") {
        response = lead_back(response, endpoint, cx, &["location"], &[]);
        let location = response.headers.get("location").unwrap_or_default();
        if !location.starts_with(&cx.mount_url()) {
            match Target::of(&response, endpoint) {
                // A link that was a valid value before is one with another beginning.
                Ok(target) => drop(response.headers.set("location", target.through_mount(cx))),
                Err(_) => response.headers.remove("location"),
            }
        }
    }
    response
}

/// Whether the caller wants the address of the second step as an object.
fn is_without_redirect(request: &Request) -> bool {
    query::says_true(request.query(), "noredirect")
}

/// The service answers with a redirect, which all services know; what the caller gets is made of
/// it.
fn with_redirect(path_and_query: &str) -> String {
    match path_and_query.split_once('?') {
        Some((path, query)) if query::has(query, "noredirect") => {
            format!("{path}?{}", query::without(query, "noredirect"))
        }
        Some(_) | None => path_and_query.to_owned(),
    }
}

/// What is left of a request whose body was sent.
fn bare(request: &Request, headers: Headers) -> Request {
    let mut bare = Request::new(request.method.clone(), request.path_and_query.as_str());
    bare.headers = headers;
    bare
}

/// The first step: the caller's request, but for the content and what is said of it.
fn without_content(
    request: &Request,
    endpoint: &Endpoint,
    token: &Token,
) -> Result<Outgoing, Problem> {
    let mut outgoing =
        Outgoing::new(request.method.clone(), endpoint, &with_redirect(&request.path_and_query));
    outgoing.headers = request.headers.clone();
    for name in ["content-type", "content-encoding", "content-md5"] {
        outgoing.headers.remove(name);
    }
    outgoing.headers.set("content-length", "0")?;
    outgoing.authorize(token)?;
    Ok(outgoing)
}

/// What the first step's answer means where it is not the redirect. A success must not hide that
/// content was not sent.
fn no_second_step(first: Response, directly: &str) -> Result<Response, Problem> {
    if is_redirect(first.status) {
        let detail = format!(
            "The service answered the first step with {}, where WebHDFS has 307",
            first.status
        );
        return Err(redirect::bad(&detail));
    }
    if first.is_success() {
        let detail = format!(
            "The service took the request before it had the content, and did not say where to \
             send it ({}). The file may \
             now be there without it. Say `{directly}=true` in the query to send the content at \
             once",
            first.status
        );
        return Err(Problem::new(502, "content-not-sent", "The content was not sent", detail));
    }
    Ok(first)
}

#[cfg(test)]
mod tests;
