//! Owns: the next fire of a trigger, in the window of its job.
//! Never: fires that are due (see `misfire`).

use crate::domain::{Span, Timestamp, TriggerId, Window};
use crate::schedule::{Schedule, Zone};

/// A trigger's schedule with its zone, or why its stored text can no longer be read: for example because a
/// zone was removed from the machine's tzdata.
pub type Compiled = Result<(Schedule, Zone), String>;

/// A trigger without a due fire.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    pub trigger: TriggerId,
    /// `Err` if its stored text can no longer be read.
    pub schedule: Compiled,
    /// In the future; `None`: it has no next fire.
    pub next_at: Option<Timestamp>,
    pub window: Window,
    /// Later instants that have a run already, ascending. They do not fire again.
    pub taken: Vec<Timestamp>,
}

/// Returns a trigger's first fire after `now` in this window.
pub fn first_fire(schedule: &Schedule, zone: &Zone, window: Window, now: Timestamp) -> Option<Timestamp> {
    first_free_fire(schedule, zone, window, now, &[])
}

/// Returns the first of these fires that is not `taken`: instants, ascending, that have a run already.
pub fn first_free_fire(
    schedule: &Schedule,
    zone: &Zone,
    window: Window,
    now: Timestamp,
    taken: &[Timestamp],
) -> Option<Timestamp> {
    if let Schedule::AfterEnd { period } = schedule {
        return after_end(*period, window, now, taken);
    }
    let after = window.start.map_or(now, |start| now.max(just_before(start)));
    let mut fire = schedule.next_after(after, zone);
    while let Some(at) = fire.filter(|at| taken.binary_search(at).is_ok()) {
        fire = schedule.next_after(at, zone);
    }
    fire.filter(|at| !window.has_ended(*at))
}

/// Returns the fire that comes `period` after the end of a run.
fn after_end(period: Span, window: Window, end: Timestamp, taken: &[Timestamp]) -> Option<Timestamp> {
    let mut fire = window.start.map_or(end + period, |start| start.max(end + period));
    // On a clock that was set back, an earlier run may have had the same time.
    while taken.binary_search(&fire).is_ok() {
        fire = fire + Span::from_micros(1);
    }
    (!window.has_ended(fire)).then_some(fire)
}

/// Returns the instant after which `at` is the next. Schedules take stretches as `(after, until]`.
pub(super) fn just_before(at: Timestamp) -> Timestamp {
    at - Span::from_micros(1)
}
