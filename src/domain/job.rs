//! Owns: the definition of a job.
//! Never: its history.

use serde::{Deserialize, Serialize};

use super::run::words;
use super::{
    After, Array, Callbacks, EnvVar, JobName, Policy, QueueName, Requirement, Retry, Size, Span, Tag,
    Timestamp, Window,
};

/// The command of a job, in bytes: arguments and scripts need not be UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CommandLine {
    /// A program and its arguments, started without a shell. Never empty.
    Argv(Vec<Vec<u8>>),
    /// A script for `/bin/sh -c`.
    Script(Vec<u8>),
    /// One of a sealed store whose key is missing. It can neither be stored nor started.
    Sealed,
}

impl CommandLine {
    /// Stands for what cannot be shown because the key of the store is missing.
    pub const SEALED: &str = "(sealed)";
}

/// How the processes of a job are started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    pub command: CommandLine,
    /// The working directory, absolute.
    pub cwd: Vec<u8>,
    /// If the directory cannot be entered, the process starts in `/`, as with cron(8).
    pub cwd_optional: bool,
    /// The whole environment, without the `TASKQ_*` variables that each start adds.
    pub env: Vec<EnvVar>,
    /// A file with more variables, an absolute path, read at each start.
    pub env_file: Option<Vec<u8>>,
    /// The file mode creation mask, as umask(2).
    pub umask: u32,
    /// The niceness of the processes, as setpriority(2); `None`: that of the daemon.
    pub nice: Option<i32>,
    pub stdin: Stdin,
    /// The name of the user to run as; `None`: the user of the daemon. Only root's daemon can use another.
    pub user: Option<String>,
}

impl Execution {
    /// The first choice of the scheduler.
    pub const NICE_MIN: i32 = -20;
    /// The last choice.
    pub const NICE_MAX: i32 = 19;

    /// Returns the execution of this command in `/`, with an empty environment.
    pub fn of(command: CommandLine) -> Self {
        Self {
            command,
            cwd: b"/".to_vec(),
            cwd_optional: false,
            env: Vec::new(),
            env_file: None,
            umask: 0o022,
            nice: None,
            stdin: Stdin::Null,
            user: None,
        }
    }
}

/// The standard input of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdin {
    /// `/dev/null`.
    #[default]
    Null,
    /// This file, an absolute path, opened at each start.
    Path(Vec<u8>),
    /// These bytes, like the text after `%` in crontab(5).
    Text(Vec<u8>),
}

/// The mails about the runs of a job, `--mail`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// The addressees for sendmail(8), separated by commas.
    pub to: String,
    pub when: MailWhen,
    pub format: MailFormat,
}

/// The runs about which a mail is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailWhen {
    /// Runs that did not succeed.
    Failed,
    /// Runs with output, as with cron(8).
    Output,
    /// Every run that had a process or should have had one.
    Always,
}

/// The form of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailFormat {
    /// With the job, the run and its end.
    Taskq,
    /// As Debian's cron(8) writes it.
    Debian,
    /// As cronie writes it.
    Cronie,
}

words!(MailWhen { Failed = "failed", Output = "output", Always = "always" });
words!(MailFormat { Taskq = "taskq", Debian = "debian", Cronie = "cronie" });

/// A job as the user adds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewJob {
    pub name: Option<JobName>,
    pub tags: Vec<Tag>,
    pub execution: Execution,
    /// It fires until so many of the runs that its triggers made have begun; `None`: always.
    pub times: Option<u32>,
    /// No fire before this instant.
    pub start: Option<Timestamp>,
    /// No fire at or after this instant.
    pub until: Option<Timestamp>,
    /// One in so many fires of its triggers runs; `None`: each.
    pub nth: Option<u32>,
    /// A run needs a fire of each of its event triggers.
    pub all_of: bool,
    /// Its fires are later by a delay below this, which is fixed for the job and the machine.
    pub jitter: Option<Span>,
    pub queue: QueueName,
    /// -100 to 100, higher first.
    pub priority: i32,
    /// How long a run takes, where nothing is learnt yet.
    pub expect: Option<Span>,
    /// How long after its time a run should be finished, for queues by deadline.
    pub finish_by: Option<Span>,
    /// What its runs require besides a slot.
    pub requirement: Requirement,
    /// Its runs are held to what they have booked of CPU and memory, or do not start.
    pub enforce: bool,
    pub policy: Policy,
    pub retry: Retry,
    /// The runs of other jobs that each of its runs waits for.
    pub after: After,
    /// Each fire makes a run for each index.
    pub array: Option<Array>,
    /// `--each`: the items of the indices from 1. Empty where only the rest of a job was read.
    pub items: Vec<Vec<u8>>,
    /// The array has items.
    pub has_items: bool,
    /// How much of the output of an attempt is kept: the first half of this, and the last.
    pub log_limit: Size,
    /// Standard output and standard error are two outputs, each with this limit.
    pub split_output: bool,
    pub mail: Option<Mail>,
    pub callbacks: Callbacks,
    /// It is paused from the start.
    pub hold: bool,
}

impl NewJob {
    pub const PRIORITY_MIN: i32 = -100;
    pub const PRIORITY_MAX: i32 = 100;

    /// The greatest `nth`.
    pub const NTH_MAX: u32 = 1_000;

    /// The default of `log_limit`.
    pub const LOG_LIMIT: Size = Size::from_bytes(10 << 20);

    /// The least `log_limit`: a page, of which each half has room for some lines.
    pub const LOG_LIMIT_MIN: Size = Size::from_bytes(4 << 10);

    /// Returns a job with this execution, and the default of everything else.
    pub fn of(execution: Execution) -> Self {
        Self {
            name: None,
            tags: Vec::new(),
            execution,
            times: None,
            start: None,
            until: None,
            nth: None,
            all_of: false,
            jitter: None,
            queue: QueueName::default(),
            priority: 0,
            expect: None,
            finish_by: None,
            requirement: Requirement::default(),
            enforce: false,
            policy: Policy::default(),
            retry: Retry::default(),
            after: After::default(),
            array: None,
            items: Vec::new(),
            has_items: false,
            log_limit: Self::LOG_LIMIT,
            split_output: false,
            mail: None,
            callbacks: Callbacks::default(),
            hold: false,
        }
    }

    /// Returns the stretch of time in which its triggers fire.
    pub fn window(&self) -> Window {
        Window { start: self.start, until: self.until }
    }
}
