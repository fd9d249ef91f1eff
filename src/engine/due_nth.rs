//! Owns: the fires of a job with `--nth`: which come and run, and which due ones are missed or passed over.
//! Never: runs (see `misfire`).

use std::collections::BTreeMap;

use super::accounting::{ON_TIME_MAX, Pending, late_max};
use super::nth::NthFacts;
use super::snapshot::Due;
use crate::domain::{JobId, Missed, Span, Timestamp, TriggerId, Window};
use crate::schedule::Schedule;

/// A fire: its trigger, as an index, and its instant.
pub type NthFire = (usize, Timestamp);

/// Returns the fires of these triggers that are not passed over, in their order. Of fires at one instant, the
/// one of the first trigger counts first.
pub fn coming_nth(triggers: &[Pending<'_>], mut facts: NthFacts) -> impl Iterator<Item = NthFire> {
    let mut next: Vec<Option<Timestamp>> = triggers.iter().map(|trigger| Some(trigger.next_at)).collect();
    std::iter::from_fn(move || {
        loop {
            let coming = next.iter().enumerate().filter_map(|(index, at)| Some((index, (*at)?)));
            let (index, at) = coming.min_by_key(|(index, at)| (*at, *index))?;
            next[index] = triggers[index].next_after(at);
            if facts.counts_fire() {
                return Some((index, at));
            }
        }
    })
}

/// The fires of a job up to now.
#[derive(Debug)]
pub(super) struct NthAccounting {
    /// The first missed fire that was not passed over, and how many there are.
    pub(super) missed: Option<(NthFire, u64)>,
    /// Late fires that still run.
    pub(super) made_up: Vec<NthFire>,
    /// Fires within the grace.
    pub(super) on_time: Vec<NthFire>,
    /// How many fires are passed over since the last of these.
    pub(super) passed: u32,
}

/// A job with `--nth`, and its triggers that are due: at least one, in the order in which they count.
pub(super) struct NthJob<'a> {
    facts: NthFacts,
    due: Vec<&'a Due>,
}

/// Returns the jobs of these triggers, each of a job with `--nth`.
pub(super) fn nth_jobs<'a>(due: impl Iterator<Item = &'a Due>) -> Vec<NthJob<'a>> {
    let mut jobs: BTreeMap<JobId, NthJob<'a>> = BTreeMap::new();
    for due in due {
        let facts = due.nth.expect("its job has `--nth`");
        jobs.entry(due.job).or_insert_with(|| NthJob { facts, due: Vec::new() }).due.push(due);
    }
    jobs.values_mut().for_each(|job| job.due.sort_by_key(|due| due.trigger));
    jobs.into_values().collect()
}

impl<'a> NthJob<'a> {
    /// Returns the first of its triggers, for what is the same of all.
    pub(super) fn first(&self) -> &'a Due {
        self.due[0]
    }

    /// Returns the fires of its triggers. That of a boot has no instant of its own: it comes now.
    ///
    /// # Errors
    /// Returns why a schedule can no longer be read.
    pub(super) fn fires(&self, now: Timestamp) -> Result<DueNth<'a>, String> {
        let pending = |due: &&'a Due| {
            let (schedule, zone) = due.schedule.as_ref().map_err(Clone::clone)?;
            let pending = Pending::of(due, schedule, zone);
            Ok(match schedule {
                Schedule::Reboot => Pending { next_at: now, window: Window::default(), ..pending },
                _ => pending,
            })
        };
        let pending = self.due.iter().map(pending).collect::<Result<_, String>>()?;
        let triggers = self.due.iter().map(|due| due.trigger).collect();
        Ok(DueNth { triggers, pending, facts: self.facts, now })
    }

    /// Returns a fire with its trigger. That of a boot was due with the boot.
    pub(super) fn fire(&self, (index, at): NthFire) -> (&'a Due, Timestamp) {
        let due = self.due[index];
        let is_boot = matches!(due.schedule, Ok((Schedule::Reboot, _)));
        (due, if is_boot { due.next_at } else { at })
    }
}

/// The due triggers of a job, and how far its count is.
pub(super) struct DueNth<'a> {
    triggers: Vec<TriggerId>,
    pending: Vec<Pending<'a>>,
    facts: NthFacts,
    now: Timestamp,
}

impl DueNth<'_> {
    /// Accounts for every fire up to and at now: those that are not passed over as without `--nth`, by one
    /// policy for all triggers.
    pub(super) fn account(&self, missed: &Missed) -> NthAccounting {
        let now = self.now;
        let on_time = self.latest(now - missed.grace, now, ON_TIME_MAX);
        let last_late = on_time.first().map_or(now, |(_, first)| *first - Span::from_micros(1));
        let first_made_up = missed.within.map_or(Timestamp::MIN, |within| now - within);
        let made_up = self.latest(first_made_up, last_late, late_max(missed.mode, on_time.is_empty()));
        let count = self.ran(now) - (on_time.len() + made_up.len()) as u64;
        let first = || self.first().expect("some are missed");
        NthAccounting {
            missed: (count > 0).then(|| (first(), count)),
            made_up,
            on_time,
            passed: self.passed(),
        }
    }

    /// Returns the next fire of each trigger.
    pub(super) fn advanced(&self) -> impl Iterator<Item = (TriggerId, Option<Timestamp>)> {
        let next = self.pending.iter().map(|pending| pending.next_after(self.now));
        self.triggers.iter().copied().zip(next)
    }

    /// Returns the first fire up to now that is not passed over, and how many there are.
    pub(super) fn swallowed(&self) -> Option<(NthFire, u64)> {
        Some((self.first()?, self.ran(self.now)))
    }

    /// Returns how many fires up to now are passed over since the last one that runs.
    pub(super) fn passed(&self) -> u32 {
        u32::try_from(self.position(self.now) % u64::from(self.facts.nth)).expect("below `nth`")
    }

    /// Returns how many fires up to `at` are not passed over.
    fn ran(&self, at: Timestamp) -> u64 {
        self.position(at) / u64::from(self.facts.nth)
    }

    /// Returns the place of the last fire up to `at` in the count. Those at a multiple of `nth` run.
    fn position(&self, at: Timestamp) -> u64 {
        u64::from(self.facts.passed) + self.pending.iter().map(|pending| pending.count(at)).sum::<u64>()
    }

    fn first(&self) -> Option<NthFire> {
        coming_nth(&self.pending, self.facts).next().filter(|(_, at)| *at <= self.now)
    }

    /// Returns the last `n` fires from `first` to `last`, both included, that are not passed over, ascending.
    fn latest(&self, first: Timestamp, last: Timestamp, n: usize) -> Vec<NthFire> {
        let nth = self.facts.nth as usize;
        let mut fires: Vec<NthFire> = Vec::new();
        for (index, pending) in self.pending.iter().enumerate() {
            let of_trigger = pending.latest(first.max(pending.next_at), last, n * nth);
            fires.extend(of_trigger.into_iter().map(|at| (index, at)));
        }
        fires.sort_unstable_by_key(|(index, at)| (*at, *index));
        let end = self.position(last);
        let of_end = fires.iter().rev().take(n * nth).zip(0..);
        let mut fires: Vec<NthFire> = of_end
            .filter(|(_, back)| (end - back).is_multiple_of(nth as u64))
            .map(|(fire, _)| *fire)
            .take(n)
            .collect();
        fires.reverse();
        fires
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{MissedMode, Window};
    use crate::schedule::{Zone, parse_cron};

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_seconds(1_772_323_200 + minute * 60)
    }

    /// Accounts at minute `now` for the fires of these expressions from minute 10 on, of which each third
    /// runs. Returns the missed ones, and the minutes of those that run.
    fn accounted(
        now: i64,
        passed: u32,
        exprs: &[&str],
        mode: MissedMode,
    ) -> (Option<(i64, u64)>, Vec<i64>, u32) {
        let schedules: Vec<Schedule> = exprs.iter().map(|expr| parse_cron(expr).expect("valid")).collect();
        let zone = Zone::utc();
        let pending = |schedule| Pending {
            schedule,
            zone: &zone,
            next_at: schedule.next_after(at(9), &zone).expect("they go on"),
            taken: &[],
            window: Window::default(),
        };
        let facts = NthFacts { nth: 3, passed };
        let pending = schedules.iter().map(pending).collect();
        let due = DueNth { triggers: Vec::new(), pending, facts, now: at(now) };
        let found = due.account(&Missed { mode, within: None, grace: Span::from_seconds(60) });
        let minute = |at: Timestamp| (at.as_seconds() - 1_772_323_200) / 60;
        let runs = found.made_up.iter().chain(&found.on_time).map(|(_, at)| minute(*at)).collect();
        (found.missed.map(|((_, first), count)| (minute(first), count)), runs, found.passed)
    }

    #[test]
    fn every_third_fire_runs_wherever_the_count_begins_and_the_others_are_passed_over() {
        let each = ["*/10 * * * *"];
        assert_eq!(accounted(10, 0, &each, MissedMode::All), (None, vec![], 1));
        assert_eq!(accounted(20, 0, &each, MissedMode::All), (None, vec![], 2));
        assert_eq!(accounted(30, 0, &each, MissedMode::All), (None, vec![30], 0));
        assert_eq!(accounted(75, 0, &each, MissedMode::All), (None, vec![30, 60], 1));
        assert_eq!(accounted(75, 2, &each, MissedMode::All), (None, vec![10, 40, 70], 0));
        assert_eq!(accounted(75, 1, &each, MissedMode::Once), (Some((20, 1)), vec![50], 2));
        assert_eq!(accounted(80, 1, &each, MissedMode::Once), (Some((20, 2)), vec![80], 0));
        assert_eq!(accounted(75, 2, &each, MissedMode::Skip), (Some((10, 3)), vec![], 0));
    }

    #[test]
    fn the_count_goes_on_through_the_fires_of_all_triggers() {
        // 10 15 20, 30 30 40, 45 50 60, 60: at one instant, the first trigger counts first.
        let both = ["*/10 * * * *", "*/15 * * * *"];
        assert_eq!(accounted(60, 0, &both, MissedMode::All), (None, vec![20, 40, 60], 1));
        assert_eq!(accounted(60, 2, &both, MissedMode::Once), (Some((10, 3)), vec![60], 0));
    }
}
