//! Where services redirected to in one call.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keyward_policy::endpoint::Endpoint;
use serde_json::{Value, json};

/// The most origins that are remembered of one call.
const MOST: usize = 4;

/// The origins that services redirected to in one call, each with the audience whose service it
/// was.
#[derive(Debug, Default)]
pub(crate) struct Redirects(Mutex<Vec<(Arc<str>, Endpoint)>>);

impl Redirects {
    pub(crate) fn note(&self, audience: &Arc<str>, to: Endpoint) {
        let mut noted = self.noted();
        let entry = (Arc::clone(audience), to);
        if noted.len() < MOST && !noted.contains(&entry) {
            noted.push(entry);
        }
    }

    /// As text, for a call that comes later.
    pub(crate) fn to_text(&self) -> String {
        let noted = self.noted();
        let noted = noted.iter().map(|(audience, to)| json!([&**audience, to.to_string()]));
        Value::Array(noted.collect()).to_string()
    }

    /// Adds what [`to_text`](Self::to_text) wrote.
    pub(crate) fn add(&self, text: &str) {
        let noted: Vec<(String, String)> = serde_json::from_str(text).unwrap_or_default();
        for (audience, to) in noted {
            if let Ok(to) = Endpoint::parse(&to) {
                self.note(&audience.into(), to);
            }
        }
    }

    /// The audience whose service redirected there.
    pub(crate) fn audience_of(&self, to: &Endpoint) -> Option<Arc<str>> {
        self.noted().iter().find(|(_, noted)| noted == to).map(|(audience, _)| Arc::clone(audience))
    }

    fn noted(&self) -> MutexGuard<'_, Vec<(Arc<str>, Endpoint)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_are_the_same_in_a_later_call() {
        let (redirects, later) = (Redirects::default(), Redirects::default());
        for host in ["a", "b", "b", "c", "d", "e"] {
            let audience = if host == "b" { "arm" } else { "vault" };
            redirects.note(
                &audience.into(),
                Endpoint::parse(&format!("https://{host}.example:1")).unwrap(),
            );
        }
        later.add(&redirects.to_text());
        let expected = [("vault", "a"), ("arm", "b"), ("vault", "c"), ("vault", "d")];
        let expected = expected
            .map(|(audience, host)| format!(r#"["{audience}","https://{host}.example:1"]"#));
        assert_eq!(later.to_text(), format!("[{}]", expected.join(",")));
        later.add("");
        later.add("x y 0");
        assert_eq!(later.noted().len(), MOST);
    }
}
