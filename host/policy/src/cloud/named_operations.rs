//! Operations that `allow` takes in place of a method: see `named_operations.toml`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use serde::Deserialize;

use super::operations::{Operations, folded_segments};
use crate::path_pattern::PathPattern;
use crate::request_head::{AmbiguousParameter, RequestHead};

/// The table in `named_operations.toml`, parsed once. A test parses it too, so this does not panic
/// in a release.
#[allow(clippy::expect_used)]
static TABLE: LazyLock<BTreeMap<String, NamedOperations>> = LazyLock::new(|| {
    toml::from_str(include_str!("named_operations.toml")).expect("the named operations are valid")
});

/// A parameter's value in the table: any.
const ANY: &str = "*";

/// The named operations of a service.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedOperations {
    /// The parameters that select an operation.
    #[serde(default)]
    parameters: Vec<String>,
    /// The header fields that change an operation.
    #[serde(default)]
    fields: Vec<String>,
    #[serde(rename = "operation")]
    all: Vec<NamedOperation>,
}

/// A named kind of request.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedOperation {
    /// Its name in `allow`.
    pub name: String,
    /// What it does, for `keyward check` and the documentation.
    pub summary: String,
    /// Whether authors of lines with a method may not have meant it.
    #[serde(default)]
    pub warn: bool,
    methods: Vec<String>,
    #[serde(default)]
    query: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    fields: BTreeMap<String, Presence>,
    #[serde(default)]
    paths: Vec<PathPattern>,
    #[serde(default)]
    except: Vec<PathPattern>,
    /// Whether the path must end with an action that is known to be harmless.
    #[serde(default)]
    harmless_action: bool,
}

/// Whether a request may have a header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Presence {
    Required,
    Optional,
}

impl NamedOperations {
    /// The operations of a service, by its name in the public cloud.
    #[must_use]
    pub fn of(service: &str) -> Option<&'static Self> {
        TABLE.get(service)
    }

    /// All operations.
    pub fn iter(&self) -> impl Iterator<Item = &NamedOperation> {
        self.all.iter()
    }

    /// Whether an operation of this name covers a request with this path.
    ///
    /// # Errors
    ///
    /// A parameter that selects the operation can be read in more than one way.
    pub(crate) fn cover(
        &self,
        name: &str,
        head: &RequestHead<'_>,
        path: &str,
        ignore_case: bool,
    ) -> Result<bool, AmbiguousParameter> {
        for operation in self.all.iter().filter(|operation| operation.name == name) {
            if operation.has_method(head.method.as_str())
                && operation.has_path(path, ignore_case)
                && self.selects(operation, head)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether some request may be one of both operations, which this service has.
    pub(crate) fn may_overlap(&self, one: &str, two: &str) -> bool {
        let named = |name: &'_ str| {
            let name = name.to_owned();
            self.all.iter().filter(move |operation| operation.name == name)
        };
        named(one).any(|one| named(two).any(|two| self.overlap(one, two)))
    }

    fn overlap(&self, one: &NamedOperation, two: &NamedOperation) -> bool {
        let values = |operation: &NamedOperation, parameter: &String| -> Vec<String> {
            operation.query.get(parameter).cloned().unwrap_or_else(|| vec![String::new()])
        };
        let parameters_overlap = self.parameters.iter().all(|parameter| {
            let (one, two) = (values(one, parameter), values(two, parameter));
            let any_of = |some: &[String], others: &[String]| {
                some.iter().any(|value| value == ANY)
                    && others.iter().any(|value| !value.is_empty())
            };
            one.iter().any(|value| two.contains(value)) || any_of(&one, &two) || any_of(&two, &one)
        });
        let fields_overlap = self.fields.iter().all(|field| {
            let (one, two) = (one.fields.get(field), two.fields.get(field));
            !matches!(
                (one, two),
                (Some(Presence::Required), None) | (None, Some(Presence::Required))
            )
        });
        let paths_overlap =
            one.paths.is_empty() || one.paths.iter().any(|path| two.may_have_path_of(path));
        one.methods.iter().any(|method| two.has_method(method))
            && parameters_overlap
            && fields_overlap
            && paths_overlap
    }

    /// Whether the parameters and header fields of a request select an operation.
    fn selects(
        &self,
        operation: &NamedOperation,
        head: &RequestHead<'_>,
    ) -> Result<bool, AmbiguousParameter> {
        let mut selected = true;
        for parameter in &self.parameters {
            // All of them are looked at: an ambiguous one is an error whatever the others are.
            let value = head.parameter(parameter)?.unwrap_or_default();
            let is_it = |known: &String| known == value || (known == ANY && !value.is_empty());
            selected &= match operation.query.get(parameter) {
                Some(values) => values.iter().any(is_it),
                None => value.is_empty(),
            };
        }
        for field in &self.fields {
            selected &= match operation.fields.get(field) {
                Some(Presence::Optional) => true,
                Some(Presence::Required) => head.has_field(field),
                None => !head.has_field(field),
            };
        }
        Ok(selected)
    }
}

impl NamedOperation {
    /// Whether it covers some requests with this method; `None` is any method.
    #[must_use]
    pub(crate) fn may_have(&self, method: Option<&str>) -> bool {
        method.is_none_or(|method| self.has_method(method))
    }

    /// Whether it covers some requests to paths that match a pattern.
    #[must_use]
    pub(crate) fn may_have_path_of(&self, pattern: &PathPattern) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|own| own.may_overlap(pattern))
    }

    /// Whether it covers some requests with this parameter.
    pub(crate) fn may_have_parameter(&self, name: &str, value: &str) -> bool {
        let known = |own: &String| own == value || own == ANY;
        self.query.get(name).is_none_or(|values| values.iter().any(known))
    }

    fn has_method(&self, method: &str) -> bool {
        self.methods.iter().any(|own| own == method)
    }

    fn has_path(&self, path: &str, ignore_case: bool) -> bool {
        let is_harmless = || {
            let actions = Operations::of("arm");
            actions.is_some_and(|actions| actions.is_harmless(&folded_segments(path)))
        };
        let matches = |pattern: &PathPattern| pattern.matches(path, ignore_case);
        (self.paths.is_empty() || self.paths.iter().any(matches))
            && !self.except.iter().any(matches)
            && (!self.harmless_action || is_harmless())
    }

    /// The requests that it covers, in a line: methods, parameters, header fields and paths.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut line = self.methods.join(", ");
        for (name, values) in &self.query {
            let values = values.iter().map(|value| match value.as_str() {
                "" => "none".to_owned(),
                ANY => "any".to_owned(),
                value => value.to_owned(),
            });
            let _ = write!(line, "; {name}: {}", values.collect::<Vec<String>>().join(", "));
        }
        for (name, presence) in &self.fields {
            let presence = match presence {
                Presence::Required => "with",
                Presence::Optional => "with or without",
            };
            let _ = write!(line, "; {presence} {name}");
        }
        if !self.paths.is_empty() {
            let paths: Vec<String> = self.paths.iter().map(ToString::to_string).collect();
            let _ = write!(line, "; paths {}", paths.join(", "));
        }
        if self.harmless_action {
            line.push_str("; actions that are known to be harmless");
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, Method};

    use super::*;
    use crate::cloud::Cloud;

    #[test]
    fn the_table_is_well_formed() {
        let table: BTreeMap<String, NamedOperations> =
            toml::from_str(include_str!("named_operations.toml")).unwrap();
        let services = &Cloud::named("public").unwrap().services;
        for (service, operations) in &table {
            assert!(services.contains_key(service), "{service}");
            for operation in operations.iter() {
                let name = &operation.name;
                let is_word = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
                assert!(name.bytes().all(is_word) && !name.is_empty(), "{service}: {name}");
                assert!(
                    operation.query.keys().all(|key| operations.parameters.contains(key)),
                    "{service}: {name}"
                );
                assert!(
                    operation.fields.keys().all(|key| operations.fields.contains(key)),
                    "{service}: {name}"
                );
                assert!(
                    operation.methods.iter().all(|method| method.parse::<Method>().is_ok()
                        && method.to_ascii_uppercase() == *method),
                    "{service}: {name}"
                );
                assert!(operation.summary.len() >= 10, "{service}: {name}");
            }
        }
        for service in ["blob", "dfs", "datalake", "vault", "arm", "sql", "appconfig"] {
            assert!(table.contains_key(service), "{service}");
        }
    }

    /// The names of the operations of a service that cover a request.
    fn names(service: &str, request: &str, fields: &[&str]) -> Vec<&'static str> {
        let (method, uri) = request.split_once(' ').unwrap();
        let (path, query) = match uri.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (uri, None),
        };
        let headers: HeaderMap = fields
            .iter()
            .map(|field| (field.parse().unwrap(), HeaderValue::from_static("x")))
            .collect();
        let method: Method = method.parse().unwrap();
        let head = RequestHead { method: &method, query, headers: Some(&headers) };
        let operations = NamedOperations::of(service).unwrap();
        let mut names: Vec<&str> = operations
            .iter()
            .filter(|operation| operations.cover(&operation.name, &head, path, false) == Ok(true))
            .map(|operation| operation.name.as_str())
            .collect();
        names.dedup();
        names
    }

    #[test]
    fn requests_to_blob_storage_have_one_operation() {
        for (request, fields, expected) in [
            ("GET /c/a.txt", &[][..], "read"),
            ("HEAD /c/a.txt?snapshot=2024", &[], "read"),
            ("GET /c/a.txt?comp=metadata", &[], "read"),
            ("GET /c?restype=container&comp=list&prefix=x", &[], "list"),
            ("HEAD /c?restype=container", &[], "list"),
            ("GET /?comp=list", &[], "list-containers"),
            ("PUT /c/a.txt", &["x-ms-blob-type"], "write"),
            ("PUT /c/a.txt?comp=block&blockid=YQ%3D%3D", &[], "write"),
            ("PUT /c/a.txt?comp=blocklist", &[], "write"),
            ("PUT /c/a.txt", &["x-ms-copy-source"], "copy"),
            ("PUT /c/a.txt?comp=block", &["x-ms-copy-source"], "copy"),
            ("PUT /c/a.txt?comp=lease", &[], "lease"),
            ("PUT /c/a.txt?comp=tier", &[], "set-tier"),
            ("DELETE /c/a.txt", &[], "delete"),
            ("DELETE /c/a.txt?deletetype=permanent", &[], "purge"),
            ("PUT /c?restype=container", &[], "create-container"),
            ("DELETE /c?restype=container", &[], "delete-container"),
            ("PUT /c?restype=container&comp=acl", &["x-ms-blob-public-access"], "set-acl"),
            ("GET /c?restype=container&comp=acl", &[], "get-acl"),
            ("POST /c/a.txt?comp=query", &[], "query"),
            ("PUT /?restype=service&comp=properties", &[], "set-service-properties"),
        ] {
            assert_eq!(names("blob", request, fields), [expected], "{request}");
        }
        for (request, fields) in [
            ("PUT /c?restype=container", &["x-ms-blob-public-access"][..]),
            ("PUT /c/a.txt", &["x-ms-legal-hold"]),
            ("PUT /c/a.txt?comp=unknown", &[]),
            ("POST /?restype=service&comp=userdelegationkey", &[]),
            ("POST /c?restype=container&comp=batch", &[]),
            ("PUT /c/a.txt?COMP=acl", &[]),
        ] {
            assert_eq!(names("blob", request, fields), [""; 0], "{request}");
        }
    }

    #[test]
    fn requests_to_data_lakes_have_one_operation() {
        for (request, fields, expected) in [
            ("GET /fs/a", &[][..], "read"),
            ("HEAD /fs/a?action=getStatus", &[], "read"),
            ("HEAD /fs/a?action=getAccessControl&upn=true", &[], "get-acl"),
            ("GET /fs?resource=filesystem&recursive=true", &[], "list"),
            ("GET /?resource=account", &[], "list-filesystems"),
            ("PUT /fs/a?resource=file", &[], "write"),
            ("PUT /fs/a?resource=directory", &[], "create-directory"),
            ("PATCH /fs/a?action=append&position=0", &[], "write"),
            ("PATCH /fs/a?action=flush&position=10", &[], "write"),
            ("PATCH /fs/a?action=setAccessControl", &["x-ms-acl"], "set-acl"),
            ("PATCH /fs/a?action=setAccessControl", &["x-ms-owner"], "set-acl"),
            ("PUT /fs/b", &["x-ms-rename-source"], "rename"),
            ("PUT /fs/b?mode=legacy", &["x-ms-rename-source"], "rename"),
            ("DELETE /fs/a?recursive=true", &[], "delete"),
            ("DELETE /fs?resource=filesystem", &[], "delete-filesystem"),
        ] {
            assert_eq!(names("dfs", request, fields).first(), Some(&expected), "{request}");
        }
        assert_eq!(
            names("dfs", "PUT /fs/a?resource=file", &["x-ms-permissions"]),
            ["create-with-acl"]
        );
        assert_eq!(names("dfs", "PATCH /fs/a?action=SetAccessControl", &[]), [""; 0]);
        for (request, expected) in [
            ("GET /webhdfs/v1/a?op=OPEN&offset=1", "read"),
            ("GET /webhdfs/v1/a?op=LISTSTATUS", "list"),
            ("PUT /webhdfs/v1/a?op=CREATE&overwrite=true", "write"),
            ("POST /webhdfs/v1/a?op=APPEND", "write"),
            ("PUT /webhdfs/v1/a?op=MKDIRS", "create-directory"),
            ("PUT /webhdfs/v1/a?op=MKDIRS&permission=777", "create-with-permission"),
            ("PUT /webhdfs/v1/a?op=CREATE&permission=777", "create-with-permission"),
            ("PUT /webhdfs/v1/a?op=SETPERMISSION&permission=777", "set-acl"),
            ("PUT /webhdfs/v1/a?op=SETOWNER&owner=me", "set-acl"),
            ("PUT /webhdfs/v1/a?op=RENAME&destination=/b", "rename"),
            ("DELETE /webhdfs/v1/a?op=DELETE", "delete"),
        ] {
            assert_eq!(names("datalake", request, &[]), [expected], "{request}");
        }
        for request in ["PUT /webhdfs/v1/a?op=create", "GET /webhdfs/v1/a?op=CREATE", "GET /a"] {
            assert_eq!(names("datalake", request, &[]), [""; 0], "{request}");
        }
    }

    #[test]
    fn requests_to_vaults_have_one_operation() {
        for (request, expected) in [
            ("GET /secrets/db?api-version=7.4", "read"),
            ("GET /secrets/db/0123", "read"),
            ("GET /secrets", "list"),
            ("GET /secrets/db/versions", "list"),
            ("PUT /secrets/db", "write"),
            ("PATCH /secrets/db/0123", "write"),
            ("DELETE /secrets/db", "delete"),
            ("POST /keys/k/0123/sign", "sign"),
            ("POST /keys/k/0123/decrypt", "decrypt"),
            ("POST /keys/k/0123/unwrapkey", "unwrap-key"),
            ("POST /keys/k/create", "create"),
            ("PUT /keys/k", "import"),
            ("DELETE /deletedsecrets/db", "purge"),
            ("POST /deletedsecrets/db/recover", "recover"),
        ] {
            assert_eq!(names("vault", request, &[]), [expected], "{request}");
        }
        for request in ["POST /secrets/db/backup", "POST /keys/k/backup", "PUT /secrets"] {
            assert_eq!(names("vault", request, &[]), [""; 0], "{request}");
        }
    }

    #[test]
    fn requests_to_resource_manager_and_databases_have_one_operation() {
        let vm = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v";
        let on = |method: &str, rest: &str| names("arm", &format!("{method} {vm}{rest}"), &[]);
        assert_eq!(on("GET", "?api-version=1"), ["read"]);
        assert_eq!(on("PUT", ""), ["write"]);
        assert_eq!(on("DELETE", ""), ["delete"]);
        assert_eq!(on("POST", "/start"), ["act"]);
        assert_eq!(on("POST", "/runCommand"), [""; 0]);
        assert_eq!(names("sql", "CONNECT /shop", &[]), ["connect"]);
    }

    #[test]
    fn a_description_has_all_conditions() {
        let operation = |service: &str, name: &str| {
            let operations = NamedOperations::of(service).unwrap();
            operations.iter().find(|one| one.name == name).unwrap().describe()
        };
        assert_eq!(
            operation("blob", "list"),
            "GET, HEAD; comp: none, list, metadata; restype: container"
        );
        assert_eq!(operation("vault", "random"), "POST; paths /rng");
        assert_eq!(
            operation("datalake", "create-with-permission"),
            "PUT; op: CREATE, MKDIRS; permission: any"
        );
        assert!(
            operation("blob", "copy")
                .ends_with("; with x-ms-copy-source; with or without x-ms-requires-sync")
        );
    }
}
