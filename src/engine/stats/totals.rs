//! Owns: counts that only grow: runs that have ended, their run times and their lateness, by queue.
//! Never: windows of time (see `Tally`), the run log.
//!
//! Runs that leave the run log are added to stored totals, with the same function. So the sum of both stays
//! the same.

use std::collections::BTreeMap;

use super::{RunSample, RunTimes, seconds};
use crate::domain::{Outcome, Span};

/// The upper bounds of the buckets, from a tenth of a second to a day. A longer span has a bucket too.
const BOUNDS: [Span; 10] = [
    Span::from_millis(100),
    Span::from_seconds(1),
    Span::from_seconds(5),
    Span::from_seconds(15),
    Span::from_seconds(60),
    Span::from_seconds(5 * 60),
    Span::from_seconds(15 * 60),
    Span::from_seconds(3_600),
    Span::from_seconds(6 * 3_600),
    Span::from_seconds(86_400),
];

/// The bound of the last bucket: the longest span that the store can hold.
const ENDLESS: Span = Span::from_micros(i64::MAX as u64);

/// A class of spans, by its upper bound, which belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket(Span);

impl Bucket {
    /// Returns the bucket of a span. That of a bound which is no longer one is the next longer bucket.
    pub fn of(span: Span) -> Self {
        Self(BOUNDS.into_iter().find(|bound| span <= *bound).unwrap_or(ENDLESS))
    }

    pub fn bound(self) -> Span {
        self.0
    }

    fn all() -> impl Iterator<Item = Self> {
        BOUNDS.into_iter().chain([ENDLESS]).map(Self)
    }
}

/// A kind of runs that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TotalKind {
    pub outcome: Outcome,
    /// `None`: they had no process.
    pub run_time: Option<Bucket>,
    /// From the time of their fires to the starts of their first attempts.
    pub lateness: Option<Bucket>,
}

/// The runs of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// A row that stands for several fires counts as so many.
    pub runs: u64,
    /// The sum of their run times.
    pub run_time: Span,
    /// The sum of their lateness.
    pub lateness: Span,
}

impl Total {
    fn add(&mut self, other: Self) {
        let sum = |a: Span, b: Span| Span::from_micros(a.as_micros().saturating_add(b.as_micros()));
        self.runs = self.runs.saturating_add(other.runs);
        self.run_time = sum(self.run_time, other.run_time);
        self.lateness = sum(self.lateness, other.lateness);
    }
}

/// All runs that have ended, without callbacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals(BTreeMap<String, BTreeMap<TotalKind, Total>>);

impl Totals {
    /// Counts a row of the run log, each once and in any order. An unfinished run does not count.
    pub fn add(&mut self, run: &RunSample<'_>) {
        let Some(outcome) = run.outcome.filter(|_| !run.is_callback) else { return };
        let times = RunTimes::of(run);
        let lateness = times.began.map(|at| at.since(run.scheduled_at));
        let kind = TotalKind {
            outcome,
            run_time: times.run_time.map(Bucket::of),
            lateness: lateness.map(Bucket::of),
        };
        let total = Total {
            runs: run.fires,
            run_time: times.run_time.unwrap_or_default(),
            lateness: lateness.unwrap_or_default(),
        };
        self.join(run.queue, kind, total);
    }

    /// Adds runs of a kind.
    pub fn join(&mut self, queue: &str, kind: TotalKind, total: Total) {
        if !self.0.contains_key(queue) {
            self.0.insert(queue.to_owned(), BTreeMap::new());
        }
        let kinds = self.0.get_mut(queue).expect("it was inserted");
        kinds.entry(kind).or_default().add(total);
    }

    /// Returns the runs of each queue by kind.
    pub fn kinds(&self) -> impl Iterator<Item = (&str, TotalKind, Total)> {
        self.0
            .iter()
            .flat_map(|(queue, kinds)| kinds.iter().map(move |(kind, total)| (queue.as_str(), *kind, *total)))
    }

    /// Returns the queues that have had runs.
    pub fn queues(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns how many runs of a queue have ended so.
    pub fn ended(&self, queue: &str, outcome: Outcome) -> u64 {
        self.of_queue(queue).filter(|(kind, _)| kind.outcome == outcome).map(|(_, total)| total.runs).sum()
    }

    pub fn run_times(&self, queue: &str) -> Histogram {
        Histogram::new(self.of_queue(queue).map(|(kind, total)| (kind.run_time, total.runs, total.run_time)))
    }

    pub fn lateness(&self, queue: &str) -> Histogram {
        Histogram::new(self.of_queue(queue).map(|(kind, total)| (kind.lateness, total.runs, total.lateness)))
    }

    fn of_queue(&self, queue: &str) -> impl Iterator<Item = (&TotalKind, &Total)> {
        self.0.get(queue).into_iter().flatten()
    }
}

/// How many runs took how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    pub count: u64,
    pub sum_s: f64,
    /// The upper bound of each bucket, in seconds, and how many runs are in it and in no shorter one. The
    /// last bound is infinite.
    pub buckets: Vec<(f64, u64)>,
}

impl Histogram {
    fn new(parts: impl Iterator<Item = (Option<Bucket>, u64, Span)>) -> Self {
        let mut counts: BTreeMap<Bucket, u64> = Bucket::all().map(|bucket| (bucket, 0)).collect();
        let mut all = Total::default();
        for (bucket, runs, sum) in parts {
            let Some(bucket) = bucket else { continue };
            *counts.get_mut(&bucket).expect("`Bucket::of` makes no other") += runs;
            all.add(Total { runs, run_time: sum, lateness: Span::ZERO });
        }
        let bound = |bucket: Bucket| if bucket.0 == ENDLESS { f64::INFINITY } else { seconds(bucket.0) };
        let buckets = counts.into_iter().map(|(bucket, count)| (bound(bucket), count)).collect();
        Self { count: all.runs, sum_s: seconds(all.run_time), buckets }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{JobId, Timestamp};

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    /// A run that was due at 0, and started and finished at these microseconds.
    fn run(started: Option<i64>, finished: i64, outcome: Outcome) -> RunSample<'static> {
        RunSample {
            job: JobId(1),
            number: 1,
            is_callback: false,
            queue: "default",
            outcome: Some(outcome),
            fires: 1,
            scheduled_at: at(0),
            queued_at: at(0),
            first_started_at: started.map(at),
            started_at: started.map(at),
            finished_at: Some(at(finished)),
            earlier: Span::ZERO,
            place: None,
        }
    }

    fn totals<'a>(runs: impl IntoIterator<Item = &'a RunSample<'a>>) -> Totals {
        let mut totals = Totals::default();
        runs.into_iter().for_each(|run| totals.add(run));
        totals
    }

    #[test]
    fn a_span_that_is_a_bound_belongs_to_the_bucket_below_it() {
        let runs = [
            run(Some(100_000), 200_000, Outcome::Success),
            run(Some(100_001), 1_100_002, Outcome::Failed),
            run(Some(86_400_000_001), 86_400_000_001, Outcome::Success),
        ];
        let totals = totals(&runs);
        let (run_times, lateness) = (totals.run_times("default"), totals.lateness("default"));
        let filled = |histogram: &Histogram| -> Vec<(f64, u64)> {
            histogram.buckets.iter().copied().filter(|(_, count)| *count > 0).collect()
        };
        assert_eq!(filled(&run_times), [(0.1, 2), (5.0, 1)]);
        assert_eq!((run_times.count, run_times.sum_s), (3, 1.100_001));
        assert_eq!(filled(&lateness), [(0.1, 1), (1.0, 1), (f64::INFINITY, 1)]);
        assert_eq!(lateness.buckets.len(), BOUNDS.len() + 1);
        assert_eq!(totals.ended("default", Outcome::Success), 2);
        assert_eq!(totals.ended("other", Outcome::Success), 0);
    }

    #[test]
    fn a_fire_without_a_process_counts_in_no_histogram() {
        let missed = RunSample { fires: 7, ..run(None, 10, Outcome::Missed) };
        let totals = totals([&missed]);
        assert_eq!(totals.ended("default", Outcome::Missed), 7);
        assert_eq!((totals.run_times("default").count, totals.lateness("default").count), (0, 0));
    }

    #[test]
    fn callbacks_and_unfinished_runs_do_not_count() {
        let callback = RunSample { is_callback: true, ..run(Some(1), 2, Outcome::Success) };
        let running = RunSample { outcome: None, finished_at: None, ..run(Some(1), 2, Outcome::Success) };
        assert_eq!(totals([&callback, &running]), Totals::default());
    }

    #[test]
    fn lateness_ends_at_the_first_attempt_and_run_times_have_all() {
        let retried = RunSample {
            first_started_at: Some(at(2_000_000)),
            started_at: Some(at(60_000_000)),
            earlier: Span::from_seconds(3),
            ..run(Some(0), 61_000_000, Outcome::Success)
        };
        let totals = totals([&retried]);
        assert_eq!((totals.lateness("default").sum_s, totals.run_times("default").sum_s), (2.0, 4.0));
    }

    fn any_run() -> impl Strategy<Value = RunSample<'static>> {
        let times = (any::<Option<i64>>(), any::<i64>(), any::<i64>(), any::<u64>());
        let rest = (0..Outcome::ALL.len(), 1..3_u64, any::<bool>(), prop_oneof![Just("a"), Just("b")]);
        (times, rest).prop_map(
            |((started, finished, scheduled, earlier), (outcome, fires, is_callback, queue))| RunSample {
                is_callback,
                queue,
                fires,
                scheduled_at: at(scheduled),
                earlier: Span::from_micros(earlier),
                ..run(started, finished, Outcome::ALL[outcome])
            },
        )
    }

    proptest! {
        #[test]
        fn runs_count_as_much_once_they_are_summed_up(
            runs in proptest::collection::vec(any_run(), 0..20),
            split in 0..20_usize,
        ) {
            let (forgotten, left) = runs.split_at(split.min(runs.len()));
            let mut both = totals(left);
            for (queue, kind, total) in totals(forgotten).kinds() {
                both.join(queue, kind, total);
            }
            prop_assert_eq!(both, totals(&runs));
        }
    }
}
