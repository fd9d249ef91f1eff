//! Owns: the changes of an imported table in the store: jobs to add, change, keep and end.
//! Never: reading lines (see `plan`).
//!
//! A line finds its job by its bytes, an edited line by its command. So ids, counters and history stay with
//! the command, and an unchanged line changes nothing.

use std::collections::{HashMap, HashSet, VecDeque};

use super::planned::TableLine;
use crate::cli::context::Failure;
use crate::domain::{CommandLine, JobId, NewJob, QueueName, Timestamp};
use crate::schedule::Dialect;
use crate::store::{CrontabEntry, FirstFire, QueueSettings, Reader, StoreResult, Writer};

/// The slots of `QueueName::CRON`: more than cron could run.
const CRON_SLOTS: u32 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineChange {
    Added,
    /// The job of this line, or of the edited one, gets another definition.
    Changed,
    Unchanged,
}

#[derive(Debug, Default)]
pub struct Diff {
    /// For each line that makes a job: the job, once it exists, and its change.
    pub lines: Vec<Option<(Option<JobId>, LineChange)>>,
    /// The jobs whose lines are gone, with those lines.
    pub gone: Vec<CrontabEntry>,
}

impl Diff {
    /// Returns the changes of a table whose source was never imported.
    pub fn of_new(lines: &[TableLine<'_>]) -> Self {
        let lines = lines.iter().map(|line| line.job.as_ref().map(|_| (None, LineChange::Added)));
        Self { lines: lines.collect(), gone: Vec::new() }
    }
}

/// Compares a table with the stored table of its source.
pub fn diff(reader: &Reader<'_>, source: &str, lines: &[TableLine<'_>]) -> Result<Diff, Failure> {
    let stored = reader.crontab(source)?;
    let entries = stored.as_ref().map_or_else(|| Ok(Vec::new()), |table| reader.crontab_entries(table.id))?;
    // A cancelled job is done. If its line is still there, it makes a new job.
    let (mut live, mut gone): (Vec<Option<CrontabEntry>>, Vec<CrontabEntry>) = (Vec::new(), Vec::new());
    for entry in entries {
        if entry.is_done { gone.push(entry) } else { live.push(Some(entry)) }
    }
    let mut matched = match_by_text(lines, &live);
    take_matched(&mut live, &matched);
    let mut diff = Diff::default();
    if live.iter().any(Option::is_some) {
        match_by_identity(reader, lines, &mut live, &mut matched)?;
    }
    for (line, job) in lines.iter().zip(&matched) {
        diff.lines.push(match (&line.job, job) {
            (None, _) => None,
            (Some(_), None) => Some((None, LineChange::Added)),
            (Some(new), Some(job)) => {
                let (old, triggers) = reader.definition(*job)?;
                let is_same =
                    triggers == [new.first.spec.clone()] && NewJob { hold: false, ..old } == new.job();
                Some((Some(*job), if is_same { LineChange::Unchanged } else { LineChange::Changed }))
            }
        });
    }
    gone.extend(live.into_iter().flatten());
    diff.gone = gone;
    Ok(diff)
}

/// Finds for each line with a job the first entry of the same text, each entry once.
fn match_by_text(lines: &[TableLine<'_>], live: &[Option<CrontabEntry>]) -> Vec<Option<JobId>> {
    let mut waiting: HashMap<&[u8], VecDeque<JobId>> = HashMap::new();
    for entry in live.iter().flatten() {
        waiting.entry(&entry.text).or_default().push_back(entry.job);
    }
    let mut find = |line: &TableLine<'_>| waiting.get_mut(line.finding.line.text)?.pop_front();
    lines.iter().map(|line| line.job.as_ref().and_then(|_| find(line))).collect()
}

fn take_matched(live: &mut [Option<CrontabEntry>], matched: &[Option<JobId>]) {
    let taken: HashSet<JobId> = matched.iter().flatten().copied().collect();
    for entry in live {
        if entry.as_ref().is_some_and(|entry| taken.contains(&entry.job)) {
            *entry = None;
        }
    }
}

/// Finds for each other line a job that ran the same command at other times.
fn match_by_identity(
    reader: &Reader<'_>,
    lines: &[TableLine<'_>],
    live: &mut [Option<CrontabEntry>],
    matched: &mut [Option<JobId>],
) -> Result<(), Failure> {
    let mut waiting: HashMap<(Option<String>, CommandLine), VecDeque<JobId>> = HashMap::new();
    for entry in live.iter().flatten() {
        let old = reader.definition(entry.job)?.0.execution;
        waiting.entry((old.user, old.command)).or_default().push_back(entry.job);
    }
    for (line, job) in lines.iter().zip(matched.iter_mut()) {
        if let (Some(new), None) = (&line.job, &job) {
            *job = waiting.get_mut(&new.identity()).and_then(VecDeque::pop_front);
        }
    }
    take_matched(live, matched);
    Ok(())
}

/// Why a waiting run is cancelled.
const LINE_REMOVED: &str = "its line is no longer in the crontab";

pub struct NewTable<'a> {
    /// The absolute path of its file, or `OWN`.
    pub source: &'a str,
    pub origin: Dialect,
    pub text: &'a [u8],
    pub lines: &'a [TableLine<'a>],
}

/// Makes the queue of imported jobs if there is none.
pub fn make_queue(writer: &Writer<'_>) -> StoreResult<()> {
    let queue: QueueName = QueueName::CRON.parse().expect("it is a name");
    if !writer.has_queue(&queue)? {
        writer.set_queue(&queue, QueueSettings::slots(CRON_SLOTS))?;
    }
    Ok(())
}

/// Stores a table and its changes, and fills in the ids of added jobs.
pub fn store(
    writer: &Writer<'_>,
    table: &NewTable<'_>,
    diff: &mut Diff,
    now: Timestamp,
) -> Result<(), Failure> {
    if table.lines.iter().any(|line| line.job.is_some()) {
        make_queue(writer)?;
    }
    let key = writer.put_crontab(table.source, table.origin, table.text)?;
    for (line, change) in table.lines.iter().zip(&mut diff.lines) {
        let (Some(new), Some((id, change))) = (&line.job, change) else { continue };
        let triggers = std::slice::from_ref::<FirstFire>(&new.first);
        let id = match *id {
            Some(id) => id,
            None => *id.insert(writer.add_job(&new.job(), triggers, None, now)?),
        };
        if *change == LineChange::Changed {
            writer.change_job(id, &new.job(), triggers, vec!["line".into()])?;
        }
        let text = line.finding.line;
        writer.put_crontab_entry(key, id, text.number, text.text)?;
    }
    for gone in &diff.gone {
        retire(writer, gone, now)?;
    }
    Ok(())
}

fn retire(writer: &Writer<'_>, gone: &CrontabEntry, now: Timestamp) -> Result<(), Failure> {
    writer.drop_crontab_entry(gone.job)?;
    Ok(writer.retire_job(gone.job, LINE_REMOVED, now)?)
}

/// Removes a table, if there is one, and ends its jobs.
pub fn remove(writer: &Writer<'_>, source: &str, now: Timestamp) -> Result<(), Failure> {
    let Some(table) = writer.crontab(source)? else { return Ok(()) };
    for entry in writer.crontab_entries(table.id)? {
        retire(writer, &entry, now)?;
    }
    Ok(writer.drop_crontab(table.id)?)
}
