//! Owns: the clock readings that an expression matches, as bit sets, and the arithmetic over them.
//! Never: zones. A reading is the number of seconds from 1970-01-01 00:00:00 to the time on a wall clock.

use super::calendar::{DAY, Time, date_of, day_of, days_in_month, first_weekday, join, split};

/// How far a search looks ahead, in years. 29 February on a given weekday can be 40 years away (across 2100),
/// and the years of seven fields end within 131 of the first.
pub(super) const HORIZON_YEARS: i64 = 140;

pub(super) const ALL_HOURS: u64 = (1 << 24) - 1;
pub(super) const ALL_DAYS: u64 = 0xffff_fffe;
pub(super) const ALL_MONTHS: u64 = 0x1ffe;
pub(super) const ALL_WEEKDAYS: u64 = 0x7f;

/// The instants of a zone at which a reading fires, by the rule of Debian cron's main loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// Every instant at which a clock shows the reading: twice in a fold, never in a gap.
    RealTime,
    /// One instant for each reading: the first of two in a fold, the transition for a gap.
    WallClock,
    /// The first instant at which a clock shows the reading: the first of two in a fold, none in a gap. This
    /// is systemd's rule.
    FirstShown,
}

/// The years that an expression allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Years {
    All,
    Set {
        /// Bit n: the year `FIRST` + n.
        bits: [u64; 4],
        /// The last year that the dialect allows.
        last: i64,
    },
}

impl Years {
    /// The first year of every dialect that has years.
    pub(super) const FIRST: i64 = 1970;

    /// Returns a set of years of a dialect whose last is `last`.
    pub(super) fn set(years: impl Iterator<Item = i64>, last: i64) -> Self {
        let mut bits = [0; 4];
        for year in years {
            let bit = usize::try_from(year - Self::FIRST).expect("no dialect has earlier years");
            bits[bit / 64] |= 1 << (bit % 64);
        }
        Self::Set { bits, last }
    }

    pub(super) fn has(&self, year: i64) -> bool {
        match self {
            Self::All => true,
            Self::Set { bits, .. } => usize::try_from(year - Self::FIRST)
                .is_ok_and(|bit| bits.get(bit / 64).is_some_and(|word| word >> (bit % 64) & 1 == 1)),
        }
    }

    pub(super) fn last(&self) -> i64 {
        match self {
            Self::All => i64::MAX,
            Self::Set { last, .. } => *last,
        }
    }
}

/// A set of clock readings: every matching time of day on every matching day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Bits 0-59.
    pub(super) seconds: u64,
    /// Bits 0-59.
    pub(super) minutes: u64,
    /// Bits 0-23.
    pub(super) hours: u64,
    /// Bits 1-31.
    pub(super) days: u64,
    /// The days that count from the end of a month, for months of 28 to 31 days. `days` then has all of them.
    pub(super) last_days: Option<Box<[u64; 4]>>,
    /// Bits 1-12.
    pub(super) months: u64,
    /// Bits 0-6, 0 = Sunday.
    pub(super) weekdays: u64,
    /// Whether a day matches that is in one of `days` and `weekdays`, not in both.
    pub(super) either_day: bool,
    pub(super) years: Years,
    pub(super) follows: Follows,
}

/// Returns the lowest bit of `set` at or above `from`.
fn next_bit(set: u64, from: u32) -> Option<u32> {
    let rest = set & u64::MAX.checked_shl(from).unwrap_or(0);
    (rest != 0).then(|| rest.trailing_zeros())
}

/// Returns how many bits of `set` are below `end`.
fn bits_below(set: u64, end: u32) -> i64 {
    i64::from((set & !u64::MAX.checked_shl(end).unwrap_or(0)).count_ones())
}

pub(super) fn has(set: u64, bit: u32) -> bool {
    set >> bit & 1 == 1
}

impl Pattern {
    /// Returns the first reading at or after `from`, or `None` within `HORIZON_YEARS`.
    pub(super) fn next(&self, from: i64) -> Option<i64> {
        let (day, time) = split(from);
        if self.has_day(day)
            && let Some(time) = self.next_time(time)
        {
            return Some(join(day, time));
        }
        Some(join(self.next_day(day + 1)?, self.next_time((0, 0, 0)).expect("no set of times is empty")))
    }

    /// Returns the number of readings in `from..=to`.
    pub(super) fn count(&self, from: i64, to: i64) -> u64 {
        if from > to {
            return 0;
        }
        let ((first, from_time), (last, to_time)) = (split(from), split(to));
        let before = if self.has_day(first) { self.times_before(from_time) } else { 0 };
        let (hour, minute, second) = to_time;
        let upto = if self.has_day(last) { self.times_before((hour, minute, second + 1)) } else { 0 };
        let whole = self.count_days(first, last) * self.times_before((24, 0, 0));
        u64::try_from(whole - before + upto).expect("`from` is not after `to`")
    }

    /// Returns a reading that is after every matching one.
    pub(super) fn end(&self) -> i64 {
        match self.years {
            Years::All => i64::MAX,
            Years::Set { last, .. } => day_of((last + 1, 1, 1)) * DAY,
        }
    }

    /// Returns whether a reading is in the years of the dialect: 1970 to 2100 for six and seven fields, to
    /// 2199 for systemd's calendar.
    pub(super) fn covers(&self, reading: i64) -> bool {
        let (year, ..) = date_of(reading.div_euclid(DAY));
        self.years == Years::All || (Years::FIRST..=self.years.last()).contains(&year)
    }

    /// Returns whether any reading matches, in any year.
    pub(super) fn ever_matches(&self) -> bool {
        // There are fourteen kinds of year, by leap day and first weekday. 28 years within a century have
        // all.
        let (from, years) = match self.years {
            Years::All => (2001, 28),
            Years::Set { last, .. } => (Years::FIRST, last - Years::FIRST + 1),
        };
        (from..from + years).any(|year| (1..=12).any(|month| self.month_days(year, month) != 0))
    }

    fn has_day(&self, day: i64) -> bool {
        let (year, month, of_month) = date_of(day);
        has(self.month_days(year, month), of_month)
    }

    /// Returns the matching days of a month as bits 1-31.
    fn month_days(&self, year: i64, month: u32) -> u64 {
        if !has(self.months, month) || !self.years.has(year) {
            return 0;
        }
        // Mondays of a month that begins on a Wednesday (3), with the high bits on the left:
        //     weekdays     0000010                     Sa Fr Th We Tu Mo Su
        //     week         0100000                     Tu Mo Su Sa Fr Th We: bit 0 is the first of the month
        //     by_weekday   … 0100000 0100000 0         five weeks, moved up by one: days 6, 13, 20, 27, 34
        let first = first_weekday(year, month);
        let week = (self.weekdays >> first | self.weekdays << (7 - first)) & ALL_WEEKDAYS;
        let by_weekday = (week * 0x1020_4081) << 1;
        let length = days_in_month(year, month);
        let of_length = self.last_days.as_ref().map(|by_length| by_length[length as usize - 28]);
        let days = of_length.unwrap_or(self.days);
        let matching = if self.either_day { days | by_weekday } else { days & by_weekday };
        matching & ((2 << length) - 2)
    }

    fn next_day(&self, from: i64) -> Option<i64> {
        let (mut year, mut month, mut of_month) = date_of(from);
        let last = match self.years {
            Years::All => year + HORIZON_YEARS,
            Years::Set { last, .. } => last,
        };
        while year <= last {
            if let Some(found) = next_bit(self.month_days(year, month), of_month) {
                return Some(day_of((year, month, found)));
            }
            of_month = 1;
            match next_bit(self.months, month + 1) {
                Some(later) if self.years.has(year) => month = later,
                _ => {
                    year += 1;
                    month = next_bit(self.months, 1).expect("no set of months is empty");
                }
            }
        }
        None
    }

    /// Returns the number of matching days from `first` on, before `last`.
    fn count_days(&self, first: i64, last: i64) -> i64 {
        let (mut year, mut month, first_day) = date_of(first);
        let (last_year, last_month, last_day) = date_of(last);
        let mut count = -bits_below(self.month_days(year, month), first_day);
        while (year, month) < (last_year, last_month) {
            count += i64::from(self.month_days(year, month).count_ones());
            (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        }
        count + bits_below(self.month_days(year, month), last_day)
    }

    fn next_time(&self, (hour, minute, second): Time) -> Option<Time> {
        let first_second = self.seconds.trailing_zeros();
        let first_minute = self.minutes.trailing_zeros();
        if has(self.hours, hour) {
            if has(self.minutes, minute)
                && let Some(second) = next_bit(self.seconds, second)
            {
                return Some((hour, minute, second));
            }
            if let Some(minute) = next_bit(self.minutes, minute + 1) {
                return Some((hour, minute, first_second));
            }
        }
        next_bit(self.hours, hour + 1).map(|hour| (hour, first_minute, first_second))
    }

    /// Returns the number of matching times of day before the given one, which may be 24:00:00.
    fn times_before(&self, (hour, minute, second): Time) -> i64 {
        let per_minute = i64::from(self.seconds.count_ones());
        let per_hour = i64::from(self.minutes.count_ones()) * per_minute;
        let mut count = bits_below(self.hours, hour) * per_hour;
        if has(self.hours, hour) {
            count += bits_below(self.minutes, minute) * per_minute;
            if has(self.minutes, minute) {
                count += bits_below(self.seconds, second);
            }
        }
        count
    }
}
