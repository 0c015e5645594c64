//! Data Lake Gen1: WebHDFS at `/webhdfs/v1` ([its operations]).
//!
//! Data goes in two steps, as in Hadoop: the first request names no `write=true` (or `append`, `read`) and is answered with
//! 307 to where the data is, before any of its body was read; the second has the data. With a [`Node`], it does so at
//! another host, and with a ticket.
//!
//! [its operations]: https://learn.microsoft.com/rest/api/datalakestore/webhdfs-filesystem-apis

mod acl;
mod files;
mod node;
mod status;
mod tree;

use std::io;

use serde_json::{Value, json};

use super::Storage;
use super::failure::Failure;
use crate::Azure;
use crate::authority::Rejected;
use crate::body::RequestBody;
use crate::content::Content;
use crate::directory::TENANT;
use crate::exchange::{Received, Reply};

pub(super) use node::Node;
pub(super) use tree::{REPORT, Tree};

/// The audience of Gen1. The slash counts.
const AUDIENCE: &str = "https://datalake.azure.net/";

const ROOT: &str = "/webhdfs/v1";

/// A request whose caller may, with its body.
struct Call<'a> {
    storage: &'a Storage,
    request: &'a Received,
    /// The path in the lake, decoded: `/reports/2026.csv`.
    path: String,
    body: Content,
    caller: String,
}

pub(super) async fn answer(
    azure: &Azure,
    request: &Received,
    body: &mut RequestBody,
    request_id: &str,
) -> io::Result<(Reply, Option<String>)> {
    let done = |reply: Reply, name| Ok((reply.header("x-ms-request-id", request_id), name));
    let claims = match azure.authority.verify(request.bearer(), AUDIENCE) {
        Ok(claims) => claims,
        Err(rejected) => return done(unauthorized(&rejected).remote_exception(), None),
    };
    let Some(identity) = azure.directory.find(|identity| identity.object_id == claims.oid) else {
        return done(unauthorized(&Rejected::Malformed).remote_exception(), None);
    };
    let name = Some(identity.name.clone());
    let (operation, path) = match prepare(request) {
        Ok(prepared) => prepared,
        Err(failure) => return done(failure.remote_exception(), name),
    };
    if !identity.may("storage", &request.path) {
        let message = format!(
            "{operation} failed with error 0x83090aa2 (Forbidden. ACL verification failed. Either the resource does not exist or \
             the user is not authorized to perform the requested operation.). [{request_id}]"
        );
        return done(Failure::new(403, "AccessControlException", message).remote_exception(), name);
    }
    let redirected = match &azure.storage.node {
        Some(node) => node.redirect(request, &operation),
        None => Ok(second_step(request, &operation)),
    };
    match redirected {
        Ok(None) => {}
        Ok(Some(location)) if is_true(request, "noredirect") => {
            return done(answered(&json!({ "Location": location })), name);
        }
        Ok(Some(location)) => return done(Reply::new(307).header("location", &location), name),
        Err(failure) => return done(failure.remote_exception(), name),
    }
    let body = if matches!(operation.as_str(), "CREATE" | "APPEND" | "MSCONCAT") {
        body.content().await?
    } else {
        Content::default()
    };
    let call = Call { storage: &azure.storage, request, path, body, caller: identity.object_id.clone() };
    let reply = act(&operation, &call).unwrap_or_else(|failure| failure.remote_exception());
    done(reply, name)
}

fn unauthorized(rejected: &Rejected) -> Failure {
    let message = match rejected {
        Rejected::Missing => "Failed to validate the access token in the 'Authorization' header.",
        Rejected::Expired => "The access token in the 'Authorization' header is expired.",
        Rejected::Malformed | Rejected::Signature | Rejected::Audience { .. } | Rejected::NotYet => {
            "The access token in the 'Authorization' header is invalid."
        }
    };
    let mut challenge = format!("Bearer authorization_uri=\"https://login.microsoftonline.com/{TENANT}\"");
    if *rejected != Rejected::Missing {
        challenge.push_str(&format!(", error=\"invalid_token\", error_description=\"{message}\""));
    }
    Failure::new(401, "AuthenticationFailed", message).header("www-authenticate", challenge)
}

/// The operation, in capitals, and the path in the lake.
fn prepare(request: &Received) -> Result<(String, String), Failure> {
    let path = request.path.strip_prefix(ROOT).filter(|path| path.is_empty() || path.starts_with('/'));
    let path = path.ok_or_else(|| Failure::new(404, "FileNotFoundException", "The lake is at /webhdfs/v1."))?;
    let path = percent_encoding::percent_decode_str(path).decode_utf8_lossy().into_owned();
    let operation = request.query("op").ok_or_else(|| illegal("Invalid value for webhdfs parameter \"op\": null"))?;
    let operation = operation.to_ascii_uppercase();
    let method = match operation.as_str() {
        "LISTSTATUS" | "GETFILESTATUS" | "GETCONTENTSUMMARY" | "OPEN" | "CHECKACCESS" | "GETACLSTATUS"
        | "MSGETACLSTATUS" | "GETFILECHECKSUM" | "GETHOMEDIRECTORY" => "GET",
        "CREATE" | "MKDIRS" | "RENAME" | "SETPERMISSION" | "SETOWNER" | "SETACL" | "MODIFYACLENTRIES"
        | "REMOVEACLENTRIES" | "REMOVEACL" | "REMOVEDEFAULTACL" | "SETTIMES" => "PUT",
        "APPEND" | "CONCAT" | "MSCONCAT" | "TRUNCATE" => "POST",
        "DELETE" => "DELETE",
        _ => return Err(illegal(&format!("Invalid value for webhdfs parameter \"op\": {operation}"))),
    };
    if request.method.as_str() != method {
        let message = format!("{operation} is sent with {method}.");
        return Err(Failure::new(405, "UnsupportedOperationException", message));
    }
    Ok((operation, tree::normalised(&path)?))
}

/// The parameter by which a request asks for one step.
fn one_step(operation: &str) -> Option<&'static str> {
    match operation {
        "CREATE" => Some("write"),
        "APPEND" => Some("append"),
        "OPEN" => Some("read"),
        _ => None,
    }
}

/// Where the data of this operation is, where the request does not ask for one step.
fn second_step(request: &Received, operation: &str) -> Option<String> {
    let knows = one_step(operation).filter(|name| !is_true(request, name))?;
    let said = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
        !pair.is_empty() && name != "op" && name != knows
    };
    let rest: String = request.raw_query.split('&').filter(said).map(|pair| format!("&{pair}")).collect();
    Some(format!("https://{}{}?op={operation}&{knows}=true{rest}", request.host, request.path))
}

fn act(operation: &str, call: &Call<'_>) -> Result<Reply, Failure> {
    match operation {
        "LISTSTATUS" => status::list(call),
        "GETFILESTATUS" => status::get(call),
        "GETCONTENTSUMMARY" => status::summary(call),
        "OPEN" => files::open(call),
        "GETFILECHECKSUM" => status::checksum(call),
        "GETHOMEDIRECTORY" => Ok(answered(&json!({ "Path": format!("/user/{}", call.caller) }))),
        "TRUNCATE" => files::truncate(call),
        "SETTIMES" => status::set_times(call),
        "CREATE" => files::create(call),
        "APPEND" => files::append(call),
        "CONCAT" | "MSCONCAT" => files::concat(call),
        "MKDIRS" => files::make_directories(call),
        "RENAME" => files::rename(call),
        "DELETE" => files::delete(call),
        "CHECKACCESS" => acl::check(call),
        "SETPERMISSION" => acl::set_permission(call),
        "SETOWNER" => acl::set_owner(call),
        "GETACLSTATUS" | "MSGETACLSTATUS" => acl::get(call),
        _ => acl::change(call, operation),
    }
}

fn boolean(value: bool) -> Reply {
    Reply::json(200, &json!({ "boolean": value }))
}

fn answered(value: &Value) -> Reply {
    Reply::json(200, value)
}

fn illegal(message: &str) -> Failure {
    Failure::new(400, "IllegalArgumentException", message)
}

fn is_true(request: &Received, name: &str) -> bool {
    request.query(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// A parameter that is a number.
fn number(request: &Received, name: &str) -> Result<Option<u64>, Failure> {
    let text = request.query(name);
    text.map(|text| {
        text.parse().map_err(|_| illegal(&format!("Invalid value for webhdfs parameter \"{name}\": {text}")))
    })
    .transpose()
}
