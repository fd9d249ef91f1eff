//! Owns: a job's definition: what to run, where, and when.
//! Never: its history.

use serde::{Deserialize, Serialize};

use super::run::words;
use super::{JobName, Policy, QueueName, Tag, Timestamp};

/// What a job runs. Bytes, since neither argv nor scripts need be UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CommandLine {
    /// A program and its arguments, no shell between; never empty.
    Argv(Vec<Vec<u8>>),
    /// A script for `/bin/sh -c`.
    Script(Vec<u8>),
}

/// One variable of an environment, `NAME=VALUE` as in environ(7).
pub type EnvVar = Vec<u8>;

/// Returns the value of a variable; of several of one name, the last.
pub fn value_of<'a>(env: &'a [EnvVar], name: &str) -> Option<&'a [u8]> {
    env.iter().rev().find_map(|variable| variable.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// How a job's processes are started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// The command.
    pub command: CommandLine,
    /// The working directory, absolute.
    pub cwd: Vec<u8>,
    /// Where it cannot be entered at a start, the process begins in `/`. So it is with cron(8), which starts
    /// all the same.
    pub cwd_optional: bool,
    /// The whole environment, without the `TASKQ_*` variables that each start adds.
    pub env: Vec<EnvVar>,
    /// The file mode creation mask, as umask(2).
    pub umask: u32,
    /// What the process reads.
    pub stdin: Stdin,
    /// The user to run as, by name; `None`: whose daemon it is. Only root's daemon can be asked for another.
    pub user: Option<String>,
}

impl Execution {
    /// Returns a start of this command in `/`, in an empty environment.
    pub fn of(command: CommandLine) -> Self {
        Self {
            command,
            cwd: b"/".to_vec(),
            cwd_optional: false,
            env: Vec::new(),
            umask: 0o022,
            stdin: Stdin::Null,
            user: None,
        }
    }
}

/// What a process reads as its standard input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdin {
    /// Nothing.
    #[default]
    Null,
    /// This file, absolute, opened at each start.
    Path(Vec<u8>),
    /// These bytes, as what follows `%` in crontab(5).
    Text(Vec<u8>),
}

/// `--mail`: who is told of a job's runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// The addressees, as sendmail(8) takes them: by commas.
    pub to: String,
    /// Of which runs.
    pub when: MailWhen,
    /// In which form.
    pub format: MailFormat,
}

/// Which runs are worth a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailWhen {
    /// Those that did not succeed.
    Failure,
    /// Those that wrote something, as with cron(8).
    Output,
    /// Each that had a process or should have had one.
    Always,
}

/// How a mail looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailFormat {
    /// It names the job, the run and its end.
    Taskq,
    /// As the cron(8) of Debian writes it.
    Debian,
    /// As cronie writes it.
    Cronie,
}

words!(MailWhen { Failure = "failure", Output = "output", Always = "always" });
words!(MailFormat { Taskq = "taskq", Debian = "debian", Cronie = "cronie" });

/// A job to be stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewJob {
    /// Its name, if it has one.
    pub name: Option<JobName>,
    /// How to find it again.
    pub tags: Vec<Tag>,
    /// What to run.
    pub execution: Execution,
    /// No fire before this instant.
    pub start: Option<Timestamp>,
    /// The queue that its runs wait in.
    pub queue: QueueName,
    /// -100 to 100, higher first.
    pub priority: i32,
    /// What about late, overlapping and endless runs.
    pub policy: Policy,
    /// Who is told of its runs.
    pub mail: Option<Mail>,
    /// Added paused.
    pub hold: bool,
}

impl NewJob {
    /// The lowest priority.
    pub const PRIORITY_MIN: i32 = -100;
    /// The highest priority.
    pub const PRIORITY_MAX: i32 = 100;

    /// Returns a job of this execution, with the default of everything else.
    pub fn of(execution: Execution) -> Self {
        Self {
            name: None,
            tags: Vec::new(),
            execution,
            start: None,
            queue: QueueName::default(),
            priority: 0,
            policy: Policy::default(),
            mail: None,
            hold: false,
        }
    }
}
