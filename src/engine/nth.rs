//! Owns: the count of `--nth`, which goes on through the fires of all triggers of a job.
//! Never: fires that are due (see `due_nth`).

use super::fires::first_free_fire;
use crate::domain::{Timestamp, Window};
use crate::schedule::{Schedule, Zone};

/// The count of `--nth`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NthFacts {
    /// Every so many fires one runs; at least 1.
    pub nth: u32,
    /// How many fires were passed over since the last one that ran; below `nth`.
    pub passed: u32,
}

impl NthFacts {
    /// Counts a fire, and returns whether it runs.
    pub fn counts_fire(&mut self) -> bool {
        self.passed = (self.passed + 1) % self.nth;
        self.passed == 0
    }
}

/// A fire: its trigger, as an index, and its instant.
pub type NthFire = (usize, Timestamp);

/// A trigger of a job with `--nth`.
#[derive(Clone, Copy, Debug)]
pub struct NthTrigger<'a> {
    pub schedule: &'a Schedule,
    pub zone: &'a Zone,
    /// The first fire that is not counted yet.
    pub next_at: Timestamp,
    pub window: Window,
    /// Later instants that have a run already, ascending. They do not fire again.
    pub taken: &'a [Timestamp],
}

/// Returns the fires of these triggers that are not passed over, in their order. Of fires at one instant, the
/// one of the first trigger counts first.
pub fn coming_nth(triggers: Vec<NthTrigger<'_>>, mut facts: NthFacts) -> impl Iterator<Item = NthFire> {
    let mut next: Vec<Option<Timestamp>> = triggers.iter().map(|trigger| Some(trigger.next_at)).collect();
    std::iter::from_fn(move || {
        loop {
            let coming = next.iter().enumerate().filter_map(|(index, at)| Some((index, (*at)?)));
            let (index, at) = coming.min_by_key(|(index, at)| (*at, *index))?;
            let NthTrigger { schedule, zone, window, taken, .. } = triggers[index];
            next[index] = first_free_fire(schedule, zone, window, at, taken);
            if facts.counts_fire() {
                return Some((index, at));
            }
        }
    })
}
