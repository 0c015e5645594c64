//! Tables of text.

use super::fit;

/// The minimum width of a column that is wrapped.
const MIN_COLUMN_WIDTH: usize = 12;

/// Formats rows below a header, in columns as wide as their contents.
///
/// If the table is wider than `width`, its widest columns are wrapped. If words are too long for
/// that, each cell is on a line of its own, after its title.
pub(crate) fn table<const N: usize>(
    header: [&str; N],
    rows: &[[String; N]],
    width: usize,
) -> String {
    let natural = |rows: &[[String; N]]| {
        let mut widths = header.map(|title| title.chars().count());
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                let widest = cell.lines().map(|line| line.chars().count()).max();
                *width = (*width).max(widest.unwrap_or(0));
            }
        }
        widths
    };
    let mut widths = natural(rows);
    shrink(&mut widths, width);
    let wrapped: Vec<[String; N]> = rows
        .iter()
        .map(|row| {
            let mut cells = widths.iter().zip(row).map(|(width, cell)| fit(cell, 0, *width));
            std::array::from_fn(|_| cells.next().unwrap_or_default())
        })
        .collect();
    let widths = natural(&wrapped);
    if widths.iter().sum::<usize>() + gaps(N) > width {
        return blocks(header, rows, width);
    }

    let mut text = String::new();
    let header = header.map(str::to_owned);
    for row in std::iter::once(&header).chain(&wrapped) {
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

/// Formats each cell on lines of its own, after its title.
fn blocks<const N: usize>(header: [&str; N], rows: &[[String; N]], width: usize) -> String {
    let titles = header.iter().map(|title| title.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        for (title, cell) in header.iter().zip(row) {
            for (number, line) in cell.lines().enumerate() {
                let title = if number == 0 { title } else { "" };
                text.push_str(&fit(&format!("{title:titles$}  {line}"), titles + 4, width));
                text.push('\n');
            }
        }
        text.push('\n');
    }
    text
}

/// The total width of the gaps between columns.
fn gaps(columns: usize) -> usize {
    2 * columns.saturating_sub(1)
}

/// Narrows the widest column repeatedly until the table fits.
fn shrink(widths: &mut [usize], width: usize) {
    let gaps = gaps(widths.len());
    loop {
        let total: usize = widths.iter().sum::<usize>() + gaps;
        let Some(widest) = widths.iter_mut().max() else { return };
        if total <= width || *widest <= MIN_COLUMN_WIDTH {
            return;
        }
        *widest -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> [[String; 2]; 2] {
        [
            ["vault".to_owned(), "GET /secrets\nGET /secrets/*".to_owned()],
            ["m".to_owned(), "x".to_owned()],
        ]
    }

    #[test]
    fn columns_are_as_wide_as_their_contents() {
        assert_eq!(
            table(["MOUNT", "ALLOW"], &rows(), 80),
            "MOUNT  ALLOW\nvault  GET /secrets\n       GET /secrets/*\nm      x\n"
        );
    }

    #[test]
    fn a_table_that_cannot_fit_has_one_cell_per_line() {
        let url = "https://contoso.blob.core.windows.net";
        let rows = [["vault".to_owned(), url.to_owned()], [url.to_owned(), "one\ntwo".to_owned()]];
        let text = table(["MOUNT", "AT"], &rows, 60);
        assert_eq!(
            text,
            format!("MOUNT  vault\nAT     {url}\n\nMOUNT  {url}\nAT     one\n       two\n\n")
        );
    }

    #[test]
    fn a_column_that_is_too_wide_is_wrapped() {
        let rows = [["vault".to_owned(), "word ".repeat(20)]];
        let text = table(["MOUNT", "ALLOW"], &rows, 40);
        assert!(text.lines().all(|line| line.len() <= 40), "{text}");
        assert!(text.lines().count() > 3, "{text}");
        assert_eq!(text.matches("word").count(), 20, "{text}");
    }
}
