//! Owns: the places in at(1)'s queue, in anacron's table and among systemd's timers that jobs come from.
//! Never: crontabs (see `crontabs`), reading these places (see `cli::import`).

use rusqlite::params;

use super::{Reader, StoreResult, Writer};
use crate::domain::{Happening, JobId};

/// A job with the place it was imported from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedJob {
    pub job: JobId,
    /// at's job and its time, anacron's id, or systemd's timer.
    pub item: String,
    /// What its triggers were made of.
    pub basis: String,
    /// It will not fire again. It may still run.
    pub is_done: bool,
}

impl Reader<'_> {
    /// Returns the jobs of a source, by their items.
    pub fn imported_jobs(&self, source: &str) -> StoreResult<Vec<ImportedJob>> {
        self.all(
            concat!(
                "SELECT imported.job_id, item, basis, NOT EXISTS (SELECT 1 FROM trigger
                    WHERE trigger.job_id = imported.job_id AND ",
                will_fire!(),
                ") FROM imported WHERE source = ?1 ORDER BY item"
            ),
            [source],
            |row| {
                Ok(ImportedJob {
                    job: row.get(0)?,
                    item: row.get(1)?,
                    basis: row.get(2)?,
                    is_done: row.get(3)?,
                })
            },
        )
    }

    /// Returns the source and the item that a job was imported from; `None` if it was not, or from a crontab.
    pub fn import_of(&self, job: JobId) -> StoreResult<Option<(String, String)>> {
        self.first("SELECT source, item FROM imported WHERE job_id = ?1", [job], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
    }
}

impl Writer<'_> {
    /// Records that jobs were imported from a source.
    pub fn has_imported(&self, source: &str) {
        self.record(&Happening::Imported { source: source.to_owned() });
    }

    /// Stores the item of a job, in the place of the job that had it before.
    pub fn put_imported(&self, source: &str, item: &str, basis: &str, job: JobId) -> StoreResult<()> {
        self.change(
            "INSERT OR REPLACE INTO imported (job_id, source, item, basis) VALUES (?1, ?2, ?3, ?4)",
            params![job, source, item, basis],
        )
    }

    /// Forgets the item of a job.
    pub fn drop_imported(&self, job: JobId) -> StoreResult<()> {
        self.change("DELETE FROM imported WHERE job_id = ?1", [job])
    }
}
