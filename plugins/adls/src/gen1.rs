//! Gen1: WebHDFS, whose two steps the plugin goes for its caller.
//!
//! `CREATE`, `APPEND` and `OPEN` are answered with [307] and where the content goes or is. HTTP clients send the content
//! with the first request, or lose it on the way to the second; here the first goes out without it, and the second has
//! it, as a stream. A caller that says `write=true`, `append=true` or `read=true` asks for one step, and goes one.
//!
//! [307]: https://hadoop.apache.org/docs/stable/hadoop-project-dist/hadoop-hdfs/WebHDFS.html#Create_and_Write_to_a_File

use keyward_plugin::links::lead_back;
use keyward_plugin::{Context, Endpoint, Method, Outgoing, Problem, Request, Response, Token};

use crate::generation::refuse_gen2s;
use crate::operation::Operation;
use crate::query;
use crate::redirect::{self, Target, is_redirect};

/// Answers one request to an account of Gen1.
pub(crate) fn handle(request: Request, endpoint: &Endpoint, cx: &Context) -> Result<Response, Problem> {
    refuse_gen2s(&request, endpoint)?;
    let operation = Operation::asked_for(&request)?;
    let token = cx.token("lake")?;
    let response = match operation.directly {
        Some(directly) if !query::says_true(request.query(), directly) => {
            in_two_steps(request, directly, endpoint, &token, cx)?
        }
        _ => {
            let mut outgoing = Outgoing::forward(request, endpoint);
            outgoing.authorize(&token)?;
            cx.send(outgoing)?
        }
    };
    Ok(lead_back(response, endpoint, cx, &["location"], &[]))
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
        return no_second_step(first, &request, directly);
    }
    let mut second = Target::of(&first, endpoint)?.outgoing(request);
    second.authorize(token)?;
    let answer = cx.send(second)?;
    if is_redirect(answer.status) {
        // The content is on its way already and cannot be sent again.
        return Err(redirect::bad("The service redirected the request twice; one redirect is followed"));
    }
    Ok(answer)
}

/// The first step: the caller's request, but for the content and what is said of it.
fn without_content(request: &Request, endpoint: &Endpoint, token: &Token) -> Result<Outgoing, Problem> {
    let mut outgoing = Outgoing::new(request.method.clone(), endpoint, &request.path_and_query);
    outgoing.headers = request.headers.clone();
    for name in ["content-type", "content-encoding", "content-md5"] {
        outgoing.headers.remove(name);
    }
    outgoing.headers.set("content-length", "0")?;
    outgoing.authorize(token)?;
    Ok(outgoing)
}

/// What the first step's answer means where it is not the redirect. A success must not hide that content was not sent.
fn no_second_step(first: Response, request: &Request, directly: &str) -> Result<Response, Problem> {
    if is_redirect(first.status) {
        let detail = format!("The service answered the first step with {}, where WebHDFS has 307", first.status);
        return Err(redirect::bad(&detail));
    }
    if first.is_success() && request.method != Method::Get && !request.body.is_empty() {
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

    #[test]
    fn a_redirect_of_a_one_step_upload_leads_back_through_the_mount() {
        let (mount, _) = store(vec![redirect(&format!("{LAKE}/webhdfs/v1/b?op=CREATE"))]);
        let response = mount.call::<DataLake>(upload(Method::Put, "/webhdfs/v1/a?op=CREATE&write=true"));
        let location = response.headers.get("location");
        assert_eq!(
            (response.status, location.as_deref()),
            (307, Some("http://localhost/mount/webhdfs/v1/b?op=CREATE"))
        );
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
        let empty = Request::new(Method::Put, "/webhdfs/v1/a?op=CREATE");
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
    fn a_request_that_is_no_operation_is_a_problem_with_those_of_its_method_and_goes_nowhere() {
        let (mount, sent) = store(vec![]);
        let response = mount.call::<DataLake>(Request::new(Method::Post, "/webhdfs/v1/a?op=CREATE"));
        assert_eq!(response.headers.get("content-type").as_deref(), Some("application/problem+json"));
        assert_eq!((response.status, sent.borrow().len()), (400, 0));
        assert!(text(response).contains(r#""operations":["APPEND","CONCAT","MSCONCAT"]"#));
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
