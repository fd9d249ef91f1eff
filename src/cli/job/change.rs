//! Owns: changing the definition of a stored job by the options of `set`.
//! Never: storing it.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::enforce::refuse_unbooked;
use super::far::refuse_far;
use super::first_fires::delayed;
use super::options::JobOptions;
use super::policies::{refuse_replaced_array, refuse_second_stdin};
use super::text::{
    Caller, absolute, check_command, check_nice, check_priority, checked_directory, with_variables,
};
use super::values::{check_script, environment_of, find_user, job_file, parse_umask, read_stdin};
use crate::domain::{
    After, CommandLine, Execution, Needs, NewJob, Policy, QueueName, Retry, Stdin, Tag, words,
};
use crate::error::{Error, Result};
use crate::store::FirstFire;
use crate::system::login;

/// An option that `set --unset` returns to its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unset {
    After,
    AllOf,
    Any,
    Array,
    Each,
    Enforce,
    EnvFile,
    Executor,
    Expect,
    FinishBy,
    Grace,
    If,
    IfTimeout,
    Jitter,
    KillAfter,
    LogLimit,
    Mail,
    Missed,
    Needs,
    Nice,
    Nth,
    OnFailure,
    OnFinish,
    OnSuccess,
    Overlap,
    Priority,
    Queue,
    Retries,
    RetryDelay,
    RetryOn,
    SplitOutput,
    StartBy,
    Stdin,
    StdinFrom,
    Tag,
    Timeout,
    Times,
    Until,
}

words!(Unset {
    After = "after",
    AllOf = "all-of",
    Any = "any",
    Array = "array",
    Each = "each",
    Enforce = "enforce",
    EnvFile = "env-file",
    Executor = "executor",
    Expect = "expect",
    FinishBy = "finish-by",
    Grace = "grace",
    If = "if",
    IfTimeout = "if-timeout",
    Jitter = "jitter",
    KillAfter = "kill-after",
    LogLimit = "log-limit",
    Mail = "mail",
    Missed = "missed",
    OnFailure = "on-failure",
    OnFinish = "on-finish",
    OnSuccess = "on-success",
    Needs = "needs",
    Nice = "nice",
    Nth = "nth",
    Overlap = "overlap",
    Priority = "priority",
    Queue = "queue",
    Retries = "retries",
    RetryDelay = "retry-delay",
    RetryOn = "retry-on",
    SplitOutput = "split-output",
    StartBy = "start-by",
    Stdin = "stdin",
    StdinFrom = "stdin-from",
    Tag = "tag",
    Timeout = "timeout",
    Times = "times",
    Until = "until",
});

impl Unset {
    /// Returns the option to its default.
    pub fn apply(self, job: &mut NewJob) {
        let default = Policy::default();
        match self {
            Self::After => job.after = After::default(),
            Self::AllOf => job.all_of = false,
            Self::Any => job.after.any = false,
            Self::Array | Self::Each => {
                (job.array, job.has_items) = (None, false);
                job.items.clear();
            }
            Self::Enforce => job.enforce = false,
            Self::EnvFile => job.execution.env_file = None,
            Self::Executor => (job.requirement.executor, job.requirement.host) = (None, None),
            Self::Expect => job.expect = None,
            Self::FinishBy => job.finish_by = None,
            Self::Grace => job.policy.missed.grace = default.missed.grace,
            Self::If => (job.requirement.gates, job.requirement.gate_timeout) = (Vec::new(), None),
            Self::IfTimeout => job.requirement.gate_timeout = None,
            Self::Jitter => job.jitter = None,
            Self::KillAfter => job.policy.kill_after = default.kill_after,
            Self::LogLimit => job.log_limit = NewJob::LOG_LIMIT,
            Self::Mail => job.mail = None,
            Self::Missed => {
                (job.policy.missed.mode, job.policy.missed.within) =
                    (default.missed.mode, default.missed.within);
            }
            Self::OnFailure => job.callbacks.failure = None,
            Self::OnFinish => job.callbacks.finish = None,
            Self::OnSuccess => job.callbacks.success = None,
            Self::Needs => job.requirement.needs = Needs::default(),
            Self::Nice => job.execution.nice = None,
            Self::Nth => job.nth = None,
            Self::Overlap => job.policy.overlap = default.overlap,
            Self::Priority => job.priority = 0,
            Self::Queue => job.queue = QueueName::default(),
            Self::Retries => job.retry = Retry::default(),
            Self::RetryDelay => {
                let Retry { delay, delay_max, .. } = Retry::default();
                job.retry = Retry { delay, delay_max, ..job.retry };
            }
            Self::RetryOn => job.retry.on = None,
            Self::SplitOutput => job.split_output = false,
            Self::StartBy => job.policy.start_by = None,
            Self::Stdin => job.execution.stdin = Stdin::Null,
            Self::StdinFrom => {
                job.after.take_stdin_from(None);
            }
            Self::Tag => job.tags.clear(),
            Self::Timeout => job.policy.timeout = None,
            Self::Times => job.times = None,
            Self::Until => job.until = None,
        }
    }
}

impl JobOptions {
    /// Changes a job by the options that are given. Returns the new triggers, if some are given.
    ///
    /// # Errors
    /// `Usage`, with the first wrong text and the accepted values.
    pub fn change(self, what: &str, here: &Caller, job: &mut NewJob) -> Result<Option<Vec<FirstFire>>> {
        let usage = |cause: String| Error::usage(what, cause);
        let (zone, zone_name) = self.zone(here, what)?;
        let (window, triggers) = self.triggers(here, what, (&zone, zone_name), job.window())?;
        (job.start, job.until) = (window.start, window.until);
        job.jitter = self.jitter(what)?.or(job.jitter);
        job.nth = self.nth.or(job.nth);
        job.all_of |= self.all_of;
        job.policy = self.policy(what, job.policy)?;
        job.retry = self.retry(what, job.retry)?;
        if let Some((array, items)) = self.array(what)? {
            (job.array, job.has_items, job.items) = (Some(array), !items.is_empty(), items);
        }
        refuse_replaced_array(job.array, job.policy, what)?;
        job.after = self.after(what, std::mem::take(&mut job.after))?;
        if !self.tag.is_empty() {
            let tags = self.tag.iter().map(|tag| tag.parse::<Tag>());
            job.tags = tags.collect::<Result<_, _>>().map_err(|error| Error::usage(what, error))?;
            job.tags.sort();
            job.tags.dedup();
        }
        job.times = self.times.or(job.times);
        if let Some(queue) = &self.queue {
            job.queue = queue.parse().map_err(|error| Error::usage(what, error))?;
        }
        if let Some(priority) = self.priority {
            job.priority = check_priority(priority).map_err(usage)?;
        }
        if let Some(dir) = &self.cwd {
            let is_far = self.executor.is_some() || job.requirement.executor.is_some();
            let dir = here.cwd.join(dir);
            // That of another machine cannot be looked at.
            let dir = if is_far { absolute(&dir, what)? } else { checked_directory(&dir, what)? };
            job.execution.cwd = dir.into_os_string().into_vec();
            job.execution.cwd_optional = false;
        }
        let cwd = Path::new(OsStr::from_bytes(&job.execution.cwd));
        let was_here = job.requirement.executor.is_none();
        job.requirement = self.requirement(what, cwd, std::mem::take(&mut job.requirement))?;
        if was_here && job.requirement.executor.is_some() {
            job.execution.env.clear();
            job.execution.cwd_optional |= self.cwd.is_none();
        }
        job.expect = self.positive_span(what, "--expect", &self.expect)?.or(job.expect);
        job.finish_by = self.positive_span(what, "--finish-by", &self.finish_by)?.or(job.finish_by);
        job.callbacks = self.callbacks(what, std::mem::take(&mut job.callbacks))?;
        job.log_limit = self.log_limit(what)?.unwrap_or(job.log_limit);
        job.split_output |= self.split_output;
        job.enforce |= self.enforce;
        refuse_unbooked(job, what)?;
        if let Some(mail) = self.mail(what)? {
            job.mail = Some(mail);
        }
        self.change_execution(what, &mut job.execution)?;
        refuse_far(job, what)?;
        refuse_second_stdin(&job.after, &job.execution, what)?;
        let triggers = delayed(job, triggers, here.look(&zone, window), what)?;
        Ok((!triggers.is_empty()).then_some(triggers))
    }

    /// Changes all but the directory.
    fn change_execution(self, what: &str, execution: &mut Execution) -> Result<()> {
        let usage = |cause: String| Error::usage(what, cause);
        if let Some(script) = self.script {
            execution.command = CommandLine::Script(check_script(script.into_vec(), what)?);
        } else if !self.command.is_empty() {
            execution.command = CommandLine::Argv(check_command(self.command, what)?);
        }
        if let Some(umask) = &self.umask {
            execution.umask = parse_umask(umask).map_err(usage)?;
        }
        if let Some(nice) = self.nice {
            execution.nice = Some(check_nice(nice).map_err(usage)?);
        }
        if let Some(name) = &self.user {
            let user = find_user(name, what)?;
            execution.env = environment_of(&user, std::mem::take(&mut execution.env));
            execution.user = Some(user.name);
        }
        if self.clean_env {
            let user = execution.user.as_deref().map(|name| find_user(name, what)).transpose()?;
            execution.env = login::clean_environment(user.as_ref());
        }
        execution.env = with_variables(std::mem::take(&mut execution.env), &self.env, what)?;
        let cwd = Path::new(OsStr::from_bytes(&execution.cwd));
        if let Some(file) = &self.env_file {
            execution.env_file = Some(job_file("--env-file", file, cwd).map_err(usage)?);
        }
        if self.stdin.is_some() {
            execution.stdin = read_stdin(self.stdin, None, cwd).map_err(usage)?;
        }
        Ok(())
    }
}
