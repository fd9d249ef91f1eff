//! Owns: a copy of a store that others write to: what is copied, in which order, and until when.
//! Never: how a database or a file is copied (see `store` and `keeper`).
//!
//! Output files are copied first, then the database, then what has come or grown meanwhile. So the files of
//! all runs that have ended in the copied database are there, unless one was removed: then the outputs of its
//! run were pruned or forgotten, and the database is copied again, which knows that.

mod place;

use std::collections::BTreeSet;
use std::io;

use crate::domain::Timestamp;
use crate::error::{Error, ErrorKind, Result};
use crate::keeper::protocol::Attempt;
use crate::keeper::{LOG_DIRECTORY, OutputCopies};
use crate::store::{Directory, OutputInFiles, Store, StoreError, StoreResult};
pub use place::CopyPlace;
use place::Scaffold;

/// How often the database is copied while outputs go away.
const ROUNDS_MAX: u32 = 10;

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupDone {
    pub jobs: usize,
    pub runs: usize,
    pub outputs: usize,
    /// The size of the output files.
    pub output_bytes: u64,
    /// Outputs whose files were gone before: nobody has them.
    pub missing: Vec<OutputInFiles>,
}

/// What a copied database says.
struct Copied {
    jobs: usize,
    runs: usize,
    expected: Vec<OutputInFiles>,
}

/// Copies a store. The copy gets its name when it is whole and on disk.
///
/// # Errors
/// If something cannot be read or written, or outputs go away faster than they are copied. Nothing of the
/// copy is left then.
pub fn back_up(store: &mut Store, place: &CopyPlace, what: &str, now: Timestamp) -> Result<BackupDone> {
    let scaffold = Scaffold::make(place, what)?;
    let made = make(store, &scaffold, (place, what), now);
    let done = made.map_err(|error| match error {
        Failure::Store(error) if error.is_full() => place.full(what),
        Failure::Store(error) => error.during(what),
        Failure::Io(error) => place.failed(what, &error),
        Failure::Told(error) => error,
    })?;
    scaffold.finish(place, what)?;
    Ok(done)
}

enum Failure {
    Store(StoreError),
    Io(io::Error),
    Told(Error),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Makes a copy at its temporary place, and waits until it is on disk.
fn make(
    store: &mut Store,
    scaffold: &Scaffold,
    (place, what): (&CopyPlace, &str),
    now: Timestamp,
) -> Result<BackupDone, Failure> {
    let log = store.directory().expect("it is not in memory").below(LOG_DIRECTORY);
    let copy = Directory::make(&scaffold.store())?;
    copy.make_outputs()?;
    let mut outputs = OutputCopies::new(log, copy.below(LOG_DIRECTORY));
    for _ in 0..ROUNDS_MAX {
        outputs.pass()?;
        store.read(|reader| reader.copy_to(&copy, now))?;
        outputs.pass()?;
        let copied = look(scaffold, &mut outputs)?;
        let missing: Vec<OutputInFiles> =
            copied.expected.into_iter().filter(|expected| lacks(&outputs, expected)).collect();
        if !missing.is_empty() && has_moved(&missing, &expected_now(store)?) {
            continue;
        }
        outputs.sync()?;
        copy.sync_copy()?;
        let (heads, output_bytes) = outputs.totals();
        let Copied { jobs, runs, .. } = copied;
        return Ok(BackupDone { jobs, runs, outputs: heads, output_bytes, missing });
    }
    let cause = format!("outputs were removed while they were copied to `{}`", place.shown());
    Err(Failure::Told(Error::new(ErrorKind::Conflict, what, cause).hint("try again when `prune` has ended")))
}

/// Reads the copied database, and removes the files that are of no use to it.
fn look(scaffold: &Scaffold, outputs: &mut OutputCopies) -> Result<Copied, Failure> {
    let mut copy = Store::look(&scaffold.store())?.expect("it was just made");
    let attempts = outputs.attempts();
    let (copied, useless) = copy.read(|reader| -> StoreResult<(Copied, Vec<Attempt>)> {
        let (jobs, runs) = reader.count_jobs_and_runs()?;
        let mut useless = Vec::new();
        for attempt in attempts {
            let run = attempt.run().expect("only outputs of runs are copied");
            if !reader.needs_output_files(run, attempt.number)? {
                useless.push(attempt);
            }
        }
        Ok((Copied { jobs, runs, expected: reader.outputs_in_files()? }, useless))
    })?;
    for attempt in useless {
        outputs.remove(attempt)?;
    }
    Ok(copied)
}

fn lacks(outputs: &OutputCopies, expected: &OutputInFiles) -> bool {
    let attempt = Attempt::of_run(expected.run, expected.attempt);
    expected.output_bytes > 0 && !outputs.has(attempt.stdout())
        || expected.stderr_bytes > 0 && !outputs.has(attempt.stderr())
}

fn expected_now(store: &mut Store) -> StoreResult<BTreeSet<OutputInFiles>> {
    store.read(|reader| reader.outputs_in_files().map(BTreeSet::from_iter))
}

/// Returns whether one of the missing outputs is not expected any more.
fn has_moved(missing: &[OutputInFiles], expected: &BTreeSet<OutputInFiles>) -> bool {
    missing.iter().any(|missing| !expected.contains(missing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{JobId, RunId};

    fn output(number: i64) -> OutputInFiles {
        let run = RunId { job: JobId(1), number };
        OutputInFiles { run, attempt: 1, output_bytes: 100, stderr_bytes: 0 }
    }

    #[test]
    fn a_missing_output_that_was_pruned_since_makes_another_round_and_one_that_nobody_has_does_not() {
        let expected = BTreeSet::from([output(1), output(2)]);
        assert!(!has_moved(&[output(1)], &expected));
        assert!(has_moved(&[output(1), output(3)], &expected));
        assert!(has_moved(&[output(1)], &BTreeSet::new()));
    }
}
