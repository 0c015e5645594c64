//! Parameters of a query. Nothing is decoded, and names are case-insensitive.

/// The values of a parameter, in order; empty if there is no `=`.
pub(crate) fn values<'a>(query: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    query.split('&').filter_map(move |pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        key.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// Whether a query has a parameter.
pub(crate) fn has(query: &str, name: &str) -> bool {
    values(query, name).next().is_some()
}

/// Whether a query has `name=true`.
pub(crate) fn is_true(query: &str, name: &str) -> bool {
    values(query, name).any(|value| value.eq_ignore_ascii_case("true"))
}

/// A query without a parameter.
pub(crate) fn without(query: &str, name: &str) -> String {
    let other =
        |pair: &&str| !pair.split('=').next().unwrap_or_default().eq_ignore_ascii_case(name);
    query.split('&').filter(other).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_found_by_its_full_name_ignoring_case() {
        let query = "fsop=x&Op=CREATE&op&write=True";
        assert_eq!(values(query, "op").collect::<Vec<_>>(), ["CREATE", ""]);
        assert!(has(query, "WRITE") && is_true(query, "write"));
        assert!(
            !has(query, "o")
                && !has("", "op")
                && !is_true("write=false&writes=true&write", "write")
        );
    }

    #[test]
    fn a_parameter_is_removed_everywhere() {
        assert_eq!(without("a=1&NoRedirect=true&b=2&noredirect", "noredirect"), "a=1&b=2");
        assert_eq!(without("a=%26&bnoredirect=1", "noredirect"), "a=%26&bnoredirect=1");
    }
}
