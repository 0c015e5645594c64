//! Blob batch: `POST /[CONTAINER]?comp=batch`, whose body has up to 256 requests that delete blobs
//! or set their tier.
//!
//! The batch itself is never sent, since the host could not check the requests in it. Each of them
//! is sent separately, with its own credential, and checked by the host like any other. Their
//! responses are combined into the one that the service would have sent. All parts are parsed
//! before the first is sent.
//!
//! Clients that build the paths in a batch from the mount's URL include the mount's prefix, which
//! is removed.

use keyward_plugin::{Context, Headers, Method, Outgoing, Problem, Request, Response, SendError};

use crate::multipart::{self, Part};
use crate::required_permission::{RequiredPermission, parameter, required_permission, resource};
use crate::sas;

/// Maximum number of parts of a batch, that of the service.
const MAX_PARTS: usize = 256;

/// Maximum length of a batch's body in bytes, that of the service.
const MAX_BODY: usize = 4 << 20;

/// Maximum length of the response to a part, in bytes. An error has some hundred.
const MAX_PART_RESPONSE: usize = 64 << 10;

/// Header fields of a part that are not sent: its credential, and those of the message itself.
const REMOVED_FIELDS: [&str; 6] =
    ["authorization", "content-length", "host", "connection", "transfer-encoding", "expect"];

pub(crate) fn is_batch(request: &Request) -> bool {
    parameter(request.query(), "comp").is_some_and(|comp| comp.eq_ignore_ascii_case("batch"))
}

pub(crate) fn handle(request: Request, with_sas: bool, cx: &Context) -> Result<Response, Problem> {
    let version = request.headers.get("x-ms-version").or_else(|| cx.setting("version"));
    let client_id = request.headers.get("x-ms-client-request-id");
    let requests = read(request, version.as_deref(), cx)?;
    let permissions: Vec<Option<RequiredPermission>> = requests
        .iter()
        .map(|(_, part)| with_sas.then(|| required_permission(part)).transpose())
        .collect::<Result<_, _>>()?;

    // Random, so that no response can contain it.
    let boundary: String =
        format!("batchresponse_{}", cx.seal("boundary")?).chars().take(60).collect();
    let mut out = Vec::new();
    for ((id, part), permission) in requests.into_iter().zip(permissions) {
        let mut response = match send(part, permission, cx) {
            Ok(response) => response,
            // The host has ended the call, and reports the reason to the caller.
            Err(Failure::Denied(problem)) => return Err(problem),
            Err(Failure::Part(problem)) => problem.into_response(),
        };
        let body = std::mem::take(&mut response.body).into_bytes(MAX_PART_RESPONSE)?;
        multipart::write(&mut out, &boundary, id.as_deref(), &response, &body);
    }
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    let mut response = Response::new(202)
        .with_header("content-type", format!("multipart/mixed; boundary={boundary}"))
        .with_body(out);
    for (name, value) in [("x-ms-version", version), ("x-ms-client-request-id", client_id)] {
        if let Some(value) = value {
            response = response.with_header(name, value);
        }
    }
    Ok(response)
}

/// Why a part has no response.
enum Failure {
    /// The host denied the request.
    Denied(Problem),
    /// Only this part failed.
    Part(Problem),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Part(problem)
    }
}

fn send(
    part: Request,
    permission: Option<RequiredPermission>,
    cx: &Context,
) -> Result<Response, Failure> {
    let mut outgoing = Outgoing::forward(part, &cx.endpoint("blob")?);
    match permission {
        Some(permission) => sas::get(&permission, cx)?.spend(&mut outgoing),
        None => outgoing.authorize(&cx.token("blob")?).map_err(Problem::from)?,
    }
    cx.send(outgoing).map_err(|error| match error {
        SendError::Denied => Failure::Denied(error.into()),
        SendError::TimedOut(_) | SendError::Failed(_) => Failure::Part(error.into()),
    })
}

/// The requests of a batch, with the ids of their parts.
fn read(
    request: Request,
    version: Option<&str>,
    cx: &Context,
) -> Result<Vec<(Option<String>, Request)>, Problem> {
    if request.method != Method::Post {
        return Err(Problem::bad_request("A batch must be sent with POST"));
    }
    let content_type = request.headers.get("content-type").unwrap_or_default();
    let boundary = multipart::boundary(&content_type);
    let boundary = boundary.ok_or_else(|| {
        Problem::bad_request(
            "The content-type of a batch must be `multipart/mixed` with a boundary",
        )
    })?;
    let container = request.path().trim_matches('/').to_owned();
    let body = request.body.into_bytes(MAX_BODY)?;
    let body = std::str::from_utf8(&body)
        .map_err(|_| Problem::bad_request("The body of the batch is not UTF-8"))?;
    let parts = multipart::parse(body, boundary)?;
    if parts.is_empty() || parts.len() > MAX_PARTS {
        let detail =
            format!("A batch must have 1 to {MAX_PARTS} requests; this one has {}", parts.len());
        return Err(Problem::bad_request(detail));
    }
    let requests = parts.into_iter().map(|part| {
        let id = part.id.clone();
        part_request(part, &container, version, cx).map(|request| (id, request))
    });
    requests.collect()
}

/// The request of a part.
fn part_request(
    part: Part,
    container: &str,
    version: Option<&str>,
    cx: &Context,
) -> Result<Request, Problem> {
    let target = without_prefix(&part.target, container, cx);
    let mut request = Request::new(part.method, target);
    let comp = parameter(request.query(), "comp").unwrap_or_default().to_ascii_lowercase();
    let is_known = match request.method {
        Method::Delete => comp.is_empty(),
        Method::Put => comp == "tier",
        Method::Get
        | Method::Head
        | Method::Post
        | Method::Options
        | Method::Patch
        | Method::Other(_) => false,
    };
    if !is_known || parameter(request.query(), "restype").is_some() {
        return Err(Problem::bad_request(
            "The requests of a batch must be Delete Blob or Set Blob Tier",
        ));
    }
    let path = request.path().strip_prefix('/').unwrap_or_default();
    if path.split_once('/').is_none_or(|(_, blob)| blob.is_empty()) {
        return Err(Problem::bad_request(
            "A request of a batch must name a container and a blob: `/CONTAINER/BLOB`",
        ));
    }
    // Reject invalid blob names before anything is sent.
    resource(request.path(), false)?;
    if !container.is_empty() && path.split('/').next() != Some(container) {
        let detail = format!("A request of this batch is for a container other than `{container}`");
        return Err(Problem::bad_request(detail));
    }
    let mut headers = Headers::new();
    for (name, value) in part.headers {
        if !REMOVED_FIELDS.iter().any(|removed| name.eq_ignore_ascii_case(removed)) {
            let invalid = |_| {
                Problem::bad_request(format!(
                    "A request of the batch has an invalid header field {name:?}"
                ))
            };
            headers.append(&name, value).map_err(invalid)?;
        }
    }
    if let Some(version) = version.filter(|_| !headers.contains("x-ms-version")) {
        headers.set("x-ms-version", version)?;
    }
    if request.method == Method::Put {
        headers.set("content-length", "0")?;
    }
    request.headers = headers;
    Ok(request)
}

/// Removes the mount's prefix from a path. In a batch of one container, a path that begins with the
/// container has no prefix.
fn without_prefix<'t>(target: &'t str, container: &str, cx: &Context) -> &'t str {
    let mount = cx.mount_url();
    let prefix = mount
        .split_once("://")
        .map_or("", |(_, rest)| rest.find('/').map_or("", |at| rest.split_at(at).1));
    let rest = target.strip_prefix(prefix).filter(|rest| rest.starts_with('/')).unwrap_or(target);
    let names_blob = |path: &str| match path.strip_prefix('/').unwrap_or(path).split_once('/') {
        Some((first, blob)) => !blob.is_empty() && (container.is_empty() || first == container),
        None => false,
    };
    if names_blob(rest) { rest } else { target }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use keyward_plugin::testing::{Mount, Sent, text};

    use super::*;
    use crate::Storage;

    fn batch(path: &str, parts: &[&str]) -> Request {
        let mut request = Request::new(Method::Post, path);
        request.headers.set("content-type", "multipart/mixed; boundary=batch_1").unwrap();
        let part = |(id, part): (usize, &&str)| {
            format!(
                "--batch_1\r\nContent-Type: application/http\r\nContent-ID: \
                 {id}\r\n\r\n{part}\r\n\r\n"
            )
        };
        let parts: String = parts.iter().enumerate().map(part).collect();
        request.body = format!("{parts}--batch_1--\r\n").into();
        request
    }

    fn storage(respond: impl Fn(&Sent) -> Response + 'static) -> (Mount, Rc<RefCell<Vec<Sent>>>) {
        let sent = Rc::new(RefCell::new(Vec::new()));
        let log = Rc::clone(&sent);
        let mount = Mount::new()
            .endpoint("blob", "https://contoso.blob.core.windows.net")
            .endpoint("arm", "https://management.azure.com")
            .setting("version", "2023-11-03")
            .respond_with(move |sent| {
                let response = respond(&sent);
                log.borrow_mut().push(sent);
                response
            });
        (mount, sent)
    }

    #[test]
    fn the_parts_are_sent_separately_and_their_responses_combined() {
        let (mount, sent) = storage(|sent| {
            if sent.url.contains("none") {
                return Response::new(404)
                    .with_header("x-ms-error-code", "BlobNotFound")
                    .with_body("<Error/>");
            }
            Response::new(202).with_header("x-ms-request-id", "1")
        });
        let mut request = batch(
            "/?comp=batch",
            &[
                "DELETE /c/a%20b HTTP/1.1\r\nAuthorization: Bearer own\r\nx-ms-lease-id: \
                 l\r\nContent-Length: 0",
                "DELETE /mount/c/none HTTP/1.1",
                "PUT /c/d?comp=tier HTTP/1.1\r\nx-ms-access-tier: Cool",
            ],
        );
        request.headers.set("x-ms-version", "2021-12-02").unwrap();
        let response = mount.call::<Storage>(request);
        assert_eq!(
            (response.status, response.headers.get("x-ms-version").as_deref()),
            (202, Some("2021-12-02"))
        );
        let content_type = response.headers.get("content-type").unwrap();
        let boundary = multipart::boundary(&content_type).unwrap();
        let expected = [
            format!("--{boundary}\r\nContent-Type: application/http\r\nContent-ID: 0\r\n\r\n"),
            "HTTP/1.1 202 Accepted\r\nx-ms-request-id: 1\r\n\r\n\r\n".to_owned(),
            format!("--{boundary}\r\nContent-Type: application/http\r\nContent-ID: 1\r\n\r\n"),
            "HTTP/1.1 404 Not Found\r\nx-ms-error-code: BlobNotFound\r\nContent-Length: \
             8\r\n\r\n<Error/>\r\n"
                .to_owned(),
            format!("--{boundary}\r\nContent-Type: application/http\r\nContent-ID: 2\r\n\r\n"),
            "HTTP/1.1 202 Accepted\r\nx-ms-request-id: 1\r\n\r\n\r\n".to_owned(),
            format!("--{boundary}--\r\n"),
        ];
        assert_eq!(text(response), expected.concat());

        let sent = sent.borrow();
        let urls: Vec<_> =
            sent.iter().map(|sent| (sent.method.as_str(), sent.url.as_str())).collect();
        let host = "https://contoso.blob.core.windows.net";
        assert_eq!(urls[0], ("DELETE", format!("{host}/c/a%20b").as_str()));
        assert_eq!(urls[1], ("DELETE", format!("{host}/c/none").as_str()));
        assert_eq!(urls[2], ("PUT", format!("{host}/c/d?comp=tier").as_str()));
        for part in sent.iter() {
            assert_eq!(part.header("authorization"), Some("Bearer surrogate-for-blob"));
            assert_eq!(part.header("x-ms-version"), Some("2021-12-02"));
        }
        assert_eq!(
            (sent[0].header("x-ms-lease-id"), sent[2].header("x-ms-access-tier")),
            (Some("l"), Some("Cool"))
        );
    }

    #[test]
    fn each_part_has_its_own_signature() {
        let (mount, sent) = storage(|sent| {
            let sas = r#"{"serviceSasToken":"surrogate-for-sas"}"#;
            if sent.url.contains("management") {
                Response::new(200).with_body(sas)
            } else {
                Response::new(202)
            }
        });
        let account =
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/contoso";
        let mount = mount.setting("auth", "sas").setting("account", account);
        let parts = ["DELETE /c/a HTTP/1.1", "PUT /c/b?comp=tier HTTP/1.1"];
        assert_eq!(
            mount.call::<Storage>(batch("/c?restype=container&comp=batch", &parts)).status,
            202
        );
        let sent = sent.borrow();
        let bodies: Vec<_> = sent.iter().map(|sent| String::from_utf8_lossy(&sent.body)).collect();
        assert!(
            bodies[0].contains("contoso/c/a") && bodies[0].contains(r#""signedPermission":"d""#),
            "{bodies:?}"
        );
        assert!(
            bodies[2].contains("contoso/c/b") && bodies[2].contains(r#""signedPermission":"w""#),
            "{bodies:?}"
        );
        assert!(
            sent[1].url.ends_with("/c/a?surrogate-for-sas")
                && sent[3].url.ends_with("&surrogate-for-sas")
        );
    }

    #[test]
    fn the_prefix_is_removed_but_not_a_container_of_the_same_name() {
        for (path, target, expected) in [
            ("/?comp=batch", "/mount/c/b", "/c/b"),
            ("/?comp=batch", "/mount/b", "/mount/b"),
            ("/?comp=batch", "/mountain/c/b", "/mountain/c/b"),
            ("/c?restype=container&comp=batch", "/mount/c/b", "/c/b"),
            ("/c?restype=container&comp=batch", "/c/mount/c/b", "/c/mount/c/b"),
            ("/mount?restype=container&comp=batch", "/mount/b/c", "/mount/b/c"),
            ("/mount?restype=container&comp=batch", "/mount/mount/c", "/mount/c"),
            ("/?comp=batch", "/mount/c//lead", "/c//lead"),
            ("/?comp=batch", "/c/a%2Fb%5Cc%252Fd", "/c/a%2Fb%5Cc%252Fd"),
        ] {
            let (mount, sent) = storage(|_| Response::new(202));
            let response =
                mount.call::<Storage>(batch(path, &[&format!("DELETE {target} HTTP/1.1")]));
            assert_eq!(response.status, 202, "{target}");
            assert_eq!(
                sent.borrow()[0].url,
                format!("https://contoso.blob.core.windows.net{expected}")
            );
        }
    }

    #[test]
    fn no_part_of_an_invalid_batch_is_sent() {
        let good = "DELETE /c/a HTTP/1.1";
        for bad in [
            "GET /c/a HTTP/1.1",
            "PUT /c/a HTTP/1.1",
            "PUT /c/a?comp=metadata HTTP/1.1",
            "DELETE /c/a?comp=lease HTTP/1.1",
            "DELETE /c?restype=container HTTP/1.1",
            "DELETE /c HTTP/1.1",
            "DELETE /c/ HTTP/1.1",
            "DELETE //c/a HTTP/1.1",
            "DELETE /c/../other/a HTTP/1.1",
            "DELETE /c/%2e%2e%2Fother/a HTTP/1.1",
            "DELETE /c/a%00 HTTP/1.1",
            "DELETE /c/%ff HTTP/1.1",
            "DELETE https://elsewhere.example/c/a HTTP/1.1",
            "POST /c?comp=batch HTTP/1.1",
            "DELETE /other/a HTTP/1.1",
        ] {
            let (mount, sent) = storage(|_| Response::new(202));
            let response =
                mount.call::<Storage>(batch("/c?restype=container&comp=batch", &[good, bad]));
            assert_eq!((response.status, sent.borrow().len()), (400, 0), "{bad}");
        }
        for (count, status) in [(0, 400), (1, 202), (256, 202), (257, 400)] {
            let (mount, sent) = storage(|_| Response::new(202));
            let response = mount.call::<Storage>(batch("/?comp=batch", &vec![good; count]));
            let sent = sent.borrow().len();
            assert_eq!(
                (response.status, sent),
                (status, if status == 202 { count } else { 0 }),
                "{count}"
            );
        }
    }

    #[test]
    fn a_failed_part_does_not_affect_the_others() {
        let sent = Rc::new(RefCell::new(0));
        let count = Rc::clone(&sent);
        let response = Mount::new()
            .endpoint("blob", "https://contoso.blob.core.windows.net")
            .try_respond_with(move |_| {
                *count.borrow_mut() += 1;
                if *count.borrow() == 1 {
                    Err(SendError::TimedOut("slow".to_owned()))
                } else {
                    Ok(Response::new(202))
                }
            })
            .call::<Storage>(batch(
                "/?comp=batch",
                &["DELETE /c/a HTTP/1.1", "DELETE /c/b HTTP/1.1"],
            ));
        assert_eq!((response.status, *sent.borrow()), (202, 2));
        let text = text(response);
        assert!(
            text.contains("HTTP/1.1 504 Gateway Timeout") && text.contains("HTTP/1.1 202 Accepted"),
            "{text}"
        );
    }

    #[test]
    fn a_denied_part_ends_the_batch() {
        let sent = Rc::new(RefCell::new(0));
        let count = Rc::clone(&sent);
        let response = Mount::new()
            .endpoint("blob", "https://contoso.blob.core.windows.net")
            .try_respond_with(move |_| {
                *count.borrow_mut() += 1;
                Err(SendError::Denied)
            })
            .call::<Storage>(batch(
                "/?comp=batch",
                &["DELETE /c/a HTTP/1.1", "DELETE /c/b HTTP/1.1"],
            ));
        assert_eq!((response.status, *sent.borrow()), (403, 1));
    }
}
