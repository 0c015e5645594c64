//! Whose fault a request is that does not leave: the plugin's, or the caller's, which the plugin
//! passed on.

use http::{HeaderValue, Request, Uri};
use percent_encoding::percent_decode_str;

use crate::call::Call;
use crate::running_grant::RunningGrant;
use keyward_policy::authorize::{Violation, is_origin_of, minting};
use keyward_policy::request_head::RequestHead;

/// Whether what is wrong with a request is so in the caller's own.
pub(super) fn is_callers<B>(call: &Call, request: &Request<B>, violation: &Violation) -> bool {
    let authority = request.uri().authority();
    let mut grants = call.grants().iter().filter(|grant| is_origin_of(authority, grant));
    let requested = call.requested();
    match violation {
        Violation::Path(_) => {
            let path = requested.path();
            let refuses = |grant: &RunningGrant| {
                grant.read(&format!("{}{path}", grant.endpoint.prefix)).is_err()
            };
            request.uri().path().ends_with(path) && grants.any(refuses)
        }
        Violation::UncheckableReference(place)
        | Violation::ReferenceToOtherHost { field: place, .. } => {
            let is_same = |sent: &HeaderValue| call.references(place).any(|own| own == sent);
            request.headers().get_all(place).into_iter().any(is_same)
                || has_same(request.uri(), requested, place)
        }
        Violation::AmbiguousReference { field: place, .. } => {
            let is_same = |sent: &HeaderValue| {
                call.references(place).any(|own| own.as_bytes().ends_with(path_of(sent)))
            };
            request.headers().get_all(place).into_iter().any(is_same)
                || has_same(request.uri(), requested, place)
        }
        Violation::Ambiguous(_) => {
            let query = requested.query().unwrap_or_default();
            grants.any(|grant| minting::is_ambiguous(grant, query))
        }
        Violation::Body(_) => call.has_request_body(),
        Violation::AmbiguousParameter(name) => {
            let head = RequestHead {
                query: requested.query(),
                ..RequestHead::of_method(request.method())
            };
            head.is_ambiguous(name)
        }
        Violation::Scheme
        | Violation::NoHost
        | Violation::UserInfo
        | Violation::OtherHost { .. }
        | Violation::OutsidePrefix
        | Violation::SeveralAuthorizations
        | Violation::ForeignAuthorization
        | Violation::MisplacedSurrogate(_)
        | Violation::SeveralCredentials
        | Violation::OtherAudience { .. }
        | Violation::Override(_)
        | Violation::ForeignLogin
        | Violation::Database
        | Violation::Method(_) => false,
    }
}

/// The path of a URL in a header field. A plugin may have written the endpoint's address for the
/// mount's in front of it.
fn path_of(value: &HeaderValue) -> &[u8] {
    let text = value.as_bytes();
    let Some(authority) = text.strip_prefix(b"https://") else { return text };
    let slash = authority.iter().position(|byte| *byte == b'/').unwrap_or(authority.len());
    authority.get(slash..).filter(|path| !path.is_empty()).unwrap_or(text)
}

/// Whether a request's parameters of this name are the caller's.
fn has_same(sent: &Uri, requested: &Uri, place: &str) -> bool {
    let name = place.split('=').next().unwrap_or_default();
    let of = |uri: &Uri| -> Vec<String> {
        let pairs = uri.query().unwrap_or_default().split('&');
        let is_it = |pair: &&str| {
            let found = pair.split('=').next().unwrap_or_default();
            percent_decode_str(found).decode_utf8_lossy().eq_ignore_ascii_case(name)
        };
        pairs.filter(is_it).map(str::to_owned).collect()
    };
    let (sent, requested) = (of(sent), of(requested));
    !sent.is_empty() && sent.iter().all(|pair| requested.contains(pair))
}
