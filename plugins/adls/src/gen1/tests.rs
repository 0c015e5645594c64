use std::cell::RefCell;
use std::rc::Rc;

use keyward_plugin::SendError;
use keyward_plugin::testing::{Mount, Sent, broken_stream, stream, text};

use super::*;
use crate::DataLake;

const LAKE: &str = "https://contoso.azuredatalakestore.net";

type Responses = Vec<Result<Response, SendError>>;

/// A mount whose service returns these responses in turn, and the requests that it receives.
fn store(responses: Responses) -> (Mount, Rc<RefCell<Vec<Sent>>>) {
    let (log, responses) = (Rc::new(RefCell::new(Vec::new())), RefCell::new(responses.into_iter()));
    let sent = Rc::clone(&log);
    let mount = Mount::new().endpoint("lake", LAKE).try_respond_with(move |request| {
        log.borrow_mut().push(request);
        responses.borrow_mut().next().expect("unexpected request")
    });
    (mount, sent)
}

fn redirect(location: &str) -> Result<Response, SendError> {
    Ok(Response::new(307).with_header("location", location))
}

fn upload(method: Method, path_and_query: &str) -> Request {
    let mut request = Request::new(method, path_and_query);
    for (name, value) in
        [("content-length", "5"), ("content-type", "text/plain"), ("x-own", "stays")]
    {
        request.headers.set(name, value).unwrap();
    }
    request.body = stream(["he", "llo"]);
    request
}

#[test]
fn a_file_is_created_in_two_steps_for_one_request_of_the_caller() {
    let path = "/webhdfs/v1/a%20b?overwrite=true&op=CREATE&permission=640";
    let target = format!("{LAKE}/webhdfs/v1/a%20b?op=CREATE&write=true&x=%2F");
    let created =
        Response::new(201).with_header("location", format!("{LAKE}/webhdfs/v1/a%20b?op=OPEN"));
    let (mount, sent) = store(vec![redirect(&target), Ok(created)]);
    let response = mount.call::<DataLake>(upload(Method::Put, path));
    assert_eq!(response.status, 201);
    let location = response.headers.get("location");
    assert_eq!(location.as_deref(), Some("http://localhost/mount/webhdfs/v1/a%20b?op=OPEN"));

    let sent = sent.borrow();
    let [first, second] = sent.as_slice() else { panic!("{sent:?}") };
    assert_eq!(
        (first.method.as_str(), first.url.as_str()),
        ("PUT", format!("{LAKE}{path}").as_str())
    );
    assert_eq!((first.body.len(), first.header("content-length")), (0, Some("0")));
    assert_eq!((first.header("content-type"), first.header("x-own")), (None, Some("stays")));
    assert_eq!((second.method.as_str(), second.url.as_str()), ("PUT", target.as_str()));
    assert_eq!(
        (second.body.as_slice(), second.header("content-length")),
        (b"hello".as_slice(), Some("5"))
    );
    assert_eq!(
        (second.header("content-type"), second.header("x-own")),
        (Some("text/plain"), Some("stays"))
    );
    for step in sent.iter() {
        assert_eq!(step.header("authorization"), Some("Bearer surrogate-for-lake"));
    }
}

#[test]
fn content_of_unknown_length_is_sent_without_a_length() {
    let (mount, sent) =
        store(vec![redirect("/webhdfs/v1/a?op=APPEND&append=true"), Ok(Response::new(200))]);
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
fn the_redirect_of_a_read_is_followed() {
    let target = format!("{LAKE}/webhdfs/v1/a?op=OPEN&read=true");
    let (mount, sent) =
        store(vec![redirect(&target), Ok(Response::new(200).with_body(stream(["con", "tent"])))]);
    let response = mount.call::<DataLake>(Request::get("/webhdfs/v1/a?op=OPEN"));
    assert_eq!(text(response), "content");
    assert_eq!(sent.borrow()[1].url, target);
}

#[test]
fn a_read_without_a_redirect_is_returned() {
    let (mount, _) = store(vec![Ok(Response::new(200).with_body("content"))]);
    assert_eq!(text(mount.call::<DataLake>(Request::get("/webhdfs/v1/a?op=OPEN"))), "content");
}

#[test]
fn an_error_in_the_first_step_is_returned_before_the_content_is_read() {
    for status in [401, 403, 409, 500, 503] {
        let (mount, sent) = store(vec![Ok(Response::new(status).with_body("why"))]);
        let mut request = upload(Method::Put, "/webhdfs/v1/a?op=CREATE");
        // Reading this body fails.
        request.body = broken_stream([]);
        let response = mount.call::<DataLake>(request);
        assert_eq!((response.status, text(response)), (status, "why".to_owned()));
        assert_eq!(sent.borrow().len(), 1);
    }
}

#[test]
fn a_one_step_upload_is_sent_once_with_its_content() {
    for (method, query) in [
        (Method::Put, "op=CREATE&write=true"),
        (Method::Put, "Write=True&op=create"),
        (Method::Post, "append=true&op=APPEND&syncFlag=CLOSE"),
    ] {
        let path = format!("/webhdfs/v1/a?{query}");
        let (mount, sent) = store(vec![Ok(Response::new(201))]);
        assert_eq!(mount.call::<DataLake>(upload(method, &path)).status, 201);
        let sent = sent.borrow();
        assert_eq!(
            (sent[0].url.as_str(), sent[0].body.as_slice()),
            (&*format!("{LAKE}{path}"), &b"hello"[..])
        );
        assert_eq!(sent[0].header("content-length"), Some("5"));
    }
    let (mount, sent) = store(vec![Ok(Response::new(200).with_body("content"))]);
    let response = mount.call::<DataLake>(Request::get("/webhdfs/v1/a?op=OPEN&read=true&offset=3"));
    assert_eq!((text(response).as_str(), sent.borrow().len()), ("content", 1));
}

#[test]
fn the_one_step_parameter_of_another_operation_is_ignored() {
    let (mount, sent) = store(vec![redirect("/b"), Ok(Response::new(201))]);
    let request = upload(Method::Put, "/webhdfs/v1/a?op=CREATE&append=true&write=false");
    assert_eq!(mount.call::<DataLake>(request).status, 201);
    assert_eq!(sent.borrow().len(), 2);
}

/// The path below the mount of a link that was returned to a caller.
fn path_below_mount(link: &str) -> String {
    assert!(!link.contains("node") && !link.contains("secret"), "{link}");
    link.strip_prefix("http://localhost/mount").unwrap().to_owned()
}

const NODE: &str = "https://node.example/webhdfs/v1/a?op=CREATE&token=secret";

#[test]
fn a_redirect_of_a_one_step_upload_leads_back_through_the_mount() {
    let (mount, _) = store(vec![redirect(NODE)]);
    let response =
        mount.call::<DataLake>(upload(Method::Put, "/webhdfs/v1/a?op=CREATE&write=true"));
    assert_eq!(response.status, 307);
    let link = path_below_mount(&response.headers.get("location").unwrap());
    assert!(link.starts_with("/webhdfs/v1/a?op=CREATE&keyward-redirect="), "{link}");
}

#[test]
fn a_redirect_keeps_only_the_request_id_of_the_service() {
    let first = redirect(NODE).map(|response| {
        response.with_header("x-ms-request-id", "1").with_header("x-node", "node.example")
    });
    let (mount, _) = store(vec![first]);
    let response = mount.call::<DataLake>(Request::new(Method::Put, "/webhdfs/v1/a?op=CREATE"));
    let names: Vec<_> = response.headers.entries().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["location", "x-ms-request-id"]);
}

#[test]
fn the_link_for_a_first_step_without_content_leads_to_the_node() {
    for (method, operation) in [(Method::Put, "CREATE"), (Method::Post, "APPEND")] {
        let path = format!("/webhdfs/v1/a%20b?op={operation}&user.name=x");
        let (mount, sent) = store(vec![redirect(NODE)]);
        let response = mount.call::<DataLake>(Request::new(method.clone(), path.as_str()));
        assert_eq!((response.status, sent.borrow().len()), (307, 1));
        assert_eq!(sent.borrow()[0].url, format!("{LAKE}{path}"));
        let link = path_below_mount(&response.headers.get("location").unwrap());

        let created = Response::new(201)
            .with_header("location", "https://node.example/webhdfs/v1/a%20b?op=OPEN");
        let (mount, sent) = store(vec![Ok(created)]);
        let response = mount.call::<DataLake>(upload(method.clone(), &link));
        assert_eq!(response.status, 201);
        let location = response.headers.get("location");
        assert_eq!(location.as_deref(), Some("http://localhost/mount/webhdfs/v1/a%20b"));
        let sent = sent.borrow();
        assert_eq!(
            (sent.len(), sent[0].url.as_str(), sent[0].body.as_slice()),
            (1, NODE, b"hello".as_slice())
        );
        assert_eq!(sent[0].header("authorization"), Some("Bearer surrogate-for-lake"));

        // An empty file has no content in the second step either.
        let (mount, sent) = store(vec![Ok(Response::new(201))]);
        assert_eq!(mount.call::<DataLake>(Request::new(method, link.as_str())).status, 201);
        assert_eq!(sent.borrow()[0].url, NODE);
    }
}

#[test]
fn with_noredirect_the_link_is_in_an_object() {
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
        let link = path_below_mount(object["Location"].as_str().unwrap());
        let (mount, sent) = store(vec![Ok(Response::new(200))]);
        assert_eq!(mount.call::<DataLake>(Request::new(method, link)).status, 200);
        assert_eq!(sent.borrow()[0].url, NODE);
    }
}

#[test]
fn a_link_is_valid_only_for_its_method_and_path() {
    let (mount, _) = store(vec![redirect(NODE)]);
    let response = mount.call::<DataLake>(Request::new(Method::Put, "/webhdfs/v1/a?op=CREATE"));
    let link = path_below_mount(&response.headers.get("location").unwrap());
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
fn errors_of_the_plugin_have_the_format_of_webhdfs() {
    let (mount, _) = store(vec![]);
    let response = mount.call::<DataLake>(Request::get("/webhdfs/v1/a?op=OPEN&op=OPEN"));
    let problem: serde_json::Value = serde_json::from_str(&text(response)).unwrap();
    assert_eq!(problem["RemoteException"]["message"], problem["detail"]);
    assert_eq!(problem["RemoteException"]["exception"], "IOException");
}

#[test]
fn unknown_operations_are_passed_to_the_service() {
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
fn the_redirect_of_any_other_write_is_returned_as_a_link() {
    let (mount, _) = store(vec![redirect(NODE)]);
    let response = mount.call::<DataLake>(Request::new(Method::Put, "/webhdfs/v1/a?%6fp=CREATE"));
    assert_eq!(response.status, 307);
    path_below_mount(&response.headers.get("location").unwrap());
}

#[test]
fn a_redirect_to_another_host_is_left_to_the_broker_to_deny() {
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
fn an_invalid_redirect_is_an_error_before_the_content_is_read() {
    let elsewhere = Response::new(302).with_header("location", format!("{LAKE}/x"));
    for first in
        [redirect("http://contoso.azuredatalakestore.net/x"), Ok(Response::new(307)), Ok(elsewhere)]
    {
        let (mount, sent) = store(vec![first]);
        let mut request = upload(Method::Put, "/webhdfs/v1/a?op=CREATE");
        request.body = broken_stream([]);
        let response = mount.call::<DataLake>(request);
        assert_eq!((response.status, sent.borrow().len()), (502, 1));
        assert!(text(response).contains("bad-redirect"));
    }
}

#[test]
fn a_success_before_the_content_is_sent_is_an_error() {
    let (mount, _) = store(vec![Ok(Response::new(201))]);
    let response = mount.call::<DataLake>(upload(Method::Put, "/webhdfs/v1/a?op=CREATE"));
    assert_eq!(response.status, 502);
    assert!(text(response).contains("Add `write=true`"));

    let (mount, _) = store(vec![Ok(Response::new(201))]);
    let empty = Request::new(Method::Put, "/webhdfs/v1/a?op=CREATE&overwrite=true");
    assert_eq!(mount.call::<DataLake>(empty).status, 201);
}

#[test]
fn operations_without_a_redirect_are_sent_unchanged() {
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
        assert_eq!(
            (&sent[0].method, sent[0].url.as_str()),
            (&method, format!("{LAKE}{path}").as_str())
        );
        assert_eq!(sent[0].header("authorization"), Some("Bearer surrogate-for-lake"));
        assert_eq!(sent[0].header("x-ms-version"), None);
    }
    let (mount, sent) = store(vec![Ok(Response::new(200))]);
    assert_eq!(
        mount.call::<DataLake>(upload(Method::Post, "/webhdfs/v1/a?op=MSCONCAT")).status,
        200
    );
    assert_eq!(sent.borrow()[0].body, b"hello");
}

#[test]
fn a_gen2_request_is_rejected_at_a_gen1_endpoint() {
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
        assert!(
            problem.contains(sign) && problem.contains(&format!("{LAKE}, is Gen1")),
            "{problem}"
        );
        assert!(problem.contains("/webhdfs/v1/PATH?op=OPERATION"), "{problem}");
    }
}
