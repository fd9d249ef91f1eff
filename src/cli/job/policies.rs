//! Owns: the texts of the policies: retries, dependencies, arrays, callbacks, mails and limits.
//! Never: triggers and the execution (see `text`).

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::options::JobOptions;
use super::values::{check_items, check_script, option_failure, parse_mail, read_items};
use crate::domain::{
    After, Array, CallbackWhen, Callbacks, Dependency, Execution, Gate, GateTimeout, Indices, InvalidId,
    JobKey, JobRef, Mail, MailFormat, Missed, Needs, NewJob, Overlap, Policy, Requirement, Retry, Size, Span,
    Stdin,
};
use crate::error::{Error, Result};
use crate::schedule::parse_span;
use crate::shown::escaped_bytes;

impl JobOptions {
    /// Reads a span that is not zero, if it is given.
    pub(super) fn positive_span(
        &self,
        what: &str,
        option: &str,
        text: &Option<String>,
    ) -> Result<Option<Span>> {
        let read = text.as_ref().map(|text| parse_span(text)).transpose();
        read.map_err(|error| {
            let text = text.as_deref().unwrap_or_default();
            let error = self.unquoted(error, option, text, |text| parse_span(text).is_ok());
            option_failure(what, option, error)
        })
    }

    /// Reads the policies that are given, and takes the others from `base`.
    pub(super) fn policy(&self, what: &str, base: Policy) -> Result<Policy> {
        let span = |option: &str, text: &Option<String>| self.positive_span(what, option, text);
        let grace = span("--grace", &self.grace)?.unwrap_or(base.missed.grace);
        let missed = match &self.missed {
            Some(missed) => Missed { mode: missed.mode, within: span("--missed", &missed.within)?, grace },
            None => Missed { grace, ..base.missed },
        };
        Ok(Policy {
            overlap: self.overlap.or(base.overlap),
            missed,
            timeout: span("--timeout", &self.timeout)?.or(base.timeout),
            kill_after: span("--kill-after", &self.kill_after)?.unwrap_or(base.kill_after),
            start_by: span("--start-by", &self.start_by)?.or(base.start_by),
        })
    }

    /// Reads what a run requires besides a slot, and takes what is not given from `base`.
    pub(super) fn requirement(&self, what: &str, cwd: &Path, base: Requirement) -> Result<Requirement> {
        let needs = match self.needs.as_slice() {
            [] => base.needs.clone(),
            texts => texts
                .iter()
                .try_fold(Needs::default(), |needs, text| needs.join(text.parse()?))
                .map_err(|error: InvalidId| Error::usage(what, format!("`--needs`: {error}")))?,
        };
        let mut gates = Vec::new();
        for text in &self.gates {
            let gate = Gate::read(text.as_bytes(), cwd).map_err(|cause| gate_failure(what, text, &cause))?;
            if !gates.contains(&gate) {
                gates.push(gate);
            }
        }
        let gates = if gates.is_empty() { base.gates } else { gates };
        let gate_timeout = self.gate_timeout(what)?.or(base.gate_timeout);
        if gates.is_empty() && self.if_timeout.is_some() {
            return Err(Error::usage(what, "`--if-timeout` needs `--if`"));
        }
        let (executor, host) = match &self.executor {
            None => (base.executor, base.host),
            Some(text) => {
                let (name, host) =
                    text.split_once(':').map_or((text.as_str(), None), |(name, host)| (name, Some(host)));
                let name = name
                    .parse()
                    .map_err(|error: InvalidId| Error::usage(what, format!("`--executor`: {error}")))?;
                (Some(name), host.map(str::to_owned))
            }
        };
        Ok(Requirement { needs, gates, gate_timeout, executor, host })
    }

    fn gate_timeout(&self, what: &str) -> Result<Option<GateTimeout>> {
        const OPTION: &str = "--if-timeout";
        let Some(text) = &self.if_timeout else { return Ok(None) };
        let (span, starts) = match text.split_once(',') {
            None => (text.as_str(), false),
            Some((span, "run")) => (span, true),
            Some((_, other)) => {
                let cause = format!("`{OPTION}`: `{other}` is not `run`");
                return Err(Error::usage(what, cause).hint("write it as `1h`, or `1h,run`"));
            }
        };
        let after = self.positive_span(what, OPTION, &Some(span.to_owned()))?;
        Ok(after.map(|after| GateTimeout { after, starts }))
    }

    /// Reads the policy for failed attempts that is given, and takes the rest from `base`.
    pub(super) fn retry(&self, what: &str, base: Retry) -> Result<Retry> {
        const DELAY: &str = "--retry-delay";
        let given = [(DELAY, self.retry_delay.is_some()), ("--retry-on", self.retry_on.is_some())];
        let retries = self.retries.unwrap_or(base.retries);
        if retries == 0
            && let Some((option, _)) = given.iter().find(|(_, is_given)| *is_given)
        {
            return Err(Error::usage(what, format!("`{option}` needs `--retries`")));
        }
        let base = Retry { retries, on: self.retry_on.or(base.on), ..base };
        let Some(text) = &self.retry_delay else { return Ok(base) };
        let span = |text: &str| parse_span(text).map_err(|error| option_failure(what, DELAY, error));
        let (min, max) = text.split_once("..").map_or((text.as_str(), None), |(min, max)| (min, Some(max)));
        let delay = span(min)?;
        let delay_max = max.map(span).transpose()?.unwrap_or(Retry::delay_max_for(delay));
        if delay_max < delay {
            let cause = format!("`{DELAY} {text}`: `{delay_max}` is less than `{delay}`");
            return Err(Error::usage(what, cause)
                .hint(format!("write the shorter span first: `{DELAY} {delay_max}..{delay}`")));
        }
        Ok(Retry { delay, delay_max, ..base })
    }

    /// Reads the dependencies that are given, or takes those of `base`.
    pub(super) fn after(&self, what: &str, base: After) -> Result<After> {
        let read = |text: &String| {
            text.parse().map_err(|cause| Error::usage(what, format!("`--after {text}`: {cause}")))
        };
        let given: Vec<Dependency> = self.after.iter().map(read).collect::<Result<_>>()?;
        let base_stdin_from = base.stdin_from().cloned();
        let dependencies = if given.is_empty() { base.dependencies } else { given };
        if self.any && dependencies.is_empty() {
            return Err(Error::usage(what, "`--any` needs `--after`"));
        }
        let stdin_from = match &self.stdin_from {
            Some(text) => Some(read_stdin_from(text, what)?),
            None => base_stdin_from,
        };
        let mut after = After { dependencies, any: self.any || base.any };
        if after.take_stdin_from(stdin_from.as_ref()) {
            return Ok(after);
        }
        let job = stdin_from.map(|job| job.to_string()).unwrap_or_default();
        Err(Error::usage(what, format!("`--stdin-from {job}` needs `--after {job}`")))
    }

    /// Reads the array that is given, with the items of its indices.
    pub(super) fn array(&self, what: &str) -> Result<Option<(Array, Vec<Vec<u8>>)>> {
        let items = match (&self.each, &self.line.items) {
            (Some(_), Some(_)) => return Err(Error::usage(what, "it has both `each` and `items`")),
            (None, None) => return Ok(self.array.map(|array| (array, Vec::new()))),
            (Some(file), None) => read_items(file, what)?,
            (None, Some(items)) => items.iter().map(|item| item.as_bytes().to_vec()).collect(),
        };
        check_items(&items, what)?;
        let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let indices =
            Indices::up_to(count).map_err(|cause| Error::usage(what, format!("`--each` {cause}")))?;
        Ok(Some((Array { indices, at_once: None }, items)))
    }

    /// Reads the callbacks that are given, and takes the others from `base`.
    pub(super) fn callbacks(&self, what: &str, mut base: Callbacks) -> Result<Callbacks> {
        let given = [
            (CallbackWhen::Success, &self.on_success),
            (CallbackWhen::Failure, &self.on_failure),
            (CallbackWhen::Finish, &self.on_finish),
        ];
        for (when, script) in given {
            if let Some(script) = script {
                *base.get_mut(when) = Some(check_script(script.clone().into_vec(), what)?);
            }
        }
        Ok(base)
    }

    pub(super) fn mail(&self, what: &str) -> Result<Option<Mail>> {
        if self.mail.is_none() && self.line.mail_format.is_some() {
            return Err(Error::usage(what, "`mail_format` needs `mail`"));
        }
        let format = self.line.mail_format.unwrap_or(MailFormat::Taskq);
        self.mail.as_deref().map(|mail| parse_mail(mail, format, what)).transpose()
    }

    pub(super) fn log_limit(&self, what: &str) -> Result<Option<Size>> {
        let Some(text) = &self.log_limit else { return Ok(None) };
        let limit: Size =
            text.parse().map_err(|cause| Error::usage(what, format!("`--log-limit`: {cause}")))?;
        if limit < NewJob::LOG_LIMIT_MIN {
            let cause = format!("`--log-limit {text}`: `{}` is the least", NewJob::LOG_LIMIT_MIN);
            return Err(Error::usage(what, cause)
                .hint("to keep no output, redirect it in the command: `-c 'COMMAND >/dev/null 2>&1'`"));
        }
        Ok(Some(limit))
    }
}

/// Explains what is wrong with a gate. A shell has taken `<1.5` away if the gate was not quoted.
fn gate_failure(what: &str, text: &OsStr, cause: &str) -> Error {
    let text = text.as_bytes();
    let error = Error::usage(what, format!("`--if {}`: {cause}", escaped_bytes(text)));
    let is_gate = |rest: &[u8]| Gate::read(&[text, rest].concat(), Path::new("/")).is_ok();
    if !text.contains(&b':') && [&b"<1"[..], b"<1%", b">1"].into_iter().any(is_gate) {
        return error.hint("a shell reads `<` and `>` itself: quote the gate, as in `--if 'load<1.5'`");
    }
    error
}

fn read_stdin_from(text: &str, what: &str) -> Result<JobKey> {
    let refused = |cause: String| Error::usage(what, format!("`--stdin-from {text}`: {cause}"));
    let named: JobRef = text.parse().map_err(|error: InvalidId| refused(error.to_string()))?;
    named.whole().map_err(|job| refused(format!("it names a part of a job: name the job, `{job}`")))
}

/// Refuses another standard input beside `--stdin-from`, and another user, who cannot enter the directory of
/// the outputs.
pub(super) fn refuse_second_stdin(after: &After, execution: &Execution, what: &str) -> Result<()> {
    if after.stdin_from().is_none() {
        return Ok(());
    }
    let other = match (&execution.stdin, &execution.user) {
        (Stdin::Null, None) => return Ok(()),
        (Stdin::Path(_), _) => "--stdin",
        (Stdin::Text(_), _) => "stdin_text",
        (Stdin::Null, Some(_)) => "--user",
    };
    Err(Error::usage(what, format!("`--stdin-from` does not go together with `{other}`")))
}

/// Refuses an array of which a fire would replace the unfinished one.
pub(super) fn refuse_replaced_array(array: Option<Array>, policy: Policy, what: &str) -> Result<()> {
    match (array, policy.overlap) {
        (Some(_), Some(Overlap::Replace)) => {
            Err(Error::usage(what, "`--overlap replace` does not go together with an array")
                .hint("let the next fire wait with `--overlap wait`"))
        }
        (Some(_) | None, _) => Ok(()),
    }
}
