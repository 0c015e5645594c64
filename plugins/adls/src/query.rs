//! Parameters of a query, as they are written: nothing is decoded, and names are without case.

/// The values that a query gives a parameter, in their order; empty where there is no `=`.
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

/// Whether a query says `name=true`.
pub(crate) fn says_true(query: &str, name: &str) -> bool {
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
    fn a_parameter_is_found_by_its_whole_name_without_case() {
        let query = "fsop=x&Op=CREATE&op&write=True";
        assert_eq!(values(query, "op").collect::<Vec<_>>(), ["CREATE", ""]);
        assert!(has(query, "WRITE") && says_true(query, "write"));
        assert!(
            !has(query, "o")
                && !has("", "op")
                && !says_true("write=false&writes=true&write", "write")
        );
    }

    #[test]
    fn a_parameter_is_left_out_wherever_it_is() {
        assert_eq!(without("a=1&NoRedirect=true&b=2&noredirect", "noredirect"), "a=1&b=2");
        assert_eq!(without("a=%26&bnoredirect=1", "noredirect"), "a=%26&bnoredirect=1");
    }
}
