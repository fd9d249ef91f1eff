//! Owns: how many runs have a process at once, and the minute in which most start.
//! Never: how that is drawn.

use super::bar::{Bar, Window};
use crate::domain::Timestamp;

/// A change of the number of runs at once. Ends come before starts of the same instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    End,
    /// It ran already when the window began.
    Entry,
    Start,
}

/// The changes in a window, in their order. They begin and end at none.
#[derive(Clone, Debug, Default)]
pub struct Changes(Vec<(Timestamp, Change)>);

/// The runs of all lines together.
#[derive(Clone, Debug)]
pub struct Load {
    pub changes: Changes,
    pub most_at_once: u32,
    pub busiest: Option<BusiestMinute>,
}

/// The minute in which most runs started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusiestMinute {
    pub at: Timestamp,
    /// At least 1.
    pub starts: u32,
    /// The most in this minute.
    pub at_once: u32,
}

impl Changes {
    pub fn of<'a>(bars: impl Iterator<Item = &'a Bar>, window: &Window) -> Self {
        let mut changes = Vec::new();
        for bar in bars.filter(|bar| bar.is_process()) {
            let (from, to) = bar.clipped(window);
            let start = if bar.from < window.since { Change::Entry } else { Change::Start };
            changes.extend([(from, start), (to, Change::End)]);
        }
        // The bars of a line are nearly in order, of which a stable sort makes use.
        changes.sort();
        Self(changes)
    }

    /// Returns the instants at which the number at once changes, each with the number from then on.
    fn levels(&self) -> impl Iterator<Item = (Timestamp, Change, u32)> {
        self.0.iter().scan(0_u32, |level, (at, change)| {
            match change {
                Change::End => *level = level.saturating_sub(1),
                Change::Entry | Change::Start => *level += 1,
            }
            Some((*at, *change, *level))
        })
    }

    /// Returns the largest number at once in each of `cells` cells. `cell_of` has the cell of an instant, and
    /// ascends.
    pub fn by_cell(&self, cells: usize, cell_of: impl Fn(Timestamp) -> usize) -> Vec<u32> {
        let mut levels = vec![0_u32; cells];
        let (mut cell, mut level) = (0, 0);
        for (at, change, next) in self.levels() {
            // What ends with a cell is not in the next one.
            let reached = match change {
                Change::End => cell_of(Timestamp::from_micros(at.as_micros() - 1)),
                Change::Entry | Change::Start => cell_of(at),
            };
            while cell < reached.min(cells - 1) {
                cell += 1;
                levels[cell] = level;
            }
            level = next;
            levels[cell] = levels[cell].max(level);
        }
        levels
    }

    fn busiest(&self) -> Option<BusiestMinute> {
        let mut best: Option<BusiestMinute> = None;
        let mut present: Option<BusiestMinute> = None;
        let mut level = 0;
        for (at, change, next) in self.levels() {
            let minute = Timestamp::from_seconds(at.as_seconds().div_euclid(60) * 60);
            if present.is_none_or(|present| present.at != minute) {
                best = better(best, present);
                present = Some(BusiestMinute { at: minute, starts: 0, at_once: 0 });
            }
            if let Some(present) = &mut present {
                present.starts += u32::from(change == Change::Start);
                // The number before lasted until now. What ends with a minute is not in the next one.
                let before = if at > minute { level } else { 0 };
                let after = if change == Change::End { 0 } else { next };
                present.at_once = present.at_once.max(before).max(after);
            }
            level = next;
        }
        better(best, present)
    }
}

/// Returns the busier of two minutes; the earlier one if both are the same.
fn better(best: Option<BusiestMinute>, other: Option<BusiestMinute>) -> Option<BusiestMinute> {
    let Some(other) = other.filter(|minute| minute.starts > 0) else { return best };
    let is_better = best.is_none_or(|best| (best.starts, best.at_once) < (other.starts, other.at_once));
    if is_better { Some(other) } else { best }
}

pub fn load<'a>(bars: impl Iterator<Item = &'a Bar>, window: &Window) -> Load {
    let changes = Changes::of(bars, window);
    let most_at_once = changes.levels().map(|(_, _, level)| level).max().unwrap_or(0);
    let busiest = changes.busiest();
    Load { changes, most_at_once, busiest }
}

/// Returns how many of these have a process at once, at most.
pub fn most_at_once(bars: &[Bar], window: &Window) -> u32 {
    Changes::of(bars.iter(), window).levels().map(|(_, _, level)| level).max().unwrap_or(0)
}
