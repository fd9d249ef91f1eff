//! Owns: a schedule, and its fires: the next one, their number, the latest ones.
//! Never: texts (see `expression`), gaps and folds (see `walk`).

use super::daylight::{self, Change, Daylight};
use super::pattern::Pattern;
use super::systemd::Calendar;
use super::walk;
use super::zone::Zone;
use crate::domain::{Span, Timestamp};

/// A set of instants. Those of an expression are whole seconds and depend on the zone.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// One instant.
    At(Timestamp),
    /// A cron expression of five, six or seven fields, or a nickname.
    Cron(Pattern),
    /// A calendar expression of systemd.
    Calendar(Box<Calendar>),
    /// `anchor` + n × `period` for n ≥ 1, in real time.
    Every {
        /// Not zero.
        period: Span,
        /// Where counting begins. It is not a fire.
        anchor: Timestamp,
    },
    /// `@reboot`: no instant. Only the daemon knows when the machine has started.
    Reboot,
    /// So long after the end of a run: no instant. Only the daemon knows when that is.
    AfterEnd {
        /// Not zero.
        period: Span,
    },
    /// Events: no instant. Their sources know when they come.
    Events,
    /// Every instant of another schedule, but later.
    Delayed {
        /// The other schedule.
        of: Box<Schedule>,
        /// How much later.
        by: Span,
    },
}

impl Schedule {
    /// Returns the first fire strictly after `after`, or `None` if there is none within 140 years, for a
    /// calendar until 2199.
    ///
    /// No expression of cron pauses longer: 29 February falls on a given weekday after at most 40 years, and
    /// the years of seven fields end with 2100. A schedule whose readings fell into gaps 64 times in a row
    /// never fires.
    ///
    /// A reading inside a gap fires at the end of the gap, a reading in a fold at the earlier instant. But an
    /// expression with a star in its second, minute or hour follows real time: it does not fire in a gap, and
    /// fires in both passes of a fold (Debian's cron(8)). A calendar expression fires when a clock shows a
    /// reading for the first time: not in a gap, and once in a fold (systemd).
    pub fn next_after(&self, after: Timestamp, zone: &Zone) -> Option<Timestamp> {
        match self {
            Self::At(at) => (*at > after).then_some(*at),
            Self::Cron(pattern) => instant(walk::next(pattern, after.as_seconds(), zone)?),
            Self::Calendar(calendar) => calendar.next_after(after, zone),
            Self::Every { period, anchor } => {
                let count = elapsed(*anchor, after) / u128::from(period.as_micros().max(1)) + 1;
                nth(*anchor, *period, count)
            }
            Self::Reboot | Self::AfterEnd { .. } | Self::Events => None,
            Self::Delayed { of, by } => of.next_after(after - *by, zone).map(|fire| fire + *by),
        }
    }

    /// Returns the effect of a gap or a fold of the zone on one fire: every `ClockEffect` but `Skipped` and
    /// `Twice`. `None` on ordinary days, and for schedules other than expressions.
    pub fn daylight(&self, fire: Timestamp, zone: &Zone) -> Option<Daylight> {
        let (pattern, by) = self.pattern()?;
        daylight::of_fire(pattern, (fire - by).as_seconds(), zone)
    }

    /// Returns the first gap in `(after, until]` that skips fires for good, which only calendars have and
    /// cron expressions with a star in their second, minute or hour. Looks ahead 140 years at most.
    pub fn skipped(&self, after: Timestamp, until: Timestamp, zone: &Zone) -> Option<Change> {
        let (pattern, by) = self.pattern()?;
        let change = daylight::skipped(pattern, (after - by).as_seconds(), (until - by).as_seconds(), zone)?;
        Some(change.delayed(by))
    }

    /// Returns the transitions in `(after, until]` that change fires, with every `ClockEffect` but
    /// `FirstOfTwo` and `SecondOfTwo`. A star that fires in every hour is not affected by any.
    pub fn changes(&self, after: Timestamp, until: Timestamp, zone: &Zone) -> Vec<Change> {
        let Some((pattern, by)) = self.pattern() else { return Vec::new() };
        let changes = daylight::changes(pattern, (after - by).as_seconds(), (until - by).as_seconds(), zone);
        changes.into_iter().map(|change| change.delayed(by)).collect()
    }

    /// Returns whether a clock in `zone` shows one of the expression's years at an instant. Six and seven
    /// fields have the years 1970 to 2100, a calendar those to 2199, and every other schedule has them all.
    pub fn covers(&self, at: Timestamp, zone: &Zone) -> bool {
        self.pattern()
            .is_none_or(|(pattern, _)| pattern.covers(at.as_seconds() + zone.offset(at.as_seconds())))
    }

    /// Returns the readings of an expression, and how much later it fires.
    pub(super) fn pattern(&self) -> Option<(&Pattern, Span)> {
        match self {
            Self::Cron(pattern) => Some((pattern, Span::ZERO)),
            Self::Calendar(calendar) => Some((&calendar.pattern, Span::ZERO)),
            Self::Delayed { of, by } => of.pattern().map(|(pattern, _)| (pattern, *by)),
            Self::At(_) | Self::Every { .. } | Self::Reboot | Self::AfterEnd { .. } | Self::Events => None,
        }
    }

    /// Returns the number of fires in `(after, until]`. A year of fires each second takes microseconds: days
    /// without a transition are multiplied, not walked.
    pub fn count(&self, after: Timestamp, until: Timestamp, zone: &Zone) -> u64 {
        if until <= after {
            return 0;
        }
        match self {
            Self::At(at) => u64::from(after < *at && *at <= until),
            Self::Cron(pattern) => walk::count(pattern, after.as_seconds(), until.as_seconds(), zone),
            Self::Calendar(calendar) => calendar.count(after, until, zone),
            Self::Every { period, anchor } => {
                let upto = |at| elapsed(*anchor, at) / u128::from(period.as_micros().max(1));
                u64::try_from(upto(until) - upto(after))
                    .expect("no more than microseconds in the range of a Timestamp")
            }
            Self::Reboot | Self::AfterEnd { .. } | Self::Events => 0,
            Self::Delayed { of, by } => of.count(after - *by, until - *by, zone),
        }
    }

    /// Returns the last `n` fires in `(after, until]`, ascending. The work depends on `n` and the time that
    /// they span, not on how long ago `after` is.
    pub fn latest(&self, after: Timestamp, until: Timestamp, n: usize, zone: &Zone) -> Vec<Timestamp> {
        if n == 0 || until <= after {
            return Vec::new();
        }
        let mut from = self.start_of_latest(after, until, n, zone);
        let mut fires = Vec::new();
        while let Some(fire) = self.next_after(from, zone).filter(|fire| *fire <= until) {
            fires.push(fire);
            from = fire;
        }
        fires
    }

    /// Returns an instant after which exactly `n` fires remain until `until`, or `after` if no more remain.
    fn start_of_latest(&self, after: Timestamp, until: Timestamp, n: usize, zone: &Zone) -> Timestamp {
        let enough = |from| self.count(from, until, zone) >= n as u64;
        // Double the stretch until it holds enough, then bisect.
        let (mut many, mut few) = (until, until);
        let mut stretch = 60_000_000;
        while !enough(many) {
            if many == after {
                return after;
            }
            few = many;
            many = after.max(until - Span::from_micros(stretch));
            stretch *= 2;
        }
        while few.as_micros() - many.as_micros() > 1 {
            let middle = Timestamp::from_micros(many.as_micros() + (few.as_micros() - many.as_micros()) / 2);
            if enough(middle) {
                many = middle;
            } else {
                few = middle;
            }
        }
        many
    }
}

fn instant(seconds: i64) -> Option<Timestamp> {
    (seconds <= Timestamp::MAX.as_seconds()).then(|| Timestamp::from_seconds(seconds))
}

/// Returns the microseconds from `anchor` to `at`, zero if `at` is earlier.
fn elapsed(anchor: Timestamp, at: Timestamp) -> u128 {
    u128::from(at.since(anchor).as_micros())
}

fn nth(anchor: Timestamp, period: Span, n: u128) -> Option<Timestamp> {
    let micros = u64::try_from(n.checked_mul(u128::from(period.as_micros()))?).ok()?;
    let micros = anchor.as_micros().checked_add(i64::try_from(micros).ok()?)?;
    (micros <= Timestamp::MAX.as_micros()).then(|| Timestamp::from_micros(micros))
}
