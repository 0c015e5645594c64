//! The tokens that answers are made of ([MS-TDS] 2.2.7).
//!
//! [MS-TDS]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds/

use super::encode::utf16;
use super::prelogin::SERVER_VERSION;
use super::sql_error::SqlError;
use super::sql_type::{COLLATION, SqlType};
use super::translate::SERVER;

/// The end of a statement in a batch, of one in a procedure, and of a procedure.
pub(super) const DONE: u8 = 0xfd;
pub(super) const DONE_IN_PROCEDURE: u8 = 0xff;
pub(super) const DONE_PROCEDURE: u8 = 0xfe;

pub(super) const MORE: u16 = 0x01;
pub(super) const ERROR: u16 = 0x02;
pub(super) const COUNT: u16 = 0x10;
pub(super) const ATTENTION: u16 = 0x20;

/// What changes about a session.
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

/// A token with its length in two bytes.
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

pub(super) fn failure(out: &mut Vec<u8>, failure: &SqlError, procedure: &str, line: u32) {
    let mut body = failure.number.to_le_bytes().to_vec();
    body.extend_from_slice(&[failure.state, failure.class]);
    let text: String = failure.message.chars().take(2000).collect();
    let text = utf16(&text);
    body.extend_from_slice(&u16::try_from(text.len() / 2).unwrap_or_default().to_le_bytes());
    body.extend_from_slice(&text);
    b_varchar(&mut body, SERVER);
    b_varchar(&mut body, procedure);
    body.extend_from_slice(&line.to_le_bytes());
    sized(out, if failure.class > 10 { 0xaa } else { 0xab }, &body);
}

/// A change that is told with texts: 1 is the database, 2 the language, 4 the size of packets.
pub(super) fn changed(out: &mut Vec<u8>, what: u8, new: &str, old: &str) {
    let mut body = vec![what];
    b_varchar(&mut body, new);
    b_varchar(&mut body, old);
    sized(out, 0xe3, &body);
}

/// The client is to go to another node: over TCP, to this port of it.
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

/// The session is as new.
pub(super) fn reset(out: &mut Vec<u8>) {
    sized(out, 0xe3, &[18, 0, 0]);
}

/// A transaction begins, with a number of its own, or ends.
pub(super) fn transaction(out: &mut Vec<u8>, change: Change, number: u64) {
    let number = number.to_le_bytes();
    let body = match change {
        Change::Begin => [&[change as u8, 8][..], &number, &[0]],
        Change::Commit | Change::Rollback => [&[change as u8, 0, 8][..], &number, &[]],
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

/// Tells a client that its token is taken.
pub(super) fn fedauth_ack(out: &mut Vec<u8>, nonce: Option<&[u8]>) {
    let nonce = nonce.unwrap_or_default();
    out.extend_from_slice(&[0xae, 0x02]);
    out.extend_from_slice(&u32::try_from(nonce.len()).unwrap_or_default().to_le_bytes());
    out.extend_from_slice(nonce);
    out.push(0xff);
}

/// Tells a client whom to ask for a token, and for what.
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
    pub(super) of: SqlType,
}

pub(super) fn columns(out: &mut Vec<u8>, columns: &[Column]) {
    const NULLABLE: u16 = 0x0001;
    out.push(0x81);
    out.extend_from_slice(&u16::try_from(columns.len()).unwrap_or_default().to_le_bytes());
    for column in columns {
        out.extend_from_slice(&0_u32.to_le_bytes());
        out.extend_from_slice(&NULLABLE.to_le_bytes());
        out.extend_from_slice(&column.of.info());
        b_varchar(out, &column.name);
    }
}

pub(super) fn return_status(out: &mut Vec<u8>, status: i32) {
    out.push(0x79);
    out.extend_from_slice(&status.to_le_bytes());
}

/// A parameter that goes back: its place, name, type and value. The value is written behind this.
pub(super) fn return_value(out: &mut Vec<u8>, place: u16, name: &str, of: SqlType) {
    out.push(0xac);
    out.extend_from_slice(&place.to_le_bytes());
    b_varchar(out, name);
    out.push(0x01);
    out.extend_from_slice(&0_u32.to_le_bytes());
    out.extend_from_slice(&1_u16.to_le_bytes());
    out.extend_from_slice(&of.info());
}
