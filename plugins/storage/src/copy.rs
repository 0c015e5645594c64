//! Sources of copies, which clients specify as URLs of the mount.

use keyward_plugin::{Context, Endpoint, Outgoing, Problem};

/// Header fields that name another blob.
const SOURCE_FIELDS: [&str; 2] = ["x-ms-copy-source", "x-ms-rename-source"];

/// Rewrites sources at the mount to URLs of the service. Other sources are unchanged.
pub(crate) fn rewrite_sources(
    outgoing: &mut Outgoing,
    endpoint: &Endpoint,
    cx: &Context,
) -> Result<(), Problem> {
    for name in SOURCE_FIELDS {
        let Some(source) = outgoing.headers.get(name) else { continue };
        if let Some(rest) =
            source.strip_prefix(&cx.mount_url()).filter(|rest| rest.starts_with('/'))
        {
            outgoing.headers.set(name, format!("{}{rest}", endpoint.url()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use keyward_plugin::testing::Mount;
    use keyward_plugin::{Method, Request, Response};

    use crate::Storage;

    #[test]
    fn the_source_of_a_copy_is_rewritten_to_the_service() {
        for (source, expected) in [
            (
                "http://localhost/mount/hello/a%20b.txt",
                "https://contoso.blob.core.windows.net/hello/a%20b.txt",
            ),
            ("http://localhost/mountain/hello/a", "http://localhost/mountain/hello/a"),
            ("https://other.example/public.txt", "https://other.example/public.txt"),
        ] {
            let mut request = Request::new(Method::Put, "/hello/copy.txt");
            request.headers.set("x-ms-copy-source", source).unwrap();
            let response = Mount::new()
                .endpoint("blob", "https://contoso.blob.core.windows.net")
                .respond_with(move |sent| {
                    assert_eq!(sent.header("x-ms-copy-source"), Some(expected));
                    Response::new(202)
                })
                .call::<Storage>(request);
            assert_eq!(response.status, 202);
        }
    }
}
