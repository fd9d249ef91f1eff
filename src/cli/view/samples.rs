//! Owns: jobs and runs for tests of what is shown.
//! Never: the store.

use crate::domain::{
    CommandLine, Execution, JobId, JobState, NewJob, Outcome, QueueName, RunId, RunState, Span, Timestamp,
    TriggerId, TriggerKind, TriggerSpec,
};
use crate::schedule::{Zone, parse_instant};
use crate::store::{JobView, RunView, TriggerView};

/// As long as a name may be, nearly.
pub const LONG_NAME: &str = "nightly-backup-of-the-file-server-in-the-basement-to-tape-libra";

pub const LONG_COMMAND: &str =
    "rsync --archive --delete --exclude-from=/etc/backup/exclude /srv/ nas:/volume1/";

/// The clock of the reader.
pub fn berlin() -> Zone {
    Zone::named("Europe/Berlin").expect("in every tzdata")
}

/// Returns an instant by the reader's clock.
pub fn at(text: &str) -> Timestamp {
    parse_instant(text, Timestamp::from_seconds(0), &berlin()).expect("a time")
}

/// Returns a job without history and triggers.
pub fn job(id: i64, definition: NewJob) -> JobView {
    JobView {
        runs_paused: false,
        id: JobId(id),
        definition,
        created_at: Timestamp::from_seconds(0),
        paused_at: None,
        done_at: None,
        state: JobState::Scheduled,
        passed: 0,
        rests_until: None,
        begun: 0,
        runs: 0,
        array: None,
        last: None,
        triggers: Vec::new(),
    }
}

/// Returns the definition of a job that runs `command` in a shell.
pub fn definition(name: &str, command: &str) -> NewJob {
    let execution = Execution::of(CommandLine::Script(command.as_bytes().to_vec()));
    NewJob { name: (!name.is_empty()).then(|| name.parse().expect("a name")), ..NewJob::of(execution) }
}

/// Returns a job with a cron trigger that fires next at `next`.
pub fn cron_job(id: i64, name: &str, (expr, zone): (&str, Option<&str>), next: &str) -> JobView {
    let spec = TriggerSpec::Cron {
        expr: expr.to_owned(),
        zone: zone.map(str::to_owned),
        delay: Span::from_seconds(0),
    };
    let trigger =
        TriggerView { id: TriggerId(id), spec, next_at: Some(at(next)), awaits_end: false, listener: None };
    let last = Some((RunId { job: JobId(id), number: 1 }, Outcome::Success, at(next)));
    JobView { last, triggers: vec![trigger], ..job(id, definition(name, LONG_COMMAND)) }
}

/// Returns jobs with long names, long commands, ids of four digits, and times near and far.
pub fn jobs() -> Vec<JobView> {
    let nightly = cron_job(1234, LONG_NAME, ("15 3 * * mon-fri", None), "2026-11-21 03:15");
    let mut tokyo = cron_job(1235, "tokyo", ("0 9 1,15 * *", Some("Asia/Tokyo")), "2026-12-01 01:00");
    tokyo.last = tokyo.last.map(|(run, _, at)| (run, Outcome::SpawnFailed, at));
    let yearly = cron_job(1236, "yearly", ("0 0 1 1 *", None), "2027-01-01");
    let mut queued = job(9, definition("", "make -j8"));
    queued.state = JobState::Queued;
    vec![queued, nightly, tokyo, yearly]
}

/// Returns the same jobs, one of them in a queue of its own.
pub fn jobs_of_queues() -> Vec<JobView> {
    let mut jobs = jobs();
    jobs[1].definition.queue = "a-queue-with-a-long-name".parse::<QueueName>().expect("a name");
    jobs
}

/// Returns a run that has a process since `started`.
pub fn running_run((job, number): (i64, i64), started: Timestamp) -> RunView {
    RunView {
        run: RunId { job: JobId(job), number },
        name: Some(LONG_NAME.to_owned()),
        attempt: 1,
        trigger: TriggerKind::Manual,
        scheduled_at: started,
        fires: 1,
        queue: QueueName::DEFAULT.to_owned(),
        state: RunState::Running,
        held: false,
        blocked: false,
        after_runs: None,
        array: None,
        parent: None,
        result: None,
        share: None,
        index: None,
        item: None,
        queued_at: started,
        stop_at: None,
        pid: None,
        started_at: Some(started),
        finished_at: None,
        outcome: None,
        exit_code: None,
        signal: None,
        cause: None,
        user: None,
        system: None,
        max_rss_kib: None,
        output_bytes: None,
        is_split: false,
        stderr_bytes: None,
        far: None,
        unattended: false,
        output_pruned: false,
        paused: false,
        retry_at: None,
    }
}

/// Returns a run that has ended; with the exit status 3 if it has failed.
pub fn ended_run(run: (i64, i64), outcome: Outcome, started: Timestamp, finished: Timestamp) -> RunView {
    let exit_code = match outcome {
        Outcome::Success => Some(0),
        Outcome::Failed => Some(3),
        _ => None,
    };
    let (outcome, finished_at) = (Some(outcome), Some(finished));
    RunView { state: RunState::Finished, outcome, finished_at, exit_code, ..running_run(run, started) }
}

/// Returns runs with every kind of end.
pub fn runs() -> Vec<RunView> {
    let run = |number, outcome, exit_code, signal| {
        let started = at("2026-11-20 03:15:02");
        RunView {
            scheduled_at: at("2026-11-20 03:15"),
            state: RunState::Finished,
            finished_at: Some(started + Span::from_seconds(11_520)),
            outcome,
            exit_code,
            signal,
            ..running_run((1234, number), started)
        }
    };
    let mut missed = run(1233, Some(Outcome::Missed), None, None);
    (missed.started_at, missed.fires, missed.trigger) = (None, 100, TriggerKind::Cron);
    missed.cause = Some("found 3h later than its grace of 1m".to_owned());
    let mut running = run(1236, None, None, None);
    (running.state, running.finished_at, running.unattended) = (RunState::Running, None, true);
    let mut retrying = run(1237, None, None, None);
    (retrying.state, retrying.attempt, retrying.started_at) = (RunState::Retrying, 3, None);
    (retrying.finished_at, retrying.retry_at) = (None, Some(at("2026-11-20 11:25")));
    let mut old = run(7, Some(Outcome::Failed), None, Some(15));
    (old.scheduled_at, old.started_at) = (at("2025-12-31 23:59"), Some(at("2026-01-01 00:01")));
    vec![
        retrying,
        running,
        run(1235, Some(Outcome::SpawnFailed), Some(127), None),
        run(1234, Some(Outcome::Success), Some(0), None),
        missed,
        old,
    ]
}
