//! Which callers a mount serves, and what it does for each of them.
//!
//! [`Callers::find`] gives a caller the name of the first section `[caller.NAME]` that matches it,
//! and [`MountCallers::rules`] the rules of that name at a mount. [`CallerRules::check`] then checks
//! the caller's own request, and [`CallerRules::grants`] narrows the mount's grants.

mod denied;
mod section;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use denied::{CallerDenied, CallerRule};
pub use section::CallerSection;

use crate::authorize::override_fields;
use crate::authorize::referenced_paths::{self, Reference};
use crate::caller::Caller;
use crate::config::Rate;
use crate::endpoint::Protocol;
use crate::grant::{CallerAllow, Grant};
use crate::path::{PathReading, Purpose};
use crate::pattern::Pattern;
use crate::request_head::RequestHead;

/// The sections `[caller.NAME]`, in the order in which they are matched.
#[derive(Clone, Debug, Default)]
pub struct Callers {
    sections: Vec<CallerSection>,
}

/// The callers of a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountCallers {
    named: BTreeMap<Arc<str>, CallerRules>,
    /// The rules for every other caller; `None` if the mount does not serve them.
    others: Option<CallerRules>,
}

/// What a mount does for a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerRules {
    /// The caller's name in the configuration; `*` for callers that the mount does not name.
    pub name: Arc<str>,
    /// The requests to the mount that it may send; `None` for all.
    pub requests: Option<Vec<Pattern>>,
    /// The requests that may be sent to the mount's first audience on its behalf; `None` for all
    /// that the mount may send.
    pub allow: Option<Vec<Pattern>>,
    /// How many calls it may begin.
    pub rate: Option<Rate>,
    /// How many of its calls may run at once.
    pub concurrency: u32,
}

impl Callers {
    /// These sections, in the order in which they are matched.
    #[must_use]
    pub fn new(sections: Vec<CallerSection>) -> Self {
        Self { sections }
    }

    /// The sections.
    #[must_use]
    pub fn sections(&self) -> &[CallerSection] {
        &self.sections
    }

    /// Whether there are none, so that every mount serves every caller.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }

    /// Whether both match the same callers, in the same order. The lines where the sections are
    /// written do not count.
    #[must_use]
    pub fn match_the_same(&self, other: &Self) -> bool {
        let sections = |callers: &Self| -> Vec<CallerSection> {
            let sections = callers.sections.iter().cloned();
            sections.map(|section| CallerSection { location: None, ..section }).collect()
        };
        sections(self) == sections(other)
    }

    /// The name of the first section that matches a caller.
    #[must_use]
    pub fn find(&self, caller: &Caller) -> Option<&Arc<str>> {
        let found = self.sections.iter().find(|section| section.matches(caller.proof()));
        found.map(|section| &section.name)
    }

    /// Pairs of sections that one caller may match, so that their order decides.
    pub fn overlaps(&self) -> impl Iterator<Item = (&CallerSection, &CallerSection)> {
        self.sections.iter().enumerate().flat_map(|(index, first)| {
            let later = self.sections.iter().skip(index + 1);
            later.filter(|second| first.may_overlap(second)).map(move |second| (first, second))
        })
    }
}

impl MountCallers {
    /// The callers of these rules; `others` is for every other caller.
    #[must_use]
    pub fn new(named: Vec<CallerRules>, others: Option<CallerRules>) -> Self {
        let named = named.into_iter().map(|rules| (Arc::clone(&rules.name), rules)).collect();
        Self { named, others }
    }

    /// All rules, those of callers without a name last.
    pub fn iter(&self) -> impl Iterator<Item = &CallerRules> {
        self.named.values().chain(&self.others)
    }

    /// The rules for a caller with the name of the section that matches it, if any.
    ///
    /// # Errors
    ///
    /// The mount does not serve it.
    pub fn rules(&self, name: Option<&Arc<str>>) -> Result<&CallerRules, CallerRule> {
        let named = name.and_then(|name| self.named.get(name));
        named.or(self.others.as_ref()).ok_or_else(|| match name {
            Some(name) => CallerRule::NotServed(Arc::clone(name)),
            None => CallerRule::Unknown,
        })
    }
}

impl CallerRules {
    /// Checks a caller's own request, and returns the pattern of `requests` that covers it, if
    /// there are any. `path` is what follows the mount's name, which is read as at the mount's
    /// first audience; `grants` are those of the mount.
    ///
    /// # Errors
    ///
    /// No pattern of `requests` covers it.
    pub fn check<G: AsRef<Grant>>(
        &self,
        head: &RequestHead<'_>,
        path: &str,
        grants: &[G],
    ) -> Result<Option<&Pattern>, CallerRule> {
        let Some(patterns) = &self.requests else { return Ok(None) };
        let denied = |line: Option<String>| {
            let name = Arc::clone(&self.name);
            CallerRule::Request { name, method: head.method.clone(), line }
        };
        let Ok(Some(path)) = path_reading(grants).read(path, "", Purpose::CompareUnchanged) else {
            return Err(denied(None));
        };
        let covers = |reading: &str, pattern: &Pattern| {
            pattern.matches(head, reading, false, &[]) == Ok(true)
        };
        let mut first = None;
        for reading in path.readings() {
            let Some(pattern) = patterns.iter().find(|pattern| covers(reading, pattern)) else {
                let verb = Pattern::verb_for(head.method);
                return Err(denied(Some(format!("{verb} {}", path.covering_pattern()))));
            };
            first.get_or_insert(pattern);
        }
        Ok(first)
    }

    /// Whether a credential that an operation mints may be handed out to this caller. `grants` are
    /// those of the mount. For a caller with an `allow`, signatures are compared with it, so it
    /// must be for storage; other credentials, and signatures at a mount without storage, are
    /// handed out only where it is for the requests that mint them.
    #[must_use]
    pub fn may_be_handed(&self, operation: &str, grants: &[Grant]) -> bool {
        let is_storage = |grant: &Grant| grant.minting.is_storage();
        let is_compared = grants.iter().any(|grant| grant.is_first && is_storage(grant));
        let has_storage = grants.iter().any(is_storage);
        grants.iter().filter(|grant| grant.minting.hands_out(operation)).any(|grant| {
            if self.allow.is_none() {
                true
            } else if grant.minting.is_signature(operation) && has_storage {
                is_compared
            } else {
                grant.is_first
            }
        })
    }

    /// Checks the fields of a caller's own request by which it could mean another method or path
    /// than its own: a field that overrides them, or one that refers to a second path. That is
    /// compared as the mount's services read it, and its source of a copy like a `GET`. `own_url`
    /// is where callers reach the mount, without a slash at its end.
    ///
    /// # Errors
    ///
    /// There are `requests`, and no pattern of them covers such a path, or none can.
    pub fn check_fields<G: AsRef<Grant>>(
        &self,
        head: &RequestHead<'_>,
        grants: &[G],
        own_url: Option<&str>,
    ) -> Result<(), CallerRule> {
        let Some(patterns) = &self.requests else { return Ok(()) };
        if let Some(field) = head.headers.and_then(override_fields::find) {
            return Err(CallerRule::Override { name: Arc::clone(&self.name), field });
        }
        // Of two services that read one field, the plugin may send it to the one that it is for.
        let mut checked: BTreeMap<String, Result<(), Option<String>>> = BTreeMap::new();
        for grant in grants.iter().map(AsRef::as_ref) {
            let mut of_grant: BTreeMap<String, Result<(), Option<String>>> = BTreeMap::new();
            for Reference { field, method, path } in referenced_paths::find(grant, head, own_url) {
                let compared = method.as_ref().map_or(*head, RequestHead::of_method);
                let covers = |reading: &str| {
                    let mut patterns = patterns.iter();
                    patterns
                        .any(|pattern| pattern.matches(&compared, reading, false, &[]) == Ok(true))
                };
                let denied = match path {
                    Ok(path) if path.readings().all(covers) => Ok(()),
                    Ok(path) => {
                        let verb = Pattern::verb_for(compared.method);
                        Err(Some(format!("{verb} {}", path.covering_pattern())))
                    }
                    Err(_) => Err(None),
                };
                let entry = of_grant.entry(field).or_insert(Ok(()));
                if entry.is_ok() {
                    *entry = denied;
                }
            }
            for (field, result) in of_grant {
                let entry = checked.entry(field).or_insert_with(|| result.clone());
                if result.is_ok() {
                    *entry = result;
                }
            }
        }
        for (field, result) in checked {
            let name = || Arc::clone(&self.name);
            result.map_err(|line| CallerRule::Reference { name: name(), field, line })?;
        }
        Ok(())
    }

    /// The grants of the mount on the caller's behalf.
    #[must_use]
    pub fn grants(&self, grants: &[Grant]) -> Vec<Grant> {
        grants.iter().map(|grant| self.narrowed(grant).unwrap_or_else(|| grant.clone())).collect()
    }

    /// The grant on the caller's behalf; `None` if it is the mount's.
    #[must_use]
    pub fn narrowed(&self, grant: &Grant) -> Option<Grant> {
        let allowed = self.allow.as_ref().filter(|_| grant.is_first)?;
        let caller = Arc::clone(&self.name);
        Some(grant.narrowed_for(CallerAllow { caller, allowed: allowed.clone() }))
    }
}

/// How the first audience of a mount reads paths.
fn path_reading<G: AsRef<Grant>>(grants: &[G]) -> PathReading {
    let first = grants.iter().map(AsRef::as_ref).find(|grant| grant.is_first);
    first
        .filter(|grant| grant.endpoint.protocol == Protocol::Https)
        .map_or(PathReading::Segments, |grant| grant.paths)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};

    use super::*;
    use crate::caller::Proof;
    use crate::cloud::Cloud;

    fn section(name: &str, uid: Option<u32>, unit: Option<&str>) -> CallerSection {
        let unit = unit.map(str::to_owned);
        CallerSection { uid, unit, ..CallerSection::named(name) }
    }

    #[test]
    fn the_first_section_that_matches_names_the_caller() {
        let callers = Callers::new(vec![
            section("unit", Some(33), Some("web.service")),
            section("user", Some(33), None),
        ]);
        let name = |uid, unit: Option<&str>| {
            let proof = Proof { uid, unit: unit.map(str::to_owned), ..Proof::default() };
            callers.find(&proof.into()).map(ToString::to_string)
        };
        assert_eq!(name(Some(33), Some("web.service")).as_deref(), Some("unit"));
        assert_eq!(name(Some(33), Some("other.service")).as_deref(), Some("user"));
        assert_eq!(name(Some(33), None).as_deref(), Some("user"));
        assert_eq!(name(Some(34), Some("web.service")), None);
        assert_eq!(name(None, Some("web.service")), None);
        assert_eq!(callers.overlaps().count(), 1);
    }

    fn rules(requests: &[&str]) -> CallerRules {
        let requests = requests.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        CallerRules {
            name: "web".into(),
            requests: Some(requests),
            allow: None,
            rate: None,
            concurrency: 1,
        }
    }

    #[test]
    fn a_request_must_match_a_pattern_in_all_readings_of_its_path() {
        let rules = rules(&["POST /queries/of-customer", "GET /files/*?comp=metadata"]);
        let check = |method: Method, uri: &str| {
            let (path, query) = uri.split_once('?').map_or((uri, None), |(p, q)| (p, Some(q)));
            let head = RequestHead { query, ..RequestHead::of_method(&method) };
            let covered = rules.check::<Grant>(&head, path, &[])?;
            Ok(covered.map(ToString::to_string).unwrap_or_default())
        };
        let query = "POST /queries/of-customer";
        assert_eq!(check(Method::POST, "/queries/of-customer").as_deref(), Ok(query));
        assert_eq!(check(Method::POST, "/queries/of%2Dcustomer").as_deref(), Ok(query));
        let file = "GET /files/*?comp=metadata";
        assert_eq!(check(Method::GET, "/files/a?comp=metadata").as_deref(), Ok(file));
        for (method, uri) in [
            (Method::GET, "/queries/of-customer"),
            (Method::POST, "/queries/of-customer/"),
            (Method::POST, "/queries/../queries/of-customer"),
            (Method::POST, "/queries//of-customer"),
            (Method::POST, "/queries%2fof-customer"),
            (Method::GET, "/files/a"),
            (Method::GET, "/files/a?comp=metadata&comp=acl"),
            (Method::GET, "/files/a?COMP=metadata"),
        ] {
            assert!(check(method.clone(), uri).is_err(), "{method} {uri}");
        }
        let Err(CallerRule::Request { line, .. }) = check(Method::PUT, "/queries/a*b") else {
            panic!("not denied")
        };
        assert_eq!(line.as_deref(), Some("PUT /queries/a%2Ab"));
    }

    /// The grant of an account's blobs.
    fn blobs() -> Grant {
        let service = &Cloud::named("public").unwrap().services["blob"];
        let (referenced_paths, paths) = (service.referenced_paths.clone(), service.paths.unwrap());
        let grant = Grant::example("https://contoso.blob.core.windows.net");
        Grant { referenced_paths, paths, ..grant }
    }

    fn check_fields(
        rules: &CallerRules,
        grants: &[Grant],
        query: Option<&str>,
        fields: &[(&'static str, &str)],
    ) -> Result<(), CallerRule> {
        let fields =
            fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let headers: HeaderMap = fields.collect();
        let head = RequestHead { query, headers: Some(&headers), method: &Method::PUT };
        rules.check_fields(&head, grants, Some("http://localhost:8200/blobs"))
    }

    #[test]
    fn a_second_path_must_be_covered_by_requests_too() {
        let rules = rules(&["PUT /own/*", "GET /open/*"]);
        let check =
            |source: &str| check_fields(&rules, &[blobs()], None, &[("x-ms-copy-source", source)]);
        let endpoint = "https://contoso.blob.core.windows.net";
        for covered in [
            format!("{endpoint}/open/a"),
            format!("{endpoint}/open/a?snapshot=1"),
            "http://localhost:8200/blobs/open/a".to_owned(),
        ] {
            assert_eq!(check(&covered), Ok(()), "{covered}");
        }
        let Err(CallerRule::Reference { field, line, .. }) = check(&format!("{endpoint}/secret/a"))
        else {
            panic!("not denied")
        };
        assert_eq!((&*field, line.as_deref()), ("x-ms-copy-source", Some("GET /secret/a")));
        for denied in [
            format!("{endpoint}/own/a"),
            format!("{endpoint}/open/../secret/a"),
            format!("{endpoint}/open/%2e%2e/secret/a"),
            "https://other.blob.core.windows.net/open/a".to_owned(),
            "http://localhost:8200/blobsx/open/a".to_owned(),
            "http://localhost:8201/blobs/open/a".to_owned(),
            "not a URL".to_owned(),
        ] {
            assert!(check(&denied).is_err(), "{denied}");
        }
        let all = CallerRules { requests: None, ..rules.clone() };
        let source = [("x-ms-copy-source", "https://other.example/a")];
        assert_eq!(check_fields(&all, &[blobs()], None, &source), Ok(()));
    }

    #[test]
    fn the_target_of_a_rename_is_compared_like_the_request() {
        let service = &Cloud::named("public").unwrap().services["datalake"];
        let (referenced_paths, paths) = (service.referenced_paths.clone(), service.paths.unwrap());
        let lake = Grant::example("https://contoso.azuredatalakestore.net");
        let lake = Grant { referenced_paths, paths, ..lake };
        let rules = rules(&["PUT /webhdfs/v1/own/**"]);
        let check =
            |query: &str| check_fields(&rules, std::slice::from_ref(&lake), Some(query), &[]);
        assert_eq!(check("op=RENAME&destination=/own/b"), Ok(()));
        assert!(check("op=RENAME&destination=/secret/b").is_err());
        assert!(check("op=RENAME&Destin%61tion=%2Fsecret/b").is_err());
        assert!(check("op=msconcat").is_err(), "its paths are in the body");
    }

    #[test]
    fn a_field_that_overrides_the_method_is_denied_where_there_are_requests() {
        let rules = rules(&["PUT /own/*"]);
        for field in ["x-http-method-override", "x-original-url", "x_http_method"] {
            let denied = check_fields(&rules, &[blobs()], None, &[(field, "DELETE")]);
            assert!(matches!(denied, Err(CallerRule::Override { .. })), "{field}");
            let all = CallerRules { requests: None, ..rules.clone() };
            assert_eq!(check_fields(&all, &[blobs()], None, &[(field, "DELETE")]), Ok(()));
        }
    }

    #[test]
    fn a_mount_serves_the_callers_that_it_names() {
        let web = rules(&["GET /a"]);
        let only = MountCallers::new(vec![web.clone()], None);
        let (web_name, other_name): (Arc<str>, Arc<str>) = ("web".into(), "batch".into());
        assert_eq!(only.rules(Some(&web_name)), Ok(&web));
        assert_eq!(only.rules(Some(&other_name)), Err(CallerRule::NotServed("batch".into())));
        assert_eq!(only.rules(None), Err(CallerRule::Unknown));
        let others = CallerRules { name: "*".into(), ..rules(&["GET /b"]) };
        let all = MountCallers::new(vec![web.clone()], Some(others.clone()));
        assert_eq!(all.rules(Some(&web_name)), Ok(&web));
        assert_eq!(all.rules(Some(&other_name)), Ok(&others));
        assert_eq!(all.rules(None), Ok(&others));
    }

    #[test]
    fn only_the_first_audience_is_narrowed() {
        let mut rules = rules(&["GET /a"]);
        let grants = [
            Grant::example("https://a.example"),
            Grant { is_first: false, ..Grant::example("https://b.example") },
        ];
        assert!(rules.grants(&grants).iter().all(|grant| grant.for_caller.is_none()));
        rules.allow = Some(vec![Pattern::parse("GET /x").unwrap()]);
        let narrowed: Vec<bool> =
            rules.grants(&grants).iter().map(|grant| grant.for_caller.is_some()).collect();
        assert_eq!(narrowed, [true, false]);
    }
}
