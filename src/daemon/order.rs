//! Owns: a stored run as an order for the keeper: argv, environment, limits.
//! Never: when it starts.

use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use nix::sys::signal::Signal;

use super::at_once::AtOnce;
use super::event_files;
use super::results::ResultFile;
use crate::domain::{CommandLine, End, EnvVar, Execution, NewJob, ResourceName, Share, Stdin, Timestamp};
use crate::keeper::protocol::{
    Attempt, Ended, GivenOutput, OwnResources, SeekOrder, StartExtras, StartOrder, ToKeeper,
};
use crate::store::{ClaimedRun, RunInput, RunPause, Start};

/// Makes the order. `default_slots`: the slots of a queue without a width; `files`: where the files of
/// runs lie.
pub(super) fn start_order(start: Start, default_slots: usize, files: RunFiles<'_>) -> ToKeeper {
    let env = environment(&start, Some(files));
    let slots = slots(&start, default_slots);
    let order = StartOrder {
        attempt: Attempt::of_run(start.run, start.attempt),
        slots,
        queue: start.queue,
        argv: argv(start.job.execution.command),
        env,
        cwd: start.job.execution.cwd,
        umask: start.job.execution.umask,
        timeout: start.job.policy.timeout,
        kill_after: start.job.policy.kill_after,
    };
    let log_limit = Some(start.job.log_limit).filter(|limit| *limit != NewJob::LOG_LIMIT);
    let Execution { stdin, user, cwd_optional, nice, env_file, .. } = start.job.execution;
    let (stdin, given) = match start.input {
        None => (stdin, None),
        Some(RunInput::Text(output)) => (Stdin::Text(output), None),
        Some(RunInput::OutputOf(run, attempt)) => {
            (stdin, Some(GivenOutput::OfAttempt(Attempt::of_run(run, attempt))))
        }
        Some(RunInput::OfArray(job)) => (stdin, Some(GivenOutput::OfArray(job))),
    };
    let split_output = start.job.split_output;
    let extras = StartExtras { stdin, user, cwd_optional, log_limit, nice, ..StartExtras::default() };
    let own = OwnResources { needs: start.needs, share: start.share };
    let enforce = start.job.enforce && books_enforceable(&own);
    let resources = (own != OwnResources::default()).then(|| Box::new(own));
    let extras = StartExtras { env_file, given, split_output, resources, enforce, ..extras };
    ToKeeper::Start(order, extras)
}

/// Returns whether a run has booked what can be enforced, or will. A callback books nothing.
fn books_enforceable(own: &OwnResources) -> bool {
    let needed = own.needs.iter().map(|(name, _)| name);
    let booked = own.share.iter().flat_map(Share::iter).map(|(name, _)| name);
    needed.chain(booked).any(ResourceName::is_enforceable)
}

/// Returns the program of a command, and its arguments.
pub(super) fn argv(command: CommandLine) -> Vec<Vec<u8>> {
    match command {
        CommandLine::Argv(argv) => argv,
        CommandLine::Script(script) => vec![b"/bin/sh".to_vec(), b"-c".to_vec(), script],
        CommandLine::Sealed => unreachable!("the facts for a start are read with the key"),
    }
}

/// Makes the order to find the processes of a run that was claimed for a keeper that is gone.
pub(super) fn seek_order(
    claimed: &ClaimedRun,
    start: Start,
    default_slots: usize,
    results: &Path,
) -> ToKeeper {
    ToKeeper::Seek(SeekOrder {
        attempt: Attempt::of_run(claimed.run, claimed.attempt),
        marks: own_variables(&start, Some(results)),
        started: claimed.started,
        slots: slots(&start, default_slots),
        queue: start.queue,
        timeout: start.job.policy.timeout,
        kill_after: start.job.policy.kill_after,
    })
}

/// Makes the order to pause a running run, or to continue it.
pub(super) fn pause_order(pause: RunPause) -> ToKeeper {
    at_once_pause(pause).into()
}

/// Makes the same order, for a way past the database.
pub fn at_once_pause(pause: RunPause) -> AtOnce {
    let signal = if pause.is_paused { Signal::SIGSTOP } else { Signal::SIGCONT };
    AtOnce::Signal { attempt: Attempt::of_run(pause.run, pause.attempt), signal: signal as i32 }
}

fn slots(start: &Start, default_slots: usize) -> u32 {
    start.slots.unwrap_or_else(|| u32::try_from(default_slots).unwrap_or(u32::MAX))
}

/// Returns the end of an attempt whose order is longer than any message, and so too long for execve(2).
pub(super) fn too_long(attempt: Attempt, now: Timestamp) -> Ended {
    // The keeper reports the same for a shorter order that is too long for execve(2).
    let end = End::SpawnFailed { status: 125, cause: "argument list too long".to_owned() };
    Ended::without_process(attempt, end, now)
}

/// The directories of the files by which runs hand over data.
#[derive(Clone, Copy, Debug)]
pub struct RunFiles<'a> {
    pub results: &'a Path,
    pub events: &'a Path,
}

/// The variables about the events of a run.
const EVENT_VARIABLES: [&str; 4] = ["TASKQ_EVENT", "TASKQ_EVENT_COUNT", "TASKQ_EVENT_FILE", "TASKQ_DEPTH"];

fn event_variables(start: &Start, dir: Option<&Path>) -> Vec<Vec<u8>> {
    let text = |value: String| Some(value.into_bytes());
    let events = start.events.as_ref();
    let last = events.and_then(|events| events.occurrences.last());
    let values = [
        // A variable holds no NUL.
        last.and_then(|(_, last)| text(last.name.replace('\0', ""))),
        events.and_then(|events| text(events.count.to_string())),
        events
            .zip(dir)
            .map(|(_, dir)| event_files::path(dir, start.run, start.attempt).into_os_string().into_vec()),
        (start.depth > 0).then(|| start.depth.to_string().into_bytes()),
    ];
    named(&EVENT_VARIABLES, values)
}

fn named<const N: usize>(names: &[&str; N], values: [Option<Vec<u8>>; N]) -> Vec<Vec<u8>> {
    let named = names.iter().zip(values).filter_map(|(name, value)| Some((name, value?)));
    named.map(|(name, value)| [name.as_bytes(), b"=", value.as_slice()].concat()).collect()
}

/// The variables that each start adds.
const OWN_VARIABLES: [&str; 14] = [
    "TASKQ_JOB",
    "TASKQ_RUN",
    "TASKQ_ATTEMPT",
    "TASKQ_TRIGGER",
    "TASKQ_SCHEDULED_AT",
    "TASKQ_NAME",
    "TASKQ_AFTER_RUNS",
    "TASKQ_INDEX",
    "TASKQ_ITEM",
    "TASKQ_PARENT_RUN",
    "TASKQ_PARENT_OUTCOME",
    "TASKQ_PARENT_EXIT_CODE",
    "TASKQ_RESULT_FILE",
    "TASKQ_PARENT_RESULT_FILE",
];

fn own_variables(start: &Start, results: Option<&Path>) -> Vec<Vec<u8>> {
    let text = |value: String| Some(value.into_bytes());
    let parent = start.parent.as_ref();
    // Another user cannot enter the directory.
    let results = results.filter(|_| start.job.execution.user.is_none());
    let file =
        |which: ResultFile| Some(which.path(results?, start.run, start.attempt).into_os_string().into_vec());
    let values = [
        text(start.run.job.to_string()),
        text(start.run.to_string()),
        text(start.attempt.to_string()),
        text(start.kind.to_string()),
        text(start.scheduled_at.to_string()),
        start.job.name.as_ref().and_then(|name| text(name.to_string())),
        start.after_runs.clone().and_then(text),
        start.index.and_then(|index| text(index.to_string())),
        start.item.clone(),
        parent.and_then(|parent| text(parent.run.clone())),
        parent.and_then(|parent| text(parent.outcome?.to_string())),
        parent.and_then(|parent| text(parent.exit_code?.to_string())),
        file(ResultFile::Own),
        parent.and_then(|parent| parent.result.as_ref()).and_then(|_| file(ResultFile::OfParent)),
    ];
    named(&OWN_VARIABLES, values)
}

/// Returns the job's environment with the variables of this start. They replace those that a job has
/// inherited because it was added by a job. `files`: `None` for a run on another machine, where those of this
/// one are not.
pub(super) fn environment(start: &Start, files: Option<RunFiles<'_>>) -> Vec<EnvVar> {
    let mut env = without_own_variables(&start.job.execution.env);
    env.extend(own_variables(start, files.map(|files| files.results)));
    env.extend(event_variables(start, files.map(|files| files.events)));
    env
}

/// Returns an environment without the variables that each start of a run adds.
pub(super) fn without_own_variables(env: &[EnvVar]) -> Vec<EnvVar> {
    let is_own = |variable: &&EnvVar| {
        let name = variable.split(|byte| *byte == b'=').next().unwrap_or_default();
        OWN_VARIABLES.iter().chain(&EVENT_VARIABLES).any(|own| own.as_bytes() == name)
            || ResourceName::of_variable(name).is_some()
    };
    env.iter().filter(|variable| !is_own(variable)).cloned().collect()
}
