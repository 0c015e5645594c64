//! Gen1: WebHDFS, whose redirects never reach the caller with a node's address.
//!
//! `CREATE` and `APPEND` are answered with [307] and where the content goes. Most HTTP clients send the content with the
//! first request, or lose it on the way to the second; for a request that has content, the plugin sends the first step
//! without it, and the second with it, as a stream. WebHDFS's own clients send the first step without content themselves:
//! they get a redirect, or with `noredirect=true` an object with its `Location`, that leads back through the mount. A
//! caller that says `write=true` or `append=true` asks for one step, and goes one.
//!
//! Redirects of requests that read (`OPEN`, `GETFILECHECKSUM`) are followed.
//!
//! [307]: https://hadoop.apache.org/docs/stable/hadoop-project-dist/hadoop-hdfs/WebHDFS.html#Create_and_Write_to_a_File

use keyward_plugin::links::lead_back;
use keyward_plugin::{Context, Endpoint, Headers, Method, Outgoing, Problem, Request, Response, Token};
use serde_json::json;

use crate::generation::refuse_gen2s;
use crate::operation::Operation;
use crate::query;
use crate::redirect::{self, Target, is_redirect};

/// Answers one request to an account of Gen1.
pub(crate) fn handle(request: Request, endpoint: &Endpoint, cx: &Context) -> Result<Response, Problem> {
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

/// The caller's request as it is. A redirect of one that reads is followed; another is the caller's to follow.
fn in_one_step(request: Request, endpoint: &Endpoint, token: &Token, cx: &Context) -> Result<Response, Problem> {
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
        return Err(redirect::bad("The service redirected the request twice; one redirect is followed"));
    }
    Ok(named_by_mount(answer, endpoint, cx))
}

/// An answer for the caller. A redirect in it leads back through the mount.
fn hand_on(response: Response, request: &Request, endpoint: &Endpoint, cx: &Context) -> Result<Response, Problem> {
    if !is_redirect(response.status) {
        return Ok(named_by_mount(response, endpoint, cx));
    }
    let link = Target::of(&response, endpoint)?.link(request, cx)?;
    if is_without_redirect(request) {
        let body = json!({ "Location": link }).to_string();
        return Ok(Response::new(200).with_header("content-type", "application/json").with_body(body));
    }
    Ok(Response::new(response.status).with_header("location", link))
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

/// The service answers with a redirect, which all services know; what the caller gets is made of it.
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
fn without_content(request: &Request, endpoint: &Endpoint, token: &Token) -> Result<Outgoing, Problem> {
    let mut outgoing = Outgoing::new(request.method.clone(), endpoint, &with_redirect(&request.path_and_query));
    outgoing.headers = request.headers.clone();
    for name in ["content-type", "content-encoding", "content-md5"] {
        outgoing.headers.remove(name);
    }
    outgoing.headers.set("content-length", "0")?;
    outgoing.authorize(token)?;
    Ok(outgoing)
}

/// What the first step's answer means where it is not the redirect. A success must not hide that content was not sent.
fn no_second_step(first: Response, directly: &str) -> Result<Response, Problem> {
    if is_redirect(first.status) {
        let detail = format!("The service answered the first step with {}, where WebHDFS has 307", first.status);
        return Err(redirect::bad(&detail));
    }
    if first.is_success() {
        let detail = format!(
            "The service took the request before it had the content, and did not say where to send it ({}). The file may \
             now be there without it. Say `{directly}=true` in the query to send the content at once",
            first.status
        );
        return Err(Problem::new(502, "content-not-sent", "The content was not sent", detail));
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use keyward_plugin::SendError;
    use keyward_plugin::testing::{Mount, Sent, broken_stream, stream, text};

    use super::*;
    use crate::DataLake;

    const LAKE: &str = "https://contoso.azuredatalakestore.net";

    type Answers = Vec<Result<Response, SendError>>;

    /// A store that gives these answers in turn, and then none; what it was sent is in the second part.
    fn store(answers: Answers) -> (Mount, Rc<RefCell<Vec<Sent>>>) {
        let (log, answers) = (Rc::new(RefCell::new(Vec::new())), RefCell::new(answers.into_iter()));
        let sent = Rc::clone(&log);
        let mount = Mount::new().endpoint("lake", LAKE).try_answer(move |request| {
            log.borrow_mut().push(request);
            answers.borrow_mut().next().expect("no further request")
        });
        (mount, sent)
    }

    fn redirect(location: &str) -> Result<Response, SendError> {
        Ok(Response::new(307).with_header("location", location))
    }

    fn upload(method: Method, path_and_query: &str) -> Request {
        let mut request = Request::new(method, path_and_query);
        for (name, value) in [("content-length", "5"), ("content-type", "text/plain"), ("x-own", "stays")] {
            request.headers.set(name, value).unwrap();
        }
        request.body = stream(["he", "llo"]);
        request
    }

    #[test]
    fn a_file_is_created_in_two_steps_of_which_the_caller_sees_one() {
        let path = "/webhdfs/v1/a%20b?overwrite=true&op=CREATE&permission=640";
        let there = format!("{LAKE}/webhdfs/v1/a%20b?op=CREATE&write=true&x=%2F");
        let created = Response::new(201).with_header("location", format!("{LAKE}/webhdfs/v1/a%20b?op=OPEN"));
        let (mount, sent) = store(vec![redirect(&there), Ok(created)]);
        let response = mount.call::<DataLake>(upload(Method::Put, path));
        assert_eq!(response.status, 201);
        let location = response.headers.get("location");
        assert_eq!(location.as_deref(), Some("http://localhost/mount/webhdfs/v1/a%20b?op=OPEN"));

        let sent = sent.borrow();
        let [first, second] = sent.as_slice() else { panic!("{sent:?}") };
        assert_eq!((first.method.as_str(), first.url.as_str()), ("PUT", format!("{LAKE}{path}").as_str()));
        assert_eq!((first.body.len(), first.header("content-length")), (0, Some("0")));
        assert_eq!((first.header("content-type"), first.header("x-own")), (None, Some("stays")));
        assert_eq!((second.method.as_str(), second.url.as_str()), ("PUT", there.as_str()));
        assert_eq!((second.body.as_slice(), second.header("content-length")), (b"hello".as_slice(), Some("5")));
        assert_eq!((second.header("content-type"), second.header("x-own")), (Some("text/plain"), Some("stays")));
        for step in sent.iter() {
            assert_eq!(step.header("authorization"), Some("Bearer surrogate-for-lake"));
        }
    }

    #[test]
    fn content_of_unknown_length_goes_out_without_one_in_the_second_step() {
        let (mount, sent) = store(vec![redirect("/webhdfs/v1/a?op=APPEND&append=true"), Ok(Response::new(200))]);
        let mut request = upload(Method::Post, "/webhdfs/v1/a?op=APPEND");
        request.headers.remove("content-length");
        assert_eq!(mount.call::<DataLake>(request).status, 200);
        let sent = sent.borrow();
        let lengths: Vec<_> = sent.iter().map(|step| step.header("content-length")).collect();
        assert_eq!(lengths, [Some("0"), None]);
        assert_eq!(sent[1].url, format!("{LAKE}/webhdfs/v1/a?op=APPEND&append=true"));
        assert_eq!((sent[1].method.as_str(), sent[1].body.as_slice()), ("POST", b"hello".as_slice()));
    }

    #[test]
    fn a_file_is_read_through_the_redirect() {
        let there = format!("{LAKE}/webhdfs/v1/a?op=OPEN&read=true");
        let (mount, sent) = store(vec![redirect(&there), Ok(Response::new(200).with_body(stream(["con", "tent"])))]);
        let response = mount.call::<DataLake>(Request::get("/webhdfs/v1/a?op=OPEN"));
        assert_eq!(text(response), "content");
        assert_eq!(sent.borrow()[1].url, there);
    }

    #[test]
    fn a_file_that_is_read_without_a_redirect_is_the_answer() {
        let (mount, _) = store(vec![Ok(Response::new(200).with_body("content"))]);
        assert_eq!(text(mount.call::<DataLake>(Request::get("/webhdfs/v1/a?op=OPEN"))), "content");
    }

    #[test]
    fn an_error_in_the_first_step_is_the_answer_and_the_content_is_not_touched() {
        for status in [401, 403, 409, 500, 503] {
            let (mount, sent) = store(vec![Ok(Response::new(status).with_body("why"))]);
            let mut request = upload(Method::Put, "/webhdfs/v1/a?op=CREATE");
            // Whoever reads it fails.
            request.body = broken_stream([]);
            let response = mount.call::<DataLake>(request);
            assert_eq!((response.status, text(response)), (status, "why".to_owned()));
            assert_eq!(sent.borrow().len(), 1);
        }
    }

    #[test]
    fn a_caller_that_asks_for_one_step_goes_one_with_its_content() {
        for (method, query) in [
            (Method::Put, "op=CREATE&write=true"),
            (Method::Put, "Write=True&op=create"),
            (Method::Post, "append=true&op=APPEND&syncFlag=CLOSE"),
        ] {
            let path = format!("/webhdfs/v1/a?{query}");
            let (mount, sent) = store(vec![Ok(Response::new(201))]);
            assert_eq!(mount.call::<DataLake>(upload(method, &path)).status, 201);
            let sent = sent.borrow();
            assert_eq!((sent[0].url.as_str(), sent[0].body.as_slice()), (&*format!("{LAKE}{path}"), &b"hello"[..]));
            assert_eq!(sent[0].header("content-length"), Some("5"));
        }
        let (mount, sent) = store(vec![Ok(Response::new(200).with_body("content"))]);
        let response = mount.call::<DataLake>(Request::get("/webhdfs/v1/a?op=OPEN&read=true&offset=3"));
        assert_eq!((text(response).as_str(), sent.borrow().len()), ("content", 1));
    }

    #[test]
    fn another_operations_parameter_does_not_make_it_one_step() {
        let (mount, sent) = store(vec![redirect("/b"), Ok(Response::new(201))]);
        let request = upload(Method::Put, "/webhdfs/v1/a?op=CREATE&append=true&write=false");
        assert_eq!(mount.call::<DataLake>(request).status, 201);
        assert_eq!(sent.borrow().len(), 2);
    }

    /// The path behind the mount of a link that a caller got.
    fn behind_mount(link: &str) -> String {
        assert!(!link.contains("node") && !link.contains("secret"), "{link}");
        link.strip_prefix("http://localhost/mount").unwrap().to_owned()
    }

    const NODE: &str = "https://node.example/webhdfs/v1/a?op=CREATE&token=secret";

    #[test]
    fn a_redirect_of_a_one_step_upload_leads_back_through_the_mount() {
        let (mount, _) = store(vec![redirect(NODE)]);
        let response = mount.call::<DataLake>(upload(Method::Put, "/webhdfs/v1/a?op=CREATE&write=true"));
        assert_eq!(response.status, 307);
        let link = behind_mount(&response.headers.get("location").unwrap());
        assert!(link.starts_with("/webhdfs/v1/a?op=CREATE&keyward-redirect="), "{link}");
    }

    #[test]
    fn a_first_step_without_content_gets_a_link_that_leads_to_the_node() {
        for (method, operation) in [(Method::Put, "CREATE"), (Method::Post, "APPEND")] {
            let path = format!("/webhdfs/v1/a%20b?op={operation}&user.name=x");
            let (mount, sent) = store(vec![redirect(NODE)]);
            let response = mount.call::<DataLake>(Request::new(method.clone(), path.as_str()));
            assert_eq!((response.status, sent.borrow().len()), (307, 1));
            assert_eq!(sent.borrow()[0].url, format!("{LAKE}{path}"));
            let link = behind_mount(&response.headers.get("location").unwrap());

            let made = Response::new(201).with_header("location", "https://node.example/webhdfs/v1/a%20b?op=OPEN");
            let (mount, sent) = store(vec![Ok(made)]);
            let response = mount.call::<DataLake>(upload(method.clone(), &link));
            assert_eq!(response.status, 201);
            let location = response.headers.get("location");
            assert_eq!(location.as_deref(), Some("http://localhost/mount/webhdfs/v1/a%20b"));
            let sent = sent.borrow();
            assert_eq!((sent.len(), sent[0].url.as_str(), sent[0].body.as_slice()), (1, NODE, b"hello".as_slice()));
            assert_eq!(sent[0].header("authorization"), Some("Bearer surrogate-for-lake"));

            // An empty file has no content in the second step either.
            let (mount, sent) = store(vec![Ok(Response::new(201))]);
            assert_eq!(mount.call::<DataLake>(Request::new(method, link.as_str())).status, 201);
            assert_eq!(sent.borrow()[0].url, NODE);
        }
    }

    #[test]
    fn without_a_redirect_the_link_is_in_an_object() {
        for (method, query) in [
            (Method::Put, "op=CREATE"),
            (Method::Post, "op=APPEND"),
            (Method::Get, "op=OPEN"),
            (Method::Get, "op=GETFILECHECKSUM"),
        ] {
            let (mount, sent) = store(vec![redirect(NODE)]);
            let path = format!("/webhdfs/v1/a?noredirect=true&{query}");
            let response = mount.call::<DataLake>(Request::new(method.clone(), path.as_str()));
            assert_eq!((response.status, response.headers.get("location")), (200, None));
            assert_eq!(sent.borrow()[0].url, format!("{LAKE}/webhdfs/v1/a?{query}"));
            let object: serde_json::Value = serde_json::from_str(&text(response)).unwrap();
            let link = behind_mount(object["Location"].as_str().unwrap());
            let (mount, sent) = store(vec![Ok(Response::new(200))]);
            assert_eq!(mount.call::<DataLake>(Request::new(method, link)).status, 200);
            assert_eq!(sent.borrow()[0].url, NODE);
        }
    }

    #[test]
    fn a_link_is_good_for_its_method_and_path_only() {
        let (mount, _) = store(vec![redirect(NODE)]);
        let response = mount.call::<DataLake>(Request::new(Method::Put, "/webhdfs/v1/a?op=CREATE"));
        let link = behind_mount(&response.headers.get("location").unwrap());
        for (method, link) in [
            (Method::Post, link.clone()),
            (Method::Get, link.clone()),
            (Method::Put, link.replace("/a?", "/b?")),
            (Method::Put, link.replace("=sealed-", "=other-")),
            (Method::Put, "/webhdfs/v1/a?op=CREATE&keyward-redirect=".to_owned()),
        ] {
            let (mount, sent) = store(vec![]);
            let response = mount.call::<DataLake>(upload(method, &link));
            assert_eq!((response.status, sent.borrow().len()), (403, 0), "{link}");
            assert!(text(response).contains("Start the operation again"));
        }
    }

    #[test]
    fn an_error_of_the_plugins_has_the_form_that_clients_of_webhdfs_read() {
        let (mount, _) = store(vec![]);
        let response = mount.call::<DataLake>(Request::get("/webhdfs/v1/a?op=OPEN&op=OPEN"));
        let problem: serde_json::Value = serde_json::from_str(&text(response)).unwrap();
        assert_eq!(problem["RemoteException"]["message"], problem["detail"]);
        assert_eq!(problem["RemoteException"]["exception"], "IOException");
    }

    #[test]
    fn operations_that_the_plugin_does_not_know_are_the_services() {
        for (method, query) in [
            (Method::Get, "op=GETFILECHECKSUM"),
            (Method::Get, "op=GETHOMEDIRECTORY"),
            (Method::Get, "op=GETXATTRS&encoding=text"),
            (Method::Put, "op=CREATESNAPSHOT"),
            (Method::Post, "op=TRUNCATE&newlength=1"),
            (Method::Post, "op=CREATE"),
            (Method::Put, "op=NOSUCH"),
            (Method::Get, ""),
        ] {
            let path = format!("/webhdfs/v1/a?{query}");
            let error = r#"{"RemoteException":{"message":"why"}}"#;
            let (mount, sent) = store(vec![Ok(Response::new(400).with_body(error))]);
            let response = mount.call::<DataLake>(Request::new(method, path.as_str()));
            assert_eq!((response.status, text(response).as_str()), (400, error));
            assert_eq!(sent.borrow()[0].url, format!("{LAKE}{path}"));
        }
    }

    #[test]
    fn a_redirect_of_any_other_write_is_a_link() {
        let (mount, _) = store(vec![redirect(NODE)]);
        let response = mount.call::<DataLake>(Request::new(Method::Put, "/webhdfs/v1/a?%6fp=CREATE"));
        assert_eq!(response.status, 307);
        behind_mount(&response.headers.get("location").unwrap());
    }

    #[test]
    fn a_redirect_elsewhere_is_the_hosts_to_refuse() {
        let (mount, sent) = store(vec![redirect("https://evil.example/x?y"), Err(SendError::Denied)]);
        let response = mount.call::<DataLake>(upload(Method::Put, "/webhdfs/v1/a?op=CREATE"));
        assert_eq!(response.status, 403);
        assert_eq!(sent.borrow()[1].url, "https://evil.example/x?y");
    }

    #[test]
    fn a_second_redirect_is_not_followed() {
        for second in [301, 302, 307, 308] {
            let again = Response::new(second).with_header("location", format!("{LAKE}/webhdfs/v1/c"));
            let (mount, sent) = store(vec![redirect(&format!("{LAKE}/webhdfs/v1/b")), Ok(again)]);
            let response = mount.call::<DataLake>(upload(Method::Put, "/webhdfs/v1/a?op=CREATE"));
            assert_eq!((response.status, sent.borrow().len()), (502, 2));
            assert!(text(response).contains("redirected the request twice"));
        }
    }

    #[test]
    fn a_redirect_that_cannot_be_followed_ends_before_the_content_is_touched() {
        let elsewhere = Response::new(302).with_header("location", format!("{LAKE}/x"));
        for first in [redirect("http://contoso.azuredatalakestore.net/x"), Ok(Response::new(307)), Ok(elsewhere)] {
            let (mount, sent) = store(vec![first]);
            let mut request = upload(Method::Put, "/webhdfs/v1/a?op=CREATE");
            request.body = broken_stream([]);
            let response = mount.call::<DataLake>(request);
            assert_eq!((response.status, sent.borrow().len()), (502, 1));
            assert!(text(response).contains("bad-redirect"));
        }
    }

    #[test]
    fn a_success_before_the_content_was_sent_is_not_passed_off_as_an_upload() {
        let (mount, _) = store(vec![Ok(Response::new(201))]);
        let response = mount.call::<DataLake>(upload(Method::Put, "/webhdfs/v1/a?op=CREATE"));
        assert_eq!(response.status, 502);
        assert!(text(response).contains("Say `write=true`"));

        let (mount, _) = store(vec![Ok(Response::new(201))]);
        let empty = Request::new(Method::Put, "/webhdfs/v1/a?op=CREATE&overwrite=true");
        assert_eq!(mount.call::<DataLake>(empty).status, 201);
    }

    #[test]
    fn operations_without_a_redirect_go_out_as_they_are() {
        for (method, query) in [
            (Method::Get, "listSize=2&op=LISTSTATUS&listAfter=b&listBefore=a"),
            (Method::Put, "op=RENAME&destination=/b%20c"),
            (Method::Delete, "op=DELETE&recursive=true"),
        ] {
            let path = format!("/webhdfs/v1/a%2Cb?{query}");
            let (mount, sent) = store(vec![Ok(Response::new(200).with_body(r#"{"boolean":true}"#))]);
            let response = mount.call::<DataLake>(Request::new(method.clone(), path.as_str()));
            assert_eq!(text(response), r#"{"boolean":true}"#);
            let sent = sent.borrow();
            assert_eq!((&sent[0].method, sent[0].url.as_str()), (&method, format!("{LAKE}{path}").as_str()));
            assert_eq!(sent[0].header("authorization"), Some("Bearer surrogate-for-lake"));
            assert_eq!(sent[0].header("x-ms-version"), None);
        }
        let (mount, sent) = store(vec![Ok(Response::new(200))]);
        assert_eq!(mount.call::<DataLake>(upload(Method::Post, "/webhdfs/v1/a?op=MSCONCAT")).status, 200);
        assert_eq!(sent.borrow()[0].body, b"hello");
    }

    #[test]
    fn a_request_of_gen2_is_told_that_the_endpoint_is_gen1() {
        let mut rename = Request::new(Method::Put, "/fs/new");
        rename.headers.set("x-ms-rename-source", "/fs/old").unwrap();
        for (request, sign) in [
            (Request::new(Method::Put, "/fs?resource=filesystem"), "`resource=`"),
            (Request::new(Method::Patch, "/fs/a?action=append&position=0"), "`action=`"),
            (rename, "`x-ms-rename-source`"),
        ] {
            let (mount, sent) = store(vec![]);
            let response = mount.call::<DataLake>(request);
            assert_eq!((response.status, sent.borrow().len()), (400, 0));
            let problem = text(response);
            assert!(problem.contains(sign) && problem.contains(&format!("{LAKE}, is Gen1")), "{problem}");
            assert!(problem.contains("/webhdfs/v1/PATH?op=OPERATION"), "{problem}");
        }
    }
}
