//! Azure Key Vault: the [REST API](https://learn.microsoft.com/rest/api/keyvault/) for secrets,
//! keys and certificates, without the credential.
//!
//! A request without an `api-version` gets the mount's (setting `api_version`). The `nextLink` of a
//! list's page and the `Location` of a pending certificate are rewritten to lead through the mount.
//!
//! Azure's SDKs send the first write of a client without its body, and expect a 401 with a
//! challenge before they send the body. A write without a body is sent to the vault without a
//! token, so that the vault responds with its own challenge. With a token it would write the empty
//! body.

use keyward_plugin::links::rewrite_links;
use keyward_plugin::{Context, Method, Outgoing, Plugin, Problem, Request, Response};

keyward_plugin::manifest!("../manifest.toml");
keyward_plugin::export!(KeyVault);

/// The plugin.
#[derive(Debug)]
pub struct KeyVault;

impl Plugin for KeyVault {
    fn handle(request: Request, cx: &Context) -> Result<Response, Problem> {
        let endpoint = cx.endpoint("vault")?;
        let pages: &[&str] = if is_list(&request) { &["nextLink"] } else { &[] };
        let lacks_body = request.body.is_empty() && has_body(&request);

        let mut outgoing = Outgoing::forward(without_trailing_slash(request), &endpoint);
        if let Some(version) = cx.setting("api_version") {
            outgoing.default_query("api-version", &version);
        }
        if !lacks_body {
            outgoing.authorize(&cx.token("vault")?)?;
        }
        let response = cx.send(outgoing)?;
        // Only the `Location` of a pending operation is a link to the vault.
        let headers: &[&str] = if response.status == 202 { &["location"] } else { &[] };
        Ok(rewrite_links(response, &endpoint, cx, headers, pages))
    }
}

/// Whether an operation requires a body. All writes do, except for three.
fn has_body(request: &Request) -> bool {
    let segments: Vec<&str> = request.segments().collect();
    match request.method {
        Method::Put | Method::Patch => true,
        Method::Post => !matches!(segments.as_slice(), [_, _, "backup" | "recover" | "rotate"]),
        Method::Get | Method::Head | Method::Delete | Method::Options | Method::Other(_) => false,
    }
}

/// Removes a trailing slash. SDKs request `/secrets/db/` for the current version, which is the same
/// as `/secrets/db`, the path in `allow`.
fn without_trailing_slash(mut request: Request) -> Request {
    let (path, query) = request.path_and_query.split_at(request.path().len());
    if let Some(path) =
        path.strip_suffix('/').filter(|path| !path.is_empty() && !path.ends_with('/'))
    {
        request.path_and_query = format!("{path}{query}");
    }
    request
}

/// Whether the response is a paged list: `/secrets`, `/secrets/NAME/versions`, `/deletedkeys`,
/// `/certificates/issuers`. The value of a secret must not be rewritten.
fn is_list(request: &Request) -> bool {
    let segments: Vec<&str> = request.segments().collect();
    matches!(segments.as_slice(), [_] | [_, _, "versions"] | ["certificates", "issuers"])
}

#[cfg(test)]
mod tests {
    use keyward_plugin::testing::{Mount, text};
    use keyward_plugin::{Method, SendError};

    use super::*;

    fn mount() -> Mount {
        Mount::new()
            .endpoint("vault", "https://contoso.vault.azure.net")
            .setting("api_version", "7.4")
    }

    #[test]
    fn a_secret_is_requested_with_the_surrogate_and_the_default_api_version() {
        let response = mount()
            .respond_with(|sent| {
                assert_eq!(sent.url, "https://contoso.vault.azure.net/secrets/db?api-version=7.4");
                assert_eq!(sent.header("authorization"), Some("Bearer surrogate-for-vault"));
                Response::new(200)
                    .with_header("content-type", "application/json")
                    .with_body(r#"{"value":"x"}"#)
            })
            .call::<KeyVault>(Request::get("/secrets/db"));
        assert_eq!((response.status, text(response)), (200, r#"{"value":"x"}"#.to_owned()));
    }

    #[test]
    fn the_api_version_of_the_caller_is_kept() {
        for query in [
            "?api-version=2016-10-01",
            "?maxresults=2&API-Version=7.0",
            "?api%2Dversion=7.6",
            "?a=b&api%2dversion=",
        ] {
            let expected = format!("https://contoso.vault.azure.net/secrets{query}");
            let response = mount()
                .respond_with(move |sent| {
                    assert_eq!(sent.url, expected);
                    Response::new(200)
                })
                .call::<KeyVault>(Request::get(format!("/secrets{query}")));
            assert_eq!(response.status, 200);
        }
    }

    #[test]
    fn method_headers_and_body_are_sent_unchanged() {
        let mut request = Request::new(Method::Put, "/secrets/db");
        request.headers.set("content-type", "application/json").unwrap();
        request.body = r#"{"value":"x"}"#.into();
        let response = mount()
            .respond_with(|sent| {
                assert_eq!(
                    (sent.method.as_str(), sent.body.as_slice()),
                    ("PUT", br#"{"value":"x"}"#.as_slice())
                );
                assert_eq!(sent.header("content-type"), Some("application/json"));
                Response::new(200)
            })
            .call::<KeyVault>(request);
        assert_eq!(response.status, 200);
    }

    #[test]
    fn a_write_without_a_body_gets_the_challenge_of_the_vault() {
        let challenge = "Bearer authorization=\"https://login.example/tenant\", \
                         resource=\"https://vault.azure.net\"";
        for (method, path) in [
            (Method::Put, "/secrets/db"),
            (Method::Patch, "/secrets/db/"),
            (Method::Post, "/keys/signing/create"),
            (Method::Post, "/secrets/restore"),
            (Method::Post, "/keys/backup"),
        ] {
            let response = mount()
                .respond_with(move |sent| {
                    assert_eq!((sent.header("authorization"), sent.body.len()), (None, 0));
                    Response::new(401).with_header("www-authenticate", challenge)
                })
                .call::<KeyVault>(Request::new(method, path));
            assert_eq!(response.status, 401, "{path}");
            assert_eq!(response.headers.get("www-authenticate").as_deref(), Some(challenge));
        }
    }

    #[test]
    fn operations_without_a_body_are_sent_with_the_surrogate() {
        for (method, path) in [
            (Method::Post, "/secrets/db/backup"),
            (Method::Post, "/deletedsecrets/db/recover"),
            (Method::Post, "/keys/signing/rotate"),
            (Method::Delete, "/secrets/db"),
            (Method::Get, "/secrets/db"),
        ] {
            let response = mount()
                .respond_with(|sent| {
                    assert_eq!(sent.header("authorization"), Some("Bearer surrogate-for-vault"));
                    Response::new(200)
                })
                .call::<KeyVault>(Request::new(method, path));
            assert_eq!(response.status, 200, "{path}");
        }
    }

    #[test]
    fn a_trailing_slash_is_removed() {
        for (requested, sent) in [
            ("/secrets/db/?api-version=7.6", "/secrets/db?api-version=7.6"),
            ("/secrets/db?api-version=7.6&x=/", "/secrets/db?api-version=7.6&x=/"),
            ("/?api-version=7.6", "/?api-version=7.6"),
            ("/secrets//?api-version=7.6", "/secrets//?api-version=7.6"),
        ] {
            let expected = format!("https://contoso.vault.azure.net{sent}");
            let response = mount()
                .respond_with(move |sent| {
                    assert_eq!(sent.url, expected);
                    Response::new(200)
                })
                .call::<KeyVault>(Request::get(requested));
            assert_eq!(response.status, 200);
        }
    }

    #[test]
    fn the_link_to_the_next_page_is_rewritten() {
        let page = r#"{"value":[], "nextLink":
            "https://contoso.vault.azure.net:443/secrets?api-version=7.4&$skiptoken=x"}"#;
        for path in ["/secrets", "/keys", "/certificates/issuers", "/secrets/db/versions"] {
            let response = mount()
                .respond_with(move |_| {
                    Response::new(200)
                        .with_header("content-type", "application/json")
                        .with_body(page)
                })
                .call::<KeyVault>(Request::get(path));
            let expected = r#"{"value":[], "nextLink":
            "http://localhost/mount/secrets?api-version=7.4&$skiptoken=x"}"#;
            assert_eq!(text(response), expected);
        }
    }

    #[test]
    fn a_secret_whose_value_looks_like_a_page_is_not_rewritten() {
        let secret = r#"{"nextLink":"https://contoso.vault.azure.net/secrets"}"#;
        let response = mount()
            .respond_with(move |_| {
                Response::new(200).with_header("content-type", "application/json").with_body(secret)
            })
            .call::<KeyVault>(Request::get("/secrets/db/0123"));
        assert_eq!(text(response), secret);
    }

    #[test]
    fn the_location_of_a_pending_certificate_is_rewritten() {
        let pending = "https://contoso.vault.azure.net/certificates/c/pending?api-version=7.4";
        let response = mount()
            .respond_with(move |_| Response::new(202).with_header("location", pending))
            .call::<KeyVault>(Request::new(Method::Post, "/certificates/c/create"));
        let expected = "http://localhost/mount/certificates/c/pending?api-version=7.4";
        assert_eq!(response.headers.get("location").as_deref(), Some(expected));
    }

    #[test]
    fn an_unreachable_vault_is_a_problem_with_the_reason() {
        let response = mount()
            .try_respond_with(|_| Err(SendError::TimedOut("connection-timeout".to_owned())))
            .call::<KeyVault>(Request::get("/secrets/db"));
        assert_eq!(response.status, 504);
        assert_eq!(
            response.headers.get("content-type").as_deref(),
            Some("application/problem+json")
        );
        assert!(text(response).contains("connection-timeout"));
    }

    #[test]
    fn a_throttled_token_request_is_a_503_with_retry_after() {
        let busy = Problem::new(503, "token-throttled", "The identity endpoint is busy", "wait")
            .with_retry_after(7);
        let response =
            mount().token_error("vault", busy).call::<KeyVault>(Request::get("/secrets/db"));
        assert_eq!(
            (response.status, response.headers.get("retry-after").as_deref()),
            (503, Some("7"))
        );
    }
}
