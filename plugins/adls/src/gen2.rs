//! Gen2: requests are sent unchanged. Invalid ones are left to the service, whose errors explain
//! them best.

use keyward_plugin::{Context, Endpoint, Outgoing, Problem, Request, Response};

use crate::generation::reject_gen1;

/// Handles one request to a Gen2 account.
pub(crate) fn handle(
    request: Request,
    endpoint: &Endpoint,
    cx: &Context,
) -> Result<Response, Problem> {
    reject_gen1(&request, endpoint)?;
    let mut outgoing = Outgoing::forward(request, endpoint);
    // The service accepts a bearer token only with a version of 2017-11-09 or later.
    if !outgoing.headers.contains("x-ms-version")
        && let Some(version) = cx.setting("version")
    {
        outgoing.headers.set("x-ms-version", version)?;
    }
    outgoing.authorize(&cx.token("lake")?)?;
    Ok(cx.send(outgoing)?)
}

#[cfg(test)]
mod tests {
    use keyward_plugin::Method;
    use keyward_plugin::testing::{Mount, stream, text};

    use super::*;
    use crate::DataLake;

    fn mount() -> Mount {
        Mount::new()
            .endpoint("lake", "https://contoso.dfs.core.windows.net")
            .setting("version", "2023-11-03")
    }

    #[test]
    fn a_request_is_sent_with_the_surrogate_and_the_version_of_the_mount() {
        for (method, path) in [
            (Method::Get, "/?resource=account&prefix=a"),
            (Method::Put, "/fs?resource=filesystem"),
            (Method::Put, "/fs/dir/a%20b?resource=file&continuation=x%3D"),
            (Method::Put, "/fs/dir?resource=directory"),
            (Method::Patch, "/fs/a?position=5&action=flush&close=true"),
            (Method::Patch, "/fs/a?action=setAccessControlRecursive&mode=modify"),
            (Method::Head, "/fs/a?action=checkAccess&fsAction=r--"),
            (Method::Get, "/fs/a?comp=something&restype=new"),
            (Method::Get, "/webhdfs/v1/a"),
            (Method::Delete, "/fs/a?recursive=true"),
        ] {
            let (expected, expected_method) =
                (format!("https://contoso.dfs.core.windows.net{path}"), method.clone());
            let response = mount()
                .respond_with(move |sent| {
                    assert_eq!(
                        (&sent.method, sent.url.as_str()),
                        (&expected_method, expected.as_str())
                    );
                    assert_eq!(sent.header("authorization"), Some("Bearer surrogate-for-lake"));
                    assert_eq!(sent.header("x-ms-version"), Some("2023-11-03"));
                    Response::new(200)
                })
                .call::<DataLake>(Request::new(method, path));
            assert_eq!(response.status, 200);
        }
    }

    #[test]
    fn the_version_of_the_caller_is_kept() {
        let mut request = Request::get("/fs/a");
        request.headers.set("X-MS-Version", "2018-11-09").unwrap();
        let response = mount()
            .respond_with(|sent| {
                let versions =
                    sent.headers.iter().filter(|(name, _)| name == "x-ms-version").count();
                assert_eq!((sent.header("x-ms-version"), versions), (Some("2018-11-09"), 1));
                Response::new(200)
            })
            .call::<DataLake>(request);
        assert_eq!(response.status, 200);
    }

    #[test]
    fn the_source_of_a_rename_is_unchanged() {
        let mut request = Request::new(Method::Put, "/fs/new?mode=legacy");
        request.headers.set("x-ms-rename-source", "/fs/old%20name").unwrap();
        let response = mount()
            .respond_with(|sent| {
                assert_eq!(sent.header("x-ms-rename-source"), Some("/fs/old%20name"));
                Response::new(201)
            })
            .call::<DataLake>(request);
        assert_eq!(response.status, 201);
    }

    #[test]
    fn appended_content_is_streamed_in_one_request() {
        let mut request = Request::new(Method::Patch, "/fs/a?action=append&position=0");
        request.headers.set("content-length", "5").unwrap();
        request.body = stream(["he", "llo"]);
        let response = mount()
            .respond_with(|sent| {
                assert_eq!(
                    (sent.header("content-length"), sent.body.as_slice()),
                    (Some("5"), b"hello".as_slice())
                );
                Response::new(202)
            })
            .call::<DataLake>(request);
        assert_eq!(response.status, 202);
    }

    #[test]
    fn the_continuation_of_a_list_is_returned() {
        let response = mount()
            .respond_with(|_| {
                let paths = stream([r#"{"paths":[{"name":"#, r#""a"}]}"#]);
                Response::new(200).with_header("x-ms-continuation", "VBaExsD/==").with_body(paths)
            })
            .call::<DataLake>(Request::get("/fs?resource=filesystem&recursive=false&maxResults=1"));
        assert_eq!(response.headers.get("x-ms-continuation").as_deref(), Some("VBaExsD/=="));
        assert_eq!(text(response), r#"{"paths":[{"name":"a"}]}"#);
    }

    #[test]
    fn an_error_of_the_service_is_returned_unchanged() {
        let response = mount()
            .respond_with(|_| {
                Response::new(409)
                    .with_header("x-ms-error-code", "PathAlreadyExists")
                    .with_body("{}")
            })
            .call::<DataLake>(Request::new(Method::Put, "/fs/a?resource=unheard-of"));
        assert_eq!(response.headers.get("x-ms-error-code").as_deref(), Some("PathAlreadyExists"));
        assert_eq!((response.status, text(response)), (409, "{}".to_owned()));
    }

    #[test]
    fn a_webhdfs_request_is_rejected_with_the_operation_of_gen2() {
        for (path, instead) in [
            (
                "/webhdfs/v1/a?op=LISTSTATUS",
                "GET /FS?resource=filesystem&recursive=false&directory=PATH",
            ),
            ("/webhdfs/v1/a?offset=1&OP=open", "GET /FS/PATH"),
            (
                "/webhdfs/v1/a?op=GETCONTENTSUMMARY",
                "https://learn.microsoft.com/rest/api/storageservices",
            ),
        ] {
            let response = mount()
                .respond_with(|_| panic!("unexpected request"))
                .call::<DataLake>(Request::get(path));
            assert_eq!(response.status, 400);
            let problem = text(response);
            assert!(problem.contains("https://contoso.dfs.core.windows.net, is Gen2"), "{problem}");
            assert!(problem.contains(instead), "{problem}");
        }
    }
}
