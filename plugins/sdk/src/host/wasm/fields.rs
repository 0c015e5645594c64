//! Header fields: those that the host has, and changes to them.

use std::cell::OnceCell;
use std::rc::Rc;

use super::bindings::keyward::broker::forwarding::Change;
use super::bindings::wasi::http::types;
use super::message::Message;

/// Fields that only the host sets, as it does for all connections. `content-length` is not among
/// them.
const CONNECTION_FIELDS: [&str; 12] = [
    "connection",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const CONTENT_LENGTH: &str = "content-length";

/// The fields of an incoming message, or none, with changes. The host applies the changes when the
/// fields are sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields {
    of: Option<Message>,
    /// The handle to the message's fields, once they are read.
    handle: OnceCell<Rc<types::Fields>>,
    changes: Vec<Change>,
}

impl Fields {
    /// The fields of an incoming message.
    pub(crate) fn of(message: Message) -> Self {
        Self { of: Some(message), ..Self::default() }
    }

    /// The message that the fields are of; `None` for fields of the plugin's own.
    pub(crate) fn message(&self) -> Option<&Message> {
        self.of.as_ref()
    }

    /// Whether the host can apply the changes. `keeps_body` is whether the message keeps its body,
    /// and with it its length; the length of another body is not the plugin's to say.
    pub(crate) fn can_forward(&self, keeps_body: bool) -> bool {
        !keeps_body || self.changes.iter().all(|change| name_of(change) != CONTENT_LENGTH)
    }

    /// The changes, for the host to apply.
    pub(crate) fn into_changes(mut self) -> Vec<Change> {
        self.changes.retain(|change| name_of(change) != CONTENT_LENGTH);
        self.changes
    }

    fn handle(&self) -> Option<&types::Fields> {
        let message = self.of.as_ref()?;
        Some(self.handle.get_or_init(|| Rc::new(message.fields())))
    }

    /// A handle, for an outgoing message.
    pub(crate) fn into_handle(self) -> types::Fields {
        let fields = match &self.of {
            None => types::Fields::new(),
            // The fields of incoming messages may be sent unchanged.
            Some(message) if self.changes.is_empty() => return message.fields(),
            Some(message) => match self.handle.get() {
                Some(handle) => types::Fields::clone(handle),
                None => types::Fields::clone(&message.fields()),
            },
        };
        for change in self.changes {
            // `set` and `append` have checked them.
            let _ = match change {
                Change::Set((name, value)) => fields.set(&name, &[value]),
                Change::Append((name, value)) => fields.append(&name, &value),
                Change::Remove(name) => fields.delete(&name),
            };
        }
        fields
    }

    pub(crate) fn copy(&self) -> Self {
        self.clone()
    }

    pub(crate) fn get(&self, name: &str) -> Vec<Vec<u8>> {
        let unchanged = || self.handle().map(|fields| fields.get(name)).unwrap_or_default();
        let mut values = None;
        for change in self.changes.iter().filter(|change| is_of(change, name)) {
            match change {
                Change::Set((_, value)) => values = Some(vec![value.clone()]),
                Change::Append((_, value)) => {
                    values.get_or_insert_with(unchanged).push(value.clone());
                }
                Change::Remove(_) => values = Some(Vec::new()),
            }
        }
        values.unwrap_or_else(unchanged)
    }

    pub(crate) fn set(&mut self, name: &str, value: &[u8]) -> Result<(), ()> {
        check(name, value)?;
        self.changes.retain(|change| !is_of(change, name));
        self.changes.push(Change::Set((name.to_ascii_lowercase(), value.to_vec())));
        Ok(())
    }

    pub(crate) fn append(&mut self, name: &str, value: &[u8]) -> Result<(), ()> {
        check(name, value)?;
        if name.eq_ignore_ascii_case(CONTENT_LENGTH) && !self.get(name).is_empty() {
            return Err(());
        }
        self.changes.push(Change::Append((name.to_ascii_lowercase(), value.to_vec())));
        Ok(())
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.changes.retain(|change| !is_of(change, name));
        if self.of.is_some() && check(name, b"").is_ok() {
            self.changes.push(Change::Remove(name.to_ascii_lowercase()));
        }
    }

    pub(crate) fn entries(&self) -> Vec<(String, Vec<u8>)> {
        let mut entries = self.handle().map(types::Fields::entries).unwrap_or_default();
        for change in &self.changes {
            if !matches!(change, Change::Append(_)) {
                entries.retain(|(name, _)| !is_of(change, name));
            }
            if let Change::Set(entry) | Change::Append(entry) = change {
                entries.push(entry.clone());
            }
        }
        entries
    }
}

fn name_of(change: &Change) -> &str {
    let (Change::Set((name, _)) | Change::Append((name, _)) | Change::Remove(name)) = change;
    name
}

fn is_of(change: &Change, name: &str) -> bool {
    name_of(change).eq_ignore_ascii_case(name)
}

/// Whether the host lets a plugin send a field (RFC 9110, 5.1 and 5.5).
fn check(name: &str, value: &[u8]) -> Result<(), ()> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_text = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
    let is_connections = CONNECTION_FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name));
    let valid = !name.is_empty() && name.bytes().all(is_token) && value.iter().all(is_text);
    if valid && !is_connections { Ok(()) } else { Err(()) }
}
