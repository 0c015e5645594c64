//! Azure Key Vault: the [REST API](https://learn.microsoft.com/rest/api/keyvault/) for secrets, keys and certificates as
//! it is, without the credential.
//!
//! A request that names no `api-version` gets the mount's (setting `api_version`). Lists come in pages, and their
//! `nextLink` leads through the mount; so does the `Location` of a certificate that is being made.

use keyward_plugin::links::lead_back;
use keyward_plugin::{Context, Outgoing, Plugin, Problem, Request, Response};

keyward_plugin::manifest!("../manifest.toml");
keyward_plugin::export!(KeyVault);

/// The plugin.
#[derive(Debug)]
pub struct KeyVault;

impl Plugin for KeyVault {
    fn handle(request: Request, cx: &Context) -> Result<Response, Problem> {
        let endpoint = cx.endpoint("vault")?;
        let pages: &[&str] = if is_list(&request) { &["nextLink"] } else { &[] };

        let mut outgoing = Outgoing::forward(request, &endpoint);
        if let Some(version) = cx.setting("api_version") {
            outgoing.default_query("api-version", &version);
        }
        outgoing.authorize(&cx.token("vault")?)?;
        let response = cx.send(outgoing)?;
        // Only what was accepted, and is not done yet, points back.
        let headers: &[&str] = if response.status == 202 { &["location"] } else { &[] };
        Ok(lead_back(response, &endpoint, cx, headers, pages))
    }
}

/// Whether the answer is a list, which comes in pages: `/secrets`, `/secrets/NAME/versions`, `/deletedkeys`,
/// `/certificates/issuers`. A secret's own value is a string that nobody shall rewrite.
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
        Mount::new().endpoint("vault", "https://contoso.vault.azure.net").setting("api_version", "7.4")
    }

    #[test]
    fn a_secret_is_asked_for_with_the_surrogate_and_the_default_api_version() {
        let response = mount()
            .answer(|sent| {
                assert_eq!(sent.url, "https://contoso.vault.azure.net/secrets/db?api-version=7.4");
                assert_eq!(sent.header("authorization"), Some("Bearer surrogate-for-vault"));
                Response::new(200).with_header("content-type", "application/json").with_body(r#"{"value":"x"}"#)
            })
            .call::<KeyVault>(Request::get("/secrets/db"));
        assert_eq!((response.status, text(response)), (200, r#"{"value":"x"}"#.to_owned()));
    }

    #[test]
    fn the_callers_own_api_version_stays() {
        for query in ["?api-version=2016-10-01", "?maxresults=2&API-Version=7.0"] {
            let expected = format!("https://contoso.vault.azure.net/secrets{query}");
            let response = mount()
                .answer(move |sent| {
                    assert_eq!(sent.url, expected);
                    Response::new(200)
                })
                .call::<KeyVault>(Request::get(format!("/secrets{query}")));
            assert_eq!(response.status, 200);
        }
    }

    #[test]
    fn method_headers_and_body_pass_as_they_are() {
        let mut request = Request::new(Method::Put, "/secrets/db");
        request.headers.set("content-type", "application/json").unwrap();
        request.body = r#"{"value":"x"}"#.into();
        let response = mount()
            .answer(|sent| {
                assert_eq!((sent.method.as_str(), sent.body.as_slice()), ("PUT", br#"{"value":"x"}"#.as_slice()));
                assert_eq!(sent.header("content-type"), Some("application/json"));
                Response::new(200)
            })
            .call::<KeyVault>(request);
        assert_eq!(response.status, 200);
    }

    #[test]
    fn the_next_page_of_a_list_comes_through_the_mount() {
        let page =
            r#"{"value":[],"nextLink":"https://contoso.vault.azure.net:443/secrets?api-version=7.4&$skiptoken=x"}"#;
        for path in ["/secrets", "/keys", "/certificates/issuers", "/secrets/db/versions"] {
            let response = mount()
                .answer(move |_| Response::new(200).with_header("content-type", "application/json").with_body(page))
                .call::<KeyVault>(Request::get(path));
            let expected = r#"{"value":[],"nextLink":"http://localhost/mount/secrets?api-version=7.4&$skiptoken=x"}"#;
            assert_eq!(text(response), expected);
        }
    }

    #[test]
    fn a_secret_whose_value_looks_like_a_page_is_not_rewritten() {
        let secret = r#"{"nextLink":"https://contoso.vault.azure.net/secrets"}"#;
        let response = mount()
            .answer(move |_| Response::new(200).with_header("content-type", "application/json").with_body(secret))
            .call::<KeyVault>(Request::get("/secrets/db/0123"));
        assert_eq!(text(response), secret);
    }

    #[test]
    fn a_certificate_that_is_being_made_is_followed_through_the_mount() {
        let pending = "https://contoso.vault.azure.net/certificates/c/pending?api-version=7.4";
        let response = mount()
            .answer(move |_| Response::new(202).with_header("location", pending))
            .call::<KeyVault>(Request::new(Method::Post, "/certificates/c/create"));
        let expected = "http://localhost/mount/certificates/c/pending?api-version=7.4";
        assert_eq!(response.headers.get("location").as_deref(), Some(expected));
    }

    #[test]
    fn a_vault_that_cannot_be_reached_is_a_problem_with_its_reason() {
        let response = mount()
            .try_answer(|_| Err(SendError::TimedOut("connection-timeout".to_owned())))
            .call::<KeyVault>(Request::get("/secrets/db"));
        assert_eq!(response.status, 504);
        assert_eq!(response.headers.get("content-type").as_deref(), Some("application/problem+json"));
        assert!(text(response).contains("connection-timeout"));
    }

    #[test]
    fn no_token_is_the_callers_503_with_retry_after() {
        let busy = Problem::new(503, "token-throttled", "The identity endpoint is busy", "wait").with_retry_after(7);
        let response = mount().refuse("vault", busy).call::<KeyVault>(Request::get("/secrets/db"));
        assert_eq!((response.status, response.headers.get("retry-after").as_deref()), (503, Some("7")));
    }
}
