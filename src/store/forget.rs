//! Owns: deleting jobs and runs with all that belongs to them in the store.
//! Never: deciding which (see `engine`), or files.

use rusqlite::params;

use super::{StoreResult, Writer};
use crate::domain::JobId;

/// What belongs to a run and has no history of its own.
const PARTS_OF_A_RUN: [&str; 3] = ["output", "mail", "attempt"];

impl Writer<'_> {
    /// Deletes a job and its history. No keeper may have a run of it, and no stored crontab a line.
    pub fn remove_job(&self, job: JobId) -> StoreResult<()> {
        for part in PARTS_OF_A_RUN {
            let sql = format!("DELETE FROM {part} WHERE run_id IN (SELECT id FROM run WHERE job_id = ?1)");
            self.change(&sql, [job])?;
        }
        for part in ["run", "trigger", "tag"] {
            self.change(&format!("DELETE FROM {part} WHERE job_id = ?1"), [job])?;
        }
        let environment: i64 =
            self.one("DELETE FROM job WHERE id = ?1 RETURNING environment_id", [job], |row| row.get(0))?;
        // It may hold secrets of the job.
        self.change(
            "DELETE FROM environment
             WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM job WHERE environment_id = ?1)",
            params![environment],
        )
    }
}
