use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
};
use rustls::pki_types::UnixTime;

use super::*;

const ID: &str = "spiffe://example.org/web";

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().unwrap())
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn issue(
    authority: &CertifiedIssuer<'_, KeyPair>,
    names: Vec<SanType>,
    change: impl FnOnce(&mut CertificateParams),
) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    params.signed_by(&key, authority).unwrap().into()
}

fn names(names: Vec<SanType>) -> Result<CertificateNames, InvalidCertificate> {
    ClientCertificate::of(&issue(&authority(), names, |_| {})).map(|certificate| certificate.names)
}

fn verify(verifier: &dyn ClientCertVerifier, certificate: &CertificateDer<'_>) -> bool {
    verifier.verify_client_cert(certificate, &[], UnixTime::now()).is_ok()
}

#[test]
fn a_client_certificate_of_the_authority_is_accepted() {
    let authority = authority();
    let verifier = client_verifier(authority.pem().as_bytes(), true).unwrap();
    let certificate = issue(&authority, vec![uri(ID)], |_| {});
    assert!(verify(&*verifier, &certificate));
    // One for any use, as SPIRE's authorities without extended key usage issue.
    let any_use = issue(&authority, vec![uri(ID)], |params| params.extended_key_usages.clear());
    assert!(verify(&*verifier, &any_use));
}

#[test]
fn a_certificate_of_another_authority_is_rejected() {
    let (trusted, other) = (authority(), authority());
    let verifier = client_verifier(trusted.pem().as_bytes(), true).unwrap();
    assert!(!verify(&*verifier, &issue(&other, vec![uri(ID)], |_| {})));
    let both = format!("{}\n{}", trusted.pem(), other.pem());
    let verifier = client_verifier(both.as_bytes(), true).unwrap();
    assert!(verify(&*verifier, &issue(&other, vec![uri(ID)], |_| {})));
}

#[test]
fn a_certificate_that_has_expired_is_not_yet_valid_or_is_for_servers_is_rejected() {
    let authority = authority();
    let verifier = client_verifier(authority.pem().as_bytes(), true).unwrap();
    let hour = Duration::from_secs(3600);
    let now = SystemTime::now();
    let expired = issue(&authority, vec![uri(ID)], |params| {
        params.not_after = (now - hour).into();
    });
    let future = issue(&authority, vec![uri(ID)], |params| {
        params.not_before = (now + hour).into();
    });
    let for_servers = issue(&authority, vec![uri(ID)], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    let of_an_authority = issue(&authority, vec![uri(ID)], |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    for certificate in [expired, future, for_servers, of_an_authority] {
        assert!(!verify(&*verifier, &certificate));
    }
}

#[test]
fn a_certificate_is_optional_unless_it_is_required() {
    let pem = authority().pem();
    for required in [true, false] {
        let verifier = client_verifier(pem.as_bytes(), required).unwrap();
        assert!(verifier.offer_client_auth());
        assert_eq!(verifier.client_auth_mandatory(), required);
        // A certificate that is sent must be valid in any case.
        assert!(!verify(&*verifier, &issue(&authority(), vec![uri(ID)], |_| {})));
    }
}

#[test]
fn authorities_that_cannot_be_used_are_errors() {
    let error = |pem: &str| client_verifier(pem.as_bytes(), true).unwrap_err();
    assert!(matches!(error(""), InvalidAuthority::Empty));
    assert!(matches!(
        error(&KeyPair::generate().unwrap().serialize_pem()),
        InvalidAuthority::Empty
    ));
    let pem = authority().pem();
    assert!(matches!(error(&pem[..pem.len() / 2]), InvalidAuthority::Pem(_)));
    let malformed = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(error(&format!("{pem}{malformed}")), InvalidAuthority::Certificate(_)));
}

#[test]
fn names_are_those_of_their_fields() {
    let found = names(vec![uri(ID), uri("https://example.org/"), dns("Web.Example.org")]).unwrap();
    assert_eq!(found.uris, [ID, "https://example.org/"]);
    assert_eq!(found.dns, ["web.example.org"]);
    assert_eq!(names(Vec::new()).unwrap(), CertificateNames::default());
}

#[test]
fn a_uri_in_another_field_is_not_a_uri() {
    let found = names(vec![dns(ID), SanType::Rfc822Name(ID.try_into().unwrap())]).unwrap();
    assert_eq!(found, CertificateNames::default());
    let common_name = issue(&authority(), Vec::new(), |params| {
        params.distinguished_name.push(DnType::CommonName, ID);
    });
    let found = ClientCertificate::of(&common_name).unwrap();
    assert_eq!(found.names, CertificateNames::default());
    // Nor is a host name in the field for URIs a host name.
    assert_eq!(names(vec![uri("web.example.org")]).unwrap().dns, Vec::<String>::new());
}

#[test]
fn a_wildcard_is_not_a_name() {
    let found = names(vec![dns("*.example.org"), dns("a.example.org")]).unwrap();
    assert_eq!(found.dns, ["a.example.org"]);
}

#[test]
fn a_uri_that_could_be_read_in_two_ways_is_an_error() {
    for ambiguous in ["", "spiffe://example.org/web\0.evil", "spiffe://example.org/a b", "a\n"] {
        let error = names(vec![uri(ID), uri(ambiguous)]).unwrap_err();
        assert!(matches!(error, InvalidCertificate::AmbiguousUri), "{ambiguous:?}");
    }
}

/// A certificate whose alternative names are these bytes.
fn with_names(names: Vec<u8>) -> Result<CertificateNames, InvalidCertificate> {
    let certificate = issue(&authority(), Vec::new(), |params| {
        let names = CustomExtension::from_oid_content(&[2, 5, 29, 17], names);
        params.custom_extensions = vec![names];
    });
    ClientCertificate::of(&certificate).map(|certificate| certificate.names)
}

/// Names of these kinds, in a sequence.
fn sequence(names: &[(u64, &[u8])]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            for (kind, name) in names {
                let tag = yasna::Tag::context(*kind);
                writer.next().write_tagged_implicit(tag, |writer| writer.write_bytes(name));
            }
        });
    })
}

#[test]
fn a_name_that_cannot_be_read_is_an_error_so_that_none_goes_uncounted() {
    let id = (6, ID.as_bytes());
    assert_eq!(with_names(sequence(&[id])).unwrap().uris, [ID]);
    assert_eq!(with_names(sequence(&[id, (7, &[10, 0, 0, 1])])).unwrap().uris, [ID]);
    for other in [(6, &b"spiffe://example.org/\xff"[..]), (6, b""), (6, "\u{e9}".as_bytes())] {
        let error = with_names(sequence(&[id, other])).unwrap_err();
        assert!(matches!(error, InvalidCertificate::AmbiguousUri), "{other:?}: {error:?}");
    }
    let error = with_names(sequence(&[id, (2, b"web\xff.example.org")])).unwrap_err();
    assert!(matches!(error, InvalidCertificate::AmbiguousDns), "{error:?}");
    let error = with_names(sequence(&[id, (9, b"x")])).unwrap_err();
    assert!(matches!(error, InvalidCertificate::Malformed(_)), "of an unknown kind: {error:?}");
    let mut truncated = sequence(&[id, (6, b"https://example.org")]);
    truncated.truncate(truncated.len() - 1);
    assert!(with_names(truncated).is_err());
    let mut followed = sequence(&[id]);
    followed.extend(sequence(&[id]));
    assert!(with_names(followed).is_err());
}

#[test]
fn a_certificate_has_the_time_of_its_end_in_both_forms() {
    // The second one is written with a year of four digits.
    for seconds in [1_900_000_000, 4_000_000_000] {
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let certificate = issue(&authority(), vec![uri(ID)], |params| {
            params.not_after = end.into();
        });
        assert_eq!(ClientCertificate::of(&certificate).unwrap().expires, end);
    }
}

#[test]
fn what_is_not_a_certificate_is_an_error() {
    let error = ClientCertificate::of(&CertificateDer::from(vec![1, 2, 3])).unwrap_err();
    assert!(matches!(error, InvalidCertificate::Malformed(_)));
}
