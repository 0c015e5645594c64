//! The head of a request, as patterns check it.

use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

/// The parts of a request beside its path that patterns check.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'r> {
    /// The method.
    pub method: &'r Method,
    /// The query, as it is sent.
    pub query: Option<&'r str>,
    /// The header fields; `None` for a request without any.
    pub headers: Option<&'r HeaderMap>,
}

/// A parameter that selects an operation, and that services could read in more than one way: it is
/// there twice, encoded, in another case, or without a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmbiguousParameter(pub String);

impl<'r> RequestHead<'r> {
    /// A request without a query and header fields.
    #[must_use]
    pub fn of_method(method: &'r Method) -> Self {
        Self { method, query: None, headers: None }
    }

    /// The value of a parameter; `None` if it is absent.
    ///
    /// # Errors
    ///
    /// Services could read it in more than one way.
    pub(crate) fn parameter(&self, name: &str) -> Result<Option<&'r str>, AmbiguousParameter> {
        let ambiguous = || AmbiguousParameter(name.to_owned());
        let mut found = None;
        for pair in self.query.unwrap_or_default().split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if key == name {
                let is_plain = !value.is_empty() && !value.contains(['%', '+', ';', '=', '?', ',']);
                if !is_plain || found.replace(value).is_some() {
                    return Err(ambiguous());
                }
            } else if may_be_read_as(pair, name) {
                return Err(ambiguous());
            }
        }
        Ok(found)
    }

    /// Whether services could read a parameter in more than one way.
    #[must_use]
    pub fn is_ambiguous(&self, name: &str) -> bool {
        self.parameter(name).is_err()
    }

    /// Whether there is a header field of this name.
    pub(crate) fn has_field(&self, name: &str) -> bool {
        self.headers.is_some_and(|headers| headers.contains_key(name))
    }
}

/// Whether a lenient service could read a part of a query as a parameter of this name, although it
/// is not written so.
fn may_be_read_as(pair: &str, name: &str) -> bool {
    let decoded = percent_decode_str(pair).decode_utf8_lossy().replace('+', " ");
    decoded.split([';', '?', '&']).any(|part| {
        let key = part.split_once('=').map_or(part, |(key, _)| key);
        let key = key.trim_matches(|end: char| end.is_whitespace() || end.is_control());
        folded(key) == folded(name)
    })
}

/// In one case, in whatever alphabet: some services read the Kelvin sign as a `k`.
fn folded(text: &str) -> String {
    text.to_uppercase().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter<'q>(query: &'q str, name: &str) -> Result<Option<&'q str>, AmbiguousParameter> {
        RequestHead { query: Some(query), ..RequestHead::of_method(&Method::GET) }.parameter(name)
    }

    #[test]
    fn a_parameter_has_one_plain_value() {
        assert_eq!(parameter("comp=list", "comp"), Ok(Some("list")));
        assert_eq!(parameter("restype=container&comp=list&prefix=a%2Fb", "comp"), Ok(Some("list")));
        assert_eq!(parameter("", "comp"), Ok(None));
        assert_eq!(parameter("compx=list&xcomp=list&prefix=comp", "comp"), Ok(None));
        assert_eq!(RequestHead::of_method(&Method::GET).parameter("comp"), Ok(None));
    }

    #[test]
    fn a_parameter_that_services_could_read_otherwise_is_ambiguous() {
        for query in [
            "comp=list&comp=acl",
            "comp=list&comp=list",
            "comp=list&COMP=acl",
            "Comp=list",
            "%63omp=list",
            "c%6Fmp=acl&comp=list",
            "comp",
            "comp=",
            "comp=%6cist",
            "comp=li+st",
            "comp=list;x=1",
            "x=1;comp=list",
            "x=1%26comp=list",
            "comp%3Dlist",
            "comp%20=list",
            "comp+=list",
            "%00comp=list",
            "?comp=list",
            "comp=list,acl",
            "comp=a=b",
        ] {
            assert_eq!(parameter(query, "comp"), Err(AmbiguousParameter("comp".into())), "{query}");
        }
        assert!(parameter("lin\u{212a}=1", "link").is_err(), "the Kelvin sign");
        let head =
            |query| RequestHead { query: Some(query), ..RequestHead::of_method(&Method::GET) };
        assert!(head("comp=list&COMP=acl").is_ambiguous("comp"));
        assert!(!head("comp=list&COMP=acl").is_ambiguous("restype"));
    }
}
