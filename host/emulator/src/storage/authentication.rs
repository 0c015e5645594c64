//! Authentication of callers, by token or by shared access signature, and their authorization.

use super::blob_path::BlobPath;
use super::sas::{Sas, authentication_failed, is_date, permission_mismatch};
use super::storage_error::{StorageError, invalid_header};
use super::time_format;
use crate::Azure;
use crate::directory::{Identity, TENANT};
use crate::messages::Request;
use crate::token_issuer::TokenError;

/// The audience of tokens for Blob and Data Lake Gen2 in all clouds, with a slash at the end.
const AUDIENCE: &str = "https://storage.azure.com/";

/// The first version that accepts bearer tokens.
const BEARER_SINCE: &str = "2017-11-09";

/// An authenticated caller.
pub(super) enum Caller<'a> {
    Identity(&'a Identity),
    Sas(Sas),
}

impl Caller<'_> {
    /// The name of the identity.
    pub(super) fn identity_name(&self) -> Option<String> {
        match self {
            Self::Identity(identity) => Some(identity.name.clone()),
            Self::Sas(_) => None,
        }
    }
}

/// Authenticates a request to Blob, by token or by shared access signature.
pub(super) fn authenticate_blob<'a>(
    azure: &'a Azure,
    request: &Request,
    target: &BlobPath,
) -> Result<Caller<'a>, StorageError> {
    if !request.headers.contains_key("authorization")
        && let Some(sas) = Sas::from_query(&request.raw_query)
    {
        check_version(request, false)?;
        let storage = &azure.storage;
        sas.verify(&storage.account, &storage.key, &target.container, &target.name)?;
        return Ok(Caller::Sas(sas));
    }
    authenticate_bearer(azure, request).map(Caller::Identity)
}

/// Authenticates a request to Blob or Data Lake Gen2 by token.
pub(super) fn authenticate_bearer<'a>(
    azure: &'a Azure,
    request: &Request,
) -> Result<&'a Identity, StorageError> {
    if request.header("authorization").is_some_and(|field| !field.starts_with("Bearer ")) {
        return Err(StorageError::new(
            400,
            "InvalidAuthenticationInfo",
            "Authentication information is not given in the correct format. Check the value of \
             Authorization header.",
        ));
    }
    if request.bearer().is_some() {
        check_version(request, true)?;
    }
    verify_bearer(azure, request.bearer())
}

/// Verifies a token for storage.
pub(super) fn verify_bearer<'a>(
    azure: &'a Azure,
    bearer: Option<&str>,
) -> Result<&'a Identity, StorageError> {
    let claims =
        azure.token_issuer.verify(bearer, AUDIENCE).map_err(|error| unauthorized(&error))?;
    let identity = azure.directory.find(|identity| identity.object_id == claims.oid);
    identity.ok_or_else(|| unauthorized(&TokenError::Malformed))
}

/// Whether an identity has a role at this path.
pub(super) fn authorize(identity: &Identity, path: &str) -> Result<(), StorageError> {
    if identity.is_allowed("storage", path) { Ok(()) } else { Err(permission_mismatch()) }
}

fn check_version(request: &Request, bearer: bool) -> Result<(), StorageError> {
    match request.header("x-ms-version") {
        Some(version) if !is_date(version) => Err(invalid_header("x-ms-version", version)),
        Some(version) if version >= BEARER_SINCE || !bearer => Ok(()),
        None if !bearer => Ok(()),
        _ => Err(authentication_failed(
            "Authentication scheme Bearer is not supported in this version.",
        )),
    }
}

fn unauthorized(token_error: &TokenError) -> StorageError {
    let authority = format!("https://login.microsoftonline.com/{TENANT}/oauth2/authorize");
    let resource = AUDIENCE.trim_end_matches('/');
    let challenge = format!("Bearer authorization_uri={authority} resource_id={resource}");
    let error = match token_error {
        TokenError::Missing => StorageError::new(
            401,
            "NoAuthenticationInformation",
            "Server failed to authenticate the request. Please refer to the information in the \
             www-authenticate header.",
        ),
        TokenError::Malformed
        | TokenError::Signature
        | TokenError::Audience { .. }
        | TokenError::Expired
        | TokenError::NotYetValid => StorageError::new(
            401,
            "InvalidAuthenticationInfo",
            "Server failed to authenticate the request. Please refer to the information in the \
             www-authenticate header.",
        ),
    };
    let detail = match token_error {
        TokenError::Missing => None,
        TokenError::Malformed => {
            Some("IDX12741: JWT must have three segments (JWS) or five segments (JWE).".to_owned())
        }
        TokenError::Signature => {
            Some("Signature validation failed. Keys tried did not match.".to_owned())
        }
        TokenError::Audience { .. } => {
            Some("Audience validation failed. Audience did not match.".to_owned())
        }
        TokenError::Expired | TokenError::NotYetValid => {
            let now = time_format::http(time_format::now());
            let message = "Lifetime validation failed. The token is expired or not valid yet.";
            Some(format!("{message} Current time: {now}"))
        }
    };
    let error = error.header("www-authenticate", challenge);
    match detail {
        Some(detail) => error.detail("AuthenticationErrorDetail", detail),
        None => error,
    }
}
