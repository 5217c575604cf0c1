//! Plain tables for people: columns aligned by their widest cell, two blanks between them.

use std::io::{self, Write};

/// Where the cells of a column stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows under a header.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    columns: [Align; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// A table with nothing but its header.
    pub(super) fn new(header: [(&str, Align); N]) -> Self {
        Self { columns: header.map(|(_, align)| align), rows: vec![header.map(|(title, _)| title.to_owned())] }
    }

    /// One more row. What would move the cursor of a terminal is shown and not obeyed.
    pub(super) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| cell.replace(char::is_control, "\u{fffd}")));
    }

    /// Writes it; nothing follows the last word of a line.
    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; N] = std::array::from_fn(width);
        for row in &self.rows {
            let cells = row.iter().zip(self.columns).zip(widths).map(|((cell, align), width)| match align {
                Align::Left => format!("{cell:<width$}"),
                Align::Right => format!("{cell:>width$}"),
            });
            writeln!(out, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let mut table = Table::new([("name", Align::Left), ("yen", Align::Right), ("why", Align::Left)]);
        table.row(["hanakodt".into(), "1,000".into(), "a\u{1b}[2Jb".into()]);
        table.row(["taro".into(), "999".into(), String::new()]);
        let mut out = Vec::new();
        table.print(&mut out).unwrap();
        let expected = "name        yen  why\nhanakodt  1,000  a\u{fffd}[2Jb\ntaro        999\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
