//! Gen1: WebHDFS, without exposing the addresses of nodes to the caller.
//!
//! The service responds to `CREATE` and `APPEND` with a [307] to the node that takes the content.
//! Most HTTP clients send the content with the first request, or lose it when they follow the
//! redirect. For a request with content, the plugin sends the first step without it, and streams it
//! in the second. WebHDFS's own clients send the first step without content themselves: they get a
//! redirect that leads back through the mount, or with `noredirect=true` an object with its
//! `Location`. A request with `write=true` or `append=true` is sent in one step.
//!
//! Redirects of requests that read (`OPEN`, `GETFILECHECKSUM`) are followed.
//!
//! [307]: https://hadoop.apache.org/docs/stable/hadoop-project-dist/hadoop-hdfs/WebHDFS.html#Create_and_Write_to_a_File

use keyward_plugin::links::rewrite_links;
use keyward_plugin::{
    Context, Endpoint, Headers, Method, Outgoing, Problem, Request, Response, Token,
};
use serde_json::json;

use crate::generation::reject_gen2;
use crate::operation::Operation;
use crate::query;
use crate::redirect::{self, Target, is_redirect};

/// Handles one request to a Gen1 account.
pub(crate) fn handle(
    request: Request,
    endpoint: &Endpoint,
    cx: &Context,
) -> Result<Response, Problem> {
    // WebHDFS clients expect a Java exception in an error.
    dispatch(request, endpoint, cx).map_err(|problem| {
        let message = problem.detail().to_owned();
        let exception = json!({
            "exception": "IOException",
            "javaClassName": "java.io.IOException",
            "message": message,
        });
        problem.with("RemoteException", exception)
    })
}

fn dispatch(request: Request, endpoint: &Endpoint, cx: &Context) -> Result<Response, Problem> {
    reject_gen2(&request, endpoint)?;
    let operation = Operation::requested(&request)?;
    let token = cx.token("lake")?;
    if let Some(target) = Target::sealed_in(&request, cx)? {
        return second_step(target, request, endpoint, &token, cx);
    }
    match operation {
        Operation::Upload { one_step } if !query::is_true(request.query(), one_step) => {
            if request.body.is_empty() {
                let first = cx.send(without_content(&request, endpoint, &token)?)?;
                forward_response(first, &request, endpoint, cx)
            } else {
                upload_in_two_steps(request, one_step, endpoint, &token, cx)
            }
        }
        Operation::Upload { .. } | Operation::Other => {
            send_in_one_step(request, endpoint, &token, cx)
        }
    }
}

/// Sends the caller's request unchanged. The redirect of a read is followed; any other is returned
/// to the caller as a link.
fn send_in_one_step(
    request: Request,
    endpoint: &Endpoint,
    token: &Token,
    cx: &Context,
) -> Result<Response, Problem> {
    let original = without_body(&request, request.headers.clone());
    let mut outgoing = Outgoing::forward(request, endpoint);
    outgoing.path_and_query = without_noredirect(&outgoing.path_and_query);
    outgoing.authorize(token)?;
    let response = cx.send(outgoing)?;
    let is_read = matches!(original.method, Method::Get | Method::Head);
    if is_redirect(response.status) && is_read && !wants_no_redirect(&original) {
        return second_step(Target::of(&response, endpoint)?, original, endpoint, token, cx);
    }
    forward_response(response, &original, endpoint, cx)
}

fn upload_in_two_steps(
    request: Request,
    one_step: &str,
    endpoint: &Endpoint,
    token: &Token,
    cx: &Context,
) -> Result<Response, Problem> {
    let first = cx.send(without_content(&request, endpoint, token)?)?;
    if first.status != 307 {
        let first = check_first_step(first, one_step)?;
        return Ok(rewrite_links(first, endpoint, cx, &["location"], &[]));
    }
    second_step(Target::of(&first, endpoint)?, request, endpoint, token, cx)
}

/// Sends a request to the target of the first step's redirect.
fn second_step(
    target: Target,
    request: Request,
    endpoint: &Endpoint,
    token: &Token,
    cx: &Context,
) -> Result<Response, Problem> {
    let mut outgoing = target.outgoing(request);
    outgoing.authorize(token)?;
    let response = cx.send(outgoing)?;
    if is_redirect(response.status) {
        // The content is already sent and cannot be sent again.
        return Err(redirect::bad_redirect(
            "The service redirected the request twice; only one redirect is followed",
        ));
    }
    Ok(with_mount_location(response, endpoint, cx))
}

/// Returns a response to the caller. A redirect is replaced with a link through the mount.
fn forward_response(
    response: Response,
    request: &Request,
    endpoint: &Endpoint,
    cx: &Context,
) -> Result<Response, Problem> {
    if !is_redirect(response.status) {
        return Ok(with_mount_location(response, endpoint, cx));
    }
    let link = Target::of(&response, endpoint)?.link(request, cx)?;
    if wants_no_redirect(request) {
        let body = json!({ "Location": link }).to_string();
        return Ok(Response::new(200)
            .with_header("content-type", "application/json")
            .with_body(body));
    }
    let redirect = Response::new(response.status).with_header("location", link);
    // Other fields could name the node.
    Ok(match response.headers.get("x-ms-request-id") {
        Some(id) => redirect.with_header("x-ms-request-id", id),
        None => redirect,
    })
}

/// Rewrites the `Location` of a created resource to a URL of the mount.
fn with_mount_location(mut response: Response, endpoint: &Endpoint, cx: &Context) -> Response {
    if response.headers.contains("location") {
        response = rewrite_links(response, endpoint, cx, &["location"], &[]);
        let location = response.headers.get("location").unwrap_or_default();
        if !location.starts_with(&cx.mount_url()) {
            match Target::of(&response, endpoint) {
                // A valid field value is still valid with another prefix.
                Ok(target) => drop(response.headers.set("location", target.through_mount(cx))),
                Err(_) => response.headers.remove("location"),
            }
        }
    }
    response
}

/// Whether the caller wants the link to the second step in an object instead of a redirect.
fn wants_no_redirect(request: &Request) -> bool {
    query::is_true(request.query(), "noredirect")
}

/// Removes `noredirect`, so that the service always responds with a redirect.
fn without_noredirect(path_and_query: &str) -> String {
    match path_and_query.split_once('?') {
        Some((path, query)) if query::has(query, "noredirect") => {
            format!("{path}?{}", query::without(query, "noredirect"))
        }
        Some(_) | None => path_and_query.to_owned(),
    }
}

/// A copy of a request without its body.
fn without_body(request: &Request, headers: Headers) -> Request {
    let mut copy = Request::new(request.method.clone(), request.path_and_query.as_str());
    copy.headers = headers;
    copy
}

/// The first step: the caller's request without its content and the fields that describe it.
fn without_content(
    request: &Request,
    endpoint: &Endpoint,
    token: &Token,
) -> Result<Outgoing, Problem> {
    let mut outgoing = Outgoing::new(
        request.method.clone(),
        endpoint,
        &without_noredirect(&request.path_and_query),
    );
    outgoing.headers = request.headers.clone();
    for name in ["content-type", "content-encoding", "content-md5"] {
        outgoing.headers.remove(name);
    }
    outgoing.headers.set("content-length", "0")?;
    outgoing.authorize(token)?;
    Ok(outgoing)
}

/// Checks a response to the first step that is not the expected redirect. A success is an error,
/// since the content was not sent.
fn check_first_step(first: Response, one_step: &str) -> Result<Response, Problem> {
    if is_redirect(first.status) {
        let detail =
            format!("The service responded to the first step with {} instead of 307", first.status);
        return Err(redirect::bad_redirect(&detail));
    }
    if first.is_success() {
        let detail = format!(
            "The service completed the request before the content was sent, and did not redirect \
             it ({}). The file may now exist without its content. Add `{one_step}=true` to the \
             query to send the content at once",
            first.status
        );
        return Err(Problem::new(502, "content-not-sent", "The content was not sent", detail));
    }
    Ok(first)
}

#[cfg(test)]
mod tests;
