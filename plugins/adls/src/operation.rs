//! The operations of WebHDFS that take content, in two steps.
//!
//! All others are passed to the service unchanged.

use keyward_plugin::{Method, Problem, Request};

use crate::query;

/// The operation of a request, as far as the plugin distinguishes them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// `CREATE` and `APPEND`: the service first redirects to the node that takes the content.
    /// `one_step` is the query parameter that, if `true`, avoids the redirect.
    Upload { one_step: &'static str },
    /// Any other.
    Other,
}

impl Operation {
    /// The operation of a request.
    ///
    /// # Errors
    ///
    /// A problem (400) if the request names more than one, since the service could choose either.
    pub(crate) fn requested(request: &Request) -> Result<Self, Problem> {
        let mut named = query::values(request.query(), "op");
        let name = named.next().unwrap_or_default();
        if named.next().is_some() {
            return Err(Problem::bad_request(
                "The query has more than one `op`; WebHDFS allows one",
            ));
        }
        if request.method == Method::Put && name.eq_ignore_ascii_case("CREATE") {
            return Ok(Self::Upload { one_step: "write" });
        }
        if request.method == Method::Post && name.eq_ignore_ascii_case("APPEND") {
            return Ok(Self::Upload { one_step: "append" });
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
    fn uploads_are_recognized_by_method_and_name_ignoring_case() {
        for query in ["?op=CREATE", "?x=1&Op=create"] {
            assert_eq!(requested(Method::Put, query), Operation::Upload { one_step: "write" });
        }
        assert_eq!(requested(Method::Post, "?op=append"), Operation::Upload { one_step: "append" });
    }

    #[test]
    fn anything_else_is_another_operation() {
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
    fn two_operations_in_one_request_are_rejected() {
        let request = Request::get("/webhdfs/v1/a?op=OPEN&OP=LISTSTATUS");
        assert_eq!(Operation::requested(&request).unwrap_err().status(), 400);
    }
}
