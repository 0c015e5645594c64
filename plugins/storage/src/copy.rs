//! The source of a copy, which a client names by the address that it knows: the mount's.

use keyward_plugin::{Context, Endpoint, Outgoing, Problem};

/// The fields that name another blob.
const SOURCES: [&str; 2] = ["x-ms-copy-source", "x-ms-rename-source"];

/// Has a source that leads through the mount lead to the service itself. Others pass as they are.
pub(crate) fn lead_to_the_service(
    outgoing: &mut Outgoing,
    endpoint: &Endpoint,
    cx: &Context,
) -> Result<(), Problem> {
    for name in SOURCES {
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
    fn a_copys_source_leads_to_the_service() {
        for (given, expected) in [
            (
                "http://localhost/mount/hello/a%20b.txt",
                "https://contoso.blob.core.windows.net/hello/a%20b.txt",
            ),
            ("http://localhost/mountain/hello/a", "http://localhost/mountain/hello/a"),
            ("https://other.example/public.txt", "https://other.example/public.txt"),
        ] {
            let mut request = Request::new(Method::Put, "/hello/copy.txt");
            request.headers.set("x-ms-copy-source", given).unwrap();
            let response = Mount::new()
                .endpoint("blob", "https://contoso.blob.core.windows.net")
                .answer(move |sent| {
                    assert_eq!(sent.header("x-ms-copy-source"), Some(expected));
                    Response::new(202)
                })
                .call::<Storage>(request);
            assert_eq!(response.status, 202);
        }
    }
}
