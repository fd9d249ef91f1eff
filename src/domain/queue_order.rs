//! Owns: the order in which a queue starts what waits in it: the rank of a run, fixed when it is queued.
//! Never: choosing among the runs (see `engine`), reading what is known of them (see `store`).
//!
//! A rank is an instant, in microseconds since the epoch, and the lowest starts first. What is queued late
//! enough comes after it: nothing starves, but under a strict priority.

use std::fmt;

use super::run::words;
use super::{Span, Timestamp};

/// What a queue starts first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum QueueOrder {
    /// What was queued first; a point of priority is worth some waiting.
    #[default]
    Fifo,
    /// What is expected to be over first; time that it has waited counts too.
    Shortest,
    /// What has to be finished first.
    Deadline,
}

words!(QueueOrder { Fifo = "fifo", Shortest = "shortest", Deadline = "deadline" });

/// How much waiting a point of priority is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Aging {
    After(Span),
    /// No waiting makes up for it: a higher priority always starts first.
    Never,
}

impl Aging {
    /// The greatest span: a hundred points of it are an instant that a rank can hold.
    pub const MAX: Span = Span::from_seconds(100 * 365 * 86_400);

    /// In microseconds: 2,283 years, of which a hundred are not too large for a rank.
    const STRICT: i64 = 1 << 56;

    fn micros(self) -> i64 {
        match self {
            Self::After(span) => span.as_micros().min(Self::MAX.as_micros()).cast_signed(),
            Self::Never => Self::STRICT,
        }
    }

    /// Returns the span; `None`: never.
    pub fn span(self) -> Option<Span> {
        match self {
            Self::After(span) => Some(span),
            Self::Never => None,
        }
    }
}

impl Default for Aging {
    fn default() -> Self {
        Self::After(Span::from_seconds(60))
    }
}

impl From<Option<Span>> for Aging {
    fn from(span: Option<Span>) -> Self {
        span.map_or(Self::Never, Self::After)
    }
}

impl fmt::Display for Aging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(span) => write!(f, "{span}"),
            Self::Never => f.write_str("never"),
        }
    }
}

/// How a queue ranks what waits in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct QueueRule {
    pub order: QueueOrder,
    pub aging: Aging,
}

/// What counts for the rank of the runs of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RankFacts {
    pub priority: i32,
    /// How long a run is expected to take; `None`: nothing is known.
    pub expected: Option<Span>,
    /// `--finish-by`
    pub finish_by: Option<Span>,
}

/// The rank of the runs of a job: an instant that each run has, and what is added to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank {
    pub from: RankFrom,
    /// In microseconds.
    pub offset: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RankFrom {
    QueuedAt,
    ScheduledAt,
}

impl Rank {
    pub fn at(self, queued_at: Timestamp, scheduled_at: Timestamp) -> i64 {
        let from = match self.from {
            RankFrom::QueuedAt => queued_at,
            RankFrom::ScheduledAt => scheduled_at,
        };
        from.as_micros().saturating_add(self.offset)
    }
}

impl QueueRule {
    /// Under `shortest`, a run is overtaken by what is queued within so many times its expected duration.
    pub const SHORTEST_FACTOR: f64 = 10.0;

    /// Under `shortest`, so many points of priority make a run count as half as long.
    pub const POINTS_OF_HALF: f64 = 10.0;

    /// Under `deadline`, a job without `--finish-by` has so long.
    pub const FINISH_BY: Span = Span::from_seconds(86_400);

    /// Ranks the runs of a job.
    ///
    /// `fifo` is first come, first served, with linear aging. `shortest` is Smith's rule (Naval Research
    /// Logistics Quarterly 3, 1956: by duration over weight), in which the time of arrival counts too, so
    /// that long runs do not starve. `deadline` is earliest deadline first (Liu and Layland, 1973).
    pub fn rank(self, facts: RankFacts) -> Rank {
        match self.order {
            QueueOrder::Fifo => {
                let offset = -i64::from(facts.priority).saturating_mul(self.aging.micros());
                Rank { from: RankFrom::QueuedAt, offset }
            }
            QueueOrder::Shortest => {
                let expected = facts.expected.unwrap_or(Span::ZERO).as_micros() as f64;
                let weight = (f64::from(facts.priority) / Self::POINTS_OF_HALF).exp2();
                let offset = expected * Self::SHORTEST_FACTOR / weight;
                let offset = offset.min(Aging::STRICT as f64) as i64;
                Rank { from: RankFrom::QueuedAt, offset }
            }
            QueueOrder::Deadline => {
                let offset = facts.finish_by.unwrap_or(Self::FINISH_BY).as_micros();
                let offset = i64::try_from(offset).unwrap_or(i64::MAX).min(Aging::STRICT);
                Rank { from: RankFrom::ScheduledAt, offset }
            }
        }
    }
}

/// The rank of a callback, which is before that of any other run.
pub const CALLBACK_RANK: i64 = i64::MIN;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds(NOW + second)
    }

    fn seconds(seconds: u64) -> Span {
        Span::from_seconds(seconds)
    }

    /// Returns the second at which a run is ranked that is queued, and due, at `second`.
    fn ranked(rule: QueueRule, facts: RankFacts, second: i64) -> i64 {
        rule.rank(facts).at(at(second), at(second)) / 1_000_000 - NOW
    }

    fn of(priority: i32) -> RankFacts {
        RankFacts { priority, ..RankFacts::default() }
    }

    #[test]
    fn a_point_of_priority_is_worth_its_aging_of_waiting() {
        let rule = QueueRule::default();
        assert_eq!(ranked(rule, of(0), 7), 7);
        assert_eq!(ranked(rule, of(3), 180), 0);
        assert_eq!(ranked(rule, of(-1), 0), 60);
        let rule = QueueRule { aging: Aging::After(seconds(3_600)), ..rule };
        assert_eq!(ranked(rule, of(1), 3_600), 0);
        let rule = QueueRule { aging: Aging::After(Span::ZERO), ..rule };
        assert_eq!(ranked(rule, of(100), 5), 5, "first come, first served");
    }

    #[test]
    fn a_strict_priority_is_before_any_waiting() {
        let rule = QueueRule { aging: Aging::Never, ..QueueRule::default() };
        let a_thousand_years = 1_000 * 365 * 86_400;
        let late = rule.rank(of(1)).at(at(a_thousand_years), at(0));
        let early = rule.rank(of(0)).at(at(-a_thousand_years), at(0));
        assert!(late < early && CALLBACK_RANK < rule.rank(of(100)).at(at(-a_thousand_years), at(0)));
    }

    #[test]
    fn the_shortest_starts_first_and_is_overtaken_for_a_known_time() {
        let rule = QueueRule { order: QueueOrder::Shortest, ..QueueRule::default() };
        let facts = |second, priority| RankFacts { expected: Some(seconds(second)), ..of(priority) };
        assert_eq!(ranked(rule, facts(60, 0), 0), 600);
        assert_eq!(ranked(rule, facts(1, 0), 589), 599, "the last one of a second that is before a minute");
        assert_eq!(ranked(rule, facts(60, 10), 0), 300);
        assert_eq!(ranked(rule, facts(60, -10), 0), 1_200);
        assert_eq!(ranked(rule, of(0), 5), 5, "nothing is known");
    }

    #[test]
    fn the_earliest_deadline_starts_first() {
        let rule = QueueRule { order: QueueOrder::Deadline, ..QueueRule::default() };
        let facts = |second| RankFacts { finish_by: Some(seconds(second)), ..of(50) };
        assert_eq!(ranked(rule, facts(3_600), 0), 3_600);
        assert_eq!(ranked(rule, of(0), 0), 86_400);
        let late = rule.rank(facts(60)).at(at(500), at(0));
        assert_eq!(late, at(60).as_micros(), "from the time at which it was due");
    }

    proptest! {
        /// What is queued later than the rank of a run is ranked after it, whatever the rule and the job.
        #[test]
        fn no_rank_is_beyond_its_bound(
            order in prop::sample::select(QueueOrder::ALL),
            aging in 0_u64..100_000,
            priority in -100..=100,
            expected in prop::option::of(0_u64..10_000_000),
            finish_by in prop::option::of(0_u64..10_000_000),
        ) {
            let rule = QueueRule { order, aging: Aging::After(seconds(aging)) };
            let (expected, finish_by) = (expected.map(seconds), finish_by.map(seconds));
            let facts = RankFacts { priority, expected, finish_by };
            let rank = ranked(rule, facts, 0);
            let bound = match order {
                QueueOrder::Fifo => 100.0 * aging as f64,
                QueueOrder::Shortest => {
                    10_240.0 * expected.unwrap_or(Span::ZERO).as_micros() as f64 / 1_000_000.0
                }
                QueueOrder::Deadline => {
                    finish_by.unwrap_or(QueueRule::FINISH_BY).as_micros() as f64 / 1_000_000.0
                }
            };
            prop_assert!((rank as f64) <= bound + 1.0, "{} > {}", rank, bound);
        }
    }
}
