//! Rewriting of a service's links to itself, so that they lead through the mount.
//!
//! The next page of a list and the status of a long-running operation are at links of the service:
//! in a member of its JSON (`nextLink`) or in a header (`Location`). A client that followed such a
//! link directly would bypass the broker, and would have no credential.

use std::cell::OnceCell;

use crate::body::Filter;
use crate::context::Context;
use crate::endpoint::Endpoint;
use crate::response::Response;

/// Maximum length of a link, in bytes. A longer string is passed on unchanged.
const MAX_LINK: usize = 32 * 1024;

/// Rewrites the links in a response of the service at `endpoint`: the named header fields, and the
/// named top-level members of a JSON body. Everything else is unchanged to the byte, and the body
/// is still streamed.
#[must_use]
pub fn rewrite_links(
    mut response: Response,
    endpoint: &Endpoint,
    cx: &Context,
    headers: &[&str],
    members: &'static [&'static str],
) -> Response {
    let links = OnceCell::new();
    let links = || links.get_or_init(|| Links::new(endpoint.clone(), cx.mount_url()));
    for name in headers {
        if let Some(link) = response.headers.get(name).and_then(|link| links().through_mount(&link))
        {
            // A valid field value is still valid with another prefix.
            let _ = response.headers.set(name, link);
        }
    }
    if !members.is_empty() && !response.body.is_empty() && response.is_json() {
        response.headers.remove("content-length");
        response.body = response.body.filtered(JsonLinks::new(links().clone(), members));
    }
    response
}

/// Maps URLs of the service to URLs of the mount.
#[derive(Clone, Debug)]
pub struct Links {
    endpoint: Endpoint,
    mount_url: String,
}

impl Links {
    /// Maps URLs below `endpoint` to URLs below `mount_url`, which is [`Context::mount_url`].
    #[must_use]
    pub fn new(endpoint: Endpoint, mount_url: String) -> Self {
        Self { endpoint, mount_url }
    }

    /// The corresponding URL of the mount, or `None` if the link leads elsewhere.
    #[must_use]
    pub fn through_mount(&self, link: &str) -> Option<String> {
        let rest = strip_prefix_ignoring_case(link, "https://")?;
        let rest = strip_prefix_ignoring_case(rest, &self.endpoint.authority)?;
        // Resource Manager writes the default port into some of its links.
        let rest = rest
            .strip_prefix(":443")
            .filter(|_| !self.endpoint.authority.contains(':'))
            .unwrap_or(rest);
        let rest = rest.strip_prefix(self.endpoint.prefix.as_str())?;
        (rest.is_empty() || rest.starts_with(['/', '?', '#']))
            .then(|| format!("{}{rest}", self.mount_url))
    }
}

fn strip_prefix_ignoring_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// Rewrites links in streamed JSON, wherever it is split.
struct JsonLinks {
    links: Links,
    members: &'static [&'static str],
    depth: u32,
    in_object: bool,
    /// At the top level of the root object: whether the next string is a member's name.
    expects_name: bool,
    name: Vec<u8>,
    string: Option<OpenString>,
}

/// The string that the next byte belongs to.
struct OpenString {
    escaped: bool,
    role: Role,
}

enum Role {
    /// A top-level member's name, which is copied to `name`.
    Name,
    /// The value of a named member, buffered with its quotes until it ends.
    Link(Vec<u8>),
    Other,
}

impl JsonLinks {
    fn new(links: Links, members: &'static [&'static str]) -> Self {
        let (name, string) = (Vec::new(), None);
        Self { links, members, depth: 0, in_object: false, expects_name: false, name, string }
    }

    fn open(&mut self, out: &mut Vec<u8>) {
        let at_top = self.depth == 1 && self.in_object;
        let is_member = |name: &[u8]| self.members.iter().any(|member| member.as_bytes() == name);
        let role = if at_top && self.expects_name {
            self.name.clear();
            Role::Name
        } else if at_top && is_member(&self.name) {
            Role::Link(vec![b'"'])
        } else {
            Role::Other
        };
        if !matches!(role, Role::Link(_)) {
            out.push(b'"');
        }
        self.string = Some(OpenString { escaped: false, role });
    }

    fn structure(&mut self, byte: u8) {
        match byte {
            b'{' | b'[' => {
                self.depth = self.depth.saturating_add(1);
                if self.depth == 1 {
                    self.in_object = byte == b'{';
                    self.expects_name = self.in_object;
                }
            }
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b',' if self.depth == 1 => self.expects_name = self.in_object,
            b':' if self.depth == 1 => self.expects_name = false,
            _ => {}
        }
    }

    /// The replacement of a buffered string.
    fn rewritten(&self, quoted: Vec<u8>) -> Vec<u8> {
        let link: Option<String> = serde_json::from_slice(&quoted).ok();
        match link.and_then(|link| self.links.through_mount(&link)) {
            Some(link) => serde_json::Value::String(link).to_string().into_bytes(),
            None => quoted,
        }
    }
}

impl Filter for JsonLinks {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        out.reserve(bytes.len());
        for &byte in bytes {
            let Some(string) = &mut self.string else {
                if byte == b'"' {
                    self.open(out);
                } else {
                    self.structure(byte);
                    out.push(byte);
                }
                continue;
            };
            let ends = byte == b'"' && !string.escaped;
            string.escaped = byte == b'\\' && !string.escaped;
            match &mut string.role {
                Role::Other => out.push(byte),
                Role::Name => {
                    out.push(byte);
                    if !ends && self.name.len() < MAX_LINK {
                        self.name.push(byte);
                    }
                }
                Role::Link(buffered) => {
                    buffered.push(byte);
                    if buffered.len() > MAX_LINK {
                        out.append(buffered);
                        string.role = Role::Other;
                    }
                }
            }
            if ends && let Some(OpenString { role: Role::Link(buffered), .. }) = self.string.take()
            {
                out.append(&mut self.rewritten(buffered));
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if let Some(OpenString { role: Role::Link(mut buffered), .. }) = self.string.take() {
            out.append(&mut buffered);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links() -> Links {
        let endpoint =
            Endpoint { authority: "management.azure.com".to_owned(), prefix: String::new() };
        Links::new(endpoint, "http://localhost/arm".to_owned())
    }

    fn through(json: &str, chunk: usize) -> String {
        let mut filter = JsonLinks::new(links(), &["nextLink"]);
        let mut out = Vec::new();
        for bytes in json.as_bytes().chunks(chunk) {
            filter.push(bytes, &mut out);
        }
        filter.finish(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_next_link_is_rewritten_wherever_the_body_is_split() {
        let json = r#"{ "value": [{"nextLink": "https://management.azure.com/inner", "x": "}\""}],
            "nextLink" : "https:\/\/Management.azure.com:443/subscriptions?$skiptoken=a%20b" }"#;
        let expected = r#"{ "value": [{"nextLink": "https://management.azure.com/inner", "x": "}\""}],
            "nextLink" : "http://localhost/arm/subscriptions?$skiptoken=a%20b" }"#;
        for chunk in 1..json.len() {
            assert_eq!(through(json, chunk), expected, "split into chunks of {chunk} bytes");
        }
    }

    #[test]
    fn everything_else_is_unchanged_to_the_byte() {
        for json in [
            r#"{"nextLink":"https://management.azure.com.evil.example/x"}"#,
            r#"{"nextLink":"https://elsewhere.example/x","a":1.0e5}"#,
            r#"{"nextLink":null,"value":"nextLink"}"#,
            r#"["nextLink","https://management.azure.com/x"]"#,
            r#"{"a":{"nextLink":"https://management.azure.com/x"}}"#,
            r#"{"nextLink":"https://management.azure.com/cut off"#,
            "no json at all \" { [ ",
            "",
        ] {
            assert_eq!(through(json, 7), json);
        }
    }

    #[test]
    fn a_string_too_long_for_a_link_is_not_buffered() {
        let json = format!(
            r#"{{"nextLink":"https://management.azure.com/{}"}}"#,
            "x".repeat(2 * MAX_LINK)
        );
        assert_eq!(through(&json, 1000), json);
    }

    #[test]
    fn the_prefix_of_the_endpoint_is_removed() {
        let endpoint = Endpoint::parse("https://localhost:8443/tenant/").unwrap();
        let links = Links::new(endpoint, "http://localhost/arm".to_owned());
        assert_eq!(
            links.through_mount("https://localhost:8443/tenant/a").as_deref(),
            Some("http://localhost/arm/a")
        );
        assert_eq!(links.through_mount("https://localhost:8443/tenants/a"), None);
        assert_eq!(links.through_mount("https://localhost:8443:443/tenant/a"), None);
    }
}
