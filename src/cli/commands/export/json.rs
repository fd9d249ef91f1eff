//! Owns: jobs as the JSON lines that `add --from` reads.
//! Never: reading them (see `job::lines`).

use serde::Serialize;

use super::Variables;
use super::job::ExportedJob;
use super::warnings::ExportWarnings;
use crate::cli::job::text::SYSTEM_ZONE;
use crate::cli::job::values::read_mail;
use crate::cli::output::json_line;
use crate::cli::view::options::{OptionsLine, sayable, utf8};
use crate::domain::{CommandLine, Dependency, EnvVar, JobKey, JobName, Mail, Span, Timestamp, TriggerSpec};
use crate::schedule::Zone;

/// A line; its keys are those that `add --from` takes.
#[derive(Serialize)]
pub(super) struct JobLine {
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
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    #[serde(flatten)]
    options: OptionsLine,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    items: Vec<String>,
    /// Without those whose values are left out.
    environment: Vec<String>,
    /// The names of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    keep_env: Vec<String>,
}

#[derive(Default, Serialize)]
struct Triggers {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    at: Vec<Timestamp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cron: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    calendar: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    every: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    after_end: bool,
    /// One for each `every`, so that it keeps its phase.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    anchor: Vec<Timestamp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    on: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tz: Option<String>,
}

impl Triggers {
    /// Sets the zone of expressions; `None`: the system's.
    fn put_zone(&mut self, zone: Option<&str>) -> Result<(), String> {
        let zone = zone.unwrap_or(SYSTEM_ZONE);
        if zone != SYSTEM_ZONE && Zone::named(zone).is_err() {
            return Err(format!("JSON cannot say the zone `{zone}`, which has no name"));
        }
        if *self.tz.get_or_insert_with(|| zone.to_owned()) != zone {
            return Err("JSON cannot say triggers in different zones".to_owned());
        }
        Ok(())
    }
}

/// Writes the jobs, a line each.
pub(super) fn lines(
    jobs: &[ExportedJob],
    (now, variables): (Timestamp, Variables),
    warnings: &mut ExportWarnings,
) -> Vec<u8> {
    let mut written = Vec::new();
    for exported in jobs {
        // Separate, because a job that is then left out needs no other warnings.
        let mut of_job = ExportWarnings::default();
        match job_line(exported, (Some(now), variables), &mut of_job) {
            Ok(job) => {
                written.extend(json_line(&job));
                warnings.append(of_job);
            }
            Err(why) => warnings.leave_out(&exported.job, why),
        }
    }
    written
}

/// Returns the line of a job. A start at or before `passed` is left out.
pub(super) fn job_line(
    exported: &ExportedJob,
    (passed, variables): (Option<Timestamp>, Variables),
    warnings: &mut ExportWarnings,
) -> Result<JobLine, String> {
    let job = &exported.job;
    let (command, script) = match &job.definition.execution.command {
        CommandLine::Argv(words) => {
            (Some(words.iter().map(|word| utf8(word, "its command")).collect::<Result<Vec<_>, _>>()?), None)
        }
        CommandLine::Script(script) => (None, Some(utf8(script, "its script")?)),
        CommandLine::Sealed => unreachable!("an export needs the key"),
    };
    if let Some(dependency) = job.definition.after.dependencies.iter().find(|on| is_by_id(on)) {
        let on = &dependency.on;
        return Err(format!("`--after {dependency}`: job {on} has another id elsewhere; name it"));
    }
    let mut options = OptionsLine::of(&job.definition)?;
    if let Some(mail) = job.definition.mail.as_ref().filter(|mail| !is_read_back(mail)) {
        warnings.drop_option(job, format_args!("JSON cannot say `--mail {},{}`", mail.to, mail.when));
        options.remove("mail");
        options.remove("mail_format");
    }
    let (environment, keep_env) = match variables {
        Variables::Whole => (texts(&exported.env)?, Vec::new()),
        Variables::Named => (Vec::new(), names(&exported.env)?),
    };
    Ok(JobLine {
        name: job.definition.name.clone(),
        command,
        script,
        triggers: triggers(exported, warnings)?,
        start: job.definition.start.filter(|start| passed.is_none_or(|passed| *start > passed)),
        until: job.definition.until,
        options,
        items: exported.items.iter().map(|item| utf8(item, "its items")).collect::<Result<_, _>>()?,
        environment,
        keep_env,
    })
}

fn triggers(exported: &ExportedJob, warnings: &mut ExportWarnings) -> Result<Triggers, String> {
    let mut triggers = Triggers::default();
    for trigger in &exported.triggers {
        match &trigger.spec {
            TriggerSpec::At { at, .. } => triggers.at.push(*at),
            TriggerSpec::Cron { expr, zone, delay } => {
                triggers.put_zone(zone.as_deref())?;
                if *delay != Span::ZERO {
                    warnings.drop_option(&exported.job, format_args!("JSON cannot say a delay of {delay}"));
                }
                triggers.cron.push(expr.clone());
            }
            TriggerSpec::Calendar { expr, zone, .. } => {
                let beside = trigger.spec.zone_beside_text();
                // A zone in the text goes before `tz`.
                if beside.is_some() || zone.is_none() {
                    triggers.put_zone(beside)?;
                }
                triggers.calendar.push(expr.clone());
            }
            TriggerSpec::AfterEnd { period, .. } => {
                triggers.every.push(sayable(*period, "every")?);
                triggers.after_end = true;
            }
            TriggerSpec::Every { period, anchor, .. } => {
                triggers.every.push(sayable(*period, "every")?);
                triggers.anchor.push(*anchor);
            }
            TriggerSpec::Event(event) => triggers.on.push(event.to_string()),
        }
    }
    Ok(triggers)
}

fn is_by_id(dependency: &Dependency) -> bool {
    match dependency.on {
        JobKey::Id(_) => true,
        JobKey::Name(_) => false,
    }
}

/// Tells whether `--mail` reads back the same addresses and condition.
fn is_read_back(mail: &Mail) -> bool {
    let read = read_mail(&format!("{},{}", mail.to, mail.when), mail.format);
    read.is_ok_and(|read| read.to == mail.to && read.when == mail.when)
}

fn texts(env: &[EnvVar]) -> Result<Vec<String>, String> {
    env.iter().map(|var| utf8(var, &called(name_of(var)))).collect()
}

/// Returns the names of variables, each once.
pub(super) fn names<'a>(env: impl IntoIterator<Item = &'a EnvVar>) -> Result<Vec<String>, String> {
    let mut names: Vec<String> = Vec::new();
    for name in env.into_iter().map(|var| name_of(var)) {
        let name = utf8(name, &called(name))?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

fn name_of(var: &[u8]) -> &[u8] {
    var.split(|byte| *byte == b'=').next().unwrap_or_default()
}

/// Returns a variable for a person.
fn called(name: &[u8]) -> String {
    format!("the variable `{}`", String::from_utf8_lossy(name))
}
