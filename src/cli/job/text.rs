//! Owns: reading all options of a job, and making a job that can be stored.
//! Never: storing it.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::enforce::refuse_unbooked;
use super::far::refuse_far;
use super::first_fires::{Look, PassedTimes, delayed, first_of, refuse_all_of, refuse_uncountable};
use super::notes::notes;
use super::on::read_event;
use super::options::JobOptions;
use super::policies::{refuse_replaced_array, refuse_second_stdin};
use super::values::{
    check_script, environment_of, find_user, job_file, option_failure, parse_umask, read_stdin,
};
use crate::cli::context::{Context, parse_failure};
use crate::cli::zone::system_zone;
use crate::daemon::NameClash;
use crate::domain::{
    After, Callbacks, CommandLine, EnvVar, EventSource, Execution, JobName, NewJob, Policy, QueueName,
    Requirement, Retry, Span, Tag, Timestamp, TriggerSpec, Window,
};
use crate::error::{Error, Result, describe};
use crate::schedule::{
    ParseError, Zone, fold_cron, parse_cron, parse_instant, parse_lasting, parse_span, parse_time,
};
use crate::shown;
use crate::store::FirstFire;
use crate::system::{env, login};
use crate::watch::check_path;

/// The word of `--tz` for the system's zone, whose changes the job follows. It is the default without `TZ`.
pub const SYSTEM_ZONE: &str = "system";

/// The shortest period of `--every`. A job with a loop is the better tool for a shorter one.
const EVERY_MIN: Span = Span::from_seconds(1);

/// How many words a value without quotes may have after its first: those of a cron expression.
const UNQUOTED_WORDS_MAX: usize = 6;

/// The process that adds a job.
pub struct Caller {
    pub now: Timestamp,
    pub zone: Zone,
    /// The name of the zone, if `TZ` sets one.
    pub zone_name: Option<String>,
    pub env: Vec<EnvVar>,
    pub cwd: PathBuf,
    pub umask: u32,
    pub passed: PassedTimes,
    /// The directory of the store.
    pub store: PathBuf,
}

impl Caller {
    /// Returns this process. Errors say that `what` was being done.
    pub fn here(context: &Context<'_>, what: &str) -> Result<Self> {
        let (zone, zone_name) = context.zone(what)?;
        let cwd = std::env::current_dir().map_err(|error| {
            let cause = describe(&error);
            Error::usage(what, format!("the current directory: {cause}"))
                .hint("change to a directory that exists")
        })?;
        let (env, umask) = (env::environment(), env::umask());
        let store = context.dir.clone();
        let passed = PassedTimes::Refused;
        Ok(Self { now: context.now(), zone, zone_name, env, cwd, umask, passed, store })
    }
}

impl Caller {
    fn time(&self, text: &str, zone: &Zone) -> Result<Timestamp, ParseError> {
        match self.passed {
            PassedTimes::Refused => parse_time(text, self.now, zone),
            PassedTimes::Kept => parse_lasting(text, self.now, zone),
        }
    }

    pub(super) fn look<'a>(&self, zone: &'a Zone, window: Window) -> Look<'a> {
        Look { zone, window, now: self.now, passed: self.passed }
    }
}

/// A job that can be stored.
pub struct ReadJob {
    /// For errors: ``add job `backup` ``.
    pub what: String,
    pub job: NewJob,
    pub triggers: Vec<FirstFire>,
    pub clash: NameClash,
    /// What may be a slip.
    pub notes: Vec<String>,
}

impl JobOptions {
    /// Returns the words for errors: ``add job `backup` ``.
    pub fn what(&self) -> String {
        let name = self.name.as_ref().filter(|name| !name.is_empty());
        name.map_or_else(|| "add job".to_owned(), |name| format!("add job `{name}`"))
    }

    /// Reads every text. Errors say that `what` was being done.
    ///
    /// # Errors
    /// `Usage`, with the job, the first wrong text, and the accepted values.
    pub fn read(self, what: String, here: &Caller) -> Result<ReadJob> {
        let policy = self.policy(&what, Policy::default())?;
        let retry = self.retry(&what, Retry::default())?;
        let after = self.after(&what, After::default())?;
        let (array, items) = self.array(&what)?.unzip();
        let items = items.unwrap_or_default();
        refuse_replaced_array(array, policy, &what)?;
        let (zone, zone_name) = self.zone(here, &what)?;
        let (window, triggers) = self.triggers(here, &what, (&zone, zone_name), Window::default())?;
        let of_triggers = [
            ("--times", self.times.is_some()),
            ("--until", self.until.is_some()),
            ("--jitter", self.jitter.is_some()),
            ("--nth", self.nth.is_some()),
            ("--all-of", self.all_of),
        ];
        if let Some((option, _)) = of_triggers.iter().find(|(_, is_given)| *is_given && triggers.is_empty()) {
            let cause = format!("`{option}` needs `--at`, `--cron`, `--calendar`, `--every` or `--on`");
            return Err(Error::usage(&what, cause));
        }
        let usage = |error| Error::usage(&what, error);
        let (clash, (at, cron)) = (self.clash(&what)?, (self.at.clone(), self.cron.clone()));
        let (hold, cwd) = (self.hold, self.directory(here, &what)?);
        let job = NewJob {
            name: self.name.as_ref().map(|name| name.parse::<JobName>()).transpose().map_err(usage)?,
            tags: self.tag.iter().map(|tag| tag.parse::<Tag>()).collect::<Result<_, _>>().map_err(usage)?,
            queue: self
                .queue
                .as_ref()
                .map(|queue| queue.parse::<QueueName>())
                .transpose()
                .map_err(usage)?
                .unwrap_or_default(),
            priority: check_priority(self.priority.unwrap_or(0))
                .map_err(|cause| Error::usage(&what, cause))?,
            requirement: self.requirement(&what, &cwd, Requirement::default())?,
            enforce: self.enforce,
            expect: self.positive_span(&what, "--expect", &self.expect)?,
            finish_by: self.positive_span(&what, "--finish-by", &self.finish_by)?,
            times: self.times,
            start: window.start,
            until: window.until,
            nth: self.nth,
            all_of: self.all_of,
            jitter: self.jitter(&what)?,
            policy,
            retry,
            after,
            array,
            has_items: !items.is_empty(),
            items,
            log_limit: self.log_limit(&what)?.unwrap_or(NewJob::LOG_LIMIT),
            split_output: self.split_output,
            mail: self.mail(&what)?,
            callbacks: self.callbacks(&what, Callbacks::default())?,
            hold,
            execution: self.execution(here, cwd, &what)?,
        };
        refuse_second_stdin(&job.after, &job.execution, &what)?;
        refuse_unbooked(&job, &what)?;
        refuse_far(&job, &what)?;
        refuse_uncountable(&job, triggers.iter().map(|first| &first.spec), &what)?;
        refuse_all_of(&job, triggers.iter().map(|first| &first.spec), &what)?;
        let triggers = delayed(&job, triggers, here.look(&zone, window), &what)?;
        // Of a file, they are for the jobs that it changes.
        let notes = match here.passed {
            PassedTimes::Refused => notes(&job, (&at, &cron), here.now, &zone),
            PassedTimes::Kept => Vec::new(),
        };
        Ok(ReadJob { what, job, triggers, clash, notes })
    }

    /// Reads the window that is given, and the triggers with their first fires. The window before was `base`:
    /// its end stays if no other is given, and its start if no triggers are.
    pub(super) fn triggers(
        &self,
        here: &Caller,
        what: &str,
        (zone, zone_name): (&Zone, Option<String>),
        base: Window,
    ) -> Result<(Window, Vec<FirstFire>)> {
        let start = self.time("--start", self.start.as_ref(), (here, zone), what)?;
        let until = self.time("--until", self.until.as_ref(), (here, zone), what)?;
        let until = until.or(base.until);
        let specs = self.trigger_specs(here, what, (zone, zone_name), Window { start, until })?;
        let start = if specs.is_empty() { base.start } else { start };
        let window = Window { start, until };
        let begin = match here.passed {
            PassedTimes::Refused => Some(start.unwrap_or(here.now)),
            PassedTimes::Kept => start,
        };
        let ends_at_once = begin.is_some_and(|begin| window.has_ended(begin));
        if let Some(text) = self.until.as_ref().filter(|_| ends_at_once) {
            let than = if start.is_some() { "after `--start`" } else { "in the future" };
            return Err(Error::usage(what, format!("`--until {text}` is not {than}")));
        }
        let first = |spec| first_of(spec, here.look(zone, window), what);
        Ok((window, specs.into_iter().map(first).collect::<Result<_>>()?))
    }

    /// Reads the TIME of an option, if it is given.
    fn time(
        &self,
        option: &str,
        text: Option<&String>,
        (here, zone): (&Caller, &Zone),
        what: &str,
    ) -> Result<Option<Timestamp>> {
        let Some(text) = text else { return Ok(None) };
        here.time(text, zone).map(Some).map_err(|error| {
            let error = self.unquoted(error, option, text, |text| is_time(text, here, zone));
            option_failure(what, option, error)
        })
    }

    /// Reads the longest delay of the fires.
    pub(super) fn jitter(&self, what: &str) -> Result<Option<Span>> {
        self.positive_span(what, "--jitter", &self.jitter)
    }

    fn clash(&self, what: &str) -> Result<NameClash> {
        match (self.replace, &self.name) {
            (false, _) => Ok(NameClash::Refuse),
            (true, Some(_)) => Ok(NameClash::Replace),
            (true, None) => Err(Error::usage(what, "`--replace` needs `--name`")),
        }
    }

    pub(super) fn zone(&self, here: &Caller, what: &str) -> Result<(Zone, Option<String>)> {
        match &self.tz {
            Some(name) if name == SYSTEM_ZONE => Ok((system_zone().0, None)),
            Some(name) => {
                let zone = Zone::named(name).map_err(|error| parse_failure(what, error))?;
                let name = zone.name().to_owned();
                Ok((zone, Some(name)))
            }
            None => Ok((here.zone.clone(), here.zone_name.clone())),
        }
    }

    fn trigger_specs(
        &self,
        here: &Caller,
        what: &str,
        (zone, zone_name): (&Zone, Option<String>),
        window: Window,
    ) -> Result<Vec<TriggerSpec>> {
        let start = window.start;
        let recurs = !(self.cron.is_empty() && self.calendar.is_empty() && self.every.is_empty());
        if start.is_some() && !recurs && self.on.is_empty() {
            return Err(Error::usage(what, "`--start` needs `--cron`, `--calendar`, `--every` or `--on`")
                .hint("run once at a time with `--at TIME`"));
        }
        if self.tz.is_some() && self.at.is_empty() && !recurs {
            return Err(Error::usage(what, "`--tz` needs `--at`, `--cron`, `--calendar` or `--every`"));
        }
        let mut specs = Vec::new();
        for text in &self.at {
            let at = here.time(text, zone).map_err(|error| {
                let error = self.unquoted(error, "--at", text, |text| is_time(text, here, zone));
                parse_failure(what, error)
            })?;
            if start.is_some_and(|start| at < start) {
                return Err(Error::usage(what, format!("`--at {text}` is before `--start`")));
            }
            if window.has_ended(at) {
                return Err(Error::usage(what, format!("`--at {text}` is not before `--until`")));
            }
            specs.push(TriggerSpec::At { at, delay: Span::ZERO });
        }
        for text in &self.cron {
            parse_cron(text).map_err(|error| {
                let error = self.unquoted(error, "--cron", text, |text| parse_cron(text).is_ok());
                parse_failure(what, error)
            })?;
            specs.push(TriggerSpec::Cron {
                expr: fold_cron(text),
                zone: zone_name.clone(),
                delay: Span::ZERO,
            });
        }
        specs.extend(self.calendar_specs(zone_name.as_ref(), what)?);
        if self.after_end && self.every.is_empty() {
            return Err(Error::usage(what, "`--after-end` needs `--every`"));
        }
        if self.after_end && !self.line.anchor.is_empty() {
            return Err(Error::usage(what, "`after_end` counts from the end of a run, not from an `anchor`"));
        }
        if !self.line.anchor.is_empty() && self.line.anchor.len() != self.every.len() {
            return Err(Error::usage(what, "`anchor` needs as many times as `every` has spans"));
        }
        for (index, text) in self.every.iter().enumerate() {
            let period = parse_period(text).map_err(|error| {
                let error = self.unquoted(error, "--every", text, |text| parse_period(text).is_ok());
                parse_failure(what, error)
            })?;
            if self.after_end {
                specs.push(TriggerSpec::AfterEnd { period, delay: Span::ZERO });
                continue;
            }
            let anchor = match self.line.anchor.get(index) {
                Some(text) => {
                    parse_instant(text, here.now, zone).map_err(|error| parse_failure(what, error))?
                }
                // One period before the start, so that the start is the first fire.
                None => start.map_or(here.now, |start| start - period),
            };
            specs.push(TriggerSpec::Every { period, anchor, delay: Span::ZERO });
        }
        specs.extend(self.event_specs(here, what)?);
        Ok(specs)
    }

    fn event_specs(&self, here: &Caller, what: &str) -> Result<Vec<TriggerSpec>> {
        let read = |text: &String| {
            let refuse =
                |cause: &str| Error::usage(what, format!("`--on {}`: {cause}", shown::escaped(text)));
            let event = read_event(text, &here.cwd).map_err(|cause| refuse(&cause))?;
            if let EventSource::Path(source) = &event.source {
                check_path(source, &here.store).map_err(|refusal| {
                    let error = refuse(&refusal.cause);
                    match refusal.hint {
                        Some(hint) => error.hint(hint),
                        None => error,
                    }
                })?;
            }
            Ok(TriggerSpec::Event(event))
        };
        let specs: Vec<TriggerSpec> = self.on.iter().map(read).collect::<Result<_>>()?;
        if let Some(second) = (1..specs.len()).find(|index| specs[..*index].contains(&specs[*index])) {
            return Err(Error::usage(what, format!("`--on {}` is given twice", self.on[second])));
        }
        Ok(specs)
    }

    /// Replaces the hint of a refusal if the value of an option lacks its quotes: of `--every 5 minutes -- x`
    /// the command is `minutes -- x`.
    pub(super) fn unquoted(
        &self,
        error: ParseError,
        option: &str,
        text: &str,
        is_read: impl Fn(&str) -> bool,
    ) -> ParseError {
        let mut joined = text.to_owned();
        let mut whole = None;
        for word in self.command.iter().take(UNQUOTED_WORDS_MAX) {
            joined = format!("{joined} {}", word.display());
            whole = is_read(&joined).then(|| joined.clone()).or(whole);
        }
        let hint = whole.map(|whole| format!("quote it: `{option} '{whole}'`"));
        ParseError { hint: hint.or(error.hint), ..error }
    }

    /// Returns the directory of the job, to which its files are relative.
    fn directory(&self, here: &Caller, what: &str) -> Result<PathBuf> {
        match &self.cwd {
            // That of another machine cannot be looked at.
            Some(dir) if self.line.cwd_optional || self.executor.is_some() => {
                absolute(&here.cwd.join(dir), what)
            }
            Some(dir) => checked_directory(&here.cwd.join(dir), what),
            None => Ok(here.cwd.clone()),
        }
    }

    fn execution(self, here: &Caller, cwd: PathBuf, what: &str) -> Result<Execution> {
        let command = match (self.script, self.command) {
            (Some(script), _) => CommandLine::Script(check_script(script.into_vec(), what)?),
            (None, command) => CommandLine::Argv(check_command(command, what)?),
        };
        let usage = |cause| Error::usage(what, cause);
        let user = self.user.as_deref().map(|name| find_user(name, what)).transpose()?;
        let base = match (self.line.environment, &user) {
            (Some(vars), _) => with_variables(Vec::new(), &vars, what)?,
            (None, _) if self.executor.is_some() => Vec::new(),
            (None, _) if self.clean_env => login::clean_environment(user.as_ref()),
            (None, Some(user)) => environment_of(user, here.env.clone()),
            (None, None) => here.env.clone(),
        };
        let env_file = self.env_file.map(|file| job_file("--env-file", &file, &cwd));
        Ok(Execution {
            command,
            env_file: env_file.transpose().map_err(usage)?,
            env: with_variables(base, &self.env, what)?,
            umask: self.umask.as_deref().map_or(Ok(here.umask), parse_umask).map_err(usage)?,
            nice: self.nice.map(check_nice).transpose().map_err(usage)?,
            stdin: read_stdin(self.stdin, self.line.stdin_text, &cwd).map_err(usage)?,
            user: user.map(|user| user.name),
            cwd_optional: self.line.cwd_optional || self.executor.is_some() && self.cwd.is_none(),
            cwd: cwd.into_os_string().into_vec(),
        })
    }
}

fn is_time(text: &str, here: &Caller, zone: &Zone) -> bool {
    here.time(text, zone).is_ok()
}

pub(super) fn check_priority(priority: i32) -> Result<i32, String> {
    if (NewJob::PRIORITY_MIN..=NewJob::PRIORITY_MAX).contains(&priority) {
        return Ok(priority);
    }
    Err(format!("priority `{priority}` is outside {} to {}", NewJob::PRIORITY_MIN, NewJob::PRIORITY_MAX))
}

pub(super) fn check_nice(nice: i32) -> Result<i32, String> {
    if (Execution::NICE_MIN..=Execution::NICE_MAX).contains(&nice) {
        return Ok(nice);
    }
    Err(format!("niceness `{nice}` is outside {} to {}", Execution::NICE_MIN, Execution::NICE_MAX))
}

/// Reads the SPAN of `--every`.
///
/// # Errors
/// If it is not a span, or shorter than `EVERY_MIN`.
pub fn parse_period(text: &str) -> Result<Span, ParseError> {
    let period = parse_span(text)?;
    if period >= EVERY_MIN {
        return Ok(period);
    }
    Err(ParseError {
        cause: format!("`{text}` is too short a period: `{EVERY_MIN}` is the shortest"),
        column: None,
        hint: Some("for less, add a command that loops by itself".to_owned()),
    })
}

pub(super) fn check_command(command: Vec<OsString>, what: &str) -> Result<Vec<Vec<u8>>> {
    match command.first() {
        Some(program) if !program.is_empty() => {}
        Some(_) => return Err(Error::usage(what, "the command is an empty word")),
        None => return Err(Error::usage(what, "there is no command")),
    }
    let words: Vec<Vec<u8>> = command.into_iter().map(OsString::into_vec).collect();
    if words.iter().any(|word| word.contains(&0)) {
        return Err(Error::usage(what, "the command has a NUL byte"));
    }
    Ok(words)
}

pub(super) fn absolute(dir: &Path, what: &str) -> Result<PathBuf> {
    std::path::absolute(dir).map_err(|error| Error::usage(what, describe(&error)))
}

pub(super) fn checked_directory(dir: &Path, what: &str) -> Result<PathBuf> {
    let dir = absolute(dir, what)?;
    let cause = match std::fs::metadata(&dir) {
        Ok(metadata) if metadata.is_dir() => return Ok(dir),
        Ok(_) => "not a directory".to_owned(),
        Err(error) => describe(&error),
    };
    Err(Error::usage(what, format!("`--cwd {}`: {cause}", dir.display())))
}

/// Adds `NAME=VALUE`, or `NAME` with the caller's value. Later values win.
pub(super) fn with_variables(mut env: Vec<EnvVar>, added: &[OsString], what: &str) -> Result<Vec<EnvVar>> {
    for text in added {
        let bytes = text.as_bytes();
        let name = bytes.split(|byte| *byte == b'=').next().unwrap_or_default();
        if name.is_empty() || bytes.contains(&0) {
            return Err(Error::usage(
                what,
                format!("`--env {}` is not `NAME` or `NAME=VALUE`", text.display()),
            ));
        }
        let var = if name.len() < bytes.len() {
            bytes.to_vec()
        } else {
            let value = env::variable(text).ok_or_else(|| {
                Error::usage(what, format!("`{}` is not set in this environment", text.display()))
                    .hint(format!("give its value: `--env {}=VALUE`", text.display()))
            })?;
            [name, b"=", value.as_bytes()].concat()
        };
        let is_same =
            |other: &EnvVar| other.strip_prefix(name).is_some_and(|rest| rest.first() == Some(&b'='));
        env.retain(|other| !is_same(other));
        env.push(var);
    }
    Ok(env)
}
