//! Tables of text.

/// Lays out rows below a header, in columns as wide as they must be.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = header.map(|title| title.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.lines().map(|line| line.chars().count()).max().unwrap_or(0));
        }
    }
    let mut text = String::new();
    let header = header.map(str::to_owned);
    for row in std::iter::once(&header).chain(rows) {
        let height = row.iter().map(|cell| cell.lines().count()).max().unwrap_or(1);
        for number in 0..height {
            let cells = row.iter().zip(widths).map(|(cell, width)| {
                let line = cell.lines().nth(number).unwrap_or_default();
                format!("{line:width$}")
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let rows = [["vault".to_owned(), "GET /secrets\nGET /secrets/*".to_owned()], ["m".to_owned(), "x".to_owned()]];
        assert_eq!(
            table(["MOUNT", "ALLOW"], &rows),
            "MOUNT  ALLOW\nvault  GET /secrets\n       GET /secrets/*\nm      x\n"
        );
    }
}
