//! Owns: a copy of the database, made while others write to it.
//! Never: the files of outputs (see `keeper::output_copies`), or where the copy goes (see `daemon::backup`).
//!
//! SQLite copies page by page what one transaction sees. Writers go on meanwhile, and their commits stay in
//! the log. The copy needs no log.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, params};

use super::directory::{DATABASE, Directory, INDEX, LOG};
use super::error::{StoreError, StoreResult, unusable};
use super::open_files::{OpenFiles, Opening};
use super::{MetaKey, Reader};
use crate::domain::Timestamp;

/// How many pages are copied at once.
const STEP_PAGES: i32 = 1_024;

impl Reader<'_> {
    /// Copies the database, as this transaction sees it, into the directory of another store, in place of an
    /// earlier copy there. The copy says that it is one: the daemon that serves it must leave the processes
    /// alone that this store has. `now`: for the note.
    ///
    /// It is not on disk before `Directory::sync_copy`.
    ///
    /// # Errors
    /// If the database cannot be read, or the copy cannot be written.
    pub fn copy_to(&self, copy: &Directory, now: Timestamp) -> StoreResult<()> {
        // SQLite then reads all pages in the state of this moment.
        self.count_jobs()?;
        make_empty(copy).map_err(|error| unusable(&copy.path().join(DATABASE), &error))?;
        let opening = Opening::begin()?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut to = Connection::open_with_flags(copy.below(DATABASE), flags)?;
        opening.check(copy, &[DATABASE])?;
        // A half copy is of no use, so that nothing has to be kept for its recovery.
        to.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
        copy_pages(&self.transaction, &mut to)?;
        // From here on the copy has a log, as the original has.
        to.execute(
            "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)",
            params![MetaKey::Copied.as_str(), now.as_micros().to_string()],
        )?;
        // Hosts would take its runs for those of the original.
        to.execute("DELETE FROM meta WHERE key = ?1", [MetaKey::Token.as_str()])?;
        to.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        OpenFiles::of(&opening, copy)?;
        to.close().map_err(|(_, error)| error)?;
        Ok(())
    }

    /// Returns how many jobs and runs there are.
    pub fn count_jobs_and_runs(&self) -> StoreResult<(usize, usize)> {
        let runs = self.one("SELECT count(*) FROM run", [], |row| row.get::<_, u32>(0))?;
        Ok((self.count_jobs()?, runs as usize))
    }

    fn count_jobs(&self) -> StoreResult<usize> {
        self.one("SELECT count(*) FROM job", [], |row| row.get::<_, u32>(0)).map(|count| count as usize)
    }
}

impl Directory {
    /// Waits until a copied database is on disk, with the names in the directory and in that of its outputs.
    ///
    /// # Errors
    /// Those of fsync(2).
    pub fn sync_copy(&self) -> StoreResult<()> {
        let synced = File::open(self.below(DATABASE)).and_then(|file| file.sync_all());
        synced.map_err(|error| unusable(&self.path().join(DATABASE), &error))?;
        self.sync_outputs()?;
        self.sync()
    }
}

/// Makes an empty file for the database. The mode must not depend on the umask.
fn make_empty(copy: &Directory) -> io::Result<()> {
    for name in [DATABASE, LOG, INDEX] {
        match fs::remove_file(copy.below(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(copy.below(DATABASE))?;
    file.set_permissions(Permissions::from_mode(0o600))
}

fn copy_pages(from: &Connection, to: &mut Connection) -> StoreResult<()> {
    let backup = Backup::new(from, to)?;
    loop {
        match backup.step(STEP_PAGES)? {
            StepResult::Done => return Ok(()),
            StepResult::More => {}
            // The transaction has its lock, and nobody else knows the copy.
            _ => return Err(StoreError::Unusable("the database is locked by another program".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{CommandLine, Execution, NewJob};
    use crate::store::{Act, Store};

    fn add(store: &mut Store) {
        let job = NewJob::of(Execution::of(CommandLine::Script(b"true".to_vec())));
        let act = Act::of_daemon(Timestamp::default());
        let added = store.write(act, |writer| writer.add_job(&job, &[], None, Timestamp::default()));
        added.expect("there is room");
    }

    #[test]
    fn a_copy_has_what_one_transaction_sees_and_needs_no_log() {
        let base = tempfile::tempdir().expect("a directory");
        let dir = base.path().join("store");
        let mut store = Store::open(&dir).expect("the name is new");
        let mut other = Store::open(&dir).expect("it is there");
        for _ in 0..3 {
            add(&mut store);
        }
        let at = base.path().join("copy");
        let copy = Directory::make(&at).expect("the name is new");
        copy.make_outputs().expect("there is room");
        let act = Act::of_daemon(Timestamp::default());
        let token = other.write(act, |writer| writer.exchange_meta(MetaKey::Token, "7"));
        token.expect("there is room");
        // Twice, because a copy is made again if outputs have moved.
        for jobs in [3, 4] {
            let copied = store.read(|reader| {
                reader.count_jobs()?;
                // A writer does not wait, and its job is not in the copy.
                add(&mut other);
                reader.copy_to(&copy, Timestamp::from_seconds(5))
            });
            copied.expect("there is room");
            copy.sync_copy().expect("it is on a disk");
            let mut names: Vec<_> = fs::read_dir(&at)
                .expect("it is there")
                .map(|entry| entry.expect("ours").file_name())
                .collect();
            names.sort();
            assert_eq!(names, ["log", DATABASE]);
            let mode = fs::metadata(at.join(DATABASE)).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let mut look = Store::look(&at).expect("it is a store").expect("it is there");
            let found = look.read(|reader| {
                assert_eq!(reader.integrity_problems()?, [""; 0]);
                assert_eq!(reader.broken_references()?, []);
                assert_eq!(reader.meta(MetaKey::Token)?, None);
                assert_eq!(reader.meta(MetaKey::Copied)?.as_deref(), Some("5000000"));
                reader.count_jobs_and_runs()
            });
            assert_eq!(found.expect("it is whole"), (jobs, jobs));
        }
        assert_eq!(
            other.read(|reader| reader.meta(MetaKey::Token)).expect("it is whole").as_deref(),
            Some("7")
        );
    }
}
