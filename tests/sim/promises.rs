//! The promises one by one, each in its own small world, in which every invariant is checked too.

use taskq::domain::{End, Missed, MissedMode, Outcome, Overlap, QueueOrder, QueueRule, Span, Timestamp};
use taskq::engine::Retention;

use crate::chance::finish;
use crate::clients::{When, Wish};
use crate::keeper::Script;
use crate::rows::Row;
use crate::world::{DAY, HOUR, SECOND, Trace, World};

const MINUTE: u64 = 60 * SECOND;

/// A world on an ordinary Monday, with a daemon.
pub fn world() -> World {
    let mut world = World::new(1, "2026-06-01T00:00:00Z", Trace::default());
    world.start_daemon();
    world
}

fn rows(world: &World, job: i64) -> Vec<&Row> {
    world.audit.rows.values().filter(|row| row.job == job).collect()
}

/// Returns each run of a job: minutes from the world's beginning to when it was due, fires, outcome.
pub fn log(world: &World, job: i64) -> Vec<(i64, u64, Option<Outcome>)> {
    let begin: Timestamp = Timestamp::from_seconds(1_780_272_000);
    let minutes = |row: &Row| (row.scheduled_at.as_seconds() - begin.as_seconds()) / 60;
    rows(world, job).into_iter().map(|row| (minutes(row), row.fires, row.outcome)).collect()
}

fn outcomes(world: &World, job: i64) -> Vec<Option<Outcome>> {
    rows(world, job).into_iter().map(|row| row.outcome).collect()
}

/// A world in which a job was added, whose processes follow these scripts.
pub fn running<const N: usize>(scripts: [Script; N]) -> (World, i64) {
    let mut world = world();
    world.scripts.extend(scripts);
    let job = world.add(&Wish::at_once());
    (world, job)
}

/// Lets the world come to its end, in which the runs of a job have these outcomes.
fn ends(world: &mut World, job: i64, expected: &[Option<Outcome>]) {
    finish(world);
    assert_eq!(outcomes(world, job), expected);
}

pub const SUCCESS: Option<Outcome> = Some(Outcome::Success);

#[test]
fn a_fire_missed_by_three_days_runs_once_and_the_rest_is_one_row() {
    let mut world = world();
    world.scripts.extend([Script::lasting(1), Script::lasting(1)]);
    let job = world.add(&Wish::when(When::Cron("0 */6 * * *", None)));
    world.advance(7 * HOUR);
    world.kill_daemon();
    world.advance(3 * DAY);
    world.start_daemon();
    finish(&mut world);
    let missed = Some(Outcome::Missed);
    assert_eq!(log(&world, job), [(360, 1, SUCCESS), (720, 11, missed), (78 * 60, 1, SUCCESS)]);
}

#[test]
fn a_daemon_that_dies_between_commit_and_order_starts_the_run_once() {
    let mut world = world();
    // So that the keeper does not exit.
    world.scripts.push_back(Script::lasting(3_600));
    world.add(&Wish::at_once());
    for orders in 0..2 {
        world.scripts.push_back(Script::lasting(1));
        world.die_after_orders = Some(orders);
        let job = world.add(&Wish::at_once());
        assert!(world.daemon.is_none() && world.keeper.is_some());
        world.start_daemon();
        world.advance(MINUTE);
        assert_eq!(outcomes(&world, job), [SUCCESS], "after {orders} orders");
    }
    finish(&mut world);
}

#[test]
fn a_claim_that_an_idle_keeper_never_received_is_not_lost_when_that_keeper_exits() {
    let mut world = world();
    world.scripts.push_back(Script::lasting(1));
    world.die_after_orders = Some(0);
    let job = world.add(&Wish::at_once());
    world.advance(MINUTE);
    assert!(world.keeper.is_none(), "it had nothing left");
    world.start_daemon();
    ends(&mut world, job, &[SUCCESS]);
}

#[test]
fn a_run_outlives_its_daemon_and_keeps_its_status() {
    let (mut world, job) = running([Script { end: End::Exited(7), ..Script::lasting(600) }]);
    world.kill_daemon();
    world.advance(HOUR);
    world.start_daemon();
    finish(&mut world);
    let row = rows(&world, job)[0];
    assert_eq!((row.outcome, row.exit_code), (Some(Outcome::Failed), Some(7)));
    assert_eq!(row.finished_at.map(|at| at - row.started_at.expect("it ran")), Some(600 * SECOND as i64));
}

#[test]
fn a_run_whose_keeper_died_is_unattended_until_its_process_ends_and_only_then_lost() {
    let (mut world, job) = running([Script::lasting(600), Script::lasting(1)]);
    world.kill_keeper();
    world.run(job);
    world.advance(MINUTE);
    assert_eq!((rows(&world, job)[0].is_unattended, outcomes(&world, job)[0]), (true, None));
    world.advance(HOUR);
    ends(&mut world, job, &[Some(Outcome::Lost), SUCCESS]);
    let row = &rows(&world, job)[0];
    assert_eq!(row.finished_at.map(|at| at - row.started_at.expect("it ran")), Some(600 * SECOND as i64));
}

#[test]
fn an_unattended_run_is_reached_by_its_cancel_and_by_its_timeout() {
    for is_cancelled in [true, false] {
        let mut world = world();
        world.scripts.push_back(Script::lasting(6_000));
        let timeout = (!is_cancelled).then(|| Span::from_seconds(600));
        let mut wish = Wish::at_once();
        wish.job.policy.timeout = timeout;
        let job = world.add(&wish);
        world.advance(MINUTE);
        world.kill_keeper();
        world.advance(MINUTE);
        if is_cancelled {
            world.cancel_job(job);
        }
        world.advance(HOUR / 2);
        let expected = if is_cancelled { Outcome::Cancelled } else { Outcome::TimedOut };
        assert_eq!(outcomes(&world, job), [Some(expected)]);
        finish(&mut world);
    }
}

#[test]
fn runs_prefetched_by_a_keeper_that_died_are_queued_again() {
    let mut world = world();
    world.default_slots = 1;
    world.scripts.extend((0..40).map(|_| Script { lasts: 1_000, ..Script::lasting(1) }));
    let jobs: Vec<_> = (0..40).map(|_| world.add(&Wish::at_once())).collect();
    world.kill_keeper();
    finish(&mut world);
    let lost =
        jobs.iter().flat_map(|job| outcomes(&world, *job)).filter(|end| *end == Some(Outcome::Lost)).count();
    assert!(lost <= 1, "{lost} lost, of which one had begun");
}

#[test]
fn a_run_that_went_down_with_the_machine_is_lost_at_once() {
    let (mut world, job) = running([Script::lasting(600)]);
    world.advance(MINUTE);
    world.reboot();
    world.start_daemon();
    assert_eq!(outcomes(&world, job), [Some(Outcome::Lost)]);
    finish(&mut world);
}

#[test]
fn an_acknowledgement_that_died_with_a_daemon_is_sent_by_the_next() {
    let (mut world, job) = running([Script::lasting(60)]);
    world.die_after_orders = Some(0);
    world.advance(2 * MINUTE);
    world.die_after_orders = Some(0);
    world.advance(MINUTE);
    assert!(world.daemon.is_none());
    assert_eq!(world.keeper.as_ref().expect("it has a result").unacknowledged(), 1);
    world.start_daemon();
    ends(&mut world, job, &[SUCCESS]);
}

#[test]
fn a_stop_that_died_with_a_daemon_is_sent_by_the_next() {
    let (mut world, job) = running([Script::lasting(DAY / SECOND)]);
    let row = rows(&world, job)[0].clone();
    world.die_after_orders = Some(0);
    world.cancel_run(&row, false);
    world.start_daemon();
    world.advance(MINUTE);
    assert_eq!(outcomes(&world, job), [Some(Outcome::Cancelled)]);
}

#[test]
fn a_clock_set_back_doubles_no_fire() {
    let mut world = world();
    let job = world.add(&Wish::when(When::Cron("@hourly", None)).overlap(Overlap::Allow));
    world.advance(90 * MINUTE);
    world.kill_daemon();
    // Four fires are found late: three are one row, the fourth runs. No fire between the two has its own row.
    world.advance(4 * HOUR);
    world.start_daemon();
    world.step_clock(-5 * HOUR as i64);
    world.advance(8 * HOUR);
    finish(&mut world);
    let fires: Vec<i64> = log(&world, job).iter().map(|(minute, _, _)| minute / 60).collect();
    // They fire now that the clock is right. No instant fires twice.
    assert_eq!(fires, [1, 2, 5, 3, 4, 6, 7, 8]);
}

#[test]
fn a_run_that_ended_before_it_began_by_a_clock_that_was_set_back_took_no_time() {
    let mut world = world();
    world.set_queue("default", 1);
    world.order_queue("default", QueueRule { order: QueueOrder::Shortest, ..QueueRule::default() });
    world.scripts.extend([Script::lasting(60), Script::lasting(60)]);
    let job = world.add(&Wish::when(When::Cron("@hourly", None)));
    world.advance(HOUR + SECOND);
    world.step_clock(-10 * MINUTE as i64);
    world.advance(2 * HOUR);
    finish(&mut world);
    assert_eq!(log(&world, job)[..2], [(60, 1, SUCCESS), (120, 1, SUCCESS)]);
}

#[test]
fn a_calendar_without_a_zone_follows_the_systems_and_skips_what_its_clock_skips() {
    let mut world = World::new(1, "2026-03-27T12:00:00Z", Trace::default());
    world.start_daemon();
    let [own, system] =
        [Some("America/New_York"), None].map(|zone| world.add(&Wish::when(When::Calendar("02:30", zone))));
    world.set_zone("Europe/Berlin");
    world.advance(3 * DAY);
    finish(&mut world);
    let hours = |job: i64| -> Vec<String> {
        rows(&world, job).into_iter().take(2).map(|row| row.scheduled_at.to_string()).collect()
    };
    assert_eq!(hours(own), ["2026-03-28T06:30:00Z", "2026-03-29T06:30:00Z"]);
    // On 29 March the clock of Berlin goes from 2 to 3.
    assert_eq!(hours(system), ["2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z"]);
}

#[test]
fn a_new_zone_and_a_clock_set_back_a_little_do_not_stop_the_daemon() {
    let mut world = world();
    let job = world.add(&Wish::when(When::Cron("@hourly", None)).overlap(Overlap::Allow));
    world.advance(130 * MINUTE);
    world.step_clock(-100 * MINUTE as i64);
    world.set_zone("Europe/Berlin");
    world.advance(3 * HOUR);
    finish(&mut world);
    let fires: Vec<i64> = log(&world, job).iter().map(|(minute, _, _)| *minute).collect();
    assert_eq!(fires, [60, 120, 180]);
}

#[test]
fn a_fire_that_was_due_when_the_zone_changed_is_not_forgotten() {
    let mut world = world();
    world.scripts.push_back(Script::lasting(1));
    let job = world.add(&Wish::when(When::Cron("30 2 * * *", None)));
    world.kill_daemon();
    world.advance(3 * HOUR);
    world.set_zone("America/New_York");
    world.start_daemon();
    finish(&mut world);
    assert_eq!(log(&world, job), [(150, 1, SUCCESS)]);
}

#[test]
fn a_pause_is_one_skipped_row_even_of_a_boot() {
    let mut world = world();
    let jobs = ["@hourly", "@reboot"].map(|expr| world.add(&Wish::when(When::Cron(expr, None))));
    jobs.iter().for_each(|job| world.pause(*job));
    world.reboot();
    world.advance(5 * HOUR);
    world.start_daemon();
    jobs.iter().for_each(|job| world.resume(*job));
    finish(&mut world);
    let skipped = Some(Outcome::Skipped);
    assert_eq!(log(&world, jobs[0]), [(60, 5, skipped)]);
    assert_eq!(log(&world, jobs[1]), [(300, 1, skipped)]);
}

#[test]
fn overlap_decides_what_a_fire_does_beside_a_run() {
    let finished = [
        (Overlap::Skip, vec![SUCCESS, Some(Outcome::Skipped), SUCCESS]),
        (Overlap::Wait, vec![SUCCESS, SUCCESS, SUCCESS]),
        (Overlap::Allow, vec![SUCCESS, SUCCESS, SUCCESS]),
        (Overlap::Replace, vec![Some(Outcome::Cancelled), SUCCESS, SUCCESS]),
    ];
    for (overlap, expected) in finished {
        let mut world = world();
        world.scripts.extend([Script::lasting(90), Script::lasting(1), Script::lasting(1)]);
        let job = world.add(&Wish::when(When::Every(60)).overlap(overlap));
        world.advance(185 * SECOND);
        world.cancel_job(job);
        finish(&mut world);
        assert_eq!(outcomes(&world, job), expected, "{overlap}");
    }
}

#[test]
fn a_run_of_higher_priority_starts_before_those_that_were_prefetched() {
    let mut world = world();
    world.set_queue("default", 1);
    // After the brief one, two others are prefetched and wait for the long one.
    world.scripts.extend([Script { lasts: 1_000, ..Script::lasting(0) }, Script::lasting(60)]);
    let low: Vec<i64> = (0..4).map(|_| world.add(&Wish::at_once())).collect();
    world.advance(SECOND);
    assert_eq!(world.keeper.as_ref().expect("it lives").standing_by("default").len(), 2);
    world.scripts.extend([Script::lasting(60), Script::lasting(60), Script::lasting(60)]);
    let mut wish = Wish::at_once();
    wish.job.priority = 5;
    let high = world.add(&wish);
    world.advance(10 * MINUTE);
    finish(&mut world);
    let started = |job: i64| rows(&world, job)[0].started_at.expect("it ran");
    assert!(
        started(low[1]) < started(high)
            && started(high) < started(low[2])
            && started(low[2]) < started(low[3])
    );
}

#[test]
fn a_queue_made_wider_starts_prefetched_runs_at_once() {
    let mut world = world();
    world.set_queue("default", 1);
    world.scripts.push_back(Script { lasts: 1_000, ..Script::lasting(0) });
    world.scripts.extend([Script::lasting(60), Script::lasting(60), Script::lasting(60)]);
    (0..4).for_each(|_| {
        world.add(&Wish::at_once());
    });
    world.advance(SECOND);
    assert_eq!(world.keeper.as_ref().expect("it lives").running_in("default"), 1);
    world.set_queue("default", 3);
    assert_eq!(world.keeper.as_ref().expect("it lives").running_in("default"), 3);
}

#[test]
fn a_locked_database_changes_nothing_and_loses_no_result() {
    let (mut world, job) = running([Script::lasting(60)]);
    world.faults.busy = 1_000;
    world.advance(2 * MINUTE);
    assert_eq!(outcomes(&world, job), [None]);
    world.faults.busy = 0;
    ends(&mut world, job, &[SUCCESS]);
}

#[test]
fn a_run_is_stopped_although_that_cannot_be_committed() {
    let (mut world, job) = running([Script::lasting(DAY / SECOND)]);
    let row = rows(&world, job)[0].clone();
    world.faults.busy = 1_000;
    world.cancel_run(&row, false);
    world.advance(MINUTE);
    assert_eq!((outcomes(&world, job), world.ledger.ends[&row.attempt()].len()), (vec![None], 1));
    world.faults.busy = 0;
    ends(&mut world, job, &[Some(Outcome::Cancelled)]);
}

#[test]
fn a_year_of_fires_each_hour_is_accounted_for_through_gap_and_fold() {
    let mut world = world();
    world.set_zone("Europe/Berlin");
    let all = Missed { mode: MissedMode::All, within: None, grace: Span::from_seconds(60) };
    let mut wish = Wish::when(When::Cron("0 */12 * * *", None)).overlap(Overlap::Allow);
    wish.job.policy.missed = all;
    let job = world.add(&wish);
    for week in 0..52 {
        world.advance(7 * DAY);
        match week % 3 {
            0 => world.kill_daemon(),
            1 if world.daemon.is_none() => world.start_daemon(),
            _ => {}
        }
    }
    finish(&mut world);
    let fires: u64 = rows(&world, job).iter().map(|row| row.fires).sum();
    assert_eq!(fires, 52 * 7 * 2);
}

#[test]
fn old_runs_are_forgotten_once_a_day_but_not_the_last_failure_of_a_living_job() {
    let mut world = world();
    world.kill_daemon();
    world.retention = Retention { age_max: Span::from_micros(2 * DAY), runs_max: 30, ..Retention::default() };
    world.start_daemon();
    world.scripts.push_back(Script { end: End::Exited(1), ..Script::lasting(1) });
    world.scripts.extend(vec![Script::lasting(1); 200]);
    let hourly = world.add(&Wish::when(When::Cron("@hourly", None)));
    world.advance(90 * MINUTE);
    let once = world.add(&Wish::at_once());
    world.advance(DAY);
    assert_eq!(rows(&world, hourly).len(), 25);
    world.advance(5 * DAY);
    let numbers = |world: &World| rows(world, hourly).iter().map(|row| row.number).collect::<Vec<i64>>();
    let kept = numbers(&world);
    assert!(kept[0] == 1 && kept.len() > 30 && kept.len() < 1 + 30 + 25, "{kept:?}");
    assert!(!world.audit.jobs.contains(&once), "it went with its last run");
    world.scripts.clear();
    world.scripts.push_back(Script { end: End::Exited(1), ..Script::lasting(1) });
    world.advance(2 * DAY);
    assert!(numbers(&world)[0] > 1, "there is a later failure");
    finish(&mut world);
}
