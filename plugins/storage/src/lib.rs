//! Azure Blob Storage: the [Blob service's REST
//! API](https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api), without the
//! credential.
//!
//! A request without an `x-ms-version` gets the mount's (setting `version`). With `auth = "entra"`
//! it is sent with a token. With `auth = "sas"` the plugin first requests a shared access signature
//! from Resource Manager that allows just this request (see `required_permission`). The signature
//! is sealed: neither the plugin nor the caller sees it.
//!
//! The requests of a batch are sent one by one (see `batch`).
//!
//! `POST /$sas/CONTAINER[/BLOB]` returns a signature to the caller, if the mount has
//! `hand_out = ["listServiceSas"]`.

mod batch;
mod copy;
mod export;
mod multipart;
mod required_permission;
mod sas;

use keyward_plugin::{Context, Outgoing, Plugin, Problem, Request, Response};

keyward_plugin::manifest!("../manifest.toml");
keyward_plugin::export!(Storage);

/// The plugin.
#[derive(Debug)]
pub struct Storage;

impl Plugin for Storage {
    fn handle(request: Request, cx: &Context) -> Result<Response, Problem> {
        if export::is_export(&request) {
            return export::handle(request, cx);
        }
        let with_sas = cx.setting("auth").as_deref() == Some("sas");
        if batch::is_batch(&request) {
            return batch::handle(request, with_sas, cx);
        }
        let sas = if with_sas {
            Some(sas::get(&required_permission::required_permission(&request)?, cx)?)
        } else {
            None
        };
        let endpoint = cx.endpoint("blob")?;
        let mut outgoing = Outgoing::forward(request, &endpoint);
        if let Some(version) =
            cx.setting("version").filter(|_| !outgoing.headers.contains("x-ms-version"))
        {
            outgoing.headers.set("x-ms-version", version)?;
        }
        copy::rewrite_sources(&mut outgoing, &endpoint, cx)?;
        match sas {
            Some(sas) => sas.spend(&mut outgoing),
            None => outgoing.authorize(&cx.token("blob")?)?,
        }
        Ok(cx.send(outgoing)?)
    }
}

#[cfg(test)]
mod tests {
    use keyward_plugin::Method;
    use keyward_plugin::testing::{Mount, text};

    use super::*;

    fn mount() -> Mount {
        Mount::new()
            .endpoint("blob", "https://contoso.blob.core.windows.net")
            .setting("version", "2023-11-03")
    }

    #[test]
    fn a_blob_is_read_with_a_token_and_a_default_version() {
        let response = mount()
            .respond_with(|sent| {
                assert_eq!(sent.url, "https://contoso.blob.core.windows.net/hello/world.txt");
                assert_eq!(sent.header("authorization"), Some("Bearer surrogate-for-blob"));
                assert_eq!(sent.header("x-ms-version"), Some("2023-11-03"));
                Response::new(200).with_body("Hello, world!")
            })
            .call::<Storage>(Request::get("/hello/world.txt"));
        assert_eq!(text(response), "Hello, world!");
    }

    #[test]
    fn the_version_and_other_fields_of_the_caller_are_kept() {
        let mut request = Request::new(Method::Put, "/hello/new.txt?timeout=30");
        for (name, value) in
            [("x-ms-version", "2021-12-02"), ("x-ms-meta-a", "b"), ("if-none-match", "*")]
        {
            request.headers.set(name, value).unwrap();
        }
        request.body = "text".into();
        let response = mount()
            .respond_with(|sent| {
                assert_eq!(sent.header("x-ms-version"), Some("2021-12-02"));
                assert_eq!(
                    (sent.header("x-ms-meta-a"), sent.header("if-none-match")),
                    (Some("b"), Some("*"))
                );
                assert_eq!(
                    (sent.method.as_str(), sent.body.as_slice()),
                    ("PUT", b"text".as_slice())
                );
                Response::new(201)
            })
            .call::<Storage>(request);
        assert_eq!(response.status, 201);
    }

    #[test]
    fn errors_of_the_service_are_returned_unchanged() {
        let xml = "<?xml version=\"1.0\"?><Error><Code>BlobNotFound</Code></Error>";
        let response = mount()
            .respond_with(move |_| {
                Response::new(404).with_header("x-ms-error-code", "BlobNotFound").with_body(xml)
            })
            .call::<Storage>(Request::get("/hello/none"));
        assert_eq!(response.headers.get("x-ms-error-code").as_deref(), Some("BlobNotFound"));
        assert_eq!((response.status, text(response)), (404, xml.to_owned()));
    }
}
