//! Rows, on their way to the caller.
//!
//! As JSON an answer is one object: `{"columns": [...], "rows": [[...], ...]}`, and where there are
//! further result sets, `"more": [{"columns": [...], "rows": [...]}, ...]` behind it. As lines
//! (`application/x-ndjson`) it is one line `{"columns": [...]}` for each result set, one line
//! `[...]` for each row, and the line `{"end": {"rows": 2}}` at the end.
//!
//! Rows go out as they come in: what is in memory is the few that came last. So the status has gone
//! out before the last row is there, and an error that comes later can only break the body off. It
//! does, always. Among lines there is a last one before, `{"error": {...}}`, with the problem.

use keyward_plugin::sql::{Item, Results, Value};
use keyward_plugin::{Body, BodyError, Problem, Response};

use crate::cell;
use crate::limits::Limits;
use crate::refusal::{Login, problem};

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One object.
    Json,
    /// A line for each row.
    Lines,
}

impl Form {
    /// What a caller accepts.
    pub(crate) fn accepted(accept: Option<&str>) -> Self {
        let types = accept
            .unwrap_or_default()
            .split(',')
            .map(|of| of.split(';').next().unwrap_or_default().trim());
        let is_lines = |of: &str| {
            ["application/x-ndjson", "application/ndjson", "application/jsonl"]
                .iter()
                .any(|l| of.eq_ignore_ascii_case(l))
        };
        if types.into_iter().any(is_lines) { Self::Lines } else { Self::Json }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Lines => "application/x-ndjson",
        }
    }

    /// How many bytes are held back until the status goes out. An answer that is no longer has a
    /// length, and a status that tells of any error. Lines are for those who want each row soon.
    fn held_back(self) -> usize {
        match self {
            Self::Json => 64 << 10,
            Self::Lines => 0,
        }
    }
}

/// The response with the rows of a query. An error that comes before the first rows, or in an
/// answer that is short, is a problem with a status.
pub(crate) fn respond(
    results: Results,
    form: Form,
    limits: Limits,
    login: Login,
) -> Result<Response, Problem> {
    let mut text = Text {
        results,
        form,
        limits,
        login,
        sets: 0,
        has_rows: false,
        rows: 0,
        bytes: 0,
        ended: false,
    };
    let response = Response::new(200).with_header("content-type", form.content_type());
    let (mut first, mut pieces) = (Vec::new(), 0);
    for piece in text.by_ref() {
        first.extend_from_slice(&piece?);
        pieces += 1;
        // The first two: that there are columns does not say that the first row can be made.
        if pieces > 1 && first.len() > form.held_back() {
            break;
        }
    }
    if text.ended {
        return Ok(response.with_body(first));
    }
    let rest = Chunks { text: Some(text), last: None };
    Ok(response.with_body(Body::from_chunks(std::iter::once(Ok(first)).chain(rest))))
}

/// An answer, piece by piece.
struct Text {
    results: Results,
    form: Form,
    limits: Limits,
    login: Login,
    /// Result sets that have begun.
    sets: u64,
    /// Whether the current one has rows.
    has_rows: bool,
    /// Rows, of all result sets.
    rows: u64,
    bytes: u64,
    /// The last piece has been made.
    ended: bool,
}

impl Iterator for Text {
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
                out.push_str(match self.form {
                    Form::Json => ",\"rows\":[",
                    Form::Lines => "}\n",
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

impl Text {
    fn begin_set(&self, out: &mut String) {
        out.push_str(match (self.form, self.sets) {
            (Form::Lines, _) | (Form::Json, 0) => "{\"columns\":",
            (Form::Json, 1) => "],\"more\":[{\"columns\":",
            (Form::Json, _) => "]},{\"columns\":",
        });
    }

    fn end(&self, out: &mut String) {
        match (self.form, self.sets) {
            (Form::Json, 0) => out.push_str("{\"columns\":[],\"rows\":[]}"),
            (Form::Json, 1) => out.push_str("]}"),
            (Form::Json, _) => out.push_str("]}]}"),
            (Form::Lines, _) => out.push_str(&format!("{{\"end\":{{\"rows\":{}}}}}\n", self.rows)),
        }
    }

    fn write(&mut self, rows: &[Vec<Value>], out: &mut String) -> Result<(), Problem> {
        for row in rows {
            if self.form == Form::Json && self.has_rows {
                out.push(',');
            }
            cell::row(row, out);
            if self.form == Form::Lines {
                out.push('\n');
            }
            self.has_rows = true;
            self.rows += 1;
            self.check(out)?;
        }
        Ok(())
    }

    /// Whether it is too much, with what is being written.
    fn check(&self, out: &str) -> Result<(), Problem> {
        self.limits.exceeded(self.rows, self.bytes + out.len() as u64).map_or(Ok(()), Err)
    }
}

/// What follows the first pieces. Where an error comes, the body ends in one: it is broken off.
struct Chunks {
    text: Option<Text>,
    last: Option<BodyError>,
}

impl Iterator for Chunks {
    type Item = Result<Vec<u8>, BodyError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.last.take() {
            return Some(Err(error));
        }
        let text = self.text.as_mut()?;
        let problem = match text.next() {
            Some(Ok(piece)) => return Some(Ok(piece)),
            Some(Err(problem)) => problem,
            None => return None,
        };
        let form = text.form;
        // The query is cancelled, and its connection given back, before the caller has read the
        // rest.
        self.text = None;
        let problem = problem.to_json();
        let text = |member: &str| problem.get(member).map(ToString::to_string).unwrap_or_default();
        keyward_plugin::log(&format!(
            "an answer was broken off: {} {}",
            text("type"),
            text("number")
        ));
        let error = BodyError::Broken("the rest of the rows did not come".to_owned());
        match form {
            Form::Json => Some(Err(error)),
            Form::Lines => {
                self.last = Some(error);
                Some(Ok(format!("{{\"error\":{problem}}}\n").into_bytes()))
            }
        }
    }
}
