//! Owns: tables: upper-case heads, two-space gutters, no boxes, no blanks at the ends of lines.
//! Never: their content.
//!
//! A pipe gets the same bytes as a terminal, without colour, and without the cuts that make lines fit.

use anstyle::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::style::paint;
use crate::shown::escaped;

/// Between two columns.
const GUTTER: &str = "  ";

/// The last column keeps this width as long as others can shrink.
const LAST_COLUMN_MIN: usize = 8;

/// The last column keeps this width when nothing else can shrink.
const LAST_COLUMN_REST: usize = 4;

/// The alignment of a column and its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub head: &'static str,
    /// Of the texts and the head.
    pub align: Align,
    /// The smallest width on a narrow terminal. `None`: the width of its texts.
    pub shrinks_to: Option<usize>,
}

impl Column {
    pub const fn left(head: &'static str) -> Self {
        Self { head, align: Align::Left, shrinks_to: None }
    }

    pub const fn right(head: &'static str) -> Self {
        Self { head, align: Align::Right, shrinks_to: None }
    }

    /// Allows to cut the column to `width` on a narrow terminal.
    #[must_use]
    pub const fn shrinking_to(self, width: usize) -> Self {
        Self { shrinks_to: Some(width), ..self }
    }
}

/// A text in a table. Its control characters are escaped, so that no text can control the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableCell {
    text: String,
    style: Style,
}

impl TableCell {
    pub fn new(text: impl AsRef<str>) -> Self {
        Self::styled(text, Style::new())
    }

    pub fn styled(text: impl AsRef<str>, style: Style) -> Self {
        Self { text: escaped(text.as_ref()).into_owned(), style }
    }

    /// Makes a cell for an unknown value.
    pub fn unknown() -> Self {
        Self::new("-")
    }
}

impl<T: AsRef<str>> From<T> for TableCell {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

/// Rows under heads.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<TableCell>>,
}

impl Table {
    pub fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row, which has one cell for each column.
    pub fn push(&mut self, row: impl Into<Vec<TableCell>>) {
        let row = row.into();
        assert_eq!(row.len(), self.columns.len(), "a row has a cell for each column");
        self.rows.push(row);
    }

    /// Returns the table's lines; none if there are no rows.
    ///
    /// Lines longer than `width` are cut in the columns that may shrink, and in the last column, with a `…`.
    pub fn render(&self, width: Option<usize>) -> String {
        let mut text = String::new();
        if self.rows.is_empty() {
            return text;
        }
        let widths = self.widths();
        let widths = match width {
            Some(room) => self.shrunk(widths, room),
            None => widths,
        };
        let heads = self.columns.iter().map(|column| TableCell::styled(column.head, Style::new().bold()));
        self.render_row(&heads.collect::<Vec<_>>(), &widths, &mut text);
        for row in &self.rows {
            self.render_row(row, &widths, &mut text);
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = self.columns.iter().map(|column| column.head.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        widths
    }

    /// Shrinks the widest column that may shrink, by one, until the line fits or no column can shrink.
    fn shrunk(&self, mut widths: Vec<usize>, room: usize) -> Vec<usize> {
        let last = self.columns.len() - 1;
        let least = |index: usize| {
            let column = &self.columns[index];
            let least = if index == last { Some(LAST_COLUMN_MIN) } else { column.shrinks_to };
            least.map(|least| least.max(column.head.width()))
        };
        let gutters = GUTTER.len() * last;
        while widths.iter().sum::<usize>() + gutters > room {
            let can_give = |index: &usize| least(*index).is_some_and(|least| widths[*index] > least);
            let Some(widest) = (0..widths.len()).filter(can_give).max_by_key(|index| widths[*index]) else {
                break;
            };
            widths[widest] -= 1;
        }
        // Rather cut the last column further than let the terminal break lines.
        let over = (widths.iter().sum::<usize>() + gutters).saturating_sub(room);
        let rest = widths[last].saturating_sub(over).max(LAST_COLUMN_REST);
        widths[last] = widths[last].min(rest);
        widths
    }

    /// Writes blanks only before a text, so that no line ends in one.
    fn render_row(&self, row: &[TableCell], widths: &[usize], out: &mut String) {
        let mut blanks = 0;
        for (index, cell) in row.iter().enumerate() {
            let text = cut(&cell.text, widths[index]);
            let fill = widths[index].saturating_sub(text.width());
            let (before, after) = match self.columns[index].align {
                Align::Left => (0, fill),
                Align::Right => (fill, 0),
            };
            if !text.is_empty() {
                out.extend(std::iter::repeat_n(' ', blanks + before));
                out.push_str(&paint(cell.style, &text));
                blanks = 0;
                blanks += after + GUTTER.len();
            } else {
                blanks += before + after + GUTTER.len();
            }
        }
        out.push('\n');
    }
}

/// Returns the text, cut to `room` columns including a `…` if it is longer.
fn cut(text: &str, room: usize) -> String {
    if text.width() <= room {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        let width = c.width().unwrap_or(0);
        if used + width + 1 > room {
            break;
        }
        used += width;
        kept.push(c);
    }
    kept.truncate(kept.trim_end().len());
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use anstyle::AnsiColor;

    use super::*;

    fn jobs() -> Table {
        let mut table = Table::new([Column::right("ID"), Column::left("NAME"), Column::left("COMMAND")]);
        table.push(["7".into(), "backup".into(), "rsync -a src/ nas:src/".into()]);
        table.push(["12".into(), "".into(), "true".into()]);
        table
    }

    #[test]
    fn numbers_stand_right_words_left_with_two_blanks_between() {
        let plain = anstream::adapter::strip_str(&jobs().render(None)).to_string();
        assert_eq!(plain, "ID  NAME    COMMAND\n 7  backup  rsync -a src/ nas:src/\n12          true\n");
    }

    #[test]
    fn no_line_ends_in_blanks() {
        let mut table = Table::new([Column::left("A"), Column::right("N"), Column::left("LONG HEAD")]);
        table.push(["a".into(), "".into(), "".into()]);
        table.push(["b".into(), "1".into(), "x".into()]);
        let plain = anstream::adapter::strip_str(&table.render(None)).to_string();
        assert_eq!(plain, "A  N  LONG HEAD\na\nb  1  x\n");
    }

    #[test]
    fn a_table_without_rows_prints_nothing() {
        assert_eq!(Table::new([Column::left("ID")]).render(Some(80)), "");
    }

    #[test]
    fn only_the_last_column_is_cut_and_only_to_a_width() {
        let plain = anstream::adapter::strip_str(&jobs().render(Some(24))).to_string();
        assert_eq!(plain, "ID  NAME    COMMAND\n 7  backup  rsync -a sr…\n12          true\n");
        assert!(plain.lines().all(|line| line.width() <= 24));
    }

    #[test]
    fn a_narrow_terminal_still_gets_something_of_the_last_column() {
        let plain = anstream::adapter::strip_str(&jobs().render(Some(5))).to_string();
        assert_eq!(plain.lines().nth(1), Some(" 7  backup  rsy…"));
    }

    #[test]
    fn what_may_shrink_shares_what_is_missing() {
        let columns = [
            Column::left("A").shrinking_to(3),
            Column::right("N"),
            Column::left("B").shrinking_to(4),
            Column::left("C"),
        ];
        let mut table = Table::new(columns);
        table.push(["aaaaaaaaaa".into(), "1000000".into(), "bbbbbbbb".into(), "cccccccccccc".into()]);
        let line = |width| {
            let plain = anstream::adapter::strip_str(&table.render(Some(width))).to_string();
            plain.lines().nth(1).map(str::to_owned)
        };
        assert_eq!(line(43).as_deref(), Some("aaaaaaaaaa  1000000  bbbbbbbb  cccccccccccc"));
        assert_eq!(line(37).as_deref(), Some("aaaaaaa…  1000000  bbbbbbbb  ccccccc…"));
        assert_eq!(line(30).as_deref(), Some("aaaa…  1000000  bbb…  ccccccc…"));
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let mut table = Table::new([Column::left("TAG"), Column::left("X")]);
        table.push(["日本".into(), "1".into()]);
        table.push(["abcd".into(), "日本語日本語".into()]);
        let plain = anstream::adapter::strip_str(&table.render(None)).to_string();
        assert_eq!(plain, "TAG   X\n日本  1\nabcd  日本語日本語\n");
        assert_eq!(cut("日本語日本語", 8), "日本語…");
    }

    #[test]
    fn no_text_can_drive_the_terminal() {
        let mut table = Table::new([Column::left("COMMAND")]);
        table.push(["\u{1b}]0;owned\u{7}\n\u{9b}2J\u{202e}x".into()]);
        let plain = anstream::adapter::strip_str(&table.render(None)).to_string();
        assert_eq!(plain, "COMMAND\n\\x1b]0;owned\\x07\\n\\x9b2J\\u{202e}x\n");
    }

    #[test]
    fn colour_adds_nothing_to_the_width() {
        let mut table = Table::new([Column::left("OUTCOME"), Column::left("X")]);
        table.push([
            TableCell::styled("failed", Style::new().fg_color(Some(AnsiColor::Red.into()))),
            "1".into(),
        ]);
        let text = table.render(None);
        assert!(text.contains("\u{1b}[31mfailed\u{1b}[0m   1"), "{text:?}");
    }
}
