//! Links that lead back: what a service says of its own address is rewritten to come through the
//! mount again.
//!
//! A list is read page by page, a long operation is asked for its state, and the service says
//! where: in a member of its JSON (`nextLink`), in a header (`Location`). Those links name the
//! service. A client that followed one would leave the broker, and stand there without a
//! credential.

use std::cell::OnceCell;

use crate::body::Filter;
use crate::context::Context;
use crate::endpoint::Endpoint;
use crate::response::Response;

/// The longest link that is rewritten, in bytes. A longer string is no link and passes as it is.
const LONGEST: usize = 32 * 1024;

/// Rewrites an answer of the service at `endpoint`: the named header fields, and the named members
/// at the top of a JSON body. All else stays as it is, to the byte, and the body keeps streaming.
#[must_use]
pub fn lead_back(
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
            // A link that was a valid value before is one with another beginning.
            let _ = response.headers.set(name, link);
        }
    }
    if !members.is_empty() && !response.body.is_empty() && response.is_json() {
        response.headers.remove("content-length");
        response.body = response.body.filtered(JsonLinks::new(links().clone(), members));
    }
    response
}

/// From the service's addresses to the mount's.
#[derive(Clone, Debug)]
pub struct Links {
    endpoint: Endpoint,
    mount_url: String,
}

impl Links {
    /// Links to `endpoint` shall lead to `mount_url`, which is [`Context::mount_url`].
    #[must_use]
    pub fn new(endpoint: Endpoint, mount_url: String) -> Self {
        Self { endpoint, mount_url }
    }

    /// The link through the mount; `None` where the link leads elsewhere.
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

/// Rewrites links in JSON while it passes, wherever it is cut.
struct JsonLinks {
    links: Links,
    members: &'static [&'static str],
    depth: u32,
    in_object: bool,
    /// At the top of the root object: whether a string would be a member's name.
    name_next: bool,
    name: Vec<u8>,
    string: Option<Text>,
}

/// The string that the next byte belongs to.
struct Text {
    escaped: bool,
    role: Role,
}

enum Role {
    /// A member's name at the top: it is copied to `name`.
    Name,
    /// The value of one of the members: held back, with its quotes, until it ends.
    Link(Vec<u8>),
    Other,
}

impl JsonLinks {
    fn new(links: Links, members: &'static [&'static str]) -> Self {
        let (name, string) = (Vec::new(), None);
        Self { links, members, depth: 0, in_object: false, name_next: false, name, string }
    }

    fn open(&mut self, out: &mut Vec<u8>) {
        let at_top = self.depth == 1 && self.in_object;
        let is_member = |name: &[u8]| self.members.iter().any(|member| member.as_bytes() == name);
        let role = if at_top && self.name_next {
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
        self.string = Some(Text { escaped: false, role });
    }

    fn structure(&mut self, byte: u8) {
        match byte {
            b'{' | b'[' => {
                self.depth = self.depth.saturating_add(1);
                if self.depth == 1 {
                    self.in_object = byte == b'{';
                    self.name_next = self.in_object;
                }
            }
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            b',' if self.depth == 1 => self.name_next = self.in_object,
            b':' if self.depth == 1 => self.name_next = false,
            _ => {}
        }
    }

    /// The held string as it shall be sent.
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
            let Some(text) = &mut self.string else {
                if byte == b'"' {
                    self.open(out);
                } else {
                    self.structure(byte);
                    out.push(byte);
                }
                continue;
            };
            let ends = byte == b'"' && !text.escaped;
            text.escaped = byte == b'\\' && !text.escaped;
            match &mut text.role {
                Role::Other => out.push(byte),
                Role::Name => {
                    out.push(byte);
                    if !ends && self.name.len() < LONGEST {
                        self.name.push(byte);
                    }
                }
                Role::Link(held) => {
                    held.push(byte);
                    if held.len() > LONGEST {
                        out.append(held);
                        text.role = Role::Other;
                    }
                }
            }
            if ends && let Some(Text { role: Role::Link(held), .. }) = self.string.take() {
                out.append(&mut self.rewritten(held));
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if let Some(Text { role: Role::Link(mut held), .. }) = self.string.take() {
            out.append(&mut held);
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
    fn a_next_link_leads_through_the_mount_wherever_the_body_is_cut() {
        let json = r#"{ "value": [{"nextLink": "https://management.azure.com/inner", "x": "}\""}],
            "nextLink" : "https:\/\/Management.azure.com:443/subscriptions?$skiptoken=a%20b" }"#;
        let expected = r#"{ "value": [{"nextLink": "https://management.azure.com/inner", "x": "}\""}],
            "nextLink" : "http://localhost/arm/subscriptions?$skiptoken=a%20b" }"#;
        for chunk in 1..json.len() {
            assert_eq!(through(json, chunk), expected, "cut into {chunk} bytes each");
        }
    }

    #[test]
    fn what_is_no_link_to_the_endpoint_stays_as_it_is_to_the_byte() {
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
    fn a_string_too_long_for_a_link_is_not_held_back() {
        let json =
            format!(r#"{{"nextLink":"https://management.azure.com/{}"}}"#, "x".repeat(2 * LONGEST));
        assert_eq!(through(&json, 1000), json);
    }

    #[test]
    fn a_prefix_of_the_endpoint_is_taken_off() {
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
