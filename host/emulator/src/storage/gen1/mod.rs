//! Data Lake Gen1: WebHDFS at `/webhdfs/v1` ([its operations]).
//!
//! Data is transferred in two steps, as in Hadoop: a request without `write=true` (or `append`,
//! `read`) gets 307 to the URL for the data before its body is read, and the second request has the
//! data. With a [`DataNode`] that URL is at another host, and has a ticket.
//!
//! [its operations]: https://learn.microsoft.com/rest/api/datalakestore/webhdfs-filesystem-apis

mod acl;
mod data_node;
mod file_status;
mod file_tree;
mod webhdfs_files;

use std::io;

use serde_json::{Value, json};

use super::Storage;
use super::storage_error::StorageError;
use crate::Azure;
use crate::content::Content;
use crate::directory::TENANT;
use crate::messages::{Request, Response};
use crate::request_body::RequestBody;
use crate::token_issuer::TokenError;

pub(super) use data_node::DataNode;
pub(super) use file_tree::{FileTree, REPORT};

/// The audience of tokens for Gen1, with a slash at the end.
const AUDIENCE: &str = "https://datalake.azure.net/";

const ROOT: &str = "/webhdfs/v1";

/// An authorized request with its body.
struct Call<'a> {
    storage: &'a Storage,
    request: &'a Request,
    /// The decoded path: `/reports/2026.csv`.
    path: String,
    body: Content,
    caller: String,
}

pub(super) async fn handle(
    azure: &Azure,
    request: &Request,
    body: &mut RequestBody,
    request_id: &str,
) -> io::Result<(Response, Option<String>)> {
    let respond =
        |response: Response, name| Ok((response.header("x-ms-request-id", request_id), name));
    let claims = match azure.token_issuer.verify(request.bearer(), AUDIENCE) {
        Ok(claims) => claims,
        Err(error) => return respond(unauthorized(&error).remote_exception(), None),
    };
    let Some(identity) = azure.directory.find(|identity| identity.object_id == claims.oid) else {
        return respond(unauthorized(&TokenError::Malformed).remote_exception(), None);
    };
    let name = Some(identity.name.clone());
    let (operation, path) = match parse(request) {
        Ok(parsed) => parsed,
        Err(error) => return respond(error.remote_exception(), name),
    };
    if !identity.is_allowed("storage", &request.path) {
        let message = format!(
            "{operation} failed with error 0x83090aa2 (Forbidden. ACL verification failed. Either \
             the resource does not exist or the user is not authorized to perform the requested \
             operation.). [{request_id}]"
        );
        return respond(
            StorageError::new(403, "AccessControlException", message).remote_exception(),
            name,
        );
    }
    let redirected = match &azure.storage.data_node {
        Some(node) => node.redirect(request, &operation),
        None => Ok(redirect_location(request, &operation)),
    };
    match redirected {
        Ok(None) => {}
        Ok(Some(location)) if is_true(request, "noredirect") => {
            return respond(ok_json(&json!({ "Location": location })), name);
        }
        Ok(Some(location)) => {
            return respond(Response::new(307).header("location", &location), name);
        }
        Err(error) => return respond(error.remote_exception(), name),
    }
    let body = if matches!(operation.as_str(), "CREATE" | "APPEND" | "MSCONCAT") {
        body.content().await?
    } else {
        Content::default()
    };
    let call =
        Call { storage: &azure.storage, request, path, body, caller: identity.object_id.clone() };
    let response = dispatch(&operation, &call).unwrap_or_else(|error| error.remote_exception());
    respond(response, name)
}

fn unauthorized(error: &TokenError) -> StorageError {
    let message = match error {
        TokenError::Missing => "Failed to validate the access token in the 'Authorization' header.",
        TokenError::Expired => "The access token in the 'Authorization' header is expired.",
        TokenError::Malformed
        | TokenError::Signature
        | TokenError::Audience { .. }
        | TokenError::NotYetValid => "The access token in the 'Authorization' header is invalid.",
    };
    let mut challenge =
        format!("Bearer authorization_uri=\"https://login.microsoftonline.com/{TENANT}\"");
    if *error != TokenError::Missing {
        challenge.push_str(&format!(", error=\"invalid_token\", error_description=\"{message}\""));
    }
    StorageError::new(401, "AuthenticationFailed", message).header("www-authenticate", challenge)
}

/// The operation in upper case, and the path.
fn parse(request: &Request) -> Result<(String, String), StorageError> {
    let path =
        request.path.strip_prefix(ROOT).filter(|path| path.is_empty() || path.starts_with('/'));
    let path = path.ok_or_else(|| {
        StorageError::new(404, "FileNotFoundException", "The path must begin with /webhdfs/v1.")
    })?;
    let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned();
    let operation = request
        .query("op")
        .ok_or_else(|| illegal_argument("Invalid value for webhdfs parameter \"op\": null"))?;
    let operation = operation.to_ascii_uppercase();
    let method = match operation.as_str() {
        "LISTSTATUS" | "GETFILESTATUS" | "GETCONTENTSUMMARY" | "OPEN" | "CHECKACCESS"
        | "GETACLSTATUS" | "MSGETACLSTATUS" | "GETFILECHECKSUM" | "GETHOMEDIRECTORY" => "GET",
        "CREATE" | "MKDIRS" | "RENAME" | "SETPERMISSION" | "SETOWNER" | "SETACL"
        | "MODIFYACLENTRIES" | "REMOVEACLENTRIES" | "REMOVEACL" | "REMOVEDEFAULTACL"
        | "SETTIMES" => "PUT",
        "APPEND" | "CONCAT" | "MSCONCAT" | "TRUNCATE" => "POST",
        "DELETE" => "DELETE",
        _ => {
            return Err(illegal_argument(&format!(
                "Invalid value for webhdfs parameter \"op\": {operation}"
            )));
        }
    };
    if request.method.as_str() != method {
        let message = format!("{operation} is sent with {method}.");
        return Err(StorageError::new(405, "UnsupportedOperationException", message));
    }
    Ok((operation, file_tree::normalized(&path)?))
}

/// The parameter that requests a direct transfer.
fn direct_parameter(operation: &str) -> Option<&'static str> {
    match operation {
        "CREATE" => Some("write"),
        "APPEND" => Some("append"),
        "OPEN" => Some("read"),
        _ => None,
    }
}

/// The URL for the data of an operation; `None` if the request has it.
fn redirect_location(request: &Request, operation: &str) -> Option<String> {
    let parameter = direct_parameter(operation).filter(|name| !is_true(request, name))?;
    let is_forwarded = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
        !pair.is_empty() && name != "op" && name != parameter
    };
    let rest: String =
        request.raw_query.split('&').filter(is_forwarded).map(|pair| format!("&{pair}")).collect();
    Some(format!("https://{}{}?op={operation}&{parameter}=true{rest}", request.host, request.path))
}

fn dispatch(operation: &str, call: &Call<'_>) -> Result<Response, StorageError> {
    match operation {
        "LISTSTATUS" => file_status::list(call),
        "GETFILESTATUS" => file_status::get(call),
        "GETCONTENTSUMMARY" => file_status::summary(call),
        "OPEN" => webhdfs_files::open(call),
        "GETFILECHECKSUM" => file_status::checksum(call),
        "GETHOMEDIRECTORY" => Ok(ok_json(&json!({ "Path": format!("/user/{}", call.caller) }))),
        "TRUNCATE" => webhdfs_files::truncate(call),
        "SETTIMES" => file_status::set_times(call),
        "CREATE" => webhdfs_files::create(call),
        "APPEND" => webhdfs_files::append(call),
        "CONCAT" | "MSCONCAT" => webhdfs_files::concat(call),
        "MKDIRS" => webhdfs_files::make_directories(call),
        "RENAME" => webhdfs_files::rename(call),
        "DELETE" => webhdfs_files::delete(call),
        "CHECKACCESS" => acl::check(call),
        "SETPERMISSION" => acl::set_permission(call),
        "SETOWNER" => acl::set_owner(call),
        "GETACLSTATUS" | "MSGETACLSTATUS" => acl::get(call),
        _ => acl::change(call, operation),
    }
}

fn boolean(value: bool) -> Response {
    Response::json(200, &json!({ "boolean": value }))
}

fn ok_json(value: &Value) -> Response {
    Response::json(200, value)
}

fn illegal_argument(message: &str) -> StorageError {
    StorageError::new(400, "IllegalArgumentException", message)
}

fn is_true(request: &Request, name: &str) -> bool {
    request.query(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// Parses a numeric parameter.
fn number(request: &Request, name: &str) -> Result<Option<u64>, StorageError> {
    let text = request.query(name);
    text.map(|text| {
        text.parse().map_err(|_| {
            illegal_argument(&format!("Invalid value for webhdfs parameter \"{name}\": {text}"))
        })
    })
    .transpose()
}
