//! Owns: the plan of a file for a person, and as JSON.
//! Never: making it (see `plan`).

use serde::Serialize;

use super::file::File;
use super::plan::{Act, Gone, Plan};
use crate::cli::job::keys::Keys;
use crate::cli::view::changes::Change;
use crate::domain::{JobId, JobName};
use crate::shown;

/// Of more notes, the first ones show the kind.
const NOTES_MAX: usize = 10;

/// What has been done, or is to be done with `--dry-run`.
#[derive(Serialize)]
pub struct Report<'a> {
    /// The path of the file; `null`: standard input.
    file: Option<String>,
    applied: bool,
    added: Vec<AddedJson<'a>>,
    changed: Vec<ChangedJson<'a>>,
    gone: Vec<GoneJson<'a>>,
    unchanged: usize,
}

#[derive(Serialize)]
struct AddedJson<'a> {
    name: &'a JobName,
    /// `null`: it was not added.
    job: Option<JobId>,
}

#[derive(Serialize)]
struct ChangedJson<'a> {
    name: &'a JobName,
    job: JobId,
    changes: &'a [Change],
}

#[derive(Serialize)]
struct GoneJson<'a> {
    name: &'a JobName,
    job: JobId,
    /// It has no further fires.
    ended: bool,
}

impl<'a> Report<'a> {
    /// Makes the report. `applied`: it is done, or was done before. `ids`: those of the jobs of the file, if
    /// they are stored. `prune`: jobs that are gone from the file are ended.
    pub fn new(
        file: &'a File<'_>,
        plan: &'a Plan,
        (applied, ids): (bool, Option<&[JobId]>),
        prune: bool,
    ) -> Self {
        let mut report = Report {
            file: file.source.path.as_ref().map(|_| file.source.shown()),
            applied,
            added: Vec::new(),
            changed: Vec::new(),
            gone: Vec::new(),
            unchanged: 0,
        };
        for (index, (entry, act)) in file.entries.iter().zip(&plan.acts).enumerate() {
            let name = &entry.name;
            match act {
                Act::Add => report.added.push(AddedJson { name, job: ids.map(|ids| ids[index]) }),
                Act::Change(changing) => {
                    let (job, changes) = (changing.old.id, changing.changes.as_slice());
                    report.changed.push(ChangedJson { name, job, changes });
                }
                Act::Keep(_) => report.unchanged += 1,
            }
        }
        let living = plan.gone.iter().filter(|gone| !gone.is_over);
        let gone = |gone: &'a Gone| GoneJson { name: &gone.name, job: gone.id, ended: prune };
        report.gone = living.map(gone).collect();
        report
    }

    /// Returns the plan for a person, a line for each change.
    pub fn lines(&self) -> String {
        let mut lines: Vec<String> = self.added.iter().map(|added| format!("+ {}", added.name)).collect();
        for changed in &self.changed {
            let changes = changed.changes.iter();
            lines.extend(
                changes.map(|change| format!("~ {}: {}", changed.name, shown::escaped(&change.text()))),
            );
        }
        lines.extend(self.gone.iter().map(|gone| format!("- {}", gone.name)));
        if self.unchanged > 0 {
            lines.push(format!("= {} unchanged", self.unchanged));
        }
        lines.into_iter().map(|line| line + "\n").collect()
    }

    /// Returns the sentence about jobs that are gone from the file, and stay.
    pub fn staying(&self) -> Option<String> {
        let names: Vec<String> =
            self.gone.iter().filter(|gone| !gone.ended).map(|gone| format!("`{}`", gone.name)).collect();
        let (them, stay) = if names.len() == 1 { ("it", "stays") } else { ("them", "stay") };
        (!names.is_empty()).then(|| {
            format!("note: no longer in the file, but {stay}: {}; `--prune` ends {them}", names.join(", "))
        })
    }
}

/// Returns what may be a slip in the jobs that are added or changed.
pub fn notes(file: &File<'_>, plan: &Plan) -> Vec<String> {
    let touched = file.entries.iter().zip(&plan.acts).filter(|(_, act)| !matches!(act, Act::Keep(_)));
    let (mut keys, mut notes) = (Keys::new(), Vec::new());
    for (entry, _) in touched {
        notes.extend(
            file.notes(entry, &mut keys)
                .into_iter()
                .map(|note| format!("note: job `{}`: {note}", entry.name)),
        );
        if notes.len() > NOTES_MAX {
            notes.truncate(NOTES_MAX);
            notes.push("note: more jobs have notes like these".to_owned());
            break;
        }
    }
    notes
}
