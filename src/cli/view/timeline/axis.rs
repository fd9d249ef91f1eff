//! Owns: which column of a text an instant is in: the past on the left of a line for now, what comes on its
//! right.
//! Never: what is in the columns.

use super::bar::Window;
use crate::cli::view::rounds::Step;
use crate::domain::{Span, Timestamp};
use crate::schedule::Zone;

/// Blanks between two labels of an axis.
const LABEL_GAP: usize = 2;

/// Columns of the same length on each side of now, whose line has a column of its own.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    window: Window,
    /// The columns before the line of now.
    past: usize,
    /// The columns after it.
    coming: usize,
}

impl Axis {
    /// Makes an axis of `width` columns, at least 3.
    pub fn new(window: Window, width: usize) -> Self {
        let Window { since, until, now } = window;
        if now <= since {
            return Self { window, past: 0, coming: width };
        }
        if now >= until {
            return Self { window, past: width, coming: 0 };
        }
        let part = scaled(now.since(since), until.since(since), 2 * (width - 1)).div_ceil(2);
        let past = part.clamp(1, width - 2);
        Self { window, past, coming: width - 1 - past }
    }

    pub fn width(&self) -> usize {
        self.past + self.coming + usize::from(self.now_column().is_some())
    }

    /// Returns the column of the line for now, if that is in the window.
    pub fn now_column(&self) -> Option<usize> {
        (self.past > 0 && self.coming > 0).then_some(self.past)
    }

    /// Returns in which half of a column an instant of the window is: the first one has 0 and 1.
    pub fn half(&self, at: Timestamp) -> usize {
        let Window { since, until, now } = self.window;
        let within = |at: Timestamp, from: Timestamp, to: Timestamp, columns: usize| {
            scaled(at.since(from), to.since(from), 2 * columns).min((2 * columns).saturating_sub(1))
        };
        match (self.past, self.coming) {
            (_, 0) => within(at, since, until, self.past),
            (0, _) => within(at, since, until, self.coming),
            (past, _) if at < now => within(at, since, now, past),
            (past, coming) => 2 * (past + 1) + within(at, now, until, coming),
        }
    }

    pub fn column(&self, at: Timestamp) -> usize {
        self.half(at) / 2
    }

    /// Returns how long a column is, about.
    pub fn column_span(&self) -> Span {
        let columns = (self.past + self.coming).max(1) as u64;
        Span::from_micros(self.window.until.since(self.window.since).as_micros() / columns)
    }

    /// Returns the columns of round times, with their labels, which have room.
    pub fn ticks(&self, zone: &Zone) -> Vec<(usize, String)> {
        let step = self.step();
        let rounds = step.within(self.window.since, self.window.until, zone);
        let mut ticks: Vec<(usize, String)> = Vec::new();
        let mut free = 0;
        for (column, label) in rounds.map(|at| (self.column(at), step.label(at, zone))) {
            // A clock that is set back shows a time twice, and near the line for now a column is missing.
            if column < free || Some(column) == self.now_column() {
                continue;
            }
            free = column + label.len() + LABEL_GAP;
            ticks.push((column, label));
        }
        ticks
    }

    /// Returns the smallest step whose labels have room.
    fn step(&self) -> Step {
        let column = self.column_span().as_micros();
        let mut step = Step::at_least(Span::ZERO);
        loop {
            let room = Span::from_micros(column.saturating_mul((step.label_width() + LABEL_GAP) as u64));
            let next = Step::at_least(room);
            if next.span() <= step.span() {
                return step;
            }
            step = next;
        }
    }
}

/// Returns `part / whole * size`, rounded down.
fn scaled(part: Span, whole: Span, size: usize) -> usize {
    let scaled = u128::from(part.as_micros()) * size as u128 / u128::from(whole.as_micros().max(1));
    usize::try_from(scaled).unwrap_or(usize::MAX)
}
