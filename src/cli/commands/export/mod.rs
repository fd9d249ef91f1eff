//! Owns: `taskq export`: which jobs are exported, and warnings about the rest.
//! Never: a format (see the files beside this one).

mod crontab;
mod job;
mod json;
mod paths;
mod session;
mod systemd;
mod toml;
mod units;
mod warnings;

use clap::{Args, ValueEnum};

use crate::cli::context::{Context, Failure};
use crate::cli::target::find_job;
use crate::cli::zone::system_zone;
use crate::domain::{JobId, JobState, Span, Timestamp, TriggerSpec};
use crate::engine::{Compiled, first_fire};
use crate::error::{Error, Result};
use crate::schedule::{Schedule, Zone};
use crate::shown;
use crate::store::{JobFilter, JobView, TriggerView, schedule_of};
use job::{ExportedJob, Trigger};
use warnings::ExportWarnings;

pub const WHAT: &str = "export jobs";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Lines for crontab(1).
    Crontab,
    /// Service, timer and path units.
    Systemd,
    /// JSON lines for `taskq add --from -`.
    Json,
    /// A file for `taskq apply`.
    Toml,
}

/// Print jobs as a crontab, systemd units, JSON or TOML
///
/// Without a JOB, all jobs that are not done. If a format cannot express
/// something, stderr names it once with its jobs, and the exit status is 1. The
/// rest is printed even so.
///
/// crontab: a table for crontab(1), for the cron of this machine. Variables
/// stand above the lines that need them.
///
/// systemd: a .service for each job, with a .timer, a .path or both, as
/// `systemctl cat` prints them: a comment before each unit names its file.
///
/// json: an object a line. `taskq add --from -` makes the same jobs from them.
///
/// toml: a file for `taskq apply`, with a table for each job that has a name.
///
/// Of the environments, json and toml print the names only, as `keep_env`.
/// `taskq apply` keeps the stored values of these, and refuses a job that has
/// none; so the file can be kept where others read it. `taskq add` has nothing
/// to keep, and refuses it: print the values with --with-environment.
///
/// Crontabs and units have the values: mind who can read them. They leave out
/// variables that belong to a login session.
#[derive(Args, Debug)]
#[command(
    verbatim_doc_comment,
    override_usage = "taskq export crontab|systemd|json|toml [OPTION] [JOB]...",
    after_help = "\
Examples:
  taskq export crontab backup
  taskq export systemd backup report
  taskq export json --with-environment | taskq --dir ~/elsewhere add --from -
  taskq export toml backup report"
)]
pub struct ExportArgs {
    /// crontab, systemd, json or toml
    #[arg(value_name = "FORMAT", hide_possible_values = true)]
    pub format: Format,

    /// Only these jobs, by id or name, also those that are done
    #[arg(value_name = "JOB")]
    pub jobs: Vec<String>,

    /// Print the values of the environments too
    ///
    /// For json and toml. Crontabs and units always have them.
    #[arg(long, verbatim_doc_comment)]
    pub with_environment: bool,
}

/// How json and toml have the environments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variables {
    /// With their values.
    Whole,
    /// By their names.
    Named,
}

/// Prints the jobs, and then the warnings.
pub fn run(context: &Context<'_>, args: &ExportArgs) -> Result<u8> {
    let variables = variables(args)?;
    let now = context.now();
    let jobs = context.read(WHAT, |reader| {
        let views = match args.jobs.is_empty() {
            true => reader.jobs(&JobFilter::default())?.into_iter().filter(has_more_to_do).collect(),
            false => {
                let mut ids: Vec<JobId> = Vec::new();
                for job in &args.jobs {
                    let id = find_job(reader, "export", job)?;
                    if !ids.contains(&id) {
                        ids.push(id);
                    }
                }
                ids.into_iter().map(|id| reader.job(id)).collect::<Result<Vec<_>, _>>()?
            }
        };
        views
            .into_iter()
            .map(|job| Ok((reader.environment(job.id)?, reader.items(job.id)?, job)))
            .collect::<Result<Vec<_>, Failure>>()
    })?;
    let count = jobs.len();
    let mut warnings = ExportWarnings::default();
    let system_zone = system_zone().0;
    let jobs: Vec<ExportedJob> = jobs
        .into_iter()
        .filter_map(|(env, items, job)| {
            let triggers = coming(&job, (now, args.format), &system_zone, &mut warnings)?;
            Some(ExportedJob { job, env, items, triggers })
        })
        .collect();
    let answer = match args.format {
        Format::Crontab => {
            crontab::table(&jobs, now, &crontab::TargetCron::of_process(system_zone), &mut warnings)
        }
        Format::Systemd => systemd::units(&jobs, now, &mut warnings),
        Format::Json => json::lines(&jobs, (now, variables), &mut warnings),
        Format::Toml => toml::file(&jobs, variables, &mut warnings),
    };
    context.output.answer_bytes(&answer)?;
    for sentence in warnings.sentences(count) {
        context.output.talk(&shown::escaped(&sentence));
    }
    Ok(u8::from(warnings.is_lossy))
}

/// Returns how the environments are printed.
fn variables(args: &ExportArgs) -> Result<Variables> {
    match (args.format, args.with_environment) {
        (Format::Crontab | Format::Systemd, true) => {
            Err(Error::usage(WHAT, "`--with-environment` is for `json` and `toml`")
                .hint("crontabs and units always have the values of the environments"))
        }
        (Format::Json | Format::Toml, true) => Ok(Variables::Whole),
        (Format::Crontab | Format::Systemd | Format::Json | Format::Toml, false) => Ok(Variables::Named),
    }
}

fn is_event(trigger: &Trigger) -> bool {
    trigger.spec.event().is_some()
}

/// Tells whether a job will start another run.
fn has_more_to_do(job: &JobView) -> bool {
    let fires = job.triggers.iter().any(|trigger| trigger.next_at.is_some() || trigger.spec.is_boot());
    fires || job.state != JobState::Running
}

/// Returns the triggers of a job that still fire; `None` if it had triggers and none of them fires again. A
/// file keeps the others beside them, so that nothing is new where it comes from.
fn coming(
    job: &JobView,
    (now, format): (Timestamp, Format),
    system_zone: &Zone,
    warnings: &mut ExportWarnings,
) -> Option<Vec<Trigger>> {
    let window = job.definition.window();
    let mut triggers = Vec::new();
    let mut has_coming = false;
    for TriggerView { spec, next_at, awaits_end, listener, .. } in &job.triggers {
        // The delay of `--jitter` is another one elsewhere.
        let spec = match job.definition.jitter {
            Some(_) => spec.clone().delayed(Span::ZERO),
            None => spec.clone(),
        };
        let compiled: Compiled = schedule_of(&spec, system_zone);
        let (schedule, zone) = match compiled {
            Ok(compiled) => compiled,
            Err(error) => {
                warnings.drop_option(job, format_args!("a trigger cannot be read: {error}"));
                continue;
            }
        };
        let is_coming = match &spec {
            TriggerSpec::At { at, .. } => next_at.is_some() && *at > now,
            TriggerSpec::Cron { .. } => {
                schedule == Schedule::Reboot && !window.has_ended(now)
                    || first_fire(&schedule, &zone, window, now).is_some()
            }
            TriggerSpec::AfterEnd { .. } => next_at.is_some() || *awaits_end,
            TriggerSpec::Event(_) => listener.is_some(),
            TriggerSpec::Calendar { .. } | TriggerSpec::Every { .. } => {
                first_fire(&schedule, &zone, window, now).is_some()
            }
        };
        has_coming |= is_coming;
        if is_coming || format == Format::Toml {
            triggers.push(Trigger { spec, schedule, zone });
        }
    }
    if !has_coming && !job.triggers.is_empty() {
        warnings.leave_out(job, "it has no fire to come");
        return None;
    }
    Some(triggers)
}

#[cfg(test)]
mod tests;
