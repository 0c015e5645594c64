//! The operations of WebHDFS that take content, and do so in two steps.
//!
//! All others pass as they are: which there are, and with which methods, is the service's to say.

use keyward_plugin::{Method, Problem, Request};

use crate::query;

/// What a request asks for, as far as the plugin must know.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// `CREATE` and `APPEND`: the service first says where the content goes. The parameter that,
    /// being `true`, does without that.
    Upload { directly: &'static str },
    /// Any other.
    Other,
}

impl Operation {
    /// The operation that a request asks for.
    ///
    /// # Errors
    ///
    /// A problem (400) where it names more than one: the service could take either.
    pub(crate) fn requested(request: &Request) -> Result<Self, Problem> {
        let mut named = query::values(request.query(), "op");
        let name = named.next().unwrap_or_default();
        if named.next().is_some() {
            return Err(Problem::bad_request(
                "The query has more than one `op`; WebHDFS takes one",
            ));
        }
        if request.method == Method::Put && name.eq_ignore_ascii_case("CREATE") {
            return Ok(Self::Upload { directly: "write" });
        }
        if request.method == Method::Post && name.eq_ignore_ascii_case("APPEND") {
            return Ok(Self::Upload { directly: "append" });
        }
        Ok(Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requested(method: Method, query: &str) -> Operation {
        Operation::requested(&Request::new(method, format!("/webhdfs/v1/a{query}"))).unwrap()
    }

    #[test]
    fn uploads_are_known_by_method_and_name_without_case() {
        for query in ["?op=CREATE", "?x=1&Op=create"] {
            assert_eq!(requested(Method::Put, query), Operation::Upload { directly: "write" });
        }
        assert_eq!(requested(Method::Post, "?op=append"), Operation::Upload { directly: "append" });
    }

    #[test]
    fn all_else_is_the_services() {
        for (method, query) in [
            (Method::Get, "?op=OPEN"),
            (Method::Post, "?op=CREATE"),
            (Method::Put, "?op=APPEND"),
            (Method::Post, "?op=TRUNCATE"),
            (Method::Put, "?op="),
            (Method::Put, ""),
            (Method::Patch, "?op=CREATE"),
        ] {
            assert_eq!(requested(method, query), Operation::Other, "{query}");
        }
    }

    #[test]
    fn two_operations_in_one_request_are_refused() {
        let request = Request::get("/webhdfs/v1/a?op=OPEN&OP=LISTSTATUS");
        assert_eq!(Operation::requested(&request).unwrap_err().status(), 400);
    }
}
