//! Owns: the options of a stored job, in one ordered table: for JSON, for `export json`, and for `show`.
//! Never: reading options (see `job`).

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::json;

use crate::domain::{
    self, CallbackWhen, Gate, GateTimeout, MailFormat, MailWhen, Missed, MissedMode, NewJob, Overlap, Retry,
    Stdin, Tag,
};
use crate::schedule::parse_span;
use crate::shown::{escaped, escaped_bytes};

/// An option of a stored job.
pub struct OptionView {
    /// Its long name with `_` for `-`, or the key of `add --from`.
    key: &'static str,
    value: fn(&NewJob) -> Value<'_>,
    /// The head of its line in `show`. Options of one line follow each other.
    head: &'static str,
    shown: fn(&NewJob) -> Option<String>,
}

use Value::{ByteTexts, Bytes, Count, Flag, Number, Parts, Size, Span, Text, Texts};

enum Value<'a> {
    Flag(bool),
    Number(Option<i32>),
    Count(Option<u32>),
    Text(Option<Cow<'a, str>>),
    Bytes(Option<&'a [u8]>),
    Texts(Vec<Cow<'a, str>>),
    ByteTexts(Vec<Vec<u8>>),
    Span(Option<domain::Span>),
    Size(domain::Size),
    /// One text for `add`, and in JSON a key for each of its parts.
    Parts(Result<Option<String>, String>, Vec<(&'static str, Value<'a>)>),
}

/// How and where a job runs.
const EXECUTION: &[OptionView] = &[
    row(
        "cwd",
        "Directory",
        |job| Bytes(Some(&job.execution.cwd)),
        |job| Some(escaped_bytes(&job.execution.cwd)),
    ),
    row("cwd_optional", "Directory", |job| Flag(job.execution.cwd_optional), |_| None),
    row(
        "umask",
        "Directory",
        |job| Text(Some(umask(job).into())),
        |job| Some(format!("umask {}", umask(job))),
    ),
    row(
        "nice",
        "Directory",
        |job| Number(job.execution.nice),
        |job| job.execution.nice.map(|nice| format!("nice {nice}")),
    ),
    row(
        "env_file",
        "Variables",
        |job| Bytes(job.execution.env_file.as_deref()),
        |job| job.execution.env_file.as_deref().map(|path| format!("from {}", escaped_bytes(path))),
    ),
    row("stdin", "Stdin", |job| Bytes(stdin(job).0), |job| stdin(job).0.map(escaped_bytes)),
    row(
        "stdin_text",
        "Stdin",
        |job| Bytes(stdin(job).1),
        |job| stdin(job).1.map(|text| format!("a text of {} bytes", text.len())),
    ),
    row(
        "user",
        "User",
        |job| Text(job.execution.user.as_deref().map(Cow::from)),
        |job| job.execution.user.as_deref().map(|user| escaped(user).into_owned()),
    ),
    row("queue", "Queue", |job| word(job.queue.as_str()), |job| Some(job.queue.to_string())),
    row(
        "priority",
        "Queue",
        |job| Number(Some(job.priority)),
        |job| Some(format!("priority {}", job.priority)),
    ),
    row(
        "expect",
        "Queue",
        |job| Span(job.expect),
        |job| Some(format!("expected to take {}, until its runs tell", job.expect?)),
    ),
    row(
        "finish_by",
        "Queue",
        |job| Span(job.finish_by),
        |job| Some(format!("finished by {} after its time", job.finish_by?)),
    ),
    row("executor", "Executor", |job| Text(executor(job).map(Cow::from)), executor),
    row("needs", "Needs", |job| Text(needs(job).map(Cow::from)), needs),
    row("enforce", "Needs", |job| Flag(job.enforce), |job| job.enforce.then(|| "enforced".to_owned())),
    row("if", "If", gates, |job| gates(job).text()),
    row("if_timeout", "If", gate_timeout, |job| {
        let GateTimeout { after, starts } = job.requirement.gate_timeout?;
        Some(format!("else {} after {after}", if starts { "started" } else { "missed" }))
    }),
    row(
        "tag",
        "Tags",
        |job| Texts(tags(job).into_iter().map(Cow::from).collect()),
        |job| Some(tags(job).join(", ")).filter(|tags| !tags.is_empty()),
    ),
];

/// Late, overlapping and endless runs, and mail.
const POLICIES: &[OptionView] = &[
    row("array", "Array", |job| Text(array(job).filter(|_| !job.has_items).map(Cow::from)), array),
    row(
        "each",
        "Array",
        |job| Parts(Ok(None), vec![("each", Flag(job.has_items))]),
        |job| job.has_items.then(|| "one for each of its items".to_owned()),
    ),
    row(
        "after",
        "After",
        |job| Texts(dependencies(job).map(Cow::from).collect()),
        |job| Some(dependencies(job).collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty()),
    ),
    row(
        "any",
        "After",
        |job| Flag(job.after.any),
        |job| job.after.any.then(|| "any of them is enough".to_owned()),
    ),
    row(
        "all_of",
        "All of",
        |job| Flag(job.all_of),
        |job| job.all_of.then(|| "a run needs a fire of each trigger since the last one".to_owned()),
    ),
    row(
        "stdin_from",
        "After",
        |job| Text(stdin_from(job).map(Cow::from)),
        |job| stdin_from(job).map(|job| format!("the output of {job} is its standard input")),
    ),
    row(
        "overlap",
        "Overlap",
        |job| Text(job.policy.overlap.map(|overlap| overlap.as_str().into())),
        |job| {
            let Some(overlap) = job.policy.overlap else {
                return Some("skip at times, wait at events".to_owned());
            };
            let meaning = match overlap {
                Overlap::Skip => "a fire is skipped while a run is unfinished",
                Overlap::Wait => "one fire waits while a run is unfinished",
                Overlap::Allow => "runs go side by side",
                Overlap::Replace => "a fire cancels the unfinished run",
            };
            Some(format!("{overlap} ({meaning})"))
        },
    ),
    row("missed", "Missed", missed, |job| {
        let Missed { mode, within, .. } = job.policy.missed;
        let meaning = match mode {
            MissedMode::Once => "one run for the latest late fire",
            MissedMode::All => "a run for each late fire, at most 100",
            MissedMode::Skip => "no run for a late fire",
        };
        let within = within.map_or(String::new(), |span| format!(", none if more than {span} late"));
        Some(format!("{mode} ({meaning}{within})"))
    }),
    row(
        "grace",
        "Missed",
        |job| Span(Some(job.policy.missed.grace)),
        |job| Some(format!("grace {} (less is not late)", job.policy.missed.grace)),
    ),
    row(
        "timeout",
        "Timeout",
        |job| Span(job.policy.timeout),
        |job| {
            let text = |span| format!("{span} (then the run gets TERM)");
            Some(job.policy.timeout.map_or("none".to_owned(), text))
        },
    ),
    row(
        "kill_after",
        "Timeout",
        |job| Span(Some(job.policy.kill_after)),
        |job| Some(format!("kill after {} (KILL, if TERM did not end it)", job.policy.kill_after)),
    ),
    row(
        "start_by",
        "Start by",
        |job| Span(job.policy.start_by),
        |job| Some(format!("{} after it is queued (else the run is missed)", job.policy.start_by?)),
    ),
    row(
        "retries",
        "Retries",
        |job| Count(Some(job.retry.retries)),
        |job| Some(if job.retry.retries == 0 { "none".to_owned() } else { job.retry.retries.to_string() }),
    ),
    row("retry_delay", "Retries", retry_delay, |job| {
        let Retry { delay, delay_max, .. } = retried(job)?;
        let growth = if delay < delay_max { format!(", doubling up to {delay_max}") } else { String::new() };
        Some(format!("after {delay}{growth}"))
    }),
    row("retry_on", "Retries", retry_on, |job| {
        Some(match retried(job)?.on {
            None => "after any failure".to_owned(),
            Some(causes) => format!("on {causes}"),
        })
    }),
    row(
        "on_success",
        "On success",
        |job| Bytes(script(job, CallbackWhen::Success)),
        |job| script(job, CallbackWhen::Success).map(escaped_bytes),
    ),
    row(
        "on_failure",
        "On failure",
        |job| Bytes(script(job, CallbackWhen::Failure)),
        |job| script(job, CallbackWhen::Failure).map(escaped_bytes),
    ),
    row(
        "on_finish",
        "On finish",
        |job| Bytes(script(job, CallbackWhen::Finish)),
        |job| script(job, CallbackWhen::Finish).map(escaped_bytes),
    ),
    row(
        "log_limit",
        "Output",
        |job| Size(job.log_limit),
        |job| Some(format!("up to {} (of more, the first and the last half)", job.log_limit)),
    ),
    row(
        "split_output",
        "Output",
        |job| Flag(job.split_output),
        |job| job.split_output.then(|| "standard error apart".to_owned()),
    ),
    row("mail", "Mail", mail, |job| {
        let mail = job.mail.as_ref()?;
        let when = match mail.when {
            MailWhen::Failed => "about each run that does not succeed",
            MailWhen::Output => "about each run that writes something",
            MailWhen::Always => "about each run",
        };
        Some(format!("to {}, {when}", mail.to))
    }),
    row("mail_format", "Mail", mail_format, |job| match job.mail.as_ref()?.format {
        MailFormat::Taskq => None,
        MailFormat::Debian => Some("as Debian's cron writes it".to_owned()),
        MailFormat::Cronie => Some("as cronie writes it".to_owned()),
    }),
    // `show` has the count, too.
    row("nth", "", |job| Count(job.nth), |_| None),
    // `show` has the delay, too.
    row("jitter", "", |job| Span(job.jitter), |_| None),
    // `show` says how many have begun, too.
    row("times", "", |job| Count(job.times), |_| None),
    row("hold", "", |job| Flag(job.hold), |_| None),
];

const fn row(
    key: &'static str,
    head: &'static str,
    value: fn(&NewJob) -> Value<'_>,
    shown: fn(&NewJob) -> Option<String>,
) -> OptionView {
    OptionView { key, value, head, shown }
}

fn word(text: &str) -> Value<'_> {
    Text(Some(text.into()))
}

fn umask(job: &NewJob) -> String {
    format!("{:03o}", job.execution.umask)
}

fn gates(job: &NewJob) -> Value<'_> {
    ByteTexts(job.requirement.gates.iter().map(Gate::text).collect())
}

/// One text for `add`; in JSON the span, and what follows.
fn gate_timeout(job: &NewJob) -> Value<'_> {
    let timeout = job.requirement.gate_timeout;
    let text = timeout.map(|GateTimeout { after, starts }| {
        let span = sayable(after, "if_timeout")?;
        Ok(format!("{span}{}", if starts { ",run" } else { "" }))
    });
    let starts = timeout.is_some_and(|timeout| timeout.starts);
    let parts =
        vec![("if_timeout", Span(timeout.map(|timeout| timeout.after))), ("if_timeout_runs", Flag(starts))];
    Parts(text.transpose(), parts)
}

/// With its host, if there is only one that will do.
pub fn executor(job: &NewJob) -> Option<String> {
    let name = job.requirement.executor.as_ref()?;
    Some(match &job.requirement.host {
        None => name.to_string(),
        Some(host) => format!("{name}:{host}"),
    })
}

fn needs(job: &NewJob) -> Option<String> {
    Some(job.requirement.needs.to_string()).filter(|text| !text.is_empty())
}

fn tags(job: &NewJob) -> Vec<&str> {
    job.tags.iter().map(Tag::as_str).collect()
}

fn script(job: &NewJob, when: CallbackWhen) -> Option<&[u8]> {
    job.callbacks.get(when).map(Vec::as_slice)
}

fn array(job: &NewJob) -> Option<String> {
    job.array.map(|array| array.to_string())
}

fn dependencies(job: &NewJob) -> impl Iterator<Item = String> {
    job.after.dependencies.iter().map(ToString::to_string)
}

fn stdin_from(job: &NewJob) -> Option<String> {
    job.after.stdin_from().map(ToString::to_string)
}

/// Returns the file and the text of the standard input. At most one of them is set.
fn stdin(job: &NewJob) -> (Option<&[u8]>, Option<&[u8]>) {
    match &job.execution.stdin {
        Stdin::Null => (None, None),
        Stdin::Path(path) => (Some(path), None),
        Stdin::Text(text) => (None, Some(text)),
    }
}

fn missed(job: &NewJob) -> Value<'_> {
    let Missed { mode, within, .. } = job.policy.missed;
    let text = match within {
        None => Ok(mode.to_string()),
        Some(within) => sayable(within, "missed").map(|within| format!("{mode},{within}")),
    };
    Parts(text.map(Some), vec![("missed", word(mode.as_str())), ("missed_within", Span(within))])
}

/// Returns the policy for failed attempts of a job whose runs are retried.
fn retried(job: &NewJob) -> Option<Retry> {
    Some(job.retry).filter(|retry| retry.retries > 0)
}

fn retry_delay(job: &NewJob) -> Value<'_> {
    let Retry { delay, delay_max, .. } = job.retry;
    let text = retried(job).map(|_| {
        let (min, max) = (sayable(delay, "retry_delay")?, sayable(delay_max, "retry_delay")?);
        Ok(format!("{min}..{max}"))
    });
    let parts = vec![("retry_delay", Span(Some(delay))), ("retry_delay_max", Span(Some(delay_max)))];
    Parts(text.transpose(), parts)
}

fn retry_on(job: &NewJob) -> Value<'_> {
    let on = job.retry.on.map(|causes| causes.to_string());
    let text = retried(job).and(on.clone());
    Parts(Ok(text), vec![("retry_on", Text(on.map(Cow::from)))])
}

fn mail(job: &NewJob) -> Value<'_> {
    let mail = job.mail.as_ref();
    let when = Text(mail.map(|mail| mail.when.as_str().into()));
    let to = Text(mail.map(|mail| mail.to.as_str().into()));
    Parts(
        Ok(mail.map(|mail| format!("{},{}", mail.to, mail.when))),
        vec![("mail_to", to), ("mail_when", when)],
    )
}

fn mail_format(job: &NewJob) -> Value<'_> {
    let format = job.mail.as_ref().map(|mail| mail.format);
    let foreign = format.filter(|format| *format != MailFormat::Taskq).map(|format| format.to_string());
    Parts(Ok(foreign), vec![("mail_format", Text(format.map(|format| format.as_str().into())))])
}

/// The options of a job as keys of its JSON: spans in milliseconds, `null` for no value.
pub struct OptionsJson<'a>(pub &'a NewJob);

impl Serialize for OptionsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for option in EXECUTION.iter().chain(POLICIES) {
            (option.value)(self.0).write(option.key, &mut map)?;
        }
        map.end()
    }
}

impl Value<'_> {
    fn write<M: SerializeMap>(&self, key: &str, map: &mut M) -> Result<(), M::Error> {
        match self {
            Flag(flag) => map.serialize_entry(key, flag),
            Number(number) => map.serialize_entry(key, number),
            Count(count) => map.serialize_entry(key, count),
            Text(text) => map.serialize_entry(key, text),
            Bytes(bytes) => map.serialize_entry(key, &bytes.map(String::from_utf8_lossy)),
            Texts(texts) => map.serialize_entry(key, texts),
            ByteTexts(texts) => {
                let texts: Vec<_> = texts.iter().map(|text| String::from_utf8_lossy(text)).collect();
                map.serialize_entry(key, &texts)
            }
            Span(span) => map.serialize_entry(&format!("{key}_ms"), &span.map(domain::Span::as_millis)),
            Size(size) => map.serialize_entry(&format!("{key}_bytes"), &size.as_bytes()),
            Parts(_, parts) => parts.iter().try_for_each(|(key, part)| part.write(key, map)),
        }
    }

    fn text(self) -> Option<String> {
        match self {
            Flag(flag) => flag.then(|| "yes".to_owned()),
            Number(number) => number.map(|number| number.to_string()),
            Count(count) => count.filter(|count| *count > 0).map(|count| count.to_string()),
            Text(text) => text.map(|text| escaped(&text).into_owned()),
            Bytes(bytes) => bytes.map(escaped_bytes),
            Texts(texts) => (!texts.is_empty()).then(|| texts.join(", ")),
            ByteTexts(texts) => (!texts.is_empty()).then(|| escaped_bytes(&texts.join(&b", "[..]))),
            Span(span) => span.map(|span| span.to_string()),
            Size(size) => Some(size.to_string()),
            Parts(text, _) => text.unwrap_or_else(Some),
        }
    }

    /// Returns the value for `add --from`; `None` leaves the key out.
    fn line(self, key: &str) -> Result<Option<serde_json::Value>, String> {
        Ok(match self {
            Flag(flag) => flag.then_some(json!(true)),
            Number(number) => number.map(|number| json!(number)),
            Count(count) => count.filter(|count| *count > 0).map(|count| json!(count)),
            Text(text) => text.map(|text| json!(text)),
            Bytes(bytes) => {
                bytes.map(|bytes| utf8(bytes, &format!("its `{key}`"))).transpose()?.map(|text| json!(text))
            }
            Texts(texts) => (!texts.is_empty()).then(|| json!(texts)),
            ByteTexts(texts) => {
                let text = |text| utf8(text, &format!("its `{key}`"));
                let texts = texts.iter().map(|bytes| text(bytes)).collect::<Result<Vec<_>, _>>()?;
                (!texts.is_empty()).then(|| json!(texts))
            }
            Span(span) => span.map(|span| sayable(span, key)).transpose()?.map(|text| json!(text)),
            Size(size) => Some(json!(size.to_string())),
            Parts(text, _) => text?.map(|text| json!(text)),
        })
    }
}

/// The options of a job as keys of a line for `add --from`.
pub struct OptionsLine(Vec<(&'static str, serde_json::Value)>);

impl OptionsLine {
    /// Makes the line.
    ///
    /// # Errors
    /// Returns the part that JSON or the option cannot express.
    pub fn of(job: &NewJob) -> Result<Self, String> {
        let mut pairs = Vec::new();
        for option in EXECUTION.iter().chain(POLICIES) {
            pairs.extend((option.value)(job).line(option.key)?.map(|value| (option.key, value)));
        }
        Ok(Self(pairs))
    }

    pub fn remove(&mut self, key: &str) {
        self.0.retain(|(other, _)| *other != key);
    }
}

impl Serialize for OptionsLine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// Returns each option of a job with its value as text; `None` for no value.
pub fn option_texts(job: &NewJob) -> Vec<(&'static str, Option<String>)> {
    EXECUTION.iter().chain(POLICIES).map(|option| (option.key, (option.value)(job).text())).collect()
}

/// Returns each option of a job with its value as a line of `add --from` has it, or nearly, if it cannot have
/// it.
pub fn option_values(job: &NewJob) -> Vec<(&'static str, Option<serde_json::Value>)> {
    let value = |option: &OptionView| {
        let line = (option.value)(job).line(option.key);
        line.unwrap_or_else(|_| (option.value)(job).text().map(serde_json::Value::from))
    };
    EXECUTION.iter().chain(POLICIES).map(|option| (option.key, value(option))).collect()
}

/// Returns a span as text that options read back.
pub fn sayable(span: domain::Span, key: &str) -> Result<String, String> {
    let text = span.to_string();
    match parse_span(&text) {
        Ok(read) if read == span => Ok(text),
        Ok(_) | Err(_) => Err(format!("JSON cannot say `--{} {text}`", key.replace('_', "-"))),
    }
}

/// Returns bytes as text for JSON. The error says that they are in `what`.
pub fn utf8(bytes: &[u8], what: &str) -> Result<String, String> {
    String::from_utf8(bytes.to_vec())
        .map_err(|_| format!("JSON cannot say bytes that are not UTF-8, as in {what}"))
}

/// Returns the lines of `show` about how and where a job runs, each with its head.
pub fn execution_lines(job: &NewJob) -> Vec<(&'static str, String)> {
    lines(EXECUTION, job)
}

/// Returns the lines of `show` about a job's policies, each with its head.
pub fn policy_lines(job: &NewJob) -> Vec<(&'static str, String)> {
    lines(POLICIES, job)
}

fn lines(options: &[OptionView], job: &NewJob) -> Vec<(&'static str, String)> {
    let mut lines: Vec<(&str, String)> = Vec::new();
    for option in options {
        let Some(shown) = (option.shown)(job) else { continue };
        match lines.last_mut() {
            Some((head, line)) if *head == option.head => line.push_str(&format!(", {shown}")),
            _ => lines.push((option.head, shown)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use clap::Args;

    use super::*;
    use crate::cli::job::options::JobOptions;

    #[test]
    fn every_option_of_add_is_shown_or_is_a_trigger_or_part_of_the_environment() {
        const ELSEWHERE: [&str; 12] = [
            "at",
            "cron",
            "calendar",
            "every",
            "after_end",
            "on",
            "start",
            "until",
            "tz",
            "name",
            "env",
            "clean_env",
        ];
        let add = JobOptions::augment_args(clap::Command::new("add"));
        let mut keys: Vec<String> =
            add.get_arguments().filter_map(|option| Some(option.get_long()?.replace('-', "_"))).collect();
        keys.extend(["cwd_optional", "stdin_text", "mail_format"].map(str::to_owned));
        keys.retain(|key| !ELSEWHERE.contains(&key.as_str()));
        let mut shown: Vec<&str> = EXECUTION.iter().chain(POLICIES).map(|option| option.key).collect();
        keys.sort_unstable();
        shown.sort_unstable();
        assert_eq!(shown, keys);
    }
}
