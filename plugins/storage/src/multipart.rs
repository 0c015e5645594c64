//! Multipart bodies whose parts are HTTP messages ([the format] of a batch).
//!
//! [the format]: https://learn.microsoft.com/rest/api/storageservices/blob-batch#request-body

use keyward_plugin::{Method, Problem, Response};

/// A request in a part of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// The part's `content-id`, which is repeated in the response.
    pub(crate) id: Option<String>,
    pub(crate) method: Method,
    pub(crate) target: String,
    /// Names and values of the header fields.
    pub(crate) headers: Vec<(String, String)>,
}

/// The boundary parameter of a `content-type`.
pub(crate) fn boundary(content_type: &str) -> Option<&str> {
    let (media_type, parameters) = content_type.split_once(';')?;
    if !media_type.trim().eq_ignore_ascii_case("multipart/mixed") {
        return None;
    }
    let boundary = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.trim().split_once('=')?;
        name.eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    });
    boundary.filter(|boundary| !boundary.is_empty() && boundary.len() <= 70)
}

/// Parses the requests in a body.
///
/// # Errors
///
/// A problem (400) if a part is malformed.
pub(crate) fn parse(body: &str, boundary: &str) -> Result<Vec<Part>, Problem> {
    let delimiter = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut current: Option<Vec<&str>> = None;
    for line in body.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)) {
        let Some(rest) = line.strip_prefix(&delimiter) else {
            current.iter_mut().for_each(|lines| lines.push(line));
            continue;
        };
        if let Some(lines) = current.take() {
            parts.push(
                part(&lines)
                    .ok_or_else(|| malformed(&format!("part {} is not a request", parts.len())))?,
            );
        }
        match rest.trim_end() {
            "" => current = Some(Vec::new()),
            "--" => return Ok(parts),
            _ => return Err(malformed("a boundary line has extra characters")),
        }
    }
    Err(malformed("the last boundary is missing"))
}

fn malformed(why: &str) -> Problem {
    Problem::bad_request(format!("The body is not a batch: {why}"))
}

fn part(lines: &[&str]) -> Option<Part> {
    let mut lines = lines.iter().copied();
    let headers = headers(&mut lines)?;
    let field = |name: &str| {
        headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    };
    if !field("content-type")?.eq_ignore_ascii_case("application/http") {
        return None;
    }
    let id = field("content-id").filter(|id| !id.is_empty()).map(str::to_owned);
    let mut request = lines.next()?.split(' ');
    let (method, target, version) = (request.next()?, request.next()?, request.next()?);
    if request.next().is_some() || !version.starts_with("HTTP/1.") {
        return None;
    }
    let headers = self::headers(&mut lines)?;
    // Neither of the two operations has a body.
    lines.all(str::is_empty).then(|| Part {
        id,
        method: method.into(),
        target: target.to_owned(),
        headers,
    })
}

/// Parses header fields until an empty line or the end.
fn headers<'l>(lines: &mut impl Iterator<Item = &'l str>) -> Option<Vec<(String, String)>> {
    let mut headers = Vec::new();
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    Some(headers)
}

/// Writes the response to a part.
pub(crate) fn write(
    out: &mut Vec<u8>,
    boundary: &str,
    id: Option<&str>,
    response: &Response,
    body: &[u8],
) {
    let mut head = format!("--{boundary}\r\nContent-Type: application/http\r\n");
    if let Some(id) = id {
        head.push_str(&format!("Content-ID: {id}\r\n"));
    }
    head.push_str(&format!("\r\nHTTP/1.1 {} {}\r\n", response.status, reason(response.status)));
    out.extend_from_slice(head.as_bytes());
    for (name, value) in response.headers.entries() {
        if !matches!(name.as_str(), "content-length" | "transfer-encoding" | "connection") {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(&value);
            out.extend_from_slice(b"\r\n");
        }
    }
    if !body.is_empty() {
        out.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    out.extend_from_slice(b"\r\n");
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        409 => "Conflict",
        412 => "Precondition Failed",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundary_is_parsed() {
        assert_eq!(boundary("multipart/mixed; boundary=batch_1"), Some("batch_1"));
        assert_eq!(boundary("Multipart/Mixed;charset=x; BOUNDARY=\"b c\""), Some("b c"));
        for invalid in
            ["", "multipart/mixed", "multipart/mixed; boundary=", "text/plain; boundary=a"]
        {
            assert_eq!(boundary(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn a_part_is_parsed() {
        let body = "--b\r\nContent-Type: application/http\r\nContent-ID: 0\r\n\r\n\
                    DELETE /c/a%20b?snapshot=x HTTP/1.1\r\nx-ms-date: a: b\r\n\r\n--b--\r\n";
        let [part] = &parse(body, "b").unwrap()[..] else { panic!() };
        assert_eq!((part.id.as_deref(), &part.method), (Some("0"), &Method::Delete));
        assert_eq!(part.target, "/c/a%20b?snapshot=x");
        assert_eq!(part.headers, [("x-ms-date".to_owned(), "a: b".to_owned())]);
    }

    #[test]
    fn malformed_bodies_are_rejected() {
        let head = "--b\r\nContent-Type: application/http\r\n\r\n";
        for body in [
            String::new(),
            "--b\r\n".to_owned(),
            format!("{head}DELETE /a HTTP/1.1\r\n\r\n"),
            format!("{head}DELETE /a\r\n--b--"),
            format!("{head}DELETE /a b HTTP/1.1\r\n--b--"),
            format!("{head}DELETE /a HTTP/2\r\n--b--"),
            format!("{head}DELETE /a HTTP/1.1\r\nno field\r\n--b--"),
            format!("{head}DELETE /a HTTP/1.1\r\n\r\na body\r\n--b--"),
            "--b\r\n\r\nDELETE /a HTTP/1.1\r\n--b--".to_owned(),
            format!("{head}DELETE /a HTTP/1.1\r\n--bc\r\n--b--"),
        ] {
            assert_eq!(parse(&body, "b").unwrap_err().status(), 400, "{body:?}");
        }
    }
}
