//! The body of a request: `{"sql": "select ... where id = @id", "params": {"id": 7}}`.

use std::collections::BTreeMap;

use keyward_plugin::{Body, Problem};
use serde_json::value::RawValue;

use crate::bind::{NamedValue, normalize};
use crate::limits::{self, Limits};
use crate::parameter;

/// The maximum length of a request body, in bytes. By default the mount's limits let a plugin pass
/// at most 2 MiB to the host in one call.
const MAX_BODY: usize = 1 << 20;

/// The parsed body of a request.
#[derive(Debug)]
pub(crate) struct RequestBody {
    /// The statement, except for a named query.
    pub(crate) statement: Option<String>,
    pub(crate) parameters: Vec<NamedValue>,
    /// Limits that the request sets for itself.
    pub(crate) limits: Limits,
}

type Members = BTreeMap<String, Box<RawValue>>;

impl RequestBody {
    /// Parses a body. A named query needs no body; its statement comes from the configuration.
    pub(crate) fn read(
        body: Body,
        content_type: Option<&str>,
        is_named: bool,
    ) -> Result<Self, Problem> {
        let bytes = body.into_bytes(MAX_BODY)?;
        if !bytes.is_empty() && !is_json(content_type) {
            return Err(unsupported(content_type));
        }
        let mut members = if is_named && bytes.trim_ascii().is_empty() {
            Members::new()
        } else {
            object(&bytes)?
        };
        let mut request =
            Self { statement: None, parameters: Vec::new(), limits: Limits::UNLIMITED };
        if !is_named {
            let missing = "the request has no `sql`; expected {\"sql\": \"select ... where id = \
                           @id\", \"params\": {\"id\": 7}}";
            let statement = members.remove("sql").ok_or_else(|| Problem::bad_request(missing))?;
            request.statement = Some(text(&statement, "/sql")?);
        }
        if let Some(parameters) = members.remove("params") {
            request.parameters = read_parameters(&parameters)?;
        }
        if let Some(rows) = members.remove("max_rows") {
            request.limits.rows = limit(&rows, "/max_rows", limits::rows)?;
        }
        if let Some(bytes) = members.remove("max_bytes") {
            request.limits.bytes = limit(&bytes, "/max_bytes", limits::bytes)?;
        }
        if let Some(time) = members.remove("timeout") {
            request.limits.time = limit(&time, "/timeout", limits::time)?;
        }
        if let Some(unknown) = members.keys().next() {
            let known = if is_named { "`params`" } else { "`sql`, `params`" };
            let detail = format!(
                "the request has an unknown member {unknown:?}; the members are {known}, \
                 `max_rows`, `max_bytes` and `timeout`"
            );
            return Err(Problem::bad_request(detail));
        }
        Ok(request)
    }
}

/// Whether a media type is JSON. A web page can send other types without asking first.
fn is_json(content_type: Option<&str>) -> bool {
    let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

fn unsupported(content_type: Option<&str>) -> Problem {
    let sent = content_type.map_or("no `content-type`".to_owned(), |sent| format!("{sent:?}"));
    let detail = format!("the request's body has {sent}; send `content-type: application/json`");
    Problem::new(415, "media-type", "The body must be JSON", detail)
}

fn object(bytes: &[u8]) -> Result<Members, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        Problem::bad_request(format!("the request's body is not a JSON object: {error}"))
    })
}

fn text(raw: &RawValue, pointer: &str) -> Result<String, Problem> {
    serde_json::from_str(raw.get()).map_err(|_| parameter::invalid(pointer, "expected a string"))
}

/// A limit: a number, or a string with a unit.
fn limit<T>(
    raw: &RawValue,
    pointer: &str,
    read: fn(&str) -> Result<T, String>,
) -> Result<T, Problem> {
    let text = if raw.get().starts_with('"') { text(raw, pointer)? } else { raw.get().to_owned() };
    read(&text).map_err(|why| parameter::invalid(pointer, &why))
}

fn read_parameters(raw: &RawValue) -> Result<Vec<NamedValue>, Problem> {
    if raw.get() == "null" {
        return Ok(Vec::new());
    }
    let hint = "expected an object with the parameters' names: {\"id\": 7} for @id";
    let members: Members =
        serde_json::from_str(raw.get()).map_err(|_| parameter::invalid("/params", hint))?;
    let mut parameters: Vec<NamedValue> = Vec::with_capacity(members.len());
    for (key, raw) in members {
        let pointer = format!("/params/{}", key.replace('~', "~0").replace('/', "~1"));
        let name = normalize(&key)
            .ok_or_else(|| parameter::invalid(&pointer, "invalid parameter name"))?;
        if parameters.iter().any(|(other, _)| *other == name) {
            return Err(parameter::invalid(
                &pointer,
                "duplicate parameter name: names are case-insensitive",
            ));
        }
        parameters.push((name, parameter::value(&raw, &pointer)?));
    }
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use keyward_plugin::sql::Value;

    use super::*;

    const JSON: Option<&str> = Some("application/json");

    fn error(body: &str, is_named: bool) -> String {
        RequestBody::read(body.into(), JSON, is_named).unwrap_err().detail().to_owned()
    }

    #[test]
    fn a_request_has_a_statement_parameters_and_limits() {
        let body = r#"{"sql":"select @a","params":{"@A":7},
            "max_rows":10,"max_bytes":"1KiB","timeout":"5s"}"#;
        let request = RequestBody::read(body.into(), JSON, false).unwrap();
        assert_eq!(request.statement.as_deref(), Some("select @a"));
        assert_eq!(request.parameters, [("a".to_owned(), Value::Int(7))]);
        assert_eq!(request.limits, Limits { rows: 10, bytes: 1024, time: Duration::from_secs(5) });
    }

    #[test]
    fn a_named_query_needs_no_body() {
        for body in ["", " \n", "{}", r#"{"params":null}"#] {
            assert!(
                RequestBody::read(body.into(), JSON, true).unwrap().parameters.is_empty(),
                "{body}"
            );
        }
    }

    #[test]
    fn a_body_of_another_media_type_is_not_read() {
        let read = |body: &str, content_type| {
            RequestBody::read(body.into(), content_type, true).map_err(|problem| problem.status())
        };
        for json in ["application/json", "Application/JSON ; charset=utf-8"] {
            assert!(read("{}", Some(json)).is_ok(), "{json}");
        }
        for other in [
            None,
            Some(""),
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
            Some("multipart/form-data; boundary=application/json"),
            Some("text/plain; application/json"),
            Some("application/jsonx"),
        ] {
            assert_eq!(read("{}", other).unwrap_err(), 415, "{other:?}");
            assert!(read("", other).is_ok(), "without a body, {other:?}");
        }
    }

    #[test]
    fn an_invalid_body_is_reported_with_a_pointer_to_the_member() {
        for (body, is_named, expected) in [
            ("", false, "not a JSON object"),
            ("[]", false, "not a JSON object"),
            ("{}", false, "no `sql`"),
            (r#"{"sql":7}"#, false, "/sql: expected a string"),
            (r#"{"sql":"s","param":{}}"#, false, "\"param\""),
            (r#"{"sql":"s"}"#, true, "\"sql\""),
            (r#"{"sql":"s","params":[7]}"#, false, "/params: expected an object"),
            (r#"{"sql":"s","params":{"a/b":7}}"#, false, "/params/a~1b: invalid parameter name"),
            (r#"{"sql":"s","params":{"a":7,"A":7}}"#, false, "/params/a: duplicate parameter name"),
            (r#"{"sql":"s","params":{"a":[7]}}"#, false, "/params/a: a parameter is one value"),
            (r#"{"sql":"s","max_rows":0}"#, false, "/max_rows: expected a whole number"),
            (r#"{"sql":"s","timeout":5}"#, false, "/timeout: expected a duration"),
        ] {
            let detail = error(body, is_named);
            assert!(detail.contains(expected), "{body}: {detail}");
        }
        let long = format!(r#"{{"sql":"{}"}}"#, "x".repeat(MAX_BODY));
        assert_eq!(RequestBody::read(long.into(), JSON, false).unwrap_err().status(), 413);
    }
}
