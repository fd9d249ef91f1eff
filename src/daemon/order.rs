//! Owns: a stored run as an order for the keeper: argv, environment, limits.
//! Never: when it starts.

use crate::domain::{CommandLine, End, Execution, Timestamp, Usage};
use crate::keeper::protocol::{Attempt, Ended, SeekOrder, StartExtras, StartOrder, ToKeeper};
use crate::store::{Claimed, Start};

/// Makes the order; `cpus`: the slots of a queue that sets none.
pub(super) fn start_order(start: Start, cpus: usize) -> ToKeeper {
    let env = environment(&start);
    let slots = slots(&start, cpus);
    let argv = match start.job.execution.command {
        CommandLine::Argv(argv) => argv,
        CommandLine::Script(script) => vec![b"/bin/sh".to_vec(), b"-c".to_vec(), script],
    };
    let order = StartOrder {
        attempt: Attempt { run: start.run, number: start.attempt },
        slots,
        queue: start.queue,
        argv,
        env,
        cwd: start.job.execution.cwd,
        umask: start.job.execution.umask,
        timeout: start.job.policy.timeout,
        kill_after: start.job.policy.kill_after,
    };
    let Execution { stdin, user, cwd_optional, .. } = start.job.execution;
    ToKeeper::start(order, StartExtras { stdin, user, cwd_optional })
}

/// Makes the order to look for the processes of a run that was claimed for a keeper which is gone.
pub(super) fn seek_order(claimed: &Claimed, start: Start, cpus: usize) -> ToKeeper {
    ToKeeper::Seek(SeekOrder {
        attempt: Attempt { run: claimed.run, number: claimed.attempt },
        keeper: claimed.keeper,
        has_pipe: claimed.has_pipe,
        started: claimed.started,
        slots: slots(&start, cpus),
        queue: start.queue,
        timeout: start.job.policy.timeout,
        kill_after: start.job.policy.kill_after,
    })
}

fn slots(start: &Start, cpus: usize) -> u32 {
    start.slots.unwrap_or_else(|| u32::try_from(cpus).unwrap_or(u32::MAX))
}

/// Why the keeper was not told of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Undeliverable {
    /// The order is too long for it, and so for execve(2).
    TooLong,
    /// It would not understand it.
    KeeperTooOld,
}

impl Undeliverable {
    fn cause(self) -> &'static str {
        match self {
            // What the keeper would say to a shorter one that is still too long.
            Self::TooLong => "argument list too long",
            Self::KeeperTooOld => {
                "the keeper of an earlier taskq is still there, which cannot start it; it goes when all that it runs has ended"
            }
        }
    }
}

/// The end of an attempt that the keeper was not told of.
pub(super) fn never_told(attempt: Attempt, why: Undeliverable, now: Timestamp) -> Ended {
    Ended {
        attempt,
        pid: 0,
        started_at: None,
        finished_at: now,
        end: End::SpawnFailed { status: 125, cause: why.cause().to_owned() },
        stopped: None,
        usage: Usage::default(),
        output_bytes: 0,
        is_output_open: false,
    }
}

/// The job's environment and what each start adds. A job that was added by a job brings such names along:
/// ours win.
fn environment(start: &Start) -> Vec<Vec<u8>> {
    let mut own = vec![
        format!("TASKQ_JOB={}", start.run.job),
        format!("TASKQ_RUN={}", start.run),
        format!("TASKQ_ATTEMPT={}", start.attempt),
        format!("TASKQ_TRIGGER={}", start.kind),
        format!("TASKQ_SCHEDULED_AT={}", start.scheduled_at),
    ];
    own.extend(start.job.name.as_ref().map(|name| format!("TASKQ_NAME={name}")));
    let ours =
        ["TASKQ_JOB", "TASKQ_RUN", "TASKQ_ATTEMPT", "TASKQ_TRIGGER", "TASKQ_SCHEDULED_AT", "TASKQ_NAME"];
    let is_ours = |var: &[u8]| {
        let name = var.split(|byte| *byte == b'=').next().unwrap_or_default();
        ours.iter().any(|our| our.as_bytes() == name)
    };
    let mut env: Vec<Vec<u8>> = start.job.execution.env.iter().filter(|var| !is_ours(var)).cloned().collect();
    env.extend(own.into_iter().map(String::into_bytes));
    env
}
