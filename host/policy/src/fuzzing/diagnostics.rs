//! Properties of mistakes in a text.

use crate::diagnostic::Diagnostic;

/// Checks that each mistake is at a position within the text, and is written as one.
pub(super) fn check(diagnostics: &[Diagnostic], file: &str, text: &str) {
    for diagnostic in diagnostics {
        assert!(!diagnostic.message.is_empty(), "a mistake has a message");
        let shown = diagnostic.to_string();
        let Some(location) = &diagnostic.location else { continue };
        assert_eq!(&*location.file, file, "{shown}");
        assert!(shown.starts_with(&format!("{file}:{}:", location.line)), "{shown}");
        let index = usize::try_from(location.line).unwrap_or_default().checked_sub(1);
        let line = index.and_then(|index| text.split('\n').nth(index));
        let end = line.map(|line| line.chars().count() + 1);
        let column = usize::try_from(location.column).unwrap_or_default();
        assert!(
            end.is_some_and(|end| (1..=end).contains(&column)),
            "the position is outside the text: {shown}"
        );
    }
}
