//! The response with a query's rows, streamed to the caller.
//!
//! As JSON a response is one object: `{"columns": [...], "rows": [[...], ...]}`, followed by
//! `"more": [{"columns": [...], "rows": [...]}, ...]` if there are further result sets. As lines
//! (`application/x-ndjson`) it is one line `{"columns": [...]}` for each result set, one line
//! `[...]` for each row, and a last line `{"end": {"rows": 2}}`.
//!
//! Rows are sent as they arrive, and only the most recent ones are in memory. The status is sent
//! before the last row arrives, so a later error always aborts the body. As lines, the problem is
//! written first, in a line `{"error": {...}}`.

use keyward_plugin::sql::{Item, Results, Value};
use keyward_plugin::{Body, BodyError, Problem, Response};

use crate::cell;
use crate::limits::Limits;
use crate::problem::{Login, problem};

/// Format of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// One JSON object.
    Json,
    /// Newline-delimited JSON, one line per row.
    Lines,
}

impl Format {
    /// The format that an `accept` header selects.
    pub(crate) fn from_accept(accept: Option<&str>) -> Self {
        let types = accept
            .unwrap_or_default()
            .split(',')
            .map(|media_type| media_type.split(';').next().unwrap_or_default().trim());
        let is_lines = |media_type: &str| {
            ["application/x-ndjson", "application/ndjson", "application/jsonl"]
                .iter()
                .any(|lines| media_type.eq_ignore_ascii_case(lines))
        };
        if types.into_iter().any(is_lines) { Self::Lines } else { Self::Json }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Lines => "application/x-ndjson",
        }
    }

    /// Bytes that are buffered before the status is sent. A response that fits has a
    /// `content-length`, and a status that reflects any error. Lines are not buffered, so that
    /// callers get each row at once.
    fn buffered_bytes(self) -> usize {
        match self {
            Self::Json => 64 << 10,
            Self::Lines => 0,
        }
    }
}

/// Returns the response with the rows of a query. An error before the first rows, or in a response
/// that fits the buffer, is returned as a problem with its own status.
pub(crate) fn respond(
    results: Results,
    format: Format,
    limits: Limits,
    login: Login,
) -> Result<Response, Problem> {
    let mut writer = ResponseWriter {
        results,
        format,
        limits,
        login,
        sets: 0,
        has_rows: false,
        rows: 0,
        bytes: 0,
        ended: false,
    };
    let response = Response::new(200).with_header("content-type", format.content_type());
    let (mut first, mut chunks) = (Vec::new(), 0);
    for chunk in writer.by_ref() {
        first.extend_from_slice(&chunk?);
        chunks += 1;
        // At least two chunks: the columns may arrive although the first row fails.
        if chunks > 1 && first.len() > format.buffered_bytes() {
            break;
        }
    }
    if writer.ended {
        return Ok(response.with_body(first));
    }
    let rest = RemainingChunks { writer: Some(writer), last: None };
    Ok(response.with_body(Body::from_chunks(std::iter::once(Ok(first)).chain(rest))))
}

/// Writes a response chunk by chunk.
struct ResponseWriter {
    results: Results,
    format: Format,
    limits: Limits,
    login: Login,
    /// Result sets begun so far.
    sets: u64,
    /// Whether the current result set has rows.
    has_rows: bool,
    /// Rows of all result sets so far.
    rows: u64,
    bytes: u64,
    /// Whether the last chunk was written, or writing failed.
    ended: bool,
}

impl Iterator for ResponseWriter {
    type Item = Result<Vec<u8>, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let mut out = String::new();
        let written = match self.results.next() {
            Some(Ok(Item::Columns(columns))) => {
                self.begin_set(&mut out);
                cell::columns(&columns, &mut out);
                out.push_str(match self.format {
                    Format::Json => ",\"rows\":[",
                    Format::Lines => "}\n",
                });
                self.sets += 1;
                self.has_rows = false;
                self.check(&out)
            }
            Some(Ok(Item::Rows(rows))) => self.write(&rows, &mut out),
            Some(Err(error)) => Err(problem(error, &self.login)),
            None => {
                self.ended = true;
                self.end(&mut out);
                self.check(&out)
            }
        };
        self.bytes += out.len() as u64;
        if written.is_err() {
            self.ended = true;
        }
        Some(written.map(|()| out.into_bytes()))
    }
}

impl ResponseWriter {
    fn begin_set(&self, out: &mut String) {
        out.push_str(match (self.format, self.sets) {
            (Format::Lines, _) | (Format::Json, 0) => "{\"columns\":",
            (Format::Json, 1) => "],\"more\":[{\"columns\":",
            (Format::Json, _) => "]},{\"columns\":",
        });
    }

    fn end(&self, out: &mut String) {
        match (self.format, self.sets) {
            (Format::Json, 0) => out.push_str("{\"columns\":[],\"rows\":[]}"),
            (Format::Json, 1) => out.push_str("]}"),
            (Format::Json, _) => out.push_str("]}]}"),
            (Format::Lines, _) => {
                out.push_str(&format!("{{\"end\":{{\"rows\":{}}}}}\n", self.rows))
            }
        }
    }

    fn write(&mut self, rows: &[Vec<Value>], out: &mut String) -> Result<(), Problem> {
        for row in rows {
            if self.format == Format::Json && self.has_rows {
                out.push(',');
            }
            cell::row(row, out);
            if self.format == Format::Lines {
                out.push('\n');
            }
            self.has_rows = true;
            self.rows += 1;
            self.check(out)?;
        }
        Ok(())
    }

    /// Checks the limits, counting `out` as written.
    fn check(&self, out: &str) -> Result<(), Problem> {
        self.limits.exceeded(self.rows, self.bytes + out.len() as u64).map_or(Ok(()), Err)
    }
}

/// The body after the buffered chunks. An error aborts it.
struct RemainingChunks {
    writer: Option<ResponseWriter>,
    last: Option<BodyError>,
}

impl Iterator for RemainingChunks {
    type Item = Result<Vec<u8>, BodyError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.last.take() {
            return Some(Err(error));
        }
        let writer = self.writer.as_mut()?;
        let problem = match writer.next() {
            Some(Ok(chunk)) => return Some(Ok(chunk)),
            Some(Err(problem)) => problem,
            None => return None,
        };
        let format = writer.format;
        // Cancels the query and releases its connection before the caller has read the rest.
        self.writer = None;
        let problem = problem.to_json();
        let text = |member: &str| problem.get(member).map(ToString::to_string).unwrap_or_default();
        keyward_plugin::log(&format!(
            "a response was aborted: {} {}",
            text("type"),
            text("number")
        ));
        let error = BodyError::Broken("the remaining rows are missing".to_owned());
        match format {
            Format::Json => Some(Err(error)),
            Format::Lines => {
                self.last = Some(error);
                Some(Ok(format!("{{\"error\":{problem}}}\n").into_bytes()))
            }
        }
    }
}
