//! Owns: jobs as the JSON lines that `add --from` reads.
//! Never: reading them (see `job::lines`).

use serde::Serialize;

use super::job::ExportedJob;
use super::losses::Losses;
use crate::cli::job::options::parse_mail;
use crate::cli::job::text::SYSTEM_ZONE;
use crate::cli::output::json::line;
use crate::domain::{
    CommandLine, JobName, Mail, MailFormat, Missed, Overlap, QueueName, Span, Stdin, Tag, Timestamp,
    TriggerSpec,
};
use crate::schedule::{Zone, parse_span};
use crate::store::JobView;

/// A line; its keys are those that `add --from` takes.
#[derive(Serialize)]
struct JobLine {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<JobName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    script: Option<String>,
    #[serde(flatten)]
    triggers: Triggers,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<Timestamp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tag: Vec<Tag>,
    queue: QueueName,
    priority: i32,
    cwd: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cwd_optional: bool,
    umask: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdin_text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<String>,
    kill_after: String,
    overlap: Overlap,
    missed: String,
    grace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mail_format: Option<MailFormat>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    hold: bool,
    environment: Vec<String>,
}

#[derive(Default, Serialize)]
struct Triggers {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    at: Vec<Timestamp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cron: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    every: Vec<String>,
    /// Of each of `every`, so that it keeps its phase.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    anchor: Vec<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tz: Option<String>,
}

/// Writes the jobs, a line each.
pub(super) fn lines(jobs: &[ExportedJob], now: Timestamp, losses: &mut Losses) -> Vec<u8> {
    let mut written = Vec::new();
    for leaving in jobs {
        // What is told of a job that is then left out would be one line too many.
        let mut of_job = Losses::default();
        match job_line(leaving, now, &mut of_job) {
            Ok(job) => {
                written.extend(line(&job));
                losses.append(of_job);
            }
            Err(why) => losses.leave_out(&leaving.job, why),
        }
    }
    written
}

fn job_line(leaving: &ExportedJob, now: Timestamp, losses: &mut Losses) -> Result<JobLine, String> {
    let job = &leaving.job;
    let (command, script) = match &job.definition.execution.command {
        CommandLine::Argv(words) => {
            (Some(words.iter().map(|word| utf8(word, "its command")).collect::<Result<Vec<_>, _>>()?), None)
        }
        CommandLine::Script(script) => (None, Some(utf8(script, "its script")?)),
    };
    let (stdin, stdin_text) = match &job.definition.execution.stdin {
        Stdin::Null => (None, None),
        Stdin::Path(path) => (Some(utf8(path, "the name of its input")?), None),
        Stdin::Text(text) => (None, Some(utf8(text, "its input")?)),
    };
    let policy = &job.definition.policy;
    let Missed { mode, within, grace } = policy.missed;
    let within = within.map(|within| span(within, "--missed")).transpose()?;
    let mail = job.definition.mail.as_ref().and_then(|mail| mail_text(job, mail, losses));
    let is_foreign = |format: &MailFormat| *format != MailFormat::Taskq;
    Ok(JobLine {
        name: job.definition.name.clone(),
        command,
        script,
        triggers: triggers(leaving, losses)?,
        start: job.definition.start.filter(|start| *start > now),
        tag: job.definition.tags.clone(),
        queue: job.definition.queue.clone(),
        priority: job.definition.priority,
        cwd: utf8(&job.definition.execution.cwd, "its directory")?,
        cwd_optional: job.definition.execution.cwd_optional,
        umask: format!("{:03o}", job.definition.execution.umask),
        stdin,
        stdin_text,
        user: job.definition.execution.user.clone(),
        timeout: policy.timeout.map(|timeout| span(timeout, "--timeout")).transpose()?,
        kill_after: span(policy.kill_after, "--kill-after")?,
        overlap: policy.overlap,
        missed: within.map_or_else(|| mode.to_string(), |within| format!("{mode},{within}")),
        grace: span(grace, "--grace")?,
        mail_format: mail
            .as_ref()
            .and(job.definition.mail.as_ref())
            .map(|mail| mail.format)
            .filter(is_foreign),
        mail,
        hold: job.paused_at.is_some(),
        environment: leaving.env.iter().map(|var| utf8(var, &name_of(var))).collect::<Result<_, _>>()?,
    })
}

fn triggers(leaving: &ExportedJob, losses: &mut Losses) -> Result<Triggers, String> {
    let mut triggers = Triggers::default();
    for trigger in &leaving.triggers {
        match &trigger.spec {
            TriggerSpec::At { at } => triggers.at.push(*at),
            TriggerSpec::Cron { expr, zone, delay } => {
                let zone = zone.as_deref().unwrap_or(SYSTEM_ZONE);
                if zone != SYSTEM_ZONE && Zone::named(zone).is_err() {
                    return Err(format!("JSON cannot say the zone `{zone}`, which has no name"));
                }
                if *triggers.tz.get_or_insert_with(|| zone.to_owned()) != zone {
                    return Err("JSON cannot say triggers in different zones".to_owned());
                }
                if *delay != Span::ZERO {
                    losses.lose(&leaving.job, format_args!("JSON cannot say a delay of {delay}"));
                }
                triggers.cron.push(expr.clone());
            }
            TriggerSpec::Every { period, anchor } => {
                triggers.every.push(span(*period, "--every")?);
                triggers.anchor.push(*anchor);
            }
        }
    }
    Ok(triggers)
}

/// Returns whom a job mails as `--mail` has it, if it would take that.
fn mail_text(job: &JobView, mail: &Mail, losses: &mut Losses) -> Option<String> {
    let text = format!("{},{}", mail.to, mail.when);
    match parse_mail(&text) {
        Ok(read) if read.to == mail.to && read.when == mail.when => Some(text),
        Ok(_) | Err(_) => {
            losses.lose(job, format_args!("JSON cannot say `--mail {text}`"));
            None
        }
    }
}

/// Returns a span as options read it.
fn span(span: Span, option: &str) -> Result<String, String> {
    let text = span.to_string();
    match parse_span(&text) {
        Ok(read) if read == span => Ok(text),
        Ok(_) | Err(_) => Err(format!("JSON cannot say `{option} {text}`")),
    }
}

fn utf8(bytes: &[u8], what: &str) -> Result<String, String> {
    String::from_utf8(bytes.to_vec())
        .map_err(|_| format!("JSON cannot say bytes that are not UTF-8, as in {what}"))
}

/// Returns the name of a variable, for a person.
fn name_of(var: &[u8]) -> String {
    let name = var.split(|byte| *byte == b'=').next().unwrap_or_default();
    format!("the variable `{}`", String::from_utf8_lossy(name))
}
