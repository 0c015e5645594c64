//! The tokens of a response ([MS-TDS] 2.2.7).
//!
//! [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds/

use super::encode_value::utf16;
use super::prelogin::SERVER_VERSION;
use super::sql_error::SqlError;
use super::sql_type::{COLLATION, SqlType};
use super::translate::SERVER;

/// The kinds of DONE: for a statement in a batch, for one in a procedure, and for a procedure.
pub(super) const DONE: u8 = 0xfd;
pub(super) const DONE_IN_PROCEDURE: u8 = 0xff;
pub(super) const DONE_PROCEDURE: u8 = 0xfe;

pub(super) const MORE: u16 = 0x01;
pub(super) const ERROR: u16 = 0x02;
pub(super) const COUNT: u16 = 0x10;
pub(super) const ATTENTION: u16 = 0x20;

/// The ENVCHANGE types of transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Begin = 8,
    Commit = 9,
    Rollback = 10,
}

fn b_varchar(out: &mut Vec<u8>, text: &str) {
    let text = utf16(text);
    let length = (text.len() / 2).min(255);
    out.push(u8::try_from(length).unwrap_or_default());
    out.extend(text.iter().take(length * 2));
}

/// A token with a length of two bytes.
fn sized(out: &mut Vec<u8>, token: u8, body: &[u8]) {
    out.push(token);
    out.extend_from_slice(&u16::try_from(body.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(body);
}

pub(super) fn done(out: &mut Vec<u8>, kind: u8, status: u16, rows: u64) {
    out.push(kind);
    out.extend_from_slice(&status.to_le_bytes());
    out.extend_from_slice(&0_u16.to_le_bytes());
    out.extend_from_slice(&rows.to_le_bytes());
}

pub(super) fn error(out: &mut Vec<u8>, error: &SqlError, procedure: &str, line: u32) {
    let mut body = error.number.to_le_bytes().to_vec();
    body.extend_from_slice(&[error.state, error.class]);
    let text: String = error.message.chars().take(2000).collect();
    let text = utf16(&text);
    body.extend_from_slice(&u16::try_from(text.len() / 2).unwrap_or_default().to_le_bytes());
    body.extend_from_slice(&text);
    b_varchar(&mut body, SERVER);
    b_varchar(&mut body, procedure);
    body.extend_from_slice(&line.to_le_bytes());
    sized(out, if error.class > 10 { 0xaa } else { 0xab }, &body);
}

/// An ENVCHANGE of strings: 1 is the database, 2 the language, 4 the packet size.
pub(super) fn env_change(out: &mut Vec<u8>, kind: u8, new: &str, old: &str) {
    let mut body = vec![kind];
    b_varchar(&mut body, new);
    b_varchar(&mut body, old);
    sized(out, 0xe3, &body);
}

/// Sends the client to another node, at this port.
pub(super) fn route(out: &mut Vec<u8>, node: &str, port: u16) {
    let name: Vec<u8> = node.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let units = u16::try_from(name.len() / 2).unwrap_or_default();
    let routing = [&[0][..], &port.to_le_bytes(), &units.to_le_bytes(), &name].concat();
    let length = u16::try_from(routing.len()).unwrap_or_default();
    sized(out, 0xe3, &[&[20][..], &length.to_le_bytes(), &routing, &[0, 0]].concat());
}

pub(super) fn collation(out: &mut Vec<u8>) {
    let mut body = vec![7, 5];
    body.extend_from_slice(&COLLATION);
    body.push(0);
    sized(out, 0xe3, &body);
}

/// The session was reset.
pub(super) fn reset(out: &mut Vec<u8>) {
    sized(out, 0xe3, &[18, 0, 0]);
}

/// A transaction with this id begins or ends.
pub(super) fn transaction(out: &mut Vec<u8>, change: Change, id: u64) {
    let id = id.to_le_bytes();
    let body = match change {
        Change::Begin => [&[change as u8, 8][..], &id, &[0]],
        Change::Commit | Change::Rollback => [&[change as u8, 0, 8][..], &id, &[]],
    };
    sized(out, 0xe3, &body.concat());
}

pub(super) fn login_ack(out: &mut Vec<u8>, version: u32) {
    let mut body = vec![1];
    body.extend_from_slice(&version.to_be_bytes());
    b_varchar(&mut body, "Microsoft SQL Server");
    body.extend_from_slice(&SERVER_VERSION);
    sized(out, 0xad, &body);
}

/// The token of the login is accepted.
pub(super) fn fedauth_ack(out: &mut Vec<u8>, nonce: Option<&[u8]>) {
    let nonce = nonce.unwrap_or_default();
    out.extend_from_slice(&[0xae, 0x02]);
    out.extend_from_slice(&u32::try_from(nonce.len()).unwrap_or_default().to_le_bytes());
    out.extend_from_slice(nonce);
    out.push(0xff);
}

/// The authority and the audience for the token that the client must send.
pub(super) fn fedauth_info(out: &mut Vec<u8>, authority: &str, resource: &str) {
    const HEAD: usize = 4 + 2 * 9;
    let (authority, resource) = (utf16(authority), utf16(resource));
    let field = |number: usize| u32::try_from(number).unwrap_or_default().to_le_bytes();
    let mut body = field(2).to_vec();
    for (id, data, offset) in [(1, &authority, HEAD), (2, &resource, HEAD + authority.len())] {
        body.push(id);
        body.extend_from_slice(&field(data.len()));
        body.extend_from_slice(&field(offset));
    }
    body.extend_from_slice(&authority);
    body.extend_from_slice(&resource);
    out.push(0xee);
    out.extend_from_slice(&field(body.len()));
    out.extend_from_slice(&body);
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) sql_type: SqlType,
}

pub(super) fn columns(out: &mut Vec<u8>, columns: &[Column]) {
    const NULLABLE: u16 = 0x0001;
    out.push(0x81);
    out.extend_from_slice(&u16::try_from(columns.len()).unwrap_or_default().to_le_bytes());
    for column in columns {
        out.extend_from_slice(&0_u32.to_le_bytes());
        out.extend_from_slice(&NULLABLE.to_le_bytes());
        out.extend_from_slice(&column.sql_type.info());
        b_varchar(out, &column.name);
    }
}

pub(super) fn return_status(out: &mut Vec<u8>, status: i32) {
    out.push(0x79);
    out.extend_from_slice(&status.to_le_bytes());
}

/// An output parameter: position, name and type. Its value follows.
pub(super) fn return_value(out: &mut Vec<u8>, position: u16, name: &str, sql_type: SqlType) {
    out.push(0xac);
    out.extend_from_slice(&position.to_le_bytes());
    b_varchar(out, name);
    out.push(0x01);
    out.extend_from_slice(&0_u32.to_le_bytes());
    out.extend_from_slice(&1_u16.to_le_bytes());
    out.extend_from_slice(&sql_type.info());
}
