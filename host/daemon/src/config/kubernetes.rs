//! `[listen.kubernetes]`: the tokens by which pods prove their service accounts.

use std::collections::BTreeMap;
use std::path::Path;

use keyward_policy::diagnostic::Diagnostic;
use keyward_policy::document::{InvalidValue, Key, Section, SectionKeys};

use crate::service_account::{Access, IssuerConfig, KeySource, Verifier};

/// The audience of the tokens: other services do not accept them, and Keyward accepts no others.
const AUDIENCE: &str = "keyward";

const ISSUER: Key = Key::string(
    "issuer",
    "https://kubernetes.default.svc.cluster.local",
    "the issuer of the tokens: `--service-account-issuer` of the API server",
)
.required();
const KEYS_FILE: Key = Key::path(
    "keys_file",
    "/etc/keyward/jwks.json",
    "the issuer's public keys, as a JSON Web Key Set; it is read again when it changes",
);
const KEYS_URL: Key = Key::form(
    "keys_url",
    "a URL that begins with \"https://\"",
    Some("^https://"),
    "https://kubernetes.default.svc/openid/v1/jwks",
    "the URL of the issuer's public keys, without `keys_file`",
)
.default_is("the one that the issuer's `.well-known/openid-configuration` names");
const CA_FILE: Key = Key::path(
    "ca_file",
    "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt",
    "the authorities of the server that has the keys, in PEM",
)
.default_is("the system's");
const TOKEN_FILE: Key = Key::path(
    "token_file",
    "/var/run/secrets/kubernetes.io/serviceaccount/token",
    "a token for the server that has the keys, where it asks for one",
);

/// `[listen.kubernetes]`.
pub(super) const KUBERNETES: SectionKeys = SectionKeys::new(
    &["listen", "kubernetes"],
    "Callers may prove their Kubernetes service account by a projected token for the audience \
     `keyward`, in the header field `x-keyward-token` \
     ([callers.md](callers.md#pods-of-kubernetes)).",
    &[&ISSUER, &KEYS_FILE, &KEYS_URL, &CA_FILE, &TOKEN_FILE],
);

/// Reads the section, if the document has it.
pub(super) fn read(listen: &Section<'_>, base: &Path) -> Option<IssuerConfig> {
    let section = listen.section(&KUBERNETES);
    if !section.exists() {
        return None;
    }
    let issuer = section.string(&ISSUER);
    let keys_file = section.path(&KEYS_FILE, base);
    let keys_url = section.parsed(&KEYS_URL, |text| {
        let is_https = text.starts_with("https://");
        if is_https { Ok(text.to_owned()) } else { Err(InvalidValue::default()) }
    });
    let access = Access {
        ca_file: section.path(&CA_FILE, base).map(|file| file.value),
        token_file: section.path(&TOKEN_FILE, base).map(|file| file.value),
    };
    if issuer.is_none() && section.location_of(&ISSUER).is_none() {
        let message = format!("{} has no `issuer`", section.header());
        let diagnostic = Diagnostic::new(section.location(), message)
            .expected("the `--service-account-issuer` of the API server");
        section.push(diagnostic.write(format!("issuer = {:?}", ISSUER.example)));
    }
    let keys = match (keys_file, keys_url) {
        (Some(file), None) => {
            if access.ca_file.is_some() || access.token_file.is_some() {
                let message = format!(
                    "`ca_file` and `token_file` in {} are for a server, and `keys_file` is there",
                    section.header()
                );
                let diagnostic = Diagnostic::new(file.location.clone(), message);
                section.push(diagnostic.help("remove them, or `keys_file`"));
            }
            KeySource::File(file.value)
        }
        (None, Some(url)) => KeySource::Url { url: url.value, access },
        (None, None) => KeySource::Discover(access),
        (Some(_), Some(url)) => {
            let message = format!("{} has both `keys_file` and `keys_url`", section.header());
            section.push(Diagnostic::new(url.location, message).help("remove one of them"));
            KeySource::Discover(access)
        }
    };
    let location = section.location();
    let config = issuer.map(|issuer| IssuerConfig {
        issuer: issuer.value,
        audience: AUDIENCE.to_owned(),
        keys,
        addresses: BTreeMap::new(),
    });
    if let Some(Err(error)) = config.clone().map(Verifier::new) {
        let message = format!("{} cannot be used: {error}", section.header());
        section.push(Diagnostic::new(location, message).help("correct it, or remove the section"));
    }
    section.finish();
    config
}
