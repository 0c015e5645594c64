//! A section `[caller.NAME]`, with numbers in place of the names of users and groups.

use std::fmt;
use std::sync::Arc;

use crate::caller::{Caller, CertificateNames, Proof, ServiceAccount};
use crate::config::AccountName;
use crate::diagnostic::Location;
use crate::text::toml_key;

/// What must be proved about a caller for its section to match. All that is given must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerSection {
    /// The caller's name.
    pub name: Arc<str>,
    /// Its user.
    pub uid: Option<u32>,
    /// A group that it is in.
    pub gid: Option<u32>,
    /// The systemd unit of its process.
    pub unit: Option<String>,
    /// A name in its client certificate.
    pub certificate: Option<String>,
    /// Its Kubernetes service account.
    pub service_account: Option<AccountName>,
    /// The name that the embedding service gives it.
    pub embedded: Option<String>,
    /// Its position in the configuration.
    pub location: Option<Location>,
}

impl CallerSection {
    /// A section without conditions, which matches no caller.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            uid: None,
            gid: None,
            unit: None,
            certificate: None,
            service_account: None,
            embedded: None,
            location: None,
        }
    }

    /// Whether all that the section gives was proved.
    #[must_use]
    pub fn matches(&self, proof: &Proof) -> bool {
        let Self { name: _, uid, gid, unit, certificate, service_account, embedded, location: _ } =
            self;
        let conditions = [
            uid.map(|uid| proof.uid == Some(uid)),
            gid.map(|gid| proof.groups.as_ref().is_some_and(|groups| groups.contains(&gid))),
            unit.as_ref().map(|unit| proof.unit.as_ref() == Some(unit)),
            certificate
                .as_ref()
                .map(|name| proof.certificate.as_ref().is_some_and(|names| has_name(names, name))),
            service_account.as_ref().map(|wanted| {
                proof.service_account.as_ref().is_some_and(|account| {
                    account.namespace == wanted.namespace && account.name == wanted.name
                })
            }),
            embedded.as_ref().map(|name| proof.embedded.as_ref() == Some(name)),
        ];
        let mut given = conditions.into_iter().flatten().peekable();
        given.peek().is_some() && given.all(|matches| matches)
    }

    /// Whether one caller may match both sections.
    #[must_use]
    pub fn may_overlap(&self, other: &Self) -> bool {
        fn differ<T: PartialEq>(one: Option<&T>, two: Option<&T>) -> bool {
            matches!((one, two), (Some(one), Some(two)) if one != two)
        }
        // A SPIFFE ID counts in a certificate without other URIs, beside DNS names.
        let uri = |section: &Self| section.certificate.clone().filter(|name| name.contains(':'));
        let is_spiffe = |section: &Self| section.certificate.as_deref().is_some_and(is_spiffe);
        let either_spiffe = is_spiffe(self) || is_spiffe(other);
        let is_inside = |section: &Self| section.embedded.is_some();
        // What the kernel proves at the Unix socket, where there are no certificates.
        let at_socket = |section: &Self| section.unit.is_some() || section.gid.is_some();
        let over_tls = |section: &Self| section.certificate.is_some();
        let differs = differ(self.uid.as_ref(), other.uid.as_ref())
            || differ(self.unit.as_ref(), other.unit.as_ref())
            || differ(self.service_account.as_ref(), other.service_account.as_ref())
            || differ(self.embedded.as_ref(), other.embedded.as_ref())
            || (either_spiffe && differ(uri(self).as_ref(), uri(other).as_ref()))
            || (at_socket(self) && over_tls(other))
            || (over_tls(self) && at_socket(other))
            // Nothing else is proved about a part of the embedding service.
            || is_inside(self) != is_inside(other);
        !differs
    }

    /// A caller that matches it, of which nothing else is proved.
    #[must_use]
    pub fn example(&self) -> Caller {
        let certificate = self.certificate.clone().map(|name| {
            let (uris, dns) =
                if name.contains(':') { (vec![name], vec![]) } else { (vec![], vec![name]) };
            CertificateNames { uris, dns }
        });
        let service_account = self.service_account.as_ref().map(|account| ServiceAccount {
            namespace: account.namespace.clone(),
            name: account.name.clone(),
            pod: None,
        });
        let proof = Proof {
            embedded: self.embedded.clone(),
            uid: self.uid,
            gid: self.gid,
            groups: self.gid.map(|gid| vec![gid]),
            pid: None,
            unit: self.unit.clone(),
            certificate,
            service_account,
            peer: None,
        };
        proof.into()
    }

    /// The section's header in the configuration.
    #[must_use]
    pub fn header(&self) -> String {
        format!("[caller.{}]", toml_key(&self.name))
    }
}

impl fmt::Display for CallerSection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.uid.map(|uid| format!("user {uid}")),
            self.gid.map(|gid| format!("group {gid}")),
            self.unit.as_ref().map(|unit| format!("unit {unit}")),
            self.certificate.as_ref().map(|name| format!("certificate {name}")),
            self.service_account.as_ref().map(|account| format!("service account {account}")),
            self.embedded.as_ref().map(|name| format!("embedded {name}")),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(&parts.join(", "))
    }
}

fn is_spiffe(name: &str) -> bool {
    name.get(..9).is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe://"))
}

/// Whether a certificate has a name: a URI if it has a colon, else a DNS name.
///
/// A SPIFFE ID counts only in a certificate without other URIs ([SPIFFE X.509-SVID, 2]).
///
/// [SPIFFE X.509-SVID, 2]: https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md#2-spiffe-id
pub(super) fn has_name(names: &CertificateNames, name: &str) -> bool {
    if !name.contains(':') {
        return names.dns.iter().any(|dns| dns.eq_ignore_ascii_case(name));
    }
    if is_spiffe(name) && names.uris.len() != 1 {
        return false;
    }
    names.uris.iter().any(|uri| uri == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_a_section_gives_must_be_proved() {
        let full = Proof {
            embedded: None,
            uid: Some(33),
            gid: Some(33),
            groups: Some(vec![33, 100]),
            pid: Some(7),
            unit: Some("web.service".to_owned()),
            certificate: None,
            service_account: Some(ServiceAccount {
                namespace: "shop".to_owned(),
                name: "web".to_owned(),
                pod: None,
            }),
            peer: None,
        };
        let account = |name: &str| AccountName { namespace: "shop".into(), name: name.into() };
        let section = CallerSection {
            uid: Some(33),
            gid: Some(100),
            unit: Some("web.service".to_owned()),
            service_account: Some(account("web")),
            ..CallerSection::named("web")
        };
        assert!(section.matches(&full));
        assert!(!section.matches(&Proof { uid: None, ..full.clone() }));
        assert!(!section.matches(&Proof { groups: None, ..full.clone() }), "gid alone");
        assert!(!section.matches(&Proof { groups: Some(vec![33]), ..full.clone() }));
        assert!(!section.matches(&Proof { unit: None, ..full.clone() }));
        assert!(!section.matches(&Proof { service_account: None, ..full.clone() }));
        let other = CallerSection { service_account: Some(account("db")), ..section.clone() };
        assert!(!other.matches(&full));
        assert!(!CallerSection::named("x").matches(&full), "a section without conditions");
        let embedded = CallerSection { embedded: Some("web".into()), ..section };
        assert!(!embedded.matches(&full));
    }

    #[test]
    fn an_example_of_a_section_matches_it() {
        let account = AccountName { namespace: "shop".into(), name: "web".into() };
        let full = CallerSection {
            uid: Some(33),
            gid: Some(100),
            unit: Some("web.service".into()),
            certificate: Some("spiffe://contoso.example/web".into()),
            service_account: Some(account),
            embedded: Some("web".into()),
            ..CallerSection::named("web")
        };
        assert!(full.matches(full.example().proof()));
        let dns = CallerSection { certificate: Some("a.example".into()), ..full };
        assert!(dns.matches(dns.example().proof()));
    }

    #[test]
    fn a_name_of_a_certificate_counts_in_the_field_of_its_kind() {
        let names = |uris: &[&str], dns: &[&str]| CertificateNames {
            uris: uris.iter().map(ToString::to_string).collect(),
            dns: dns.iter().map(ToString::to_string).collect(),
        };
        let id = "spiffe://contoso.example/web";
        assert!(has_name(&names(&[id], &[]), id));
        assert!(!has_name(&names(&[], &[id]), id), "in the wrong field");
        assert!(!has_name(&names(&[id, "https://a.example"], &[]), id), "two URIs");
        assert!(!has_name(&names(&[&format!("{id}/x")], &[]), id));
        assert!(has_name(&names(&[id, "https://a.example"], &[]), "https://a.example"));
        assert!(has_name(&names(&[], &["Web.contoso.example"]), "web.Contoso.example"));
        assert!(!has_name(&names(&["web.contoso.example"], &[]), "web.contoso.example"));
        assert!(!has_name(&names(&[], &["*.contoso.example"]), "web.contoso.example"));
    }

    #[test]
    fn sections_overlap_unless_something_in_them_differs() {
        let user = |uid| CallerSection { uid: Some(uid), ..CallerSection::named("u") };
        let unit =
            |unit: &str| CallerSection { unit: Some(unit.into()), ..CallerSection::named("n") };
        let certificate = |name: &str| CallerSection {
            certificate: Some(name.into()),
            ..CallerSection::named("c")
        };
        let embedded = CallerSection { embedded: Some("x".into()), ..CallerSection::named("e") };
        assert!(user(1).may_overlap(&unit("a.service")));
        assert!(user(1).may_overlap(&user(1)));
        assert!(certificate("a.example").may_overlap(&certificate("b.example")));
        assert!(!user(1).may_overlap(&user(2)));
        assert!(!unit("a.service").may_overlap(&unit("b.service")));
        assert!(!certificate("spiffe://a/b").may_overlap(&certificate("spiffe://a/c")));
        assert!(!user(1).may_overlap(&embedded));
        let id = certificate("spiffe://a/b");
        assert!(!id.may_overlap(&certificate("https://a.example")), "an ID counts alone only");
        assert!(id.may_overlap(&certificate("a.example")), "beside DNS names");
        assert!(certificate("https://a.example").may_overlap(&certificate("urn:a")));
        let group = CallerSection { gid: Some(1), ..CallerSection::named("g") };
        for section in [unit("a.service"), group] {
            assert!(!section.may_overlap(&id), "the socket has no certificates");
            assert!(!id.may_overlap(&section));
        }
        assert!(user(1).may_overlap(&id), "at a loopback port");
    }
}
