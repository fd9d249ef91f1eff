//! Owns: the cells of a line of the picture: what each shows, and how high.
//! Never: text and colour (see `text`).

use super::axis::Axis;
use super::bar::Window;
use super::facts::{Line, Picture};
use super::kind::Kind;
use super::load::Changes;
use crate::domain::Timestamp;

/// The halves of a column that a run covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Halves {
    pub left: bool,
    pub right: bool,
}

/// One column of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// The worst of the processes in it.
    pub body: Option<Kind>,
    pub halves: Halves,
    /// The worst of what ended in it or had no process; success has no sign.
    pub sign: Option<Kind>,
    /// How many runs at once, at most.
    pub at_once: u32,
    /// Something waits during the whole of it.
    pub waits: bool,
}

impl Cell {
    fn cover(&mut self, kind: Kind, is_right: bool) {
        self.body = self.body.max(Some(kind));
        if is_right {
            self.halves.right = true;
        } else {
            self.halves.left = true;
        }
    }
}

/// Returns the cells of a line.
pub fn cells(line: &Line, axis: &Axis, window: &Window) -> Vec<Cell> {
    let mut cells = vec![Cell::default(); axis.width()];
    for bar in &line.bars {
        let (from, to) = bar.clipped(window);
        let first = axis.half(from);
        let last = if from < to { axis.half(Timestamp::from_micros(to.as_micros() - 1)) } else { first };
        if bar.kind == Kind::Waiting {
            // Only whole columns, so that a short wait does not look like a long one; but one that goes on
            // is always seen.
            let goes_on = to == window.now && bar.count > 0;
            let end = if goes_on { last / 2 + 1 } else { last.div_ceil(2) };
            let start = first.div_ceil(2).min(end - usize::from(goes_on));
            cells[start..end].iter_mut().for_each(|cell| cell.waits = true);
            continue;
        }
        if bar.is_process() {
            for half in first..=last {
                cells[half / 2].cover(bar.kind, half % 2 == 1);
            }
        }
        if bar.kind != Kind::Success {
            let end = &mut cells[last / 2];
            end.sign = end.sign.max(Some(bar.kind));
        }
    }
    for at in &line.coming {
        let cell = &mut cells[axis.column(*at)];
        cell.sign = cell.sign.max(Some(Kind::Coming));
    }
    if line.most_at_once > 1 {
        let changes = Changes::of(line.bars.iter(), window);
        let levels = changes.by_cell(axis.width(), |at| axis.column(at));
        cells.iter_mut().zip(levels).for_each(|(cell, level)| cell.at_once = level);
    }
    cells
}

/// Returns how many runs of all lines are under way at once in each column, at most.
pub fn at_once(picture: &Picture, axis: &Axis) -> Vec<u32> {
    picture.load.changes.by_cell(axis.width(), |at| axis.column(at))
}
