//! What a request does at a simple service, and which of its requests a line of `allow` covers to a
//! reader of `named_operations.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::naive::{self, Segments};

/// A request, without its path.
#[derive(Clone)]
pub(super) struct Request<'r> {
    pub(super) method: &'r str,
    pub(super) query: &'r str,
    /// The names of its header fields, in lower case.
    pub(super) fields: BTreeSet<&'r str>,
}

/// The values of parameters. One that is empty or absent is not in it.
type Parameters = BTreeMap<String, String>;

/// A file of the cloud table, as it is written.
fn table(text: &str) -> toml::Table {
    match text.parse() {
        Ok(table) => table,
        Err(error) => unreachable!("a table of the crate: {error}"),
    }
}

static NAMED_OPERATIONS: LazyLock<toml::Table> =
    LazyLock::new(|| table(include_str!("../cloud/named_operations.toml")));

static OPERATIONS: LazyLock<toml::Table> =
    LazyLock::new(|| table(include_str!("../cloud/operations.toml")));

/// The strings of a list of the table. A list that is absent is empty.
fn strings<'t>(table: &'t toml::Table, key: &str) -> impl Iterator<Item = &'t str> {
    let list = table.get(key).and_then(toml::Value::as_array);
    list.into_iter().flatten().filter_map(toml::Value::as_str)
}

/// Patterns of `allow`, for a service of the table; `None` for a service that is not in it.
pub(super) struct Lines {
    service: Option<&'static toml::Table>,
    lines: Vec<String>,
    ignore_case: bool,
}

impl Lines {
    pub(super) fn new(service: Option<&str>, lines: Vec<String>, ignore_case: bool) -> Self {
        let service = service.and_then(|name| NAMED_OPERATIONS.get(name)?.as_table());
        Self { service, lines, ignore_case }
    }

    /// Whether they cover a request to each of these paths, at a service that reads the query in
    /// any of the usual ways.
    pub(super) fn cover(&self, request: &Request<'_>, paths: &[Segments]) -> bool {
        let names = self.parameters();
        let queries = if names.is_empty() || request.query.is_empty() {
            BTreeSet::from([Parameters::new()])
        } else {
            readings(request.query, &names)
        };
        paths.iter().all(|path| {
            queries.iter().all(|parameters| {
                self.lines.iter().any(|line| self.covers(line, request, parameters, path))
            })
        })
    }

    /// The parameters that the lines look at.
    fn parameters(&self) -> BTreeSet<&str> {
        let conditions = self.lines.iter().filter_map(|line| Some(line.split_once('?')?.1));
        let conditions = conditions.flat_map(|pairs| pairs.split('&'));
        let of_lines = conditions.filter_map(|pair| Some(pair.split_once('=')?.0));
        let has_operation = self.lines.iter().any(|line| line.starts_with(char::is_lowercase));
        let service = self.service.filter(|_| has_operation);
        of_lines.chain(service.into_iter().flat_map(|table| strings(table, "parameters"))).collect()
    }

    fn covers(
        &self,
        line: &str,
        request: &Request<'_>,
        parameters: &Parameters,
        path: &[Vec<u8>],
    ) -> bool {
        let Some((verb, rest)) = line.split_once(' ') else { return false };
        let (pattern, conditions) = rest.split_once('?').unwrap_or((rest, ""));
        let has = |pair: &str| match pair.split_once('=') {
            Some((name, value)) => parameters.get(name).is_some_and(|own| own == value),
            None => pair.is_empty(),
        };
        if !naive::path_covers(pattern, path, self.ignore_case) || !conditions.split('&').all(has) {
            return false;
        }
        if verb == "*" || verb.starts_with(char::is_uppercase) {
            return verb == "*" || verb == request.method;
        }
        let Some(table) = self.service else { return false };
        let rows = table.get("operation").and_then(toml::Value::as_array).into_iter().flatten();
        rows.filter_map(toml::Value::as_table).any(|row| {
            row.get("name").and_then(toml::Value::as_str) == Some(verb)
                && self.row_covers(table, row, request, parameters, path)
        })
    }

    /// Whether a row of the table covers a request, as the comment at the head of the table says.
    fn row_covers(
        &self,
        table: &toml::Table,
        row: &toml::Table,
        request: &Request<'_>,
        parameters: &Parameters,
        path: &[Vec<u8>],
    ) -> bool {
        let parameter_fits = |name: &str| {
            let value = parameters.get(name).map_or("", String::as_str);
            let listed = row.get("query").and_then(|query| query.get(name)?.as_array());
            listed.map_or(value.is_empty(), |values| {
                values.iter().filter_map(toml::Value::as_str).any(|known| match known {
                    "*" => !value.is_empty(),
                    known => known == value,
                })
            })
        };
        let field_fits = |name: &str| {
            let is_there = request.fields.contains(name);
            match row.get("fields").and_then(|fields| fields.get(name)?.as_str()) {
                Some("required") => is_there,
                Some(_) => true,
                None => !is_there,
            }
        };
        let has_path = |list: &str| {
            strings(row, list).any(|pattern| naive::path_covers(pattern, path, self.ignore_case))
        };
        strings(row, "methods").any(|method| method == request.method)
            && strings(table, "parameters").all(parameter_fits)
            && strings(table, "fields").all(field_fits)
            && (!row.contains_key("paths") || has_path("paths"))
            && !has_path("except")
            && (!row.contains_key("harmless_action") || is_harmless(path))
    }
}

/// Whether a path of the Resource Manager ends with an action that is listed as harmless. Types and
/// names alternate, so that an action is at an odd position.
fn is_harmless(path: &[Vec<u8>]) -> bool {
    let Some(table) = OPERATIONS.get("arm").and_then(toml::Value::as_table) else { return false };
    let fold = |text: &str| text.to_uppercase().to_lowercase();
    let path: Vec<String> = path
        .iter()
        .map(|segment| fold(String::from_utf8_lossy(segment).trim_end_matches(['.', ' '])))
        .filter(|segment| !segment.is_empty())
        .collect();
    let is_excepted = |pattern: &str| {
        let pattern: Vec<String> = pattern.split('/').map(fold).collect();
        let same = |(a, b): (&String, &String)| b == "*" || a == b;
        path.len() >= pattern.len() && path.iter().rev().zip(pattern.iter().rev()).all(same)
    };
    path.len() % 2 == 1
        && strings(table, "harmless").any(|name| path.last() == Some(&fold(name)))
        && !strings(table, "not_harmless").any(is_excepted)
}

/// How a service reads a query.
#[derive(Clone, Copy)]
struct Reader {
    /// Whether the whole query is decoded before it is split.
    decodes_first: bool,
    /// Whether `;` and `?` separate parameters too.
    many_separators: bool,
    plus_is_a_space: bool,
    /// Whether names are compared without their case, and without spaces around them.
    lenient_names: bool,
    repeated: Repeated,
}

/// The value of a parameter that is there several times.
#[derive(Clone, Copy)]
enum Repeated {
    First,
    Last,
    Joined,
}

/// The parameters of these names in all ways in which services may read them.
fn readings(query: &str, names: &BTreeSet<&str>) -> BTreeSet<Parameters> {
    let both = [false, true];
    let mut readings = BTreeSet::new();
    for (decodes_first, many_separators) in both.into_iter().flat_map(|a| both.map(|b| (a, b))) {
        for (plus_is_a_space, lenient_names) in both.into_iter().flat_map(|a| both.map(|b| (a, b)))
        {
            for repeated in [Repeated::First, Repeated::Last, Repeated::Joined] {
                let reader = Reader {
                    decodes_first,
                    many_separators,
                    plus_is_a_space,
                    lenient_names,
                    repeated,
                };
                readings.insert(reader.read(query, names));
            }
        }
    }
    readings
}

impl Reader {
    fn read(self, query: &str, names: &BTreeSet<&str>) -> Parameters {
        let pairs = self.pairs(query);
        let value = |name: &str| {
            let fold = |name: &str| {
                let outer = |end: char| end.is_whitespace() || end.is_control();
                if self.lenient_names {
                    name.trim_matches(outer).to_uppercase().to_lowercase()
                } else {
                    name.to_owned()
                }
            };
            let name = fold(name);
            let mut values =
                pairs.iter().filter(|(own, _)| fold(own) == name).map(|(_, value)| value);
            match self.repeated {
                Repeated::First => values.next().cloned(),
                Repeated::Last => values.next_back().cloned(),
                Repeated::Joined => {
                    let values: Vec<&str> = values.map(String::as_str).collect();
                    Some(values.join(","))
                }
            }
        };
        let found = names.iter().filter_map(|name| Some(((*name).to_owned(), value(name)?)));
        found.filter(|(_, value)| !value.is_empty()).collect()
    }

    fn pairs(self, query: &str) -> Vec<(String, String)> {
        let decode = |text: &str| {
            let text = if self.plus_is_a_space { text.replace('+', " ") } else { text.to_owned() };
            String::from_utf8_lossy(&naive::decode(text.as_bytes())).into_owned()
        };
        let query = if self.decodes_first { decode(query) } else { query.to_owned() };
        let is_separator = |at: char| at == '&' || self.many_separators && (at == ';' || at == '?');
        query
            .split(is_separator)
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (decode(name), decode(value)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(service: &str, line: &str, request: &str, fields: &[&str]) -> bool {
        let (method, uri) = request.split_once(' ').unwrap();
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let request = Request { method, query, fields: fields.iter().copied().collect() };
        let path = naive::split(path.as_bytes(), false);
        Lines::new(Some(service), vec![line.to_owned()], false).cover(&request, &[path])
    }

    #[test]
    fn a_line_with_a_method_covers_requests_with_its_parameters() {
        for request in ["PUT /in/a?op=CREATE", "PUT /in/a?overwrite=true&op=CREATE"] {
            assert!(covers("datalake", "PUT /in/*?op=CREATE", request, &[]), "{request}");
        }
        for request in ["PUT /in/a", "POST /in/a?op=CREATE", "PUT /in/a?op=SETOWNER"] {
            assert!(!covers("datalake", "PUT /in/*?op=CREATE", request, &[]), "{request}");
        }
        assert!(covers("datalake", "PUT /in/*", "PUT /in/a?op=SETOWNER&op=%zz", &[]));
    }

    #[test]
    fn a_line_with_an_operation_covers_what_the_table_says() {
        assert!(covers("blob", "read /c/**", "GET /c/a?comp=metadata", &[]));
        assert!(covers("blob", "copy /c/**", "PUT /c/a", &["x-ms-copy-source"]));
        assert!(covers("vault", "read /secrets/*", "GET /secrets/db", &[]));
        assert!(covers(
            "datalake",
            "create-with-permission /**",
            "PUT /a?op=CREATE&permission=7",
            &[]
        ));
        assert!(covers("arm", "act /**", "POST /a/b/Start", &[]));
        for (service, line, request, fields) in [
            ("blob", "read /c/**", "PUT /c/a", &[][..]),
            ("blob", "read /c/**", "GET /c/a?comp=acl", &[]),
            ("blob", "read /c/**", "GET /c/a?restype=container", &[]),
            ("blob", "copy /c/**", "PUT /c/a", &[]),
            ("blob", "write /c/**", "PUT /c/a", &["x-ms-copy-source"]),
            ("vault", "read /secrets/**", "GET /secrets/db/versions", &[]),
            ("vault", "read /**", "GET /storage/db", &[]),
            ("datalake", "create-with-permission /**", "PUT /a?op=CREATE", &[]),
            ("arm", "act /**", "POST /a/start", &[]),
            ("arm", "act /**", "POST /a/b/listKeys", &[]),
            ("arm", "act /**", "POST /a/jobs/b/c/jobs/d/start", &[]),
            ("own", "read /**", "GET /a", &[]),
        ] {
            assert!(!covers(service, line, request, fields), "{line} {request}");
        }
    }

    #[test]
    fn a_line_covers_a_query_in_all_ways_in_which_services_read_it() {
        for query in [
            "comp=list&comp=acl",
            "comp=list&COMP=acl",
            "comp=list&%63omp=acl",
            "comp=list&x=1;comp=acl",
            "comp=list&x=1%26comp=acl",
            "comp=list&+comp=acl",
        ] {
            let request = format!("GET /c?restype=container&{query}");
            assert!(!covers("blob", "list /c", &request, &[]), "{query}");
        }
        assert!(covers("blob", "list /c", "GET /c?restype=container&comp=list&prefix=comp", &[]));
    }
}
