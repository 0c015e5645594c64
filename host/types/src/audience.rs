//! The resource that a token is for.

use std::fmt;
use std::sync::Arc;

/// The resource that a token is for, as an exact string: `https://management.azure.com/` and
/// `https://management.azure.com` are two audiences, and a service accepts tokens for one of them.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Audience(Arc<str>);

/// A string that is not a valid audience: it is empty, longer than 2048 bytes, or contains a
/// character that is not visible ASCII.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a valid audience: expected a resource as the service names it, such as \
     \"https://vault.azure.net\""
)]
pub struct InvalidAudience {
    text: String,
}

/// A scope that does not name a resource.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a valid scope: expected one that ends in \"/.default\", such as \
     \"https://vault.azure.net/.default\""
)]
pub struct InvalidScope {
    text: String,
}

impl Audience {
    /// Takes the string as it is: no slash is added or removed.
    ///
    /// # Errors
    ///
    /// [`InvalidAudience`] for a string that no token endpoint accepts.
    pub fn new(text: &str) -> Result<Self, InvalidAudience> {
        let length_fits = (1..=2048).contains(&text.len());
        if length_fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.into()))
        } else {
            let text = text.chars().take(100).collect();
            Err(InvalidAudience { text })
        }
    }

    /// The resource of a scope: `https://vault.azure.net/.default` is for
    /// `https://vault.azure.net`, and `https://management.azure.com//.default`, with two slashes,
    /// for `https://management.azure.com/`.
    ///
    /// The resource is the part before `/.default`, with its trailing slash if it has one
    /// ([scopes]).
    ///
    /// [scopes]: https://learn.microsoft.com/entra/identity-platform/scopes-oidc#trailing-slash-and-default
    ///
    /// # Errors
    ///
    /// [`InvalidScope`] if the scope does not end in `/.default`, has no resource, or is a list.
    pub fn from_scope(scope: &str) -> Result<Self, InvalidScope> {
        let invalid = || InvalidScope { text: scope.chars().take(100).collect() };
        let resource = scope.strip_suffix("/.default").ok_or_else(invalid)?;
        if resource.trim_end_matches('/').is_empty() || resource.ends_with("/.default") {
            return Err(invalid());
        }
        Self::new(resource).map_err(|_| invalid())
    }

    /// The scope of all permissions for this resource: the inverse of
    /// [`from_scope`](Self::from_scope).
    #[must_use]
    pub fn to_scope(&self) -> String {
        format!("{}/.default", self.0)
    }

    /// The string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trailing_slash_counts() {
        let with = Audience::new("https://management.azure.com/").unwrap();
        let without = Audience::new("https://management.azure.com").unwrap();
        assert_ne!(with, without);
    }

    #[test]
    fn a_string_that_could_break_out_of_a_query_or_a_header_is_invalid() {
        for text in ["", "a b", "a\r\nb", "ä", &"x".repeat(2049)] {
            assert!(Audience::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_scope_gives_the_exact_resource_and_back() {
        for (scope, resource) in [
            ("https://vault.azure.net/.default", "https://vault.azure.net"),
            ("https://vault.azure.cn/.default", "https://vault.azure.cn"),
            ("https://vault.usgovcloudapi.net/.default", "https://vault.usgovcloudapi.net"),
            ("https://management.azure.com//.default", "https://management.azure.com/"),
            ("https://management.azure.com/.default", "https://management.azure.com"),
            (
                "https://management.chinacloudapi.cn//.default",
                "https://management.chinacloudapi.cn/",
            ),
            ("https://database.windows.net//.default", "https://database.windows.net/"),
            ("https://datalake.azure.net//.default", "https://datalake.azure.net/"),
            ("https://contoso.com/api/v1/.default", "https://contoso.com/api/v1"),
            (
                "api://00001111-aaaa-2222-bbbb-3333cccc4444/.default",
                "api://00001111-aaaa-2222-bbbb-3333cccc4444",
            ),
            (
                "00001111-aaaa-2222-bbbb-3333cccc4444/.default",
                "00001111-aaaa-2222-bbbb-3333cccc4444",
            ),
        ] {
            let audience = Audience::from_scope(scope).unwrap();
            assert_eq!(audience.as_str(), resource);
            assert_eq!(audience.to_scope(), scope);
        }
    }

    #[test]
    fn a_scope_without_a_resource_is_invalid() {
        for text in [
            "",
            ".default",
            "/.default",
            "//.default",
            "https://vault.azure.net",
            "https://vault.azure.net/",
            "https://vault.azure.net/user_impersonation",
            "https://vault.azure.net/.Default",
            "https://vault.azure.net/.default/",
            "https://vault.azure.net/.default/.default",
            "https://vault.azure.net/.default https://management.azure.com/.default",
            "openid https://vault.azure.net/.default",
        ] {
            assert!(Audience::from_scope(text).is_err(), "{text:?}");
        }
    }
}
