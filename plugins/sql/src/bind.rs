//! Named parameters: `@id` in a statement becomes `@P1`, as the broker's interface has positional
//! parameters only.
//!
//! Names are case-insensitive. Variables that the statement declares itself, strings, quoted names
//! and comments are left unchanged.

use keyward_plugin::Problem;
use keyward_plugin::sql::Value;

use crate::lexer::{Kind, Token, is_part, tokens};

/// A caller's parameter: its name without `@`, in lower case, and its value.
pub(crate) type NamedValue = (String, Value);

/// A statement with positional parameters.
#[derive(Debug, PartialEq)]
pub(crate) struct Bound {
    pub(crate) statement: String,
    pub(crate) parameters: Vec<Value>,
}

/// The normalized name of a parameter, or `None` if it is not a valid one.
pub(crate) fn normalize(key: &str) -> Option<String> {
    let name = key.strip_prefix('@').unwrap_or(key);
    let fits = !name.is_empty()
        && name.len() <= 128
        && name.chars().all(is_part)
        && !name.starts_with('@');
    fits.then(|| name.to_lowercase())
}

/// Words that begin another statement after a call that no semicolon ends.
const NEXT_STATEMENT: [&str; 12] = [
    "begin", "declare", "delete", "end", "if", "insert", "merge", "return", "select", "set",
    "update", "while",
];

/// Replaces the names of parameters with their positions.
pub(crate) fn bind(statement: &str, named: Vec<NamedValue>) -> Result<Bound, Problem> {
    let mut positions: Vec<Option<usize>> = vec![None; named.len()];
    let mut count = 0;
    let mut bound = String::with_capacity(statement.len());
    let all: Vec<Token<'_>> = tokens(statement).collect();
    let mut in_call = false;
    for (index, token) in all.iter().enumerate() {
        let ends = token.is(";") || NEXT_STATEMENT.iter().any(|word| token.is_word(word));
        in_call = (in_call && !ends) || token.is_word("exec") || token.is_word("execute");
        // `exec find @id = @id`: left of the sign is the procedure's own parameter.
        let mut following = all.iter().skip(index + 1).filter(|token| !token.is_blank());
        let is_argument = in_call && following.next().is_some_and(|next| next.is("="));
        let is_name = token.kind == Kind::Variable && !is_argument;
        let name = token.text.strip_prefix('@').filter(|_| is_name).map(str::to_lowercase);
        let Some(name) = name else {
            bound.push_str(token.text);
            continue;
        };
        let slot = named
            .iter()
            .zip(&mut positions)
            .find_map(|((key, _), slot)| (*key == name).then_some(slot));
        match slot {
            Some(slot) => {
                let position = *slot.get_or_insert_with(|| {
                    count += 1;
                    count
                });
                bound.push_str(&format!("@P{position}"));
            }
            // It would collide with the position of another parameter.
            None if is_position(&name, named.len()) => {
                return Err(Problem::bad_request(format!(
                    "the statement uses @{name}, which is not among `params`"
                )));
            }
            None => bound.push_str(token.text),
        }
    }
    let mut positional = Vec::with_capacity(named.len());
    for ((name, value), position) in named.into_iter().zip(positions) {
        let Some(position) = position else {
            let detail = format!("the statement does not use @{name}, which is among `params`");
            return Err(Problem::bad_request(detail).with("pointer", format!("/params/{name}")));
        };
        positional.push((position, value));
    }
    positional.sort_by_key(|(position, _)| *position);
    Ok(Bound {
        statement: bound,
        parameters: positional.into_iter().map(|(_, value)| value).collect(),
    })
}

fn is_position(name: &str, count: usize) -> bool {
    let number = name.strip_prefix('p').and_then(|digits| digits.parse::<usize>().ok());
    number.is_some_and(|number| (1..=count).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(statement: &str, names: &[&str]) -> Result<(String, Vec<i32>), String> {
        let named = (1..)
            .zip(names)
            .map(|(value, name)| (normalize(name).unwrap(), Value::Int(value)))
            .collect();
        let bound = bind(statement, named).map_err(|problem| problem.detail().to_owned())?;
        let parameters = bound.parameters.into_iter().map(|value| match value {
            Value::Int(value) => value,
            other => panic!("{other:?}"),
        });
        Ok((bound.statement, parameters.collect()))
    }

    #[test]
    fn a_name_becomes_the_position_of_its_first_use() {
        for (statement, names, expected, values) in [
            ("select @a", &["a"][..], "select @P1", &[1][..]),
            ("select @b, @A, @b", &["@a", "B"], "select @P1, @P2, @P1", &[2, 1]),
            (
                "select '@a', [@a], \"@a\", @@a, @a -- @a",
                &["a"],
                "select '@a', [@a], \"@a\", @@a, @P1 -- @a",
                &[1],
            ),
            (
                "declare @x int = @a; select @x, @xa",
                &["a"],
                "declare @x int = @P1; select @x, @xa",
                &[1],
            ),
            ("select @p2, @p1", &["p1", "p2"], "select @P1, @P2", &[2, 1]),
            (
                "select x@a /* /* @a */ @a */ + @a",
                &["a"],
                "select x@a /* /* @a */ @a */ + @P1",
                &[1],
            ),
            ("select @größe", &["GRÖSSE", "größe"][1..], "select @P1", &[1]),
            ("select @p7", &[], "select @p7", &[]),
            (
                "exec dbo.find @id = @id, @x=@x",
                &["id", "x"],
                "exec dbo.find @id = @P1, @x=@P2",
                &[1, 2],
            ),
            (
                "EXECUTE @rc = p @id /* */ = @id; select @id",
                &["id"],
                "EXECUTE @rc = p @id /* */ = @P1; select @P1",
                &[1],
            ),
            ("exec p 1 select 1 where @id = 1", &["id"], "exec p 1 select 1 where @P1 = 1", &[1]),
        ] {
            assert_eq!(
                bound(statement, names),
                Ok((expected.to_owned(), values.to_vec())),
                "{statement}"
            );
        }
    }

    #[test]
    fn unused_and_ambiguous_parameters_are_errors() {
        assert!(bound("select '@a'", &["a"]).unwrap_err().contains("does not use @a"));
        assert!(bound("select @P1, @a", &["a"]).unwrap_err().contains("uses @p1"));
        for invalid in ["", "@", "a b", "@@a", "a'"] {
            assert_eq!(normalize(invalid), None, "{invalid}");
        }
    }
}
