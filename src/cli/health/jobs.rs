//! Owns: the findings about jobs, runs and mails.
//! Never: the machine (see `surroundings`).

use super::finding::Finding;
use crate::cli::job::notes::command_note;
use crate::domain::{CommandLine, JobId, JobState, NewJob, Outcome, TriggerSpec};
use crate::shown::counted;
use crate::store::{JobFilter, JobView, Reader, StoreResult};
use crate::system::env::sendmail;

const SUBJECT: &str = "jobs";
const MAILS: &str = "mail";

/// So many failures in a row of a job that fires again and again are no accident.
const FAILURES: usize = 3;

/// Looks at all jobs and mails.
///
/// # Errors
/// If the store cannot be read.
pub fn of_store(reader: &Reader<'_>) -> StoreResult<Vec<Finding>> {
    let jobs = reader.jobs(&JobFilter { done_too: true, ..JobFilter::default() })?;
    let mut findings = Vec::new();
    for job in jobs {
        let failures = match &job.last {
            Some((_, outcome, _)) if outcome.is_failure() => reader.last_outcomes(job.id, FAILURES)?,
            Some(_) | None => Vec::new(),
        };
        findings.extend(outcome_finding(&job, &failures));
        if job.done_at.is_some() {
            continue;
        }
        findings.extend(silent_finding(&job));
        // The shell looks for the programs of a script.
        let CommandLine::Argv(_) = job.definition.execution.command else { continue };
        let mut definition: NewJob = job.definition.clone();
        definition.execution.env = reader.environment(job.id)?;
        findings.extend(command_note(&definition).map(|note| {
            Finding::fault(SUBJECT, format!("{}: {note}", shown(&job)), "install it, or add the job anew")
        }));
    }
    if findings.is_empty() {
        let count = reader.count_living_jobs()?;
        findings.push(Finding::ok(SUBJECT, format!("{}, none of which fails", counted(count, "job"))));
    }
    findings.extend(mail_findings(reader)?);
    Ok(findings)
}

/// Returns the name of a job, or else its id.
fn shown(job: &JobView) -> String {
    let JobView { id: JobId(id), definition, .. } = job;
    definition.name.as_ref().map_or_else(|| id.to_string(), ToString::to_string)
}

/// `last`: the outcomes of its latest runs, the newest first.
fn outcome_finding(job: &JobView, last: &[Outcome]) -> Option<Finding> {
    let (run, outcome, _) = job.last.as_ref().filter(|(_, outcome, _)| outcome.is_failure())?;
    let (name, run) = (shown(job), run.number);
    let remedy = format!("see `taskq log {name}.{run}`");
    if job.is_recurring() && job.done_at.is_none() {
        let always = last.len() == FAILURES && last.iter().all(|outcome| outcome.is_failure());
        return Some(match always {
            true => Finding::fault(SUBJECT, format!("{name}: its last {FAILURES} runs have failed"), remedy),
            false => Finding::note(SUBJECT, format!("{name}: its last run has failed"), remedy),
        });
    }
    Some(Finding::note(SUBJECT, format!("{name}: {}", of_one_shot(*outcome)), remedy))
}

fn of_one_shot(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::TimedOut => "timed out",
        Outcome::SpawnFailed => "could not start",
        Outcome::Lost => "was lost with its keeper",
        Outcome::Failed => "has failed",
        Outcome::Success | Outcome::Cancelled | Outcome::Missed | Outcome::Skipped => "has not failed",
    }
}

/// Returns what keeps a job from ever firing.
fn silent_finding(job: &JobView) -> Option<Finding> {
    let name = shown(job);
    match job.state {
        JobState::Paused => Some(Finding::note(
            SUBJECT,
            format!("{name}: is paused"),
            format!("`taskq resume {name}` ends that"),
        )),
        JobState::Scheduled => {
            let is_reboot =
                |spec: &TriggerSpec| matches!(spec, TriggerSpec::Cron { expr, .. } if expr == "@reboot");
            let fires = job.triggers.iter().any(|trigger| {
                trigger.next_at.is_some()
                    || trigger.awaits_end
                    || trigger.listener.is_some()
                    || is_reboot(&trigger.spec)
            });
            let remedy = format!("`taskq show {name}` has its triggers");
            (!fires).then(|| Finding::fault(SUBJECT, format!("{name}: never fires"), remedy))
        }
        JobState::Queued | JobState::Blocked | JobState::Running | JobState::Done => None,
    }
}

fn mail_findings(reader: &Reader<'_>) -> StoreResult<Vec<Finding>> {
    let (waiting, failed) = reader.count_mails()?;
    let mut findings = Vec::new();
    if failed > 0 {
        let text = format!("{} could not be sent", counted(failed, "mail"));
        findings.push(Finding::note(MAILS, text, "`taskq show JOB` has the reason"));
    }
    if waiting > 0 && sendmail().is_none() {
        let text = format!("{} wait, and there is no sendmail(8)", counted(waiting, "mail"));
        findings.push(Finding::fault(MAILS, text, "install one, or set `TASKQ_SENDMAIL` for the daemon"));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(MAILS, format!("{} in the queue", counted(waiting, "mail"))));
    }
    Ok(findings)
}
