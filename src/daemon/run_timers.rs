//! Owns: tests of turns in which triggers look at runs under way: `--on job,overdue` and `silent`.
//! Never: what a look finds (see `engine`), the code that they test (see `turn`).

use std::cell::Cell;
use std::path::Path;

use tempfile::TempDir;

use super::catch_up::{Beginning, begin, resume_job};
use super::order::RunFiles;
use super::turn::{TurnInput, turn};
use crate::domain::{
    Array, CommandLine, Counter, End, EventSource, EventTrigger, Execution, Indices, JobId, JobPattern,
    JobSource, JobStage, MachineSize, NewJob, Occurrence, Outcome, RunId, Span, Timestamp, TriggerSpec,
};
use crate::engine::{GateFacts, after_end};
use crate::keeper::protocol::{Attempt, Ended, FromKeeper, KeeperId, Known, PROTOCOL_VERSION, ToKeeper};
use crate::schedule::Zone;
use crate::store::{Act, EndedOutput, FirstFire, Store, StoreError, Writer};

const KEEPER: KeeperId = KeeperId { instance: 7, version: PROTOCOL_VERSION };

/// The first moment of each test.
const FIRST: i64 = 1_772_000_000;

fn seconds(seconds: u64) -> Span {
    Span::from_seconds(seconds)
}

/// A store with a daemon and a keeper, at a time that is stepped.
struct World {
    _dir: TempDir,
    store: Store,
    now: Timestamp,
    has_keeper: bool,
    /// When every run has last written.
    written_at: Option<Timestamp>,
    /// How often somebody has looked at an output.
    looks: Cell<usize>,
    /// The attempts that were ordered.
    ordered: Vec<Attempt>,
    deadline: Option<Timestamp>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(dir.path()).expect("the directory is ours");
        Self {
            _dir: dir,
            store,
            now: Timestamp::from_seconds(FIRST),
            has_keeper: true,
            written_at: None,
            looks: Cell::new(0),
            ordered: Vec::new(),
            deadline: None,
        }
    }

    fn write<T>(&mut self, write: impl Fn(&Writer<'_>) -> T) -> T {
        let now = self.now;
        let written = self.store.write(Act::of_daemon(now), |writer| {
            let answer = write(writer);
            writer.follow_up(after_end, now)?;
            Ok::<_, StoreError>(answer)
        });
        written.expect("the store is whole")
    }

    fn add(&mut self, job: &NewJob, triggers: &[FirstFire]) -> JobId {
        let now = self.now;
        self.write(|writer| writer.add_job(job, triggers, None, now).expect("it is a good job"))
    }

    /// Adds a job that is to be looked at, and has a run at once.
    fn add_work(&mut self) -> JobId {
        self.add(&job("work"), &[])
    }

    /// Adds a job that listens to the others, by a pattern.
    fn add_alarm(&mut self, name: &str, stage: JobStage) -> JobId {
        let source = EventSource::Job(JobSource { jobs: JobPattern::Names("*".to_owned()), stage });
        let spec = TriggerSpec::Event(EventTrigger { source, counter: Counter::default() });
        self.add(&job(name), &[FirstFire { spec, next_at: None, boot_id: None, marks: None }])
    }

    fn turn(&mut self, reports: &[FromKeeper]) {
        let zone = Zone::utc();
        let last_output = |_| {
            self.looks.set(self.looks.get() + 1);
            self.written_at
        };
        let input = TurnInput {
            now: self.now,
            system_zone: &zone,
            default_slots: 100,
            machine: MachineSize { cpus: 1, memory: 1 << 30 },
            keeper: self.has_keeper.then_some(KEEPER),
            living_keepers: &[],
            ended_keepers: &[],
            pipes: &[],
            reports,
            far: &[],
            requests: &[],
            news: &[],
            states: None,
            has_hung_up: &|_| false,
            output: &|_, _| EndedOutput::default(),
            result: &|_| Ok(None),
            last_output: &last_output,
            gates: &GateFacts::default(),
            environ: &|_| Vec::new(),
            is_sealed: false,
            files: RunFiles { results: Path::new("/"), events: Path::new("/") },
            mailer: None,
        };
        let done = turn(&mut self.store, &input).expect("the store is whole");
        let starts = done.orders.iter().filter_map(|order| match order {
            ToKeeper::Start(start, _) => Some(start.attempt),
            _ => None,
        });
        self.ordered.extend(starts);
        self.deadline = done.deadline;
    }

    /// Takes a turn, and reports the start of all that it orders.
    fn start_ordered(&mut self) {
        self.turn(&[]);
        let at = self.now;
        let started = |attempt| FromKeeper::Started { attempt, pid: 1, at };
        let reports: Vec<FromKeeper> = self.ordered.drain(..).map(started).collect();
        self.turn(&reports);
    }

    fn pass(&mut self, span: u64) {
        self.now = self.now + seconds(span);
    }

    /// Takes a turn so many seconds later.
    fn turn_after(&mut self, span: u64) {
        self.pass(span);
        self.turn(&[]);
    }

    /// Returns the seconds until the next turn.
    fn next(&self) -> Option<u64> {
        self.deadline.map(|at| at.since(self.now).as_micros() / 1_000_000)
    }

    fn end(&mut self, run: RunId, attempt: u32, status: i32) {
        let attempt = Attempt::of_run(run, attempt);
        let ended = Ended {
            pid: 1,
            started_at: Some(self.now),
            ..Ended::without_process(attempt, End::Exited(status), self.now)
        };
        self.turn(&[FromKeeper::Ended(ended)]);
    }

    /// Returns the names of the events of each run of a job.
    fn heard(&mut self, job: JobId) -> Vec<String> {
        let occurrences = self.occurrences(job);
        occurrences.into_iter().map(|occurrence| occurrence.name).collect()
    }

    fn occurrences(&mut self, job: JobId) -> Vec<Occurrence> {
        let read = self.store.read(|reader| {
            let mut heard = Vec::new();
            for number in 1..=reader.latest_run(job)? {
                let events = reader.events_of_run(RunId { job, number })?.expect("an event made it");
                heard.extend(events.occurrences.into_iter().map(|(_, occurrence)| occurrence));
            }
            Ok::<_, StoreError>(heard)
        });
        read.expect("the store is whole")
    }

    /// Returns how many triggers are to look at runs.
    fn timers(&mut self) -> usize {
        let count = self.store.read(|reader| Ok::<_, StoreError>(reader.run_timers()?.len()));
        count.expect("the store is whole")
    }
}

fn job(name: &str) -> NewJob {
    let job = NewJob::of(Execution::of(CommandLine::Script(b"true".to_vec())));
    NewJob { name: Some(name.parse().expect("a name")), ..job }
}

fn run(job: JobId, number: i64) -> RunId {
    RunId { job, number }
}

#[test]
fn a_run_is_overdue_once_at_its_time_and_without_a_look_at_its_output() {
    let mut world = World::new();
    let alarm = world.add_alarm("alarm", JobStage::Overdue(Some(seconds(60))));
    let work = world.add_work();
    world.start_ordered();
    assert_eq!(world.next(), Some(60));
    world.turn_after(59);
    assert_eq!(world.heard(alarm), [""; 0]);
    world.turn_after(1);
    assert_eq!((world.ordered.len(), world.next()), (1, None));
    let heard = world.occurrences(alarm);
    let data = r#"{"job":"work","job_id":2,"run":"2.1","running_ms":60000,"state":"overdue"}"#;
    assert_eq!(heard[0].data.as_deref(), Some(data));
    assert_eq!((heard.len(), heard[0].name.as_str(), heard[0].at), (1, "work.1", world.now));
    world.turn_after(10_000);
    assert_eq!((world.heard(alarm).len(), world.looks.get(), world.next()), (1, 0, None));
    world.end(run(work, 1), 1, 0);
    assert_eq!(world.timers(), 0);
}

#[test]
fn a_run_that_ends_in_time_is_not_overdue_and_leaves_no_wake_up() {
    let mut world = World::new();
    let alarm = world.add_alarm("alarm", JobStage::Overdue(Some(seconds(60))));
    let work = world.add_work();
    world.start_ordered();
    world.pass(61);
    // The report came in while the daemon was busy, or away.
    world.end(run(work, 1), 1, 0);
    assert_eq!((world.heard(alarm).len(), world.timers(), world.next()), (0, 0, None));
}

#[test]
fn each_attempt_has_its_own_time_and_a_run_is_overdue_only_once() {
    let mut world = World::new();
    let alarm = world.add_alarm("alarm", JobStage::Overdue(Some(seconds(60))));
    let mut retried = job("work");
    (retried.retry.retries, retried.retry.delay) = (3, seconds(1));
    let work = world.add(&retried, &[]);
    world.start_ordered();
    world.pass(50);
    world.end(run(work, 1), 1, 1);
    assert_eq!(world.timers(), 0);
    world.pass(5);
    world.start_ordered();
    assert_eq!(world.next(), Some(60));
    world.turn_after(60);
    assert_eq!(world.heard(alarm), ["work.1"]);
    world.end(run(work, 1), 2, 1);
    world.pass(5);
    world.start_ordered();
    world.turn_after(600);
    assert_eq!((world.heard(alarm).len(), world.timers()), (1, 0));
}

#[test]
fn a_silent_run_is_told_and_again_after_new_output() {
    let mut world = World::new();
    let alarm = world.add_alarm("alarm", JobStage::Silent(seconds(60)));
    world.add_work();
    world.start_ordered();
    world.written_at = Some(world.now + seconds(45));
    world.turn_after(60);
    assert_eq!((world.heard(alarm).len(), world.next()), (0, Some(45)));
    world.turn_after(45);
    assert_eq!((world.heard(alarm), world.next()), (vec!["work.1".to_owned()], Some(60)));
    world.turn_after(60);
    assert_eq!((world.heard(alarm).len(), world.next()), (1, Some(60)));
    world.written_at = Some(world.now + seconds(20));
    world.turn_after(60);
    assert_eq!((world.heard(alarm).len(), world.next()), (1, Some(20)));
    world.turn_after(20);
    assert_eq!((world.heard(alarm).len(), world.looks.get()), (2, 5));
    let data = world.occurrences(alarm)[1].data.clone().expect("it has some");
    assert!(data.contains(r#""running_ms":245000,"state":"silent""#), "{data}");
}

#[test]
fn each_index_of_an_array_is_looked_at_by_itself_and_no_callback_is() {
    let mut world = World::new();
    let alarm = world.add_alarm("alarm", JobStage::Overdue(Some(seconds(60))));
    let mut array = job("work");
    array.array = Some(Array { indices: Indices::new(1, 2, 1).expect("two"), at_once: None });
    array.callbacks.finish = Some(b"true".to_vec());
    let work = world.add(&array, &[]);
    world.start_ordered();
    world.turn_after(60);
    assert_eq!(world.heard(alarm), ["work.1", "work.2"]);
    world.end(run(work, 1), 1, 0);
    world.end(run(work, 2), 1, 0);
    world.start_ordered();
    world.turn_after(600);
    assert_eq!(world.heard(alarm).len(), 2);
}

#[test]
fn a_job_with_a_pattern_does_not_look_at_its_own_runs() {
    let mut world = World::new();
    let alarm = world.add_alarm("alarm", JobStage::Overdue(Some(seconds(60))));
    world.write(|writer| writer.add_manual_run(alarm, Timestamp::from_seconds(FIRST)).expect("a run"));
    world.start_ordered();
    assert_eq!((world.timers(), world.next()), (0, None));
}

#[test]
fn without_a_span_the_runs_before_say_what_is_overdue() {
    let mut world = World::new();
    let alarm = world.add_alarm("alarm", JobStage::Overdue(None));
    let work = world.add_work();
    for number in 1..=10 {
        world.start_ordered();
        assert_eq!(world.timers(), 0, "before ten runs have succeeded");
        world.pass(if number == 4 { 30 } else { 20 });
        world.end(run(work, number), 1, 0);
        let now = world.now;
        world.write(|writer| writer.add_manual_run(work, now).expect("a run"));
    }
    world.start_ordered();
    assert_eq!(world.next(), Some(60));
    world.turn_after(60);
    assert_eq!(world.heard(alarm), ["work.11"]);
}

#[test]
fn a_trigger_looks_at_the_runs_that_are_under_way_when_it_is_added() {
    let mut world = World::new();
    world.add_work();
    world.start_ordered();
    world.pass(100);
    let late = world.add_alarm("late", JobStage::Overdue(Some(seconds(60))));
    let soon = world.add_alarm("soon", JobStage::Overdue(Some(seconds(120))));
    let quiet = world.add_alarm("quiet", JobStage::Silent(seconds(60)));
    world.written_at = Some(world.now - seconds(10));
    world.turn(&[]);
    // Not at the time at which it became overdue: nobody listened then.
    assert_eq!(world.occurrences(late)[0].at, world.now);
    assert_eq!((world.heard(soon).len(), world.next()), (0, Some(20)));
    world.turn_after(20);
    assert_eq!((world.heard(soon).len(), world.heard(quiet).len(), world.next()), (1, 0, Some(30)));
}

#[test]
fn a_trigger_that_listens_no_more_looks_at_nothing() {
    let mut world = World::new();
    let cancelled = world.add_alarm("cancelled", JobStage::Overdue(Some(seconds(60))));
    let removed = world.add_alarm("removed", JobStage::Silent(seconds(60)));
    world.add_work();
    world.start_ordered();
    assert_eq!(world.timers(), 2);
    world.write(|writer| writer.disarm(cancelled).expect("a job"));
    assert_eq!(world.timers(), 1);
    world.write(|writer| writer.remove_job(removed).expect("a job"));
    world.turn(&[]);
    assert_eq!((world.timers(), world.next()), (0, None));
}

#[test]
fn a_paused_job_does_not_hear_and_its_timers_wake_nobody_twice() {
    let mut world = World::new();
    let alarm = world.add_alarm("alarm", JobStage::Overdue(Some(seconds(60))));
    world.add_work();
    world.start_ordered();
    let now = world.now;
    world.write(|writer| writer.pause_job(alarm, now).expect("a job"));
    world.turn_after(60);
    assert_eq!((world.heard(alarm).len(), world.next()), (0, None));
    let now = world.now;
    world
        .write(|writer| resume_job(writer, alarm, &Zone::utc(), now).expect("the store is whole"))
        .expect("it has no schedule");
    world.turn_after(60);
    assert_eq!(world.heard(alarm).len(), 0);
}

#[test]
fn nobody_looks_before_the_keeper_has_said_which_runs_have_ended() {
    let mut world = World::new();
    let alarm = world.add_alarm("alarm", JobStage::Overdue(Some(seconds(60))));
    let work = world.add_work();
    world.start_ordered();
    world.has_keeper = false;
    world.turn_after(600);
    assert_eq!((world.heard(alarm).len(), world.next()), (0, None));
    world.has_keeper = true;
    world.end(run(work, 1), 1, 0);
    assert_eq!((world.heard(alarm).len(), world.timers()), (0, 0));
}

#[test]
fn a_run_that_outlives_the_daemon_is_overdue_for_the_next_one() {
    let mut world = World::new();
    let alarm = world.add_alarm("alarm", JobStage::Overdue(Some(seconds(60))));
    let work = world.add_work();
    world.start_ordered();
    let due = world.now + seconds(60);
    world.pass(600);
    let attempt = Attempt::of_run(run(work, 1), 1);
    let known = Known { attempt, started: Some((1, world.now - seconds(600))) };
    world.turn(&[FromKeeper::Hello {
        version: PROTOCOL_VERSION,
        instance: KEEPER.instance,
        known: vec![known],
        ended: Vec::new(),
    }]);
    assert_eq!(world.occurrences(alarm).iter().map(|heard| heard.at).collect::<Vec<_>>(), [due]);
}

#[test]
fn a_clock_that_was_set_back_far_makes_nobody_wait_longer() {
    let mut world = World::new();
    let alarm = world.add_alarm("alarm", JobStage::Silent(seconds(60)));
    world.add_work();
    world.written_at = Some(world.now + seconds(10));
    world.start_ordered();
    world.now = world.now - seconds(100_000);
    let beginning = Beginning { boot_id: "one", zone: &Zone::utc(), ended_keepers: &[], now: world.now };
    begin(&mut world.store, &beginning).expect("the store is whole");
    world.turn(&[]);
    assert_eq!(world.next(), Some(60));
    world.turn_after(60);
    // The time of the output is in the future. Whether there is more, the next look tells.
    assert_eq!((world.heard(alarm).len(), world.next()), (0, Some(60)));
    world.turn_after(60);
    assert_eq!(world.heard(alarm), ["work.1"]);
}

#[test]
fn a_run_that_never_starts_again_leaves_no_timer() {
    let mut world = World::new();
    world.add_alarm("alarm", JobStage::Overdue(Some(seconds(60))));
    let mut retried = job("work");
    (retried.retry.retries, retried.retry.delay) = (3, seconds(60));
    let work = world.add(&retried, &[]);
    world.start_ordered();
    world.turn_after(60);
    world.end(run(work, 1), 1, 1);
    let now = world.now;
    world.write(|writer| writer.cancel_run(run(work, 1), false, now).expect("a run"));
    let outcome = world.store.read(|reader| reader.run(run(work, 1))).expect("the store is whole");
    assert_eq!(outcome.and_then(|run| run.outcome), Some(Outcome::Cancelled));
    world.write(|writer| writer.remove_job(work).expect("nothing names it"));
}
