//! Owns: tables: upper-case heads, two-space gutters, no boxes, no blanks at the ends of lines.
//! Never: their content.
//!
//! On a terminal, columns are left out and texts are cut so that lines fit. A pipe gets whole texts, and one
//! that is much longer than the others moves the rest of its own row only.

use anstyle::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::style::paint;
use crate::shown::escaped;

/// Between two columns.
const GUTTER: &str = "  ";

/// The last column keeps this width as long as others can shrink, unless it has a width of its own.
const LAST_COLUMN_MIN: usize = 8;

/// A column keeps this width when the terminal is too narrow for all columns.
const COLUMN_REST: usize = 4;

/// Stands for an unknown value.
const UNKNOWN: &str = "-";

/// In a pipe, longer texts do not widen their column. A whole time has 25 columns.
const PIPE_PADDING_MAX: usize = 32;

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
    /// Its width, if no text is longer. For tables whose rows are printed one after the other.
    pub width_min: usize,
    /// The smallest width on a narrow terminal. `None`: the width of its texts.
    pub shrinks_to: Option<usize>,
    /// The column is left out if all its cells have this text.
    pub unless_all: Option<&'static str>,
    /// The column is left out of a terminal that is too narrow; the lowest number first.
    pub drop_order: Option<u8>,
}

impl Column {
    pub const fn left(head: &'static str) -> Self {
        Self { head, align: Align::Left, width_min: 0, shrinks_to: None, unless_all: None, drop_order: None }
    }

    pub const fn right(head: &'static str) -> Self {
        Self { align: Align::Right, ..Self::left(head) }
    }

    /// Makes the column at least so wide.
    #[must_use]
    pub const fn at_least(self, width: usize) -> Self {
        Self { width_min: width, ..self }
    }

    /// Allows to cut the column to `width` on a narrow terminal.
    #[must_use]
    pub const fn shrinking_to(self, width: usize) -> Self {
        Self { shrinks_to: Some(width), ..self }
    }

    /// Leaves the column out if all its cells have this text.
    #[must_use]
    pub const fn unless_all(self, text: &'static str) -> Self {
        Self { unless_all: Some(text), ..self }
    }

    /// Leaves the column out if it has no known value.
    #[must_use]
    pub const fn unless_unknown(self) -> Self {
        self.unless_all(UNKNOWN)
    }

    /// Leaves the column out of a terminal that is too narrow; the one with the lowest `order` first.
    #[must_use]
    pub const fn dropped(self, order: u8) -> Self {
        Self { drop_order: Some(order), ..self }
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
        Self::new(UNKNOWN)
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
    is_whole: bool,
    is_headless: bool,
}

impl Table {
    pub fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new(), is_whole: false, is_headless: false }
    }

    /// Adds a row, which has one cell for each column.
    pub fn push(&mut self, row: impl Into<Vec<TableCell>>) {
        let row = row.into();
        assert_eq!(row.len(), self.columns.len(), "a row has a cell for each column");
        self.rows.push(row);
    }

    /// Tells whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Chooses whether a terminal gets whole texts too, whether they fit or not.
    #[must_use]
    pub fn whole(self, is_whole: bool) -> Self {
        Self { is_whole, ..self }
    }

    /// Leaves the heads out: they were printed before.
    #[must_use]
    pub fn headless(self) -> Self {
        Self { is_headless: true, ..self }
    }

    /// Leaves a column out.
    #[must_use]
    pub fn without(mut self, head: &str) -> Self {
        if let Some(index) = self.columns.iter().position(|column| column.head == head) {
            self.columns.remove(index);
            for row in &mut self.rows {
                row.remove(index);
            }
        }
        self
    }

    /// Returns the table's lines; none if there are no rows.
    ///
    /// Lines longer than `width` lose columns that may be dropped, and are cut in the columns that may shrink
    /// and in the last column, with a `…`.
    pub fn render(&self, width: Option<usize>) -> String {
        let mut text = String::new();
        if self.rows.is_empty() {
            return text;
        }
        let mut columns: Vec<FittedColumn<'_>> = self.told_columns().collect();
        if let Some(last) = columns.last_mut() {
            last.is_last = true;
        }
        let width = width.filter(|_| !self.is_whole);
        match width {
            Some(room) => fit(&mut columns, room),
            None => columns.iter_mut().for_each(FittedColumn::pad_for_pipe),
        }
        let is_cut = width.is_some();
        let heads: Vec<TableCell> =
            self.columns.iter().map(|column| TableCell::styled(column.head, Style::new().bold())).collect();
        for row in std::iter::once(&heads).filter(|_| !self.is_headless).chain(&self.rows) {
            render_row(row, &columns, is_cut, &mut text);
        }
        text
    }

    /// Returns the columns that have something to tell, each as wide as its texts.
    fn told_columns(&self) -> impl Iterator<Item = FittedColumn<'_>> {
        self.columns.iter().enumerate().filter_map(|(index, column)| {
            let cells = || self.rows.iter().map(move |row| row[index].text.as_str());
            let is_told = column.unless_all.is_none_or(|text| cells().any(|cell| cell != text));
            let widths: Vec<usize> = cells().chain([column.head]).map(UnicodeWidthStr::width).collect();
            let width = widths.iter().copied().max().unwrap_or_default().max(column.width_min);
            is_told.then_some(FittedColumn { index, column, widths, width, is_last: false })
        })
    }
}

/// A column with the width that it gets.
struct FittedColumn<'a> {
    /// Of its cells in their rows.
    index: usize,
    column: &'a Column,
    /// Of its texts and its head.
    widths: Vec<usize>,
    width: usize,
    is_last: bool,
}

impl FittedColumn<'_> {
    /// Reduces the width to that of the longest text that is not very long. Longer texts stay whole.
    fn pad_for_pipe(&mut self) {
        let short = self.widths.iter().copied().filter(|width| *width <= PIPE_PADDING_MAX);
        self.width = short.max().unwrap_or(self.width).max(self.column.width_min);
    }

    /// Returns the smallest width that leaves the texts readable.
    fn least(&self) -> usize {
        let of_last = self.is_last.then_some(LAST_COLUMN_MIN);
        let least = self.column.shrinks_to.or(of_last).unwrap_or(self.width);
        least.max(self.column.head.width()).min(self.width)
    }
}

/// Returns the width of a line.
fn line_width(columns: &[FittedColumn<'_>]) -> usize {
    let gutters = GUTTER.len() * columns.len().saturating_sub(1);
    columns.iter().map(|column| column.width).sum::<usize>() + gutters
}

/// Drops columns until the others are readable, then shrinks them until the line fits.
fn fit(columns: &mut Vec<FittedColumn<'_>>, room: usize) {
    let is_readable = |columns: &[FittedColumn<'_>]| {
        let given: usize = columns.iter().map(|column| column.width - column.least()).sum();
        line_width(columns) <= room + given
    };
    while !is_readable(columns) {
        let droppable = columns.iter().enumerate().filter(|(_, column)| column.column.drop_order.is_some());
        let Some((at, _)) = droppable.min_by_key(|(_, column)| column.column.drop_order) else { break };
        columns.remove(at);
    }
    shrink(columns, room, FittedColumn::least);
    // Rather cut further than let the terminal break lines; the last column at the end.
    let rest_if = |may_shrink, width: usize| if may_shrink { width.min(COLUMN_REST) } else { width };
    shrink(columns, room, |column| {
        rest_if(!column.is_last && column.column.shrinks_to.is_some(), column.width)
    });
    shrink(columns, room, |column| rest_if(column.is_last, column.width));
}

/// Shrinks the widest column by one, until the line fits or each column has its least width.
fn shrink<'a>(columns: &mut [FittedColumn<'a>], room: usize, least: impl Fn(&FittedColumn<'a>) -> usize) {
    while line_width(columns) > room {
        let can_give = columns.iter_mut().filter(|column| column.width > least(column));
        let Some(widest) = can_give.max_by_key(|column| column.width) else { break };
        widest.width -= 1;
    }
}

/// Writes blanks only before a text, so that no line ends in one.
fn render_row(row: &[TableCell], columns: &[FittedColumn<'_>], is_cut: bool, out: &mut String) {
    let mut blanks = 0;
    for FittedColumn { index, column, width, .. } in columns {
        let cell = &row[*index];
        let text = if is_cut { cut(&cell.text, *width) } else { cell.text.clone() };
        let fill = width.saturating_sub(text.width());
        let (before, after) = match column.align {
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

/// Returns the text, cut to `room` columns including a `…` if it is longer.
pub fn cut(text: &str, room: usize) -> String {
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
    fn a_column_that_tells_nothing_is_left_out() {
        let columns = [
            Column::right("ID"),
            Column::left("NAME").unless_unknown(),
            Column::left("QUEUE").unless_all("default"),
            Column::left("X"),
        ];
        let lines = |rows: &[[&str; 4]]| {
            let mut table = Table::new(columns);
            rows.iter().for_each(|row| table.push(row.map(TableCell::new)));
            anstream::adapter::strip_str(&table.render(None)).to_string()
        };
        assert_eq!(lines(&[["1", "-", "default", "x"], ["2", "-", "default", "-"]]), "ID  X\n 1  x\n 2  -\n");
        assert_eq!(
            lines(&[["1", "-", "default", "x"], ["2", "a", "gpu", "-"]]),
            "ID  NAME  QUEUE    X\n 1  -     default  x\n 2  a     gpu      -\n"
        );
    }

    #[test]
    fn the_last_column_that_is_there_is_cut() {
        let mut table = Table::new([Column::left("OUTCOME"), Column::right("EXIT").unless_unknown()]);
        table.push(["running (unattended)".into(), TableCell::unknown()]);
        let plain = anstream::adapter::strip_str(&table.render(Some(12))).to_string();
        assert_eq!(plain, "OUTCOME\nrunning (un…\n");
    }

    #[test]
    fn a_narrow_terminal_loses_columns_before_texts_become_unreadable() {
        let columns = [
            Column::left("WHEN"),
            Column::left("LEFT").dropped(1),
            Column::left("NAME").shrinking_to(6),
            Column::left("WHY").dropped(2),
            Column::left("COMMAND").shrinking_to(10),
        ];
        let mut table = Table::new(columns);
        table.push([
            "14:02".into(),
            "5h 3m".into(),
            "n".repeat(20).into(),
            "since".into(),
            "c".repeat(40).into(),
        ]);
        let line = |width| {
            let plain = anstream::adapter::strip_str(&table.render(Some(width))).to_string();
            plain.lines().nth(1).map(str::to_owned).expect("a row")
        };
        assert_eq!(line(39), "14:02  5h 3m  nnnnn…  since  ccccccccc…");
        assert_eq!(line(38), "14:02  nnnnnnnnnn…  since  cccccccccc…");
        assert_eq!(line(30), "14:02  nnnnnnnnnn…  ccccccccc…");
        assert_eq!(line(24), "14:02  nnnn…  ccccccccc…");
        assert_eq!(line(20), "14:02  nnn…  cccccc…");
        assert_eq!(line(10), "14:02  nnn…  ccc…", "there is a limit");
    }

    #[test]
    fn in_a_pipe_one_long_text_moves_only_its_own_row() {
        let mut table = Table::new([Column::left("NAME"), Column::left("STATE")]);
        table.push(["short".into(), "done".into()]);
        table.push(["n".repeat(63).into(), "done".into()]);
        let plain = anstream::adapter::strip_str(&table.render(None)).to_string();
        assert_eq!(plain, format!("NAME   STATE\nshort  done\n{}  done\n", "n".repeat(63)));
        let wide = anstream::adapter::strip_str(&table.render(Some(80))).to_string();
        assert!(wide.lines().all(|line| line.len() > 63), "{wide}");
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
