//! Owns: the due fires of one trigger: which run, and which are missed.
//! Never: runs (see `misfire`), the clock.
//!
//! Every fire from a trigger's `next_at` to now falls into exactly one of three groups: on time, made up,
//! missed. Each group is contiguous, so one `missed` row with a count can stand for all missed fires.

use super::fires::{first_free_fire, just_before};
use super::snapshot::Due;
use crate::domain::{Missed, MissedMode, Timestamp, Window};
use crate::schedule::{Schedule, Zone};

/// How many fires of one trigger may be on time at once. A grace of an hour at a fire a second is 3,600; more
/// is a mistake.
pub(super) const ON_TIME_MAX: usize = 3_600;

/// The group of each due fire of one trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accounting {
    /// The first missed fire, and how many there are.
    pub missed: Option<(Timestamp, u64)>,
    /// Late fires that still run.
    pub made_up: Vec<Timestamp>,
    /// Fires within the grace.
    pub on_time: Vec<Timestamp>,
    /// The first fire after now.
    pub next_at: Option<Timestamp>,
}

/// A trigger's fires from the first that is not accounted for.
#[derive(Clone, Copy, Debug)]
pub struct Pending<'a> {
    pub schedule: &'a Schedule,
    pub zone: &'a Zone,
    /// The first fire. It was planned and is owed, even if the schedule no longer has it because the system's
    /// zone has changed.
    pub next_at: Timestamp,
    /// Later instants that have a run already, ascending. They do not fire again. There are some only where
    /// the clock was set back.
    pub taken: &'a [Timestamp],
    /// The fires of its job are in this window. `next_at` is, too.
    pub window: Window,
}

impl<'a> Pending<'a> {
    pub(super) fn of(due: &'a Due, schedule: &'a Schedule, zone: &'a Zone) -> Self {
        Self { schedule, zone, next_at: due.next_at, taken: &due.taken, window: due.window }
    }

    /// Returns the number of fires up to and at `at`.
    pub fn count(&self, at: Timestamp) -> u64 {
        let upto = self.window.capped(at);
        if upto < self.next_at {
            return 0;
        }
        let is_fire = |at: &Timestamp| self.schedule.count(just_before(*at), *at, self.zone) > 0;
        let again = self.taken.iter().take_while(|at| **at <= upto).filter(|at| is_fire(at)).count();
        1 + self.schedule.count(self.next_at, upto, self.zone) - again as u64
    }

    /// Returns the last `n` fires from `first` to `last`, both included, ascending.
    pub(super) fn latest(&self, first: Timestamp, last: Timestamp, n: usize) -> Vec<Timestamp> {
        let last = self.window.capped(last);
        let n_and_taken = n + self.taken.len();
        let mut fires =
            self.schedule.latest(self.next_at.max(just_before(first)), last, n_and_taken, self.zone);
        fires.retain(|at| self.taken.binary_search(at).is_err());
        if (first..=last).contains(&self.next_at) {
            fires.insert(0, self.next_at);
        }
        fires.split_off(fires.len().saturating_sub(n))
    }

    /// Returns the first fire after `now`.
    pub fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        first_free_fire(self.schedule, self.zone, self.window, now, self.taken)
    }
}

/// Accounts for every fire up to and at `now`.
pub fn account(now: Timestamp, pending: &Pending<'_>, missed: &Missed) -> Accounting {
    let on_time = pending.latest(now - missed.grace, now, ON_TIME_MAX);
    let last_late = on_time.first().map_or(now, |first| just_before(*first));
    let made_up_max = late_max(missed.mode, on_time.is_empty());
    let first_made_up = missed.within.map_or(pending.next_at, |within| now - within);
    let made_up = pending.latest(first_made_up, last_late, made_up_max);
    let count = pending.count(last_late) - made_up.len() as u64;
    Accounting {
        missed: (count > 0).then_some((pending.next_at, count)),
        made_up,
        on_time,
        next_at: pending.next_after(now),
    }
}

/// Returns how many late fires still run.
pub(super) fn late_max(mode: MissedMode, is_none_on_time: bool) -> usize {
    match mode {
        MissedMode::Skip => 0,
        // The fire that is on time replaces the late ones: a second run at the same moment would be useless.
        MissedMode::Once => usize::from(is_none_on_time),
        MissedMode::All => Missed::RUNS_MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Span;
    use crate::schedule::parse_cron;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_seconds(1_772_323_200 + minute * 60)
    }

    fn accounted(now: i64, next_at: i64, taken: &[i64], mode: MissedMode) -> Accounting {
        accounted_until(None, now, next_at, taken, mode)
    }

    fn accounted_until(
        until: Option<i64>,
        now: i64,
        next_at: i64,
        taken: &[i64],
        mode: MissedMode,
    ) -> Accounting {
        let schedule = parse_cron("*/10 * * * *").expect("valid");
        let taken: Vec<Timestamp> = taken.iter().map(|minute| at(*minute)).collect();
        let window = Window { start: None, until: until.map(at) };
        let pending =
            Pending { schedule: &schedule, zone: &Zone::utc(), next_at: at(next_at), taken: &taken, window };
        account(at(now), &pending, &Missed { mode, within: None, grace: Span::ZERO })
    }

    #[test]
    fn a_planned_fire_that_the_schedule_no_longer_has_is_still_owed() {
        let found = accounted(25, 3, &[], MissedMode::All);
        assert_eq!((found.made_up, found.next_at), (vec![at(3), at(10), at(20)], Some(at(30))));
        let found = accounted(25, 3, &[], MissedMode::Once);
        assert_eq!((found.missed, found.made_up), (Some((at(3), 2)), vec![at(20)]));
        assert_eq!(accounted(3, 3, &[], MissedMode::Once).on_time, [at(3)]);
    }

    #[test]
    fn fires_before_the_end_of_the_window_are_owed_and_the_end_itself_is_none() {
        let found = accounted_until(Some(30), 55, 10, &[], MissedMode::All);
        assert_eq!((found.made_up, found.next_at), (vec![at(10), at(20)], None));
        let found = accounted_until(Some(31), 55, 10, &[], MissedMode::Skip);
        assert_eq!((found.missed, found.next_at), (Some((at(10), 3)), None));
        assert_eq!(accounted_until(Some(31), 25, 20, &[], MissedMode::Once).next_at, Some(at(30)));
    }

    #[test]
    fn an_instant_that_has_a_run_does_not_fire_again_after_the_clock_was_set_back() {
        let found = accounted(45, 10, &[20, 25, 40, 50], MissedMode::All);
        assert_eq!((found.made_up, found.next_at), (vec![at(10), at(30)], Some(at(60))));
        assert_eq!(accounted(45, 10, &[20, 25, 40, 50], MissedMode::Skip).missed, Some((at(10), 2)));
    }
}
