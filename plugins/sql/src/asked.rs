//! What a caller asks for: `{"sql": "select ... where id = @id", "params": {"id": 7}}`.

use std::collections::BTreeMap;

use keyward_plugin::{Body, Problem};
use serde_json::value::RawValue;

use crate::limits::{self, Limits};
use crate::names::{Given, name};
use crate::parameter;

/// The longest request, in bytes. What a plugin hands to the host in one call is 2 MiB at most,
/// where the mount's limits say nothing else.
const LONGEST: usize = 1 << 20;

/// A request's body.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The statement, where there may be one.
    pub(crate) statement: Option<String>,
    pub(crate) parameters: Vec<Given>,
    /// What the request itself wants to be bounded by.
    pub(crate) limits: Limits,
}

type Members = BTreeMap<String, Box<RawValue>>;

impl Asked {
    /// Reads it. A named query needs no body, and its statement is the configuration's.
    pub(crate) fn read(body: Body, is_named: bool) -> Result<Self, Problem> {
        let bytes = body.into_bytes(LONGEST)?;
        let mut members = if is_named && bytes.trim_ascii().is_empty() {
            Members::new()
        } else {
            object(&bytes)?
        };
        let mut asked = Self { statement: None, parameters: Vec::new(), limits: Limits::NONE };
        if !is_named {
            let missing = "the request has no `sql`: {\"sql\": \"select ... where id = @id\", \"params\": {\"id\": 7}}";
            let statement = members.remove("sql").ok_or_else(|| Problem::bad_request(missing))?;
            asked.statement = Some(text(&statement, "/sql")?);
        }
        if let Some(parameters) = members.remove("params") {
            asked.parameters = read_parameters(&parameters)?;
        }
        if let Some(rows) = members.remove("max_rows") {
            asked.limits.rows = limit(&rows, "/max_rows", limits::rows)?;
        }
        if let Some(bytes) = members.remove("max_bytes") {
            asked.limits.bytes = limit(&bytes, "/max_bytes", limits::bytes)?;
        }
        if let Some(time) = members.remove("timeout") {
            asked.limits.time = limit(&time, "/timeout", limits::time)?;
        }
        if let Some(unknown) = members.keys().next() {
            let known = if is_named { "`params`" } else { "`sql`, `params`" };
            let detail = format!(
                "the request has a member {unknown:?}, which means nothing here: there are \
                 {known}, `max_rows`, `max_bytes` and \
                 `timeout`"
            );
            return Err(Problem::bad_request(detail));
        }
        Ok(asked)
    }
}

fn object(bytes: &[u8]) -> Result<Members, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        Problem::bad_request(format!("the request's body is not a JSON object: {error}"))
    })
}

fn text(raw: &RawValue, pointer: &str) -> Result<String, Problem> {
    serde_json::from_str(raw.get()).map_err(|_| parameter::wrong(pointer, "a string is expected"))
}

/// A limit, as a number or as a text with a unit.
fn limit<T>(
    raw: &RawValue,
    pointer: &str,
    read: fn(&str) -> Result<T, String>,
) -> Result<T, Problem> {
    let text = if raw.get().starts_with('"') { text(raw, pointer)? } else { raw.get().to_owned() };
    read(&text).map_err(|why| parameter::wrong(pointer, &why))
}

fn read_parameters(raw: &RawValue) -> Result<Vec<Given>, Problem> {
    if raw.get() == "null" {
        return Ok(Vec::new());
    }
    let hint = "an object with the parameters' names is expected: {\"id\": 7} for @id";
    let members: Members =
        serde_json::from_str(raw.get()).map_err(|_| parameter::wrong("/params", hint))?;
    let mut parameters: Vec<Given> = Vec::with_capacity(members.len());
    for (given, raw) in members {
        let pointer = format!("/params/{}", given.replace('~', "~0").replace('/', "~1"));
        let name =
            name(&given).ok_or_else(|| parameter::wrong(&pointer, "invalid parameter name"))?;
        if parameters.iter().any(|(other, _)| *other == name) {
            return Err(parameter::wrong(
                &pointer,
                "names have no case, and one that differs only in it is there as well",
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

    fn refused(body: &str, is_named: bool) -> String {
        Asked::read(body.into(), is_named).unwrap_err().detail().to_owned()
    }

    #[test]
    fn a_request_has_a_statement_parameters_and_limits() {
        let body = r#"{"sql":"select @a","params":{"@A":7},"max_rows":10,"max_bytes":"1KiB","timeout":"5s"}"#;
        let asked = Asked::read(body.into(), false).unwrap();
        assert_eq!(asked.statement.as_deref(), Some("select @a"));
        assert_eq!(asked.parameters, [("a".to_owned(), Value::Int(7))]);
        assert_eq!(asked.limits, Limits { rows: 10, bytes: 1024, time: Duration::from_secs(5) });
    }

    #[test]
    fn a_named_query_needs_no_body() {
        for body in ["", " \n", "{}", r#"{"params":null}"#] {
            assert!(Asked::read(body.into(), true).unwrap().parameters.is_empty(), "{body}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (body, is_named, expected) in [
            ("", false, "not a JSON object"),
            ("[]", false, "not a JSON object"),
            ("{}", false, "no `sql`"),
            (r#"{"sql":7}"#, false, "/sql: a string"),
            (r#"{"sql":"s","param":{}}"#, false, "\"param\""),
            (r#"{"sql":"s"}"#, true, "\"sql\""),
            (r#"{"sql":"s","params":[7]}"#, false, "/params: an object"),
            (r#"{"sql":"s","params":{"a/b":7}}"#, false, "/params/a~1b: invalid parameter name"),
            (r#"{"sql":"s","params":{"a":7,"A":7}}"#, false, "/params/a: names have no case"),
            (r#"{"sql":"s","params":{"a":[7]}}"#, false, "/params/a: a parameter is one value"),
            (r#"{"sql":"s","max_rows":0}"#, false, "/max_rows: a whole number"),
            (r#"{"sql":"s","timeout":5}"#, false, "/timeout: a time"),
        ] {
            let detail = refused(body, is_named);
            assert!(detail.contains(expected), "{body}: {detail}");
        }
        let long = format!(r#"{{"sql":"{}"}}"#, "x".repeat(LONGEST));
        assert_eq!(Asked::read(long.into(), false).unwrap_err().status(), 413);
    }
}
