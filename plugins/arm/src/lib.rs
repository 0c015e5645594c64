//! Azure Resource Manager: any path of its [REST
//! API](https://learn.microsoft.com/rest/api/resources/), without the credential.
//!
//! Links to the next page of a list (`nextLink`) and to the status of a [long operation]
//! (`Location`, `Azure-AsyncOperation`) are rewritten, so that clients follow them through the
//! mount.
//!
//! There is no default `api-version`: each resource type has its own, and Resource Manager's error
//! lists the supported ones.
//!
//! [long operation]: https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations

use keyward_plugin::links::rewrite_links;
use keyward_plugin::{Context, Outgoing, Plugin, Problem, Request, Response};

keyward_plugin::manifest!("../manifest.toml");
keyward_plugin::export!(ResourceManager);

/// The plugin.
#[derive(Debug)]
pub struct ResourceManager;

impl Plugin for ResourceManager {
    fn handle(request: Request, cx: &Context) -> Result<Response, Problem> {
        let endpoint = cx.endpoint("arm")?;
        let mut outgoing = Outgoing::forward(without_empty_segments(request), &endpoint);
        outgoing.authorize(&cx.token("arm")?)?;
        let response = cx.send(outgoing)?;
        Ok(rewrite_links(
            response,
            &endpoint,
            cx,
            &["location", "azure-asyncoperation"],
            &["nextLink", "@odata.nextLink"],
        ))
    }
}

/// SDKs write `/providers/Microsoft.Web//sites/shop` for a resource without a parent. Resource
/// Manager reads it without the empty segment, which is how `allow` names it.
fn without_empty_segments(mut request: Request) -> Request {
    let (path, query) = request.path_and_query.split_at(request.path().len());
    if path.contains("//") {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let end = if path.ends_with('/') && !segments.is_empty() { "/" } else { "" };
        request.path_and_query = format!("/{}{end}{query}", segments.join("/"));
    }
    request
}

#[cfg(test)]
mod tests {
    use keyward_plugin::Method;
    use keyward_plugin::testing::{Mount, stream, text};

    use super::*;

    fn mount() -> Mount {
        Mount::new().endpoint("arm", "https://management.azure.com")
    }

    #[test]
    fn a_resource_group_is_read_as_it_is() {
        let path = "/subscriptions/0/resourceGroups/g?api-version=2021-04-01";
        let response = mount()
            .respond_with(move |sent| {
                assert_eq!(sent.url, format!("https://management.azure.com{path}"));
                assert_eq!(sent.header("authorization"), Some("Bearer surrogate-for-arm"));
                Response::new(200)
                    .with_header("content-type", "application/json")
                    .with_body(r#"{"name":"g"}"#)
            })
            .call::<ResourceManager>(Request::get(path));
        assert_eq!(text(response), r#"{"name":"g"}"#);
    }

    #[test]
    fn empty_segments_of_a_path_are_removed() {
        for (requested, expected) in [
            (
                "/g/providers/Contoso.Web//sites/shop?api-version=1",
                "/g/providers/Contoso.Web/sites/shop?api-version=1",
            ),
            ("//subscriptions///0//?$filter=a//b", "/subscriptions/0/?$filter=a//b"),
            ("//", "/"),
        ] {
            let response = mount()
                .respond_with(move |sent| {
                    assert_eq!(sent.url, format!("https://management.azure.com{expected}"));
                    Response::new(200)
                })
                .call::<ResourceManager>(Request::get(requested));
            assert_eq!(response.status, 200);
        }
    }

    #[test]
    fn the_link_to_the_next_page_is_rewritten_in_a_chunked_body() {
        let response = mount()
            .respond_with(|_| {
                let page = stream([
                    r#"{"value":[{"id":1}],"nextL"#,
                    r#"ink":"https://manage"#,
                    r#"ment.azure.com/x"}"#,
                ]);
                let json = "application/json; charset=utf-8";
                Response::new(200)
                    .with_header("content-type", json)
                    .with_header("content-length", "62")
                    .with_body(page)
            })
            .call::<ResourceManager>(Request::get("/subscriptions?api-version=2022-12-01"));
        assert_eq!(response.headers.get("content-length"), None);
        assert_eq!(text(response), r#"{"value":[{"id":1}],"nextLink":"http://localhost/mount/x"}"#);
    }

    #[test]
    fn the_links_of_a_long_operation_are_rewritten() {
        let response = mount()
            .respond_with(|_| {
                Response::new(202)
                    .with_header("location", "https://management.azure.com/operationresults/1")
                    .with_header(
                        "azure-asyncoperation",
                        "https://management.azure.com/operations/1?api-version=1",
                    )
                    .with_header("x-ms-request-id", "https://management.azure.com/stays")
            })
            .call::<ResourceManager>(Request::new(
                Method::Delete,
                "/subscriptions/0/resourceGroups/g",
            ));
        let header = |name| response.headers.get(name).unwrap();
        assert_eq!(header("location"), "http://localhost/mount/operationresults/1");
        assert_eq!(
            header("azure-asyncoperation"),
            "http://localhost/mount/operations/1?api-version=1"
        );
        assert_eq!(header("x-ms-request-id"), "https://management.azure.com/stays");
    }

    #[test]
    fn a_link_to_another_host_is_unchanged() {
        let response = mount()
            .respond_with(|_| Response::new(302).with_header("location", "https://example.com/x"))
            .call::<ResourceManager>(Request::get("/x"));
        assert_eq!(response.headers.get("location").as_deref(), Some("https://example.com/x"));
    }
}
