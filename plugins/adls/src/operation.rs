//! The operations of WebHDFS that Gen1 has, and what is said to a request that is none of them.

use keyward_plugin::{Method, Problem, Request};

use crate::query;

/// An operation: what `op=` names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    /// The name, as the service's documentation spells it.
    pub(crate) name: &'static str,
    /// The only method it is asked for with.
    method: Method,
    /// Where the service answers with a redirect first: the parameter that, being `true`, does without it.
    pub(crate) directly: Option<&'static str>,
}

static OPERATIONS: [Operation; 21] = [
    of(Method::Get, "LISTSTATUS"),
    of(Method::Get, "GETFILESTATUS"),
    of(Method::Get, "GETCONTENTSUMMARY"),
    redirected(Method::Get, "OPEN", "read"),
    of(Method::Get, "CHECKACCESS"),
    of(Method::Get, "GETACLSTATUS"),
    redirected(Method::Put, "CREATE", "write"),
    of(Method::Put, "MKDIRS"),
    of(Method::Put, "RENAME"),
    of(Method::Put, "SETPERMISSION"),
    of(Method::Put, "SETOWNER"),
    of(Method::Put, "SETACL"),
    of(Method::Put, "MODIFYACLENTRIES"),
    of(Method::Put, "REMOVEACLENTRIES"),
    of(Method::Put, "REMOVEDEFAULTACL"),
    of(Method::Put, "REMOVEACL"),
    of(Method::Put, "SETTIMES"),
    redirected(Method::Post, "APPEND", "append"),
    of(Method::Post, "CONCAT"),
    of(Method::Post, "MSCONCAT"),
    of(Method::Delete, "DELETE"),
];

const fn of(method: Method, name: &'static str) -> Operation {
    Operation { name, method, directly: None }
}

const fn redirected(method: Method, name: &'static str, directly: &'static str) -> Operation {
    Operation { name, method, directly: Some(directly) }
}

/// The longest part of a caller's `op` that is repeated to it, in characters.
const REPEATED: usize = 40;

impl Operation {
    /// The operation that a request asks for.
    ///
    /// # Errors
    ///
    /// A problem (400) where it names none, more than one, one that there is not, or one that has another method. It
    /// lists the operations of the request's method.
    pub(crate) fn asked_for(request: &Request) -> Result<&'static Self, Problem> {
        let mut named = query::values(request.query(), "op");
        let name = match (named.next(), named.next()) {
            (Some(name), None) if !name.is_empty() => name,
            (Some(_), Some(_)) => return Err(wrong(&request.method, "The query has more than one `op`.")),
            _ => {
                let why = "A request to Data Lake Store Gen1 names its operation: `/webhdfs/v1/PATH?op=OPERATION`.";
                return Err(wrong(&request.method, why));
            }
        };
        let Some(operation) = OPERATIONS.iter().find(|operation| operation.name.eq_ignore_ascii_case(name)) else {
            let name: String = name.chars().take(REPEATED).collect();
            let why = format!("`op={name}` is no operation of Data Lake Store Gen1 that this plugin knows.");
            return Err(wrong(&request.method, &why));
        };
        if operation.method != request.method {
            let Self { name, method, .. } = operation;
            let why = format!("`op={name}` is asked for with {method}, and this was {}.", request.method);
            return Err(wrong(&request.method, &why));
        }
        Ok(operation)
    }
}

fn wrong(method: &Method, why: &str) -> Problem {
    let right: Vec<&str> = OPERATIONS.iter().filter(|it| it.method == *method).map(|it| it.name).collect();
    let choice = if right.is_empty() {
        format!("There is none with {method}; there are some with GET, PUT, POST and DELETE")
    } else {
        format!("With {method} it is one of {}", right.join(", "))
    };
    Problem::bad_request(format!("{why} {choice}")).with("operations", right)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(method: Method, query: &str) -> String {
        let problem = Operation::asked_for(&Request::new(method, format!("/webhdfs/v1/a{query}"))).unwrap_err();
        assert_eq!(problem.status(), 400);
        problem.detail().to_owned()
    }

    #[test]
    fn every_operation_is_found_with_its_method_and_without_case() {
        for operation in &OPERATIONS {
            for name in [operation.name.to_owned(), operation.name.to_ascii_lowercase()] {
                let request = Request::new(operation.method.clone(), format!("/webhdfs/v1/a?x=1&op={name}"));
                assert_eq!(Operation::asked_for(&request), Ok(operation));
            }
        }
    }

    #[test]
    fn an_unknown_operation_is_told_those_of_its_method() {
        let detail = detail(Method::Post, "?op=TRUNCATE");
        assert!(detail.contains("`op=TRUNCATE` is no operation"), "{detail}");
        assert!(detail.ends_with("With POST it is one of APPEND, CONCAT, MSCONCAT"), "{detail}");
    }

    #[test]
    fn an_operation_with_the_wrong_method_is_told_the_right_one() {
        let detail = detail(Method::Post, "?op=create");
        assert!(detail.contains("`op=CREATE` is asked for with PUT, and this was POST."), "{detail}");
        assert!(detail.ends_with("With POST it is one of APPEND, CONCAT, MSCONCAT"), "{detail}");
    }

    #[test]
    fn a_request_that_names_no_operation_is_told_how() {
        for query in ["", "?", "?op", "?op=", "?overwrite=true", "?%6fp=DELETE"] {
            let detail = detail(Method::Delete, query);
            assert!(detail.contains("`/webhdfs/v1/PATH?op=OPERATION`"), "{query}: {detail}");
            assert!(detail.ends_with("With DELETE it is one of DELETE"), "{query}: {detail}");
        }
    }

    #[test]
    fn two_operations_in_one_request_are_none() {
        assert!(detail(Method::Get, "?op=OPEN&OP=LISTSTATUS").contains("more than one `op`"));
    }

    #[test]
    fn a_method_that_has_no_operations_is_told_which_have() {
        let detail = detail(Method::Patch, "?op=APPEND");
        assert!(detail.contains("is asked for with POST, and this was PATCH"), "{detail}");
        assert!(
            detail.ends_with("There is none with PATCH; there are some with GET, PUT, POST and DELETE"),
            "{detail}"
        );
    }

    #[test]
    fn a_very_long_operation_is_not_repeated_whole() {
        assert!(detail(Method::Get, &format!("?op={}", "x".repeat(10_000))).len() < 300);
    }
}
