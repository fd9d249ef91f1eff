//! Owns: the acts that are asked of a far side.
//! Never: their encoding (see `encode`), when they are due.

use super::{FarName, StoreToken};
use crate::domain::Span;

/// What starts, stops and knows the runs over there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    /// A supervisor for each run, on the machine where the request is read.
    Direct,
    /// The Slurm whose commands are on that machine. The run directory is shared with its nodes.
    Slurm {
        /// Options of sbatch(1) without dashes, `("partition", "main")`; an empty value is an option alone.
        options: Vec<(String, String)>,
    },
    /// Templates of the user, each run by `sh -c` with `TASKQ_FAR_NAME` and `TASKQ_FAR_ID`.
    ///
    /// - `submit` submits a name once, and prints its id in a line. It runs `TASKQ_FAR_SCRIPT`, a script on a
    ///   shared run directory; or, where none is shared, `TASKQ_FAR_COMMAND`, the words of the command for a
    ///   shell. Status 100 refuses for good; any other is asked again.
    /// - `status` prints `pending [WORDS]`, `running`, `exit N`, `signal N` or `lost`.
    /// - `cancel` stops it, by `TASKQ_FAR_STOP`: `stop` or `kill`. The id is empty if nobody saw it.
    /// - `logs` prints the whole output so far, where no run directory is shared.
    Command { submit: String, status: String, cancel: String, logs: Option<String> },
}

/// All that a far side has to know to run an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FarStart {
    pub name: FarName,
    /// The name or id of the job. Starts of one job with equal needs become one job array on Slurm.
    pub job: String,
    pub argv: Vec<Vec<u8>>,
    /// `NAME=VALUE`. A name that a shell cannot export is left out, and so are those of the far shell's own.
    pub env: Vec<Vec<u8>>,
    /// The directory of the command; `None` is the home over there.
    pub cwd: Option<Vec<u8>>,
    /// Whether the command starts in the home if `cwd` does not exist there.
    pub cwd_optional: bool,
    pub umask: u32,
    pub nice: Option<i32>,
    pub stdin: Vec<u8>,
    /// Files for the command: each is written into the run directory, and the variable holds its path.
    pub files: Vec<(String, Vec<u8>)>,
    pub timeout: Option<Span>,
    /// How long after TERM the command gets KILL.
    pub kill_after: Span,
    /// Resources by name; `mem` in bytes. Only Slurm knows them.
    pub needs: Vec<(String, u64)>,
    /// Whether the standard error is kept apart.
    pub split_output: bool,
}

/// A signal that suspends or continues a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FarSignal {
    Stop,
    Continue,
}

/// What the asker of a look knows of a run. The far side answers at once if there is more to know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Known {
    /// Any state is news.
    #[default]
    Nothing,
    Waiting,
    Running,
    Unattended,
}

/// A run to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookAt {
    pub name: FarName,
    pub known: Known,
    /// How many bytes of the standard output the asker has.
    pub stdout_from: u64,
    pub stderr_from: u64,
}

/// One thing that is asked of a far side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Starts the attempt, unless it was started or stopped before.
    Start(Box<FarStart>),
    /// Stops the attempt by TERM, and KILL after its time; `now` by KILL. Before its start, it never starts.
    Stop {
        name: FarName,
        now: bool,
    },
    Signal {
        name: FarName,
        signal: FarSignal,
    },
    /// Removes the data of an attempt. A late start of it still starts nothing, for a day.
    Forget {
        name: FarName,
    },
    /// Reports the states and new output of runs, as soon as there is news, or when `wait` is over.
    Look {
        runs: Vec<LookAt>,
        wait: Span,
        /// How many bytes of output the answer has at most.
        bytes_max: u64,
    },
}

/// What is sent to a far side at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub token: StoreToken,
    /// Counts up with the requests of a store. A look ends when a later request starts or stops something.
    pub serial: u64,
    /// The directory of all runs there: empty for `$HOME/.local/state/taskq/far`; a relative one is below the
    /// home.
    pub rundir: Vec<u8>,
    pub engine: Engine,
    /// They are obeyed in this order, looks last.
    pub acts: Vec<Act>,
}
