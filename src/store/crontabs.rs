//! Owns: imported crontabs, byte for byte, and the job of each of their lines.
//! Never: parsing them (see `crontab`).

use std::sync::LazyLock;

use rusqlite::{Row, params};

use super::definition::Cells;
use super::{FirstFire, Reader, StoreResult, Writer, definition};
use crate::domain::{Happening, JobId, NewJob, TriggerSpec, Word};
use crate::schedule::Dialect;

/// A stored table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrontabView {
    pub id: i64,
    /// The absolute path of the file; empty: the table of crontab(1).
    pub source: String,
    /// The cron whose syntax the table has.
    pub origin: Dialect,
    pub text: Vec<u8>,
}

/// A line of a stored table that has a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrontabEntry {
    pub job: JobId,
    /// Counts from 1.
    pub line: usize,
    pub text: Vec<u8>,
    /// The job was cancelled and will not fire again. It may still run.
    pub is_done: bool,
}

fn view(row: &Row<'_>) -> rusqlite::Result<CrontabView> {
    Ok(CrontabView { id: row.get(0)?, source: row.get(1)?, origin: row.get(2)?, text: row.get(3)? })
}

impl Reader<'_> {
    /// Returns the table of a source, if there is one.
    pub fn crontab(&self, source: &str) -> StoreResult<Option<CrontabView>> {
        self.first(
            "SELECT id, source, origin, opened('crontab.text', id, 0, text) FROM crontab WHERE source = ?1",
            [source],
            view,
        )
    }

    /// Returns all sources, in order.
    pub fn crontab_sources(&self) -> StoreResult<Vec<String>> {
        self.all("SELECT source FROM crontab ORDER BY source", [], |row| row.get(0))
    }

    /// Returns the lines of a table that have jobs, in order.
    pub fn crontab_entries(&self, crontab: i64) -> StoreResult<Vec<CrontabEntry>> {
        self.all(
            concat!(
                "SELECT entry.job_id, line, opened('crontab_entry.text', entry.job_id, 0, text),
                    NOT EXISTS (SELECT 1 FROM trigger
                    WHERE trigger.job_id = entry.job_id AND ",
                will_fire!(),
                ") FROM crontab_entry AS entry WHERE crontab_id = ?1 ORDER BY line, entry.job_id"
            ),
            [crontab],
            |row| {
                let line = usize::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
                Ok(CrontabEntry { job: row.get(0)?, line, text: row.get(2)?, is_done: row.get(3)? })
            },
        )
    }

    /// Returns the source and the line that a job was imported from; `None` if it was not imported.
    pub fn crontab_line(&self, job: JobId) -> StoreResult<Option<(String, usize)>> {
        self.first(
            "SELECT source, line FROM crontab_entry JOIN crontab ON id = crontab_id WHERE job_id = ?1",
            [job],
            |row| Ok((row.get(0)?, usize::try_from(row.get::<_, i64>(1)?).unwrap_or(0))),
        )
    }

    /// Returns the definition of a job, without name and tags, and its triggers.
    pub fn definition(&self, job: JobId) -> StoreResult<(NewJob, Vec<TriggerSpec>)> {
        static SQL: LazyLock<String> = LazyLock::new(|| {
            format!(
                "SELECT paused_at IS NOT NULL, {}, opened('environment.vars', environment.id, 0, vars)
                 FROM job JOIN environment ON environment.id = environment_id WHERE job.id = ?1",
                definition::selected(Cells::Opened)
            )
        });
        let found =
            self.one(&SQL, [job], |row| Ok(NewJob { hold: row.get(0)?, ..definition::read_whole(row, 1)? }))?;
        Ok((found, self.triggers(job)?.into_iter().map(|trigger| trigger.spec).collect()))
    }
}

impl Writer<'_> {
    /// Stores the text of a table, replaces an earlier one of the source, and returns its key.
    pub fn put_crontab(&self, source: &str, origin: Dialect, text: &[u8]) -> StoreResult<i64> {
        self.record(&Happening::Imported { source: source.to_owned() });
        let known = self.first("SELECT id FROM crontab WHERE source = ?1", [source], |row| row.get(0))?;
        self.one(
            "INSERT INTO crontab (id, source, origin, text)
             VALUES (?1, ?2, ?3, sealed('crontab.text', ?1, 0, ?4))
             ON CONFLICT (source) DO UPDATE SET origin = excluded.origin, text = excluded.text
             RETURNING id",
            params![known.or_else(|| self.random_sealed_id()), source, origin, text],
            |row| row.get(0),
        )
    }

    /// Deletes a table without entries.
    pub fn drop_crontab(&self, crontab: i64) -> StoreResult<()> {
        let source =
            self.one("DELETE FROM crontab WHERE id = ?1 RETURNING source", [crontab], |row| row.get(0))?;
        self.record(&Happening::TableRemoved { source });
        Ok(())
    }

    pub fn put_crontab_entry(&self, crontab: i64, job: JobId, line: usize, text: &[u8]) -> StoreResult<()> {
        self.change(
            "INSERT OR REPLACE INTO crontab_entry (job_id, crontab_id, line, text)
             VALUES (?1, ?2, ?3, sealed('crontab_entry.text', ?1, 0, ?4))",
            params![job, crontab, i64::try_from(line).unwrap_or(i64::MAX), text],
        )
    }

    /// Deletes the line of a job.
    pub fn drop_crontab_entry(&self, job: JobId) -> StoreResult<()> {
        self.change("DELETE FROM crontab_entry WHERE job_id = ?1", [job])
    }

    /// Changes the definition of a job; its id, name, tags, pause and history stay. A trigger that stays
    /// keeps its next fire. `changed`: the names of the options that differ.
    pub fn change_job(
        &self,
        id: JobId,
        job: &NewJob,
        triggers: &[FirstFire],
        changed: Vec<Word>,
    ) -> StoreResult<()> {
        self.change_definition(id, job, changed)?;
        let held = self.is_paused(id)?;
        let mut kept: Vec<TriggerSpec> = Vec::new();
        for old in self.triggers(id)? {
            if triggers.iter().any(|new| new.spec == old.spec) {
                kept.push(old.spec);
            } else {
                self.delete_trigger(old.id)?;
            }
        }
        let added: Vec<&FirstFire> = triggers.iter().filter(|new| !kept.contains(&new.spec)).collect();
        if !added.is_empty() {
            self.set_passed(id, 0)?;
        }
        added.into_iter().try_for_each(|new| self.insert_trigger(id, new, held))?;
        // They may have waited for a trigger that is gone.
        self.release_gathered(id, self.at)
    }

    /// Changes the definition of a job alone. `changed`: the names of the options that differ.
    pub fn change_definition(&self, id: JobId, job: &NewJob, changed: Vec<Word>) -> StoreResult<()> {
        self.record(&Happening::Changed { job: self.job_note(id)?, options: changed });
        static SQL: LazyLock<String> = LazyLock::new(|| {
            let (columns, values) = definition::assigned();
            // With another N, the count of `--nth` begins anew.
            format!(
                "UPDATE job SET (environment_id, {columns}) = (?2, {values}),
                    passed = iif(nth IS ?, passed, 0) WHERE id = ?1"
            )
        });
        self.execute_with_definition(&SQL, &id, job, params![job.nth])?;
        self.set_requirement(id, &job.requirement)?;
        // As many runs as the new `times` allows may have begun already.
        self.has_changed(id);
        Ok(())
    }
}
