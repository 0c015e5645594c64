//! Who asks, and whether he may.

use super::clock;
use super::failure::{Failure, bad_header};
use super::sas::{Sas, is_date, mismatch, refused};
use super::target::Target;
use crate::Azure;
use crate::authority::Rejected;
use crate::directory::{Identity, TENANT};
use crate::exchange::Received;

/// The audience of Blob and Data Lake Gen2, in every cloud. The slash counts.
const AUDIENCE: &str = "https://storage.azure.com/";

/// The first version that takes bearer tokens.
const BEARER_SINCE: &str = "2017-11-09";

/// Who asks.
pub(super) enum Caller<'a> {
    Identity(&'a Identity),
    Sas(Sas),
}

impl Caller<'_> {
    pub(super) fn name(&self) -> Option<String> {
        match self {
            Self::Identity(identity) => Some(identity.name.clone()),
            Self::Sas(_) => None,
        }
    }
}

/// Who asks Blob: an identity, or whoever has a shared access signature.
pub(super) fn blob_caller<'a>(azure: &'a Azure, request: &Received, target: &Target) -> Result<Caller<'a>, Failure> {
    if !request.headers.contains_key("authorization")
        && let Some(sas) = Sas::in_query(&request.raw_query)
    {
        check_version(request, false)?;
        let storage = &azure.storage;
        sas.verify(&storage.account, &storage.key, &target.container, &target.name)?;
        return Ok(Caller::Sas(sas));
    }
    storage_identity(azure, request).map(Caller::Identity)
}

/// Who asks Blob or Data Lake Gen2 with a token.
pub(super) fn storage_identity<'a>(azure: &'a Azure, request: &Received) -> Result<&'a Identity, Failure> {
    if request.header("authorization").is_some_and(|field| !field.starts_with("Bearer ")) {
        return Err(Failure::new(
            400,
            "InvalidAuthenticationInfo",
            "Authentication information is not given in the correct format. Check the value of Authorization header.",
        ));
    }
    if request.bearer().is_some() {
        check_version(request, true)?;
    }
    identity_of(azure, request.bearer())
}

/// The identity of a token for storage.
pub(super) fn identity_of<'a>(azure: &'a Azure, bearer: Option<&str>) -> Result<&'a Identity, Failure> {
    let claims = azure.authority.verify(bearer, AUDIENCE).map_err(|rejected| unauthorized(&rejected))?;
    let identity = azure.directory.find(|identity| identity.object_id == claims.oid);
    identity.ok_or_else(|| unauthorized(&Rejected::Malformed))
}

/// Whether an identity may do anything at this path.
pub(super) fn check_role(identity: &Identity, path: &str) -> Result<(), Failure> {
    if identity.may("storage", path) { Ok(()) } else { Err(mismatch()) }
}

fn check_version(request: &Received, bearer: bool) -> Result<(), Failure> {
    match request.header("x-ms-version") {
        Some(version) if !is_date(version) => Err(bad_header("x-ms-version", version)),
        Some(version) if version >= BEARER_SINCE || !bearer => Ok(()),
        None if !bearer => Ok(()),
        _ => Err(refused("Authentication scheme Bearer is not supported in this version.")),
    }
}

fn unauthorized(rejected: &Rejected) -> Failure {
    let authority = format!("https://login.microsoftonline.com/{TENANT}/oauth2/authorize");
    let resource = AUDIENCE.trim_end_matches('/');
    let challenge = format!("Bearer authorization_uri={authority} resource_id={resource}");
    let failure = match rejected {
        Rejected::Missing => Failure::new(
            401,
            "NoAuthenticationInformation",
            "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.",
        ),
        Rejected::Malformed
        | Rejected::Signature
        | Rejected::Audience { .. }
        | Rejected::Expired
        | Rejected::NotYet => Failure::new(
            401,
            "InvalidAuthenticationInfo",
            "Server failed to authenticate the request. Please refer to the information in the www-authenticate header.",
        ),
    };
    let detail = match rejected {
        Rejected::Missing => None,
        Rejected::Malformed => Some("IDX12741: JWT must have three segments (JWS) or five segments (JWE).".to_owned()),
        Rejected::Signature => Some("Signature validation failed. Keys tried did not match.".to_owned()),
        Rejected::Audience { .. } => Some("Audience validation failed. Audience did not match.".to_owned()),
        Rejected::Expired | Rejected::NotYet => {
            let now = clock::http(clock::now());
            Some(format!("Lifetime validation failed. The token is expired or not valid yet. Current time: {now}"))
        }
    };
    let failure = failure.header("www-authenticate", challenge);
    match detail {
        Some(detail) => failure.detail("AuthenticationErrorDetail", detail),
        None => failure,
    }
}
