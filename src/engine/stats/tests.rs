//! Owns: tests of the arithmetic of statistics.
//! Never: the run log.

use proptest::prelude::*;

use super::numbers::percentile;
use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn span(seconds: u64) -> Span {
    Span::from_seconds(seconds)
}

/// A run of job 1 that was queued, started and finished at these seconds.
fn run(queued: i64, started: Option<i64>, finished: Option<(i64, Outcome)>) -> RunSample<'static> {
    RunSample {
        job: JobId(1),
        number: 1,
        is_callback: false,
        queue: "default",
        outcome: finished.map(|(_, outcome)| outcome),
        fires: 1,
        scheduled_at: at(queued),
        queued_at: at(queued),
        first_started_at: started.map(at),
        started_at: started.map(at),
        finished_at: finished.map(|(seconds, _)| at(seconds)),
        earlier: Span::ZERO,
        place: None,
    }
}

fn success(queued: i64, started: i64, finished: i64) -> RunSample<'static> {
    run(queued, Some(started), Some((finished, Outcome::Success)))
}

/// The statistics of the seconds from 0 to `now`.
fn stats(now: i64, runs: &[RunSample<'_>]) -> Stats {
    let mut tally = Tally::new(Window { since: at(0), now: at(now), queue: None }, Vec::new());
    runs.iter().for_each(|run| tally.add(run));
    tally.finish(usize::MAX, |_| 0)
}

#[track_caller]
fn assert_near(found: Option<f64>, wanted: f64) {
    let found = found.expect("it is known");
    assert!((found - wanted).abs() <= 1e-9 * wanted.abs().max(1.0), "{found} is not {wanted}");
}

#[test]
fn rates_and_times_are_those_of_the_textbook() {
    let stats = stats(100, &[success(0, 10, 20), success(10, 20, 50), success(60, 60, 80)]);
    assert_near(stats.arrival_rate, 0.03);
    assert_near(stats.service_rate, 1.0 / 20.0);
    assert_near(stats.all.utilisation(&stats.window, 2), 0.3);
    assert_eq!(stats.wait, Some(MeanAndP95 { mean: Span::from_micros(6_666_666), p95: span(10) }));
    assert_eq!(stats.run_time, Some(MeanAndP95 { mean: span(20), p95: span(30) }));
    assert_eq!(stats.all.response.sum(), span(80));
    assert_near(stats.mean_present, 0.8);
    assert_near(stats.all.success_rate(), 1.0);
}

#[test]
fn a_percentile_is_the_one_of_the_nearest_rank() {
    for (count, percent, wanted) in [
        (1, 95, 1),
        (2, 95, 2),
        (19, 95, 19),
        (20, 95, 19),
        (21, 95, 20),
        (100, 95, 95),
        (101, 95, 96),
        (5, 50, 3),
    ] {
        let mut spans: Vec<Span> = (1..=count).rev().map(span).collect();
        assert_eq!(percentile(&mut spans, percent), Some(span(wanted)), "{percent} of {count}");
    }
    assert_eq!(percentile(&mut [], 95), None);
}

#[test]
fn nothing_is_known_of_an_empty_window() {
    let stats = stats(0, &[]);
    assert!(stats.is_empty() && stats.jobs.is_empty());
    assert_eq!((stats.arrival_rate, stats.service_rate, stats.mean_present), (None, None, None));
    assert_eq!((stats.wait, stats.run_time, stats.weighted_response), (None, None, None));
    assert_eq!((stats.all.success_rate(), stats.little()), (None, None));
}

#[test]
fn what_has_not_run_counts_in_no_time() {
    let none = |outcome, fires| RunSample { fires, ..run(10, None, Some((10, outcome))) };
    let stats = stats(
        100,
        &[
            none(Outcome::Missed, 7),
            none(Outcome::Skipped, 2),
            none(Outcome::Cancelled, 3),
            none(Outcome::SpawnFailed, 1),
            success(20, 20, 30),
            run(40, Some(50), None),
            run(90, None, None),
        ],
    );
    let count = |outcome| stats.outcomes.get(&outcome).copied();
    assert_eq!((count(Outcome::Missed), count(Outcome::Skipped)), (Some(7), Some(2)));
    assert_eq!((count(Outcome::Cancelled), count(Outcome::Success), stats.unfinished), (Some(3), Some(1), 2));
    assert_eq!((stats.ended(), stats.all.runs), (5, 7));
    assert_eq!((stats.all.arrived, stats.all.run_time.count, stats.all.wait.count), (3, 1, 2));
    assert_near(stats.all.success_rate(), 0.5);
    assert_near(stats.mean_present, (10.0 + 60.0 + 10.0) / 100.0);
}

#[test]
fn a_retried_run_is_one_with_the_time_of_all_its_attempts() {
    let retried = RunSample { started_at: Some(at(50)), earlier: span(5), ..success(0, 10, 60) };
    let stats = stats(100, &[retried]);
    assert_eq!((stats.all.arrived, stats.all.failed), (1, 0));
    assert_eq!((stats.all.wait.mean(), stats.all.run_time.mean()), (Some(span(10)), Some(span(15))));
    assert_eq!(stats.all.response.mean(), Some(span(60)));
}

#[test]
fn callbacks_other_queues_and_older_runs_do_not_count() {
    let window = Window { since: at(50), now: at(100), queue: Some("a".parse().expect("a name")) };
    let mut tally = Tally::new(window, vec![at(0), at(60), at(90)]);
    let of_a = RunSample { queue: "a", number: 4, ..success(60, 60, 70) };
    for run in [
        RunSample { queued_at: at(40), number: 1, ..of_a },
        RunSample { is_callback: true, number: 2, ..of_a },
        RunSample { queue: "b", number: 3, ..of_a },
        of_a,
        RunSample { queued_at: at(95), number: 8, ..of_a },
    ] {
        tally.add(&run);
    }
    let seen = SeenJob { job: JobId(1), first: 1, has_gap: true, begins_late: false };
    assert_eq!(tally.seen().collect::<Vec<_>>(), [seen], "5, 6 and 7 are gone");
    assert_eq!((tally.queue("a").map(|flow| flow.arrived), tally.queue("b")), (Some(2), None));
    let stats = tally.finish(usize::MAX, |_| 0);
    assert_eq!(stats.outcomes, BTreeMap::from([(Outcome::Success, 2)]));
    assert_eq!(stats.runs_of_days, [0, 1, 1]);
}

#[test]
fn hosts_have_the_runs_of_the_window_and_the_time_of_their_latest_attempts() {
    let place = |host: &str| FarPlace { executor: "big".parse().expect("a name"), host: host.to_owned() };
    let (a, b) = (place("a"), place("b"));
    let window = Window { since: at(50), now: at(100), queue: Some("a".parse().expect("a name")) };
    let mut tally = Tally::new(window, Vec::new());
    let on_a = RunSample { queue: "a", place: Some(&a), ..success(60, 60, 70) };
    for run in [
        RunSample { queued_at: at(40), ..on_a },
        RunSample { queue: "b", ..on_a },
        RunSample { place: None, ..on_a },
        RunSample { earlier: span(5), ..on_a },
        RunSample { outcome: Some(Outcome::Lost), finished_at: Some(at(90)), ..on_a },
        RunSample { outcome: None, finished_at: None, place: Some(&b), ..on_a },
    ] {
        tally.add(&run);
    }
    let hosts = tally.finish(usize::MAX, |_| 0).hosts;
    assert_eq!(hosts.keys().collect::<Vec<_>>(), [&a, &b]);
    assert_eq!((hosts[&a].runs, hosts[&a].mean()), (2, Some(span(20))));
    assert_eq!((hosts[&b].runs, hosts[&b].mean(), hosts[&b].success_rate()), (1, None, None));
    assert_near(hosts[&a].success_rate(), 0.5);
}

#[test]
fn a_job_whose_first_run_comes_late_may_have_had_others() {
    for (queued, begins_late) in [(5, false), (40, true)] {
        let mut tally = Tally::new(Window { since: at(0), now: at(60), queue: None }, Vec::new());
        (0..4).for_each(|number| tally.add(&RunSample { number, ..success(queued + number, 50, 51) }));
        assert_eq!(tally.seen().map(|seen| seen.begins_late).collect::<Vec<_>>(), [begins_late], "{queued}");
    }
}

#[test]
fn a_high_priority_weighs_more_and_shares_are_of_the_run_time() {
    let runs = [success(0, 0, 10), RunSample { job: JobId(2), ..success(0, 0, 30) }];
    let mut tally = Tally::new(Window { since: at(0), now: at(100), queue: None }, Vec::new());
    runs.iter().for_each(|run| tally.add(run));
    let weighted = |priority: i64| {
        let stats = tally.clone().finish(usize::MAX, |job| if job == JobId(1) { priority } else { 0 });
        stats.weighted_response
    };
    assert_eq!((weighted(0), weighted(-100)), (Some(span(20)), Some(Span::from_micros(29_803_921))));
    let stats = tally.clone().finish(usize::MAX, |_| 0);
    let shares: Vec<_> = stats.jobs.iter().map(|job| (job.job.0, job.share)).collect();
    assert_eq!(shares, [(2, Some(0.75)), (1, Some(0.25))]);
}

#[test]
fn a_run_is_expected_to_take_as_long_as_those_of_its_job_or_queue() {
    let mut tally = Tally::new(Window { since: at(0), now: at(100), queue: None }, Vec::new());
    tally.add(&success(0, 0, 10));
    tally.add(&run(0, Some(0), Some((90, Outcome::Failed))));
    assert_eq!(tally.expected(JobId(1), "default"), Some(span(10)));
    assert_eq!(tally.expected(JobId(2), "default"), Some(span(10)));
    assert_eq!(tally.expected(JobId(2), "other"), None);
}

#[test]
fn a_backlog_is_drained_by_as_many_slots_as_it_can_use() {
    let waiting = |job, count, at_once| WaitingWork { job: JobId(job), count, at_once };
    let running = |job, elapsed| RunningWork { job: JobId(job), elapsed: span(elapsed) };
    // Runs of job 1 take 10 s, those of job 2 take 60 s; nothing is known of others.
    let expected = |job: JobId| [(1, 10), (2, 60)].iter().find(|(id, _)| *id == job.0).map(|(_, s)| span(*s));
    for (waits, runs, slots, work, drained) in [
        (vec![], vec![], 2, 0, Some(0)),
        (vec![], vec![], 0, 0, Some(0)),
        (vec![waiting(1, 8, None)], vec![], 2, 80, Some(40)),
        (vec![waiting(1, 8, Some(1))], vec![], 2, 80, Some(80)),
        (vec![waiting(1, 2, None)], vec![], 8, 20, Some(10)),
        (vec![waiting(1, 2, None), waiting(2, 1, None)], vec![], 8, 80, Some(60)),
        (vec![waiting(1, 8, None)], vec![], 0, 80, None),
        (vec![], vec![running(2, 45), running(1, 45)], 2, 15, Some(15)),
        (vec![waiting(1, 1, None), waiting(3, 5, None)], vec![running(3, 1)], 2, 10, None),
    ] {
        let work_of = Work { waiting: waits, running: runs };
        let found = backlog(&work_of, slots, expected);
        assert_eq!(
            (found.work, found.drained_in),
            (span(work), drained.map(span)),
            "{work_of:?}, {slots} slots"
        );
    }
    let late = Work { waiting: vec![], running: vec![running(1, 11), running(2, 61)] };
    let late = backlog(&late, 2, expected);
    assert_eq!((late.late, late.work, late.drained_in), (2, Span::ZERO, None));
    let unknown =
        backlog(&Work { waiting: vec![waiting(3, 5, None)], running: vec![running(3, 1)] }, 2, expected);
    assert_eq!((unknown.waiting, unknown.running, unknown.unknown), (5, 1, 6));
}

/// The mean number of runs that are there, by a walk over arrivals and departures.
fn swept(length: i64, runs: &[RunSample<'_>]) -> f64 {
    let arrivals = runs.iter().map(|run| (run.queued_at, 1));
    let departures = runs.iter().map(|run| (run.finished_at.expect("it has ended"), -1));
    let mut events: Vec<(Timestamp, i64)> = arrivals.chain(departures).collect();
    events.sort();
    let (mut area, mut present, mut last) = (0.0, 0, at(0));
    for (instant, change) in events {
        area += seconds(instant.since(last)) * present as f64;
        present += change;
        last = instant;
    }
    area / length as f64
}

proptest! {
    #[test]
    fn littles_law_holds_for_any_runs_that_end_within_the_window(
        spans in proptest::collection::vec((0_i64..1_000, 0_i64..300, 0_i64..300), 1..60),
    ) {
        let runs: Vec<RunSample<'_>> = spans
            .into_iter()
            .map(|(queued, wait, took)| success(queued, queued + wait, queued + wait + took))
            .collect();
        let stats = stats(2_000, &runs);
        let swept = swept(2_000, &runs);
        // W is a whole number of microseconds.
        prop_assert!((stats.little().expect("there are runs") - swept).abs() < 1e-6);
        prop_assert!((stats.mean_present.expect("the window has a length") - swept).abs() < 1e-9);
    }

    #[test]
    fn half_of_the_spans_or_more_do_not_exceed_the_median(
        spans in proptest::collection::vec(0_u64..50, 1..40), percent in 1_usize..=100,
    ) {
        let mut spans: Vec<Span> = spans.into_iter().map(span).collect();
        let found = percentile(&mut spans, percent).expect("there are some");
        let below = |limit: &dyn Fn(Span) -> bool| spans.iter().filter(|span| limit(**span)).count() * 100;
        prop_assert!(below(&|span| span <= found) >= percent * spans.len());
        prop_assert!(below(&|span| span < found) < percent * spans.len());
    }
}
