//! Owns: the entries of sources that are not crontabs, and their changes in the store.
//! Never: reading a source (see `at`, `anacron`, `systemd`).
//!
//! An entry finds its job by its name in the source. As long as the texts that its triggers are made of are
//! the same, they stay as they are: when a job fires next is not for a repeated import to say.

use std::collections::HashMap;

use super::diff::make_queue;
use super::place::Place;
use super::planned::{ImportContext, zone_of};
use crate::cli::context::Failure;
use crate::cli::view::times::own_zone;
use crate::daemon::{NameClash, free_name};
use crate::domain::{Execution, JobId, JobName, NewJob, QueueName, Tag, Timestamp, TriggerSpec, Window};
use crate::engine::first_fire;
use crate::schedule::{Schedule, compile};
use crate::store::{FirstFire, ImportedJob, Reader, Writer};

/// Why a waiting run is cancelled.
const ENTRY_REMOVED: &str = "its line is no longer in the anacrontab";

/// The bytes of a name, whose limit is that of `JobName`.
const NAME_BYTES_MAX: usize = 64;

/// An entry of a source, in the order of the report.
pub struct SourceItem {
    pub place: Place,
    /// Its text in the report.
    pub text: String,
    pub verdict: ItemVerdict,
    /// What has another meaning here, or none.
    pub notes: Vec<String>,
}

pub enum ItemVerdict {
    /// It sets a variable for the lines below.
    Environment,
    Refused(ItemRefusal),
    NeverFires,
    Job(Box<PlannedItem>),
}

/// Why an entry does not become a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemRefusal {
    pub column: Option<usize>,
    pub cause: String,
    pub hint: Option<String>,
}

impl ItemRefusal {
    pub fn of(cause: impl Into<String>) -> Self {
        Self { column: None, cause: cause.into(), hint: None }
    }

    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// A job of an entry.
pub struct PlannedItem {
    /// The entry's name in its source.
    pub item: String,
    /// What its triggers are made of.
    pub basis: String,
    /// A job that is done is not made again: it was to run once.
    pub is_once: bool,
    pub job: NewJob,
    pub triggers: Vec<FirstFire>,
    /// The first of its fires.
    pub next_at: Option<Timestamp>,
}

impl SourceItem {
    pub fn is_refused(&self) -> bool {
        matches!(self.verdict, ItemVerdict::Refused(_))
    }

    /// Returns the job to store.
    pub fn planned(&self) -> Option<&PlannedItem> {
        match &self.verdict {
            ItemVerdict::Job(planned) => Some(planned),
            ItemVerdict::Environment | ItemVerdict::Refused(_) | ItemVerdict::NeverFires => None,
        }
    }
}

/// Returns a job of the queue of imported jobs, with a name like this and the tag of its source.
pub fn imported_job(name: &str, tag: &str, execution: Execution) -> NewJob {
    NewJob {
        name: job_name(name),
        tags: vec![tag.parse::<Tag>().expect("the names of sources are tags")],
        queue: QueueName::CRON.parse::<QueueName>().expect("it is a name"),
        ..NewJob::of(execution)
    }
}

/// Returns a name with only the signs that names have; `None` if it would be a number.
fn job_name(text: &str) -> Option<JobName> {
    let sign = |sign: char| if sign.is_ascii_alphanumeric() || sign == '_' { sign } else { '-' };
    let name: String = text.chars().map(sign).take(NAME_BYTES_MAX).collect();
    name.parse().ok()
}

/// Returns the triggers with their first fires after now; `None` if one is wrong or none ever fires.
pub fn first_fires(specs: Vec<TriggerSpec>, here: &ImportContext) -> Option<Vec<FirstFire>> {
    let first = |spec: TriggerSpec| {
        let schedule = compile(&spec).ok()?;
        if schedule == Schedule::Reboot {
            return Some(FirstFire { spec, next_at: None, boot_id: Some(here.boot_id.clone()), marks: None });
        }
        let zone = own_zone(&spec).unwrap_or_else(|| zone_of(None, here));
        let next_at = Some(first_fire(&schedule, &zone, Window::default(), here.now)?);
        Some(FirstFire { spec, next_at, boot_id: None, marks: None })
    };
    let triggers: Vec<FirstFire> = specs.into_iter().filter_map(first).collect();
    (!triggers.is_empty()).then_some(triggers)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemChange {
    Added,
    /// Its job gets another definition.
    Changed,
    Unchanged,
    /// Its job fires no more and has no unfinished run, and stays so.
    Done,
}

impl ItemState {
    fn added(planned: &PlannedItem) -> Self {
        Self { job: None, change: ItemChange::Added, next_at: planned.next_at }
    }
}

impl ItemChange {
    /// Returns whether the store has to change.
    pub fn is_news(self) -> bool {
        match self {
            Self::Added | Self::Changed => true,
            Self::Unchanged | Self::Done => false,
        }
    }
}

/// The state of an entry's job in the store.
#[derive(Clone, Copy, Debug)]
pub struct ItemState {
    /// The job, once it exists.
    pub job: Option<JobId>,
    pub change: ItemChange,
    /// Its next fire.
    pub next_at: Option<Timestamp>,
}

#[derive(Debug, Default)]
pub struct ItemDiff {
    /// For each entry that makes a job.
    pub items: Vec<Option<ItemState>>,
    /// The jobs whose entries are gone.
    pub gone: Vec<ImportedJob>,
}

impl ItemDiff {
    /// Returns the changes of a source that was never imported.
    pub fn of_new(items: &[SourceItem]) -> Self {
        let items = items.iter().map(|item| item.planned().map(ItemState::added));
        Self { items: items.collect(), gone: Vec::new() }
    }
}

/// Compares entries with the jobs of their source. The jobs of entries that are gone end with `is_whole`.
pub fn item_diff(
    reader: &Reader<'_>,
    source: &str,
    items: &[SourceItem],
    is_whole: bool,
) -> Result<ItemDiff, Failure> {
    let stored = reader.imported_jobs(source)?;
    let mut known: HashMap<&str, &ImportedJob> =
        stored.iter().map(|known| (known.item.as_str(), known)).collect();
    let mut diff = ItemDiff::default();
    for item in items {
        let Some(planned) = item.planned() else {
            diff.items.push(None);
            continue;
        };
        let state = match known.remove(planned.item.as_str()) {
            None => ItemState::added(planned),
            Some(known) if known.is_done && !planned.is_once => ItemState::added(planned),
            Some(known) => state_of(reader, known, planned)?,
        };
        diff.items.push(Some(state));
    }
    let is_gone = |gone: &&ImportedJob| is_whole && !gone.is_done && known.contains_key(gone.item.as_str());
    diff.gone = stored.iter().filter(is_gone).cloned().collect();
    Ok(diff)
}

/// Compares the stored job of an entry with what the entry says.
fn state_of(reader: &Reader<'_>, known: &ImportedJob, planned: &PlannedItem) -> Result<ItemState, Failure> {
    let job = Some(known.job);
    if known.is_done {
        let is_over = reader.unfinished_runs(known.job)?.is_empty();
        let change = if is_over { ItemChange::Done } else { ItemChange::Unchanged };
        return Ok(ItemState { job, change, next_at: None });
    }
    let (old, _) = reader.definition(known.job)?;
    let new = NewJob { name: None, tags: Vec::new(), ..planned.job.clone() };
    let has_same_triggers = known.basis == planned.basis;
    let is_same = has_same_triggers && NewJob { hold: false, ..old } == new;
    let next_at = if has_same_triggers {
        reader.triggers(known.job)?.iter().filter_map(|trigger| trigger.next_at).min()
    } else {
        planned.next_at
    };
    let change = if is_same { ItemChange::Unchanged } else { ItemChange::Changed };
    Ok(ItemState { job, change, next_at })
}

/// Stores the jobs of entries, and fills in the ids of those that are added. A name that another job has is
/// left out.
pub fn store_items(
    writer: &Writer<'_>,
    source: &str,
    items: &[SourceItem],
    diff: &mut ItemDiff,
    now: Timestamp,
) -> Result<(), Failure> {
    make_queue(writer)?;
    writer.has_imported(source);
    for (item, change) in items.iter().zip(&mut diff.items) {
        let (Some(planned), Some(state)) = (item.planned(), change) else { continue };
        match (state.change, state.job) {
            (ItemChange::Unchanged | ItemChange::Done, _) => continue,
            (ItemChange::Changed, Some(known)) => change_job(writer, source, known, planned)?,
            (ItemChange::Added | ItemChange::Changed, _) => {
                let mut job = planned.job.clone();
                if let Some(name) = &job.name
                    && free_name(writer, name, NameClash::Refuse, &[], now)?.is_some()
                {
                    job.name = None;
                }
                state.job = Some(writer.add_job(&job, &planned.triggers, None, now)?);
            }
        }
        let id = state.job.expect("it was filled in");
        writer.put_imported(source, &planned.item, &planned.basis, id)?;
    }
    for gone in &diff.gone {
        writer.drop_imported(gone.job)?;
        writer.retire_job(gone.job, ENTRY_REMOVED, now)?;
    }
    Ok(())
}

/// Gives a job another definition. Its triggers stay if what they are made of is the same.
fn change_job(writer: &Writer<'_>, source: &str, known: JobId, planned: &PlannedItem) -> Result<(), Failure> {
    let jobs = writer.imported_jobs(source)?;
    let is_same = jobs.iter().any(|job| job.job == known && job.basis == planned.basis);
    if is_same {
        writer.change_definition(known, &planned.job, vec!["line".into()])?;
    } else {
        writer.change_job(known, &planned.job, &planned.triggers, vec!["line".into()])?;
    }
    Ok(())
}
