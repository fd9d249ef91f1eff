//! Owns: the lines about ends of runs in the daemon's log (`--log-runs`).
//! Never: where the log goes (see `logger`).
//!
//! The ends come from the record of events, so those that a client has recorded are logged too.

use std::collections::HashMap;

use log::{Level, log};

use crate::domain::{CommandLine, EventId, Happening, JobId, JobName, Outcome, RunId};
use crate::shown::{self, counted};
use crate::store::{EventFilter, Reader, Store, StoreResult};

/// How many events are read at once.
const EVENTS_AT_ONCE: usize = 1_000;

/// Logs the ends that it has not logged yet.
#[derive(Debug)]
pub(super) struct RunLines {
    last: EventId,
}

impl RunLines {
    /// Begins after the last event that is recorded now.
    pub(super) fn new(store: &mut Store) -> StoreResult<Self> {
        let last = |reader: &Reader<'_>| reader.event_range().map(|range| range.map(|range| range.last));
        Ok(Self { last: store.read(last)?.unwrap_or_default() })
    }

    /// Logs the ends that were recorded since the last call.
    pub(super) fn write(&mut self, store: &mut Store) -> StoreResult<()> {
        loop {
            let filter = EventFilter { after: self.last, ..EventFilter::default() };
            let (lines, last, is_all) = store.read(|reader| lines_after(reader, &filter))?;
            for (level, line) in lines {
                log!(level, "{line}");
            }
            self.last = last;
            if is_all {
                return Ok(());
            }
        }
    }
}

type Line = (Level, String);

/// Returns the lines about the next events, the last one of these, and whether there are no more.
fn lines_after(reader: &Reader<'_>, filter: &EventFilter) -> StoreResult<(Vec<Line>, EventId, bool)> {
    let events = reader.events(filter, EVENTS_AT_ONCE)?;
    let mut jobs: HashMap<JobId, Option<(Option<JobName>, CommandLine)>> = HashMap::new();
    let mut lines = Vec::new();
    for event in &events {
        let Some((run, outcome, end)) = event.what.as_ref().and_then(end_of) else { continue };
        let job = match jobs.get(&run.job) {
            Some(job) => job,
            None => jobs.entry(run.job).or_insert(reader.job_command(run.job)?),
        };
        lines.push((level(outcome), line(run, &end, job.as_ref())));
    }
    let last = events.last().map_or(filter.after, |event| event.id);
    Ok((lines, last, events.len() < EVENTS_AT_ONCE))
}

/// Returns the run, the outcome and the words of an end; `None` for other events.
fn end_of(what: &Happening) -> Option<(RunId, &str, String)> {
    if let Happening::Finished { run, end } = what {
        return Some((*run, &end.outcome, shown::end(end)));
    }
    if let Happening::Retrying { run, end, .. } = what {
        let text = format!("attempt {} {}; trying again", end.attempt, shown::end(end));
        return Some((*run, &end.outcome, text));
    }
    if let Happening::Passed { run, outcome, fires, cause, .. } = what {
        let fires = usize::try_from(*fires).unwrap_or(usize::MAX);
        let fires = if fires > 1 { format!(", {}", counted(fires, "fire")) } else { String::new() };
        let cause = cause.as_ref().map_or_else(String::new, |cause| format!(", {cause}"));
        return Some((*run, outcome, format!("{outcome}{fires}{cause}")));
    }
    None
}

/// A failure stands out in the journal.
fn level(outcome: &str) -> Level {
    match Outcome::from_word(outcome) {
        Some(outcome) if outcome.is_failure() => Level::Warn,
        Some(_) | None => Level::Info,
    }
}

/// Returns a line about an end: `run 12.3 backup failed, exit 2, took 3s: rsync -a src/ nas:src/`.
fn line(run: RunId, end: &str, job: Option<&(Option<JobName>, CommandLine)>) -> String {
    let name = job.and_then(|(name, _)| name.as_ref());
    let name = name.map_or_else(String::new, |name| format!(" {name}"));
    let command = job.map_or_else(String::new, |(_, command)| format!(": {}", shown::command(command)));
    shown::escaped(&format!("run {run}{name} {end}{command}")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Execution, NewJob, Timestamp, TriggerKind};
    use crate::engine::{Fate, NewRun, after_end};
    use crate::store::{Act, Writer};

    #[test]
    fn only_a_failure_is_a_warning() {
        let levels = ["failed", "timed_out", "success", "cancelled", "missed", "of_a_later_taskq"].map(level);
        let (warn, info) = (Level::Warn, Level::Info);
        assert_eq!(levels, [warn, warn, info, info, info, info]);
    }

    #[test]
    fn a_stretch_of_missed_fires_is_one_line_and_a_removed_job_has_no_command() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut store = Store::open(dir.path()).expect("the directory is ours");
        let now = Timestamp::from_seconds(1_772_000_000);
        let job = NewJob::of(Execution::of(CommandLine::Script(b"echo hi".to_vec())));
        let add = |writer: &Writer<'_>| {
            let job = writer.add_job(&NewJob { hold: true, ..job.clone() }, &[], None, now)?;
            let fate = Fate::Finished(Outcome::Missed);
            let (kind, cause) = (TriggerKind::Cron, Some("why"));
            let run = NewRun {
                job,
                trigger: None,
                kind,
                scheduled_at: now,
                fires: 7,
                fate,
                cause,
                obeys_after: false,
                bundle: None,
            };
            writer.insert_run(&run, now)?;
            writer.follow_up(after_end, now)
        };
        store.write(Act::of_daemon(now), add).expect("there is no other writer");
        let lines = |store: &mut Store| {
            store.read(|reader| lines_after(reader, &EventFilter::default())).expect("readable").0
        };
        assert_eq!(lines(&mut store), [(Level::Info, "run 1.2 missed, 7 fires, why: echo hi".to_owned())]);
        let remove = |writer: &Writer<'_>| writer.remove_job(JobId(1));
        store.write(Act::of_daemon(now), remove).expect("there is no other writer");
        assert_eq!(lines(&mut store), [(Level::Info, "run 1.2 missed, 7 fires, why".to_owned())]);
    }
}
