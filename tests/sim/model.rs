//! Owns: a model of the fires that a trigger owes, and of its policy for late ones. It counts them one by
//! one, to check the engine, which does not.

use std::collections::BTreeSet;

use taskq::domain::{Missed, MissedMode, Overlap, Span, Timestamp, Window};
use taskq::schedule::{Schedule, Zone};

/// How many fires may be on time at once, from the engine's own limit.
const ON_TIME_MAX: usize = 3_600;

/// A trigger as it should be.
#[derive(Clone, Debug)]
pub struct Trigger {
    pub job: i64,
    pub schedule: Schedule,
    /// Its own zone; `None` for the system's.
    pub zone: Option<Zone>,
    /// It is planned again when the system's zone changes.
    pub follows_system: bool,
    pub window: Window,
    pub missed: Missed,
    pub overlap: Overlap,
    /// The first fire that no row accounts for.
    pub next: Option<Timestamp>,
    /// It has fired, and fires again after the end of a run.
    pub awaits_end: bool,
    /// For `@reboot`: the boot it was last considered in.
    pub boot: Option<u64>,
    /// The instants that have a row.
    pub taken: BTreeSet<Timestamp>,
    /// The fires of all its rows.
    pub fires: u64,
    /// After a cancel or a far step of the clock `fires` depends on more than its schedule.
    pub disturbed: bool,
}

/// A row that a trigger owes: its instant, how many fires it stands for, and whether it is `missed`.
pub type Owed = (Timestamp, u64, bool);

impl Trigger {
    pub fn zone<'a>(&'a self, system: &'a Zone) -> &'a Zone {
        self.zone.as_ref().unwrap_or(system)
    }

    /// Returns the first fire after `after` that has no row.
    pub fn next_after(&self, after: Timestamp, system: &Zone) -> Option<Timestamp> {
        if let Schedule::AfterEnd { period } = self.schedule {
            return self.after_end(period, after);
        }
        let mut next = self.walk(after, system);
        while let Some(at) = next.filter(|at| self.taken.contains(at)) {
            next = self.walk(at, system);
        }
        next.filter(|at| self.window.until.is_none_or(|until| *at < until))
    }

    /// Returns its fire after a run that ended at `end`.
    fn after_end(&self, period: Span, end: Timestamp) -> Option<Timestamp> {
        let mut fire = (end + period).max(self.window.start.unwrap_or(end));
        while self.taken.contains(&fire) {
            fire = fire + Span::from_micros(1);
        }
        self.window.until.is_none_or(|until| fire < until).then_some(fire)
    }

    /// The last unfinished run of its job has ended.
    pub fn run_ended(&mut self, end: Timestamp) {
        if let Schedule::AfterEnd { period } = self.schedule
            && (self.next.is_some() || self.awaits_end)
        {
            (self.next, self.awaits_end) = (self.after_end(period, end), false);
        }
    }

    /// Its job is cancelled, or has had all its runs.
    pub fn disarm(&mut self) {
        (self.next, self.boot, self.awaits_end, self.disturbed) = (None, None, false, true);
    }

    fn walk(&self, after: Timestamp, system: &Zone) -> Option<Timestamp> {
        match &self.schedule {
            Schedule::At(at) => (*at > after).then_some(*at),
            Schedule::Every { period, anchor } => {
                let (period, anchor) = (period.as_micros() as i64, anchor.as_micros());
                let count = (after.as_micros() - anchor).max(0) / period + 1;
                Some(Timestamp::from_micros(anchor + count * period))
            }
            Schedule::Reboot | Schedule::AfterEnd { .. } | Schedule::Events => None,
            Schedule::Cron(_) | Schedule::Calendar(_) | Schedule::Delayed { .. } => {
                self.schedule.next_after(after, self.zone(system))
            }
        }
    }

    /// Takes every fire up to `now` that has no row yet.
    pub fn take_due(&mut self, now: Timestamp, system: &Zone) -> Vec<Timestamp> {
        let mut due = Vec::new();
        while let Some(at) = self.next.filter(|at| *at <= now) {
            due.push(at);
            self.awaits_end = matches!(self.schedule, Schedule::AfterEnd { .. });
            self.next = if self.awaits_end { None } else { self.next_after(at, system) };
        }
        due
    }

    /// Returns the first fire after `after` in its window.
    fn first_after(&self, after: Timestamp, system: &Zone) -> Option<Timestamp> {
        let start = self.window.start.filter(|_| !matches!(self.schedule, Schedule::AfterEnd { .. }));
        self.next_after(start.map_or(after, |start| after.max(start - Span::from_micros(1))), system)
    }

    /// Plans the coming fires again from `now`.
    pub fn replan(&mut self, now: Timestamp, system: &Zone) {
        self.next = self.first_after(now, system);
    }

    /// `@reboot`: the machine has started. It fires if that is in its window.
    pub fn boot(&mut self, boot: u64, now: Timestamp) {
        let (start, until) = (self.window.start, self.window.until);
        self.boot = Some(boot);
        if start.is_none_or(|start| now >= start) && until.is_none_or(|until| now < until) {
            self.next = Some(now);
        }
    }

    /// Returns when it ends without a fire: `@reboot` does, when its window ends.
    pub fn ends_at(&self) -> Option<Timestamp> {
        self.boot.and(self.window.until)
    }

    /// The window of its job has changed.
    pub fn set_until(&mut self, until: Option<Timestamp>, (boot, now): (u64, Timestamp), system: &Zone) {
        let old = self.window;
        if self.schedule == Schedule::Reboot {
            if old.until.is_some_and(|until| until <= now) {
                self.boot = Some(boot);
            }
            self.window.until = until;
            return;
        }
        let is_cancelled = self.awaits_end || self.first_after(now, system).is_some();
        self.window.until = until;
        match self.next {
            Some(next) if until.is_none_or(|until| next < until) => {}
            Some(_) => self.next = None,
            None if is_cancelled => {}
            None => {
                let from = old.until.map_or(now, |until| now.max(until - Span::from_micros(1)));
                self.disturbed |= from == now;
                self.replan(from, system);
            }
        }
    }

    /// Returns the rows that these fires make if they are found at `now`.
    pub fn owes(&self, due: &[Timestamp], now: Timestamp) -> Vec<Owed> {
        let is_on_time = |at| at >= now - self.missed.grace || self.schedule == Schedule::Reboot;
        let owed = owed_by(&self.missed, due, is_on_time, now);
        owed.into_iter().map(|(index, fires, is_missed)| (due[index], fires, is_missed)).collect()
    }

    /// A row was made for it.
    pub fn record(&mut self, at: Timestamp, fires: u64) {
        assert!(self.taken.insert(at), "two rows at {at} for one trigger");
        self.fires += fires;
    }
}

/// Returns the rows that these fires, ascending, make by a policy if they are found at `now`: the index of
/// the first fire of each, how many fires it stands for, and whether it is `missed`.
pub fn owed_by(
    policy: &Missed,
    due: &[Timestamp],
    is_on_time: impl Fn(Timestamp) -> bool,
    now: Timestamp,
) -> Vec<(usize, u64, bool)> {
    let is_late = |at: &&Timestamp| !is_on_time(**at);
    let late = due.iter().filter(is_late).count().max(due.len().saturating_sub(ON_TIME_MAX));
    let most = match policy.mode {
        MissedMode::Skip => 0,
        MissedMode::Once => usize::from(late == due.len()),
        MissedMode::All => 100,
    };
    let is_within = |at: &Timestamp| policy.within.is_none_or(|within| *at >= now - within);
    let made_up = due[..late].iter().rev().take(most).filter(|at| is_within(at)).count();
    let missed = late - made_up;
    let row = (missed > 0).then_some((0, missed as u64, true));
    row.into_iter().chain((missed..due.len()).map(|index| (index, 1, false))).collect()
}
